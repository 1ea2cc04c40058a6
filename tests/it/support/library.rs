//! The library in this process: computers, their entries, and waiting for what must come.

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use mcp_computer::{
    AddOptions, CallContext, Computer, ComputerConfig, EntryConfig, EntryHealth, Event, Events, Result, StdioConfig,
    ToolProvider, Waiting,
    config::{Diagnostics, Restart, StatusTools},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json, value::RawValue};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, fake, procs, program::text};

/// An entry that runs the server that misbehaves on cue.
pub(crate) fn server<F: AsRef<str>>(flags: impl IntoIterator<Item = F>) -> StdioConfig {
    Computer::stdio(text(&fake::path()), flags.into_iter().map(|flag| flag.as_ref().to_owned()))
}

/// An entry that runs a bash script; its `$0` is the server that misbehaves on cue.
pub(crate) fn bash(script: &str) -> StdioConfig {
    // In a configuration a literal `${` is written `$${`.
    Computer::stdio("bash", ["-c", &script.replace("${", "$${"), text(&fake::path())])
}

/// What a server in bash is made of. Within `call` and `list` there are `$line`, `$id` and the functions.
const SCRIPT: &str = r#"
say() { printf '{"jsonrpc":"2.0",%s}\n' "$1"; }
answer() { say "\"id\":$id,\"result\":$1"; }
notify() { say "\"method\":\"notifications/$1\",\"params\":$2"; }
succeed() { answer '{"content":[{"type":"text","text":"done"}]}'; }
tool() { printf '{"name":"%s","inputSchema":{"type":"object"}%s}' "$1" "${2:+,$2}"; }
list() { answer "{\"tools\":[$(tool act)]}"; }
call() { succeed; }
"#;
const LOOP: &str = r#"
while IFS= read -r line; do
  id=
  if [[ $line =~ \"id\":(\"[^\"]*\"|[0-9]+) ]]; then id=${BASH_REMATCH[1]}; fi
  case $line in
    *'"method":"initialize"'*) answer '{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"script","version":"1"}}' ;;
    *'"method":"tools/list"'*) list ;;
    *'"method":"tools/call"'*) call ;;
    *'"method":"ping"'*) answer '{}' ;;
    *) if [[ $id ]]; then say "\"id\":$id,\"error\":{\"code\":-32601,\"message\":\"no such method\"}"; fi ;;
  esac
done
"#;

/// A server in bash with the tool `act`; `changes` defines `list`, `call`, or what they need.
pub(crate) fn scripted(changes: &str) -> StdioConfig {
    bash(&format!("{SCRIPT}{changes}{LOOP}"))
}

/// A server that notes its pid in `pids` at each start, and comes up only while there is a file `gate`.
pub(crate) fn gated(dir: &Path) -> StdioConfig {
    let (pids, gate) = (dir.join("pids"), dir.join("gate"));
    let shut = "{ echo the gate is shut >&2; exit 7; }";
    bash(&format!("echo $$ >> '{}'; [ -e '{}' ] || {shut}; exec \"$0\"", pids.display(), gate.display()))
}

/// Opens the gate of [`gated`] servers.
pub(crate) fn open_gate(dir: &Path) {
    std::fs::write(dir.join("gate"), "").unwrap();
}

/// An entry that is not brought back by itself, so that whoever brings it back is known.
pub(crate) fn never_restarted(mut entry: StdioConfig) -> StdioConfig {
    entry.restart = Restart::Never;
    entry
}

/// The entry with diagnostics for its status tool.
pub(crate) fn with_diagnostics(entry: StdioConfig, prerequisite: &str, fix: &str) -> EntryConfig {
    let mut entry = EntryConfig::from(entry);
    let texts = |text: &str| vec![text.to_owned()];
    entry.diagnostics = Diagnostics { prerequisites: texts(prerequisite), suggested_fixes: texts(fix) };
    entry
}

/// The entry, connected only when asked.
pub(crate) fn deferred(entry: impl Into<EntryConfig>) -> EntryConfig {
    EntryConfig { deferred: true, ..entry.into() }
}

pub(crate) const AT_ONCE: AddOptions = AddOptions { deferred: false };

/// A Computer of these entries, not started.
pub(crate) fn made_of<N: AsRef<str>, E: Into<EntryConfig>>(entries: impl IntoIterator<Item = (N, E)>) -> Computer {
    with_status_tools(StatusTools::default(), entries)
}

/// The same, with a rule for status tools.
pub(crate) fn with_status_tools<N: AsRef<str>, E: Into<EntryConfig>>(
    when: StatusTools,
    entries: impl IntoIterator<Item = (N, E)>,
) -> Computer {
    let mut config = ComputerConfig::new();
    config.status_tools = when;
    for (name, entry) in entries {
        config = config.with(name.as_ref(), entry).unwrap();
    }
    Computer::new(config)
}

/// A Computer of these entries, all of them up.
pub(crate) async fn up<N: AsRef<str>, E: Into<EntryConfig>>(entries: impl IntoIterator<Item = (N, E)>) -> Computer {
    let computer = made_of(entries);
    let started = within("the start", computer.start()).await.unwrap();
    assert!(started.errors.is_empty(), "{:?}", started.errors);
    computer
}

/// What comes of a future; it must come.
#[track_caller]
pub(crate) fn within<T, F: Future<Output = T>>(what: &str, future: F) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let outcome = tokio::time::timeout(PATIENCE, future).await;
        outcome.unwrap_or_else(|_| panic!("{place}: this took longer than {PATIENCE:?}: {what}"))
    }
}

/// Waits until the condition holds. The one place that sleeps.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    within(what, async move {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

/// Waits until a condition holds that nobody has to be asked about.
#[track_caller]
pub(crate) fn comes_true(what: &str, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    until(what, async move || condition())
}

/// Waits until an entry is told to be in a state; what it is told with.
pub(crate) async fn told(events: &mut Events, namespace: &str, wanted: &str) -> Option<String> {
    within(wanted, async {
        loop {
            match events.next().await.expect("the Computer is there") {
                Event::StateChanged { namespace: of, state, error, .. } if of == namespace && state == wanted => {
                    return error;
                }
                _ => {}
            }
        }
    })
    .await
}

/// Waits until it is told that an entry is down, and up again. Ask for the events before it goes down.
pub(crate) async fn brought_back(events: &mut Events, namespace: &str) {
    told(events, namespace, "waiting").await;
    told(events, namespace, "ready").await;
}

/// Every event that has been told already.
pub(crate) fn told_so_far(events: &mut Events) -> Vec<Event> {
    use futures_util::FutureExt;
    std::iter::from_fn(|| events.next().now_or_never().flatten()).collect()
}

/// The names of all tools.
pub(crate) fn names(provider: &dyn ToolProvider) -> Vec<String> {
    provider.tool_schemas().into_iter().map(|schema| schema.name).collect()
}

/// The health of one entry.
pub(crate) async fn health_of(computer: &Computer, name: &str) -> EntryHealth {
    let health = within("health", computer.health()).await;
    health.entries.into_iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no entry {name}"))
}

/// A call that has been sent when this returns.
pub(crate) fn sent(computer: &Computer, tool: &str, context: CallContext) -> Waiting<mcp_computer::Answer> {
    computer.call_raw(tool, None, context)
}

/// Arguments as JSON text.
pub(crate) fn raw(arguments: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(arguments).unwrap()
}

/// A context that is taken back by the token.
pub(crate) fn cancelled_by(token: &CancellationToken) -> CallContext {
    CallContext { cancel: Some(token.clone()), ..CallContext::default() }
}

/// A started Computer with the one entry `fake`, whose server notes its pid at each start.
pub(crate) struct Fake {
    pub(crate) computer: Computer,
    pub(crate) dir: TempDir,
}

impl Fake {
    pub(crate) async fn up<'a>(flags: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(flags, |entry| entry).await
    }

    /// With an entry that is changed before it starts.
    pub(crate) async fn of<'a, E: Into<EntryConfig>>(
        flags: impl IntoIterator<Item = &'a str>,
        change: impl FnOnce(StdioConfig) -> E,
    ) -> Self {
        let fake = Self::begun(flags, change);
        let started = within("the start", fake.computer.start()).await;
        assert_eq!(started.unwrap().errors, Vec::<String>::new());
        fake
    }

    /// Not started yet.
    pub(crate) fn begun<'a, E: Into<EntryConfig>>(
        flags: impl IntoIterator<Item = &'a str>,
        change: impl FnOnce(StdioConfig) -> E,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let mut entry = server(flags);
        entry.args.extend(["--pid-file".to_owned(), text(&pids).to_owned()]);
        Self { computer: made_of([("fake", change(entry))]), dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The pid of each server that was ever started.
    pub(crate) fn pids(&self) -> Vec<i32> {
        procs::pids_in(&self.path("pids"))
    }

    /// The pid of the latest server.
    pub(crate) fn pid(&self) -> i32 {
        *self.pids().last().expect("a server was started")
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value> {
        within(tool, self.computer.call(&format!("fake__{tool}"), &arguments)).await
    }

    pub(crate) async fn health(&self) -> EntryHealth {
        health_of(&self.computer, "fake").await
    }

    /// A call that never ends by itself and that the server has got.
    pub(crate) async fn hanging(&self, context: CallContext) -> Waiting<mcp_computer::Answer> {
        let hanging = sent(&self.computer, "fake__hang", context);
        // One that is sent later is answered later: the server reads line by line.
        self.call("echo", json!({ "message": "x" })).await.unwrap();
        hanging
    }

    /// Waits until the server has been told that so many calls are not waited for any more.
    pub(crate) async fn has_seen_cancelled(&self, count: usize) {
        let told = async || self.call("cancelled", json!({})).await.unwrap().as_array().map(Vec::len) == Some(count);
        until("the server is told", told).await;
    }

    /// Leaves children of every kind behind, and returns their pids.
    pub(crate) async fn orphans(&self) -> Vec<i32> {
        let file = self.path("orphans");
        self.call("spawn_orphans", json!({ "pidfile": file })).await.unwrap();
        let pids = procs::pids_in(&file);
        assert!(pids.len() == 7 && pids.iter().all(|pid| procs::alive(*pid)), "{pids:?}");
        pids
    }

    pub(crate) fn kill(&self) {
        procs::signal(self.pid(), Signal::SIGKILL);
    }
}

/// How long a future takes, with what comes of it.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let begin = Instant::now();
    let outcome = future.await;
    (outcome, begin.elapsed())
}

/// Runs the test of this name again in a process that has these variables, and passes on its verdict; false there.
pub(crate) fn again_with(variables: &[(&str, &str)], test: &str) -> bool {
    const INSIDE: &str = "RUN_AGAIN_WITH_VARIABLES";
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(INSIDE, "1").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    true
}
