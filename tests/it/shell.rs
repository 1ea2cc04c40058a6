//! `run_command` (spec/shell.md 1–5 and 8) as an agent meets it.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    procs::{alive, all_gone, assert_gone, eventually, pids_in},
    program::{Scratch, text},
    with,
};

fn shell_with(keys: &Value) -> Scratch {
    Scratch::entries(json!({ "sh": with(json!({ "type": "shell", "mode": "unrestricted" }), keys) }))
}

fn shell() -> Scratch {
    shell_with(&json!({}))
}

#[track_caller]
fn run(command: &str) -> Value {
    shell().call("sh__run_command", &json!({ "command": command }))
}

/// What is said about arguments that cannot be used.
#[track_caller]
fn refused(arguments: &Value) -> String {
    let run = shell().run(["call", "sh__run_command", &arguments.to_string(), "--json"]).exits_with(1);
    let value = run.json();
    value["error"].as_str().unwrap_or_else(|| panic!("no error: {value}")).to_owned()
}

#[test]
fn exit_code_and_both_streams_are_returned() {
    let ran = run("echo out; echo err >&2; exit 3");
    assert_eq!(ran["exitCode"], 3);
    assert_eq!((&ran["stdout"], &ran["stderr"]), (&json!("out\n"), &json!("err\n")));
    assert!(ran["durationMs"].is_u64(), "{ran}");
    assert!(ran.get("truncated").is_none() && ran.get("jobs").is_none() && ran.get("signal").is_none(), "{ran}");
}

#[test]
fn over_mcp_a_result_is_structured_and_text() {
    let run = shell().run(["call", "sh__run_command", r#"{"command":"echo out; echo err >&2; exit 3"}"#, "--raw"]).ok();
    let raw = run.json();
    assert_eq!(raw["structuredContent"]["exitCode"], 3, "{raw}");
    assert_ne!(raw["isError"], true, "a non-zero exit is no error: {raw}");
    let text = raw["content"][0]["text"].as_str().unwrap();
    let places = ["out", "err", "[exit code 3]"].map(|part| text.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    let fine = shell().run(["call", "sh__run_command", r#"{"command":"echo out"}"#, "--raw"]).ok().json();
    assert!(!fine["content"].to_string().contains("exit code"), "{fine}");
}

#[test]
fn over_mcp_a_refusal_is_an_error_result() {
    let raw = shell().run(["call", "sh__run_command", "{}", "--raw"]).exits_with(1).json();
    assert_eq!(raw["isError"], true, "{raw}");
}

#[test]
fn a_death_by_signal_is_told() {
    let ran = run("kill -9 $$");
    assert_eq!(ran["exitCode"], 137, "{ran}");
    assert!(!ran["signal"].is_null(), "{ran}");
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_everything_it_started() {
    let scratch = shell();
    let pids = scratch.path("pids");
    let command = format!(
        "echo $$ > {0}; sleep 1000 & echo $! >> {0}; setsid sleep 1000 & echo $! >> {0}; echo begun; trap '' TERM; sleep 1000",
        text(&pids)
    );
    let mut client = Client::connect(&scratch);
    let result = client.call("sh__run_command", &json!({ "command": command, "timeout": 500 }));
    let ran = &result["structuredContent"];
    assert_eq!((&ran["exitCode"], &ran["stdout"]), (&json!(124), &json!("begun\n")), "{ran}");
    assert!(ran["stderr"].as_str().is_some_and(|stderr| stderr.trim_end().ends_with("[command timed out]")), "{ran}");
    let pids = pids_in(&pids);
    assert_eq!(pids.len(), 3);
    assert_gone(&pids);
}

#[test]
fn a_cancelled_command_is_ended_with_everything_it_started() {
    let scratch = shell();
    let pids = scratch.path("pids");
    let mut client = Client::connect(&scratch);
    let command = format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; sleep 1000", text(&pids));
    let id = client.ask_tool("sh__run_command", &json!({ "command": command }));
    eventually("it runs", || fs::read_to_string(&pids).is_ok_and(|text| text.lines().count() == 2));
    client.notify("notifications/cancelled", &json!({ "requestId": id }));
    eventually("it is gone", || all_gone(&pids_in(&pids)));
    assert!(client.lines().iter().all(|line| line.json["id"] != id), "it is not answered");
}

#[test]
fn a_background_child_does_not_hold_the_call_and_ends_with_the_program() {
    let scratch = shell();
    let mut client = Client::connect(&scratch);
    let result = client.call("sh__run_command", &json!({ "command": "sleep 1000 & echo $!" }));
    let ran = &result["structuredContent"];
    assert_eq!(ran["exitCode"], 0, "{ran}");
    let pid: i32 = ran["stdout"].as_str().unwrap().trim().parse().unwrap();
    assert_eq!(ran["jobs"][0]["pid"], pid, "{ran}");
    assert!(alive(pid), "what still runs goes on until the program ends");
    client.leave();
    assert_gone(&[pid]);
}

#[test]
fn a_background_child_of_a_verb_ends_with_it() {
    let ran = run("nohup sleep 1000 & echo $!; setsid sleep 1000 & echo $!");
    let pids: Vec<i32> = ran["stdout"].as_str().unwrap().lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(pids.len(), 2, "{ran}");
    assert_gone(&pids);
}

#[test]
fn the_middle_of_a_large_output_is_counted_and_left_out() {
    let ran = run(r"echo first; head -c 50M /dev/zero | tr '\0' x; echo; echo last");
    let stdout = ran["stdout"].as_str().unwrap();
    assert!(stdout.chars().count() < 101_000, "{}", stdout.chars().count());
    assert!(stdout.starts_with("first\n") && stdout.ends_with("last\n"));
    let (_, rest) = stdout.split_once("... truncated ").expect("the cut is said");
    let count: u64 = rest.split_once(' ').unwrap().0.parse().unwrap();
    assert!((52_200_000..=52_430_000).contains(&count), "{count}");
    assert!(ran["truncated"]["stdoutBytes"].as_u64() >= Some(52_200_000), "{}", ran["truncated"]);
}

#[test]
fn max_output_bounds_each_stream() {
    let scratch = shell_with(&json!({ "maxOutput": 1000 }));
    let command = "seq 100000; seq 100000 >&2";
    let ran = scratch.call("sh__run_command", &json!({ "command": command }));
    for stream in ["stdout", "stderr"] {
        let text = ran[stream].as_str().unwrap();
        assert!(text.len() < 1200 && text.starts_with("1\n2\n") && text.ends_with("99999\n100000\n"), "{text}");
    }
}

#[test]
fn a_character_is_never_cut() {
    for prefix in ["", "x", "xy", "xyz"] {
        let ran = run(&format!("printf {prefix:?}; yes 'é€🦀' | head -n 60000 | tr -d '\\n'"));
        let stdout = ran["stdout"].as_str().unwrap();
        assert!(stdout.contains("truncated") && !stdout.contains('\u{fffd}'), "{prefix}");
    }
}

#[test]
fn bytes_that_are_no_text_become_replacement_characters() {
    assert_eq!(run(r"printf 'a\377b'")["stdout"], "a\u{fffd}b");
}

#[test]
fn a_command_is_required() {
    for arguments in [json!({}), json!({ "command": "" }), json!({ "command": 7 }), json!({ "command": null })] {
        assert!(refused(&arguments).contains("command"), "{arguments}");
    }
}

#[test]
fn a_directory_must_be_there() {
    assert!(refused(&json!({ "command": "pwd", "cwd": "/no/such/dir" })).contains("/no/such/dir"));
    assert!(refused(&json!({ "command": "pwd", "cwd": 7 })).contains("cwd"));
}

#[test]
fn a_timeout_must_be_a_number_above_zero() {
    for timeout in [json!(0), json!(-5), json!("soon"), json!([])] {
        assert!(refused(&json!({ "command": "true", "timeout": timeout })).contains("timeout"), "{timeout}");
    }
}

#[test]
fn a_timeout_above_the_most_is_clamped() {
    let scratch = shell_with(&json!({ "maxTimeout": 500 }));
    let ran = scratch.call("sh__run_command", &json!({ "command": "sleep 1000", "timeout": 999_999_999 }));
    assert_eq!(ran["exitCode"], 124, "{ran}");
}

#[test]
fn a_command_runs_where_the_call_or_the_entry_says() {
    let scratch = Scratch::new();
    for dir in ["entry", "call", "entry/below"] {
        fs::create_dir_all(scratch.path(dir)).unwrap();
    }
    let shell = json!({ "type": "shell", "mode": "unrestricted", "cwd": text(&scratch.path("entry")) });
    let scratch = scratch.config(&json!({ "mcpServers": { "sh": shell } }));
    let pwd = |arguments: Value| {
        let ran = scratch.call("sh__run_command", &arguments);
        fs::canonicalize(ran["stdout"].as_str().unwrap().trim_end()).unwrap()
    };
    let there = |dir: &str| scratch.path(dir).canonicalize().unwrap();
    assert_eq!(pwd(json!({ "command": "pwd" })), there("entry"));
    assert_eq!(pwd(json!({ "command": "pwd", "cwd": text(&scratch.path("call")) })), there("call"));
    assert_eq!(pwd(json!({ "command": "pwd", "cwd": "below" })), there("entry/below"));
}

#[test]
fn programs_are_quiet_unless_the_entry_says_otherwise() {
    let command = json!({ "command": "echo $PAGER $GIT_PAGER $TERM $NO_COLOR $GIT_TERMINAL_PROMPT $DEBIAN_FRONTEND" });
    assert_eq!(shell().call("sh__run_command", &command)["stdout"], "cat cat dumb 1 0 noninteractive\n");
    let loud = shell_with(&json!({ "env": { "PAGER": "less" } }));
    assert_eq!(loud.call("sh__run_command", &command)["stdout"], "less cat dumb 1 0 noninteractive\n");
}

#[test]
fn a_command_has_the_environment_of_the_users_terminal() {
    let scratch = shell().variable("COMPUTER_LOG", "error");
    scratch.write("../home/.bash_profile", "echo welcome; export FROM_PROFILE=yes; . ~/.bashrc\n");
    scratch.write("../home/.bashrc", "case $- in *i*) export FROM_INTERACTIVE=yes;; esac\n");
    let command = json!({ "command": "echo $FROM_PROFILE $FROM_INTERACTIVE ${COMPUTER_LOG-unset}" });
    assert_eq!(scratch.call("sh__run_command", &command)["stdout"], "yes yes unset\n");
}

#[test]
fn the_shell_of_the_entry_is_used() {
    let own = shell_with(&json!({ "shell": "/bin/sh" }));
    let command = json!({ "command": "readlink /proc/$$/exe; true" });
    let sh = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(own.call("sh__run_command", &command)["stdout"], format!("{}\n", sh.display()));
    let bash = fs::canonicalize("/bin/bash").unwrap();
    assert_eq!(shell().call("sh__run_command", &command)["stdout"], format!("{}\n", bash.display()), "that of $SHELL");
}

#[test]
fn the_description_names_the_shell() {
    let tools = shell().run(["tools", "--json"]).ok().json();
    let run = tools["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "sh__run_command");
    assert!(run.is_some_and(|run| run["description"].to_string().contains("bash")), "{tools}");
}

#[test]
fn a_command_has_no_terminal_to_hang_on() {
    let ran = run("read -r line; echo got=$line; (: < /dev/tty) 2>/dev/null && echo terminal || echo none");
    assert_eq!(ran["stdout"], "got=\nnone\n", "{ran}");
}

#[test]
fn many_commands_run_at_the_same_time() {
    let mut client = Client::connect(&shell());
    // Each waits for the other: in turn they would never end.
    let wait = |mine: &str, other: &str| json!({ "command": format!("touch {mine}; until [ -e {other} ]; do sleep 0.01; done") });
    let one = client.ask_tool("sh__run_command", &wait("one", "two"));
    let two = client.ask_tool("sh__run_command", &wait("two", "one"));
    for id in [one, two] {
        assert_eq!(client.answer(&id).json["result"]["structuredContent"]["exitCode"], 0);
    }
}
