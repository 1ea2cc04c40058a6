//! Health and what mends it (spec/computer.md 14–17), in this process.

use std::time::Duration;

use mcp_computer::{Computer, EntryConfig, ShellMode};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    fake,
    library::{
        AT_ONCE, Fake, comes_true, deferred, gated, health_of, made_of, never_restarted, open_gate, scripted, server,
        timed, until, up, within,
    },
    procs::{pids_in, signal},
    program::text,
};

/// A Computer whose only entry has failed and is not tried again by itself, and the directory with its gate.
async fn failed() -> (Computer, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let computer = made_of([("fake", never_restarted(gated(dir.path())))]);
    within("the start", computer.start()).await.unwrap_err();
    (computer, dir)
}

/// The keys of a JSON object.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_up_is_told_in_full() {
    let fake = Fake::up(["--stderr", "ready to serve"]).await;
    let health = fake.health().await;
    assert_eq!((health.state, health.kind, health.healthy, health.restarts), ("ready", "stdio", true, 0));
    assert_eq!(health.pid, Some(fake.pid().cast_unsigned()));
    assert_eq!(health.tools, 20);
    assert!(health.uptime_ms.is_some() && health.rss_bytes.is_some_and(|bytes| bytes > 100_000), "{health:?}");
    assert!(health.cpu_percent.is_some_and(|percent| percent >= 0.0), "{health:?}");
    assert_eq!(health.server_info.as_ref().map(|info| &info["name"]), Some(&json!("fake")));
    assert_eq!(health.protocol.as_deref(), Some("2025-11-25"));
    assert_eq!(health.last_stderr.as_deref(), Some("ready to serve"));
    assert!(health.command.is_some_and(|line| line.contains(text(&fake::path())) && line.contains("--pid-file")));
    assert_eq!((health.error, health.last_error, health.problems), (None, None, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_an_entry_has_been_up_begins_anew_with_a_restart() {
    let fake = Fake::up([]).await;
    until("time goes by", async || fake.health().await.uptime_ms.unwrap() >= 300).await;
    let (restarted, took) = timed(fake.computer.restart_entry("fake")).await;
    let health = restarted.unwrap();
    assert!(u128::from(health.uptime_ms.unwrap()) <= took.as_millis(), "{health:?}");
    assert_eq!(health.restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_is_that_of_the_whole_tree() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    // The server's own child, which holds 64 MiB.
    let hoard = format!(
        "call() {{ bash -c 'x=$(head -c 64M /dev/zero | tr \"\\0\" x); echo $$ > {}; read < <(sleep 1000)' & succeed; }}",
        file.display()
    );
    let computer = up([("fake", scripted(&hoard))]).await;
    let before = health_of(&computer, "fake").await.rss_bytes.unwrap();
    within("a call", computer.call("fake__act", &json!({}))).await.unwrap();
    comes_true("the child has its memory", || !pids_in(&file).is_empty()).await;
    let after = health_of(&computer, "fake").await.rss_bytes.unwrap();
    assert!(after > before + (48 << 20), "{before} {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_is_healthy_when_everything_that_should_be_up_is() {
    let one = || server(["--tools", "1"]);
    let off = EntryConfig { disabled: true, ..one().into() };
    let entries = [("up", one().into()), ("late", deferred(one())), ("off", off), ("stopped", one().into())];
    let computer = up::<_, EntryConfig>(entries).await;
    within("stopping", computer.stop_entry("stopped")).await.unwrap();
    let health = within("health", computer.health()).await;
    assert!(health.healthy, "{health:?}");
    let each: Vec<(&str, bool)> = health.entries.iter().map(|entry| (entry.state, entry.healthy)).collect();
    assert_eq!(each, [("ready", true), ("deferred", false), ("disabled", false), ("stopped", false)]);
    assert!(health.entries[1..].iter().all(|entry| entry.error.is_some()), "{health:?}");
    within("adding", computer.add_entry("bad", server(["--exit-at-once", "1"]), AT_ONCE)).await.unwrap();
    assert!(!within("health", computer.health()).await.healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_start_nothing_is_healthy() {
    let fake = Fake::begun([], |entry| entry);
    let health = within("health", fake.computer.health()).await;
    assert!(!health.healthy && health.entries[0].state == "idle", "{health:?}");
    assert!(health.entries[0].error.is_some() && fake.pids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_hang_are_unhealthy_after_three_seconds_for_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let entry = server(["--pid-file", text(&file), "--tools", "1"]);
    let computer = up((0..4).map(|n| (format!("e{n}"), entry.clone()))).await;
    for pid in pids_in(&file) {
        signal(pid, Signal::SIGSTOP);
    }
    let (health, took) = timed(computer.health()).await;
    assert!(took < Duration::from_secs(9), "one after the other would take 12 s: {took:?}");
    for entry in health.entries {
        let error = entry.error.unwrap();
        assert!(!entry.healthy && entry.state == "ready" && error.contains("3 s"), "{error}");
    }
    assert!(!health.healthy);
    computer.stop_within(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ensure_ready_replaces_a_server_that_hangs() {
    let fake = Fake::up([]).await;
    signal(fake.pid(), Signal::SIGSTOP);
    let ready = within("mending", fake.computer.ensure_ready()).await;
    assert_eq!((ready.recovered, ready.failed_entries), (Some(vec!["fake".into()]), Some(vec![])));
    assert!(ready.health.healthy && fake.pids().len() == 2);
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn ensure_ready_only_looks_when_all_is_well() {
    let fake = Fake::up([]).await;
    let ready = within("looking", fake.computer.ensure_ready()).await;
    assert_eq!((ready.recovered, ready.failed_entries, ready.health.healthy), (None, None, true));
    assert_eq!(fake.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_want_it_ready_at_once_get_the_work_of_one() {
    let (computer, dir) = failed().await;
    open_gate(dir.path());
    let before = pids_in(&dir.path().join("pids")).len();
    let both = async { tokio::join!(computer.ensure_ready(), computer.ensure_ready()) };
    let (first, second) = within("mending", both).await;
    assert_eq!(first.recovered, Some(vec!["fake".into()]));
    assert_eq!(first, second);
    assert_eq!((pids_in(&dir.path().join("pids")).len(), first.health.entries[0].restarts), (before + 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_is_named() {
    let (computer, dir) = failed().await;
    within("adding", computer.add_entry("good", server(["--tools", "1"]), AT_ONCE)).await.unwrap();
    let ready = within("mending", computer.ensure_ready()).await;
    assert_eq!((ready.recovered, ready.failed_entries), (Some(vec![]), Some(vec!["fake".into()])));
    assert!(!ready.health.healthy);
    let retried = within("retrying", computer.retry_degraded()).await;
    assert_eq!((retried.recovered, retried.still_degraded), (vec![], vec!["fake".to_owned()]));
    open_gate(dir.path());
    let retried = within("retrying", computer.retry_degraded()).await;
    assert_eq!((retried.recovered, retried.still_degraded), (vec!["fake".to_owned()], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_waits_is_tried_now() {
    let dir = tempfile::tempdir().unwrap();
    let computer = made_of([("fake", gated(dir.path()))]);
    within("the start", computer.start()).await.unwrap_err();
    let health = health_of(&computer, "fake").await;
    assert!(["waiting", "starting"].contains(&health.state) && health.attempt.is_some(), "{health:?}");
    open_gate(dir.path());
    let ready = within("mending", computer.ensure_ready()).await;
    assert!(ready.health.healthy, "{ready:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_not_be_up_is_left_alone() {
    let fake = Fake::of([], deferred).await;
    let ready = within("looking", fake.computer.ensure_ready()).await;
    assert_eq!((ready.recovered, ready.failed_entries, ready.health.healthy), (None, None, true));
    let retried = within("retrying", fake.computer.retry_degraded()).await;
    assert!(retried.recovered.is_empty() && retried.still_degraded.is_empty());
    assert!(fake.pids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn as_json_the_keys_are_in_camel_case() {
    let (computer, _dir) = failed().await;
    let shell = Computer::shell(ShellMode::Unrestricted);
    within("adding", computer.add_entry("sh", shell, AT_ONCE)).await.unwrap();
    within("adding", computer.add_entry("noisy", server(["--junk", "3", "--stderr", "x"]), AT_ONCE)).await.unwrap();
    let health = serde_json::to_value(within("health", computer.health()).await).unwrap();
    assert_eq!(keys(&health), ["healthy", "entries", "totalTools", "guard"]);
    assert_eq!((&health["healthy"], &health["guard"]), (&json!(false), &json!("none")));
    assert_eq!(health["totalTools"], 26, "twenty and the shell's six; a status tool is none of a server");
    assert_eq!(health["entries"][0]["tools"], 0, "it never came up");
    let entry = keys(&health["entries"][0]);
    for key in ["name", "healthy", "error", "state", "kind", "tools", "restarts", "lastError"] {
        assert!(entry.contains(&key), "{key}: {entry:?}");
    }
    assert!(!entry.contains(&"pid") && !entry.contains(&"uptimeMs"), "{entry:?}");
    let entry = keys(&health["entries"][2]);
    for key in ["pid", "uptimeMs", "rssBytes", "cpuPercent", "lastStderr", "serverInfo", "command", "problems"] {
        assert!(entry.contains(&key), "{key}: {entry:?}");
    }
    assert_eq!((&health["entries"][1]["kind"], &health["entries"][1]["state"]), (&json!("shell"), &json!("ready")));
    let ready = serde_json::to_value(within("mending", computer.ensure_ready()).await).unwrap();
    assert_eq!(keys(&ready), ["healthy", "entries", "totalTools", "guard", "recovered", "failedEntries"]);
    let retried = serde_json::to_value(within("retrying", computer.retry_degraded()).await).unwrap();
    assert_eq!(retried, json!({ "recovered": [], "stillDegraded": ["fake"] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_about_a_server_is_told() {
    let fake = Fake::up(["--junk", "3", "--bad-tool"]).await;
    let problems = fake.health().await.problems.join("\n");
    for part in ["on stdout", "starting up...", "twice", "nonsense"] {
        assert!(problems.contains(part), "`{part}`: {problems}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_entry_keeps_its_servers_last_words() {
    let fake = Fake::of([], never_restarted).await;
    fake.call("crash", json!({})).await.unwrap_err();
    let health = fake.health().await;
    assert_eq!((health.state, health.pid, health.uptime_ms), ("failed", None, None));
    assert!(health.last_stderr.is_some_and(|lines| lines.contains("about to crash")));
    assert!(health.last_error.is_some_and(|error| error.contains("SIGABRT")));
}
