//! Clients that others wrote, over HTTP with a token, in each of their modes.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    fake::fake,
    http_client::Daemon,
    program::{Scratch, run},
    real,
};

/// A daemon with a token, and what is needed to be let in: its URL and the token.
fn guarded() -> (Daemon, String, String) {
    let scratch = Scratch::entries(json!({ "fake": fake(["--wide"]) }));
    let daemon = Daemon::start_with(&scratch, &[]);
    let address = daemon.address().to_string();
    let printed = scratch.run(["connect", "cursor", "--http", &address]).ok().json();
    let server = &printed["mcpServers"]["computer"];
    let bearer = server["headers"]["Authorization"].as_str().unwrap();
    let token = bearer.strip_prefix("Bearer ").unwrap().to_owned();
    (daemon, server["url"].as_str().unwrap().to_owned(), token)
}

/// Runs a client of a Python library.
fn python(library: &str, mode: &str) -> Option<Value> {
    let interpreter = real::interpreter()?;
    let (_daemon, url, token) = guarded();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/call.py");
    let mut command = Command::new(interpreter);
    command.args([script, library, mode, &url, &token]);
    Some(run(command, "").ok().json())
}

#[track_caller]
fn assert_served(told: &Value, who: &str) {
    let tools = told["tools"].as_array().unwrap();
    assert!(tools.contains(&json!("fake__echo")), "{who}: {told}");
    assert_eq!(told["echo"], "hey", "{who}: {told}");
    let steps: Vec<_> = told["progress"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert_eq!(steps, [1.0, 2.0, 3.0], "{who}: {told}");
    assert_eq!(told["asked"]["roots"][0]["uri"], "file:///here", "{who}: {told}");
}

#[test]
fn the_python_sdk_is_served_in_every_mode() {
    for mode in ["auto", "legacy", "2026-07-28"] {
        let Some(told) = python("mcp", mode) else { return };
        assert_served(&told, mode);
    }
}

#[test]
fn fastmcp_is_served_in_every_mode() {
    for mode in ["auto", "legacy", "2026-07-28"] {
        let Some(told) = python("fastmcp", mode) else { return };
        assert_served(&told, mode);
    }
}

#[test]
fn the_inspector_is_served_in_both_eras() {
    for era in ["legacy", "modern"] {
        let Some(inspector) = real::inspector() else { return };
        let (_daemon, url, token) = guarded();
        let header = format!("Authorization: Bearer {token}");
        let inspect = |method: &[&str]| {
            let mut command = Command::new("node");
            command.arg(&inspector).args(["--cli", "-q", "--format", "json", "--protocol-era", era]);
            command.args(["--transport", "http", "--server-url", &url, "--header", &header]).args(method);
            run(command, "").ok().json()
        };
        let listed = inspect(&["--method", "tools/list"]);
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{era}: no tools: {listed}"));
        assert!(tools.iter().any(|tool| tool["name"] == "fake__echo"), "{era}: {listed}");
        let call = ["--method", "tools/call", "--tool-name", "fake__echo", "--tool-arg", "message=hey"];
        assert!(inspect(&call).to_string().contains("hey"), "{era}");
    }
}
