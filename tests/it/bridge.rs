//! The bridge: pages that talk to an agent over a socket (spec/server-sdk.md 1.10, 51).

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    bridge::{Bridged, Page, holds, platform, trigger},
    fake::fake,
    http_client::Ask,
    library::within,
    platform::Platform,
    procs::{assert_gone, descendants, eventually},
    program::Scratch,
    sdk::{asks, bodies, finish, over, told},
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake::<&str>([]) }))
}

fn served(platform: &Platform) -> Bridged {
    Bridged::start(&scratch(), platform, &["--no-token"])
}

fn start(id: &str) -> Value {
    json!({ "type": "start", "messageId": id, "executionId": "e" })
}

fn calls(tool: &str, arguments: &Value) -> Value {
    asks(json!([{ "toolCallId": "1", "toolName": tool, "args": arguments }]))
}

/// A leg that tells this after a moment in which its client has time to leave.
fn later(leg: &Value) -> Value {
    let chunks = leg["chunks"].as_array().unwrap().clone();
    let first = [json!({ "event": start("m") }), json!({ "pauseMs": 300 })];
    json!({ "chunks": first.into_iter().chain(chunks).collect::<Vec<_>>() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_triggers_a_turn_and_is_told_each_event_as_one_message() {
    let delta = json!({ "type": "text-delta", "id": "t", "delta": "é\n" });
    let answer = told(json!([delta, { "type": "from-the-future" }, finish()]));
    let platform = platform(json!([calls("fake__echo", &json!({ "message": "hi" })), answer])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&json!({ "type": "trigger", "triggerName": "go", "input": { "X": 1 }, "rollbackAfterMessageId": null }))
        .await;
    assert_eq!(page.frame().await.unwrap(), r#"{"type":"start","executionId":"e"}"#);
    assert_eq!(page.hears().await, json!({ "type": "tool-output-available", "toolCallId": "1", "output": "hi" }));
    assert_eq!(page.frame().await.unwrap(), r#"{"type":"text-delta","id":"t","delta":"é\n"}"#);
    assert_eq!(page.frame().await.unwrap(), r#"{"type":"finish","finishReason":"stop"}"#);
    let [made, first, second] = bodies(&platform).try_into().unwrap();
    assert_eq!(made, json!({ "agentId": "a" }));
    assert_eq!((&first["triggerName"], &first["input"]), (&json!("go"), &json!({ "X": 1 })));
    assert!(first.as_object().unwrap().contains_key("rollbackAfterMessageId"));
    let schemas = first["dynamicToolSchemas"].as_array().unwrap();
    assert!(schemas.iter().any(|schema| schema["name"] == "fake__echo"), "the first request has the tools: {first}");
    assert_eq!(second["toolResults"][0]["result"], "hi");
    assert_eq!(platform.requests()[1]["headers"]["authorization"], "Bearer oct_secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_sockjs_gets_the_frames_of_sockjs() {
    let platform = platform(json!([told(json!([start("é"), finish()]))])).await;
    let bridge = served(&platform);
    let mut info = Ask::new("GET", "/octavus/info").send(bridge.address());
    let info = info.json();
    let keys: Vec<_> = info.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["websocket", "origins", "cookie_needed", "entropy"]);
    assert_eq!(
        (&info["websocket"], &info["cookie_needed"], info["entropy"].is_u64()),
        (&json!(true), &json!(false), true)
    );
    for path in ["/octavus", "/octavus/"] {
        assert_eq!(Ask::new("GET", path).send(bridge.address()).body(), "Welcome to SockJS!\n");
    }
    let mut page = Page::open(bridge.address(), "/octavus/123/abc/websocket", &[]).await.unwrap();
    assert_eq!(page.frame().await.unwrap(), "o");
    let stop = json!({ "type": "stop" }).to_string();
    page.say(&json!([stop, trigger().to_string()])).await;
    assert_eq!(page.frame().await.unwrap(), r#"a["{\"type\":\"start\",\"messageId\":\"é\",\"executionId\":\"e\"}"]"#);
    assert_eq!(page.frame().await.unwrap(), r#"a["{\"type\":\"finish\",\"finishReason\":\"stop\"}"]"#);
    page.send(Message::text("[\"x")).await;
    assert_eq!(page.closed().await, Some(1002));
}

#[tokio::test(flavor = "multi_thread")]
async fn continue_and_stop_before_the_first_trigger_are_ignored() {
    let platform = platform(json!([over(), over()])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    let go_on = json!({ "type": "continue", "executionId": "e", "toolResults": [{ "toolCallId": "1", "result": 1 }] });
    page.say(&json!({ "type": "stop" })).await;
    page.say(&go_on).await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    assert_eq!(platform.count(), 2, "{:?}", platform.requests());
    page.say(&go_on).await;
    assert_eq!(page.hears().await, finish());
    let [.., last] = &bodies(&platform)[..] else { panic!() };
    assert_eq!((&last["executionId"], &last["toolResults"]), (&go_on["executionId"], &go_on["toolResults"]));
    assert_eq!(platform.count(), 3, "the session is made once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_not_ours_is_asked_of_the_page() {
    let platform = platform(json!([calls("geo", &json!({})), over()])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    let heard = page.hears_until("finish").await;
    assert_eq!(heard[1]["type"], "client-tool-request");
    assert_eq!(heard[1]["toolCalls"][0]["toolName"], "geo");
    assert_eq!(heard[2], json!({ "type": "finish", "finishReason": "client-tool-calls", "executionId": "e" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_uploaded_and_the_page_is_told_where_it_is() {
    let content = json!([{ "type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png" }]);
    let shown = calls("fake__answer", &json!({ "result": { "content": content } }));
    let place = json!({ "id": "f", "uploadUrl": "{{ORIGIN}}/up", "downloadUrl": "{{ORIGIN}}/down" });
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions", "legs": [{ "json": { "sessionId": "s" } }] },
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": [shown, over()] },
        { "method": "POST", "path": "/api/files/upload-urls", "legs": [{ "json": { "files": [place] } }] },
        { "method": "PUT", "path": "/up", "legs": [{ "status": 200, "text": "" }] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    let heard = page.hears_until("finish").await;
    assert_eq!(heard[1]["output"][0]["url"], format!("{}/down", platform.origin()), "{heard:?}");
    assert_eq!(bodies(&platform).last().unwrap()["toolResults"][0]["files"][0]["id"], "f");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_trigger_ends_the_turn_before() {
    let platform = platform(json!([holds(&start("first")), told(json!([start("second"), finish()]))])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, start("first"));
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, start("second"));
    assert_eq!(page.hears().await, finish());
    within("hanging up", platform.settled()).await;
    assert_eq!(platform.requests()[1]["peerClosedEarly"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_nothing_more_is_told_and_the_tool_that_runs_is_ended() {
    let platform = platform(json!([calls("fake__hang", &json!({})), over()])).await;
    let scratch = scratch();
    let bridge = Bridged::start(&scratch, &platform, &["--no-token"]);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await["type"], "start");
    let said = |tool: &str| scratch.run(["call", tool]).ok().stdout;
    let mut asked = 0;
    eventually("the tool runs", || {
        asked += 1;
        let seen: Value = serde_json::from_str(&said("fake__seen")).unwrap();
        seen["methods"]["tools/call"].as_u64() > Some(asked)
    });
    page.say(&json!({ "type": "stop" })).await;
    eventually("the tool is ended", || said("fake__cancelled").trim() != "[]");
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish(), "no end of the turn that was stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_goes_on_when_its_page_has_gone() {
    let platform = platform(json!([later(&calls("fake__echo", &json!({ "message": "hi" }))), over()])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, start("m"));
    drop(page);
    within("the turn goes on", platform.asked(3)).await;
    assert_eq!(bodies(&platform)[2]["toolResults"][0]["result"], "hi");
    within("the turn ends", platform.settled()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_connects_anew_has_a_session_of_its_own_or_the_one_that_it_names() {
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions", "legs": [{ "json": { "sessionId": "s" } }] },
        { "method": "POST", "path": "/api/agent-sessions/(s|known)/trigger", "legs": [over(), over()] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    let mut page = bridge.page().await;
    page.say(&json!({ "type": "init", "sessionId": "known" })).await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    let paths: Vec<_> =
        platform.requests().iter().map(|request| request["path"].as_str().unwrap().to_owned()).collect();
    let expected = ["/api/agent-sessions", "/api/agent-sessions/s/trigger", "/api/agent-sessions/known/trigger"];
    assert_eq!(paths, expected);
    assert!(bodies(&platform)[2]["dynamicToolSchemas"].as_array().is_some_and(|schemas| !schemas.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_an_error_and_what_is_for_somebody_else_is_left() {
    let platform = platform(json!([over()])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    for wrong in ["", "nonsense", r#"{"type":"trigger"}"#, r#"{"type":"init","sessionId":5}"#] {
        page.send(Message::text(wrong)).await;
        let error = page.hears().await;
        assert_eq!((&error["type"], &error["errorType"]), (&json!("error"), &json!("validation_error")), "{wrong}");
        assert_eq!((&error["source"], &error["retryable"]), (&json!("platform"), &json!(false)), "{wrong}");
    }
    for other in [json!({ "type": "typing-indicator" }), json!([1]), json!({})] {
        page.say(&other).await;
    }
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_refuses_is_told_and_the_bridge_lives_on() {
    let refused = |status: u16| json!({ "status": status, "json": { "error": "no" } });
    let cut = json!({ "chunks": [{ "event": start("m") }, { "destroy": true }] });
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions", "legs": [refused(401), { "json": { "sessionId": "s" } }] },
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": [refused(404), cut, over()] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    for kind in ["authentication_error", "not_found_error", "internal_error"] {
        page.say(&trigger()).await;
        let error = page.hears_until("error").await.pop().unwrap();
        assert_eq!((&error["errorType"], &error["source"]), (&json!(kind), &json!("platform")), "{error}");
    }
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    assert!(!bridge.stderr().contains("oct_secret"), "{}", bridge.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_not_there_is_told_as_an_error() {
    let platform = platform(json!([])).await;
    let bridge = served(&platform);
    drop(platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await["errorType"], "internal_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_leaves_says_so_and_ends_turns_and_tools() {
    let hangs = calls("fake__hang", &json!({}));
    let platform = platform(json!([hangs, holds(&start("m"))])).await;
    let mut bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await["type"], "start");
    let mut sock = Page::open(bridge.address(), "/octavus/1/a/websocket", &[]).await.unwrap();
    assert_eq!(sock.frame().await.unwrap(), "o");
    sock.say(&json!([trigger().to_string()])).await;
    assert!(sock.frame().await.unwrap().starts_with('a'));
    let pids = descendants(bridge.pid());
    let left = tokio::task::spawn_blocking(move || bridge.leave());
    assert_eq!(page.closed().await, Some(1001));
    assert_eq!(sock.frame().await.unwrap(), r#"c[3000,"Go away!"]"#);
    assert_eq!(sock.closed().await, Some(1001));
    assert_eq!(left.await.unwrap().code(), Some(143));
    assert_gone(&pids);
    within("hanging up", platform.settled()).await;
    assert_eq!(platform.requests()[3]["peerClosedEarly"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_when_the_platform_ends_a_turn_without_a_word() {
    let platform = platform(json!([told(json!([start("m")]))])).await;
    let bridge = served(&platform);
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await["type"], "start");
    let error = page.hears().await;
    assert_eq!((&error["type"], &error["errorType"]), (&json!("error"), &json!("internal_error")));
    assert!(error["message"].as_str().unwrap().contains("without a word"), "{error}");
}
