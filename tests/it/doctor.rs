//! `computer doctor`: what this machine lacks is told with its cure, and nothing is changed by looking.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{
    fake::fake,
    http_client::Daemon,
    program::{Scratch, run, text},
    with,
};

/// What was found of one thing.
#[track_caller]
fn check(report: &Value, name: &str) -> Value {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no checks: {report}"));
    let found = checks.iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("`{name}` was not looked at: {report}")).clone()
}

/// It must stand so, and these words must be in what is said of it.
#[track_caller]
fn stands(report: &Value, name: &str, level: &str, words: &[&str]) {
    let check = check(report, name);
    let said = check.to_string();
    assert!(check["level"] == level && words.iter().all(|word| said.contains(word)), "{level} {words:?}: {check}");
    assert_eq!(check["cure"].is_string(), level != "ok", "{check}");
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A scratch whose user has these programs before all others.
fn with_programs(scratch: Scratch, programs: &[(&str, &str)]) -> Scratch {
    let bin = scratch.home().join("tools");
    for (name, lines) in programs {
        script(&bin.join(name), lines);
    }
    fs::write(scratch.home().join(".bash_profile"), format!("export PATH={}:$PATH\n", text(&bin))).unwrap();
    scratch
}

/// Every file and directory below.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.clone());
        if path.is_dir() {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

const LOOKED_AT: [&str; 16] = [
    "program",
    "guard",
    "open files",
    "state",
    "token",
    "disk",
    "runtime directory",
    "daemon",
    "config",
    "environment",
    "PATH",
    "node",
    "npx",
    "uvx",
    "python3",
    "chrome",
];

#[test]
fn everything_is_looked_at_and_nothing_is_started_or_changed() {
    let scratch = Scratch::new();
    let started = scratch.path("started");
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": fake(["--pid-file", text(&started)]) } }));
    let before = (files(&scratch.home()), files(&scratch.path("")));
    let report = scratch.run(["doctor", "--json"]).ok().json();
    assert_eq!(report["ok"], true);
    for name in LOOKED_AT {
        check(&report, name);
    }
    stands(&report, "program", "ok", &[env!("CARGO_PKG_VERSION"), env!("CARGO_BIN_EXE_computer")]);
    stands(&report, "guard", "ok", &["process "]);
    stands(&report, "config", "ok", &["config.json (mode "]);
    stands(&report, "state", "ok", &["made when it is needed"]);
    stands(&report, "token", "ok", &["none yet"]);
    stands(&report, "environment", "ok", &["`/bin/bash -l -i`"]);
    stands(&report, "entry fake", "ok", &["fake_server"]);
    assert_eq!((files(&scratch.home()), files(&scratch.path(""))), before);
    assert!(!started.exists());
}

#[test]
fn people_get_a_line_each_and_programs_run_it_with_an_empty_environment() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let mut command = scratch.command(["doctor"]);
    // Of a user that has a home in the user database, it would be that one.
    command.env_clear().env("HOME", scratch.home());
    let ended = run(command, "").ok();
    for name in LOOKED_AT {
        let is_it = |line: &&str| line.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(&format!("{name}  ")));
        assert_eq!(ended.stdout.lines().filter(is_it).count(), 1, "{name}: {}", ended.stdout);
    }
    assert!(ended.stdout.trim_end().lines().last().unwrap().starts_with("0 problems, "), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\x1b'));
}

#[test]
fn what_an_entry_needs_is_a_problem_and_the_rest_is_a_warning() {
    let programs = [("node", "echo v18.20.4"), ("python3", "echo broken >&2; exit 3")];
    let scratch = with_programs(Scratch::entries(json!({ "fake": fake::<&str>([]) })), &programs);
    let report = scratch.run(["doctor", "--json"]).ok().json();
    stands(&report, "node", "warning", &["v18.20.4 at ", "install Node.js 20 or newer"]);
    stands(&report, "python3", "warning", &["--version` failed", "install Python 3"]);

    let entries = json!({ "js": { "command": "node", "args": ["server.js"] } });
    let scratch = with_programs(Scratch::entries(entries), &programs);
    let report = scratch.run(["doctor", "--json"]).exits_with(1).json();
    assert_eq!(report["ok"], false);
    stands(&report, "node", "problem", &["v18.20.4 at ", "install Node.js 20 or newer"]);
    stands(&report, "python3", "warning", &["failed"]);
}

#[test]
fn a_program_that_does_not_answer_keeps_nobody_waiting() {
    let scratch = with_programs(Scratch::entries(json!({})), &[("uvx", "exec sleep 600"), ("node", "exec sleep 600")]);
    let report = scratch.run(["doctor", "--json"]).ok().json();
    for name in ["uvx", "node"] {
        stands(&report, name, "warning", &["gave no answer within 5s"]);
    }
}

#[test]
fn a_command_that_cannot_be_found_is_a_problem_unless_it_waits_until_it_is_asked_for() {
    let gone = json!({ "command": "no-such-program-3f" });
    let scratch = Scratch::entries(json!({ "gone": gone, "off": with(gone.clone(), &json!({ "disabled": true })) }));
    let run = scratch.run(["doctor", "--json"]).exits_with(1);
    stands(&run.json(), "entry gone", "problem", &["no-such-program-3f"]);
    stands(&run.json(), "entry off", "ok", &["disabled"]);
    let scratch = Scratch::entries(json!({ "gone": with(gone, &json!({ "deferred": true })) }));
    stands(&scratch.run(["doctor", "--json"]).ok().json(), "entry gone", "warning", &["no-such-program-3f"]);
}

#[test]
fn a_config_that_cannot_be_used_is_a_problem_and_the_rest_is_looked_at_all_the_same() {
    let report = Scratch::new().config_text("{ \"a\": 1, \"b\": 2 }").run(["doctor", "--json"]).exits_with(1).json();
    stands(&report, "config", "problem", &["2 mistakes", "config.json:1:3", "`computer check`"]);
    check(&report, "node");
    let report = Scratch::new().run(["doctor", "--json", "--config", "no.json"]).exits_with(1).json();
    stands(&report, "config", "problem", &["there is no config file `no.json`", "`computer init` writes one"]);
}

#[test]
fn a_token_or_a_state_that_others_can_read_is_a_problem() {
    let scratch = Scratch::entries(json!({}));
    scratch.run(["connect", "--http"]).ok();
    let state = scratch.home().join(".local/state");
    let token = files(&state).into_iter().find(|path| path.ends_with("token")).unwrap();
    stands(&scratch.run(["doctor", "--json"]).ok().json(), "token", "ok", &["for us alone"]);
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    chmod(&token, 0o644);
    let report = scratch.run(["doctor", "--json"]).exits_with(1).json();
    stands(&report, "token", "problem", &["others may use it (mode 644)", "remove it"]);
    chmod(&token, 0o600);
    chmod(token.parent().unwrap(), 0o755);
    let report = scratch.run(["doctor", "--json"]).exits_with(1).json();
    stands(&report, "state", "problem", &["others may use it (mode 755)", "`chmod 700` it"]);
}

#[test]
fn a_daemon_that_runs_is_found() {
    let scratch = Scratch::entries(json!({}));
    stands(&scratch.run(["doctor", "--json"]).ok().json(), "daemon", "ok", &["none runs"]);
    let daemon = Daemon::start(&scratch);
    let report = scratch.run(["doctor", "--json"]).ok().json();
    stands(&report, "daemon", "ok", &[&format!("process {}, ", daemon.daemon()), "answers"]);
}

#[test]
fn a_chrome_that_the_config_wants_and_nobody_finds_is_a_problem() {
    let config = json!({ "chrome": {}, "mcpServers": {} });
    let scratch = Scratch::new().config(&config).variable("CHROME_PATH", "/no/such/chrome");
    let report = scratch.run(["doctor", "--json"]).exits_with(1).json();
    stands(&report, "chrome", "problem", &["CHROME_PATH"]);
    let scratch = Scratch::entries(json!({})).variable("CHROME_PATH", "/no/such/chrome");
    stands(&scratch.run(["doctor", "--json"]).ok().json(), "chrome", "warning", &["CHROME_PATH"]);
}

#[test]
fn a_shell_that_does_not_tell_its_environment_is_warned_of() {
    let scratch = Scratch::entries(json!({}));
    fs::write(scratch.home().join(".bash_profile"), "exit 1\n").unwrap();
    let report = scratch.run(["doctor", "--json"]).ok().json();
    stands(&report, "environment", "warning", &["the user's environment is unknown", "start-up files"]);
}

#[test]
fn secrets_of_entries_are_not_shown() {
    let entry = with(fake(["--flag", "${env:SEKRET}"]), &json!({ "env": { "KEY": "${env:SEKRET}" } }));
    let scratch = Scratch::entries(json!({ "fake": entry })).variable("SEKRET", "hunter2hunter2");
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        let run = scratch.run(arguments.to_vec()).ok();
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2"), "{run:?}");
    }
}
