//! Servers that go silent (spec/computer.md 17, 22), and what a sleep of the machine leaves behind.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcp_computer::{CallContext, Computer, Error, StdioConfig};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    lib_http::act,
    support::{
        http::{Reply, Web},
        library::{Fake, comes_true, made_of, scripted, sent, told, up, within},
        procs::signal,
    },
};

/// The entry, asked for a sign of life after so much silence, and with calls that are given up after so long.
fn watched(entry: StdioConfig, silence: u64, call: u64) -> StdioConfig {
    let (probe_interval, call_timeout) = (Duration::from_millis(silence), Duration::from_millis(call));
    StdioConfig { probe_interval, call_timeout, ..entry }
}

/// Calls the tool of a scripted server.
async fn act_of(computer: &Computer) -> mcp_computer::Result<serde_json::Value> {
    within("the call", computer.call("fake__act", &json!({}))).await
}

/// What makes a scripted server note in a file each time that it is asked for a sign of life.
fn counting(asked: &Path) -> String {
    let note = format!("case $line in *ping*) echo >> '{}' ;; esac", asked.display());
    format!("answer() {{ {note}; say \"\\\"id\\\":$id,\\\"result\\\":$1\"; }}\n")
}

/// How many times that was.
fn times(asked: &Path) -> usize {
    fs::read(asked).map_or(0, |lines| lines.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_that_answers_no_question_is_restarted() {
    for version in ["2025-11-25", "2026-07-28"] {
        let fake = Fake::of(["--version", version], |entry| watched(entry, 100, 60_000)).await;
        let mut events = fake.computer.events();
        signal(fake.pid(), Signal::SIGSTOP);
        let error = told(&mut events, "fake", "waiting").await.expect("it says why");
        assert!(error.contains("gave no sign of life for 300 ms"), "{error}");
        told(&mut events, "fake", "ready").await;
        assert_eq!(fake.pids().len(), 2);
        assert_eq!(fake.call("echo", json!({ "message": "x" })).await.unwrap(), "x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_that_answers_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked");
    let computer = up([("fake", watched(scripted(&counting(&asked)), 20, 60_000))]).await;
    comes_true("it is asked again and again", || times(&asked) >= 10).await;
    let health = computer.entry_health("fake").unwrap();
    assert_eq!((health.state, health.restarts, health.last_error), ("ready", 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_with_a_call_is_left_alone_though_it_answers_nothing_else() {
    // It does one thing at a time: for as long as it takes, no question has an answer.
    let computer = up([("fake", watched(scripted("call() { sleep 2; succeed; }\n"), 100, 60_000))]).await;
    assert_eq!(act_of(&computer).await.unwrap(), "done");
    assert_eq!(computer.entry_health("fake").unwrap().restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_in_a_call_is_restarted_when_the_call_was_given_up() {
    let fake = Fake::of([], |entry| watched(entry, 1_000, 300)).await;
    let mut events = fake.computer.events();
    signal(fake.pid(), Signal::SIGSTOP);
    let error = fake.call("echo", json!({ "message": "x" })).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    let error = told(&mut events, "fake", "waiting").await.expect("it says why");
    // Sooner than it takes to find out about one that owes nothing.
    assert!(error.contains("gave no sign of life for 1 s"), "{error}");
    told(&mut events, "fake", "ready").await;
    assert_eq!(fake.call("echo", json!({ "message": "y" })).await.unwrap(), "y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_not_restarted_before_its_other_calls_have_had_their_time() {
    let fake = Fake::of([], |entry| watched(entry, 200, 3_000)).await;
    let mut events = fake.computer.events();
    signal(fake.pid(), Signal::SIGSTOP);
    let others = sent(&fake.computer, "fake__echo", CallContext::default());
    // A caller that goes away gives its call up at once.
    drop(sent(&fake.computer, "fake__echo", CallContext::default()));
    let error = within("the other call", others).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "its own clock ended it: {error:?}");
    told(&mut events, "fake", "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_restarted_though_somebody_calls_it_all_the_time() {
    let fake = Fake::of([], |entry| watched(entry, 1_000, 700)).await;
    let mut events = fake.computer.events();
    signal(fake.pid(), Signal::SIGSTOP);
    // One after the other, each before the last has been given up.
    let calling = async {
        let (mut calls, mut pace) = (Vec::new(), tokio::time::interval(Duration::from_millis(200)));
        loop {
            pace.tick().await;
            calls.push(sent(&fake.computer, "fake__echo", CallContext::default()));
        }
    };
    tokio::select! {
        () = calling => {}
        error = told(&mut events, "fake", "waiting") => {
            let error = error.expect("it says why");
            assert!(error.contains("gave no sign of life"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_still_answers_after_a_call_was_given_up_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked");
    let entry = scripted(&(counting(&asked) + "call() { :; }\n"));
    let computer = up([("fake", watched(entry, 300, 100))]).await;
    let error = act_of(&computer).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    comes_true("it is asked again and again", || times(&asked) >= 4).await;
    assert_eq!(computer.entry_health("fake").unwrap().restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_that_goes_silent_is_connected_anew() {
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = silent.clone();
    let web = Web::legacy(move |_| is_silent.load(Ordering::SeqCst).then_some(Reply::Never));
    let mut entry = Computer::http(web.url());
    entry.probe_interval = Duration::from_millis(100);
    let computer = up([("web", entry)]).await;
    let mut events = computer.events();
    silent.store(true, Ordering::SeqCst);
    let error = told(&mut events, "web", "waiting").await.expect("it says why");
    assert!(error.contains("gave no sign of life"), "{error}");
    silent.store(false, Ordering::SeqCst);
    within("it is tried again", computer.restart_entry("web")).await.unwrap();
    assert_eq!(act(&computer).await.unwrap(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_that_refuses_to_be_asked_is_left_alone_and_health_says_what_it_answers() {
    for status in [429, 500] {
        let web = Web::legacy(move |request| request.is("ping").then(|| Reply::status(status)));
        let mut entry = Computer::http(web.url());
        entry.probe_interval = Duration::from_millis(20);
        let computer = up([("web", entry)]).await;
        comes_true("it was asked again and again", || web.posted("ping").len() > 10).await;
        let health = computer.entry_health("web").unwrap();
        assert_eq!((health.state, health.restarts), ("ready", 0), "{status}");
        assert!(health.error.is_some_and(|error| error.contains(&status.to_string())), "{status}");
        assert_eq!(act(&computer).await.unwrap(), "done");
        assert_eq!(web.posted("initialize").len(), 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sleep_dead_servers_are_connected_anew_and_the_others_left_alone() {
    let forgotten = Arc::new(AtomicBool::new(false));
    let is_forgotten = forgotten.clone();
    let dead =
        Web::legacy(move |request| (is_forgotten.load(Ordering::SeqCst) && request.is("ping")).then_some(Reply::Never));
    let alive = Web::legacy(|_| None);
    let computer = up([("dead", Computer::http(dead.url())), ("alive", Computer::http(alive.url()))]).await;
    forgotten.store(true, Ordering::SeqCst);
    within("they are looked after", computer.woke()).await;
    assert_eq!((dead.posted("initialize").len(), alive.posted("initialize").len()), (2, 1));
    assert_eq!((alive.posted("ping").len(), computer.entry_health("alive").unwrap().restarts), (1, 0));
    assert_eq!(
        (computer.entry_health("dead").unwrap().state, computer.entry_health("dead").unwrap().restarts),
        ("ready", 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sleep_what_was_waiting_for_the_network_is_tried_at_once() {
    let mut web = Web::legacy(|_| None);
    web.down().await;
    let computer = made_of([("web", Computer::http(web.url()))]);
    within("the start", computer.start()).await.unwrap_err();
    // Longer than looking after it can take.
    let far = || computer.entry_health("web").unwrap().retry_in_ms.is_some_and(|ms| ms > 3_000);
    comes_true("its next try is far away", far).await;
    web.up();
    within("it is tried", computer.woke()).await;
    assert_eq!(computer.entry_health("web").unwrap().state, "ready");
    assert_eq!(act(&computer).await.unwrap(), "done");
}
