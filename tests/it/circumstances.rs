//! Odd circumstances: what starts the program, what it is given to read and to write, and when it is told to go.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::json;

use crate::support::{
    client::Client,
    fake::fake,
    procs::{assert_gone, eventually, pids_in},
    program::{Scratch, run, text},
    with,
};

const HANDSHAKE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n"
);

fn one_fake() -> Scratch {
    Scratch::entries(json!({ "fake": fake::<&str>([]) }))
}

#[test]
fn a_client_that_reads_nothing_and_goes_is_seen_to_have_gone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let scratch = Scratch::entries(json!({ "fake": fake(["--pid-file", text(file.path())]) }));
    let mut serve = scratch.command(["serve", "--stdio"]);
    let mut child = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(HANDSHAKE.as_bytes()).unwrap();
    for id in 2..22 {
        let params = json!({ "name": "fake__big", "arguments": { "bytes": 1_000_000 } });
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        writeln!(stdin, "{call}").unwrap();
    }
    eventually("the server is up", || !pids_in(file.path()).is_empty());
    drop(stdin);
    eventually("it has left", || child.try_wait().unwrap().is_some());
    assert_gone(&pids_in(file.path()));
}

#[test]
fn every_answer_reaches_a_client_that_reads_late() {
    let mut client = Client::connect(&one_fake());
    let ids: Vec<_> = (0..60).map(|_| client.ask_tool("fake__big", &json!({ "bytes": 1_000_000 }))).collect();
    for id in ids {
        assert!(client.answer(&id).text.len() > 1_000_000);
    }
}

#[test]
fn what_comes_before_the_handshake_does_no_harm() {
    let mut client = Client::start(&one_fake());
    client.result("ping", json!({}));
    for _ in 0..50 {
        client.notify("notifications/initialized", &json!({}));
        client.notify("notifications/roots/list_changed", &json!({}));
        client.result("ping", json!({}));
    }
    client.initialize("2025-11-25");
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "still there" })), "still there");
}

#[test]
fn a_second_handshake_is_refused_and_changes_nothing() {
    let mut client = Client::connect(&one_fake());
    let params =
        json!({ "protocolVersion": "2026-07-28", "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } });
    assert_eq!(client.request("initialize", params)["error"]["code"], -32600);
    client.result("ping", json!({}));
    let id = client.ask("tools/list", json!({}));
    assert!(!client.answer(&id).text.contains("resultType"));
}

#[test]
fn a_malformed_handshake_is_told_so_and_the_next_one_is_taken() {
    let mut client = Client::start(&one_fake());
    let error = client.request("initialize", json!({ "capabilities": {} }))["error"].clone();
    assert_eq!(error["code"], -32602);
    assert!(error["message"].as_str().unwrap().contains("protocolVersion"), "{error}");
    assert_eq!(client.initialize("2025-11-25")["protocolVersion"], "2025-11-25");
}

#[test]
fn a_cursor_that_nobody_gave_is_refused() {
    let mut client = Client::connect(&one_fake());
    assert_eq!(client.request("tools/list", json!({ "cursor": "x" }))["error"]["code"], -32602);
}

#[test]
fn a_pipe_with_a_name_is_read_to_its_end() {
    let scratch = one_fake();
    let fifo = scratch.path("fifo");
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut serve = scratch.command(["serve", "--stdio"]);
    // Opened for both, so that opening waits for nobody; closed before the program has read anything.
    let both = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let mut child = serve.stdin(fs::File::open(&fifo).unwrap()).stdout(Stdio::piped()).spawn().unwrap();
    (&both).write_all(HANDSHAKE.as_bytes()).unwrap();
    drop(both);
    eventually("it has left", || child.try_wait().unwrap().is_some());
}

#[test]
fn whoever_ignores_dead_children_may_start_it() {
    let scratch = one_fake();
    let plain = scratch.command(["call", "fake__echo", r#"{"message":"hi"}"#]);
    let mut ignoring = Command::new("env");
    ignoring.arg("--ignore-signal=CHLD").arg(plain.get_program()).args(plain.get_args());
    ignoring.current_dir(scratch.path("")).env_clear();
    ignoring.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    run(ignoring, "").ok().prints(["hi"]);
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let scratch = one_fake();
    let mut tools = scratch.command(["tools"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = tools.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot be written"), "{ended:?}");
}

#[test]
fn the_words_of_a_server_cannot_steer_the_terminal() {
    let entry = fake(["--exit-at-once", "7", "--stderr", "\u{1b}]0;mine\u{7}bad key"]);
    let ended = Scratch::entries(json!({ "fake": entry })).run(["call", "fake__echo"]).fails_with(1).says(["bad key"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn a_call_of_an_entry_that_cannot_start_does_not_wait_for_its_next_tries() {
    let scratch = Scratch::new();
    let file = scratch.path("starts");
    let script = format!("echo start >> {}; exit 7", text(&file));
    let scratch = scratch.config(&json!({ "mcpServers": { "bad": { "command": "sh", "args": ["-c", script] } } }));
    scratch.run(["call", "bad__x"]).fails_with(1);
    // Once for each way to shake hands.
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
}

#[test]
fn a_profile_is_not_killed_in_the_middle_of_what_it_does() {
    let scratch = one_fake();
    let profile =
        "touch \"$HOME/lock\"; trap 'rm -f \"$HOME/lock\"' EXIT; touch \"$HOME/begun\"; sleep 0.3; rm \"$HOME/lock\"\n";
    fs::write(scratch.home().join(".bash_profile"), profile).unwrap();
    let mut serve = scratch.command(["serve", "--stdio"]);
    let mut child = serve.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("the profile is being read", || scratch.home().join("begun").exists());
    drop(child.stdin.take());
    eventually("it has left", || child.try_wait().unwrap().is_some());
    assert!(!scratch.home().join("lock").exists(), "the lock of the profile was left behind");
}

#[test]
fn a_profile_that_hangs_does_not_keep_it_from_leaving() {
    let scratch = Scratch::entries(json!({ "sh": { "type": "shell", "mode": "unrestricted" } }));
    fs::write(scratch.home().join(".bash_profile"), "touch ~/begun; sleep 5 && touch ~/late\n").unwrap();
    let mut serve = scratch.command(["serve", "--stdio"]);
    let mut child = serve.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("the profile is being read", || scratch.home().join("begun").exists());
    drop(child.stdin.take());
    eventually("it has left", || child.try_wait().unwrap().is_some());
    assert!(!scratch.home().join("late").exists(), "it waited for the profile");
}

#[test]
fn a_program_that_prints_a_value_and_fails_gives_none() {
    let entry = with(fake(["--tools", "1"]), &json!({ "env": { "X": "${cmd:echo half; exit 3}" } }));
    Scratch::entries(json!({ "fake": entry })).run(["tools"]).fails_with(1).says(["exited with status 3"]);
}

#[test]
fn a_key_that_is_no_namespace_is_shown_beside_its_namespace() {
    let scratch = Scratch::entries(json!({ "My Files!": fake(["--tools", "1"]) }));
    assert_eq!(scratch.health_of("My_Files")["displayName"], "My Files!");
    scratch.run(["status"]).ok().prints(["My_Files (My Files!)"]);
}

#[test]
fn who_asks_a_deferred_entry_how_it_is_does_not_start_it() {
    let scratch = Scratch::new();
    let file = scratch.path("pids");
    let entry = with(fake(["--pid-file", text(&file)]), &json!({ "deferred": true }));
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": entry } }));
    assert_eq!(scratch.call("fake__status", &json!({}))["status"], "deferred");
    assert!(!file.exists());
    assert_eq!(scratch.call("fake__status", &json!({ "connect": true }))["status"], "ready");
    assert!(file.exists());
}

#[test]
fn a_secret_that_an_entry_takes_from_a_variable_is_not_in_the_shells_environment() {
    let entries = json!({
        "fake": with(fake(["--tools", "1"]), &json!({ "env": { "KEY": "${env:UPSTREAM}" } })),
        "sh": { "type": "shell", "mode": "unrestricted" },
    });
    let scratch = Scratch::entries(entries).variable("UPSTREAM", "of-the-daemon").variable("OTHER", "of-the-user");
    let mut client = Client::connect(&scratch);
    let printed = client.call_text("sh__run_command", &json!({ "command": "echo [$UPSTREAM] [$OTHER]" }));
    assert_eq!(printed.trim_end(), "[] [of-the-user]");
}

#[test]
fn the_log_says_which_entry_it_is_about_on_one_line() {
    let scratch = Scratch::entries(
        json!({ "good": fake(["--tools", "1"]), "bad": fake(["--exit-at-once", "7", "--stderr", "one two"]) }),
    );
    let log = scratch.path("log");
    let mut serve = scratch.command(["serve", "--stdio"]);
    let mut child =
        serve.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let line = || fs::read_to_string(&log).unwrap().lines().find(|line| line.contains("is down")).map(str::to_owned);
    eventually("it is logged", || line().is_some());
    let line = line().unwrap();
    assert!(line.contains("bad") && line.contains("exited with status 7") && line.contains("waiting"), "{line}");
    drop(child.stdin.take());
    eventually("it has left", || child.try_wait().unwrap().is_some());
}
