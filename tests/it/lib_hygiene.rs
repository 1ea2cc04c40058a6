//! Nothing is left behind (spec/computer.md 31), in a process that has no guard.

use std::{future::Future, pin::Pin, time::Duration};

use mcp_computer::{CallContext, Computer, ShellMode, guard};
use serde_json::json;

use crate::support::{
    haunt::Haunt,
    library::{Fake, brought_back, comes_true, raw, sent, up, within},
    procs::{alive, all_gone, assert_gone, eventually, pids_in, signal},
};

type End = fn(Computer) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Children of every kind that want to outlive their server, and it that does not want to leave, are gone at once after
/// `end`.
async fn nothing_is_left_after(end: End) {
    assert_eq!(guard::pid(), None, "there is no guard to help");
    let (fake, haunt) = (Fake::up(["--ignore-term", "--ignore-eof"]).await, Haunt::new());
    let orphans = fake.path("orphans");
    fake.call("spawn_orphans", haunt.orphans(&orphans)).await.unwrap();
    let pids = [fake.pids(), pids_in(&orphans)].concat();
    within("the end", end(fake.computer.clone())).await;
    assert_gone(&pids);
    haunt.is_over();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_a_stop() {
    nothing_is_left_after(|computer| Box::pin(async move { computer.stop().await })).await;
    nothing_is_left_after(|computer| Box::pin(async move { computer.stop_within(Duration::ZERO).await })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_the_stop_of_an_entry() {
    nothing_is_left_after(|computer| Box::pin(async move { computer.stop_entry("fake").await.unwrap() })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_a_removal() {
    nothing_is_left_after(|computer| Box::pin(async move { computer.remove_entry("fake").await })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_before_is_left_after_a_restart() {
    nothing_is_left_after(|computer| Box::pin(async move { drop(computer.restart_entry("fake").await) })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_before_is_left_after_a_crash() {
    let fake = Fake::up([]).await;
    let pids = [fake.pids(), fake.orphans().await].concat();
    let mut events = fake.computer.events();
    fake.kill();
    brought_back(&mut events, "fake").await;
    assert_gone(&pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_the_last_clone_was_dropped() {
    let fake = Fake::up(["--ignore-term", "--ignore-eof"]).await;
    let pids = [fake.pids(), fake.orphans().await].concat();
    drop(fake);
    comes_true("all of them are gone", || all_gone(&pids)).await;
}

#[test]
fn nothing_is_left_after_the_runtime_has_gone() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (pids, _computer) = runtime.block_on(async {
        let fake = Fake::up(["--ignore-term", "--ignore-eof"]).await;
        ([fake.pids(), fake.orphans().await].concat(), fake.computer)
    });
    drop(runtime);
    // Nobody is left who could wait for it.
    eventually("all of them are gone", || all_gone(&pids));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_start_that_was_given_up() {
    let fake = Fake::begun(["--silent", "--ignore-term", "--ignore-eof"], |mut entry| {
        entry.connect_timeout = Some(Duration::from_millis(500));
        entry
    });
    within("the start", fake.computer.start()).await.unwrap_err();
    assert_gone(&[fake.pids()[0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_everything_leaves_nothing() {
    let fake = Fake::up([]).await;
    let orphans = fake.orphans().await;
    let hanging: Vec<_> = (0..10).map(|_| sent(&fake.computer, "fake__hang", CallContext::default())).collect();
    let chaos = async {
        let restarts = futures_util::future::join_all((0..10).map(|_| fake.computer.restart_entry("fake")));
        tokio::join!(restarts, fake.computer.stop(), futures_util::future::join_all(hanging))
    };
    let (_, (), answers) = within("all of it returns", chaos).await;
    assert!(answers.iter().all(Result::is_err));
    assert_gone(&[fake.pids(), orphans].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_is_ended_too() {
    let fake = Fake::up([]).await;
    signal(fake.pid(), nix::sys::signal::Signal::SIGSTOP);
    within("the stop", fake.computer.stop()).await;
    assert_gone(&fake.pids());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_entries_and_other_computers_are_left_alone() {
    let (one, other) = (Fake::up([]).await, Fake::up([]).await);
    let kept = other.orphans().await;
    one.orphans().await;
    within("the stop", one.computer.stop()).await;
    assert!(kept.iter().chain(&other.pids()).all(|pid| alive(*pid)));
    assert_eq!(other.call("pid", json!({})).await.unwrap(), other.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_the_shell_leave_nothing_however_they_hide() {
    let dir = tempfile::tempdir().unwrap();
    let computer = up([("sh", Computer::shell(ShellMode::Unrestricted).cwd(dir.path()))]).await;
    let hide = "setsid env -i sh -c 'sleep 1000 >/dev/null 2>&1 & echo $! >> pids'; \
        (trap '' TERM; echo $BASHPID >> pids; while :; do sleep 1; done) >/dev/null 2>&1 & \
        setsid sleep 1000 >/dev/null 2>&1 & echo $! >> pids";
    let file = dir.path().join("pids");
    for round in 1..=3 {
        let arguments = raw(&json!({ "command": format!("bash -c \"{}\"; sleep 0.2", hide.replace('$', "\\$")) }));
        let call = computer.call_raw("sh__run_command", Some(&arguments), CallContext::default());
        within("a command", call).await.unwrap();
        comes_true("they run", || pids_in(&file).len() == 3 * round).await;
    }
    let pids = pids_in(&file);
    assert!(pids.iter().all(|pid| alive(*pid)), "jobs are kept: {pids:?}");
    within("the stop", computer.stop()).await;
    assert_gone(&pids);
}
