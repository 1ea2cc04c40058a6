//! Whether a process and all that descends from it use more than they may.

use std::{
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    cgroup::Refusals,
    limits::Limits,
    mark::Mark,
    table::{self, Row, Table},
};
use crate::error::{Error, Limit};

/// Watches what a process and all that descends from it use.
pub(crate) struct Watch {
    pid: u32,
    mark: Mark,
    limits: Limits,
    /// What is said of them once.
    refusals: Option<Refusals>,
    due: Instant,
    looking: Option<oneshot::Receiver<Option<Used>>>,
}

/// What a watch has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// They use more than they may.
    Exceeded(Error),
    /// One of them has about as many files open as it may, or they were refused another process; in words for health.
    Full(String),
}

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

impl Watch {
    pub(super) fn new(pid: u32, mark: Mark, limits: Limits, refusals: Option<Refusals>) -> Self {
        Self { pid, mark, limits, refusals, due: Instant::now() + EVERY, looking: None }
    }

    /// What is found next. Cancel safe: a look that has begun is not begun anew.
    pub(crate) async fn next(&mut self) -> Found {
        while self.limits.are_counted() {
            if self.looking.is_none() {
                sleep_until(self.due).await;
            }
            let (pid, mark, limits) = (self.pid, self.mark, self.limits);
            let ask = || look(pid, mark, limits, self.refusals.clone());
            let used = self.looking.get_or_insert_with(ask).await.ok().flatten();
            self.looking = None;
            self.due = Instant::now() + EVERY;
            if let Some(found) = used.and_then(|used| self.judge(used)) {
                return found;
            }
        }
        std::future::pending().await
    }

    fn judge(&mut self, used: Used) -> Option<Found> {
        let over = |limit, used, allowed: Option<u64>| {
            let allowed = allowed.filter(|allowed| used > *allowed)?;
            Some(Found::Exceeded(Error::LimitExceeded { limit, used, allowed }))
        };
        let exceeded = over(Limit::Processes, used.processes, self.limits.processes)
            .or_else(|| over(Limit::MemoryMb, used.memory.div_ceil(1 << 20), self.limits.memory_mb));
        exceeded.or_else(|| self.full(&used)).or_else(|| {
            let refused = used.refused?;
            // So is this.
            self.refusals = None;
            Some(Found::Full(refused))
        })
    }

    fn full(&mut self, used: &Used) -> Option<Found> {
        let ((name, open), most) = (used.full.as_ref()?, self.limits.most_files()?);
        // It is said once.
        self.limits.open_files = None;
        Some(Found::Full(format!(
            "a process of it (`{name}`) had {open} files open of the {most} that `limits.openFiles` lets it; raise it \
             if the server complains of too many open files"
        )))
    }
}

/// What they use.
struct Used {
    /// In bytes; 0 when it is not limited.
    memory: u64,
    processes: u64,
    /// The name of one that has about as many files open as it may, and how many.
    full: Option<(String, u64)>,
    /// What they were refused, in words.
    refused: Option<String>,
}

/// A question to the one thread that looks.
struct Job {
    pid: u32,
    mark: Mark,
    limits: Limits,
    refusals: Option<Refusals>,
    reply: oneshot::Sender<Option<Used>>,
}

/// It looks for all: a table of every process serves whoever asks until the next look is due. One thread, not one for
/// each question that comes at the same time, and the runtime waits for none of them.
static LOOKER: LazyLock<Option<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    let work = move || {
        let mut latest: Option<Table> = None;
        for Job { pid, mark, limits, refusals, reply } in queue {
            let known = latest.take().filter(|table| table.at().elapsed() < EVERY);
            latest = known.or_else(|| Table::read().ok());
            let refused = refusals.and_then(|refusals| refusals.words());
            let used = latest.as_ref().map(|table| Used { refused, ..Used::of(&table.members(pid, mark), limits) });
            // Whoever asked may have gone.
            let _ = reply.send(used);
        }
    };
    thread::Builder::new().name("limits".into()).stack_size(256 << 10).spawn(work).ok().map(|_| jobs)
});

/// Looks at what they use; nothing comes when the system does not tell.
///
/// The first look is so long after the start that a table which still serves was read after it: it holds the process,
/// and nobody who had its id before.
fn look(pid: u32, mark: Mark, limits: Limits, refusals: Option<Refusals>) -> oneshot::Receiver<Option<Used>> {
    let (reply, used) = oneshot::channel();
    if let Some(jobs) = LOOKER.as_ref() {
        let _ = jobs.send(Job { pid, mark, limits, refusals, reply });
    }
    used
}

impl Used {
    fn of(members: &[&Row], limits: Limits) -> Self {
        let sum = |memory: fn(&Row) -> u64| members.iter().map(|row| memory(row)).sum::<u64>();
        let memory = limits.memory_mb.map_or(0, |most| {
            let with_shared = sum(table::resident);
            // Who shares what costs the system more to say: only when it matters.
            if with_shared > most << 20 { sum(table::share) } else { with_shared }
        });
        // One that was refused a file has often closed another by the time of the look.
        let few = |most| most - most / 32;
        let full = limits.most_files().and_then(|most| {
            let open = |row: &&Row| Some((table::name(row), table::open_files(row).filter(|open| *open >= few(most))?));
            members.iter().find_map(open)
        });
        Self { memory, processes: members.len() as u64, full, refused: None }
    }
}
