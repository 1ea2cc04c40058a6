//! Entries that come, go, stop and restart while a Computer runs (spec/computer.md 7–11), in this process.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use mcp_computer::{AddOptions, Computer, EntryConfig, Error, ShellMode};
use serde_json::json;

use crate::support::{
    library::{
        AT_ONCE, Fake, comes_true, deferred, gated, health_of, made_of, names, never_restarted, open_gate, server,
        told, up, within,
    },
    procs::{alive, assert_gone, pids_in},
};

const LATER: AddOptions = AddOptions { deferred: true };

/// A server that takes its time for ever and does not want to leave.
async fn starting_for_ever() -> Fake {
    let fake = Fake::begun(["--silent", "--ignore-term", "--ignore-eof"], |mut entry| {
        entry.connect_timeout = Some(Duration::from_secs(600));
        entry
    });
    fake.computer.begin();
    comes_true("its server runs", || !fake.pids().is_empty()).await;
    fake
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_entry_is_up_when_it_has_been_added() {
    let computer = up([("a", server(["--tools", "1"]))]).await;
    within("adding", computer.add_entry("b", server(["--tools", "1"]), AT_ONCE)).await.unwrap();
    assert_eq!(names(&computer), ["a__echo", "b__echo"]);
    assert_eq!(computer.call("b__echo", &json!({ "message": "hi" })).await.unwrap(), "hi");
    assert_eq!(computer.entries(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_can_be_seen_can_be_restarted_though_it_is_being_added() {
    let computer = up([("a", server(["--tools", "1"]))]).await;
    for round in 0..500 {
        let (name, seen_by) = (format!("n{round}"), computer.clone());
        let wanted = name.clone();
        // In a thread of its own, so that it looks while the entry is being put there.
        let restarting = std::thread::spawn(move || {
            loop {
                match seen_by.restart_entry(&wanted).now_or_never() {
                    Some(Err(Error::UnknownNamespace { .. })) => std::hint::spin_loop(),
                    outcome => return outcome.map(|outcome| outcome.map(drop)),
                }
            }
        });
        let shell = Computer::shell(ShellMode::Unrestricted);
        within("adding", computer.add_entry(&name, shell, LATER)).await.unwrap();
        // What is asked of it is under way, or has happened: it is not told that nobody is there.
        let outcome = restarting.join().unwrap();
        assert!(outcome.as_ref().is_none_or(Result::is_ok), "round {round}: {outcome:?}");
        within("removing", computer.remove_entry(&name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_taken_is_refused_and_what_has_it_goes_on() {
    let fake = Fake::up([]).await;
    let error = fake.computer.add_entry("fake", server(["--silent"]), AT_ONCE).await.unwrap_err();
    assert_eq!(error, Error::NamespaceTaken("fake".into()));
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_namespace_is_refused_with_the_rule() {
    let computer = up([("a", server(["--tools", "1"]))]).await;
    let long = "n".repeat(33);
    for name in ["", "a__b", "_a", "a_", "a b", "ä", "a.b", long.as_str()] {
        let error = computer.add_entry(name, server(["--tools", "1"]), AT_ONCE).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidNamespace { text, .. } if text == name), "{name}: {error:?}");
        assert!(error.to_string().contains("use 1 to 32 letters"), "{error}");
    }
    assert_eq!(computer.entries(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_entry_that_fails_is_there_with_the_message() {
    let computer = up([("a", server(["--tools", "1"]))]).await;
    let bad = server(["--exit-at-once", "3", "--stderr", "no licence"]);
    within("adding", computer.add_entry("bad", bad, AT_ONCE)).await.unwrap();
    let health = health_of(&computer, "bad").await;
    assert!(!health.healthy && health.error.as_ref().is_some_and(|error| error.contains("no licence")), "{health:?}");
    assert!(computer.has_entry("bad"));
    assert_eq!(names(&computer), ["a__echo", "bad__status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_start_an_entry_is_only_registered() {
    let fake = Fake::begun([], |entry| entry);
    let more = server(["--tools", "1", "--pid-file", fake.path("more").to_str().unwrap()]);
    within("adding", fake.computer.add_entry("more", more, AT_ONCE)).await.unwrap();
    assert!(fake.computer.has_entry("more") && pids_in(&fake.path("more")).is_empty());
    assert!(fake.computer.call("more__echo", &json!({})).await.is_err_and(|error| error.is_retryable()));
    within("the start", fake.computer.start()).await.unwrap();
    assert_eq!(fake.computer.call("more__echo", &json!({ "message": "hi" })).await.unwrap(), "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_entry_says_how_it_is_connected_and_then_is() {
    let fake = Fake::of([], deferred).await;
    let late = server(["--tools", "1", "--pid-file", fake.path("late").to_str().unwrap()]);
    within("adding", fake.computer.add_entry("late", late, LATER)).await.unwrap();
    for name in ["fake", "late"] {
        let health = health_of(&fake.computer, name).await;
        assert_eq!(health.error.as_deref(), Some("Deferred - connect via restart_entry()"));
        assert_eq!((health.state, health.healthy, health.pid), ("deferred", false, None));
        let health = within("restarting", fake.computer.restart_entry(name)).await.unwrap();
        assert_eq!((health.state, health.healthy, health.error), ("ready", true, None));
    }
    assert_eq!((fake.pids().len(), pids_in(&fake.path("late")).len()), (1, 1));
    assert_eq!(fake.call("echo", json!({ "message": "hi" })).await.unwrap(), "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_entry_is_not_connected_and_says_why() {
    let off = EntryConfig { disabled: true, ..server(["--tools", "1"]).into() };
    let computer = up([("off", off), ("on", server(["--tools", "1"]).into())]).await;
    assert_eq!(names(&computer), ["on__echo"], "an agent is not asked to bring it up");
    let health = health_of(&computer, "off").await;
    assert_eq!((health.state, health.healthy), ("disabled", false));
    assert!(health.error.is_some_and(|error| error.contains("Disabled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_closes_and_forgets() {
    let fake = Fake::up([]).await;
    let orphans = fake.orphans().await;
    within("removing", fake.computer.remove_entry("fake")).await;
    assert_gone(&[fake.pids(), orphans].concat());
    assert!(!fake.computer.has_entry("fake") && fake.computer.entries().is_empty());
    assert_eq!(names(&fake.computer), Vec::<String>::new());
    within("adding it anew", fake.computer.add_entry("fake", server(["--tools", "1"]), AT_ONCE)).await.unwrap();
    assert_eq!(names(&fake.computer), ["fake__echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_what_is_not_there_does_nothing() {
    let computer = up([("a", server(["--tools", "1"]))]).await;
    for name in ["b", "", "no name at all"] {
        within("removing", computer.remove_entry(name)).await;
    }
    assert_eq!(computer.entries(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replaces_the_process() {
    let fake = Fake::up([]).await;
    let first = fake.pid();
    let health = within("restarting", fake.computer.restart_entry("fake")).await.unwrap();
    assert!(!alive(first), "it is closed before the next one starts");
    assert_eq!((health.state, health.pid), ("ready", Some(fake.pid().cast_unsigned())));
    assert_eq!((fake.pids().len(), health.restarts), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_brings_up_what_was_stopped() {
    let fake = Fake::up([]).await;
    within("stopping", fake.computer.stop_entry("fake")).await.unwrap();
    assert_gone(&fake.pids());
    let health = within("restarting", fake.computer.restart_entry("fake")).await.unwrap();
    assert_eq!((health.state, health.healthy), ("ready", true));
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_brings_up_what_failed_and_tells_when_it_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let computer = made_of([("fake", never_restarted(gated(dir.path())))]);
    within("the start", computer.start()).await.unwrap_err();
    let health = within("restarting", computer.restart_entry("fake")).await.unwrap();
    assert_eq!((health.state, health.healthy), ("failed", false));
    assert!(health.error.is_some_and(|error| error.contains("the gate is shut")));
    open_gate(dir.path());
    let health = within("restarting", computer.restart_entry("fake")).await.unwrap();
    assert_eq!((health.state, health.healthy), ("ready", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_namespace_is_told_with_the_known_ones() {
    let computer = up([("a", server(["--tools", "1"])), ("b", server(["--tools", "1"]))]).await;
    let known = vec!["a".to_owned(), "b".to_owned()];
    let error = computer.restart_entry("c").await.unwrap_err();
    assert_eq!(error, Error::UnknownNamespace { name: "c".into(), known });
    assert!(error.to_string().contains("a, b"), "{error}");
    assert_eq!(computer.stop_entry("c").await.unwrap_err(), error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_entry_stays_stopped() {
    let fake = Fake::up([]).await;
    within("stopping", fake.computer.stop_entry("fake")).await.unwrap();
    within("looking", fake.computer.ensure_ready()).await;
    within("retrying", fake.computer.retry_degraded()).await;
    let health = fake.health().await;
    assert_eq!((health.state, health.tools), ("stopped", 0), "the status tool is none of its own");
    assert_eq!(names(&fake.computer), ["fake__status"]);
    assert!(health.error.is_some_and(|error| error.contains("restart_entry()")));
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_computer_takes_back_its_entries_as_they_are_configured() {
    let fake = Fake::of([], deferred).await;
    within("restarting", fake.computer.restart_entry("fake")).await.unwrap();
    within("the stop", fake.computer.stop()).await;
    within("the start", fake.computer.start()).await.unwrap();
    assert_eq!(fake.health().await.state, "deferred");
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_restarts_at_once_end_with_one_process() {
    let fake = Fake::up([]).await;
    let restarts = join_all((0..100).map(|_| fake.computer.restart_entry("fake")));
    for health in within("all of them", restarts).await {
        assert!(health.is_ok_and(|health| health.state == "ready" || health.state == "starting"));
    }
    let living: Vec<i32> = fake.pids().into_iter().filter(|pid| alive(*pid)).collect();
    assert_eq!(living, [fake.pid()]);
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
    assert!(fake.pids().len() < 10, "those that queue are one: {} starts", fake.pids().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cancels_a_start() {
    let fake = starting_for_ever().await;
    within("stopping", fake.computer.stop_entry("fake")).await.unwrap();
    assert_gone(&fake.pids());
    assert_eq!(fake.health().await.state, "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_cancels_a_start() {
    let fake = starting_for_ever().await;
    within("removing", fake.computer.remove_entry("fake")).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_is_overtaken_by_a_stop_returns() {
    let fake = starting_for_ever().await;
    let both = async { tokio::join!(fake.computer.restart_entry("fake"), fake.computer.stop_entry("fake")) };
    let (restarted, stopped) = within("both", both).await;
    assert!(stopped.is_ok() && restarted.is_ok_and(|health| health.state != "ready"));
    within("the last stop", fake.computer.stop()).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_comes_up_late_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let computer = made_of([("fake", gated(dir.path()))]);
    let mut events = computer.events();
    within("the start", computer.start()).await.unwrap_err();
    let error = told(&mut events, "fake", "waiting").await;
    assert!(error.is_some_and(|error| error.contains("the gate is shut")));
    open_gate(dir.path());
    assert_eq!(told(&mut events, "fake", "ready").await, None);
}
