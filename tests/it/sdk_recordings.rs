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
