//! Entries that are up only when somebody uses them: `lazy` and `idleStop`.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use mcp_computer::{
    Computer, Error, Event,
    config::{Demand, Restart},
    front::http::Limits,
};
use serde_json::json;

use crate::support::{
    http_client::InProcess,
    library::{Fake, comes_true, gated, health_of, made_of, names, open_gate, told_so_far, until, up, within},
    procs::all_gone,
};

fn lazy(mut entry: mcp_computer::StdioConfig) -> mcp_computer::StdioConfig {
    entry.demand = Demand { lazy: true, ..Demand::default() };
    entry
}

fn ends_when_unused(mut entry: mcp_computer::StdioConfig) -> mcp_computer::StdioConfig {
    entry.demand = Demand { idle_stop: Some(Duration::from_millis(200)), ..Demand::default() };
    entry
}

/// How often a change of the tools was told.
fn announced(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::ToolsChanged { .. })).count()
}

async fn state(fake: &Fake) -> &'static str {
    fake.health().await.state
}

/// Waits until it has ended because nobody uses it.
async fn is_idle(fake: &Fake, lives: usize) {
    let idle = || fake.computer.entry_health("fake").unwrap().state == "idle";
    comes_true("nobody uses it", || fake.pids().len() == lives && idle() && all_gone(&fake.pids())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_entry_is_started_once_to_learn_its_tools_and_then_at_its_first_call() {
    let fake = Fake::of(["--tools", "2"], lazy).await;
    is_idle(&fake, 1).await;
    assert_eq!(names(&fake.computer), ["fake__echo", "fake__tool_1"]);
    let health = within("health", fake.computer.health()).await;
    assert!(health.healthy && health.entries[0].healthy && health.entries[0].error.is_none(), "{health:?}");
    assert!(within("mending", fake.computer.ensure_ready()).await.recovered.is_none(), "nothing is to be mended");
    assert_eq!(fake.pids().len(), 1);

    // However many call at once, they start it once.
    let calls = join_all((0..8).map(|_| fake.call("echo", json!({ "message": "hi" })))).await;
    assert!(calls.iter().all(|answer| answer.as_ref().unwrap() == "hi"), "{calls:?}");
    assert_eq!((fake.pids().len(), state(&fake).await), (2, "ready"));
    assert_eq!(fake.health().await.restarts, 0, "that it was not up was no mishap");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_entry_whose_tools_are_known_is_not_started_before_its_first_call() {
    let dir = tempfile::tempdir().unwrap();
    let first = Fake::begun(["--tools", "2"], lazy);
    let computer = |config: &mcp_computer::ComputerConfig| {
        let computer = Computer::new(config.clone());
        computer.remember_in(dir.path().join("catalogs"));
        computer
    };
    let config = first.computer.config();
    let learning = computer(&config);
    within("the start", learning.start()).await.unwrap();
    comes_true("what it has is kept", || std::fs::read_dir(dir.path().join("catalogs")).is_ok_and(|d| d.count() == 1))
        .await;
    within("the stop", learning.stop()).await;

    let known = Fake { computer: computer(&config), dir: first.dir };
    let started = within("the start", known.computer.start()).await.unwrap();
    assert!(started.errors.is_empty(), "{started:?}");
    assert_eq!(names(&known.computer), ["fake__echo", "fake__tool_1"]);
    assert_eq!((known.pids().len(), state(&known).await), (1, "idle"));
    assert_eq!(known.call("echo", json!({ "message": "hi" })).await.unwrap(), "hi");
    assert_eq!(known.pids().len(), 2);
    within("the stop", known.computer.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_wakes_an_entry_which_cannot_come_up_reads_why() {
    let dir = tempfile::tempdir().unwrap();
    let entry = |path: &Path| {
        let mut entry = lazy(gated(path));
        entry.restart = Restart::Never;
        entry
    };
    open_gate(dir.path());
    let computer = up([("fake", entry(dir.path()))]).await;
    comes_true("nobody uses it", || computer.entry_health("fake").unwrap().state == "idle").await;
    std::fs::remove_file(dir.path().join("gate")).unwrap();
    let error = within("the call", computer.call("fake__echo", &json!({ "message": "hi" }))).await.unwrap_err();
    assert!(matches!(&error, Error::NotReady { state, .. } if state == "failed"), "{error:?}");
    assert!(error.to_string().contains("the gate is shut"), "{error}");
    within("the stop", computer.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_nobody_uses_ends_keeps_its_tools_and_comes_back_at_the_next_call() {
    let fake = Fake::of(["--tools", "2"], ends_when_unused).await;
    let mut events = fake.computer.events();
    for lives in 1..4 {
        assert_eq!(fake.call("echo", json!({ "message": "hi" })).await.unwrap(), "hi");
        is_idle(&fake, lives).await;
        assert_eq!(names(&fake.computer), ["fake__echo", "fake__tool_1"]);
    }
    let health = fake.health().await;
    assert!(health.healthy && health.restarts == 0 && health.last_error.is_none(), "{health:?}");
    let events = told_so_far(&mut events);
    assert_eq!(announced(&events), 0, "{events:?}");
    let idle = |event: &&Event| matches!(event, Event::StateChanged { state: "idle", error: None, .. });
    assert_eq!(events.iter().filter(idle).count(), 3, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_while_it_ends_are_all_answered() {
    let fake = Fake::of([] as [&str; 0], |mut entry| {
        // As long as the pause between two calls.
        entry.demand.idle_stop = Some(Duration::from_millis(10));
        entry
    })
    .await;
    until("it has ended now and then", async || {
        assert_eq!(fake.call("echo", json!({ "message": "hi" })).await.unwrap(), "hi");
        fake.pids().len() > 20
    })
    .await;
    assert_eq!(fake.health().await.restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_or_restarted_by_hand_is_so_whether_it_is_used_or_not() {
    let fake = Fake::of(["--tools", "2"], lazy).await;
    is_idle(&fake, 1).await;
    let health = within("the restart", fake.computer.restart_entry("fake")).await.unwrap();
    assert_eq!((health.state, fake.pids().len()), ("ready", 2));
    within("the stop", fake.computer.stop_entry("fake")).await.unwrap();
    let error = fake.call("echo", json!({ "message": "hi" })).await.unwrap_err();
    assert!(matches!(&error, Error::NotReady { state, .. } if state == "stopped"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_of_one_that_nobody_uses_is_learnt_anew() {
    let fake = Fake::of(["--tools", "2"], lazy).await;
    is_idle(&fake, 1).await;
    let mut config = (*fake.computer.config()).clone();
    let mcp_computer::config::EntryKind::Stdio(entry) = &mut config.entries[0].1.kind else { panic!("no stdio entry") };
    entry.args[1] = "3".to_owned();
    let applied = within("applying", fake.computer.apply(config)).await;
    assert_eq!(applied.changed, ["fake"]);
    assert_eq!(names(&fake.computer).len(), 3);
    is_idle(&fake, 2).await;
    assert_eq!(names(&fake.computer).len(), 3);
}

#[test]
fn an_entry_over_http_is_connected_at_its_first_call_and_let_go_when_nobody_uses_it() {
    let served = InProcess::limited(Limits::default());
    let mut entry = Computer::http(format!("http://{}/mcp/fake", served.address));
    entry.demand = Demand { lazy: true, idle_stop: Some(Duration::from_millis(200)), max_concurrent: Some(1) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let computer = made_of([("far", entry)]);
        within("the start", computer.start()).await.unwrap();
        for _ in 0..2 {
            comes_true("nobody uses it", || computer.entry_health("far").unwrap().state == "idle").await;
            let answer = within("the call", computer.call("far__echo", &json!({ "message": "hi" }))).await;
            assert_eq!(answer.unwrap(), "hi");
        }
        assert!(health_of(&computer, "far").await.healthy);
        within("the stop", computer.stop()).await;
    });
}
