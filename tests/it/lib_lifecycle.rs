//! Starting and stopping a Computer (spec/computer.md 1–6), in this process.

use std::time::Duration;

use mcp_computer::{Computer, ComputerConfig, Error, Started};
use serde_json::json;

use crate::support::{
    library::{Fake, bash, comes_true, gated, made_of, names, open_gate, server, up, within},
    procs::{alive, all_gone, assert_gone},
    program::text,
};

#[test]
fn a_computer_is_made_without_a_runtime_and_without_starting_anything() {
    let fake = Fake::begun([], |entry| entry);
    assert_eq!(fake.computer.entries(), ["fake"]);
    assert!(fake.pids().is_empty() && names(&fake.computer).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_start_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("started");
    // None goes on before all twenty have been started.
    let wait = format!("until (($(wc -l < '{0}') >= 20)); do sleep 0.05; done", file.display());
    let entry = bash(&format!("echo $$ >> '{}'; {wait}; exec \"$0\" --tools 1", file.display()));
    let computer = up((0..20).map(|n| (format!("e{n}"), entry.clone()))).await;
    assert_eq!(names(&computer).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_told_and_the_others_are_up() {
    let bad = server(["--exit-at-once", "7", "--stderr", "no licence"]);
    let computer = made_of([("bad", bad), ("good", server(["--tools", "1"]))]);
    let Started { errors } = within("the start", computer.start()).await.unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("bad: ") && errors[0].contains("status 7"), "{errors:?}");
    assert!(errors[0].contains("no licence"), "its last words are told: {errors:?}");
    assert_eq!(computer.call("good__echo", &json!({ "message": "hi" })).await.unwrap(), "hi");
    assert_eq!(computer.entries(), ["bad", "good"], "what failed stays registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_fail_the_start_fails_naming_each_and_they_are_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let computer = made_of([("a", gated(dir.path())), ("b", gated(dir.path()))]);
    let error = within("the start", computer.start()).await.unwrap_err();
    let Error::AllFailed(errors) = &error else { panic!("{error:?}") };
    assert!(errors[0].starts_with("a: ") && errors[1].starts_with("b: "), "{errors:?}");
    assert!(error.to_string().contains("the gate is shut"), "{error}");
    assert_eq!(computer.start().await, Ok(Started::default()), "it counts as started");
    open_gate(dir.path());
    comes_true("both come up by themselves", || {
        let names = names(&computer);
        ["a__echo", "b__echo"].iter().all(|name| names.iter().any(|known| known == name))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_without_entries_starts() {
    let computer = Computer::new(ComputerConfig::new());
    assert_eq!(computer.start().await, Ok(Started::default()));
    let health = computer.health().await;
    assert!(!health.healthy && health.entries.is_empty() && health.total_tools == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_does_nothing() {
    let fake = Fake::up([]).await;
    assert_eq!(within("the start", fake.computer.start()).await, Ok(Started::default()));
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_starts_at_once_start_everything_once() {
    let fake = Fake::begun([], |entry| entry);
    let (a, b) = within("the starts", async { tokio::join!(fake.computer.start(), fake.computer.start()) }).await;
    assert_eq!((a, b), (Ok(Started::default()), Ok(Started::default())));
    fake.call("echo", json!({ "message": "x" })).await.unwrap();
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_can_be_started_again() {
    let fake = Fake::up([]).await;
    within("the stop", fake.computer.stop()).await;
    assert_gone(&fake.pids());
    assert_eq!(names(&fake.computer), Vec::<String>::new());
    assert_eq!(fake.health().await.state, "idle");
    assert_eq!(within("the start", fake.computer.start()).await, Ok(Started::default()));
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
    assert_eq!(fake.pids().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_returns_when_nothing_of_it_lives_however_stubborn() {
    let fake = Fake::up(["--ignore-term", "--ignore-eof"]).await;
    within("the stop", fake.computer.stop()).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_a_hurry_is_as_thorough() {
    let fake = Fake::up(["--ignore-term", "--ignore-eof"]).await;
    within("the stop", fake.computer.stop_within(Duration::ZERO)).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_what_was_never_started_and_a_second_stop_do_nothing() {
    let fake = Fake::begun([], |entry| entry);
    within("a stop", fake.computer.stop()).await;
    within("the start", fake.computer.start()).await.unwrap();
    within("a stop", async { tokio::join!(fake.computer.stop(), fake.computer.stop()) }).await;
    within("a stop", fake.computer.stop()).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_stops_at_once_returns_when_nothing_lives() {
    let fake = Fake::up(["--ignore-term"]).await;
    let stopped = || async {
        within("a stop", fake.computer.stop()).await;
        all_gone(&fake.pids())
    };
    assert_eq!(tokio::join!(stopped(), stopped()), (true, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_the_start_gives_the_start_up() {
    let fake = Fake::begun(["--silent", "--ignore-term", "--ignore-eof"], |mut entry| {
        entry.connect_timeout = Some(Duration::from_secs(600));
        entry
    });
    let stopping = async {
        comes_true("a server runs", || !fake.pids().is_empty()).await;
        fake.computer.stop().await;
        assert_gone(&fake.pids());
    };
    let (_, ()) = within("both return", async { tokio::join!(fake.computer.start(), stopping) }).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_given_up_when_its_time_to_connect_is_over() {
    let fake = Fake::begun(["--silent", "--stderr", "thinking"], |mut entry| {
        entry.connect_timeout = Some(Duration::from_millis(700));
        entry
    });
    let error = within("the start", fake.computer.start()).await.unwrap_err().to_string();
    for part in ["fake: ", "700 ms", "connectTimeout", "thinking"] {
        assert!(error.contains(part), "`{part}`: {error}");
    }
    assert!(!alive(fake.pids()[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_clone_ends_everything() {
    let fake = Fake::up(["--ignore-term", "--ignore-eof"]).await;
    let clone = fake.computer.clone();
    let pids = fake.pids();
    let Fake { computer, dir: _dir } = fake;
    drop(computer);
    clone.call("fake__echo", &json!({ "message": "x" })).await.unwrap();
    assert!(!all_gone(&pids), "a clone is left");
    drop(clone);
    comes_true("nothing of it lives", || all_gone(&pids)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_fails_with_its_cure_and_is_not_tried_again() {
    let computer = made_of([("lost", Computer::stdio("no-such-program-anywhere", ["x"]))]);
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    assert!(error.contains("`no-such-program-anywhere` was not found") && error.contains("npm:"), "{error}");
    let health = computer.health().await;
    assert_eq!((health.entries[0].state, health.entries[0].restarts), ("failed", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_runs_where_its_entry_says() {
    let dir = tempfile::tempdir().unwrap();
    let entry = server::<&str>([]).cwd(dir.path()).env("OWN", "value");
    let computer = up([("fake", entry)]).await;
    let cwd = computer.call("fake__cwd", &json!({})).await.unwrap();
    assert_eq!(cwd, text(&dir.path().canonicalize().unwrap()));
    assert_eq!(computer.call("fake__env", &json!({})).await.unwrap()["OWN"], "value");
}
