//! What later versions of the platform have: sessions made by their first turn, agents that work by themselves, tokens.

use std::time::Duration;

use mcp_computer::sdk::{
    AttachOptions, ClientOptions, FileReference, OctavusClient, SdkError, SessionRequest, StartOptions, TokenOptions,
    Wait,
};
use serde_json::{Map, Value, json};

use crate::support::{
    library::{Fake, within},
    platform::Platform,
    sdk::{all, bodies, call, client, events, finish, over, told, turn},
};

const START: &str = "/api/agent-sessions/start";

/// A platform that answers the first turn like this, and those of the session `s` like that.
async fn starting(first: Value, then: Value) -> Platform {
    let routes = json!([
        { "method": "POST", "path": START, "legs": first },
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": then },
    ]);
    Platform::start(&json!({ "routes": routes })).await.unwrap()
}

/// A first answer that asks for a tool, and names the session in these two places.
fn asks(header: Option<&str>, event: Option<&str>) -> Value {
    let mut start = json!({ "type": "start", "executionId": "e" });
    if let Some(id) = event {
        start["sessionId"] = json!(id);
    }
    let mut leg = told(json!([start, { "type": "tool-request", "toolCalls": [call("1", "fake__echo")] }]));
    if let Some(id) = header {
        leg["headers"] = json!({ "X-Octavus-Session-Id": id });
    }
    leg
}

fn paths(platform: &Platform) -> Vec<Value> {
    platform.requests().into_iter().map(|request| request["path"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_made_by_its_first_turn_and_goes_on_as_any_other() {
    let fake = Fake::up([]).await;
    for (header, event) in [(Some("s"), None), (None, Some("s"))] {
        let platform = starting(json!([asks(header, event)]), json!([over(), over()])).await;
        let input = Map::from_iter([("NAME".to_owned(), json!("x"))]);
        let start = StartOptions { input: Some(input), idempotency_key: Some("key".to_owned()) };
        let session = client(&platform).agent_sessions().start("a", start, AttachOptions::new()).unwrap();
        session.set_dynamic_tools(fake.computer.clone());
        assert_eq!(session.id(), "");
        events(session.execute(SessionRequest::trigger_with("go", json!({ "A": 1 })))).await;
        assert_eq!(session.id(), "s");
        events(session.execute(turn())).await;
        let trigger = "/api/agent-sessions/s/trigger";
        assert_eq!(paths(&platform), [START, trigger, trigger]);
        let [first, second, third] = bodies(&platform).try_into().unwrap();
        let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["agentId", "trigger", "input", "idempotencyKey"]);
        assert_eq!((&first["agentId"], &first["idempotencyKey"]), (&json!("a"), &json!("key")));
        let trigger = &first["trigger"];
        assert_eq!((&trigger["triggerName"], &trigger["input"]), (&json!("go"), &json!({ "A": 1 })));
        assert!(trigger["dynamicToolSchemas"].is_array() && first["input"] == json!({ "NAME": "x" }));
        assert_eq!((&second["executionId"], &second["triggerName"]), (&json!("e"), &json!("go")));
        assert!(second.get("agentId").is_none() && third.get("idempotencyKey").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_asked_for_again_is_asked_for_by_the_same_key() {
    let busy = json!({ "status": 503, "headers": { "Retry-After": "0" }, "json": { "error": "busy" } });
    let mut made = over();
    made["headers"] = json!({ "X-Octavus-Session-Id": "s" });
    let platform = starting(json!([busy, made]), json!([])).await;
    let options = ClientOptions { retries: 1, ..ClientOptions::default() };
    let client = OctavusClient::with(platform.origin(), "", options);
    let session = client.agent_sessions().start("a", StartOptions::default(), AttachOptions::new()).unwrap();
    assert_eq!(events(session.execute(turn())).await, [finish()]);
    let [first, second] = bodies(&platform).try_into().unwrap();
    assert_eq!(first, second);
    assert!(!first["idempotencyKey"].as_str().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_in_a_session_that_is_not_there() {
    let fake = Fake::up([]).await;
    let platform = starting(json!([asks(None, None)]), json!([])).await;
    let session = client(&platform).agent_sessions().start("a", StartOptions::default(), AttachOptions::new()).unwrap();
    session.set_dynamic_tools(fake.computer.clone());
    let (_, error) = all(session.execute(SessionRequest::go_on("e", Vec::<Value>::new()))).await;
    assert!(matches!(error, Some(SdkError::NoSession)), "{error:?}");
    assert_eq!(platform.count(), 0);
    let (_, error) = all(session.execute(turn())).await;
    assert!(matches!(error, Some(SdkError::NoSession)), "{error:?}");
    assert_eq!(platform.count(), 1, "results of tools are sent nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_works_by_itself_is_given_messages_and_waited_for() {
    let threads = "/api/v1/workforce/agents/a/threads";
    let status = |status: &str| json!({ "json": { "threadId": "t", "status": status } });
    let message = json!({
        "id": "m", "role": "assistant", "parts": [], "status": "done", "createdAt": "2026-01-01T00:00:00.000Z",
    });
    let thread = |status: &str| json!({ "json": { "threadId": "t", "status": status, "failureReason": null, "messages": [message], "usage": { "byok": true } } });
    let routes = json!([
        { "method": "POST", "path": threads, "legs": [status("queued")] },
        { "method": "POST", "path": format!("{threads}/t/messages"), "legs": [status("running")] },
        { "method": "GET", "path": format!("{threads}/t"), "legs": [
            thread("running"), thread("a-new-word"), thread("completed"), thread("running"),
        ] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let workforce = client(&platform).workforce();
    let begun = within("a message", workforce.dispatch("a", "do it", &[])).await.unwrap();
    assert_eq!((begun.thread_id.as_str(), begun.status.is_over()), ("t", false));
    let (id, media_type, url) = ("f".to_owned(), "text/plain".to_owned(), "http://x/f".to_owned());
    let file = FileReference { id, media_type, url, filename: None, size: None };
    within("a message", workforce.follow_up(("a", "t"), "and that", &[file])).await.unwrap();
    let wait = Wait { every: Duration::from_millis(1), ..Wait::default() };
    let done = within("the end", workforce.finished("a", "t", wait)).await.unwrap();
    assert_eq!(
        (done.status.0.as_str(), done.failure_reason, &done.other["usage"]["byok"]),
        ("completed", None, &json!(true))
    );
    assert_eq!(done.messages.unwrap()[0].id, "m");
    let impatient = Wait { at_most: Duration::ZERO, ..wait };
    let error = within("the end", workforce.finished("a", "t", impatient)).await.unwrap_err();
    assert!(matches!(error, SdkError::Unfinished { .. }) && error.to_string().contains("goes on"), "{error}");
    let [first, second] = [bodies(&platform)[0].clone(), bodies(&platform)[1].clone()];
    let files = json!([{ "id": "f", "mediaType": "text/plain", "url": "http://x/f" }]);
    assert_eq!((first, second), (json!({ "message": "do it" }), json!({ "message": "and that", "files": files })));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_and_taken_back_and_never_shown() {
    let made = json!({ "token": "oct_tok_secret", "jti": "j", "expiresAt": "2026-01-01T00:00:00Z" });
    let routes = json!([
        { "method": "POST", "path": "/api/tokens", "legs": [{ "json": made }, { "json": made }] },
        { "method": "POST", "path": "/api/tokens/revoke", "legs": [{ "json": { "revoked": true, "jti": "j" } }] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let tokens = client(&platform).tokens();
    let token = within("a token", tokens.create("a", TokenOptions::default())).await.unwrap();
    assert!(token.token == "oct_tok_secret" && !format!("{token:?}").contains("secret"), "{token:?}");
    let options = TokenOptions { session_id: Some("s".to_owned()), ttl: Some(Duration::from_secs(60)) };
    within("a token", tokens.create("a", options)).await.unwrap();
    let revoked = within("its end", tokens.revoke(&token.token)).await.unwrap();
    assert!(revoked.revoked && revoked.jti.as_deref() == Some("j"));
    let wanted = json!([
        { "agentId": "a" },
        { "agentId": "a", "sessionId": "s", "ttlSeconds": 60 },
        { "token": "oct_tok_secret" },
    ]);
    assert_eq!(json!(bodies(&platform)), wanted);
}
