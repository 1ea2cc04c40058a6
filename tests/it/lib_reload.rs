//! Another configuration for a Computer that runs (spec/config.md 7), in this process.

use std::{fs, path::PathBuf, time::Duration};

use futures_util::{FutureExt, future::join_all};
use mcp_computer::{
    AddOptions, Applied, CallContext, Computer, ComputerConfig, EntryConfig, Event,
    config::{self, LoadError, StatusTools, watch::Origin},
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    fake,
    library::{
        AT_ONCE, bash, comes_true, deferred, gated, health_of, names, open_gate, sent, server, timed, told_so_far,
        until, up, within,
    },
    procs::{all_gone, assert_gone, pids_in},
    program::text,
};

/// A configuration of these entries.
fn of<E: Into<EntryConfig>>(entries: impl IntoIterator<Item = (&'static str, E)>) -> ComputerConfig {
    entries.into_iter().fold(ComputerConfig::new(), |config, (name, entry)| config.with(name, entry).unwrap())
}

/// A server with so many tools.
fn tools(count: &str) -> EntryConfig {
    server(["--tools", count]).into()
}

/// A server that never answers and does not want to leave.
fn stuck() -> EntryConfig {
    let mut entry = server(["--silent", "--ignore-term", "--ignore-eof"]);
    entry.connect_timeout = Some(Duration::from_secs(600));
    entry.into()
}

async fn apply(computer: &Computer, config: ComputerConfig) -> Applied {
    within("applying", computer.apply(config)).await
}

/// The pid of each of these entries.
async fn pids<const N: usize>(computer: &Computer, entries: [&str; N]) -> [Option<u32>; N] {
    let health = within("health", computer.health()).await;
    entries.map(|name| health.entries.iter().find(|entry| entry.name == name).and_then(|entry| entry.pid))
}

fn gone(pid: Option<u32>) -> bool {
    all_gone(&[pid.expect("it had a process").cast_signed()])
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// How often a change of the tools was told.
fn announced(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::ToolsChanged { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_differs_is_touched_and_it_is_announced_once() {
    let computer = up([("same", tools("1")), ("other", tools("1")), ("gone", tools("1"))]).await;
    let before = pids(&computer, ["same", "other", "gone"]).await;
    let (mut events, mut changes) = (computer.events(), computer.changes());
    // Slow enough that its tools would be a change of their own.
    let slow = EntryConfig::from(server(["--tools", "1", "--delay-ms", "300"]));
    let config = of([("new", slow), ("other", tools("2")), ("same", tools("1"))]);
    let applied = apply(&computer, config.clone()).await;

    let [added, removed, changed, unchanged] = ["new", "gone", "other", "same"].map(|name| texts([name]));
    assert_eq!(applied, Applied { added, removed, changed, unchanged, ..Applied::default() });
    assert_eq!(computer.entries(), ["new", "other", "same"], "in the order of the configuration");
    assert_eq!(names(&computer), ["new__echo", "other__echo", "other__tool_1", "same__echo"]);
    assert_eq!(*computer.config(), config);
    let after = pids(&computer, ["same", "other", "new"]).await;
    assert_eq!(after[0], before[0]);
    assert!(after[1] != before[1] && after[2].is_some());
    assert!(gone(before[1]) && gone(before[2]));

    within("the change", changes.next()).await;
    assert!(changes.next().now_or_never().is_none(), "one change, told once");
    let events = told_so_far(&mut events);
    assert_eq!(announced(&events), 1, "{events:?}");
    let told = Event::ConfigApplied { added: texts(["new"]), removed: texts(["gone"]), changed: texts(["other"]) };
    assert!(events.contains(&told), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_configuration_changes_nothing() {
    let computer = up([("a", tools("1")), ("b", deferred(server(["--tools", "1"])))]).await;
    let (before, mut events) = (pids(&computer, ["a"]).await, computer.events());
    let applied = apply(&computer, (*computer.config()).clone()).await;
    assert!(applied.is_nothing() && applied.unchanged == ["a", "b"], "{applied:?}");
    assert_eq!(pids(&computer, ["a"]).await, before);
    assert_eq!(announced(&told_so_far(&mut events)), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_an_entry_stay_listed_and_callable_while_it_is_replaced() {
    let computer = up([("a", tools("1"))]).await;
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("gate");
    let config =
        of([("a", bash(&format!(r#"until [ -e '{}' ]; do sleep 0.02; done; exec "$0" --tools 2"#, gate.display())))]);
    let during = async {
        comes_true("it is being replaced", || computer.entry_health("a").unwrap().state == "starting").await;
        assert_eq!(names(&computer), ["a__echo"]);
        let mut call = sent(&computer, "a__echo", CallContext::default());
        assert!((&mut call).now_or_never().is_none(), "it waits for who is next");
        open_gate(dir.path());
        within("a call", call).await.unwrap()
    };
    let (_, answer) = futures_util::join!(apply(&computer, config), during);
    assert!(!answer.get().contains("isError"), "{answer:?}");
    assert_eq!(names(&computer), ["a__echo", "a__tool_1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_on_an_entry_that_stays_is_not_disturbed() {
    let computer = up([("a", server::<&str>([])), ("b", server(["--tools", "1"]))]).await;
    let mut hanging = sent(&computer, "a__hang", CallContext::default());
    within("a call", computer.call("a__echo", &json!({ "message": "x" }))).await.unwrap();
    apply(&computer, of([("a", server::<&str>([]))])).await;
    assert!((&mut hanging).now_or_never().is_none(), "it still waits for its answer");
    assert_eq!(within("a call", computer.call("a__cancelled", &json!({}))).await.unwrap(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_replaced_by_one_that_fails_shows_its_status_tool() {
    let computer = up([("a", tools("1"))]).await;
    apply(&computer, of([("a", server(["--exit-at-once", "3", "--stderr", "no licence"]))])).await;
    assert_eq!(names(&computer), ["a__status"]);
    assert!(health_of(&computer, "a").await.error.is_some_and(|error| error.contains("no licence")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_hangs_is_taken_back_when_its_configuration_is_mended() {
    let computer = Computer::new(of([("a", stuck())]));
    computer.begin();
    comes_true("it is being started", || computer.entry_health("a").unwrap().state == "starting").await;
    let (_, took) = timed(apply(&computer, of([("a", tools("1"))]))).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    comes_true("it is up", || names(&computer) == ["a__echo"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_takes_long_does_not_keep_the_others_waiting() {
    let computer = up([("a", tools("1"))]).await;
    let slow = stuck();
    let (applied, took) = timed(apply(&computer, of([("slow", slow), ("b", tools("1"))]))).await;
    assert_eq!(applied.added, ["slow", "b"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(names(&computer), ["b__echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_by_hand_stays_stopped_and_is_restarted_by_the_new_recipe() {
    let computer = up([("a", tools("1"))]).await;
    computer.stop_entry("a").await.unwrap();
    let applied = apply(&computer, of([("a", tools("2"))])).await;
    assert_eq!(applied.changed, ["a"]);
    assert_eq!(health_of(&computer, "a").await.state, "stopped");
    within("a restart", computer.restart_entry("a")).await.unwrap();
    assert_eq!(names(&computer), ["a__echo", "a__tool_1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_by_hand_stays_even_when_its_name_is_taken() {
    let computer = up([("a", tools("1"))]).await;
    computer.add_entry("mine", tools("1"), AT_ONCE).await.unwrap();
    let before = pids(&computer, ["mine"]).await;
    let applied = apply(&computer, of([("mine", tools("2")), ("b", tools("1"))])).await;
    assert_eq!((applied.added, applied.removed, applied.taken), (texts(["b"]), texts(["a"]), texts(["mine"])));
    assert_eq!(pids(&computer, ["mine"]).await, before);
    assert_eq!(computer.entries(), ["b", "mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_by_hand_comes_back_when_the_configuration_says_something_else_of_it() {
    let computer = up([("a", tools("1")), ("b", tools("1"))]).await;
    computer.remove_entry("a").await;
    apply(&computer, of([("a", tools("1")), ("b", tools("2"))])).await;
    assert_eq!(computer.entries(), ["b"]);
    let applied = apply(&computer, of([("a", tools("2")), ("b", tools("2"))])).await;
    assert_eq!(applied.added, ["a"]);
    assert_eq!(names(&computer), ["a__echo", "a__tool_1", "b__echo", "b__tool_1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_concerns_how_an_entry_is_shown_restarts_nothing() {
    let computer = up([("a", tools("2"))]).await;
    let before = pids(&computer, ["a"]).await;
    let mut shown = tools("2");
    shown.tools.rename = vec![("echo".to_owned(), "say".to_owned())];
    (shown.description, shown.agent_control) = (Some("says it".to_owned()), false);
    shown.diagnostics.suggested_fixes = texts(["ask"]);
    let mut config = of([("a", shown)]);
    (config.status_tools, config.serve.name_limit) = (StatusTools::Always, 40);
    let applied = apply(&computer, config).await;
    assert_eq!(applied.changed, ["a"]);
    assert_eq!(names(&computer), ["a__say", "a__status", "a__tool_1"]);
    let status = within("a call", computer.call("a__status", &json!({}))).await.unwrap();
    assert_eq!(status["suggestedFixes"], json!(["ask"]));
    assert!(within("a call", computer.call("a__status", &json!({ "connect": true }))).await.is_err());
    assert_eq!(pids(&computer, ["a"]).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_changed_counts_and_one_that_did_not_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, "one").unwrap();
    let reference = format!("${{file:{}}}", key.display());
    let config = of([
        ("a", server::<&str>([]).env("K", &reference)),
        ("b", server::<&str>([]).env("K", "${cmd:date +%N}x${userHome}")),
    ]);
    let config = ComputerConfig { may_run_commands: true, ..config };
    let computer = Computer::new(config.clone());
    within("the start", computer.start()).await.unwrap();
    let before = pids(&computer, ["a", "b"]).await;
    assert!(apply(&computer, config.clone()).await.is_nothing());
    assert_eq!(pids(&computer, ["a", "b"]).await, before);

    fs::write(&key, "two").unwrap();
    let applied = apply(&computer, config.clone()).await;
    assert_eq!((applied.changed, applied.unchanged), (texts(["a"]), texts(["b"])));
    assert_eq!(within("a call", computer.call("a__env", &json!({}))).await.unwrap()["K"], "two");
    assert!(apply(&computer, config).await.is_nothing(), "what it was started with is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_variables_that_changed_counts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vars");
    fs::write(&file, "K=one\n").unwrap();
    let mut entry = server::<&str>([]);
    entry.env_file = Some(text(&file).to_owned());
    let computer = up([("a", entry)]).await;
    let config = (*computer.config()).clone();
    assert!(apply(&computer, config.clone()).await.is_nothing());
    fs::write(&file, "K=two\n").unwrap();
    assert_eq!(apply(&computer, config).await.changed, ["a"]);
    assert_eq!(within("a call", computer.call("a__env", &json!({}))).await.unwrap()["K"], "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_value_was_missing_comes_up_when_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let config = of([("a", server(["--tools", "1"]).env("K", format!("${{file:{}}}", key.display())))]);
    let computer = Computer::new(config.clone());
    within("the start", computer.start()).await.unwrap_err();
    assert!(apply(&computer, config.clone()).await.is_nothing());
    fs::write(&key, "").unwrap();
    assert_eq!(apply(&computer, config).await.changed, ["a"]);
    assert_eq!(names(&computer), ["a__echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_brought_up_and_closed_as_it_is_deferred_and_disabled() {
    let plain = || tools("1");
    let held = || deferred(tools("1"));
    let off = || EntryConfig { disabled: true, ..tools("1") };
    let computer = up([("a", held())]).await;
    for (entry, state) in [
        (plain(), "ready"),
        (held(), "deferred"),
        (off(), "disabled"),
        (plain(), "ready"),
        (off(), "disabled"),
        (held(), "deferred"),
        (deferred(tools("2")), "deferred"),
        (tools("2"), "ready"),
    ] {
        let applied = apply(&computer, of([("a", entry)])).await;
        assert_eq!(applied.changed, ["a"]);
        let health = health_of(&computer, "a").await;
        assert_eq!((health.state, health.pid.is_some()), (state, state == "ready"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_entry_that_somebody_brought_up_stays_up() {
    let computer = up([("a", deferred(tools("1")))]).await;
    within("a restart", computer.restart_entry("a")).await.unwrap();
    let before = pids(&computer, ["a"]).await;
    apply(&computer, of([("a", tools("1"))])).await;
    assert_eq!(pids(&computer, ["a"]).await, before, "it is where it should be");
    computer.stop_entry("a").await.unwrap();
    apply(&computer, of([("a", deferred(tools("1")))])).await;
    assert_eq!(health_of(&computer, "a").await.state, "stopped");

    let computer = up([("a", deferred(tools("1")))]).await;
    within("a restart", computer.restart_entry("a")).await.unwrap();
    apply(&computer, of([("a", deferred(tools("2")))])).await;
    assert_eq!(names(&computer), ["a__echo", "a__tool_1"], "whoever asked for it still wants it");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_start_the_new_configuration_is_what_is_started() {
    let computer = Computer::new(of([("a", tools("1")), ("b", tools("1"))]));
    let applied = apply(&computer, of([("c", tools("1")), ("b", tools("2"))])).await;
    let expected = (texts(["c"]), texts(["a"]), texts(["b"]));
    assert_eq!((applied.added, applied.removed, applied.changed), expected);
    within("the start", computer.start()).await.unwrap();
    assert_eq!(names(&computer), ["b__echo", "b__tool_1", "c__echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_computer_takes_a_configuration_and_is_started_by_it() {
    let computer = up([("a", tools("1"))]).await;
    computer.stop().await;
    apply(&computer, of([("a", tools("2"))])).await;
    assert_eq!(names(&computer), Vec::<String>::new());
    within("the start", computer.start()).await.unwrap();
    assert_eq!(names(&computer), ["a__echo", "a__tool_1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_come_at_the_same_time_end_with_one_of_them_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let noted = dir.path().join("pids");
    let noting = |count: &str| server(["--tools", count, "--pid-file", text(&noted)]);
    let computer = up([("a", noting("1"))]).await;
    let configs = (0..12).map(|i| match i % 3 {
        0 => of([("a", noting("1"))]),
        1 => of([("a", noting("2")), ("b", noting("1"))]),
        _ => of([("b", noting("2")), ("c", noting("1"))]),
    });
    within("all of them", join_all(configs.map(|config| computer.apply(config)))).await;
    let config = computer.config();
    let entries: Vec<String> = config.entries.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(computer.entries(), entries);
    until("all are up", async || computer.health().await.healthy).await;
    let health = within("health", computer.health()).await;
    let kept: Vec<i32> = health.entries.iter().filter_map(|entry| Some(entry.pid?.cast_signed())).collect();
    let others: Vec<i32> = pids_in(&noted).into_iter().filter(|pid| !kept.contains(pid)).collect();
    assert_gone(&others);
    assert_eq!(kept.len(), entries.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_waited_for_is_changed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let computer = up([("a", tools("1"))]).await;
    let config = of([("a", gated(dir.path())), ("b", server(["--tools", "1", "--delay-ms", "200"]))]);
    open_gate(dir.path());
    let mut applying = Box::pin(computer.apply(config));
    comes_true("it has begun", || {
        let _ = (&mut applying).now_or_never();
        computer.has_entry("b")
    })
    .await;
    drop(applying);
    comes_true("both are up", || names(&computer).contains(&"b__echo".to_owned())).await;
    until("all are up", async || computer.health().await.healthy).await;
}

/// A config file, and a Computer that was made of it.
struct Filed {
    dir: TempDir,
    origin: Origin,
    computer: Computer,
}

impl Filed {
    async fn up(entries: &serde_json::Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        fs::write(&path, json!({ "mcpServers": entries }).to_string()).unwrap();
        let loaded = config::file::load(Some(&path)).unwrap();
        let origin = Origin::of(&loaded, Some(&path), None).unwrap();
        let computer = Computer::new(loaded.config);
        within("the start", computer.start()).await.unwrap();
        Self { dir, origin, computer }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("c.json")
    }

    fn write(&self, entries: &serde_json::Value) {
        fs::write(self.path(), json!({ "mcpServers": entries }).to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_changes_nothing_and_is_told_until_it_can() {
    let filed = Filed::up(&json!({ "a": fake::fake(["--tools", "1"]) })).await;
    let (computer, mut events) = (&filed.computer, filed.computer.events());
    let (before, config) = (pids(computer, ["a"]).await, computer.config());
    fs::write(filed.path(), "{\n  \"mcpServers\": { \"a\": {} },\n  \"nameLimt\": 3 }").unwrap();
    let error = within("a reload", computer.reload(&filed.origin)).await.unwrap_err();
    let LoadError::Problems(problems) = &error else { panic!("{error}") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.len() == 2 && problems[1].contains("c.json:3:3: unknown key `nameLimt`"), "{problems:?}");
    assert_eq!((pids(computer, ["a"]).await, &*computer.config()), (before, &*config));
    assert_eq!(computer.config_problems(), problems);
    assert_eq!(within("health", computer.health()).await.config_problems, problems);
    let events = told_so_far(&mut events);
    assert!(events.contains(&Event::ConfigRefused { problems }), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::ConfigApplied { .. })), "{events:?}");

    fs::remove_file(filed.path()).unwrap();
    let error = within("a reload", computer.reload(&filed.origin)).await.unwrap_err();
    assert!(matches!(error, LoadError::NotFound { .. }), "{error}");
    assert_eq!(pids(computer, ["a"]).await, before);

    filed.write(&json!({ "a": fake::fake(["--tools", "1"]), "b": fake::fake(["--tools", "1"]) }));
    let applied = within("a reload", computer.reload(&filed.origin)).await.unwrap();
    assert_eq!((applied.added, applied.unchanged), (texts(["b"]), texts(["a"])));
    assert_eq!(computer.config_problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_followed_is_applied_when_it_says_something_else() {
    let filed = Filed::up(&json!({ "a": fake::fake(["--tools", "1"]) })).await;
    let (computer, mut events) = (&filed.computer, filed.computer.events());
    let before = pids(computer, ["a"]).await;
    let following = computer.follow(&filed.origin);
    let edits = async {
        filed.write(&json!({ "a": fake::fake(["--tools", "1"]), "b": fake::fake(["--tools", "1"]) }));
        comes_true("it is applied", || names(computer) == ["a__echo", "b__echo"]).await;
        // The same, in other words: there is nothing to apply.
        let text = fs::read_to_string(filed.path()).unwrap();
        fs::write(filed.path(), format!("// two entries\n{text}")).unwrap();
        fs::rename(filed.path(), filed.dir.path().join("away")).unwrap();
        comes_true("it is missed", || !computer.config_problems().is_empty()).await;
        assert_eq!(names(computer), ["a__echo", "b__echo"]);
        fs::rename(filed.dir.path().join("away"), filed.path()).unwrap();
        comes_true("it is found again", || computer.config_problems().is_empty()).await;
    };
    tokio::select! {
        () = following => unreachable!("it follows for ever"),
        () = within("the edits", edits) => {}
    }
    assert_eq!(pids(computer, ["a"]).await, before);
    let applied = told_so_far(&mut events);
    let applied = applied.iter().filter(|event| matches!(event, Event::ConfigApplied { .. })).count();
    assert_eq!(applied, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_added_as_deferred_by_hand_keeps_its_place_behind_the_configuration() {
    let computer = up([("a", tools("1"))]).await;
    computer.add_entry("later", tools("1"), AddOptions { deferred: true }).await.unwrap();
    apply(&computer, of([("z", tools("1")), ("a", tools("1"))])).await;
    assert_eq!(computer.entries(), ["z", "a", "later"]);
    assert_eq!(health_of(&computer, "later").await.state, "deferred");
}
