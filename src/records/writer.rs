//! The one thread that writes to the disk, and the queue before it: whoever has something to say never waits.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    io, mem,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::disk::Disk;

/// The thread that writes. Dropping it waits a moment for what was said last.
pub(super) struct Writer(Arc<Shared>);

/// What the thread and those who have something to say share.
#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// There is something to do, or nobody is there to do it any more.
    changed: Condvar,
    lost_logs: AtomicU64,
    lost_audit: AtomicU64,
    /// How large the audit log may be.
    pub(super) audit_limit: AtomicU64,
    /// Why the last try to write failed.
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Queue {
    orders: VecDeque<Order>,
    log_bytes: usize,
    audit_bytes: usize,
    /// How many lines of each there was no room for since the last batch.
    crowded_out: HashMap<Paper, u64>,
    flushes: Vec<oneshot::Sender<()>>,
    /// Somebody waits until a line is written.
    is_urgent: bool,
    closed: bool,
    over: bool,
}

/// What a line is written on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Paper {
    Audit,
    /// The log of that name.
    Log(Arc<str>),
}

/// A line to be written, and who wants to know when it is.
pub(super) struct Order {
    pub(super) paper: Paper,
    pub(super) line: String,
    pub(super) written: Option<oneshot::Sender<Result<(), String>>>,
}

/// What is to be written next.
pub(super) struct Batch {
    pub(super) orders: VecDeque<Order>,
    pub(super) crowded_out: HashMap<Paper, u64>,
    flushes: Vec<oneshot::Sender<()>>,
}

/// How much waits to be written, in bytes. Logs must not crowd out the audit log.
const LOG_ROOM: usize = 2 << 20;
const AUDIT_ROOM: usize = 4 << 20;

/// How long lines are gathered before they are written, unless somebody waits for one.
const TOGETHER: Duration = Duration::from_millis(5);

/// How long is waited at the end for what was said last. A disk that hangs may take for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Writer {
    pub(super) fn start(directory: PathBuf, audit_limit: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(audit_limit));
        let own = shared.clone();
        let work = move || {
            let mut disk = Disk::new(directory);
            while let Some(batch) = own.next() {
                disk.write(batch.orders, batch.crowded_out, &own);
                for flushed in batch.flushes {
                    // Whoever waited may have gone.
                    let _ = flushed.send(());
                }
            }
            own.queue().over = true;
            own.changed.notify_all();
        };
        thread::Builder::new().name("records".to_owned()).spawn(work)?;
        Ok(Self(shared))
    }

    /// Writes a line, which ends with a newline, to the log of that name.
    pub(super) fn log(&self, name: &Arc<str>, line: String) {
        self.0.push(Order { paper: Paper::Log(name.clone()), line, written: None });
    }

    /// Writes a line, which ends with a newline, to the audit log.
    pub(super) fn audit(&self, line: String, written: Option<oneshot::Sender<Result<(), String>>>) {
        self.0.push(Order { paper: Paper::Audit, line, written });
    }

    /// Sets how large the audit log may be.
    pub(super) fn limit_audit(&self, bytes: u64) {
        self.0.audit_limit.store(bytes, Ordering::Relaxed);
    }

    /// Ready when everything that was said until now is written or lost.
    pub(super) fn flush(&self) -> impl Future<Output = ()> + use<> {
        let (flushed, done) = oneshot::channel();
        self.0.queue().flushes.push(flushed);
        self.0.changed.notify_all();
        async move { _ = done.await }
    }

    /// How many lines of logs, and of the audit log, were lost.
    pub(super) fn lost(&self) -> (u64, u64) {
        (self.0.lost_logs.load(Ordering::Relaxed), self.0.lost_audit.load(Ordering::Relaxed))
    }

    /// Whether what was to be written last could not be.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What is wrong, in words for health.
    pub(super) fn problems(&self) -> Vec<String> {
        let trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (logs, audit) = self.lost();
        let lost = (logs + audit > 0)
            .then(|| format!("{logs} lines of logs and {audit} of the audit log could not be written since the start"));
        trouble.into_iter().chain(lost).collect()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.changed.notify_all();
        let waited = self.0.changed.wait_timeout_while(self.0.queue(), LAST_WORDS, |queue| !queue.over);
        drop(waited);
    }
}

impl Shared {
    pub(super) fn new(audit_limit: u64) -> Self {
        Self { audit_limit: audit_limit.into(), ..Self::default() }
    }

    /// Queues a line, if there is room.
    fn push(&self, order: Order) {
        let mut queue = self.queue();
        let (bytes, room) = match order.paper {
            Paper::Audit => (&mut queue.audit_bytes, AUDIT_ROOM),
            Paper::Log(_) => (&mut queue.log_bytes, LOG_ROOM),
        };
        if *bytes + order.line.len() <= room {
            *bytes += order.line.len();
            // Waking a thread costs more than all the rest: once is enough for what is said together.
            let wakes = queue.orders.is_empty() || order.written.is_some();
            queue.is_urgent |= order.written.is_some();
            queue.orders.push_back(order);
            drop(queue);
            if wakes {
                self.changed.notify_all();
            }
            return;
        }
        *queue.crowded_out.entry(order.paper.clone()).or_default() += 1;
        drop(queue);
        self.lose(&order.paper, 1);
        let slow = "the disk is too slow";
        self.trouble(slow);
        if let Some(written) = order.written {
            let _ = written.send(Err(slow.to_owned()));
        }
    }

    /// What is to be written next; waits until there is something. Nothing when it is over.
    fn next(&self) -> Option<Batch> {
        let nothing = |queue: &mut Queue| queue.orders.is_empty() && queue.flushes.is_empty() && !queue.closed;
        let queue = self.changed.wait_while(self.queue(), nothing).unwrap_or_else(PoisonError::into_inner);
        let patient = |queue: &mut Queue| !queue.is_urgent && queue.flushes.is_empty() && !queue.closed;
        let together = self.changed.wait_timeout_while(queue, TOGETHER, patient);
        let (mut queue, _) = together.unwrap_or_else(PoisonError::into_inner);
        if queue.orders.is_empty() && queue.flushes.is_empty() {
            return None;
        }
        (queue.log_bytes, queue.audit_bytes, queue.is_urgent) = (0, 0, false);
        Some(Batch {
            orders: mem::take(&mut queue.orders),
            crowded_out: mem::take(&mut queue.crowded_out),
            flushes: mem::take(&mut queue.flushes),
        })
    }

    /// Counts lines that could not be written.
    pub(super) fn lose(&self, paper: &Paper, lines: u64) {
        let count = match paper {
            Paper::Audit => &self.lost_audit,
            Paper::Log(_) => &self.lost_logs,
        };
        count.fetch_add(lines, Ordering::Relaxed);
    }

    /// Notes why lines are lost. It is said once, until all is well again.
    pub(super) fn trouble(&self, reason: &str) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = trouble.is_none();
        *trouble = Some(format!("logs and the audit log cannot be written: {reason}"));
        drop(trouble);
        if is_new {
            tracing::warn!(reason, "logs and the audit log cannot be written; lines are lost until they can");
        }
    }

    /// Notes that all is well.
    pub(super) fn well(&self) {
        let before = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        if before.is_some() {
            tracing::warn!("logs and the audit log can be written again");
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
