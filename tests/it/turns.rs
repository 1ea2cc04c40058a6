//! `maxConcurrent`: only so many calls are sent to an entry at a time, and clients have their turns one after the other.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use mcp_computer::{Answer, CallContext, Computer, Error, StdioConfig, Waiting};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    fake::fake,
    http_client::{Caller, Daemon, Reply},
    library::{Fake, cancelled_by, comes_true, raw, scripted, timed, up, within},
    program::Scratch,
    with,
};

fn one_at_a_time(mut entry: StdioConfig) -> StdioConfig {
    entry.demand.max_concurrent = Some(1);
    entry
}

/// A server that notes each call in `calls` when it comes, and answers none before there is a file `gate`.
fn noting(dir: &Path) -> StdioConfig {
    let (calls, gate) = (dir.join("calls"), dir.join("gate"));
    one_at_a_time(scripted(&format!(
        "call() {{ [[ $line =~ '\"as\":\"'([a-z0-9]+) ]]; echo ${{BASH_REMATCH[1]}} >> '{}'; \
         until [ -e '{}' ]; do sleep 0.02; done; succeed; }}",
        calls.display(),
        gate.display()
    )))
}

fn call(computer: &Computer, name: &str, client: Option<u64>) -> Waiting<Answer> {
    let context = CallContext { client, ..CallContext::default() };
    computer.call_raw("fake__act", Some(&raw(&json!({ "as": name }))), context)
}

fn noted(dir: &Path) -> Vec<String> {
    fs::read_to_string(dir.join("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_are_sent_one_after_the_other_and_a_busy_client_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let computer = up([("fake", noting(dir.path()))]).await;
    let busy = ["a1", "a2", "a3", "a4"].map(|name| call(&computer, name, Some(1)));
    let other = ["b1", "b2"].map(|name| call(&computer, name, Some(2)));
    let own = call(&computer, "c1", None);
    comes_true("the first is sent", || noted(dir.path()) == ["a1"]).await;
    fs::write(dir.path().join("gate"), "").unwrap();
    let answers = within("the answers", join_all(busy.into_iter().chain(other).chain([own]))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(noted(dir.path()), ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_taken_back_while_it_waits_never_reaches_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let computer = up([("fake", noting(dir.path()))]).await;
    let first = call(&computer, "first", None);
    let token = CancellationToken::new();
    let cancelled = computer.call_raw("fake__act", Some(&raw(&json!({ "as": "cancelled" }))), cancelled_by(&token));
    let dropped = call(&computer, "dropped", Some(7));
    let last = call(&computer, "last", None);
    drop(dropped);
    token.cancel();
    assert!(matches!(within("the cancelled one", cancelled).await, Err(Error::Cancelled)));
    fs::write(dir.path().join("gate"), "").unwrap();
    within("the first", first).await.unwrap();
    within("the last", last).await.unwrap();
    assert_eq!(noted(dir.path()), ["first", "last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_call_begins_with_its_turn() {
    let fake = Fake::of([] as [&str; 0], |entry| {
        let mut entry = one_at_a_time(entry);
        entry.call_timeout = Duration::from_millis(600);
        entry
    })
    .await;
    let calls = (0..5).map(|_| fake.call("sleep", json!({ "ms": 250 })));
    let (answers, took) = timed(join_all(calls)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(took >= Duration::from_millis(1250), "they were sent one after the other: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_when_their_entry_dies_go_to_its_successor() {
    let fake = Fake::of([] as [&str; 0], one_at_a_time).await;
    let crash = fake.call("crash", json!({}));
    let waiting = join_all((0..5).map(|_| fake.call("echo", json!({ "message": "hi" }))));
    let (crashed, answers) = tokio::join!(crash, waiting);
    assert!(matches!(crashed, Err(Error::Ended { .. })), "{crashed:?}");
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|said| said == "hi")), "{answers:?}");
    assert_eq!(fake.pids().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_when_their_entry_is_stopped_fail_at_once() {
    let fake = Fake::of([] as [&str; 0], one_at_a_time).await;
    let hanging = fake.computer.call_raw("fake__hang", None, CallContext::default());
    let waiting = fake.computer.call_raw("fake__echo", Some(&raw(&json!({ "message": "x" }))), CallContext::default());
    let stopped = within("the stop", fake.computer.stop_entry("fake"));
    let (stopped, hanging, waiting) = tokio::join!(stopped, hanging, within("the waiting one", waiting));
    stopped.unwrap();
    assert!(matches!(hanging, Err(Error::Ended { .. })), "{hanging:?}");
    assert!(matches!(&waiting, Err(Error::NotReady { state, .. }) if state == "stopped"), "{waiting:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_and_twenty_four_calls_wait_and_one_more_is_refused() {
    let fake = Fake::of([] as [&str; 0], one_at_a_time).await;
    let hanging = fake.computer.call_raw("fake__hang", None, CallContext::default());
    let echo = || fake.computer.call_raw("fake__echo", Some(&raw(&json!({ "message": "x" }))), CallContext::default());
    let waiting: Vec<_> = (0..1024).map(|_| echo()).collect();
    let refused = within("the refusal", echo()).await;
    assert!(
        matches!(&refused, Err(Error::Server { code: -32029, message, .. }) if message.contains("`fake`")),
        "{refused:?}"
    );
    drop(hanging);
    let answers = within("the answers", join_all(waiting)).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_may_are_sent_at_once_and_what_is_no_work_waits_for_nobody() {
    let fake = Fake::of([] as [&str; 0], |mut entry| {
        entry.demand.max_concurrent = Some(2);
        entry
    })
    .await;
    let hanging = fake.computer.call_raw("fake__hang", None, CallContext::default());
    assert_eq!(fake.call("echo", json!({ "message": "beside it" })).await.unwrap(), "beside it");
    let second = fake.computer.call_raw("fake__hang", None, CallContext::default());
    let mut third =
        fake.computer.call_raw("fake__echo", Some(&raw(&json!({ "message": "x" }))), CallContext::default());
    assert!((&mut third).now_or_never().is_none());
    assert!(fake.health().await.healthy, "a sign of life is none of its work");
    drop((hanging, second));
    within("the third", third).await.unwrap();
}

#[test]
fn two_clients_over_http_share_a_server_that_does_one_thing_at_a_time() {
    let entry = with(fake([] as [&str; 0]), &json!({ "maxConcurrent": 1 }));
    let daemon = Daemon::start(&Scratch::entries(json!({ "fake": entry })));
    let (mut one, mut other) = (Caller::legacy(daemon.address()), Caller::legacy(daemon.address()));
    let sleep = |caller: &mut Caller, ms: u64| {
        let (ask, _) = caller.ask("tools/call", json!({ "name": "fake__sleep", "arguments": { "ms": ms } }));
        ask.begin(daemon.address())
    };
    let begin = Instant::now();
    let streams: Vec<_> = (0..8).map(|_| sleep(&mut one, 100)).collect();
    other.call_text("fake__echo", &json!({ "message": "between" }));
    let answers = streams.into_iter().map(|stream| Reply::read(stream).messages().pop().unwrap());
    assert!(answers.into_iter().all(|answer: Value| answer["result"]["isError"] != true && answer["error"].is_null()));
    assert!(begin.elapsed() >= Duration::from_millis(800), "they were sent one after the other");
}
