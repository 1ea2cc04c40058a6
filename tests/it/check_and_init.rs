//! `check` reports every mistake with its place; `init` writes what `check` accepts.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    fake::{self, fake},
    program::{Scratch, text},
    with,
};

const FIVE_MISTAKES: &str = r#"{
  // one of each kind
  "mcpServers": {
    "a": { "comand": "x" },
    "b": { "command": 7 },
    "c": { "type": "shell", "mode": "unrestricted", "timeout": "soon" },
    "d": { "command": "x" },
    "d": { "command": "y" },
  },
  "statusTool": "never",
}
"#;

#[track_caller]
fn problems(config: &str) -> Vec<Value> {
    let report = Scratch::new().config_text(config).run(["check", "--json"]).exits_with(2).json();
    assert_eq!(report["ok"], false, "{report}");
    report["problems"].as_array().unwrap_or_else(|| panic!("no problems: {report}")).clone()
}

/// The only problem that this config has.
#[track_caller]
fn problem(config: &Value) -> String {
    let problems = problems(&config.to_string());
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0]["message"].as_str().expect("a problem has a message").to_owned()
}

#[test]
fn all_five_mistakes_are_reported_at_once_each_with_its_place() {
    let problems = problems(FIVE_MISTAKES);
    let at_line = |line: u64| {
        let mut said = String::new();
        for problem in problems.iter().filter(|problem| problem["line"] == line) {
            assert!(problem["column"].as_u64() >= Some(3), "{problem}");
            assert!(problem["file"].as_str().is_some_and(|file| file.ends_with("config.json")), "{problem}");
            said += problem["message"].as_str().unwrap();
        }
        said
    };
    for (line, parts) in [
        (4, ["`comand`", "`command`"]),
        (5, ["command", "text"]),
        (6, ["timeout", "soon"]),
        (8, ["`d`", "twice"]),
        (10, ["`statusTool`", "`statusTools`"]),
    ] {
        let said = at_line(line);
        assert!(parts.iter().all(|part| said.contains(part)), "line {line} shall say {parts:?}: {problems:#?}");
    }
}

#[test]
fn mistakes_are_told_to_people_as_file_line_and_column() {
    let scratch = Scratch::new().config_text(FIVE_MISTAKES);
    let run = scratch.run(["check"]).exits_with(2);
    let told = run.stdout + &run.stderr;
    for place in ["config.json:4:", "config.json:5:", "config.json:6:", "config.json:8:", "config.json:10:"] {
        assert!(told.contains(place), "`{place}` is missing in:\n{told}");
    }
}

#[test]
fn text_that_is_no_json_is_told_with_its_place() {
    let problems = problems("{\n  \"mcpServers\": {\n    \"a\" 1\n  }\n}\n");
    assert!(problems.iter().any(|problem| problem["line"] == 3), "{problems:?}");
}

#[test]
fn check_prints_what_would_run_and_starts_nothing() {
    let scratch = Scratch::new();
    let started = scratch.path("started");
    let entry = with(
        fake(["--pid-file", text(&started)]),
        &json!({ "env": { "TOKEN": "${MY_TOKEN:-none}" }, "deferred": true }),
    );
    let config = json!({ "mcpServers": { "fake": entry, "sh": { "type": "shell", "mode": "unrestricted" } } });
    let report = scratch.config(&config).run(["check", "--json"]).ok().json();
    assert_eq!((&report["ok"], &report["problems"]), (&json!(true), &json!([])), "{report}");
    let entries = report["entries"].as_array().unwrap();
    let fake = entries.iter().find(|entry| entry["name"] == "fake").unwrap();
    assert_eq!((&fake["kind"], &fake["deferred"]), (&json!("stdio"), &json!(true)), "{fake}");
    assert_eq!(fake["command"], json!([fake::path(), "--pid-file", started]), "{fake}");
    assert!(fake["variables"].to_string().contains("TOKEN"), "{fake}");
    let shell = entries.iter().find(|entry| entry["name"] == "sh").unwrap();
    assert_eq!((&shell["kind"], &shell["deferred"]), (&json!("shell"), &json!(false)), "{shell}");
    assert!(!started.exists(), "check starts no entry");
}

#[test]
fn check_says_where_an_http_entry_is_and_what_is_sent_there() {
    let headers = json!({ "Authorization": "Bearer ${TRACKER_TOKEN:-none}" });
    let entry = json!({ "url": "https://mcp.example.com/mcp", "headers": headers });
    let report = Scratch::entries(json!({ "tracker": entry })).run(["check", "--json"]).ok().json();
    let entry = &report["entries"][0];
    assert_eq!((&entry["kind"], &entry["url"]), (&json!("http"), &json!("https://mcp.example.com/mcp")), "{entry}");
    assert_eq!(entry["variables"], json!(["Authorization"]), "{entry}");
    assert_eq!((&report["dialect"], &report["unused"]), (&json!("computer"), &json!([])), "{report}");
}

#[test]
fn check_says_which_command_would_not_be_found() {
    let scratch = Scratch::entries(json!({ "gone": { "command": "no-such-program-3f" } }));
    let run = scratch.run(["check", "--json"]);
    let entry = run.json()["entries"][0].clone();
    assert!(entry["problem"].as_str().is_some_and(|problem| problem.contains("no-such-program-3f")), "{entry}");
}

#[test]
fn a_package_is_resolved_to_the_program_that_would_run_it() {
    let scratch = Scratch::entries(json!({ "gone": { "command": "npm:some-package@1.2.3", "args": ["-x"] } }));
    let entry = scratch.run(["check", "--json"]).json()["entries"][0].clone();
    let command = entry["command"].to_string();
    assert!(command.contains("npx") && command.contains("\"-y\",\"some-package@1.2.3\",\"-x\""), "{entry}");
}

#[test]
fn a_pattern_that_cannot_be_used_is_told_with_its_entry_and_its_place() {
    let mode = json!({ "allowedPatterns": ["^ls", "^(ls"] });
    let said = problem(&json!({ "mcpServers": { "sh": { "type": "shell", "mode": mode } } }));
    assert!(said.contains("mcpServers.sh.mode.allowedPatterns[1]") && said.contains("`^(ls`"), "{said}");
}

#[test]
fn a_shell_without_a_mode_is_refused() {
    let said = problem(&json!({ "mcpServers": { "sh": { "type": "shell" } } }));
    assert!(said.contains("mode"), "{said}");
}

#[test]
fn keys_of_abilities_that_are_not_built_yet_are_refused_as_such() {
    let said = problem(&json!({ "mcpServers": {}, "serve": { "toolMode": "search" } }));
    assert!(said.contains("toolMode") && said.contains("yet"), "{said}");
}

#[test]
fn keys_that_derive_the_same_namespace_are_refused_with_both_names() {
    let said = problem(&json!({ "mcpServers": { "my server": fake::<&str>([]), "my.server": fake::<&str>([]) } }));
    assert!(said.contains("my server") && said.contains("my.server"), "{said}");
}

#[test]
fn init_writes_a_commented_config_that_check_accepts() {
    let scratch = Scratch::new();
    scratch.run(["init"]).ok();
    let written = fs::read_to_string(scratch.path("computer.json")).unwrap();
    assert!(written.contains("//"), "it is commented:\n{written}");
    let report = scratch.run(["check", "--config", "computer.json", "--json"]).ok().json();
    assert_eq!((&report["ok"], &report["warnings"]), (&json!(true), &json!([])), "{report}");
}

#[test]
fn init_writes_where_it_is_told() {
    let scratch = Scratch::new();
    scratch.run(["init", "mine.json"]).ok();
    scratch.run(["check", "--config", "mine.json"]).ok();
    assert!(!scratch.path("computer.json").exists());
}

#[test]
fn init_does_not_overwrite() {
    let scratch = Scratch::new();
    let mine = scratch.write("computer.json", "mine");
    scratch.run(["init"]).fails().says(["computer.json"]);
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
}
