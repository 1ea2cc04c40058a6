//! A platform that answers as told, and a client for it.

#![expect(clippy::needless_pass_by_value, reason = "what is written as JSON reads best where it is given")]

use futures_util::{Stream, StreamExt};
use mcp_computer::{
    ToolError, ToolHandler,
    sdk::{AgentSession, AttachOptions, ClientOptions, OctavusClient, Result, SdkError, SessionRequest, StreamEvent},
};
use serde_json::{Value, json};

use super::{library::within, platform::Platform};

/// A platform whose session `s` answers with these legs.
pub(crate) async fn platform(legs: Value) -> Platform {
    route("POST", "/api/agent-sessions/s/trigger", legs).await
}

/// A platform with one route.
pub(crate) async fn route(method: &str, path: &str, legs: Value) -> Platform {
    let routes = json!([{ "method": method, "path": path, "legs": legs }]);
    Platform::start(&json!({ "routes": routes })).await.unwrap()
}

/// A leg that tells these events and is done.
pub(crate) fn told(events: Value) -> Value {
    let events = events.as_array().unwrap().iter().map(|event| json!({ "event": event }));
    json!({ "chunks": events.chain([json!({ "done": true })]).collect::<Vec<_>>() })
}

/// A leg that begins an execution and asks for these calls.
pub(crate) fn asks(calls: Value) -> Value {
    let start = json!({ "type": "start", "executionId": "e" });
    let finish = json!({ "type": "finish", "finishReason": "tool-calls" });
    told(json!([start, { "type": "tool-request", "toolCalls": calls }, finish]))
}

/// A call without arguments.
pub(crate) fn call(id: &str, tool: &str) -> Value {
    json!({ "toolCallId": id, "toolName": tool, "args": {} })
}

/// A leg that says that the turn is over.
pub(crate) fn over() -> Value {
    told(json!([finish()]))
}

/// The event of a turn that is over.
pub(crate) fn finish() -> Value {
    json!({ "type": "finish", "finishReason": "stop" })
}

/// A client that has a key.
pub(crate) fn client(platform: &Platform) -> OctavusClient {
    OctavusClient::new(platform.origin(), "oct_test")
}

/// Its session `s`.
pub(crate) fn session(platform: &Platform, options: AttachOptions) -> AgentSession {
    client(platform).agent_sessions().attach("s", options).unwrap()
}

/// Its session `s`, of a client with options.
pub(crate) fn session_of(platform: &Platform, options: ClientOptions) -> AgentSession {
    let client = OctavusClient::with(platform.origin(), "", options);
    client.agent_sessions().attach("s", AttachOptions::new()).unwrap()
}

/// A turn without input.
pub(crate) fn turn() -> SessionRequest {
    SessionRequest::trigger("go")
}

/// All events of a turn as JSON, and the error that it ended with.
pub(crate) async fn all(events: impl Stream<Item = Result<StreamEvent>>) -> (Vec<Value>, Option<SdkError>) {
    let told: Vec<_> = within("the turn", events.collect::<Vec<_>>()).await;
    let (mut events, mut error) = (Vec::new(), None);
    for event in told {
        match event {
            Ok(event) => events.push(serde_json::to_value(event).unwrap()),
            Err(failure) => error = Some(failure),
        }
    }
    (events, error)
}

/// All events of a turn that does not fail.
pub(crate) async fn events(events: impl Stream<Item = Result<StreamEvent>>) -> Vec<Value> {
    let (events, error) = all(events).await;
    assert!(error.is_none(), "{error:?}");
    events
}

/// A handler that gives a value.
pub(crate) fn gives(value: Value) -> ToolHandler {
    ToolHandler::new(move |_| {
        let value = value.clone();
        async move { Ok(value) }
    })
}

/// A handler that fails.
pub(crate) fn fails(message: &'static str) -> ToolHandler {
    ToolHandler::new(move |_| async move { Err(ToolError::new(message)) })
}

/// The bodies of all requests.
pub(crate) fn bodies(platform: &Platform) -> Vec<Value> {
    platform.requests().into_iter().map(|request| request["body"].clone()).collect()
}
