//! What is written down of a Computer, and what is counted of it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Board, Computer, EntryHealth, health};
use crate::{
    error::{Error, Result},
    name::Namespace,
    process::{self, Usage, UsageMeter},
    records::{AuditLine, BUCKETS, EntryLog, Exposition, Kind, Logs, Meter, Records},
    source::Caller,
};

/// The states of entries as health shows them.
const STATES: [&str; 10] =
    ["idle", "starting", "ready", "waiting", "failed", "stopped", "deferred", "disabled", "needsAuth", "needsInput"];

/// What processes use is looked up no more often than this: it reads about every process of the system.
const APART: Duration = Duration::from_secs(1);

/// What processes used when that was measured last. Health has a measure of its own, which this does not disturb.
#[derive(Default)]
pub(super) struct Used(Arc<Mutex<Measured>>);

#[derive(Default)]
struct Measured {
    meter: UsageMeter,
    at: Option<Instant>,
    known: HashMap<u32, Usage>,
}

impl Computer {
    /// Writes down from now on what happens: a log of each entry, and the audit log as `serve.audit` of the
    /// configuration has it. Without this nothing is written to a disk.
    ///
    /// # Errors
    /// The thread that writes cannot be started, or the records of this Computer are kept already. That the disk does
    /// not take them is no error here: health tells it.
    pub fn keep_records(&self, records: Records) -> io::Result<()> {
        self.inner.board.book().keep(records)
    }

    /// The log of an entry, or of a managed program: what its program says on stderr, its log messages, and what
    /// happens to it. The last of it is kept in memory.
    ///
    /// # Errors
    /// [`UnknownNamespace`](Error::UnknownNamespace).
    pub fn logs(&self, name: &str) -> Result<Logs> {
        let unknown = || Error::UnknownNamespace { name: name.to_owned(), known: self.entries() };
        Ok(self.inner.board.book().find(name).ok_or_else(unknown)?.follow())
    }

    /// Writes a line of the audit log about something that was done to this Computer: by whom, what and to what, and
    /// whether it was done or why it was not. Nothing of it may be a secret.
    pub fn audit_control(
        &self,
        who: &str,
        (verb, target): (&str, Option<&str>),
        outcome: std::result::Result<(), &str>,
    ) {
        self.inner.board.book().note(|| {
            let caller = Caller { number: 0, name: who.into(), front: "control" };
            let mut line = AuditLine::new("control").client(Some(&caller)).text("verb", verb);
            if let Some(target) = target {
                line = line.text("target", target);
            }
            match outcome {
                Ok(()) => line.text("verdict", "done"),
                Err(error) => line.text("verdict", "failed").text("error", error),
            }
        });
    }

    /// All that is counted, in the text format of Prometheus.
    pub(crate) async fn metrics(&self, sessions: usize) -> String {
        let board = &self.inner.board;
        let names = board.namespaces();
        let entries: Vec<EntryHealth> = names.iter().map(|name| health::one(board, name.as_str())).collect();
        let programs = self.programs_health();
        let pids =
            entries.iter().filter_map(|entry| entry.pid).chain(programs.iter().filter_map(|program| program.pid));
        let used = self.inner.used.look(pids.collect()).await;
        let mut text = Exposition::default();
        text.family("mcp_computer_build_info", "gauge", "The version that runs.");
        text.sample("mcp_computer_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        text.family("mcp_computer_uptime_seconds", "gauge", "For how long it has been running.");
        text.sample("mcp_computer_uptime_seconds", &[], self.age().as_secs_f64());
        text.family("mcp_computer_client_sessions", "gauge", "Sessions of clients over HTTP.");
        text.sample("mcp_computer_client_sessions", &[], sessions);
        self.calls(&mut text, &entries);
        states(&mut text, &entries);
        let roots = entries.iter().map(|entry| ("entry", entry.name.as_str(), entry.pid));
        let roots = roots.chain(programs.iter().map(|program| ("program", program.name.as_str(), program.pid)));
        processes(&mut text, &roots.collect::<Vec<_>>(), &used);
        let (logs, audit) = board.book().lost();
        text.family("mcp_computer_lost_lines_total", "counter", "Lines that could not be written.");
        text.sample("mcp_computer_lost_lines_total", &[("of", "log")], logs);
        text.sample("mcp_computer_lost_lines_total", &[("of", "audit")], audit);
        text.finish()
    }

    fn calls(&self, text: &mut Exposition, entries: &[EntryHealth]) {
        let book = self.inner.board.book();
        let known = entries.iter().filter_map(|entry| Some((entry.name.as_str(), book.meter(&entry.name)?)));
        let known: Vec<_> = known.collect();
        let all = || known.iter().map(|(name, meter)| (*name, &**meter)).chain([("", book.nobody())]);
        text.family("mcp_computer_calls_in_flight", "gauge", "Calls of tools under way.");
        for (name, meter) in all() {
            text.sample("mcp_computer_calls_in_flight", &[("entry", name)], meter.under_way());
        }
        text.family("mcp_computer_calls_total", "counter", "Calls of tools that are over; without an entry, to none.");
        for (name, meter) in all() {
            text.sample("mcp_computer_calls_total", &[("entry", name)], meter.took().1);
        }
        text.family("mcp_computer_call_errors_total", "counter", "Calls of tools that failed or were refused.");
        for (name, meter) in all() {
            for kind in Kind::ALL.into_iter().filter(|kind| meter.failed(*kind) > 0) {
                let labels = [("entry", name), ("kind", kind.word())];
                text.sample("mcp_computer_call_errors_total", &labels, meter.failed(kind));
            }
        }
        text.family("mcp_computer_call_duration_seconds", "histogram", "How long calls of tools took.");
        for (name, meter) in known {
            histogram(text, name, &meter);
        }
    }
}

/// Notes in the log of an entry in which state it is, and with how many tools, or why not.
pub(super) fn note(log: &EntryLog, (state, restarts): (&str, u32), (tools, error): (Option<usize>, Option<&str>)) {
    let error = error.map(|error| error.replace('\n', " | "));
    let (level, text) = match (state, tools, error) {
        (_, Some(tools), None) => ("info", format!("ready with {tools} {}", if tools == 1 { "tool" } else { "tools" })),
        (_, Some(_), Some(error)) => ("warning", format!("gives no sign of life: {error}")),
        ("starting", None, _) if restarts > 0 => ("info", format!("is being started again, restart {restarts}")),
        ("starting", None, _) => ("info", "is being started".to_owned()),
        ("waiting" | "failed" | "needsAuth" | "needsInput", None, Some(error)) => {
            ("error", format!("{state}: {error}"))
        }
        ("idle", None, _) => ("info", "is over".to_owned()),
        (state, None, _) => ("info", state.to_owned()),
    };
    log.event(level, &text);
}

/// Nothing more is noted in the log of an entry that has left, unless it is there still.
pub(super) fn end(board: &Board, namespace: &Namespace, log: &EntryLog) {
    if !board.recipe(namespace.as_str()).is_some_and(|recipe| recipe.log.is(log)) {
        log.close();
    }
}

fn histogram(text: &mut Exposition, entry: &str, meter: &Meter) {
    let (below, all, seconds) = meter.took();
    let name = "mcp_computer_call_duration_seconds_bucket";
    for (bound, count) in BUCKETS.iter().zip(below) {
        text.sample(name, &[("entry", entry), ("le", &bound.to_string())], count);
    }
    text.sample(name, &[("entry", entry), ("le", "+Inf")], all);
    text.sample("mcp_computer_call_duration_seconds_sum", &[("entry", entry)], seconds);
    text.sample("mcp_computer_call_duration_seconds_count", &[("entry", entry)], all);
}

fn states(text: &mut Exposition, entries: &[EntryHealth]) {
    text.family("mcp_computer_entry_state", "gauge", "1 for the state in which an entry is.");
    for entry in entries {
        for state in STATES {
            let labels = [("entry", entry.name.as_str()), ("state", state)];
            text.sample("mcp_computer_entry_state", &labels, u8::from(entry.state == state));
        }
    }
    text.family("mcp_computer_entry_restarts_total", "counter", "How often an entry was started again.");
    for entry in entries {
        text.sample("mcp_computer_entry_restarts_total", &[("entry", &entry.name)], entry.restarts);
    }
    text.family("mcp_computer_entry_tools", "gauge", "Tools that an entry shows.");
    for entry in entries {
        text.sample("mcp_computer_entry_tools", &[("entry", &entry.name)], entry.tools);
    }
}

/// What the trees of processes use of which these are the roots: what they are, their names, their pids.
fn processes(text: &mut Exposition, roots: &[(&str, &str, Option<u32>)], used: &HashMap<u32, Usage>) {
    let known = || roots.iter().filter_map(|(what, name, pid)| Some(([(*what, *name)], used.get(&(*pid)?)?)));
    let family = "mcp_computer_resident_memory_bytes";
    text.family(family, "gauge", "Resident memory of the processes of an entry or a program.");
    known().for_each(|(labels, used)| text.sample(family, &labels, used.rss_bytes));
    let family = "mcp_computer_processes";
    text.family(family, "gauge", "Processes of an entry or a program.");
    known().for_each(|(labels, used)| text.sample(family, &labels, used.processes));
}

impl Used {
    async fn look(&self, pids: Vec<u32>) -> HashMap<u32, Usage> {
        let last = self.0.clone();
        let look = move || {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.at.is_none_or(|at| at.elapsed() >= APART) {
                last.known = if pids.is_empty() { HashMap::new() } else { last.meter.look(&pids) };
                last.at = Some(Instant::now());
            }
            last.known.clone()
        };
        process::blocking(look).await.unwrap_or_default()
    }
}
