//! Sessions, agents, files and workers of a platform.

use mcp_computer::{
    ToolSchema,
    sdk::{
        ClientOptions, FileUpload, Lasting, LogEntries, OctavusClient, Rollback, SdkError, SessionRequest,
        TriggerRequest, WorkerOptions,
    },
};
use serde_json::{Map, Value, json};

use crate::support::{
    library::within,
    platform::Platform,
    sdk::{asks, bodies, call, client, events, finish, gives, over, platform, route, session, told},
};

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn expired() -> Value {
    json!({ "sessionId": "s", "agentId": "a", "status": "expired", "createdAt": "2026-01-01T00:00:00Z", "messages": [] })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_says_who_asks_and_in_which_version() {
    let platform =
        route("GET", "/api/agents", json!([{ "json": { "agents": [] } }, { "json": { "agents": [] } }])).await;
    within("an answer", client(&platform).agents().list()).await.unwrap();
    let traced = ClientOptions { trace_model_requests: true, ..ClientOptions::default() };
    let bare = OctavusClient::with(&format!("{}/", platform.origin()), "", traced);
    within("an answer", bare.agents().list()).await.unwrap();
    let [with_key, traced] = platform.requests().try_into().unwrap();
    let json = "application/json";
    let headers = json!({ "content-type": json, "authorization": "Bearer oct_test", "x-octavus-sdk-version": "4" });
    assert_eq!(with_key, json!({ "method": "GET", "path": "/api/agents", "headers": headers }));
    let headers = json!({ "content-type": json, "x-octavus-sdk-version": "4", "x-octavus-trace": "true" });
    assert_eq!((&traced["headers"], &traced["path"]), (&headers, &with_key["path"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_made_with_input_or_without() {
    let made = json!({ "json": { "sessionId": "new", "other": 1 } });
    let platform = route("POST", "/api/agent-sessions", json!([made, made])).await;
    let sessions = client(&platform).agent_sessions();
    assert_eq!(within("making", sessions.create("a", None)).await.unwrap(), "new");
    within("making", sessions.create("a", Some(object(json!({ "X": null }))))).await.unwrap();
    assert_eq!(bodies(&platform), [json!({ "agentId": "a" }), json!({ "agentId": "a", "input": { "X": null } })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_expired_is_an_answer_and_no_error() {
    let platform = route(
        "GET",
        "/api/agent-sessions/s.*",
        json!([{ "json": expired() }, { "json": expired() }, { "json": expired() }]),
    )
    .await;
    let sessions = client(&platform).agent_sessions();
    let Lasting::Expired(told) = within("looking", sessions.get("s")).await.unwrap() else { panic!("it is there") };
    assert_eq!(told.agent_id, "a");
    assert!(within("reading", sessions.get_messages("s")).await.unwrap().active().is_none());
    assert!(
        within("reading", sessions.get_logs("s", LogEntries::WithoutModelRequests)).await.unwrap().active().is_none()
    );
    let paths: Vec<Value> = platform.requests().into_iter().map(|request| request["path"].clone()).collect();
    let base = "/api/agent-sessions/s";
    assert_eq!(
        json!(paths),
        json!([base, format!("{base}?format=ui"), format!("{base}/logs?excludeModelRequests=true")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_brought_back_are_what_was_read() {
    let message = |created: &str| {
        json!({
            "id": "m", "role": "assistant", "status": "done", "createdAt": created,
            "parts": [
                { "type": "step-start" },
                { "type": "tool-call", "toolCallId": "1", "toolName": "t", "args": {}, "result": null, "status": "done" },
                { "type": "worker", "workerId": "w", "workerSlug": "s", "input": { "A": 1 }, "parts": [], "status": "cancelled" },
                { "type": "from-the-future", "x": [1] },
            ],
        })
    };
    let state =
        json!({ "sessionId": "s", "agentId": "a", "messages": [message("2026-01-02T03:04:05Z")], "status": "active" });
    let routes = json!([
        { "method": "GET", "path": "/api/agent-sessions/s", "legs": [{ "json": state }] },
        { "method": "POST", "path": "/api/agent-sessions/s/restore", "legs": [{ "json": { "sessionId": "s", "restored": true } }] },
        { "method": "DELETE", "path": "/api/agent-sessions/s", "legs": [{ "json": { "sessionId": "s", "cleared": true } }] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let sessions = client(&platform).agent_sessions();
    let state = within("reading", sessions.get_messages("s")).await.unwrap().active().unwrap();
    assert!(within("bringing back", sessions.restore("s", &state.messages, None)).await.unwrap().restored);
    assert_eq!(bodies(&platform)[1], json!({ "messages": [message("2026-01-02T03:04:05.000Z")] }));
    assert!(within("clearing", sessions.clear("s")).await.unwrap().cleared);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_keeps_entries_of_unknown_types_whole() {
    let entries = json!([{ "id": "1", "timestamp": "t", "type": "from-the-future", "x": { "y": 1 } }]);
    let logs = json!({ "sessionId": "s", "entries": entries, "total": 1, "other": 2 });
    let platform = route("GET", "/api/agent-sessions/s/logs", json!([{ "json": logs }])).await;
    let logs = within("reading", client(&platform).agent_sessions().get_logs("s", LogEntries::All)).await.unwrap();
    assert_eq!(serde_json::to_value(logs).unwrap(), json!({ "sessionId": "s", "entries": entries, "total": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_messages_back_is_said_by_an_id_or_by_null() {
    let platform = platform(json!([over(), over(), over()])).await;
    let session = session(&platform, mcp_computer::sdk::AttachOptions::new());
    for rollback in [None, Some(Rollback::All), Some(Rollback::After("m".to_owned()))] {
        let request = TriggerRequest { trigger_name: "go".to_owned(), rollback, ..TriggerRequest::default() };
        events(session.execute(SessionRequest::Trigger(request))).await;
    }
    let said: Vec<Option<Value>> =
        bodies(&platform).iter().map(|body| body.get("rollbackAfterMessageId").cloned()).collect();
    assert_eq!(said, [None, Some(json!(null)), Some(json!("m"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_where_the_platform_says_and_no_key_with_it() {
    let urls = |id: &str| json!({ "id": id, "uploadUrl": format!("{{{{ORIGIN}}}}/put/{id}?sig=1"), "downloadUrl": "https://x/f" });
    let routes = json!([
        { "method": "POST", "path": "/api/files/upload-urls", "legs": [
            { "json": { "files": [urls("f1"), urls("f2")] } }, { "json": { "files": [urls("f3")] } },
            { "json": { "files": [{ "id": "f", "uploadUrl": "not absolute", "downloadUrl": "https://x/f" }] } },
            { "json": { "files": [urls("f4")] } },
        ] },
        { "method": "PUT", "path": "/put/f3", "legs": [{ "text": "" }] },
        { "method": "PUT", "path": "/put/f4", "legs": [{ "status": 403, "text": "<Error/>" }] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let files = client(&platform).files();
    let file = FileUpload { filename: "a.txt".to_owned(), media_type: "text/plain".to_owned(), size: 2 };
    let given = within("asking", files.get_upload_urls("s", &[file.clone(), file])).await.unwrap();
    assert_eq!((given.len(), given[1].id.as_str()), (2, "f2"));
    let asked = json!({ "filename": "a.txt", "mediaType": "text/plain", "size": 2 });
    assert_eq!(bodies(&platform)[0], json!({ "sessionId": "s", "files": [asked, asked] }));
    let kept = within("uploading", files.upload("s", ("b.txt", "text/plain"), b"hello".to_vec())).await.unwrap();
    let kept = serde_json::to_value(kept).unwrap();
    assert_eq!(
        kept,
        json!({ "id": "f3", "mediaType": "text/plain", "url": "https://x/f", "filename": "b.txt", "size": 5 })
    );
    let put = platform.requests()[2].clone();
    let headers = json!({ "content-type": "text/plain" });
    assert_eq!(put, json!({ "method": "PUT", "path": "/put/f3?sig=1", "headers": headers, "body": "hello" }));
    let error = within("asking", files.get_upload_urls("s", &[])).await.unwrap_err();
    assert!(matches!(error, SdkError::Answer { .. }), "{error:?}");
    let error = within("uploading", files.upload("s", ("c", "text/plain"), vec![])).await.unwrap_err();
    assert_eq!(error.as_api().map(|error| error.status), Some(403));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_listed_and_looked_at() {
    let agent = json!({
        "slug": "s", "id": "a", "name": "A", "description": null, "format": "worker", "createdAt": "c",
        "updatedAt": "u", "projectId": "p",
    });
    let definition = json!({
        "id": "a", "settings": { "slug": "s", "name": "A", "format": "interactive" }, "protocol": "text",
        "prompts": [{ "name": "n", "content": "c" }],
    });
    let routes = json!([
        { "method": "GET", "path": "/api/agents", "legs": [{ "json": { "agents": [agent] } }] },
        { "method": "GET", "path": "/api/agents/a", "legs": [{ "json": definition }] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let agents = client(&platform).agents();
    let all = within("listing", agents.list()).await.unwrap();
    assert_eq!(serde_json::to_value(all).unwrap(), json!([agent]));
    let one = within("looking", agents.get("a")).await.unwrap();
    assert_eq!(serde_json::to_value(one).unwrap(), definition);
    assert_eq!(client(&platform).agent_url("a"), format!("{}/platform/agents/a", platform.origin()));
    assert_eq!(client(&platform).session_url("s"), format!("{}/platform/sessions/s", platform.origin()));
}

const EXECUTE: &str = "/api/agents/w/execute";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_once_and_goes_on_from_there() {
    let platform = route("POST", EXECUTE, json!([asks(json!([call("1", "t")])), over(), over()])).await;
    let schema: ToolSchema =
        serde_json::from_value(json!({ "name": "t", "description": "d", "inputSchema": {} })).unwrap();
    let options = WorkerOptions::new().tool("t", gives(json!(1))).schemas(vec![schema.clone()]);
    let workers = client(&platform).workers();
    let told = events(workers.execute("w", object(json!({ "TOPIC": "x" })), options.clone())).await;
    assert_eq!(told.last(), Some(&finish()));
    events(workers.go_on("w", ("e9", vec![json!({ "toolCallId": "k", "extra": 1 })]), options)).await;
    let result = json!({ "toolCallId": "1", "toolName": "t", "result": 1 });
    assert_eq!(
        bodies(&platform),
        [
            json!({ "type": "start", "input": { "TOPIC": "x" }, "dynamicToolSchemas": [schema] }),
            json!({ "type": "continue", "executionId": "e", "toolResults": [result] }),
            json!({ "type": "continue", "executionId": "e9", "toolResults": [{ "toolCallId": "k", "extra": 1 }] }),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_gives_is_returned_with_its_session() {
    let start = json!({ "type": "start", "executionId": "e" });
    let result = json!({ "type": "worker-result", "workerId": "w1", "output": { "x": 1 } });
    let failed = json!({ "type": "worker-result", "workerId": "w1", "error": "no idea" });
    let error = json!({ "type": "error", "errorType": "provider_error", "message": "down", "retryable": true, "source": "provider" });
    let legs = json!([
        told(json!([start, result])), told(json!([result])), told(json!([failed])), told(json!([start, error])),
        told(json!([start])), { "status": 404, "json": {} },
    ]);
    let platform = route("POST", EXECUTE, legs).await;
    let workers = client(&platform).workers();
    let generate = async || within("a worker", workers.generate("w", Map::new(), WorkerOptions::new())).await;
    let output = generate().await.unwrap();
    assert_eq!((output.output, output.session_id.as_str()), (Some(json!({ "x": 1 })), "e"));
    assert_eq!(generate().await.unwrap().session_id, "w1");
    let mut told = Vec::new();
    for _ in 0..4 {
        let SdkError::Worker(error) = generate().await.unwrap_err() else { panic!("it gave something") };
        told.push((error.message, error.session_id, error.details.is_some_and(|details| details.retryable)));
    }
    let session = |id: &str| Some(id.to_owned());
    let expected = [
        ("no idea".to_owned(), session("w1"), false),
        ("down".to_owned(), session("e"), true),
        ("Worker completed without producing a result".to_owned(), session("e"), false),
        ("Failed to execute worker: Not Found".to_owned(), None, false),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_in_results_are_uploaded_and_what_cannot_be_stays() {
    let image = |data: &str| json!({ "type": "image", "data": data, "mimeType": "image/jpeg" });
    let urls = |id: &str| json!({ "id": id, "uploadUrl": format!("{{{{ORIGIN}}}}/put/{id}"), "downloadUrl": format!("https://x/{id}") });
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": [
            asks(json!([call("1", "two"), { "toolCallId": "2", "toolName": "two", "args": {}, "outputVariable": "V" }])), over(),
        ] },
        { "method": "POST", "path": "/api/files/upload-urls", "legs": [{ "json": { "files": [urls("f1"), urls("f2")] } }] },
        { "method": "PUT", "path": "/put/f1", "legs": [{ "text": "" }] },
        { "method": "PUT", "path": "/put/f2", "legs": [{ "status": 500, "text": "" }] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let both = json!(["a text", image("aGk="), image("eW91")]);
    let files = client(&platform).files();
    let options =
        mcp_computer::sdk::AttachOptions::new().tool("two", gives(both.clone())).on_tool_results(move |results| {
            let files = files.clone();
            async move { Ok(files.upload_images("s", results).await) }
        });
    let told = events(session(&platform, options).execute(SessionRequest::trigger("go"))).await;
    let put = json!({ "type": "image", "mediaType": "image/jpeg", "size": 2, "url": "https://x/f1" });
    assert_eq!(told[1]["output"], json!(["a text", put, image("eW91")]));
    assert_eq!(told[2]["output"], both, "what goes into a variable stays");
    let last = bodies(&platform).pop().unwrap();
    let name = &bodies(&platform)[1]["files"][0]["filename"];
    let kept = json!([{ "id": "f1", "mediaType": "image/jpeg", "url": "https://x/f1", "filename": name, "size": 2 }]);
    assert_eq!(last["toolResults"][0]["files"], kept);
    let name = name.as_str().unwrap();
    assert!(name.strip_prefix("image-").and_then(|rest| rest.strip_suffix(".jpg")).is_some(), "{name}");
}
