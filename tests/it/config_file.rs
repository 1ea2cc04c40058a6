//! Where the config is found, what it may hold, what is refused.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use crate::support::{
    fake::fake,
    program::{Scratch, text},
    with,
};

/// A config with one fake entry of this name.
fn naming(name: &str) -> String {
    json!({ "mcpServers": { name: fake(["--tools", "1"]) } }).to_string()
}

#[track_caller]
fn tools(scratch: &Scratch) -> Vec<String> {
    scratch.run(["tools", "--json"]).ok().tool_names()
}

#[test]
fn the_config_of_the_user_is_used() {
    let scratch = Scratch::new();
    scratch.write("../home/.config/computer/computer.json", &naming("mine"));
    assert_eq!(tools(&scratch), ["mine__echo"]);
}

#[test]
fn the_variable_wins_over_the_config_of_the_user_and_the_flag_over_both() {
    let scratch = Scratch::new();
    scratch.write("../home/.config/computer/computer.json", &naming("mine"));
    let named = scratch.write("named.json", &naming("named"));
    let scratch = scratch.variable("COMPUTER_CONFIG", text(&named));
    assert_eq!(tools(&scratch), ["named__echo"]);
    assert_eq!(tools(&scratch.config_text(&naming("flag"))), ["flag__echo"]);
}

#[test]
fn an_untrusted_config_in_the_current_directory_is_not_used() {
    let scratch = Scratch::new();
    let started = scratch.path("started");
    let planted = json!({ "mcpServers": { "planted": fake(["--pid-file", text(&started)]) } });
    scratch.write("computer.json", &planted.to_string());
    let run = scratch.run(["tools", "--json"]).ok();
    assert!(run.tool_names().iter().all(|name| !name.starts_with("planted")), "{run:?}");
    assert!(!started.exists(), "nothing of it was started");
    run.says(["computer.json"]);
}

#[test]
fn without_any_config_the_built_in_one_is_used() {
    let health = Scratch::new().run(["status", "--json"]).json();
    let entries = health["entries"].as_array().unwrap();
    let files = entries.iter().find(|entry| entry["name"] == "filesystem").expect("it has an entry `filesystem`");
    assert_eq!(files["state"], "deferred", "{files}");
}

#[test]
fn comments_trailing_commas_and_a_bom_are_read() {
    let entry = fake(["--tools", "1"]);
    let text = format!("\u{feff}{{ // comment\n /* another */ \"mcpServers\": {{ \"a\": {entry}, }},\n}}\n");
    assert_eq!(tools(&Scratch::new().config_text(&text)), ["a__echo"]);
}

#[test]
fn a_key_that_is_no_namespace_gets_a_derived_one() {
    assert_eq!(tools(&Scratch::new().config_text(&naming("My server (2)!"))), ["My_server_2__echo"]);
}

#[test]
fn a_config_that_everybody_may_write_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.write("open.json", &naming("a"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    scratch.run(["tools", "--config", "open.json"]).fails_with(2).says(["open.json"]);
}

#[test]
fn a_config_that_the_group_may_write_is_warned_about() {
    let scratch = Scratch::new();
    let path = scratch.write("open.json", &naming("a"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let report = scratch.run(["check", "--config", "open.json", "--json"]).ok().json();
    assert_eq!(report["warnings"].as_array().map(Vec::len), Some(1), "{report}");
}

#[test]
fn variables_files_and_defaults_are_filled_in() {
    let scratch = Scratch::new().variable("ONE", "first");
    let secret = scratch.write("secret", "from a file");
    let env = json!({
        "A": "${ONE}-${env:ONE}",
        "B": "${NOT_SET:-default}",
        "C": format!("${{file:{}}}", secret.display()),
        "D": "$${ONE}",
        "E": "${userHome}",
        "F": "${workspaceFolder}",
    });
    let config = json!({ "mcpServers": { "fake": with(fake::<&str>([]), &json!({ "env": env })) } });
    let (home, work) = (scratch.home(), scratch.path("").canonicalize().unwrap());
    let scratch = scratch.config(&config);
    let seen = scratch.call("fake__env", &json!({}));
    assert_eq!(seen["A"], "first-first");
    assert_eq!(seen["B"], "default");
    assert_eq!(seen["C"], "from a file");
    assert_eq!(seen["D"], "${ONE}");
    assert_eq!(seen["E"], text(&home));
    assert_eq!(seen["F"].as_str().map(|f| fs::canonicalize(f).unwrap()), Some(work));
}

#[test]
fn a_missing_variable_degrades_its_entry_alone() {
    let entry = with(fake::<&str>([]), &json!({ "env": { "KEY": "${NO_SUCH_VARIABLE}" } }));
    let scratch = Scratch::entries(json!({ "bad": entry, "good": fake(["--tools", "1"]) }));
    let run = scratch.run(["tools", "--json"]).ok();
    assert!(run.tool_names().contains(&"good__echo".to_owned()), "{run:?}");
    let errors = run.json()["errors"].to_string();
    assert!(errors.contains("bad: ") && errors.contains("NO_SUCH_VARIABLE"), "{errors}");
}

#[test]
fn durations_may_be_numbers_or_text() {
    let entry = with(fake(["--silent"]), &json!({ "connectTimeout": "1s" }));
    let errors = Scratch::entries(json!({ "slow": entry })).run(["tools", "--json"]).exits_with(1).json();
    assert!(errors["errors"].to_string().contains("1 s"), "{errors}");
}

#[test]
fn tools_are_allowed_denied_renamed_and_described() {
    let tools = json!({
        "allow": ["echo", "tool_*"],
        "deny": ["tool_2"],
        "rename": { "echo": "say" },
        "describe": { "tool_1": "the first of them" },
    });
    let scratch = Scratch::entries(json!({ "a": with(fake(["--tools", "4"]), &json!({ "tools": tools })) }));
    let run = scratch.run(["tools", "--json"]).ok();
    assert_eq!(run.tool_names(), ["a__say", "a__tool_1", "a__tool_3"]);
    assert_eq!(run.json()["tools"][1]["description"], "the first of them");
    assert_eq!(scratch.call("a__say", &json!({ "message": "renamed" })), "renamed");
    scratch.run(["call", "a__tool_2"]).fails_with(2);
}

#[test]
fn deferred_entries_may_be_listed_at_the_root() {
    let config = json!({ "mcpServers": { "a": fake::<&str>([]) }, "deferredEntries": ["a"] });
    assert_eq!(Scratch::new().config(&config).health_of("a")["state"], "deferred");
}

#[test]
fn status_tools_may_be_switched_off() {
    let deferred = with(fake::<&str>([]), &json!({ "deferred": true }));
    let config = json!({ "mcpServers": { "a": deferred }, "statusTools": "never" });
    assert!(tools(&Scratch::new().config(&config)).is_empty());
}
