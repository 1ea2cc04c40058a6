//! Misbehaving servers behind the program (spec/computer.md 22, 29): what its client reads, and what a client that does
//! not read costs.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake::fake,
    hostile::assert_says,
    http_client::{Caller, Daemon},
    procs::{children, eventually},
    program::Scratch,
    with,
};

/// A program with a server that misbehaves on cue, and one that does not.
fn scratch(keys: &Value) -> Scratch {
    let bad = with(fake(["--misbehave", "on-cue"]), keys);
    Scratch::entries(json!({ "bad": bad, "good": fake::<&str>([]) }))
}

fn misbehave(how: &str) -> Value {
    json!({ "how": how })
}

/// What the client reads of a call in whose middle the server does that. Others go on.
#[track_caller]
fn read_by_client(how: &str, keys: &Value) -> String {
    let mut client = Client::connect(&scratch(keys));
    let result = client.result("tools/call", json!({ "name": "bad__misbehave", "arguments": misbehave(how) }));
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(client.call_text("good__echo", &json!({ "message": "unharmed" })), "unharmed");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_client_reads_names_the_tool_of_the_entry_what_happened_and_what_to_do() {
    let (plain, clocks) = (json!({}), json!({ "callTimeout": 500 }));
    for (how, keys, words) in [
        ("neither", &plain, ["neither a result nor an error", "newer version"]),
        ("result-is-a-list", &plain, ["is a list", "newer version"]),
        ("error-is-a-text", &plain, ["is an error that is malformed", "newer version"]),
        ("zero-bytes", &plain, ["is no JSON", "newer version"]),
        ("exit-in-mid-line", &plain, ["exited with status 3", "out of memory"]),
        ("close-stdout", &plain, ["the server", "closed its output"]),
        ("drip", &clocks, ["500 ms", "callTimeout"]),
        ("stop", &clocks, ["500 ms", "kill -CONT"]),
    ] {
        let text = read_by_client(how, keys);
        assert_says(&text, &["`bad__misbehave`"]);
        assert_says(&text, &words);
    }
}

#[test]
fn the_command_line_says_it_too() {
    let run = scratch(&json!({})).run(["call", "bad__misbehave", &misbehave("neither").to_string()]);
    run.fails_with(1).says(["cannot call `bad__misbehave`", "holds neither a result nor an error", "newer version"]);
}

#[test]
fn what_stderr_says_to_a_terminal_does_not_reach_ours() {
    let entry = with(fake(["--misbehave", "stderr-with-escapes", "--exit-at-once", "7"]), &json!({}));
    let run = Scratch::entries(json!({ "bad": entry })).run(["call", "bad__echo"]).fails_with(1);
    assert!(!run.stderr.contains('\x1b'), "{run:?}");
}

/// It holds what it has to, far less than each of the floods below.
#[track_caller]
fn assert_is_small(daemon: i32) {
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 100 << 10, "the daemon has grown to {} MB", kib >> 10);
}

/// What a server says in floods that nobody reads.
const FLOODS: [(&str, u64); 2] = [("large-logs", 300), ("large-notices", 300)];

#[test]
fn a_client_that_does_not_read_floods_costs_no_memory_and_gets_its_answers_when_it_reads() {
    let scratch = scratch(&json!({}));
    let mut program = scratch.command(["serve", "--stdio"]);
    let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = program.stdin.take().unwrap();
    let mut say = |message: &Value| writeln!(stdin, "{message}").unwrap();
    let hello =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } });
    say(&json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello }));
    say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for (how, count) in FLOODS {
        let marker = scratch.path(how);
        let arguments = json!({ "how": how, "count": count, "marker": marker });
        let params = json!({ "name": "bad__misbehave", "arguments": arguments });
        say(&json!({ "jsonrpc": "2.0", "id": how, "method": "tools/call", "params": params }));
        eventually("the server is rid of all of it", || marker.exists());
    }
    assert_is_small(children(program.id().cast_signed())[0]);
    // Which of them is answered first is nobody's concern.
    let mut left: Vec<&str> = FLOODS.iter().map(|(how, _)| *how).collect();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    while !left.is_empty() {
        let line = lines.next().unwrap();
        let Some(at) = left.iter().position(|how| line.contains(&format!("\"id\":\"{how}\""))) else { continue };
        assert_says(&line, &["done"]);
        left.remove(at);
    }
    drop(stdin);
    program.wait().unwrap();
}

#[test]
fn a_client_that_does_not_read_its_streams_over_http_costs_no_memory() {
    let scratch = scratch(&json!({}));
    let daemon = Daemon::start(&scratch);
    let mut silent = Caller::legacy(daemon.address());
    let mut other = Caller::legacy(daemon.address());
    let (listening, mut calls) = (silent.listen(), Vec::new());
    for (how, count) in FLOODS {
        let marker = scratch.path(how);
        let arguments = json!({ "how": how, "count": count, "marker": marker });
        calls.push(silent.open_tool("bad__misbehave", &arguments));
        eventually("the server is rid of all of it", || marker.exists());
    }
    assert_is_small(daemon.daemon());
    assert_eq!(other.call_text("bad__echo", &json!({ "message": "here" })), "here");
    for call in &mut calls {
        let answer = call.messages().pop().unwrap();
        assert_says(&answer.to_string(), &["done"]);
    }
    drop(listening);
}

#[test]
fn no_flood_of_a_server_costs_memory_whatever_it_floods_with() {
    let scratch = scratch(&json!({}));
    let mut client = Client::connect(&scratch);
    // More each time than the program may hold. The benchmarks measure how little it is.
    for how in ["stderr", "large-line", "bytes-of-noise"] {
        let arguments = json!({ "how": how, "count": 128 << 20 });
        assert_eq!(client.call_text("bad__misbehave", &arguments), "done", "{how}");
    }
    assert_is_small(client.daemon());
    assert_eq!(client.call_text("good__echo", &json!({ "message": "unharmed" })), "unharmed");
}

#[test]
fn a_client_is_told_of_lists_that_never_come_to_rest_a_few_times() {
    let mut client = Client::connect(&scratch(&json!({})));
    client.call("bad__misbehave", &json!({ "how": "changes", "count": 3000 }));
    let last = "bad__at_2999".to_owned();
    eventually("the last change is seen", || client.tools().contains(&last));
    let told = client.notifications("notifications/tools/list_changed").len();
    assert!((1..20).contains(&told), "{told} times");
}
