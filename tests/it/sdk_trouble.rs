//! Platforms that refuse, stall, cut, or say what nobody understands: a typed error each, and nothing hangs.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mcp_computer::sdk::{AttachOptions, ClientOptions, OctavusClient, SdkError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    library::within,
    sdk::{
        all, asks, bodies, call, client, events, finish, gives, over, platform, route, session, session_of, told, turn,
    },
};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_refuses_is_one_typed_event() {
    for (leg, kind, message, retryable) in [
        (json!({ "status": 401, "json": { "error": "who?" } }), "authentication_error", "who?", false),
        (json!({ "status": 404, "json": { "error": "none", "code": "NOT_FOUND" } }), "not_found_error", "none", false),
        (json!({ "status": 409, "json": { "error": "busy", "code": "SESSION_BUSY" } }), "unknown_error", "busy", false),
        (json!({ "status": 413, "text": "no" }), "unknown_error", "Failed to trigger: Payload Too Large", false),
        (
            json!({ "status": 429, "json": { "message": "slow" }, "headers": { "retry-after": "3" } }),
            "rate_limit_error",
            "slow",
            true,
        ),
        (
            json!({ "status": 500, "statusText": "Out To Lunch" }),
            "internal_error",
            "Failed to trigger: Out To Lunch",
            true,
        ),
        (
            json!({ "status": 302, "headers": { "location": "http://127.0.0.1:1/" }, "text": "" }),
            "unknown_error",
            "Failed to trigger: Found",
            false,
        ),
    ] {
        let platform = platform(json!([leg])).await;
        let told = events(session(&platform, AttachOptions::new()).execute(turn())).await;
        let expected = json!({ "type": "error", "errorType": kind, "message": message, "retryable": retryable, "source": "platform" });
        assert_eq!(told, [expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_outside_of_turns_is_an_error_with_its_status() {
    let refusals = json!([
        { "status": 404, "json": { "error": "Session not found", "code": "NOT_FOUND" } },
        { "status": 400, "json": { "error": { "code": "VALIDATION_ERROR", "message": "nested" } } },
        { "status": 503, "text": "<html>" },
        { "status": 429, "json": {}, "headers": { "retry-after": "7" } },
    ]);
    let platform = route("GET", "/api/agent-sessions/x%2Fy", refusals).await;
    let sessions = client(&platform).agent_sessions();
    let mut told = Vec::new();
    for _ in 0..4 {
        let error = within("an answer", sessions.get("x/y")).await.unwrap_err();
        let error = error.as_api().unwrap().clone();
        told.push((error.status, error.message, error.code, error.retry_after.map(|wait| wait.as_secs())));
    }
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        (404, "Session not found".to_owned(), text("NOT_FOUND"), None),
        (400, "nested".to_owned(), text("VALIDATION_ERROR"), None),
        (503, "Request failed: Service Unavailable".to_owned(), None, None),
        (429, "Request failed: Too Many Requests".to_owned(), None, Some(7)),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_shape_is_no_refusal_but_an_error() {
    let platform = route("POST", "/api/agent-sessions", json!([{ "json": { "id": "s" } }, { "text": "<html>" }])).await;
    for _ in 0..2 {
        let error = within("an answer", client(&platform).agent_sessions().create("a", None)).await.unwrap_err();
        assert!(matches!(error, SdkError::Answer { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_not_there_is_an_error_that_shows_no_key() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/with/secret", listener.local_addr().unwrap());
    drop(listener);
    let sessions = OctavusClient::new(&url, "oct_key").agent_sessions();
    let (told, error) = all(sessions.attach("s", AttachOptions::new()).unwrap().execute(turn())).await;
    let error = error.unwrap();
    assert!(told.is_empty() && matches!(error, SdkError::Transport { .. }), "{error:?}");
    assert!(!format!("{error:?}{error}").contains("oct_key"));
    let error = within("an answer", sessions.get("s")).await.unwrap_err();
    assert!(matches!(error, SdkError::Transport { .. }), "{error:?}");
    let error = OctavusClient::new("octavus.ai", "").agents().list().await.unwrap_err();
    assert!(error.to_string().contains("begin with http"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_cuts_a_stream_is_an_error_after_what_it_has_told() {
    let start = json!({ "type": "start", "messageId": "m" });
    let cut = json!({ "chunks": [{ "event": start }, { "raw": "data: {\"type\":\"fin" }, { "destroy": true }] });
    let platform = platform(json!([cut, { "head": { "destroy": true } }])).await;
    let (told, error) = all(session(&platform, AttachOptions::new()).execute(turn())).await;
    assert_eq!(told, [start]);
    assert!(matches!(error, Some(SdkError::Transport { .. })), "{error:?}");
    let (told, error) = all(session(&platform, AttachOptions::new()).execute(turn())).await;
    assert!(told.is_empty() && matches!(error, Some(SdkError::Transport { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_left_out() {
    let chunks = json!([
        { "raw": "data: {\"type\":\"text-delta\",\"id\":\"t\"}\ndata: \u{0}\n\n" },
        { "b64": "ZGF0YTog//79Cg==" },
        { "raw": format!("data: {}\n", "[".repeat(100_000)) },
        { "event": finish() },
    ]);
    let platform = platform(json!([{ "chunks": chunks }])).await;
    assert_eq!(events(session(&platform, AttachOptions::new()).execute(turn())).await, [finish()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_events_are_told_in_the_words_of_the_platform_alone() {
    let unknown = json!({ "type": "usage", "cost": { "totalFee": 1 } });
    let start = json!({ "type": "start", "messageId": "m", "futureField": 1 });
    let leg = told(json!([start, unknown, finish()]));
    let platform = platform(json!([leg, leg])).await;
    let session = session(&platform, AttachOptions::new());
    assert_eq!(events(session.execute(turn())).await, [json!({ "type": "start", "messageId": "m" }), finish()]);
    let raw: Vec<Value> = within("the turn", session.execute_raw(turn()).map(Result::unwrap).collect::<Vec<_>>()).await;
    assert_eq!(raw, [start, unknown, finish()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_stalls_is_given_up_where_that_was_asked_for() {
    let start = json!({ "type": "start", "messageId": "m" });
    let stalls = json!({ "chunks": [{ "event": start }, { "hold": true }] });
    let beats = json!({ "chunks": [
        { "pauseMs": 120 }, { "raw": ": heartbeat\n\n" }, { "pauseMs": 120 }, { "event": finish() },
    ] });
    let platform = platform(json!([stalls, { "head": { "hold": true } }, beats])).await;
    let options = ClientOptions { idle_timeout: Some(SHORT), ..ClientOptions::default() };
    let session = session_of(&platform, options);
    let (told, error) = all(session.execute(turn())).await;
    assert_eq!(told, [start]);
    assert!(matches!(error, Some(SdkError::Stalled { .. })), "{error:?}");
    let (told, error) = all(session.execute(turn())).await;
    assert!(told.is_empty() && matches!(error, Some(SdkError::Stalled { .. })), "{error:?}");
    assert_eq!(events(session.execute(turn())).await, [finish()], "a heartbeat is a sign of life");
    within("the end of all requests", platform.settled()).await;
    assert_eq!(platform.requests()[0]["peerClosedEarly"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_has_said_all_and_keeps_the_line_open_is_done() {
    let ends = json!({ "chunks": [{ "event": finish() }, { "hold": true }] });
    let call = json!({ "toolCallId": "1", "toolName": "t", "args": {} });
    let asks = json!({ "chunks": [
        { "event": { "type": "start", "executionId": "e" } },
        { "event": { "type": "tool-request", "toolCalls": [call] } },
        { "event": { "type": "finish", "finishReason": "tool-calls" } },
        { "hold": true },
    ] });
    let platform = platform(json!([ends, asks])).await;
    let options = ClientOptions { idle_timeout: Some(SHORT), ..ClientOptions::default() };
    let session = session_of(&platform, options);
    assert_eq!(events(session.execute(turn())).await, [finish()]);
    let told = events(session.execute(turn())).await;
    assert_eq!(told.last().unwrap()["finishReason"], "client-tool-calls", "what it has asked for is seen to");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_where_that_was_asked_for() {
    let soon =
        |status: u16| json!({ "status": status, "json": { "error": "soon" }, "headers": { "retry-after": "0" } });
    let platform = platform(json!([soon(429), soon(503), over(), soon(500), soon(503), soon(503), soon(504)])).await;
    let session = session_of(&platform, ClientOptions { retries: 2, ..ClientOptions::default() });
    assert_eq!(events(session.execute(turn())).await, [finish()]);
    assert_eq!(platform.count(), 3);
    let told = events(session.execute(turn())).await;
    assert_eq!((platform.count(), &told[0]["errorType"]), (4, &json!("internal_error")), "500 does not pass");
    let told = events(session.execute(turn())).await;
    assert_eq!((platform.count(), &told[0]["errorType"]), (7, &json!("provider_timeout")), "twice again is enough");
    assert!(bodies(&platform).iter().all(|body| *body == json!({ "triggerName": "go" })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_between_tries_ends_with_the_turn() {
    let platform = platform(json!([{ "status": 503, "json": {}, "headers": { "retry-after": "5" } }])).await;
    let session = session_of(&platform, ClientOptions { retries: 1, ..ClientOptions::default() });
    let cancel = CancellationToken::new();
    let began = Instant::now();
    let stop = async {
        platform.asked(1).await;
        platform.settled().await;
        cancel.cancel();
    };
    let (told, ()) = tokio::join!(events(session.execute_until(turn(), cancel.clone())), stop);
    assert_eq!(told, [finish()]);
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_cut_where_that_was_asked_for() {
    let platform = platform(json!([asks(json!([call("1", "long"), call("2", "short")])), over()])).await;
    let options = ClientOptions { max_request: Some(100_000), ..ClientOptions::default() };
    let client = OctavusClient::with(platform.origin(), "", options);
    let (long, short) = (json!("x".repeat(200_000)), json!("fine"));
    let tools = AttachOptions::new().tool("long", gives(long.clone())).tool("short", gives(short.clone()));
    let told = events(client.agent_sessions().attach("s", tools).unwrap().execute(turn())).await;
    assert_eq!(told[1]["output"], long, "what is told is whole");
    let results = &bodies(&platform)[1]["toolResults"];
    assert!(results[0]["result"].as_str().unwrap().len() < 20_000);
    assert_eq!(results[1]["result"], short);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_turn_hangs_up() {
    let start = json!({ "type": "start", "messageId": "m" });
    let platform = platform(json!([{ "chunks": [{ "event": start }, { "hold": true }] }])).await;
    let mut turn = session(&platform, AttachOptions::new()).execute(turn());
    within("an event", turn.next()).await.unwrap().unwrap();
    drop(turn);
    within("hanging up", platform.settled()).await;
    assert_eq!(platform.requests()[0]["peerClosedEarly"], true);
}
