//! Servers that misbehave on cue (spec/mcp.md 3): each edge, and what it must not cost.

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake::fake,
    program::{Scratch, text},
    with,
};

fn with_flags(flags: &[&str]) -> Scratch {
    Scratch::entries(json!({ "fake": fake(flags) }))
}

#[test]
fn lines_on_stdout_that_are_no_json_rpc_are_skipped_counted_and_never_answered() {
    let scratch = with_flags(&["--junk", "12"]);
    let mut client = Client::connect(&scratch);
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "x" })), "x");
    let seen: Value = serde_json::from_str(&client.call_text("fake__seen", &json!({}))).unwrap();
    assert_eq!(seen["unexpected"], json!([]), "a server is not told about its own noise");
    drop(client);
    let problems = scratch.health_of("fake")["problems"].to_string();
    assert!(problems.contains("stdout"), "health says so: {problems}");
}

#[test]
fn a_cursor_that_repeats_ends_the_list() {
    let scratch = with_flags(&["--tools", "3", "--same-cursor"]);
    assert_eq!(scratch.run(["tools", "--json"]).ok().tool_names(), ["fake__echo", "fake__tool_1", "fake__tool_2"]);
}

#[test]
fn all_pages_of_a_list_are_read() {
    let scratch = with_flags(&["--tools", "50", "--pages", "7"]);
    assert_eq!(scratch.run(["tools", "--json"]).ok().tool_names().len(), 50);
}

#[test]
fn one_bad_tool_costs_that_tool_and_health_says_why() {
    let scratch = with_flags(&["--tools", "2", "--bad-tool"]);
    let run = scratch.run(["tools", "--json"]).ok();
    let names = run.tool_names();
    for name in ["fake__echo", "fake__tool_1", "fake__twice", "fake__string_schema", "fake__no_schema"] {
        assert!(names.contains(&name.to_owned()), "{name} is missing: {names:?}");
    }
    assert_eq!(run.json()["errors"], json!([]));
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    assert!(names.iter().all(|name| plain(name) && name.len() <= 64), "{names:?}");
    assert_eq!(names.len(), 9, "two cannot be repaired, one is there twice: {names:?}");
    let problems = scratch.health_of("fake")["problems"].clone();
    assert!(problems.as_array().is_some_and(|problems| problems.len() >= 3), "{problems}");
    assert!(problems.to_string().contains("twice"), "{problems}");
}

#[test]
fn a_repaired_schema_is_an_object() {
    let run = with_flags(&["--tools", "1", "--bad-tool"]).run(["tools", "--json"]).ok().json();
    for tool in run["tools"].as_array().unwrap() {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool["inputSchema"]["properties"].is_object() && tool["description"].is_string(), "{tool}");
    }
}

#[test]
fn a_tool_whose_name_was_changed_is_called_by_its_own() {
    let scratch = with_flags(&["--tools", "1", "--bad-tool"]);
    let names = scratch.run(["tools", "--json"]).ok().tool_names();
    for (part, own) in
        [("with_space", "with space"), ("with_dot", "with.dot"), ("crab", "crab_🦀"), ("xxxxx", &"x".repeat(300))]
    {
        let name = names.iter().find(|name| name.contains(part)).unwrap_or_else(|| panic!("no {part}: {names:?}"));
        assert_eq!(scratch.call(name, &json!({})), format!("called {own}"));
    }
}

#[test]
fn a_server_that_exits_on_an_unknown_method_comes_up() {
    for version in ["2024-11-05", "2025-11-25"] {
        let scratch = with_flags(&["--exit-on-unknown", "--version", version]);
        assert_eq!(scratch.call("fake__echo", &json!({ "message": version })), version);
    }
}

#[test]
fn a_server_that_answers_every_method_comes_up() {
    assert_eq!(with_flags(&["--empty-object-to-all"]).call("fake__echo", &json!({ "message": "x" })), "x");
}

#[test]
fn late_answers_of_the_handshake_do_no_harm() {
    assert_eq!(with_flags(&["--late-handshake"]).call("fake__echo", &json!({ "message": "x" })), "x");
}

#[test]
fn a_server_that_starts_slower_than_any_probe_comes_up() {
    assert_eq!(with_flags(&["--delay-ms", "12000"]).call("fake__echo", &json!({ "message": "at last" })), "at last");
}

#[test]
fn a_flood_on_stderr_does_not_block_a_server() {
    let scratch = with_flags(&["--stderr-flood", "20000000"]);
    assert_eq!(scratch.call("fake__echo", &json!({ "message": "dry" })), "dry");
}

#[test]
fn an_answer_that_is_too_large_fails_its_call_and_the_next_one_works() {
    let entry = with(fake::<&str>([]), &json!({ "maxMessage": 100_000 }));
    let mut client = Client::connect(&Scratch::entries(json!({ "fake": entry })));
    for _ in 0..2 {
        let answer = client.request("tools/call", json!({ "name": "fake__big", "arguments": { "bytes": 1_000_000 } }));
        assert!(answer.to_string().contains("maxMessage"), "{answer}");
    }
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "next" })), "next");
    assert_eq!(client.call_text("fake__big", &json!({ "bytes": 90_000 })).len(), 90_000);
}

#[test]
fn a_call_that_stays_silent_too_long_is_taken_back() {
    let entry = with(fake::<&str>([]), &json!({ "callTimeout": 300 }));
    let mut client = Client::connect(&Scratch::entries(json!({ "fake": entry })));
    let answer = client.request("tools/call", json!({ "name": "fake__hang", "arguments": {} }));
    assert!(answer.to_string().contains("300 ms"), "{answer}");
    let cancelled: Value = serde_json::from_str(&client.call_text("fake__cancelled", &json!({}))).unwrap();
    assert_eq!(cancelled.as_array().map(Vec::len), Some(1), "the server was told");
}

#[test]
fn a_child_that_holds_the_pipe_does_not_hide_the_death_of_the_server() {
    let scratch = with_flags(&[]);
    let mut client = Client::connect(&scratch);
    client.call("fake__spawn_orphans", &json!({ "pidfile": text(&scratch.path("orphans")) }));
    let answer = client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    assert!(answer.to_string().contains("about to crash"), "{answer}");
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "back" })), "back");
}
