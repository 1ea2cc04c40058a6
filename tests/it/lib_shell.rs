//! The shell as an entry (spec/shell.md 1–5), in this process.

use std::{fs, time::Duration};

use mcp_computer::{CallContext, Error};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    library::{cancelled_by, comes_true, raw, within},
    procs::{alive, all_gone, assert_gone, pids_in},
    shell::Shell,
};

impl Shell {
    async fn command(&self, command: &str) -> Value {
        self.run(json!({ "command": command })).await
    }

    fn sent(&self, command: &str, context: CallContext) -> mcp_computer::Waiting<mcp_computer::Answer> {
        self.computer.call_raw("sh__run_command", Some(&raw(&json!({ "command": command }))), context)
    }

    /// The pids that a command has written to the file `pids`, when there are so many.
    async fn noted(&self, count: usize) -> Vec<i32> {
        let file = self.dir.path().join("pids");
        comes_true("the command has written its pids", || pids_in(&file).len() == count).await;
        let pids = pids_in(&file);
        assert!(pids.iter().all(|pid| alive(*pid)), "{pids:?}");
        pids
    }
}

/// Writes its pids and those of children that do not want to leave, and goes on for ever.
const STUBBORN: &str = "trap '' TERM; sleep 1000 & setsid sleep 1000 >/dev/null 2>&1 & \
    echo $$ >> pids; jobs -p >> pids; while :; do sleep 1; done";

#[tokio::test(flavor = "multi_thread")]
async fn exit_code_and_both_streams_are_returned() {
    let ran = Shell::up().await.command("echo out; echo err >&2; exit 3").await;
    assert_eq!((&ran["exitCode"], &ran["stdout"], &ran["stderr"]), (&json!(3), &json!("out\n"), &json!("err\n")));
    assert!(ran["durationMs"].is_u64(), "{ran}");
    assert!(["signal", "truncated", "jobs"].iter().all(|key| ran.get(key).is_none()), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_by_signal_is_told() {
    let ran = Shell::up().await.command("kill -TERM $$").await;
    assert_eq!((&ran["exitCode"], &ran["signal"]), (&json!(143), &json!("SIGTERM")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_where_it_is_told_to() {
    let shell = Shell::up().await;
    fs::create_dir(shell.dir.path().join("below")).unwrap();
    let here = shell.dir.path().canonicalize().unwrap();
    assert_eq!(shell.command("pwd -P").await["stdout"], format!("{}\n", here.display()));
    let below = shell.run(json!({ "command": "pwd -P", "cwd": "below" })).await;
    assert_eq!(below["stdout"], format!("{}/below\n", here.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_used_are_told_one_by_one() {
    let shell = Shell::up().await;
    for (arguments, part) in [
        (json!({}), "`command` is missing"),
        (json!({ "command": "" }), "must not be empty"),
        (json!({ "command": ["ls"] }), "must be a string"),
        (json!({ "command": "ls", "cwd": "nowhere" }), "does not exist"),
        (json!({ "command": "ls", "timeout": "soon" }), "`timeout` must be a number"),
        (json!({ "command": "ls", "timeout": 0 }), "above zero"),
        (json!({ "command": "ls", "timeout": -5 }), "above zero"),
    ] {
        let refused = shell.run(arguments).await;
        assert!(refused["error"].as_str().is_some_and(|error| error.contains(part)), "`{part}`: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let shell = Shell::up().await;
    let ran = shell.run(json!({ "command": format!("echo begun; {STUBBORN}"), "timeout": 1_500 })).await;
    assert_eq!((&ran["exitCode"], &ran["stdout"]), (&json!(124), &json!("begun\n")));
    assert!(ran["stderr"].as_str().unwrap().ends_with("[command timed out]"), "{ran}");
    let pids = pids_in(&shell.dir.path().join("pids"));
    assert_eq!(pids.len(), 3);
    assert_gone(&pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_the_entry_is_the_time_of_a_call() {
    let shell = Shell::of(|entry| entry.timeout(Duration::from_millis(400))).await;
    assert_eq!(shell.command("sleep 1000").await["exitCode"], 124);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_returns_though_a_job_of_it_holds_its_pipes() {
    let shell = Shell::up().await;
    let ran = shell.command("sleep 1000 & echo $! >> pids; echo left").await;
    assert_eq!((&ran["exitCode"], &ran["stdout"]), (&json!(0), &json!("left\n")));
    let job = &ran["jobs"][0];
    let pids = shell.noted(1).await;
    assert_eq!(job["pid"], pids[0]);
    assert!(job["id"].is_string() && job["command"].as_str().is_some_and(|line| line.contains("sleep 1000")), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_lives_as_long_as_its_entry() {
    let shell = Shell::up().await;
    shell
        .command(
            "sleep 1000 >/dev/null 2>&1 & echo $! >> pids; nohup setsid sleep 1000 >/dev/null 2>&1 & echo $! >> pids",
        )
        .await;
    shell.command("echo another").await;
    let pids = shell.noted(2).await;
    within("the stop", shell.computer.stop()).await;
    assert_gone(&pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_does_not_die_of_its_pipe() {
    let shell = Shell::up().await;
    // 2 MB are more than any pipe holds.
    shell.command("(head -c 2M /dev/zero; echo $? > done; exec sleep 1000) & echo $! >> pids").await;
    let done = shell.dir.path().join("done");
    comes_true("the job has written it all", || fs::read_to_string(&done).is_ok_and(|text| text == "0\n")).await;
    assert_eq!(shell.noted(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_when_its_entry_is_removed_or_restarted() {
    for remove in [true, false] {
        let shell = Shell::up().await;
        shell.command("sleep 1000 & echo $! >> pids").await;
        let pids = shell.noted(1).await;
        if remove {
            within("removing", shell.computer.remove_entry("sh")).await;
        } else {
            within("restarting", shell.computer.restart_entry("sh")).await.unwrap();
        }
        assert_gone(&pids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_taken_back_gets_a_term_first() {
    let shell = Shell::up().await;
    let token = CancellationToken::new();
    let command = "trap 'echo termed > word; exit' TERM; echo $$ >> pids; while :; do sleep 0.1; done";
    let running = shell.sent(command, cancelled_by(&token));
    let pids = shell.noted(1).await;
    token.cancel();
    assert_eq!(within("the call", running).await.unwrap_err(), Error::Cancelled);
    comes_true("it is gone", || all_gone(&pids)).await;
    assert_eq!(fs::read_to_string(shell.dir.path().join("word")).unwrap(), "termed\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_tree_of_a_command_that_is_taken_back_goes_however_stubborn() {
    let shell = Shell::up().await;
    let token = CancellationToken::new();
    let running = shell.sent(STUBBORN, cancelled_by(&token));
    let pids = shell.noted(3).await;
    token.cancel();
    assert_eq!(within("the call", running).await.unwrap_err(), Error::Cancelled);
    comes_true("all of it is gone", || all_gone(&pids)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_nobody_waits_for_goes() {
    let shell = Shell::up().await;
    let running = shell.sent(STUBBORN, CallContext::default());
    let pids = shell.noted(3).await;
    drop(running);
    comes_true("all of it is gone", || all_gone(&pids)).await;
    assert_eq!(shell.command("echo on").await["stdout"], "on\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_runs_when_its_entry_is_stopped_fails_and_is_gone() {
    let shell = Shell::up().await;
    let running = shell.sent(STUBBORN, CallContext::default());
    let pids = shell.noted(3).await;
    within("stopping", shell.computer.stop_entry("sh")).await.unwrap();
    assert_gone(&pids);
    let error = within("the call", running).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_side_by_side() {
    let shell = Shell::up().await;
    // Each waits for the other.
    let (a, b) = (
        shell.command("touch a; until [ -e b ]; do sleep 0.05; done; echo a"),
        shell.command("touch b; until [ -e a ]; do sleep 0.05; done; echo b"),
    );
    let (a, b) = tokio::join!(a, b);
    assert_eq!((&a["stdout"], &b["stdout"]), (&json!("a\n"), &json!("b\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_output_loses_its_middle_and_the_loss_is_counted() {
    let ran = Shell::up().await.command("echo begin; head -c 200M /dev/zero | tr '\\0' x; echo; echo end").await;
    let stdout = ran["stdout"].as_str().unwrap();
    assert!(stdout.starts_with("begin\nxxx") && stdout.ends_with("xxx\nend\n"), "{} characters", stdout.len());
    let marker = stdout.find("\n... truncated ").unwrap();
    assert!((49_990..=50_000).contains(&marker) && stdout.len() < 100_100, "{marker} of {}", stdout.len());
    let written = (200 << 20) + "begin\n\nend\n".len();
    assert_eq!(ran["truncated"], json!({ "stdoutBytes": written - 100_000, "stderrBytes": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_does_not_break_a_result() {
    let ran = Shell::up().await.command(r"printf 'a\377b\0c'; printf 'caf\303\251' >&2").await;
    assert_eq!((&ran["stdout"], &ran["stderr"]), (&json!("a\u{fffd}b\0c"), &json!("café")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_nothing_to_read() {
    let ran = Shell::up().await.command("cat; read -r line; echo $?").await;
    assert_eq!((&ran["exitCode"], &ran["stdout"]), (&json!(0), &json!("1\n")));
}
