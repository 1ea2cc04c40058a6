//! Recordings of the platform's own SDK, played with ours, and with that one itself where npm has it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{
    fake::example,
    library::within,
    platform::Platform,
    program::{run, text},
    real,
};

fn recordings() -> Vec<PathBuf> {
    let all = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sdk")).unwrap();
    let mut all: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    assert_eq!(all.len(), 34);
    all
}

fn name(recording: &Path) -> &str {
    recording.file_stem().unwrap().to_str().unwrap()
}

fn read(recording: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(recording).unwrap()).unwrap()
}

/// What was recorded, but for accidents of the other client's: then it is what must come instead.
fn expected(recording: &Path) -> Value {
    let mut all = read(recording);
    let fields = ["steps", "requests", "handlerCalls", "resourceUpdates", "hookCalls"];
    all.as_object_mut().unwrap().retain(|key, _| fields.contains(&key.as_str()));
    let mut none = json!(null);
    let events = all["steps"][1].get_mut("events").unwrap_or(&mut none);
    match name(recording) {
        // An error without words is one, and a handler here always gives something.
        "06_handler_throws" => {
            events[3] = json!({ "type": "tool-output-error", "toolCallId": "3", "error": "" });
            events[5]["output"] = json!(null);
            all["requests"][1]["body"]["toolResults"][4]["result"] = json!(null);
        }
        // Who watches a resource may fail without harm to others.
        "07b_resource_watcher_throws" => {
            let update = json!({ "type": "resource-update", "name": "SUMMARY", "value": 1 });
            events.as_array_mut().unwrap().insert(1, update);
        }
        // What is stopped stops, whatever was read already.
        "08e_abort_inside_chunk" => drop(events.as_array_mut().unwrap().drain(1..3)),
        // A last line without an end counts.
        "10_malformed_lines" => {
            events.as_array_mut().unwrap().push(json!({ "type": "text-start", "id": "no-newline-at-end" }));
        }
        // Every object of JavaScript has something called `constructor`.
        "12b_prototype_name" => {
            let calls = json!([{ "toolCallId": "1", "toolName": "constructor", "args": { "a": 1 } }]);
            events[1] = json!({ "type": "client-tool-request", "executionId": "exec_1", "toolCalls": calls });
            events[2] = json!({ "type": "finish", "finishReason": "client-tool-calls", "executionId": "exec_1" });
            all["requests"].as_array_mut().unwrap().truncate(1);
        }
        _ => {}
    }
    all
}

#[test]
fn every_recording_comes_out_as_it_was_recorded() {
    let mut other = Vec::new();
    for recording in recordings() {
        let mut replay = Command::new(example("replay"));
        replay.arg(&recording);
        let came = run(replay, "").ok().json();
        let expected = expected(&recording);
        if came != expected {
            other.push(format!("{}\ncame     {came}\nexpected {expected}", name(&recording)));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n\n"));
}

/// Where the published version of the other client does something else than the one that was recorded.
const NEWER: [&str; 7] = [
    "01_plain_text",              // it does not know `lastMessageId`
    "02_one_server_tool",         // it forgets threads and workers
    "04_mixed_server_client",     // it forgets threads
    "06_handler_throws",          // the same
    "08d_abort_during_tool",      // it waits for tools
    "08f_abort_at_handler_start", // the same
    "10e_unknown_fields",         // it knows fewer fields
];

#[tokio::test(flavor = "multi_thread")]
async fn the_other_client_does_against_this_platform_what_was_recorded() {
    let Some(modules) = real::modules() else { return };
    let mut other = Vec::new();
    for recording in recordings() {
        let wanted = read(&recording);
        // It has no tools that come later, and nobody tells it that its request has come.
        let cannot = wanted.to_string().contains("setDynamicTools") || name(&recording) == "08c_abort_before_headers";
        if !cannot && !plays_the_same(&modules, &recording, &wanted).await {
            other.push(name(&recording).to_owned());
        }
    }
    assert_eq!(other, NEWER);
}

async fn plays_the_same(modules: &Path, recording: &Path, wanted: &Value) -> bool {
    let platform = Platform::start(&wanted["definition"]["platform"]).await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/platform.mjs");
    let mut node = Command::new("node");
    node.args([script, text(modules), platform.origin(), text(recording)]);
    let came = tokio::task::spawn_blocking(move || run(node, "").ok().json()).await.unwrap();
    within("the end of all requests", platform.settled()).await;
    let mut requests = wanted["requests"].clone();
    for request in requests.as_array_mut().unwrap() {
        // The version of the protocol is said since the one that was recorded.
        request["headers"].as_object_mut().unwrap().remove("x-octavus-sdk-version");
    }
    let calls = |of: &Value, what: &str| of.get(what).cloned().unwrap_or_else(|| json!([]));
    let lists = ["steps", "handlerCalls", "resourceUpdates"];
    lists.iter().all(|list| calls(&came, list) == calls(wanted, list)) && json!(platform.requests()) == requests
}

/// What comes of a definition that is no recording yet.
fn played(definition: &Value) -> crate::support::program::Run {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("recording.json");
    fs::write(&recording, json!({ "definition": definition }).to_string()).unwrap();
    let mut replay = Command::new(example("replay"));
    replay.arg(&recording);
    run(replay, "")
}

#[test]
fn recordings_of_other_things_than_turns_are_played_too() {
    let part = json!({ "type": "image", "data": "aGk=", "mimeType": "image/png" });
    let place = json!({ "id": "f", "uploadUrl": "{{ORIGIN}}/put", "downloadUrl": "{{ORIGIN}}/f" });
    let places = json!({ "json": { "files": [place] } });
    let schema = json!({ "n": "number", "s": "string?" });
    let start = json!({ "type": "start", "executionId": "e" });
    let finish = json!({ "type": "finish", "finishReason": "stop" });
    let call = |id: &str, name: &str| json!({ "toolCallId": id, "toolName": name, "args": { "n": 1, "more": 2 } });
    let long = json!({ "longString": { "length": 5000 } });
    let asked =
        json!({ "type": "tool-request", "toolCalls": [call("1", "shot"), call("2", "g__add"), call("3", "long")] });
    let result = json!({ "type": "worker-result", "workerId": "w", "output": 7 });
    let leg = |events: Value| json!({ "chunks": [{ "events": events }] });
    let came = played(&json!({
        "client": { "options": { "apiKey": "oct_test" } },
        "platform": { "routes": [
            { "method": "POST", "path": "/api/agent-sessions", "legs": [{ "json": { "sessionId": "s" } }] },
            { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": [leg(json!([start, asked])), leg(json!([finish]))] },
            { "method": "POST", "path": "/api/files/upload-urls", "legs": [places, places] },
            { "method": "PUT", "path": "/put", "legs": [{ "text": "" }] },
            { "method": "POST", "path": "/api/agents/a/execute", "legs": [leg(json!([start, result]))] },
        ] },
        "steps": [
            { "createSession": { "agentId": "a", "input": { "x": 1 } } },
            { "call": "files.getUploadUrls", "args": ["s", [{ "filename": "a", "mediaType": "b", "size": 1 }]] },
            { "attach": {
                "sessionId": "s",
                "tools": { "shot": { "return": [part] }, "long": { "return": long } },
                "mcpServers": [{ "namespace": "g", "tools": { "add": { "description": "adds", "parameters": schema, "echoArgs": true } } }],
                "onToolResults": "normalizeToolResultImages",
            } },
            { "execute": { "type": "trigger", "triggerName": "go" } },
            { "workers": { "generate": ["a", {}] } },
        ],
    }))
    .ok()
    .json();
    let file = json!({ "id": "f", "uploadUrl": "{{ORIGIN}}/put", "downloadUrl": "{{ORIGIN}}/f" });
    assert_eq!(came["steps"][0], json!({ "do": "createSession", "result": "s" }));
    assert_eq!(came["steps"][1], json!({ "do": "call", "result": { "files": [file] } }));
    assert_eq!(came["steps"][4]["result"], json!({ "sessionId": "e", "output": 7 }));
    let events = &came["steps"][3]["events"];
    let image = json!({ "type": "image", "mediaType": "image/png", "size": 2, "url": "{{ORIGIN}}/f" });
    let outputs: Vec<&Value> = (1..4).map(|place| &events[place]["output"]).collect();
    assert_eq!(json!(outputs), json!([[image], { "n": 1 }, long]), "{events}");
    let last = came["requests"].as_array().unwrap().iter().rfind(|request| request["body"]["toolResults"].is_array());
    let last = &last.unwrap()["body"];
    assert_eq!(last["toolResults"][0]["files"][0]["filename"], "image-{{GENERATED_ID}}.png");
    let properties = json!({ "n": { "type": "number" }, "s": { "type": "string" } });
    let schema = json!({ "type": "object", "properties": properties, "required": ["n"] });
    assert_eq!(last["dynamicToolSchemas"][0]["inputSchema"], schema);
    assert_eq!(came["hookCalls"][0][0]["result"], json!([part]), "as it was before");
}

#[test]
fn a_step_that_nobody_knows_is_named() {
    let definition = json!({ "platform": { "routes": [] }, "steps": [{ "about": "x", "dance": {} }] });
    played(&definition).fails_with(1).says(["no step is called `dance`"]);
}

#[test]
fn what_needs_a_session_that_could_not_be_attached_is_told_and_the_rest_goes_on() {
    let twice = json!({ "namespace": "a", "tools": {} });
    let ran = played(&json!({
        "client": { "options": {} },
        "platform": { "routes": [{ "method": "DELETE", "path": "/api/agent-sessions/s", "legs": [{ "json": { "sessionId": "s", "cleared": true } }] }] },
        "steps": [
            { "attach": { "sessionId": "s", "mcpServers": [twice, twice] } },
            { "execute": { "type": "trigger", "triggerName": "go" } },
            { "clear": "s" },
        ],
    }));
    let told = ran.ok().json();
    let steps = told["steps"].as_array().unwrap();
    assert!(steps[0]["error"].is_object() && steps[1]["error"]["message"] == "no session is attached", "{steps:?}");
    assert_eq!(steps[2]["result"]["cleared"], true, "{steps:?}");
}
