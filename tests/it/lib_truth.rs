//! One truth (spec/computer.md 12–15, 25): health, the status tool, events and the log show the same, in this process.

use std::{
    io::{self, Write},
    sync::{Mutex, Once},
    time::Duration,
};

use futures_util::FutureExt;
use mcp_computer::{
    Computer, EntryConfig, Error, Event, Events, StdioConfig,
    config::{Restart, StatusTools},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    http::{Reply, Web},
    library::{
        AT_ONCE, Fake, brought_back, deferred, gated, health_of, never_restarted, server, timed, told, told_so_far,
        until, with_status_tools, within,
    },
    procs::{alive, signal},
};

/// What was logged, by whatever test.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen_to_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let log = tracing_subscriber::fmt().with_ansi(false).without_time().with_max_level(tracing::Level::INFO);
        log.with_writer(|| Log).init();
    });
}

/// An entry of which everybody is asked. Its name is nobody else's: the log is that of all tests.
struct Asked {
    computer: Computer,
    events: Events,
    name: &'static str,
}

impl Asked {
    /// Not begun.
    fn of(name: &'static str, entry: impl Into<EntryConfig>) -> Self {
        listen_to_the_log();
        let computer = with_status_tools(StatusTools::Always, [(name, entry.into())]);
        Self { events: computer.events(), computer, name }
    }

    /// Begun, and in this state.
    async fn until(name: &'static str, entry: impl Into<EntryConfig>, state: &str) -> Self {
        let mut asked = Self::of(name, entry);
        asked.computer.begin();
        told_of(&mut asked, state).await;
        asked
    }

    /// Everybody says this state, and the same error; what that is.
    async fn is(&mut self, state: &str) -> Option<String> {
        let health = health_of(&self.computer, self.name).await;
        let quick = self.computer.entry_health(self.name).unwrap();
        assert_eq!((health.state, quick.state), (state, state));
        assert_eq!(health.error, quick.error);
        assert_eq!(health.healthy, state == "ready");
        assert_eq!(self.status_tool().await, (state.to_owned(), health.error.clone()), "the status tool");
        health.error
    }

    /// What the status tool says, or what is said instead where an entry has none.
    async fn status_tool(&self) -> (String, Option<String>) {
        let (tool, nothing) = (format!("{}__status", self.name), json!({}));
        match within("the status tool", self.computer.call(&tool, &nothing)).await {
            Ok(told) => (text(&told["status"]).unwrap(), text(&told["error"])),
            Err(Error::NotReady { state, reason, .. }) => (state, reason),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The log says this state last, and the same error on one line.
    fn logs(&self, state: &str, error: Option<&str>) {
        let line = self.logged();
        let error = error.map(|error| format!("error={:?}", error.replace('\n', " | ")));
        assert!(line.contains(&format!("state={state:?}")), "{line}");
        assert!(error.as_ref().is_none_or(|error| line.contains(error)), "{line}\n{error:?}");
        let is_down = ["waiting", "failed", "needsAuth", "needsInput"].contains(&state);
        assert_eq!(line.trim_start().starts_with("WARN"), is_down, "{line}");
    }

    /// What was logged of it last.
    fn logged(&self) -> String {
        let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
        let of = format!("{{namespace={}}}", self.name);
        let ours = |line: &&str| line.contains(&of) && line.contains(": mcp_computer::");
        log.lines().rfind(ours).unwrap_or_else(|| panic!("nothing of {of}: {log}")).to_owned()
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

/// Waits until it is told that the entry is in a state; the log says the same.
async fn told_of(asked: &mut Asked, state: &str) -> Option<String> {
    let error = told(&mut asked.events, asked.name, state).await;
    asked.logs(state, error.as_deref());
    error
}

/// Begins, and everybody says that the entry is in this state, for a reason that holds this part.
async fn all_say(name: &'static str, entry: impl Into<EntryConfig>, (state, part): (&str, &str)) {
    let mut asked = Asked::of(name, entry);
    asked.computer.begin();
    let event = told_of(&mut asked, state).await;
    let error = asked.is(state).await;
    assert_eq!(event, error, "the event");
    assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{error:?}");
    asked.computer.stop_within(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_start_and_after_the_stop_an_entry_is_idle_for_everybody() {
    let mut asked = Asked::of("truth-idle", server(["--tools", "1"]));
    let before = asked.is("idle").await;
    assert_eq!(before.as_deref(), Some("the Computer has not been started"));
    within("the start", asked.computer.start()).await.unwrap();
    assert_eq!(asked.is("ready").await, None);
    within("the stop", asked.computer.stop()).await;
    assert_eq!(told_of(&mut asked, "idle").await, before);
    assert_eq!(asked.is("idle").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_starts_is_starting_for_everybody() {
    let mut slow = server(["--silent"]);
    slow.connect_timeout = Some(Duration::from_secs(600));
    all_say("truth-starting", slow, ("starting", "being started")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_up_is_ready_for_everybody_and_nothing_is_wrong() {
    let mut asked = Asked::of("truth-ready", server(["--tools", "1"]));
    asked.computer.begin();
    assert_eq!(told_of(&mut asked, "ready").await, None);
    assert_eq!(asked.is("ready").await, None);
    assert!(!asked.logged().contains("error="), "{}", asked.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_tried_again_waits_for_everybody_and_they_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut asked = Asked::until("truth-waiting", gated(dir.path()), "waiting").await;
    // Late enough that the wait is longer than asking everybody.
    let health = || asked.computer.entry_health("truth-waiting").unwrap();
    until("the waits are long", async || health().attempt >= Some(4) && health().state == "waiting").await;
    let told = told_so_far(&mut asked.events);
    let Some(Event::StateChanged { state: "waiting", error: event, .. }) = told.last() else { panic!("{told:?}") };
    let error = asked.is("waiting").await;
    assert_eq!(&error, event);
    asked.logs("waiting", error.as_deref());
    let event = error.clone();
    assert!(error.is_some_and(|error| error.contains("status 7") && error.contains("the gate is shut")));
    let health = health_of(&asked.computer, asked.name).await;
    assert_eq!((health.last_error, health.last_stderr.as_deref()), (event, Some("the gate is shut")));
    assert!(health.retry_in_ms.is_some_and(|ms| ms > 0) && health.pid.is_none() && health.uptime_ms.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_given_up_has_failed_for_everybody_and_they_say_why() {
    let dir = tempfile::tempdir().unwrap();
    all_say("truth-failed", never_restarted(gated(dir.path())), ("failed", "the gate is shut")).await;
    all_say("truth-missing", Computer::stdio("no-such-program-9c", [""; 0]), ("failed", "was not found")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_nobody_wants_up_says_so_to_everybody() {
    let mut asked = Asked::of("truth-deferred", deferred(server(["--tools", "1"])));
    asked.computer.begin();
    assert_eq!(asked.is("deferred").await.as_deref(), Some("Deferred - connect via restart_entry()"));
    let off = EntryConfig { disabled: true, ..server(["--tools", "1"]).into() };
    let mut asked = Asked::of("truth-disabled", off);
    asked.computer.begin();
    let error = asked.is("disabled").await;
    assert_eq!(error.as_deref(), Some("Disabled by the configuration"));
    let refused = asked.computer.restart_entry(asked.name).await.unwrap_err();
    assert!(matches!(refused, Error::NotReady { state, reason, .. } if state == "disabled" && reason == error));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_credentials_needs_them_for_everybody() {
    let web = Web::serve(|_| Reply::status(401).with("www-authenticate", "Bearer realm=\"x\""));
    all_say("truth-auth", Computer::http(web.url()), ("needsAuth", "wants credentials")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_a_value_needs_it_for_everybody() {
    let entry = server(["--tools", "1"]).env("KEY", "${input:truth-key}");
    all_say("truth-input", entry, ("needsInput", "truth-key")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_up_and_gives_no_sign_of_life_says_so_to_everybody_until_it_gives_one() {
    let mut asked = Asked::until("truth-silent", server::<&str>([]), "ready").await;
    let pid = health_of(&asked.computer, asked.name).await.pid.unwrap().cast_signed();
    signal(pid, Signal::SIGSTOP);
    let asking = health_of(&asked.computer, asked.name).await;
    assert_eq!((asking.state, asking.healthy), ("ready", false));
    let event = told(&mut asked.events, asked.name, "ready").await;
    let error = event.as_ref().expect("it says what is wrong");
    assert!(error.contains("no sign of life within 3 s") && error.contains("restart the entry"), "{error}");
    assert_eq!(asking.error, event);
    let quick = asked.computer.entry_health(asked.name).unwrap();
    assert_eq!((quick.healthy, quick.error), (false, event.clone()));
    assert_eq!(asked.status_tool().await, ("ready".to_owned(), event.clone()));
    let (line, logged) = (asked.logged(), error.replace('\n', " | "));
    assert!(line.trim_start().starts_with("WARN") && line.contains(&logged), "{line}");

    signal(pid, Signal::SIGCONT);
    assert_eq!(told_of(&mut asked, "ready").await, None);
    assert_eq!(asked.is("ready").await, None);
    assert_eq!(states(&told_so_far(&mut asked.events)), Vec::<&str>::new(), "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_told_of_before_it_is_replaced_though_nobody_asks() {
    let (probe_interval, restart) = (Duration::from_secs(1), Restart::Never);
    let entry = StdioConfig { probe_interval, restart, ..server(["--tools", "1"]) };
    let mut asked = Asked::until("truth-vigil", entry, "ready").await;
    let pid = asked.computer.entry_health(asked.name).unwrap().pid.unwrap().cast_signed();
    signal(pid, Signal::SIGSTOP);
    let event = told_of_silence(&mut asked).await;
    assert!(event.contains("no sign of life within 1 s"), "{event}");
    let error = told_of(&mut asked, "failed").await;
    assert!(error.is_some_and(|error| error.contains("gave no sign of life for 3 s")));
}

/// Waits until it is told that the entry is up and silent; the log says the same.
async fn told_of_silence(asked: &mut Asked) -> String {
    let event = told(&mut asked.events, asked.name, "ready").await.expect("it says what is wrong");
    assert!(asked.logged().contains(&event), "{}", asked.logged());
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_being_stopped_is_stopped_for_everybody_from_the_beginning() {
    let stubborn = server(["--ignore-term", "--ignore-eof"]);
    let mut asked = Asked::until("truth-stopped", stubborn, "ready").await;
    let pid = health_of(&asked.computer, asked.name).await.pid.unwrap().cast_signed();
    let computer = asked.computer.clone();
    let mut stopping = Box::pin(computer.stop_entry("truth-stopped"));
    assert!((&mut stopping).now_or_never().is_none());
    let event = told_of(&mut asked, "stopped").await;
    assert_eq!(asked.is("stopped").await, event);
    assert!(alive(pid) && (&mut stopping).now_or_never().is_none(), "it takes its time to leave");
    let (refused, took) = timed(asked.computer.call("truth-stopped__echo", &json!({}))).await;
    assert!(matches!(refused, Err(Error::NotReady { state, reason, .. }) if state == "stopped" && reason == event));
    assert!(took < Duration::from_secs(3), "nobody waits for what was stopped: {took:?}");
    within("the stop", stopping).await.unwrap();
    assert!(!alive(pid));
    assert_eq!(asked.is("stopped").await, event);
    assert_eq!(states(&told_so_far(&mut asked.events)), Vec::<&str>::new(), "told once");
}

/// The states that were told.
fn states(events: &[Event]) -> Vec<&'static str> {
    let states = events.iter().filter_map(|event| match event {
        Event::StateChanged { state, .. } => Some(*state),
        _ => None,
    });
    states.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_told_to_be_removed_and_nothing_else() {
    let fake = Fake::begun([], |entry| entry);
    let mut events = fake.computer.events();
    within("the start", fake.computer.start()).await.unwrap();
    told(&mut events, "fake", "ready").await;
    within("removing", fake.computer.remove_entry("fake")).await;
    let told = told_so_far(&mut events);
    assert!(told.contains(&Event::EntryRemoved { namespace: "fake".into() }), "{told:?}");
    assert_eq!(states(&told), Vec::<&str>::new());
    assert!(matches!(fake.computer.entry_health("fake"), Err(Error::UnknownNamespace { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_is_told_once_and_in_order_from_the_start_to_the_end() {
    let fake = Fake::begun([], |entry| entry);
    let mut events = fake.computer.events();
    within("the start", fake.computer.start()).await.unwrap();
    fake.call("crash", json!({})).await.unwrap_err();
    fake.call("echo", json!({})).await.unwrap();
    within("a restart", fake.computer.restart_entry("fake")).await.unwrap();
    within("a stop", fake.computer.stop_entry("fake")).await.unwrap();
    within("the stop", fake.computer.stop()).await;
    let told = states(&told_so_far(&mut events));
    assert_eq!(told, ["starting", "ready", "waiting", "starting", "ready", "starting", "ready", "stopped", "idle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_and_remembered_is_right_after_a_crash_a_restart_and_a_stop() {
    let fake = Fake::up(["--stderr", "hello"]).await;
    let mut events = fake.computer.events();
    until("time goes by", async || fake.health().await.uptime_ms >= Some(300)).await;
    let (crashed, took) = timed(async {
        fake.call("crash", json!({})).await.unwrap_err();
        brought_back(&mut events, "fake").await;
        fake.health().await
    })
    .await;
    assert_eq!((crashed.restarts, crashed.pid), (1, Some(fake.pid().cast_unsigned())));
    assert!(crashed.uptime_ms.map(u128::from) < Some(took.as_millis()), "it begins anew: {crashed:?}");
    assert!(crashed.last_error.as_ref().is_some_and(|error| error.contains("SIGABRT")), "{crashed:?}");
    assert_eq!((crashed.error, crashed.last_stderr.as_deref()), (None, Some("hello")), "of the server that runs");

    let (restarted, took) = timed(fake.computer.restart_entry("fake")).await;
    let restarted = restarted.unwrap();
    assert_eq!((restarted.restarts, restarted.pid), (2, Some(fake.pid().cast_unsigned())));
    assert!(restarted.uptime_ms.map(u128::from) <= Some(took.as_millis()), "{restarted:?}");
    assert_eq!((restarted.error, &restarted.last_error), (None, &crashed.last_error), "a restart is no error");

    within("a stop", fake.computer.stop_entry("fake")).await.unwrap();
    let stopped = fake.health().await;
    assert_eq!((stopped.state, stopped.pid, stopped.uptime_ms, stopped.rss_bytes), ("stopped", None, None, None));
    assert_eq!((stopped.restarts, stopped.last_stderr.as_deref()), (2, Some("hello")), "its log can be read still");

    let again = within("a restart", fake.computer.restart_entry("fake")).await.unwrap();
    assert_eq!((again.restarts, again.pid), (3, Some(fake.pid().cast_unsigned())));
    assert_eq!(fake.pids().len(), 4, "the first start, and as many as are counted");

    within("removing", fake.computer.remove_entry("fake")).await;
    within("adding", fake.computer.add_entry("fake", server(["--tools", "1"]), AT_ONCE)).await.unwrap();
    let anew = fake.health().await;
    assert_eq!((anew.restarts, anew.last_error, anew.last_stderr), (0, None, None), "it is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_are_those_of_the_last_start_and_not_of_an_earlier_life() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gate"), "").unwrap();
    let mut asked = Asked::until("truth-words", never_restarted(gated(dir.path())), "ready").await;
    std::fs::remove_file(dir.path().join("gate")).unwrap();
    let health = within("a restart", asked.computer.restart_entry(asked.name)).await.unwrap();
    assert_eq!((health.state, health.last_stderr.as_deref()), ("failed", Some("the gate is shut")));
    assert_eq!(asked.is("failed").await, health.last_error);
}
