//! A server that dies: its calls fail at once, it comes back, its tools stay.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake::fake,
    procs::{alive, eventually, pids_in, signal},
    program::{Scratch, text},
    with,
};

/// A client of a program whose server writes its pids to the file.
fn watched(keys: &Value) -> (Client, PathBuf, Scratch) {
    let scratch = Scratch::new();
    let file = scratch.path("pids");
    let entry = with(fake(["--pid-file", text(&file)]), keys);
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": entry } }));
    let client = Client::connect(&scratch);
    (client, file, scratch)
}

#[test]
fn a_call_that_kills_its_server_fails_with_the_servers_last_words() {
    let (mut client, ..) = watched(&json!({}));
    let answer = client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    assert!(answer.to_string().contains("about to crash"), "{answer}");
}

#[test]
fn a_crash_seen_from_the_command_line_exits_1_with_the_servers_last_words() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    scratch.run(["call", "fake__crash", "{}"]).fails_with(1).says(["about to crash"]);
}

#[test]
fn a_crashed_entry_comes_back_and_its_tools_were_never_away() {
    let (mut client, file, _scratch) = watched(&json!({}));
    let before = client.tools();
    client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    assert_eq!(client.tools(), before, "they stay listed");
    // A call waits for it.
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "back" })), "back");
    assert_eq!(pids_in(&file).len(), 2, "it is another process");
    // At most the one for the entry that came up after the handshake.
    assert!(client.notifications("notifications/tools/list_changed").len() <= 1, "the catalog did not change");
}

#[test]
fn all_calls_in_flight_fail_at_once() {
    let (mut client, ..) = watched(&json!({}));
    let hanging: Vec<Value> = (0..5).map(|_| client.ask_tool("fake__hang", &json!({}))).collect();
    client.ask_tool("fake__crash", &json!({}));
    for id in hanging {
        let answer = client.answer(&id);
        assert!(answer.text.contains("about to crash"), "{}", answer.text);
    }
}

#[test]
fn a_server_that_is_killed_while_nobody_calls_comes_back() {
    let (mut client, file, _scratch) = watched(&json!({}));
    let first = pids_in(&file)[0];
    signal(first, Signal::SIGKILL);
    eventually("another one runs", || pids_in(&file).len() == 2 && alive(pids_in(&file)[1]));
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "back" })), "back");
    assert!(!alive(first));
}

#[test]
fn a_call_is_never_sent_twice() {
    let (mut client, file, _scratch) = watched(&json!({}));
    client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    client.call("fake__echo", &json!({ "message": "back" }));
    assert_eq!(pids_in(&file).len(), 2, "a second crash would have needed a third process");
}

#[test]
fn a_read_only_call_is_sent_once_more() {
    let (mut client, file, scratch) = watched(&json!({}));
    let marker = scratch.path("marker");
    assert_eq!(client.call_text("fake__read_only_crash", &json!({ "marker": text(&marker) })), "survived");
    assert_eq!(pids_in(&file).len(), 2);
}

#[test]
fn an_entry_that_shall_not_be_restarted_stays_down() {
    let (mut client, file, _scratch) = watched(&json!({ "restart": "never" }));
    client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    eventually("the entry says so", || client.tools() == ["fake__status"]);
    let status: Value = serde_json::from_str(&client.call_text("fake__status", &json!({}))).unwrap();
    assert_eq!(status["status"], "failed", "{status}");
    assert_eq!(pids_in(&file).len(), 1);
}

#[test]
fn the_crash_of_one_server_is_nothing_to_the_others() {
    let scratch = Scratch::entries(json!({ "a": fake::<&str>([]), "b": fake::<&str>([]) }));
    let mut client = Client::connect(&scratch);
    let other = client.call_text("b__pid", &json!({}));
    client.request("tools/call", json!({ "name": "a__crash", "arguments": {} }));
    assert_eq!(client.call_text("b__pid", &json!({})), other);
}

#[test]
fn calls_sent_beside_a_crash_get_its_cause_or_wait_for_the_next_life() {
    let (mut client, _file, _scratch) = watched(&json!({}));
    for _ in 0..3 {
        let crash = client.ask_tool("fake__crash", &json!({}));
        let beside: Vec<_> = (0..20).map(|_| client.ask_tool("fake__echo", &json!({ "message": "m" }))).collect();
        assert!(client.answer(&crash).text.contains("about to crash"));
        for id in beside {
            let text = client.answer(&id).text;
            assert!(text.contains("about to crash") || text.contains(r#""text":"m""#), "{text}");
        }
    }
}

#[test]
fn a_server_that_closes_its_input_is_started_anew() {
    let scratch = Scratch::new();
    let file = scratch.path("starts");
    // It hands over to the real server the second time; the first time it answers and then hears nothing more.
    let script = format!(
        r#"echo start >> {file}; if [ $(wc -l < {file}) -gt 1 ]; then exec {fake}; fi
           read -r line; echo '{{"jsonrpc":"2.0","id":0,"error":{{"code":-32601,"message":"no"}}}}'
           read -r line; echo '{{"jsonrpc":"2.0","id":1,"result":{{"protocolVersion":"2025-11-25","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"s","version":"0"}}}}}}'
           read -r line; read -r line; exec < /dev/null
           echo '{{"jsonrpc":"2.0","id":"c-1","result":{{"tools":[{{"name":"echo","inputSchema":{{"type":"object"}}}}]}}}}'
           exec sleep 1000"#,
        file = text(&file),
        fake = text(&crate::support::fake::path()),
    );
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": { "command": "sh", "args": ["-c", script] } } }));
    let mut client = Client::connect(&scratch);
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "heard" })), "heard");
}
