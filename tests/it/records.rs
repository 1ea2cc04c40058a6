//! What the daemon writes down: the logs of entries, who called what, how often, and what becomes of it on a full disk.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use mcp_computer::{
    CallContext, Computer, Logs, Origin, Records,
    config::{AuditArguments, AuditConfig},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake::{fake, path},
    http_client::{Ask, Caller, Daemon},
    library::{Fake, made_of, scripted, sent, server, until, up, within},
    procs::{self, eventually},
    program::{Scratch, text},
    with,
};

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The text of the record of that name, as it is now.
fn record(home: &Path, name: &str) -> String {
    let found = files(&home.join(".local/state")).into_iter().find(|path| path.ends_with(name));
    found.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// The lines of the audit log, each of which must be an object of its own.
#[track_caller]
fn audit(home: &Path) -> Vec<Value> {
    let text = record(home, "audit/audit.jsonl");
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Waits for a line of the audit log in which these members are.
#[track_caller]
fn noted(home: &Path, members: &Value) -> Value {
    let mut found = None;
    eventually(&format!("the audit log has {members}"), || {
        let is = |line: &&Value| members.as_object().unwrap().iter().all(|(key, value)| line[key] == *value);
        found = audit(home).iter().find(is).cloned();
        found.is_some()
    });
    found.expect("it was found")
}

fn time_of(line: &str) -> &str {
    let time = line.split(' ').next().unwrap_or_default();
    let is_time = time.len() == 24 && time.starts_with("20") && time.ends_with('Z') && time.as_bytes()[10] == b'T';
    assert!(is_time, "a line begins with its time: {line}");
    time
}

#[test]
fn calls_and_what_becomes_of_servers_are_in_the_audit_log() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let home = scratch.home();
    let mut client = Client::connect(&scratch);
    client.call("fake__echo", &json!({ "message": "sentinel-of-arguments" }));
    let done = noted(&home, &json!({ "kind": "call", "tool": "fake__echo" }));
    assert_eq!((&done["entry"], &done["verdict"]), (&json!("fake"), &json!("done")), "{done}");
    let client_of = &done["client"];
    assert_eq!((&client_of["name"], &client_of["front"]), (&json!("test/0"), &json!("stdio")), "{done}");
    assert!(done["durationMs"].is_u64() && done["resultBytes"].as_u64() > Some(20), "{done}");
    assert!(done["arguments"].as_str().unwrap().starts_with("sha256:"), "{done}");
    client.request("tools/call", json!({ "name": "fake__is_error", "arguments": {} }));
    noted(&home, &json!({ "tool": "fake__is_error", "verdict": "failed", "error": "tool" }));
    client.request("tools/call", json!({ "name": "fake__error", "arguments": {} }));
    noted(&home, &json!({ "tool": "fake__error", "verdict": "failed", "error": "server: error -32050" }));
    client.request("tools/call", json!({ "name": "fake__no_such", "arguments": {} }));
    noted(&home, &json!({ "tool": "fake__no_such", "verdict": "refused", "rule": "unknownTool" }));
    client.request("tools/call", json!({ "name": "nobody__has", "arguments": {} }));
    noted(&home, &json!({ "tool": "nobody__has", "verdict": "refused", "rule": "unknownTool" }));
    client.call("fake__add_tool", &json!({ "name": "later" }));
    let added = noted(&home, &json!({ "kind": "definition", "entry": "fake", "verdict": "added" }));
    assert_eq!(added["tool"], "fake__later");
    let id = client.ask_tool("fake__hang", &json!({}));
    client.call("fake__echo", &json!({}));
    client.notify("notifications/cancelled", &json!({ "requestId": id }));
    noted(&home, &json!({ "tool": "fake__hang", "verdict": "cancelled" }));
    let spawned = noted(&home, &json!({ "kind": "spawn", "entry": "fake" }));
    assert!(spawned["command"].as_str().unwrap().ends_with("fake_server"), "{spawned}");
    client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    noted(&home, &json!({ "tool": "fake__crash", "verdict": "failed" }));
    let exited = noted(&home, &json!({ "kind": "exit", "pid": spawned["pid"] }));
    assert_eq!(exited["how"], "was ended by signal 6 (SIGABRT)");
    client.leave();
    let pids = |kind: &str| -> BTreeSet<u64> {
        audit(&home).iter().filter(|line| line["kind"] == kind).map(|line| line["pid"].as_u64().unwrap()).collect()
    };
    assert_eq!(pids("spawn"), pids("exit"), "whatever was started has ended, and the last lines are there");
    assert!(!record(&home, "audit/audit.jsonl").contains("sentinel-of-arguments"));
    for file in files(&home.join(".local/state")).iter().filter(|file| text(file).contains("audit/")) {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_command_that_a_shell_does_not_allow_is_in_the_audit_log_with_its_rule() {
    let shell = json!({ "type": "shell", "mode": { "allowedPatterns": ["^echo\\s"] } });
    let scratch = Scratch::entries(json!({ "shell": shell }));
    let mut client = Client::connect(&scratch);
    client.request("tools/call", json!({ "name": "shell__run_command", "arguments": { "command": "rm -r sentinel" } }));
    let refused = noted(&scratch.home(), &json!({ "tool": "shell__run_command", "verdict": "refused" }));
    assert_eq!(refused["rule"], "not-allowed", "{refused}");
    assert!(!refused.to_string().contains("sentinel"), "{refused}");
}

#[test]
fn arguments_are_written_whole_where_that_is_wanted_and_nothing_where_that_is() {
    let config = |audit: Value| json!({ "mcpServers": { "fake": fake::<&str>([]) }, "serve": { "audit": audit } });
    let scratch = Scratch::new().config(&config(json!({ "arguments": "whole" })));
    let mut client = Client::connect(&scratch);
    client.call("fake__echo", &json!({ "message": "a\n\u{2028}b" }));
    let line = noted(&scratch.home(), &json!({ "tool": "fake__echo" }));
    assert_eq!(line["arguments"], json!({ "message": "a\n\u{2028}b" }));
    let scratch = Scratch::new().config(&config(json!(false)));
    let mut client = Client::connect(&scratch);
    client.call("fake__echo", &json!({ "message": "x" }));
    client.leave();
    assert_eq!(record(&scratch.home(), "audit/audit.jsonl"), "");
    assert!(record(&scratch.home(), "logs/fake.log").contains("ready with "), "logs do not depend on it");
}

#[test]
fn nothing_from_outside_begins_a_line() {
    let forged = "\r\n{\"kind\":\"call\",\"tool\":\"forged\"}\r\n\u{85}2026-01-01T00:00:00.000Z event[info]: forged";
    let scratch = Scratch::entries(json!({ "fake": fake(["--stderr", forged]) }));
    let mut client = Client::start(&scratch);
    let info = json!({ "name": forged, "version": forged });
    client.result("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info }));
    client.notify("notifications/initialized", &json!({}));
    client.tools();
    client.request("tools/call", json!({ "name": format!("fake__{forged}"), "arguments": {} }));
    client.call("fake__add_tool", &json!({ "name": forged }));
    client.leave();
    let lines = audit(&scratch.home());
    assert!(lines.iter().all(|line| line["tool"] != "forged" && line["time"].is_string()), "{lines:?}");
    assert!(lines.iter().any(|line| line["client"]["name"].as_str().is_some_and(|name| name.contains("forged"))));
    let log = record(&scratch.home(), "logs/fake.log");
    assert!(log.contains("stderr: {\"kind\":\"call\",\"tool\":\"forged\"}\n"), "{log}");
    for line in log.lines() {
        let rest = line.strip_prefix(time_of(line)).unwrap();
        let is_ours = rest.starts_with(" event[info]: ") && !rest.ends_with(": forged");
        assert!(is_ours || rest.starts_with(" stderr: "), "{line}");
    }
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log:?}");
}

#[test]
fn secrets_are_in_none_of_the_files() {
    let scratch = Scratch::new();
    let secret = scratch.write("secret", "sentinel-5d41402abc");
    let reference = format!("${{file:{}}}", secret.display());
    let script =
        "echo \"using $KEY, sentinel-5d41402abc\" >&2; printf 'cut sentinel-5d4' >&2; exec \"$0\" --stderr \"$1\"";
    let entry = with(
        json!({ "command": "bash", "args": ["-c", script, path(), &reference] }),
        &json!({ "env": { "KEY": &reference } }),
    );
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": entry } }));
    let mut client = Client::connect(&scratch);
    client.call("fake__echo", &json!({ "message": "sentinel-5d41402abc" }));
    client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    client.leave();
    let log = record(&scratch.home(), "logs/fake.log");
    assert!(log.contains("stderr: using ***, ***\n"), "{log}");
    for file in files(&scratch.home()) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains("sentinel-5d41402abc"), "{}: {text}", file.display());
    }
}

#[test]
fn two_daemons_of_one_identity_write_to_the_same_files_and_lose_nothing() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let mut clients = [Client::connect(&scratch), Client::connect(&scratch)];
    for number in 0..50 {
        for client in &mut clients {
            client.call("fake__echo", &json!({ "message": number.to_string() }));
        }
    }
    clients.into_iter().for_each(Client::leave);
    let calls = audit(&scratch.home()).iter().filter(|line| line["tool"] == "fake__echo").count();
    assert_eq!(calls, 100);
}

/// `computer serve --stdio` whose state lies on a small disk of its own, and where that is seen from outside. None, and
/// that is said, where disks cannot be mounted.
fn on_a_small_disk(scratch: &Scratch) -> Option<(Client, PathBuf)> {
    let can = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.is_ok_and(|tried| tried.status.success()) {
        eprintln!("SKIPPED: nothing can be mounted here, so that there is no small disk to fill");
        return None;
    }
    let mount =
        "mkdir -p \"$XDG_STATE_HOME\" && mount -t tmpfs -o size=256k none \"$XDG_STATE_HOME\" && exec \"$0\" \"$@\"";
    let mut command = scratch.other("unshare".as_ref());
    let served = scratch.command(["serve", "--stdio"]);
    command.args(["-m", "sh", "-c", mount]).arg(served.get_program()).args(served.get_args());
    let client = Client::of(scratch, command);
    let home = PathBuf::from(format!("/proc/{}/root{}", client.guard(), text(&scratch.home())));
    Some((client, home))
}

/// Fills the disk.
fn fill(home: &Path) -> PathBuf {
    let filler = home.join(".local/state/filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    filler
}

#[test]
fn a_full_disk_is_said_once_and_survived() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let Some((mut client, home)) = on_a_small_disk(&scratch) else { return };
    client.initialize("2025-11-25");
    client.tools();
    client.call("fake__echo", &json!({}));
    noted(&home, &json!({ "tool": "fake__echo" }));
    let filler = fill(&home);
    let mut calls = 0;
    eventually("it says that the disk is full", || {
        calls += 1;
        client.call("fake__echo", &json!({ "message": "still there" }));
        client.stderr().contains("cannot be written")
    });
    assert!(client.stderr().contains("make room there"), "{}", client.stderr());
    for _ in 0..50 {
        client.call("fake__echo", &json!({}));
    }
    audit(&home);
    fs::remove_file(filler).unwrap();
    client.call("fake__echo", &json!({}));
    noted(&home, &json!({ "kind": "lost" }));
    client.says("can be written again");
    assert_eq!(client.stderr().matches("cannot be written").count(), 1, "{}", client.stderr());
    eventually("each line is there or counted", || {
        let lines = audit(&home);
        let written = lines.iter().filter(|line| line["tool"] == "fake__echo").count() as u64;
        let lost: u64 = lines.iter().filter_map(|line| line["lines"].as_u64()).sum();
        written + lost == calls + 52
    });
}

#[test]
fn no_call_is_made_that_cannot_be_written_down_where_that_is_required() {
    let config = json!({ "mcpServers": { "fake": fake::<&str>([]) }, "serve": { "audit": "require" } });
    let scratch = Scratch::new().config(&config);
    let Some((mut client, home)) = on_a_small_disk(&scratch) else { return };
    client.initialize("2025-11-25");
    client.tools();
    client.call("fake__echo", &json!({}));
    let verdicts: Vec<Value> =
        audit(&home).iter().filter(|line| line["kind"] == "call").map(|line| line["verdict"].clone()).collect();
    assert_eq!(verdicts[0], "begun");
    let filler = fill(&home);
    let mut refused = String::new();
    eventually("calls are refused", || {
        let answer = client.request("tools/call", json!({ "name": "fake__echo", "arguments": {} }));
        refused = answer["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        answer["result"]["isError"] == true
    });
    assert!(refused.contains("the call was not made: the audit log cannot be written"), "{refused}");
    assert!(refused.contains("make room there") && refused.contains("`serve.audit`"), "{refused}");
    fs::remove_file(filler).unwrap();
    client.call("fake__echo", &json!({}));
}

#[test]
fn what_is_counted_is_told_to_prometheus() {
    let scratch = Scratch::entries(
        json!({ "fake": fake::<&str>([]), "off": with(fake::<&str>([]), &json!({ "disabled": true })) }),
    );
    let daemon = Daemon::start(&scratch);
    let mut caller = Caller::legacy(daemon.address());
    caller.tools();
    caller.call_text("fake__echo", &json!({ "message": "x" }));
    caller.request("tools/call", json!({ "name": "fake__error", "arguments": {} }));
    caller.request("tools/call", json!({ "name": "nobody__has", "arguments": {} }));
    let hanging = caller.open_tool("fake__hang", &json!({}));
    let mut text = String::new();
    let expected = [
        "mcp_computer_build_info{version=\"",
        "mcp_computer_calls_total{entry=\"fake\"} 2\n",
        "mcp_computer_calls_in_flight{entry=\"fake\"} 1\n",
        "mcp_computer_call_errors_total{entry=\"fake\",kind=\"server\"} 1\n",
        "mcp_computer_call_errors_total{entry=\"\",kind=\"unknownTool\"} 1\n",
        "mcp_computer_call_duration_seconds_bucket{entry=\"fake\",le=\"+Inf\"} 2\n",
        "mcp_computer_call_duration_seconds_count{entry=\"fake\"} 2\n",
        "mcp_computer_entry_state{entry=\"fake\",state=\"ready\"} 1\n",
        "mcp_computer_entry_state{entry=\"fake\",state=\"waiting\"} 0\n",
        "mcp_computer_entry_state{entry=\"off\",state=\"disabled\"} 1\n",
        "mcp_computer_entry_restarts_total{entry=\"fake\"} 0\n",
        "mcp_computer_processes{entry=\"fake\"} 1\n",
        "mcp_computer_resident_memory_bytes{entry=\"fake\"} ",
        "mcp_computer_client_sessions 1\n",
        "mcp_computer_lost_lines_total{of=\"audit\"} 0\n",
    ];
    eventually("everything is counted", || {
        let mut reply = Ask::new("GET", "/metrics").send(daemon.address());
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8"))
        );
        text = reply.body();
        expected.iter().all(|line| text.contains(line))
    });
    drop(hanging);
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let once: BTreeSet<&str> = families.iter().copied().collect();
    assert_eq!(families.len(), once.len(), "each family is told once: {families:?}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

/// The texts of what comes until one is this.
async fn heard(logs: &mut Logs, last: &str) -> Vec<String> {
    let mut texts = Vec::new();
    while !texts.last().is_some_and(|text: &String| text.contains(last)) {
        let line = within("a line", logs.next()).await.expect("it is not over");
        texts.push(line.text);
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_entry_tells_what_it_says_and_what_happens_to_it() {
    let fake = Fake::begun(["--stderr", "hello"], |entry| entry);
    within("the start", fake.computer.start()).await.unwrap();
    let mut logs = fake.computer.logs("fake").unwrap();
    let before: Vec<String> = logs.recent().iter().map(ToString::to_string).collect();
    let before = before.join("\n");
    for part in [" stderr: hello", " event[info]: is being started\n", " event[info]: started with pid "] {
        assert!(before.contains(part), "{part}: {before}");
    }
    if !before.contains("ready with ") {
        heard(&mut logs, "ready with ").await;
    }
    within("a call", sent(&fake.computer, "fake__log", CallContext::default())).await.unwrap();
    fake.kill();
    let texts = heard(&mut logs, "ready with ").await.join("\n");
    for part in ["waiting: ", "was ended by signal 9 (SIGKILL)", "restart 1", "started with pid ", "hello"] {
        assert!(texts.contains(part), "{part}: {texts}");
    }
    within("removing", fake.computer.remove_entry("fake")).await;
    let texts: Vec<String> = within("the end of the log", async {
        let mut texts = Vec::new();
        while let Some(line) = logs.next().await {
            texts.push(line.text);
        }
        texts
    })
    .await;
    assert!(texts.iter().any(|text| text.contains("the process ")), "{texts:?}");
    fake.computer.logs("fake").unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn log_messages_of_servers_are_in_the_log_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "hunter2-hunter2").unwrap();
    let call = r#"call() { notify message "{\"level\":\"error\",\"logger\":\"db\",\"data\":\"no $KEY\"}"
        notify message "{\"level\":\"info\",\"data\":{\"a\":\"$KEY\"}}"; succeed; }"#;
    let entry = scripted(call).env("KEY", format!("${{file:{}}}", file.display()));
    let computer = up([("fake", entry)]).await;
    let mut logs = computer.logs("fake").unwrap();
    within("a call", computer.call("fake__act", &json!({}))).await.unwrap();
    let mut line = within("a line", logs.next()).await.unwrap();
    while line.source == Origin::Event {
        line = within("a line", logs.next()).await.unwrap();
    }
    assert_eq!(
        (line.source, line.level.as_deref(), line.text.as_str()),
        (Origin::Message, Some("error"), "db: no ***")
    );
    let line = within("a line", logs.next()).await.unwrap();
    assert_eq!((line.level.as_deref(), line.text.as_str()), (Some("info"), "{\"a\":\"***\"}"));
    within("the stop", computer.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_by_hand_is_in_the_audit_log_of_a_computer_that_keeps_records() {
    let dir = tempfile::tempdir().unwrap();
    let computer = up([("fake", server::<&str>([]))]).await;
    computer.keep_records(Records::new(dir.path().join("new/state"))).unwrap();
    computer.keep_records(Records::new(dir.path())).unwrap_err();
    computer.audit_control("cli uid 0\n", ("restart", Some("fake")), Ok(()));
    computer.audit_control("web", ("remove", None), Err("there is none"));
    within("the stop", computer.stop()).await;
    let text = fs::read_to_string(dir.path().join("new/state/audit/audit.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["client"]["name"], "cli uid 0\\u{a}");
    assert_eq!(
        (&lines[0]["verb"], &lines[0]["target"], &lines[0]["verdict"]),
        (&json!("restart"), &json!("fake"), &json!("done"))
    );
    assert_eq!((&lines[1]["verdict"], &lines[1]["error"]), (&json!("failed"), &json!("there is none")));
    assert!(lines.iter().any(|line| line["kind"] == "exit"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_floods_its_stderr_is_neither_slowed_down_nor_kept() {
    let dir = tempfile::tempdir().unwrap();
    let computer = Computer::new(mcp_computer::ComputerConfig::new());
    computer.keep_records(Records::new(dir.path())).unwrap();
    within("the start", computer.start()).await.unwrap();
    let flood = server(["--stderr-flood", &(64 << 20).to_string()]);
    within("adding", computer.add_entry("fake", flood, mcp_computer::AddOptions::default())).await.unwrap();
    assert_eq!(computer.entry_health("fake").unwrap().state, "ready");
    within("the stop", computer.stop()).await;
    let kept: u64 = files(dir.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(kept < 12 << 20, "{kept} bytes are kept");
}

#[test]
fn a_program_beside_the_entries_has_a_log_and_shows_in_the_audit_log() {
    let program = json!({ "command": "sh", "args": ["-c", "echo out; echo err >&2; exec sleep 1000"] });
    let config = json!({ "mcpServers": { "fake": fake::<&str>([]) }, "managedProcesses": { "helper": program } });
    let scratch = Scratch::new().config(&config);
    let client = Client::connect(&scratch);
    let home = scratch.home();
    let spawned = noted(&home, &json!({ "kind": "spawn", "entry": "program.helper" }));
    procs::signal(i32::try_from(spawned["pid"].as_i64().unwrap()).unwrap(), Signal::SIGKILL);
    let exited = noted(&home, &json!({ "kind": "exit", "entry": "program.helper" }));
    assert_eq!((&exited["pid"], &exited["how"]), (&spawned["pid"], &json!("was ended by signal 9 (SIGKILL)")));
    eventually("its words are in its log", || {
        let log = record(&home, "logs/program.helper.log");
        log.contains(" stdout: out\n") && log.contains(" stderr: err\n") && log.contains("event[info]: ready\n")
    });
    client.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_what_keeps_records_from_being_written() {
    let computer = up([("fake", server::<&str>([]))]).await;
    assert_eq!(within("health", computer.health()).await.record_problems, [""; 0]);
    computer.keep_records(Records::new("/dev/null/nowhere")).unwrap();
    within("a call", computer.call("fake__echo", &json!({ "message": "x" }))).await.unwrap();
    let told = || async { computer.health().await.record_problems.join("\n") };
    until("it is told", async || told().await.contains("the audit log cannot be written: `/dev/null/nowhere/")).await;
    let told = told().await;
    assert!(told.contains("could not be written since the start"), "{told}");
    assert!(within("a call", computer.call("fake__echo", &json!({ "message": "x" }))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_down_of_calls_follows_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let computer = up([("fake", server::<&str>([]))]).await;
    computer.keep_records(Records::new(dir.path())).unwrap();
    for (on, message) in [(true, "first"), (false, "second"), (true, "third")] {
        let mut config = computer.config().as_ref().clone();
        config.serve.audit = AuditConfig { on, arguments: AuditArguments::Whole, ..AuditConfig::default() };
        within("applying", computer.apply(config)).await;
        within("a call", computer.call("fake__echo", &json!({ "message": message }))).await.unwrap();
    }
    within("the stop", computer.stop()).await;
    let text = fs::read_to_string(dir.path().join("audit/audit.jsonl")).unwrap();
    let told = ["first", "second", "third"].map(|message| text.contains(message));
    assert_eq!(told, [true, false, true], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    // Who writes waits for its turn, which does not come.
    let turn = fs::File::open(dir.path()).unwrap();
    turn.lock().unwrap();
    let flood = || scripted("yes \"$(printf %0500d 7)\" | head -c 3000000 >&2");
    let computer = made_of([("a", flood()), ("b", flood()), ("c", flood())]);
    computer.keep_records(Records::new(dir.path())).unwrap();
    within("the start", computer.start()).await.unwrap();
    until("it is told", async || {
        within("a call", computer.call("a__act", &json!({}))).await.unwrap();
        computer.health().await.record_problems.join("\n").contains("the disk is too slow")
    })
    .await;
    let begun = Instant::now();
    within("the stop", computer.stop()).await;
    drop(computer);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn calls_beyond_what_a_client_may_have_are_in_the_audit_log() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let mut client = Client::connect(&scratch);
    let asked: Vec<Value> = (0..1089).map(|_| client.ask_tool("fake__hang", &json!({}))).collect();
    let answer = client.answer(asked.last().unwrap()).json;
    assert!(answer["error"]["message"].as_str().unwrap().contains("wait for their turn"), "{answer}");
    let refused = noted(&scratch.home(), &json!({ "tool": "fake__hang", "verdict": "refused" }));
    assert_eq!((&refused["rule"], &refused["client"]["name"]), (&json!("overLimit"), &json!("test/0")), "{refused}");
}

/// A directory stands where the audit log was.
fn in_the_way(home: &Path) -> PathBuf {
    let log = files(&home.join(".local/state")).into_iter().find(|path| path.ends_with("audit/audit.jsonl")).unwrap();
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    log
}

#[test]
fn a_machine_that_makes_no_call_is_not_healthy() {
    let config = json!({ "mcpServers": { "fake": fake::<&str>([]) }, "serve": { "audit": "require" } });
    let scratch = Scratch::new().config(&config);
    let daemon = Daemon::start(&scratch);
    let healthy = || scratch.run(["status", "--json"]).json()["healthy"] == true;
    eventually("it is healthy", healthy);
    let mut caller = Caller::legacy(daemon.address());
    caller.call_text("fake__pid", &json!({}));
    let log = in_the_way(&scratch.home());
    eventually("calls are refused", || {
        caller.request("tools/call", json!({ "name": "fake__echo", "arguments": {} }))["result"]["isError"] == true
    });
    let said = scratch.run(["status"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.contains("! logs and the audit log cannot be written") && said.stdout.contains("unhealthy"));
    fs::remove_dir(&log).unwrap();
    eventually("it is healthy again", || {
        caller.request("tools/call", json!({ "name": "fake__echo", "arguments": {} }));
        healthy()
    });
}

#[test]
fn a_call_without_a_daemon_is_written_down_where_that_is_required() {
    let config = json!({ "mcpServers": { "fake": fake::<&str>([]) }, "serve": { "audit": "require" } });
    let scratch = Scratch::new().config(&config);
    scratch.run(["call", "fake__pid"]).ok();
    assert!(audit(&scratch.home()).iter().any(|line| line["tool"] == "fake__pid"));
    in_the_way(&scratch.home());
    scratch.run(["call", "fake__pid"]).fails_with(1).says(["the audit log cannot be written"]);
}

#[test]
fn a_daemon_starts_on_a_full_disk() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let can = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.is_ok_and(|tried| tried.status.success()) {
        eprintln!("SKIPPED: nothing can be mounted here, so that there is no small disk to fill");
        return;
    }
    let script = "mkdir -p \"$XDG_STATE_HOME\" && mount -t tmpfs -o size=256k none \"$XDG_STATE_HOME\" && \
                  \"$0\" connect cursor --http 127.0.0.1:1 >&2; \
                  head -c 1M /dev/zero >\"$XDG_STATE_HOME/filler\"; exec \"$0\" serve --http 127.0.0.1:0 \"$@\"";
    let mut command = scratch.other("unshare".as_ref());
    let served = scratch.command(["--no-token"]);
    command.args(["-m", "sh", "-c", script]).arg(served.get_program()).args(served.get_args());
    let daemon = Daemon::of(&scratch, command);
    assert_eq!(Caller::legacy(daemon.address()).call_text("fake__echo", &json!({ "message": "hi" })), "hi");
    assert!(daemon.stderr().contains("No space left on device"), "{}", daemon.stderr());
}
