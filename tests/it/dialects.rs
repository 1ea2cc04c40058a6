//! Files of other programs, loaded as they are.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{
    fake,
    program::{Run, Scratch, text},
};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// What `check` says of a file.
#[track_caller]
fn check(scratch: &Scratch, file: &Path) -> Value {
    scratch.run(["check", "--json", "--config", text(file)]).json()
}

fn names(report: &Value) -> Vec<&str> {
    report["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn the_file_of_every_program_is_told_from_its_path_and_loads_as_it_is() {
    let scratch = Scratch::new();
    for (path, dialect, entries) in [
        ("claude-desktop/claude_desktop_config.json", "claude-desktop", &["filesystem", "on_windows", "shop"][..]),
        ("claude-code/.mcp.json", "claude-code", &["database", "tracker", "events", "signed"]),
        ("claude-code/.claude.json", "claude-code", &["notes", "search"]),
        ("cursor/.cursor/mcp.json", "cursor", &["local", "remote"]),
        ("vscode/.vscode/mcp.json", "vscode", &["perplexity", "github", "untyped"]),
        ("vscode/Code/User/settings.json", "vscode", &["time"]),
        ("windsurf/.codeium/windsurf/mcp_config.json", "windsurf", &["figma", "github"]),
        ("cline/cline_mcp_settings.json", "cline", &["weather", "older", "newer"]),
        ("roo/.roo/mcp.json", "roo", &["local", "remote", "older"]),
        ("gemini/.gemini/settings.json", "gemini", &["python", "newer", "older", "typed", "experimental"]),
        ("codex/.codex/config.toml", "codex", &["docs", "figma"]),
        ("zed/zed/settings.json", "zed", &["local", "older", "remote"]),
        ("opencode/opencode.jsonc", "opencode", &["everything", "context7"]),
        ("opencode/second/opencode.json", "opencode", &["local"]),
        ("goose/goose/config.yaml", "goose", &["github", "remote"]),
    ] {
        let before = fs::read(fixture(path)).unwrap();
        let report = check(&scratch, &fixture(path));
        assert_eq!((&report["dialect"], &report["problems"]), (&json!(dialect), &json!([])), "{path}: {report}");
        assert_eq!(names(&report), entries, "{path}");
        assert_eq!(fs::read(fixture(path)).unwrap(), before, "{path} was rewritten");
    }
}

#[test]
fn check_tells_people_whose_file_it_is_and_what_goes_unused() {
    let run = Scratch::new().run(["check", "--config", text(&fixture("cline/cline_mcp_settings.json"))]);
    let place = "cline_mcp_settings.json:4:7: `mcpServers.weather.autoApprove` grants nothing here";
    run.prints(["(read as a file of Cline)", "what goes unused:", place, "get_forecast, get_alerts"]);
    let report = check(&Scratch::new(), &fixture("roo/.roo/mcp.json"));
    let unused = report["unused"].as_array().unwrap();
    assert!(unused.iter().any(|found| found["message"] == "`mcpServers.local.watchPaths` is not used"), "{report}");
}

/// A scratch with a file of another program in its working directory.
fn with_file(path: &str, content: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write(path, content);
    scratch
}

#[track_caller]
fn environment(scratch: &Scratch, config: &str, tool: &str) -> Value {
    scratch.run(["call", tool, "{}", "--json", "--config", config]).ok().json()
}

#[test]
fn an_entry_of_cursor_starts_with_its_variables_and_all_of_the_environment() {
    let entry = json!({
        "command": fake::path(),
        "args": [],
        "env": { "KEY": "key-${env:SERVICE_KEY}", "PLAIN": "${SERVICE_KEY}", "BOTH": "entry" },
        "envFile": "${workspaceFolder}/.env",
    });
    let scratch = with_file(".cursor/mcp.json", &json!({ "mcpServers": { "my server": entry } }).to_string())
        .variable("SERVICE_KEY", "12345678")
        .variable("ELSE", "inherited");
    scratch.write(".env", "FROM_FILE=\"a file\"\nBOTH=file\n");
    let seen = environment(&scratch, ".cursor/mcp.json", "my_server__env");
    assert_eq!((&seen["KEY"], &seen["PLAIN"]), (&json!("key-12345678"), &json!("${SERVICE_KEY}")), "{seen}");
    assert_eq!((&seen["FROM_FILE"], &seen["BOTH"]), (&json!("a file"), &json!("entry")), "{seen}");
    assert_eq!(seen["ELSE"], "inherited", "{seen}");
}

#[test]
fn a_file_of_variables_is_read_at_each_start_and_missed_when_it_is_not_there() {
    let entry = json!({ "command": fake::path(), "envFile": ".env" });
    let scratch = with_file(".cursor/mcp.json", &json!({ "mcpServers": { "a": entry } }).to_string());
    let run = scratch.run(["tools", "--json", "--config", ".cursor/mcp.json"]).exits_with(1);
    let errors = run.json()["errors"].to_string();
    assert!(errors.contains("envFile") && errors.contains(".env cannot be read"), "{errors}");
}

#[test]
fn an_entry_of_codex_starts_with_its_tools_chosen() {
    let toml = format!(
        "model = \"x\"\n[mcp_servers.box]\ncommand = '{}'\nargs = [\"--tools\", \"3\"]\nenabled_tools = [\"echo\", \
         \"tool_1\"]\ndisabled_tools = [\"tool_1\"]\ntool_timeout_sec = 5\n",
        fake::path().display()
    );
    let scratch = with_file(".codex/config.toml", &toml);
    let run = scratch.run(["tools", "--json", "--config", ".codex/config.toml"]).ok();
    assert_eq!(run.tool_names(), ["box__echo"]);
}

fn vs_code() -> String {
    let env = json!({ "TOKEN": "${input:my-token}", "PORT": 8080, "TAKEN_AWAY": null });
    let entry =
        json!({ "type": "stdio", "command": fake::path(), "args": ["--stderr", "${input:my-token}"], "env": env });
    let input = json!({ "type": "promptString", "id": "my-token", "password": true });
    json!({ "inputs": [input], "servers": { "a": entry } }).to_string()
}

#[test]
fn an_input_of_vs_code_is_a_variable_or_is_asked_for() {
    let scratch = with_file(".vscode/mcp.json", &vs_code());
    let run = scratch.run(["status", "--json", "--config", ".vscode/mcp.json"]);
    let entry = run.json()["entries"][0].clone();
    assert_eq!(entry["state"], "needsInput", "{entry}");
    let error = entry["error"].to_string();
    assert!(error.contains("`my-token`") && error.contains("set the environment variable MY_TOKEN"), "{error}");
    let scratch = scratch.variable("MY_TOKEN", "a-secret-value").variable("TAKEN_AWAY", "there");
    let seen = environment(&scratch, ".vscode/mcp.json", "a__env");
    assert_eq!(seen["PORT"], "8080", "{seen}");
    assert_eq!((&seen["TOKEN"], seen.get("TAKEN_AWAY")), (&json!("a-secret-value"), None), "{seen}");
    let report = scratch.run(["check", "--json", "--config", ".vscode/mcp.json"]).ok();
    assert!(!report.stdout.contains("a-secret-value"), "{report:?}");
}

#[test]
fn nothing_in_the_file_of_another_program_runs_a_program_for_a_value() {
    let entry = json!({ "command": fake::path(), "env": { "A": "${cmd:touch ran}", "B": "${file:.env}" } });
    let text = json!({ "mcpServers": { "a": entry } }).to_string();
    for path in [".cursor/mcp.json", ".mcp.json", "claude_desktop_config.json", ".roo/mcp.json"] {
        let scratch = with_file(path, &text);
        let seen = environment(&scratch, path, "a__env");
        assert_eq!((&seen["A"], &seen["B"]), (&json!("${cmd:touch ran}"), &json!("${file:.env}")), "{path}");
        assert!(!scratch.path("ran").exists(), "{path}");
    }
}

#[test]
fn a_file_elsewhere_is_read_as_what_the_flag_says() {
    let toml = format!("[mcp_servers.a]\ncommand = '{}'\n", fake::path().display());
    let scratch = with_file("my.toml", &toml);
    scratch.run(["tools", "--config", "my.toml"]).fails_with(2).says(["my.toml:1:", "`--dialect`"]);
    let run = scratch.run(["check", "--json", "--config", "my.toml", "--dialect", "codex"]).ok();
    assert_eq!(run.json()["dialect"], "codex");
    scratch.run(["check", "--config", "my.toml", "--dialect", "kodex"]).fails_with(2).says(["kodex", "codex", "goose"]);
    scratch.run(["check", "--dialect", "codex"]).fails_with(2).says(["--dialect codex", "--config"]);
    let named = scratch.variable("COMPUTER_CONFIG", "my.toml");
    named.run(["check", "--dialect", "codex"]).ok();
}

#[track_caller]
fn refused(path: &str, content: &Value) -> Run {
    with_file(path, &content.to_string()).run(["tools", "--config", path]).fails_with(2)
}

#[test]
fn a_file_with_the_keys_of_another_program_says_whose_they_are() {
    let entries = json!({ "a": { "command": "x" } });
    refused("computer.json", &json!({ "servers": entries })).says(["VS Code's files", "--dialect vscode"]);
    let windsurf = json!({ "mcpServers": { "a": { "serverUrl": "https://x" } } });
    refused("computer.json", &windsurf).says(["`serverUrl`", "Windsurf's files", "--dialect windsurf"]);
    refused(".cursor/mcp.json", &json!({ "servers": entries })).says(["VS Code's files", "read as one of Cursor's"]);
    let input = json!({ "mcpServers": { "a": { "command": "${input:k}" } } });
    refused("computer.json", &input).says(["inputs belong to VS Code's files", "--dialect vscode"]);
    let scratch = with_file(".cursor/mcp.json", &windsurf.to_string());
    let said = scratch.run(["check", "--config", ".cursor/mcp.json"]).fails_with(2);
    let needed = "an entry needs `command` or `url`; `serverUrl` belongs to Windsurf's files";
    assert!(said.stdout.contains(needed), "{said:?}");
}

#[test]
fn mistakes_in_toml_and_yaml_have_their_places() {
    let scratch = with_file(".codex/config.toml", "[mcp_servers.a]\ncommand = 7\n");
    let run = scratch.run(["check", "--json", "--config", ".codex/config.toml"]).exits_with(2);
    let problem = run.json()["problems"][0].clone();
    assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(11)), "{problem}");
    assert_eq!(run.json()["dialect"], "codex");
    let scratch = with_file("goose/config.yaml", "extensions:\n  a: {type: stdio, cmd: 7}\n");
    scratch.run(["tools", "--config", "goose/config.yaml"]).fails_with(2).says(["goose/config.yaml:2:25: "]);
}

#[test]
fn a_file_of_another_program_that_everybody_may_write_is_refused() {
    let scratch = with_file(".cursor/mcp.json", r#"{ "mcpServers": {} }"#);
    fs::set_permissions(scratch.path(".cursor/mcp.json"), fs::Permissions::from_mode(0o666)).unwrap();
    scratch.run(["tools", "--config", ".cursor/mcp.json"]).fails_with(2).says(["everybody can write it"]);
}

#[test]
fn the_project_of_claude_code_is_the_directory_that_it_is_started_in() {
    let scratch = Scratch::new();
    let project = scratch.path("").canonicalize().unwrap();
    let entry = json!({ "command": fake::path(), "args": ["--tools", "1"] });
    let projects = json!({ text(&project): { "mcpServers": { "here": entry } }, "/elsewhere": { "mcpServers": {} } });
    let content = json!({ "mcpServers": { "user": entry }, "projects": projects });
    let file = scratch.write("../home/.claude.json", &content.to_string());
    let mut names = scratch.run(["tools", "--json", "--config", text(&file)]).ok().tool_names();
    names.sort();
    assert_eq!(names, ["here__echo", "user__echo"]);
}

#[test]
fn an_entry_with_a_mistake_is_left_out_and_harms_no_other() {
    let scratch = Scratch::new();
    let file = scratch.write(
        ".mcp.json",
        &json!({ "mcpServers": { "good": { "command": fake::path() }, "odd": { "type": "ws", "url": "ws://x" } } })
            .to_string(),
    );
    let report = check(&scratch, &file);
    assert_eq!((names(&report), &report["problems"]), (vec!["good"], &json!([])), "{report}");
    let warning = report["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("WebSocket") && warning.ends_with("the entry is left out"), "{warning}");
    // Where nothing is left it is a mistake.
    let file = scratch.write(".mcp.json", r#"{ "mcpServers": { "odd": { "type": "ws", "url": "ws://x" } } }"#);
    assert!(check(&scratch, &file)["problems"][0]["message"].as_str().unwrap().contains("WebSocket"));
}

#[test]
fn the_workspace_of_an_editors_file_is_its_project_wherever_it_is_read_from() {
    let scratch = Scratch::new();
    let project = scratch.path("project");
    fs::create_dir_all(project.join(".vscode")).unwrap();
    fs::write(project.join(".env"), "K=from the project\n").unwrap();
    let entry = json!({ "command": fake::path(), "envFile": "${workspaceFolder}/.env" });
    let file = project.join(".vscode/mcp.json");
    fs::write(&file, json!({ "servers": { "a": entry } }).to_string()).unwrap();
    let run = scratch.run(["call", "a__env", "{}", "--config", text(&file)]);
    assert!(run.stdout.contains("from the project"), "{run:?}");
    let run = scratch.run(["call", "a__cwd", "{}", "--config", text(&file)]);
    assert!(run.stdout.contains("/project"), "{run:?}");
}
