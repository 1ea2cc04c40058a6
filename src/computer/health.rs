//! How everything is.

mod program;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared, join_all},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tokio::time::Instant;

pub use program::ProgramHealth;

use super::{
    Computer,
    board::Board,
    problems,
    words::{NOT_STARTED, reason, state_name},
};
use crate::{
    config::EntryKind,
    process::{self, Usage, guard},
    registry::{self, Listed, Registry},
    source::Face,
    supervisor::{Handle, State},
};

/// One of a few words, which are the same wherever they are read.
type Word = &'static str;

/// All words that health has for states and kinds.
const WORDS: [Word; 18] = [
    "idle",
    "starting",
    "ready",
    "waiting",
    "failed",
    "stopped",
    "deferred",
    "disabled",
    "needsAuth",
    "needsInput",
    "stdio",
    "http",
    "shell",
    "chrome",
    "command",
    "child",
    "parent",
    "none",
];

/// Reads a word; one of a later version is `unknown`.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Word, D::Error> {
    let read = String::deserialize(deserializer)?;
    Ok(WORDS.into_iter().find(|known| *known == read).unwrap_or("unknown"))
}

/// How a Computer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputerHealth {
    /// There is at least one entry, and every entry and program that should be up is.
    pub healthy: bool,
    /// One for each entry, in the order in which they were given.
    pub entries: Vec<EntryHealth>,
    /// How many tools the catalog has, status tools left out.
    pub total_tools: usize,
    /// One for each managed program, in the order in which they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramHealth>,
    /// What ends our processes when we are killed: `"parent"`, the [guard](crate::guard), or `"none"`.
    #[serde(deserialize_with = "word")]
    pub guard: Word,
    /// Why the configuration as it is written now does not hold; absent when it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_problems: Vec<String>,
    /// What keeps logs and the audit log from being written; absent when nothing does and nothing was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub record_problems: Vec<String>,
}

/// How an entry is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryHealth {
    /// Its namespace.
    pub name: String,
    /// The key in the file when it is no namespace by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// It is up and answers.
    pub healthy: bool,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `idle`, `starting`, `ready`, `waiting`, `failed`, `stopped`, `deferred`, `disabled`, `needsAuth` or `needsInput`.
    #[serde(deserialize_with = "word")]
    pub state: Word,
    /// `stdio`, `http` or `shell`.
    #[serde(deserialize_with = "word")]
    pub kind: Word,
    /// How many tools of its server it shows. The status tool is none of them.
    pub tools: usize,
    /// The process at the root of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How long it has been up, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// How often it was started again, after the first time: brought back or restarted. One that is added anew begins
    /// at 0.
    pub restarts: u32,
    /// How many starts in a row have failed, or which one is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// In how many milliseconds it is tried again, when it waits or its credentials were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// Resident memory of its whole process tree, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// What its whole process tree uses of one processor, since health was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f32>,
    /// What went wrong last, even if it is up again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last lines on stderr of the server that was started last, whether it runs or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stderr: Option<String>,
    /// What the server says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_info: Option<Value>,
    /// The protocol generation that was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The command line as it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What is odd about it: tools left out or repaired, noise on stdout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// What came of [`Computer::ensure_ready`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnsureReady {
    /// How everything is now.
    #[serde(flatten)]
    pub health: ComputerHealth,
    /// Programs and entries that were not up and are; absent when all was well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Vec<String>>,
    /// Programs and entries that should be up and are not; absent when all was well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_entries: Option<Vec<String>>,
}

/// What came of [`Computer::retry_degraded`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryDegraded {
    /// Programs and entries that were not up and are.
    pub recovered: Vec<String>,
    /// Programs and entries that should be up and are not.
    pub still_degraded: Vec<String>,
}

impl Computer {
    /// How everything is. Entries that are up are asked for a sign of life, all at once, 3 s at most. Cancel safe.
    pub async fn health(&self) -> ComputerHealth {
        let board = &self.inner.board;
        let names: Vec<String> = board.namespaces().iter().map(ToString::to_string).collect();
        let faces: Vec<Option<Face>> =
            names.iter().map(|name| board.handle(name).and_then(|handle| handle.status().ready().cloned())).collect();
        let probes = join_all(faces.iter().map(|face| probe(face.clone()))).await;
        let mut programs = self.programs_health();
        let pids = faces.iter().flatten().filter_map(|face| face.about().pid);
        let usage = self.usage(pids.chain(programs.iter().filter_map(|program| program.pid)).collect()).await;
        for program in &mut programs {
            let used = program.pid.and_then(|pid| usage.get(&pid));
            program.rss_bytes = used.map(|used| used.rss_bytes);
            program.cpu_percent = used.map(|used| used.cpu_percent);
        }
        let entries: Vec<EntryHealth> = names
            .iter()
            .zip(probes)
            .map(|(name, probe)| {
                let mut entry = one(board, name);
                if let Some(problem) = probe {
                    entry.healthy = false;
                    entry.error = Some(problem);
                }
                let used = entry.pid.and_then(|pid| usage.get(&pid));
                entry.rss_bytes = used.map(|used| used.rss_bytes);
                entry.cpu_percent = used.map(|used| used.cpu_percent);
                entry
            })
            .collect();
        let wanted = |entry: &&EntryHealth| !matches!(entry.state, "deferred" | "stopped" | "disabled");
        ComputerHealth {
            healthy: !entries.is_empty()
                && !board.book().refuses()
                && entries.iter().filter(wanted).all(|entry| entry.healthy)
                && programs.iter().all(|program| program.healthy || !program.is_wanted()),
            programs,
            total_tools: board.registry().own().tools(),
            guard: if guard::pid().is_some() { "parent" } else { "none" },
            config_problems: self.config_problems(),
            record_problems: board.book().problems(),
            entries,
        }
    }

    async fn usage(&self, pids: Vec<u32>) -> HashMap<u32, Usage> {
        if pids.is_empty() {
            return HashMap::new();
        }
        let meter = self.inner.meter.clone();
        let look = move || meter.lock().unwrap_or_else(PoisonError::into_inner).look(&pids);
        process::blocking(look).await.unwrap_or_default()
    }

    /// Looks at everything, brings up what should be up and is not, and looks again.
    ///
    /// Deferred and stopped entries are left alone. When several ask at the same time it is done once.
    pub async fn ensure_ready(&self) -> EnsureReady {
        let this = self.clone();
        self.inner
            .ready
            .run(move || async move {
                let before = this.health().await;
                // First: entries may be down for want of them.
                let (mut recovered, mut failed) = this.bring_programs_up().await;
                let (up, down) = this.bring_up(&degraded(&before)).await;
                recovered.extend(up);
                failed.extend(down);
                if before.healthy || (recovered.is_empty() && failed.is_empty()) {
                    return EnsureReady { health: before, recovered: None, failed_entries: None };
                }
                EnsureReady { health: this.health().await, recovered: Some(recovered), failed_entries: Some(failed) }
            })
            .await
    }

    /// Tries what should be up and is not, now.
    ///
    /// Deferred and stopped entries are left alone. When several ask at the same time it is done once.
    pub async fn retry_degraded(&self) -> RetryDegraded {
        let this = self.clone();
        self.inner
            .retry
            .run(move || async move {
                let names = degraded(&this.health().await);
                let (mut recovered, mut still_degraded) = this.bring_programs_up().await;
                let (up, down) = this.bring_up(&names).await;
                recovered.extend(up);
                still_degraded.extend(down);
                RetryDegraded { recovered, still_degraded }
            })
            .await
    }

    /// Restarts these entries, all at once; those that are up afterwards, and those that are not.
    async fn bring_up(&self, names: &[String]) -> (Vec<String>, Vec<String>) {
        let tried = names.iter().map(|name| async move {
            let handle = self.inner.board.handle(name)?;
            let up = handle.status().ready().is_some();
            // One that is up but does not answer has to go first.
            if up {
                handle.restart().await;
            } else {
                handle.ensure().await;
            }
            Some((name.clone(), handle.status().ready().is_some()))
        });
        let (up, down): (Vec<_>, Vec<_>) = join_all(tried).await.into_iter().flatten().partition(|(_, up)| *up);
        self.inner.board.publish();
        let names = |list: Vec<(String, bool)>| list.into_iter().map(|(name, _)| name).collect();
        (names(up), names(down))
    }
}

fn degraded(health: &ComputerHealth) -> Vec<String> {
    let down = health.entries.iter().filter(|entry| !entry.healthy);
    let down = down.filter(|entry| !matches!(entry.state, "deferred" | "stopped" | "disabled" | "idle"));
    down.map(|entry| entry.name.clone()).collect()
}

async fn probe(face: Option<Face>) -> Option<String> {
    let face = face?;
    // It gives up by itself.
    let error = face.clone().probe().await.err()?;
    Some(face.silence().unwrap_or_else(|| error.to_string()))
}

/// How an entry is, without asking it.
pub(super) fn one(board: &Board, name: &str) -> EntryHealth {
    let (recipe, handle) = (board.recipe(name), board.handle(name));
    let kind = recipe.as_ref().map_or("stdio", |recipe| match &recipe.config.kind {
        EntryKind::Stdio(_) => "stdio",
        EntryKind::Http(_) => "http",
        EntryKind::Shell(_) => "shell",
    });
    let registry = board.registry();
    let mut health = EntryHealth {
        name: name.to_owned(),
        display_name: recipe.as_ref().and_then(|recipe| recipe.config.display_name.clone()),
        healthy: false,
        error: Some(NOT_STARTED.to_owned()),
        state: state_name(&State::<Face>::Idle),
        kind,
        tools: shown(&registry, name),
        pid: None,
        uptime_ms: None,
        restarts: 0,
        attempt: None,
        retry_in_ms: None,
        rss_bytes: None,
        cpu_percent: None,
        last_error: None,
        last_stderr: recipe.as_ref().and_then(|recipe| recipe.said.last_lines()),
        server_info: None,
        protocol: None,
        command: None,
        problems: Vec::new(),
    };
    let mut problems =
        recipe.as_ref().map(|recipe| registry.own().problems(&recipe.namespace).to_vec()).unwrap_or_default();
    if let Some(handle) = handle {
        let face = handle.status().ready().cloned();
        let nothing = face.zip(recipe).filter(|_| health.tools == 0);
        let nothing = nothing
            .and_then(|(face, recipe)| registry::none_is_usable(&face.tools(), &recipe.config.tools, board.rules()));
        fill(&mut health, &handle, &mut problems);
        // It comes first: what else is odd may be the reason.
        problems.splice(0..0, nothing);
    }
    health.problems = problems::readable(problems);
    health
}

/// How many tools of its server an entry shows.
fn shown(registry: &Registry, name: &str) -> usize {
    let own = registry.own().listed().iter().filter(|listed| listed.is_of_server());
    own.filter(|listed: &&Listed| listed.route.namespace.as_str() == name).count()
}

fn fill(health: &mut EntryHealth, handle: &Handle<Face>, problems: &mut Vec<String>) {
    let status = handle.status();
    health.state = state_name(&status.state);
    health.error = reason(&status);
    health.healthy = (status.ready().is_some() || status.is_unused()) && health.error.is_none();
    health.restarts = status.restarts;
    health.attempt = attempt(&status.state);
    health.retry_in_ms = status.retry_at().map(|at| millis(at.saturating_duration_since(Instant::now())));
    health.last_error = status.last_error.as_ref().map(ToString::to_string);
    let up = status.ready();
    health.uptime_ms = up.map(|_| millis(status.since.elapsed()));
    if let Some(face) = up.or(status.last_face.as_ref()).or(status.known.as_ref()) {
        let about = face.about();
        health.pid = about.pid.filter(|_| up.is_some());
        health.server_info = about.server_info;
        health.protocol = about.protocol;
        health.command = about.command;
        problems.splice(0..0, about.problems);
    }
}

/// How many starts in a row have failed, or which one is under way.
fn attempt<F>(state: &State<F>) -> Option<u32> {
    match state {
        State::Starting { attempt } | State::Waiting { attempt, .. } => Some(*attempt),
        State::Idle | State::Ready(_) | State::Failed(_) | State::Stopped | State::Held(_) => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Work that is done once for all who want it at the same time.
pub(super) struct Once<T: Clone>(Mutex<Option<WeakShared<BoxFuture<'static, T>>>>);

impl<T: Clone> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Once<T> {
    async fn run<F: Future<Output = T> + Send + 'static>(&self, work: impl FnOnce() -> F) -> T {
        let shared: Shared<BoxFuture<'static, T>> = {
            let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let current = running.as_ref().and_then(WeakShared::upgrade).filter(|shared| shared.peek().is_none());
            let shared = current.unwrap_or_else(|| work().boxed().shared());
            *running = shared.downgrade();
            shared
        };
        shared.await
    }
}

/// The meter is shared with the thread that reads the table of processes.
pub(super) type Meter = Arc<Mutex<process::UsageMeter>>;
