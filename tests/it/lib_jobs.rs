//! Work that goes on in the shell: input, progress, jobs and terminals (spec/shell.md 1–8, 23, 24), in this process.

mod real; // programs that others wrote

use std::{
    fs,
    sync::{Arc, Mutex},
};

use mcp_computer::{CallContext, ShellConfig, config::Login};
use serde_json::{Value, json};

use crate::support::{
    library::{comes_true, raw, until, within},
    procs::{alive, assert_gone, pids_in},
    shell::Shell,
};

impl Shell {
    /// The id of the job that this becomes.
    async fn begin(&self, arguments: Value) -> String {
        let ran = self.run(arguments).await;
        assert_eq!(ran["exitCode"], Value::Null, "it goes on: {ran}");
        ran["jobs"][0]["id"].as_str().unwrap_or_else(|| panic!("no job: {ran}")).to_owned()
    }

    async fn read(&self, job: &str) -> Value {
        self.call("read_job", json!({ "job": job })).await
    }

    /// Waits until the job has printed this.
    async fn prints(&self, job: &str, what: &str) {
        until(what, async || self.read(job).await["output"].as_str().is_some_and(|output| output.contains(what))).await;
    }

    async fn ended(&self, job: &str) -> Value {
        until("it has ended", async || self.read(job).await["state"] == "ended").await;
        self.read(job).await
    }

    fn pids(&self) -> Vec<i32> {
        pids_in(&self.dir.path().join("pids"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_what_the_call_gives_it() {
    let shell = Shell::up().await;
    let ran = shell.run(json!({ "command": "wc -c; echo done", "stdin": "äbc\n" })).await;
    assert_eq!((ran["stdout"].as_str().map(str::trim_start), &ran["exitCode"]), (Some("5\ndone\n"), &json!(0)));
    // More than any pipe holds, to one who reads and to one who does not.
    let much = "x".repeat(1 << 20);
    assert_eq!(shell.run(json!({ "command": "wc -c", "stdin": much })).await["stdout"], "1048576\n");
    assert_eq!(shell.run(json!({ "command": "echo bored", "stdin": much })).await["stdout"], "bored\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_told_while_the_command_runs() {
    let shell = Shell::up().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let (sink, gate) = (told.clone(), shell.dir.path().join("gate"));
    let context = CallContext {
        progress: Some(Arc::new(move |params: &serde_json::value::RawValue| {
            let params: Value = serde_json::from_str(params.get()).unwrap();
            sink.lock().unwrap().push(params["message"].as_str().unwrap().to_owned());
        })),
        ..CallContext::default()
    };
    let command =
        format!("echo one; echo two >&2; until [ -e '{0}' ]; do sleep 0.01; done; echo three", gate.display());
    let call = shell.computer.call_raw("sh__run_command", Some(&raw(&json!({ "command": command }))), context);
    comes_true("both lines are told", || told.lock().unwrap().len() == 2).await;
    fs::write(&gate, "").unwrap();
    within("the command", call).await.unwrap();
    let mut lines = told.lock().unwrap().clone();
    lines[..2].sort();
    assert_eq!(lines, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_a_terminal_sees_one() {
    let shell = Shell::up().await;
    let ran = shell.run(json!({ "command": "tty >/dev/null && stty size && echo $TERM && printf '\\033[31mred\\033[0m\\n'", "pty": true })).await;
    assert_eq!(ran["stdout"], "40 120\nxterm-256color\nred\n", "{ran}");
    assert_eq!(ran["exitCode"], 0);
    let without = shell.run(json!({ "command": "tty" })).await;
    assert_eq!((&without["stdout"], &without["exitCode"]), (&json!("not a tty\n"), &json!(1)));
    let typed = shell.run(json!({ "command": "cat", "stdin": "hello\n", "pty": true })).await;
    assert!(typed["stdout"].as_str().unwrap().ends_with("hello\nhello\n"), "typed and printed: {typed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_the_background_goes_on_after_its_call() {
    let shell = Shell::up().await;
    let job = shell
        .begin(json!({ "command": "echo $$ >> pids; echo out; echo err >&2; sleep 1000", "background": true }))
        .await;
    shell.prints(&job, "err").await;
    let [pid] = shell.pids()[..] else { panic!("it has one pid") };
    let listed = shell.call("list_jobs", json!({})).await;
    let [only] = &listed["jobs"].as_array().unwrap()[..] else { panic!("one job: {listed}") };
    assert_eq!((&only["id"], &only["state"], &only["pid"]), (&json!(job), &json!("running"), &json!(pid)));
    assert!(
        only["command"].as_str().unwrap().contains("sleep 1000") && only["totalBytes"].as_u64() == Some(8),
        "{only}"
    );
    let stopped = shell.call("stop_job", json!({ "job": job })).await;
    assert_eq!((&stopped["state"], &stopped["signal"]), (&json!("ended"), &json!("SIGTERM")));
    assert!(!alive(pid));
    assert_eq!(shell.read(&job).await["output"].as_str().map(str::len), Some(8), "its output can still be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_the_background_that_ends_at_once_is_told_like_any_other() {
    let shell = Shell::up().await;
    // On a busy machine nothing is at once: then it is a job first.
    until("it is told", async || {
        let ran = shell.run(json!({ "command": "echo no; exit 3", "background": true })).await;
        (&ran["exitCode"], &ran["stdout"], ran.get("jobs")) == (&json!(3), &json!("no\n"), None)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_of_a_command_in_the_background_are_told_apart_and_read_together() {
    let shell = Shell::of(|entry| ShellConfig { max_output: 1000, ..entry }).await;
    let command = "echo one; echo two >&2; seq 1000 1999; echo three >&2";
    until("it is told", async || {
        let ran = shell.run(json!({ "command": command, "background": true })).await;
        ran.get("jobs").is_none() && {
            assert_eq!((&ran["stderr"], &ran["exitCode"]), (&json!("two\nthree\n"), &json!(0)));
            let stdout = ran["stdout"].as_str().unwrap();
            assert!(stdout.starts_with("one\n1000\n") && stdout.ends_with("1998\n1999\n"), "{ran}");
            assert_eq!(ran["truncated"], json!({ "stdoutBytes": 4 + 5000 - 1000, "stderrBytes": 0 }));
            true
        }
    })
    .await;
    let gate = "echo out; echo err >&2; until [ -e gate ]; do sleep 0.01; done; echo more >&2";
    let job = shell.begin(json!({ "command": gate, "background": true })).await;
    fs::write(shell.dir.path().join("gate"), "").unwrap();
    let read = shell.ended(&job).await["output"].as_str().unwrap().to_owned();
    let mut lines: Vec<&str> = read.lines().collect();
    assert_eq!(lines.pop(), Some("more"));
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_are_whole_however_little_of_a_job_is_read() {
    let shell = Shell::up().await;
    let ran = shell.run(json!({ "command": "printf 日本語; exec sleep 1000", "background": true })).await;
    let job = ran["jobs"][0]["id"].as_str().unwrap().to_owned();
    shell.prints(&job, "語").await;
    for stopped in [false, true] {
        if stopped {
            shell.call("stop_job", json!({ "job": job })).await;
        }
        for limit in [1, 2, 4, 5, 100] {
            let (mut read, mut offset) = (String::new(), 0);
            while offset < 9 {
                let part = shell.call("read_job", json!({ "job": job, "offset": offset, "limit": limit })).await;
                read.push_str(part["output"].as_str().unwrap());
                assert!(part["nextOffset"].as_u64() > Some(offset), "{part}");
                offset = part["nextOffset"].as_u64().unwrap();
            }
            assert_eq!(read, "日本語", "{limit}, {stopped}");
        }
        let end = shell.call("read_job", json!({ "job": job, "limit": 4 })).await;
        assert_eq!((&end["output"], &end["offset"]), (&json!("語"), &json!(6)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_talked_to() {
    let shell = Shell::up().await;
    let job = shell
        .begin(json!({ "command": "while read line; do echo \"got $line\"; done; echo over", "background": true }))
        .await;
    shell.call("write_job", json!({ "job": job, "input": "one\ntwo\n" })).await;
    shell.prints(&job, "got two").await;
    let first = shell.read(&job).await;
    shell.call("write_job", json!({ "job": job, "input": "three\n", "end": true })).await;
    shell.ended(&job).await;
    let rest = shell.call("read_job", json!({ "job": job, "offset": first["nextOffset"] })).await;
    assert_eq!((&rest["output"], &rest["exitCode"]), (&json!("got three\nover\n"), &json!(0)));
    let refused = shell.call("write_job", json!({ "job": job, "input": "x" })).await;
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("has ended")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_waits_for_more_when_it_is_asked_to() {
    let shell = Shell::up().await;
    let gate = shell.dir.path().join("gate");
    let command = format!("echo a; until [ -e '{}' ]; do sleep 0.01; done; echo b; sleep 1000", gate.display());
    let job = shell.begin(json!({ "command": command, "background": true })).await;
    let wait = shell.call("read_job", json!({ "job": job, "offset": 2, "wait": 60_000 }));
    let (waited, ()) = tokio::join!(wait, async { fs::write(&gate, "").unwrap() });
    assert_eq!((&waited["output"], &waited["offset"], &waited["nextOffset"]), (&json!("b\n"), &json!(2), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_output_can_be_read_everywhere_and_searched() {
    let shell = Shell::up().await;
    let job = shell.begin(json!({ "command": "seq 1 300000; sleep 1000", "background": true })).await;
    until("it has counted", async || shell.read(&job).await["output"].as_str().unwrap().ends_with("300000\n")).await;
    let begin = shell.call("read_job", json!({ "job": job, "offset": 0, "limit": 6 })).await;
    assert_eq!((&begin["output"], &begin["nextOffset"]), (&json!("1\n2\n3\n"), &json!(6)));
    let found = shell.call("read_job", json!({ "job": job, "grep": "^(7|15)000.$" })).await;
    assert_eq!(found["output"].as_str().unwrap().lines().count(), 20, "{found}");
    assert!(found["output"].as_str().unwrap().starts_with("70000\n70001\n"), "{found}");
    let refused = shell.call("read_job", json!({ "job": job, "grep": "(" })).await;
    assert!(refused["error"].as_str().unwrap().contains("`grep` is no regular expression"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repl_is_typed_into_read_resized_and_ended() {
    let shell = Shell::up().await;
    let job = shell.begin(json!({ "command": "python3 -i -q", "background": true, "pty": true })).await;
    shell.call("write_job", json!({ "job": job, "input": "print(6 * 7, 'is it')\n" })).await;
    shell.prints(&job, "42 is it").await;
    shell.call("resize_job", json!({ "job": job, "columns": 77, "rows": 33 })).await;
    shell.call("write_job", json!({ "job": job, "input": "import os; print(tuple(os.get_terminal_size()))\n" })).await;
    shell.prints(&job, "(77, 33)").await;
    // Ctrl-C interrupts what runs, and not the whole.
    shell
        .call("write_job", json!({ "job": job, "input": "import time; print('be' + 'gun'); time.sleep(1000)\n" }))
        .await;
    shell.prints(&job, "begun").await;
    shell.call("write_job", json!({ "job": job, "input": "\u{3}" })).await;
    shell.prints(&job, "KeyboardInterrupt").await;
    shell.call("write_job", json!({ "job": job, "end": true })).await;
    let ended = shell.ended(&job).await;
    assert_eq!(ended["terminal"], true);
    assert!(!ended["output"].as_str().unwrap().contains('\u{1b}'), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_running_is_a_job_with_its_output() {
    let shell = Shell::up().await;
    let ran = shell.run(json!({ "command": "sleep 1000 & setsid sh -c 'echo $$ >> pids; until [ -e gate ]; do sleep 0.01; done; echo late; exec sleep 1000' & echo $!" })).await;
    assert_eq!(ran["exitCode"], 0, "{ran}");
    let job = ran["jobs"][0]["id"].as_str().unwrap();
    fs::write(shell.dir.path().join("gate"), "").unwrap();
    shell.prints(job, "late").await;
    shell.call("stop_job", json!({ "job": job })).await;
    assert_gone(&shell.pids());
    let refused = shell.call("write_job", json!({ "job": job, "input": "x" })).await;
    assert!(refused["error"].is_string(), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gets_the_signal_that_is_meant_for_it() {
    let shell = Shell::up().await;
    let job = shell.begin(json!({ "command": "trap 'echo caught' USR1; echo ready; while :; do sleep 0.05; done", "background": true })).await;
    shell.prints(&job, "ready").await;
    // Its children know no such trap: they die of it, it does not.
    let told = shell.call("stop_job", json!({ "job": job, "signal": "USR1" })).await;
    assert_eq!(told["state"], "running", "{told}");
    shell.prints(&job, "caught").await;
    let refused = shell.call("stop_job", json!({ "job": job, "signal": "NOPE" })).await;
    assert!(refused["error"].as_str().unwrap().contains("no signal `NOPE`"), "{refused}");
    let killed = shell.call("stop_job", json!({ "job": job, "signal": "SIGKILL" })).await;
    assert_eq!((&killed["state"], &killed["exitCode"]), (&json!("ended"), &json!(137)));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_jobs_are_kept_and_the_oldest_that_has_ended_goes_first() {
    let shell = Shell::up().await;
    let first = shell.begin(json!({ "command": "sleep 1000", "background": true })).await;
    for _ in 0..49 {
        shell.run(json!({ "command": "true", "background": true })).await;
    }
    let last = shell.begin(json!({ "command": "sleep 1000", "background": true })).await;
    let listed = shell.call("list_jobs", json!({})).await;
    let ids: Vec<&str> = listed["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[0], ids[1], ids[49]), (50, first.as_str(), "3", last.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_end_with_their_entry() {
    let shell = Shell::up().await;
    shell.begin(json!({ "command": "echo $$ >> pids; trap '' HUP; sleep 1000", "background": true })).await;
    shell.begin(json!({ "command": "echo $$ >> pids; cat", "background": true, "pty": true })).await;
    comes_true("both run", || shell.pids().len() == 2).await;
    within("the stop", shell.computer.stop_entry("sh")).await.unwrap();
    assert_gone(&shell.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_given_a_time_ends_then() {
    let shell = Shell::up().await;
    let job =
        shell.begin(json!({ "command": "echo $$ >> pids; sleep 1000", "background": true, "timeout": 500 })).await;
    shell.ended(&job).await;
    comes_true("it is gone", || !shell.pids().iter().any(|pid| alive(*pid))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_of_a_long_output_is_kept_where_that_is_wanted() {
    let shell = Shell::of(|entry| ShellConfig { spill: true, max_output: 1000, ..entry }).await;
    let ran = shell.run(json!({ "command": "seq 1 20000; echo short >&2" })).await;
    let file = ran["stdoutFile"].as_str().unwrap_or_else(|| panic!("no file: {ran}")).to_owned();
    let lines: Vec<String> = (1..=20_000).map(|n| n.to_string()).collect();
    let expected = lines.join("\n") + "\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert!(ran["truncated"]["stdoutBytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{ran}");
    assert_eq!(ran.get("stderrFile"), None);
    assert_eq!(shell.run(json!({ "command": "echo short" })).await.get("stdoutFile"), None);
    within("the stop", shell.computer.stop()).await;
    assert!(!fs::exists(&file).unwrap(), "it goes with its entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_environment_a_command_gets_can_be_chosen() {
    for (login, flags) in [(Login::Snapshot, ""), (Login::Always, "il"), (Login::Never, "")] {
        let shell = Shell::of(|entry| ShellConfig { login, shell: Some("/bin/bash".into()), ..entry }).await;
        let ran = shell.run(json!({ "command": "printf '%s ' $-; shopt -q login_shell && echo l; echo $PAGER" })).await;
        let printed = ran["stdout"].as_str().unwrap();
        for flag in ["i", "l"] {
            let has = printed.split(' ').next().is_some_and(|set| set.contains(flag))
                || (flag == "l" && printed.contains(" l\n"));
            assert_eq!(has, flags.contains(flag), "{login:?} {flag}: {ran}");
        }
        assert_eq!((&ran["stderr"], &ran["exitCode"]), (&json!(""), &json!(0)), "{login:?}");
    }
}
