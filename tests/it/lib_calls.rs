//! Calls: values, clocks, progress, cancellation (spec/computer.md 22–24), in this process.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use mcp_computer::{CallContext, Error, Sink, StdioConfig};
use serde_json::{Value, json, value::RawValue};
use tokio_util::sync::CancellationToken;

use crate::support::{
    fake::UNKNOWN_FIELDS,
    library::{Fake, cancelled_by, made_of, raw, scripted, sent, server, told, up, within},
};

/// A sink, and what has come into it.
fn sink() -> (Sink, Arc<Mutex<Vec<Value>>>) {
    let came = Arc::new(Mutex::new(Vec::new()));
    let into = came.clone();
    let sink: Sink = Arc::new(move |params: &RawValue| into.lock().unwrap().push(value(params.get())));
    (sink, came)
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// A server with clocks of so many milliseconds for a call without progress, and for a whole call.
fn clocks(entry: StdioConfig, (idle, total): (u64, u64)) -> StdioConfig {
    StdioConfig { call_timeout: Duration::from_millis(idle), max_call_time: Duration::from_millis(total), ..entry }
}

/// A server that gives a sign of progress every 0.2 s, so many times.
fn ticking(times: u32) -> StdioConfig {
    let tick = r#"notify progress "{\"progressToken\":$id,\"progress\":$n}"; sleep 0.2"#;
    scripted(&format!("call() {{ for ((n = 1; n <= {times}; n++)); do {tick}; done; succeed; }}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_what_the_tool_said_without_its_packing() {
    let fake = Fake::up([]).await;
    let text = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
    let image = json!({ "type": "image", "data": "AA==", "mimeType": "image/png" });
    let mixed = json!({ "content": [{ "type": "text", "text": "see" }, image] });
    let structured = json!({ "content": [], "structuredContent": { "b": 1, "a": [] } });
    for (result, expected) in [
        (text("hello"), json!("hello")),
        (text("42"), json!(42)),
        (text("007"), json!("007")),
        (text("true"), json!("true")),
        (text(r#"{"a":[1]}"#), json!({ "a": [1] })),
        (structured, json!({ "b": 1, "a": [] })),
        (json!({ "content": [], "structuredContent": null }), json!({ "success": true })),
        (json!({}), json!({ "success": true })),
        (mixed, json!(["see", image])),
    ] {
        assert_eq!(fake.call("answer", json!({ "result": result })).await.unwrap(), expected, "{result}");
    }
    assert_eq!(fake.call("is_error", json!({})).await.unwrap(), json!({ "error": "it went wrong" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_result_is_there_byte_for_byte() {
    let fake = Fake::up([]).await;
    let answer = within("a call", sent(&fake.computer, "fake__unknown_fields", CallContext::default())).await;
    assert_eq!(answer.unwrap().get(), UNKNOWN_FIELDS.trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_reach_the_server_as_they_were_written() {
    let fake = Fake::up([]).await;
    let arguments = "{ \"z\" : 1.50,\n\"big\":12345678901234567890123 , \"a\":\"\\u00e9\" }";
    let arguments = RawValue::from_string(arguments.to_owned()).unwrap();
    let call = fake.computer.call_raw("fake__params", Some(&arguments), CallContext::default());
    let text = within("a call", call).await.unwrap().to_value()["content"][0]["text"].as_str().unwrap().to_owned();
    let params = value(&text);
    assert_eq!(params["name"], "params", "the namespace is ours");
    assert_eq!(params["arguments"], value(arguments.get()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_server_is_told_whole() {
    let error = Fake::up([]).await.call("error", json!({})).await.unwrap_err();
    let data = Some(r#"{"from":"fake"}"#.to_owned());
    assert_eq!(error, Error::Server { code: -32050, message: "told to fail".into(), data });
    assert!(!error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tool_is_told_with_what_is_near() {
    let error = Fake::up([]).await.call("ecko", json!({})).await.unwrap_err();
    let Error::UnknownTool { name, nearest } = &error else { panic!("{error:?}") };
    assert_eq!((name.as_str(), nearest[0].as_str()), ("fake__ecko", "fake__echo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_must_be_an_object_or_nothing() {
    let fake = Fake::up([]).await;
    for arguments in [json!([]), json!("x"), json!(1), json!(true)] {
        let error = fake.call("echo", arguments.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Arguments { .. }), "{arguments}: {error:?}");
        let call = fake.computer.call_raw("fake__echo", Some(&raw(&arguments)), CallContext::default());
        assert!(matches!(call.await, Err(Error::Arguments { .. })), "{arguments}");
    }
    assert_eq!(fake.call("echo", Value::Null).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_before_the_start_says_so() {
    let computer = made_of([("fake", server::<&str>([]))]);
    let error = computer.call("fake__echo", &json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::NotReady { state, .. } if state == "idle"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_comes_in_order_and_before_the_answer() {
    for version in ["2025-11-25", "2026-07-28"] {
        let fake = Fake::up(["--version", version]).await;
        let (progress, came) = sink();
        let context = CallContext { progress: Some(progress), ..CallContext::default() };
        let steps = raw(&json!({ "steps": 200 }));
        within("a call", fake.computer.call_raw("fake__progress", Some(&steps), context)).await.unwrap();
        let came = came.lock().unwrap();
        let steps: Vec<u64> = came.iter().map(|params| params["progress"].as_u64().unwrap()).collect();
        assert_eq!(steps, (1..=200).collect::<Vec<u64>>(), "{version}");
        assert!(came.iter().all(|params| params["x-own"] == true && params["total"] == 200), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_goes_to_the_call_that_it_belongs_to() {
    let fake = Fake::up([]).await;
    let calls = (1..=20_usize).map(|steps| {
        let (progress, came) = sink();
        let context = CallContext { progress: Some(progress), ..CallContext::default() };
        let call = fake.computer.call_raw("fake__progress", Some(&raw(&json!({ "steps": steps }))), context);
        async move {
            call.await.unwrap();
            assert_eq!(came.lock().unwrap().len(), steps);
        }
    });
    within("all of them", join_all(calls.collect::<Vec<_>>())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_messages_reach_whoever_calls() {
    let fake = Fake::up([]).await;
    let (log, came) = sink();
    let context = CallContext { log: Some(log), ..CallContext::default() };
    let count = raw(&json!({ "count": 3 }));
    within("a call", fake.computer.call_raw("fake__log", Some(&count), context)).await.unwrap();
    let expected: Vec<Value> = (1..=3).map(|n| json!({ "level": "info", "data": n })).collect();
    assert_eq!(*came.lock().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_taken_back_ends_at_once_and_the_server_is_told() {
    for version in ["2025-11-25", "2026-07-28"] {
        let fake = Fake::up(["--version", version]).await;
        let token = CancellationToken::new();
        let hanging = fake.hanging(cancelled_by(&token)).await;
        let other = sent(&fake.computer, "fake__sleep", CallContext::default());
        token.cancel();
        assert_eq!(within("the call", hanging).await.unwrap_err(), Error::Cancelled);
        fake.has_seen_cancelled(1).await;
        assert_eq!(within("the other one", other).await.unwrap().to_handler_value(), "slept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_is_taken_back() {
    let fake = Fake::up([]).await;
    let hanging: Vec<_> = (0..3).map(|_| sent(&fake.computer, "fake__hang", CallContext::default())).collect();
    fake.call("echo", json!({ "message": "x" })).await.unwrap();
    assert_eq!(fake.call("cancelled", json!({})).await.unwrap(), json!([]));
    drop(hanging);
    fake.has_seen_cancelled(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_answered_is_not_taken_back() {
    let fake = Fake::up([]).await;
    let token = CancellationToken::new();
    let call = sent(&fake.computer, "fake__echo", cancelled_by(&token));
    within("a call", call).await.unwrap();
    token.cancel();
    fake.call("echo", json!({ "message": "x" })).await.unwrap();
    assert_eq!(fake.call("cancelled", json!({})).await.unwrap(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_sign_of_life_is_given_up_and_the_server_is_told() {
    let fake = Fake::of([], |entry| clocks(entry, (600, 60_000))).await;
    let error = fake.call("hang", json!({})).await.unwrap_err();
    let Error::Timeout { after, silent, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*after, *silent), (Duration::from_millis(600), true));
    assert!(error.to_string().contains("`hang`") && error.to_string().contains("callTimeout"), "{error}");
    fake.has_seen_cancelled(1).await;
    assert_eq!((fake.health().await.healthy, fake.pids().len()), (true, 1), "the server goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_keeps_a_call_alive_though_nobody_listens_to_it() {
    let computer = up([("fake", clocks(ticking(15), (1_500, 60_000)))]).await;
    assert_eq!(within("a call", computer.call("fake__act", &json!({}))).await.unwrap(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_does_not_keep_a_call_alive_for_ever() {
    let computer = up([("fake", clocks(ticking(1_000), (60_000, 1_200)))]).await;
    let error = within("a call", computer.call("fake__act", &json!({}))).await.unwrap_err();
    let Error::Timeout { after, silent, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*after, *silent), (Duration::from_millis(1_200), false));
    assert!(error.to_string().contains("maxCallTime"), "{error}");
    computer.stop_within(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_that_hang_do_not_hinder_the_others() {
    let fake = Fake::of([], |entry| clocks(entry, (5_000, 60_000))).await;
    let hanging: Vec<_> = (0..100).map(|_| sent(&fake.computer, "fake__hang", CallContext::default())).collect();
    for n in 0..20 {
        assert_eq!(fake.call("echo", json!({ "message": format!("m{n}") })).await.unwrap(), format!("m{n}"));
    }
    for outcome in within("they are given up", join_all(hanging)).await {
        assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
    }
    fake.has_seen_cancelled(100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_calls_at_once_gets_its_own_answer() {
    let fake = Fake::up([]).await;
    let calls = join_all((0..500).map(|n| fake.call("echo", json!({ "message": format!("m{n}") }))));
    for (n, outcome) in within("all of them", calls).await.into_iter().enumerate() {
        assert_eq!(outcome.unwrap(), format!("m{n}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_fails_its_call_alone() {
    let fake = Fake::of([], |entry| StdioConfig { max_message: 1 << 20, ..entry }).await;
    let error = fake.call("big", json!({ "bytes": 2 << 20 })).await.unwrap_err();
    assert_eq!(error, Error::TooLarge { limit: 1 << 20 });
    assert_eq!(fake.call("echo", json!({ "message": "x" })).await.unwrap(), "x");
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_answers_in_a_row_that_are_too_large_end_the_connection() {
    let fake = Fake::of([], |entry| StdioConfig { max_message: 1 << 16, ..entry }).await;
    let mut events = fake.computer.events();
    for _ in 0..3 {
        fake.call("big", json!({ "bytes": 1 << 20 })).await.unwrap_err();
    }
    told(&mut events, "fake", "waiting").await;
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
    assert_eq!(fake.pids().len(), 2);
}
