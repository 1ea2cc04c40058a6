//! `computer connect`: what it prints is what a client can use.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake::fake,
    http_client::{Caller, Daemon},
    procs::eventually,
    program::{Scratch, run, text},
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake::<&str>([]) }))
}

fn printed(scratch: &Scratch, arguments: &[&str]) -> Value {
    scratch.run([&["connect"], arguments].concat()).ok().json()
}

#[test]
fn each_client_gets_its_own_form_and_nothing_else_on_stdout() {
    let scratch = scratch();
    for (client, root) in [("claude", "mcpServers"), ("cursor", "mcpServers"), ("vscode", "servers")] {
        let config = printed(&scratch, &[client]);
        let server = &config[root]["computer"];
        let arguments: Vec<&str> =
            server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(arguments, ["serve", "--stdio", "--config", text(&scratch.path("config.json"))], "{client}");
        assert_eq!(server["command"], env!("CARGO_BIN_EXE_computer"), "{client}");
        let kind = if client == "vscode" { json!("stdio") } else { Value::Null };
        assert_eq!(server["type"], kind, "{client}");
        let config = printed(&scratch, &[client, "--http", "127.0.0.1:7331"]);
        let server = &config[root]["computer"];
        assert_eq!(server["url"], "http://127.0.0.1:7331/mcp", "{client}");
        assert!(server["headers"]["Authorization"].as_str().unwrap().starts_with("Bearer "), "{client}");
        assert_eq!(server["type"], if client == "cursor" { Value::Null } else { json!("http") }, "{client}");
    }
    scratch.run(["connect", "claude", "--http"]).ok().says(["Claude Desktop takes only programs"]);
    let config = printed(&scratch, &["cursor", "--http"]);
    assert_eq!(config["mcpServers"]["computer"]["url"], "http://127.0.0.1:7331/mcp", "an address of our own");
}

#[test]
fn what_is_printed_starts_this_computer_from_anywhere() {
    let scratch = scratch();
    let server = printed(&scratch, &["cursor"])["mcpServers"]["computer"].clone();
    let mut command = Command::new(server["command"].as_str().unwrap());
    command.args(server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap())).current_dir("/");
    let mut client = Client::of(&scratch, command);
    client.initialize("2025-11-25");
    assert!(client.tools().contains(&"fake__echo".to_owned()));
    client.leave();
}

#[test]
fn what_is_printed_is_let_in_over_http() {
    let scratch = scratch();
    let daemon = Daemon::start_with(&scratch, &[]);
    let address = daemon.address().to_string();
    let config = printed(&scratch, &["claude", "--http", &address]);
    let bearer = config["mcpServers"]["computer"]["headers"]["Authorization"].as_str().unwrap().to_owned();
    let mut caller =
        Caller::new(daemon.address(), "/mcp", "2025-11-25").with_token(bearer.strip_prefix("Bearer ").unwrap());
    caller.initialize();
    assert!(caller.tools().contains(&"fake__echo".to_owned()));
}

#[test]
fn the_token_printed_is_that_of_the_daemon_that_runs_whatever_its_config_says_by_now() {
    let scratch = scratch();
    let daemon = Daemon::start_with(&scratch, &[]);
    let address = daemon.address().to_string();
    let bearer = |scratch: &Scratch| {
        let config = printed(scratch, &["claude", "--http", &address]);
        config["mcpServers"]["computer"]["headers"]["Authorization"].as_str().unwrap().to_owned()
    };
    let before = bearer(&scratch);
    // A shell without a directory of its own is another one in another directory.
    let changed =
        json!({ "mcpServers": { "fake": fake::<&str>([]), "sh": { "type": "shell", "mode": "unrestricted" } } });
    let scratch = scratch.config(&changed);
    assert_eq!(bearer(&scratch), before, "the daemon still runs");
    drop(daemon);
    eventually("the next one is another", || bearer(&scratch) != before);
}

#[test]
fn an_address_that_needs_brackets_is_told_so() {
    let scratch = scratch();
    for command in [&["serve", "--http", "::1"][..], &["connect", "--http", "::1"]] {
        scratch.run(command.to_vec()).fails_with(2).says(["[::1]:7331"]);
    }
}

#[test]
fn a_config_that_says_where_to_listen_is_shown_both_ways_and_all_clients_are_named() {
    let scratch = Scratch::new().config(&json!({ "mcpServers": {}, "serve": { "http": "127.0.0.1:7331" } }));
    let all = printed(&scratch, &["--json"]);
    for client in ["claude", "cursor", "vscode", "inspector"] {
        assert!(!all[client]["stdio"].is_null() && !all[client]["http"].is_null(), "{client}: {all}");
    }
    scratch.run(["connect"]).ok().prints([
        "# Claude",
        "# Cursor",
        "# VS Code",
        "# MCP Inspector",
        "http://127.0.0.1:7331/mcp",
    ]);
}

#[test]
fn the_line_for_the_inspector_is_one_that_a_shell_takes_apart_again() {
    let scratch = scratch();
    let line = scratch.run(["connect", "inspector", "--http", "127.0.0.1:7331"]).ok().stdout;
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("npx() {{ printf '%s\\n' \"$@\"; }}; {line}")]);
    let words = run(shell, "").ok().stdout;
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(&words[1..5], ["http://127.0.0.1:7331/mcp", "--transport", "http", "--header"], "{line}");
    assert!(words[5].starts_with("Authorization: Bearer "), "{line}");
}

#[test]
fn what_cannot_be_connected_to_is_said() {
    let scratch = scratch();
    scratch.run(["connect", "cursor", "--http", "127.0.0.1:0"]).fails_with(2).says(["port 0"]);
    scratch.run(["connect", "cursor", "--http", "7331"]).fails_with(2).says(["host and port"]);
    scratch.run(["connect", "nobody"]).fails_with(2);
}
