//! Servers and a client that others wrote: each lists and calls.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    program::{Scratch, run},
    real,
};

/// Lists the tools of the entry and calls one of them.
#[track_caller]
fn list_and_call(entry: Option<Value>, scratch: Scratch, tool: &str, arguments: &Value) -> Option<Value> {
    let scratch = scratch.config(&json!({ "mcpServers": { "real": entry? } }));
    let listed = scratch.run(["tools", "--json"]).ok();
    let name = format!("real__{tool}");
    assert!(listed.tool_names().contains(&name), "{listed:?}");
    assert_eq!(listed.json()["errors"], json!([]));
    Some(scratch.call(&name, arguments))
}

#[test]
fn server_everything_lists_and_calls() {
    let entry = real::node("server-everything", &[]);
    let Some(value) = list_and_call(entry, Scratch::new(), "echo", &json!({ "message": "hello" })) else { return };
    assert!(value.to_string().contains("hello"), "{value}");
}

#[test]
fn server_filesystem_lists_and_calls() {
    let scratch = Scratch::new();
    scratch.write("note.txt", "what it says");
    let entry = real::node("server-filesystem", &["."]);
    let Some(value) = list_and_call(entry, scratch, "read_text_file", &json!({ "path": "note.txt" })) else { return };
    assert!(value.to_string().contains("what it says"), "{value}");
}

#[test]
fn server_memory_lists_and_calls() {
    let scratch = Scratch::new();
    let Some(mut entry) = real::node("server-memory", &[]) else { return };
    entry["env"] = json!({ "MEMORY_FILE_PATH": scratch.path("memory.jsonl") });
    let entity = json!({ "name": "ada", "entityType": "person", "observations": ["wrote notes"] });
    let value = list_and_call(Some(entry), scratch, "create_entities", &json!({ "entities": [entity] }));
    let value = value.expect("the entry is there");
    assert!(value.to_string().contains("wrote notes"), "{value}");
}

#[test]
fn mcp_server_time_lists_and_calls() {
    let entry = real::python("mcp-server-time", &["--local-timezone", "UTC"]);
    let Some(value) = list_and_call(entry, Scratch::new(), "get_current_time", &json!({ "timezone": "UTC" })) else {
        return;
    };
    assert_eq!(value["timezone"], "UTC", "{value}");
}

#[test]
fn mcp_server_git_lists_and_calls() {
    let scratch = Scratch::new();
    let mut git = Command::new("git");
    git.args(["init", "--quiet"]).current_dir(scratch.path("")).env("HOME", scratch.home());
    run(git, "").ok();
    let repository = json!({ "repo_path": scratch.path("").canonicalize().unwrap() });
    let Some(value) = list_and_call(real::python("mcp-server-git", &[]), scratch, "git_status", &repository) else {
        return;
    };
    assert!(value.to_string().contains("No commits yet"), "{value}");
}

/// Drives `serve --stdio` with the inspector.
#[track_caller]
fn inspect(scratch: &Scratch, era: &str, method: &[&str]) -> Option<Value> {
    let program = scratch.command(["serve", "--stdio"]);
    let mut inspector = Command::new("node");
    inspector.arg(real::inspector()?).args(["--cli", "-q", "--format", "json", "--protocol-era", era]).args(method);
    inspector.arg("--").arg(program.get_program()).args(program.get_args());
    inspector.current_dir(scratch.path("")).env("HOME", scratch.home());
    Some(run(inspector, "").ok().json())
}

#[test]
fn the_inspector_lists_and_calls_in_both_eras() {
    let Some(entry) = real::node("server-everything", &[]) else { return };
    let scratch = Scratch::entries(json!({ "ev": entry, "sh": { "type": "shell", "mode": "unrestricted" } }));
    for era in ["legacy", "modern"] {
        let Some(listed) = inspect(&scratch, era, &["--method", "tools/list"]) else { return };
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{era}: no tools: {listed}"));
        for name in ["ev__echo", "sh__run_command"] {
            assert!(tools.iter().any(|tool| tool["name"] == name), "{era}: {listed}");
        }
        let call = ["--method", "tools/call", "--tool-name", "ev__echo", "--tool-arg", "message=hey"];
        let called = inspect(&scratch, era, &call).expect("it is installed");
        assert!(called.to_string().contains("hey"), "{era}: {called}");
    }
}
