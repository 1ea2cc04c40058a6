//! What a child inherits from the process that embeds the library (spec/computer.md 28), in this process.

use mcp_computer::{Computer, EntryConfig, ShellMode, StdioConfig, config::InheritEnv};
use serde_json::{Value, json};

use crate::support::library::{again_with, server, up, within};

/// What the host has of its own, and what it may share.
const VARIABLES: [(&str, &str); 7] = [
    ("COMPUTER_SECRET", "of the daemon"),
    ("OCTAVUS_X", "of the daemon"),
    ("RANDOM_VAR", "random"),
    ("ACME_ONE", "1"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("HTTPS_PROXY", "http://proxy"),
    ("LC_TIME", "C"),
];

/// The environment of a server.
async fn seen_by(entry: StdioConfig) -> Value {
    let computer = up([("fake", entry)]).await;
    within("a call", computer.call("fake__env", &json!({}))).await.unwrap()
}

fn inheriting(inherit_env: InheritEnv) -> StdioConfig {
    StdioConfig { inherit_env, ..server::<&str>([]) }
}

/// Which of the variables are seen.
fn which(seen: &Value) -> Vec<&'static str> {
    VARIABLES.iter().filter(|(name, value)| seen[name] == *value).map(|(name, _)| *name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_a_curated_set() {
    if again_with(&VARIABLES, "lib_environment::a_server_gets_a_curated_set") {
        return;
    }
    let seen = seen_by(server::<&str>([])).await;
    assert_eq!(which(&seen), ["HTTPS_PROXY", "LC_TIME"]);
    for (name, _) in &VARIABLES[..5] {
        assert!(seen.get(name).is_none(), "{name}: {seen}");
    }
    assert!(seen["PATH"].is_string() && seen["HOME"].is_string(), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_globs_widen_it() {
    if again_with(&VARIABLES, "lib_environment::names_and_globs_widen_it") {
        return;
    }
    let globs = ["ACME_*", "RANDOM_VAR", "COMPUTER_SECRET"].map(str::to_owned).to_vec();
    let seen = seen_by(inheriting(InheritEnv::Matching(globs))).await;
    assert_eq!(which(&seen), ["RANDOM_VAR", "ACME_ONE", "HTTPS_PROXY", "LC_TIME"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_all_but_what_is_the_daemons_own() {
    if again_with(&VARIABLES, "lib_environment::all_is_all_but_what_is_the_daemons_own") {
        return;
    }
    let seen = seen_by(inheriting(InheritEnv::All)).await;
    assert_eq!(which(&seen), ["RANDOM_VAR", "ACME_ONE", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "LC_TIME"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_entry_sets_wins() {
    if again_with(&VARIABLES, "lib_environment::what_the_entry_sets_wins") {
        return;
    }
    let entry = inheriting(InheritEnv::All).env("RANDOM_VAR", "own").env("HOME", "/own").env("COMPUTER_SECRET", "own");
    let seen = seen_by(entry).await;
    let own = ["RANDOM_VAR", "HOME", "COMPUTER_SECRET"].map(|name| &seen[name]);
    assert_eq!(own, [&json!("own"), &json!("/own"), &json!("own")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_the_users_environment_without_the_daemons_secrets() {
    let test = "lib_environment::a_command_gets_the_users_environment_without_the_daemons_secrets";
    if again_with(&VARIABLES, test) {
        return;
    }
    let computer = up([("sh", EntryConfig::from(Computer::shell(ShellMode::Unrestricted)))]).await;
    let ran = within("a command", computer.call("sh__run_command", &json!({ "command": "env" }))).await.unwrap();
    let lines: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
    assert!(lines.contains(&"RANDOM_VAR=random") && lines.contains(&"PAGER=cat"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("HOME=/")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("COMPUTER_") || line.starts_with("OCTAVUS_")), "{lines:?}");
}
