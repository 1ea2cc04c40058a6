//! An entry that ends by itself (spec/computer.md 12–13), in this process.

use futures_util::future::join_all;
use mcp_computer::{CallContext, Computer, Error, Event, ToolProvider};
use serde_json::{Map, json};

use crate::support::{
    hostile::assert_says,
    library::{
        Fake, bash, brought_back, comes_true, gated, health_of, names, never_restarted, open_gate, scripted, sent,
        server, told, told_so_far, up, within,
    },
    procs::{alive, assert_gone, pids_in, signal},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_in_flight_fails_with_the_servers_last_words() {
    let fake = Fake::up([]).await;
    let mut calls: Vec<_> = (0..5).map(|_| sent(&fake.computer, "fake__hang", CallContext::default())).collect();
    calls.push(sent(&fake.computer, "fake__crash", CallContext::default()));
    for outcome in within("all fail", join_all(calls)).await {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Ended { stderr, .. } if stderr.contains("about to crash")), "{error:?}");
        assert!(error.is_retryable() && error.to_string().contains("SIGABRT"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_during_the_restart_waits_and_succeeds() {
    let fake = Fake::up([]).await;
    let mut events = fake.computer.events();
    fake.call("crash", json!({})).await.unwrap_err();
    told(&mut events, "fake", "waiting").await;
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
    assert_eq!(fake.pids().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_right_after_a_crash_waits_too() {
    let computer = up((0..8).map(|n| (format!("e{n}"), server::<&str>([])))).await;
    let each = (0..8).map(|n| {
        let computer = computer.clone();
        async move {
            computer.call(&format!("e{n}__crash"), &json!({})).await.unwrap_err();
            // Nobody may have noticed yet but whoever waited for an answer.
            computer.call(&format!("e{n}__echo"), &json!({ "message": "back" })).await
        }
    });
    for outcome in within("all of them", join_all(each)).await {
        assert_eq!(outcome.unwrap(), "back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_does_not_change_while_a_crashed_entry_is_brought_back() {
    let fake = Fake::up([]).await;
    let before = names(&fake.computer);
    let mut events = fake.computer.events();
    fake.kill();
    told(&mut events, "fake", "waiting").await;
    assert_eq!(names(&fake.computer), before);
    told(&mut events, "fake", "ready").await;
    fake.call("echo", json!({ "message": "x" })).await.unwrap();
    assert_eq!(names(&fake.computer), before);
    let changes: Vec<Event> =
        told_so_far(&mut events).into_iter().filter(|event| matches!(event, Event::ToolsChanged { .. })).collect();
    assert_eq!(changes, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_from_before_reaches_the_entry_after() {
    let fake = Fake::up([]).await;
    let handler = fake.computer.tool_handlers()["fake__pid"].clone();
    let first = within("a call", handler.call(Map::new())).await.unwrap();
    fake.kill();
    comes_true("another one runs", || fake.pids().len() == 2).await;
    let second = within("a call", handler.call(Map::new())).await.unwrap();
    assert_eq!((first, second), (json!(fake.pids()[0]), json!(fake.pids()[1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_call_is_sent_once_more() {
    let fake = Fake::up([]).await;
    let marker = fake.path("marker");
    assert_eq!(fake.call("read_only_crash", json!({ "marker": marker })).await.unwrap(), "survived");
    assert_eq!(fake.pids().len(), 2);
}

/// How often a call arrives whose server dies of it each time.
async fn times_sent(hint: &str, deaths: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("calls");
    let list = format!(r#"list() {{ answer "{{\"tools\":[$(tool act '{hint}')]}}"; }}"#);
    let entry = scripted(&format!("{list}\ncall() {{ echo call >> '{}'; exit 3; }}\n", log.display()));
    let computer = up([("fake", entry)]).await;
    let mut events = computer.events();
    let error = within("a call", computer.call("fake__act", &json!({}))).await.unwrap_err();
    assert!(matches!(&error, Error::Ended { how, .. } if how.contains("status 3")), "{error:?}");
    for _ in 0..deaths {
        brought_back(&mut events, "fake").await;
    }
    std::fs::read_to_string(&log).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_may_change_something_is_never_sent_twice() {
    assert_eq!(times_sent("", 1).await, 1);
    assert_eq!(times_sent(r#""annotations":{"readOnlyHint":false,"idempotentHint":false}"#, 1).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_changes_nothing_is_sent_twice_at_most() {
    assert_eq!(times_sent(r#""annotations":{"readOnlyHint":true}"#, 2).await, 2);
    assert_eq!(times_sent(r#""annotations":{"idempotentHint":true}"#, 2).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_entry_that_does_not_come_back_fails_as_one_to_try_again() {
    let dir = tempfile::tempdir().unwrap();
    open_gate(dir.path());
    let computer = up([("fake", gated(dir.path()))]).await;
    std::fs::remove_file(dir.path().join("gate")).unwrap();
    signal(pids_in(&dir.path().join("pids"))[0], nix::sys::signal::Signal::SIGKILL);
    let mut events = computer.events();
    told(&mut events, "fake", "waiting").await;
    let error = within("a call", computer.call("fake__echo", &json!({ "message": "x" }))).await.unwrap_err();
    let Error::NotReady { namespace, state, reason, .. } = &error else { panic!("{error:?}") };
    assert!(namespace == "fake" && (state == "waiting" || state == "starting"), "{error:?}");
    assert!(error.is_retryable() && reason.as_ref().is_some_and(|why| why.contains("the gate is shut")), "{error}");
    assert_says(&error.to_string(), &["entry `fake`", "the call has waited 10 s for it", "call again"]);
    assert!(state == "starting" || error.to_string().contains("it is tried again in "), "{error}");
    assert!(names(&computer).contains(&"fake__echo".to_owned()), "it is being brought back still");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_died_remembers_why_when_it_is_back() {
    let fake = Fake::up([]).await;
    let mut events = fake.computer.events();
    fake.call("crash", json!({})).await.unwrap_err();
    let error = told(&mut events, "fake", "waiting").await;
    assert!(error.is_some_and(|error| error.contains("about to crash")));
    told(&mut events, "fake", "ready").await;
    let health = fake.health().await;
    assert_eq!((health.healthy, health.restarts, health.error.as_ref()), (true, 1, None));
    assert!(health.last_error.is_some_and(|error| error.contains("about to crash")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_closes_its_output_has_ended() {
    let entry = scripted("call() { exec >&- 2>&-; while read -r line; do :; done; }");
    let computer = up([("fake", entry)]).await;
    let mut events = computer.events();
    let error = within("a call", computer.call("fake__act", &json!({}))).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
    brought_back(&mut events, "fake").await;
    assert_eq!(health_of(&computer, "fake").await.restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_server_counts_though_a_child_holds_its_pipes() {
    let fake = Fake::up([]).await;
    let mut orphans = fake.orphans().await;
    let mut events = fake.computer.events();
    fake.kill();
    brought_back(&mut events, "fake").await;
    orphans.push(fake.pids()[0]);
    assert_gone(&orphans);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_shall_not_be_brought_back_has_failed() {
    let fake = Fake::of([], never_restarted).await;
    let mut events = fake.computer.events();
    fake.kill();
    let error = told(&mut events, "fake", "failed").await;
    assert!(error.is_some_and(|error| error.contains("SIGKILL")));
    assert!(matches!(fake.call("echo", json!({})).await, Err(Error::NotReady { .. })));
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_a_removed_entry_fails_with_a_word() {
    let fake = Fake::up([]).await;
    let handler = fake.computer.tool_handlers()["fake__echo"].clone();
    within("removing", fake.computer.remove_entry("fake")).await;
    let error = fake.call("echo", json!({})).await.unwrap_err();
    assert!(matches!(error, Error::UnknownTool { .. } | Error::NotReady { .. }), "{error:?}");
    assert_eq!(handler.call(Map::new()).await.unwrap_err().message, error.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_fail_when_their_entry_is_removed_stopped_or_restarted() {
    let ends = async |end: fn(Computer) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let fake = Fake::up([]).await;
        let hanging = fake.hanging(CallContext::default()).await;
        within("its end", end(fake.computer.clone())).await;
        let error = within("the call", hanging).await.unwrap_err();
        assert!(matches!(error, Error::Ended { .. }), "{error:?}");
    };
    ends(|computer| Box::pin(async move { computer.remove_entry("fake").await })).await;
    ends(|computer| Box::pin(async move { computer.stop_entry("fake").await.unwrap() })).await;
    ends(|computer| Box::pin(async move { drop(computer.restart_entry("fake").await) })).await;
    ends(|computer| Box::pin(async move { computer.stop().await })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_came_before_the_end_counts() {
    let entry = scripted("call() { succeed; exit 0; }");
    let computer = up([("fake", entry)]).await;
    assert_eq!(within("a call", computer.call("fake__act", &json!({}))).await.unwrap(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_nothing_to_the_others() {
    let computer = up([("a", bash("exec \"$0\"")), ("b", bash("exec \"$0\""))]).await;
    let other = computer.call("b__pid", &json!({})).await.unwrap();
    let hanging = sent(&computer, "b__sleep", CallContext::default());
    within("a call", computer.call("a__crash", &json!({}))).await.unwrap_err();
    assert_eq!(within("a call", hanging).await.unwrap().to_handler_value(), "slept");
    assert_eq!(computer.call("b__pid", &json!({})).await.unwrap(), other);
    assert!(alive(i32::try_from(other.as_i64().unwrap()).unwrap()));
}
