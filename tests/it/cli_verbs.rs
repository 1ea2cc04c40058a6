//! The shapes and exit statuses that scripts depend on.

use std::{fs::File, io::Read, os::unix::fs::symlink, process::Stdio};

use serde_json::{Value, json};

use crate::support::{
    fake::{UNKNOWN_FIELDS, fake},
    procs::{assert_gone, pids_in},
    program::{Scratch, text},
    real, with,
};

fn one_fake() -> Scratch {
    Scratch::entries(json!({ "fake": fake::<&str>([]) }))
}

#[test]
fn the_commands_of_the_readme_do_what_one_expects() {
    let Some(modules) = real::modules() else { return };
    let scratch = Scratch::new().config_text(
        r#"{"mcpServers":{"files":{"command":"@modelcontextprotocol/server-filesystem","args":["."]},"sh":{"type":"shell","mode":"unrestricted"}}}"#,
    );
    symlink(modules, scratch.path("node_modules")).unwrap();
    scratch.run(["check"]).ok().prints(["files", "sh"]);
    scratch.run(["tools"]).ok().prints(["files__list_directory", "sh__run_command"]);
    scratch.run(["call", "files__list_directory", r#"{"path":"."}"#]).ok().prints(["config.json"]);
    let ran = scratch.call("sh__run_command", &json!({ "command": "echo $HOME; exit 3" }));
    assert_eq!(ran["exitCode"], 3, "{ran}");
    assert_eq!(ran["stdout"], format!("{}\n", scratch.home().display()), "{ran}");
    assert_eq!(ran["stderr"], "", "{ran}");
    let health = scratch.run(["status", "--json"]).ok().json();
    assert_eq!(health["healthy"], true, "{health}");
}

#[test]
fn tools_are_listed_with_their_schemas_and_nothing_else() {
    let scratch = Scratch::entries(json!({ "b": fake(["--tools", "2"]), "a": fake(["--tools", "1"]) }));
    let listed = scratch.run(["tools", "--json"]).ok().json();
    let tool = |name: &str| {
        let schema = json!({ "type": "object", "properties": { "message": {} } });
        json!({ "name": name, "description": "echoes its message", "inputSchema": schema })
    };
    assert_eq!(listed, json!({ "tools": [tool("a__echo"), tool("b__echo"), tool("b__tool_1")], "errors": [] }));
}

#[test]
fn tools_of_one_namespace_are_listed_alone() {
    let scratch = Scratch::entries(json!({ "a": fake(["--tools", "2"]), "b": fake(["--tools", "2"]) }));
    assert_eq!(scratch.run(["tools", "b", "--json"]).ok().tool_names(), ["b__echo", "b__tool_1"]);
}

#[test]
fn tools_for_people_are_a_line_each_and_plain_in_a_pipe() {
    let scratch = Scratch::entries(json!({ "a": fake(["--tools", "3"]) }));
    let run = scratch.run(["tools"]).ok().prints(["a__echo", "a__tool_1", "a__tool_2", "echoes its message"]);
    assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'), "{run:?}");
}

#[test]
fn a_failed_entry_is_an_error_beside_the_tools_of_the_others() {
    let broken = fake(["--exit-at-once", "7", "--stderr", "boom"]);
    let scratch = Scratch::entries(json!({ "good": fake(["--tools", "1"]), "bad": broken }));
    let run = scratch.run(["tools", "--json"]).ok();
    assert!(run.tool_names().contains(&"good__echo".to_owned()), "{run:?}");
    let errors = run.json()["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{errors}");
    let error = errors[0].as_str().unwrap();
    assert!(error.starts_with("bad: ") && error.contains("boom") && error.contains('7'), "{error}");
}

#[test]
fn tools_fails_when_no_entry_is_up_that_should_be() {
    let scratch = Scratch::entries(json!({ "bad": fake(["--exit-at-once", "7"]) }));
    scratch.run(["tools", "--json"]).exits_with(1);
    let scratch = Scratch::entries(json!({ "later": with(fake::<&str>([]), &json!({ "deferred": true })) }));
    scratch.run(["tools", "--json"]).ok();
}

#[test]
fn status_tells_the_health_of_each_entry() {
    let scratch = Scratch::entries(json!({
        "fake": fake(["--tools", "3"]),
        "later": with(fake::<&str>([]), &json!({ "deferred": true })),
        "off": with(fake::<&str>([]), &json!({ "disabled": true })),
        "sh": { "type": "shell", "mode": "unrestricted" },
    }));
    let health = scratch.run(["status", "--json"]).ok().json();
    assert_eq!(health["healthy"], true, "{health}");
    let entry = |name: &str| health["entries"].as_array().unwrap().iter().find(|e| e["name"] == name).unwrap().clone();
    let up = entry("fake");
    assert_eq!((&up["healthy"], &up["state"], &up["kind"]), (&json!(true), &json!("ready"), &json!("stdio")), "{up}");
    assert_eq!((&up["tools"], &up["restarts"]), (&json!(3), &json!(0)), "{up}");
    assert!(up["pid"].is_u64() && up["uptimeMs"].is_u64() && up["rssBytes"].as_u64() > Some(0), "{up}");
    assert_eq!(up["serverInfo"]["name"], "fake", "{up}");
    assert!(up["command"].to_string().contains("fake_server"), "{up}");
    assert_eq!(entry("sh")["kind"], "shell");
    let later = entry("later");
    assert_eq!((&later["healthy"], &later["state"]), (&json!(false), &json!("deferred")), "{later}");
    assert_eq!(later["error"], "Deferred - connect via restart_entry()", "{later}");
    assert_eq!((&entry("off")["healthy"], &entry("off")["state"]), (&json!(false), &json!("disabled")));
    assert!(health["totalTools"].as_u64() >= Some(4), "{health}");
    assert!(health["guard"].is_string(), "{health}");
}

#[test]
fn status_exits_1_when_the_whole_is_unhealthy_and_still_prints_it() {
    let scratch = Scratch::entries(json!({ "good": fake::<&str>([]), "bad": fake(["--exit-at-once", "7"]) }));
    let health = scratch.run(["status", "--json"]).exits_with(1).json();
    assert_eq!(health["healthy"], false, "{health}");
    scratch.run(["status"]).exits_with(1).prints(["good", "bad"]);
}

#[test]
fn a_text_is_printed_as_text_and_with_json_as_json() {
    let arguments = r#"{"message":"hé \"you\""}"#;
    assert_eq!(one_fake().run(["call", "fake__echo", arguments]).ok().stdout.trim_end(), "hé \"you\"");
    assert_eq!(one_fake().run(["call", "fake__echo", arguments, "--json"]).ok().json(), json!("hé \"you\""));
}

#[test]
fn raw_is_the_whole_result_as_the_server_sent_it() {
    let run = one_fake().run(["call", "fake__unknown_fields", "{}", "--raw"]).ok();
    let sent: Value = serde_json::from_str(UNKNOWN_FIELDS).unwrap();
    assert_eq!(run.json(), sent);
}

#[test]
fn arguments_may_come_from_stdin_or_be_left_out() {
    let run = one_fake().run_with_input(["call", "fake__echo", "-"], r#"{"message":"from stdin"}"#).ok();
    assert_eq!(run.stdout.trim_end(), "from stdin");
    one_fake().run(["call", "fake__seen"]).ok().prints(["tools/call"]);
}

#[test]
fn what_a_tool_refuses_exits_1() {
    one_fake().run(["call", "fake__is_error", "{}", "--json"]).exits_with(1).prints(["it went wrong"]);
    one_fake().run(["call", "fake__error", "{}"]).fails_with(1).says(["told to fail"]);
}

#[test]
fn a_call_starts_only_the_entry_that_it_needs() {
    let scratch = Scratch::new();
    let (ours, other) = (scratch.path("ours"), scratch.path("other"));
    let scratch = scratch.config(&json!({ "mcpServers": {
        "a": fake(["--pid-file", text(&ours)]),
        "b": fake(["--pid-file", text(&other)]),
    }}));
    scratch.call("a__echo", &json!({ "message": "x" }));
    assert_eq!(pids_in(&ours).len(), 1, "one was started");
    assert!(!other.exists(), "the other was not");
}

#[test]
fn a_call_brings_a_deferred_entry_up() {
    let scratch = Scratch::entries(json!({ "later": with(fake::<&str>([]), &json!({ "deferred": true })) }));
    assert_eq!(scratch.call("later__echo", &json!({ "message": "awake" })), "awake");
}

#[test]
fn a_deferred_entry_offers_its_status_tool() {
    let deferred =
        json!({ "deferred": true, "diagnostics": { "prerequisites": ["a key"], "suggestedFixes": ["get one"] } });
    let scratch = Scratch::entries(json!({ "later": with(fake::<&str>([]), &deferred) }));
    assert_eq!(scratch.run(["tools", "--json"]).ok().tool_names(), ["later__status"]);
}

#[test]
fn a_name_with_the_wrong_dashes_is_understood() {
    one_fake().run(["call", "fake__is-error", "{}"]).exits_with(1).prints(["it went wrong"]);
    one_fake().run(["call", "fake__unknown-fields", "{}", "--raw"]).ok().prints(["zeta"]);
}

#[test]
fn stdout_holds_the_answer_alone_however_noisy_the_server() {
    let noisy = fake(["--junk", "7", "--stderr", "I am noisy"]);
    let scratch = Scratch::entries(json!({ "noisy": noisy }));
    assert_eq!(scratch.run(["call", "noisy__echo", r#"{"message":"x"}"#]).ok().stdout, "x\n");
    assert_eq!(scratch.run(["tools", "--json"]).ok().json()["errors"], json!([]));
}

#[test]
fn what_calls_start_goes_with_them() {
    let scratch = Scratch::new();
    let pids = scratch.path("pids");
    let entry = fake(["--pid-file", text(&pids), "--ignore-term", "--ignore-eof"]);
    let scratch = scratch.config(&json!({ "mcpServers": { "stubborn": entry } }));
    scratch.run(["tools"]).ok();
    scratch.run(["status"]).ok();
    scratch.run(["call", "stubborn__echo"]).ok();
    let pids = pids_in(&pids);
    assert_eq!(pids.len(), 3);
    assert_gone(&pids);
}

#[test]
fn on_a_terminal_each_entry_gets_a_line_as_it_connects() {
    let entries = json!({ "one": fake(["--tools", "1"]), "two": fake(["--tools", "2"]), "bad": { "command": "no-such-program-3f" } });
    let scratch = Scratch::entries(entries);
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut tools = scratch.command(["tools"]);
    let run = tools.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(terminal.slave).output().unwrap();
    // The command holds our end of the terminal: as long as it lives, reading never comes to its end.
    drop(tools);
    let mut shown = Vec::new();
    // A terminal whose other end has gone ends with an error, when all has been read.
    let _ = File::from(terminal.master).read_to_end(&mut shown);
    let shown = String::from_utf8(shown).unwrap();
    let line = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {shown}"));
    assert!(line("one ").contains("1 tool") && line("two ").contains("2 tools"), "{shown}");
    assert!(line("bad ").contains("no-such-program-3f"), "{shown}");
    assert!(!String::from_utf8(run.stdout).unwrap().contains('✓'), "stdout holds the answer alone");
}
