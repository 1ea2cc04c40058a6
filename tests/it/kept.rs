//! Programs that outlive the shell that started them, because `keep` names them (spec/shell.md 23).

use std::{fs, path::Path};

use mcp_computer::{Computer, ShellMode};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    client::Client,
    library::{comes_true, up, within},
    procs::{alive, all_gone, assert_gone, eventually, pids_in, signal},
    program::Scratch,
};

/// A directory with a program that is to be kept, and what was started in it.
struct Den(TempDir);

/// Notes its id, has a child that does the same, and waits.
const KEEPER: &str = "#!/bin/bash\nsleep 1000 & echo $! >> kept\necho $$ >> kept\nwait\n";

impl Den {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("keeper"), KEEPER).unwrap();
        std::process::Command::new("chmod").arg("+x").arg(dir.path().join("keeper")).status().unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    async fn up(&self) -> Computer {
        up([("sh", Computer::shell(ShellMode::Unrestricted).cwd(self.path()).keep(["keeper"]))]).await
    }

    fn kept(&self) -> Vec<i32> {
        pids_in(&self.path().join("kept"))
    }

    fn others(&self) -> Vec<i32> {
        pids_in(&self.path().join("others"))
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        for pid in self.kept() {
            // Most often it is gone.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Leaves the program that is kept, and another that has gone as far away; returns when both are there.
const LEAVE: &str = "setsid -f ./keeper >/dev/null 2>&1; setsid -f sh -c 'echo $$ >> others; exec sleep 1000'; \
                     until [ -e others ] && [ $(wc -l < kept) = 2 ]; do sleep 0.01; done 2>/dev/null";

async fn ran(computer: &Computer, arguments: Value) -> Value {
    within("the command", computer.call("sh__run_command", &arguments)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_kept_outlives_its_entry_and_nothing_outlives_the_host() {
    let den = Den::new();
    let computer = den.up().await;
    let result = ran(&computer, json!({ "command": LEAVE })).await;
    let kept = den.kept();
    assert_eq!(result["kept"], json!([{ "pid": kept[1], "name": "keeper" }]), "{result}");
    assert_eq!(result["jobs"][0]["pid"], den.others()[0], "the other is a job: {result}");
    within("the removal", computer.remove_entry("sh")).await;
    assert_gone(&den.others());
    assert!(kept.iter().all(|pid| alive(*pid)), "it and its child live");
    within("the end", computer.stop()).await;
    assert_gone(&kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_but_for_the_kept_is_no_job() {
    let den = Den::new();
    let computer = den.up().await;
    let command = "setsid -f ./keeper >/dev/null 2>&1; until [ $(wc -l < kept) = 2 ]; do sleep 0.01; done 2>/dev/null";
    let result = ran(&computer, json!({ "command": command })).await;
    assert_eq!((&result["kept"][0]["name"], &result["jobs"]), (&json!("keeper"), &Value::Null), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_lets_go_what_is_kept_when_it_ends() {
    let den = Den::new();
    let computer = den.up().await;
    let begun = ran(&computer, json!({ "command": format!("{LEAVE}; sleep 1000"), "background": true })).await;
    let job = &begun["jobs"][0]["id"];
    eventually("all is there", || den.kept().len() == 2 && den.others().len() == 1);
    let stopped = within("the stop", computer.call("sh__stop_job", &json!({ "job": job }))).await.unwrap();
    let kept = den.kept();
    assert_eq!(stopped["kept"], json!([{ "pid": kept[1], "name": "keeper" }]), "{stopped}");
    assert_gone(&den.others());
    assert!(kept.iter().all(|pid| alive(*pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stays_with_its_command_is_not_kept() {
    let den = Den::new();
    let computer = den.up().await;
    let command = "./keeper >/dev/null 2>&1 & until [ $(wc -l < kept) = 2 ]; do sleep 0.01; done 2>/dev/null";
    let result = ran(&computer, json!({ "command": command })).await;
    assert_eq!((&result["kept"], &result["jobs"][0]["id"]), (&Value::Null, &json!("1")), "{result}");
    within("the removal", computer.remove_entry("sh")).await;
    assert_gone(&den.kept());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_out_of_time_takes_what_is_kept_with_it() {
    let den = Den::new();
    let computer = den.up().await;
    let command = format!("{LEAVE}; touch ready; sleep 1000");
    let late = ran(&computer, json!({ "command": command, "timeout": 2000 })).await;
    assert_eq!((&late["exitCode"], &late["kept"]), (&json!(124), &Value::Null), "{late}");
    assert_gone(&[den.kept(), den.others()].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_kept_goes_when_the_computer_is_dropped() {
    let den = Den::new();
    let computer = den.up().await;
    ran(&computer, json!({ "command": LEAVE })).await;
    drop(computer);
    comes_true("nothing of it lives", || all_gone(&[den.kept(), den.others()].concat())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_kept_and_deaf_to_term_ends_with_the_host_too() {
    let den = Den::new();
    fs::write(den.path().join("keeper"), KEEPER.replacen('\n', "\ntrap '' TERM\n", 1)).unwrap();
    let computer = den.up().await;
    ran(&computer, json!({ "command": LEAVE })).await;
    within("the end", computer.stop()).await;
    assert_gone(&den.kept());
}

#[test]
fn a_program_that_is_kept_ends_when_its_host_is_killed() {
    let den = Den::new();
    let shell = json!({ "type": "shell", "mode": "unrestricted", "cwd": den.path(), "keep": ["keeper"] });
    let scratch = Scratch::entries(json!({ "sh": shell }));
    let mut client = Client::connect(&scratch);
    let (daemon, guard) = (client.daemon(), client.guard());
    client.call("sh__run_command", &json!({ "command": LEAVE }));
    let all = [den.kept(), den.others()].concat();
    assert!(all.len() == 3 && all.iter().all(|pid| alive(*pid)), "{all:?}");
    signal(daemon, Signal::SIGKILL);
    client.exited();
    eventually("daemon and guard are dead", || !alive(daemon) && !alive(guard));
    assert_gone(&all);
}
