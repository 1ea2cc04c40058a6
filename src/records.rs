//! What is written down: what servers say and what happens to them, who called what, and how often.
//!
//! Nothing here waits for a disk but one thread of its own. What cannot be written is counted, and told in health.

mod audit;
mod definitions;
mod disk;
mod exposition;
mod line;
mod log;
mod meter;
mod note;
mod verdict;
mod writer;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::Duration,
};

pub(crate) use audit::Line as AuditLine;
pub(crate) use exposition::Exposition;
pub(crate) use line::shown;
pub use line::{LogLine, Origin};
pub(crate) use log::EntryLog;
pub use log::Logs;
pub(crate) use meter::{BUCKETS, Meter};
pub(crate) use note::{Note, Subject};
pub(crate) use verdict::Kind;
use writer::Writer;

use crate::{config::AuditConfig, name::Namespace, source::Caller};

/// Where a Computer writes down what happens. See [`Computer::keep_records`](crate::Computer::keep_records).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    directory: PathBuf,
}

impl Records {
    /// Under a directory, which is made when it is not there: `logs/NAMESPACE.log` for each entry and
    /// `audit/audit.jsonl`, for us alone. Several processes may write there at the same time.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }
}

/// All that is written down of one Computer. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Inner>);

#[derive(Default)]
struct Inner {
    common: Arc<Common>,
    /// By the name of the file: of an entry its namespace.
    logs: Mutex<HashMap<String, EntryLog>>,
    meters: RwLock<HashMap<Namespace, Arc<Meter>>>,
    /// Of calls that are for no entry.
    nobody: Arc<Meter>,
    definitions: definitions::Known,
}

/// What all logs of a Computer share.
#[derive(Default)]
pub(super) struct Common {
    writer: OnceLock<Writer>,
    audit: RwLock<AuditConfig>,
}

impl Common {
    /// What is to be known of calls; nothing when none of it is written down.
    fn audit(&self) -> Option<(&Writer, AuditConfig)> {
        let writer = self.writer.get()?;
        let config = *self.audit.read().unwrap_or_else(PoisonError::into_inner);
        config.on.then_some((writer, config))
    }

    /// Writes a line of the audit log, if there is one.
    fn note(&self, line: impl FnOnce() -> AuditLine) {
        if let Some((writer, _)) = self.audit() {
            writer.audit(line().finish(), None);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever follows hears that nothing more comes.
        for log in self.logs.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            log.close();
        }
    }
}

/// The beginning of the name under which the log of a managed program is kept: no namespace holds a dot.
const PROGRAM: &str = "program.";

impl Book {
    /// From now on it is written to a disk, too.
    ///
    /// # Errors
    /// The thread that writes cannot be started, or somebody writes already.
    pub(crate) fn keep(&self, records: Records) -> io::Result<()> {
        let limit = self.0.common.audit.read().unwrap_or_else(PoisonError::into_inner).max_bytes;
        let writer = Writer::start(records.directory, limit)?;
        let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "its records are kept already");
        self.0.common.writer.set(writer).map_err(|_| taken())
    }

    /// What is written down of calls from now on.
    pub(crate) fn set_audit(&self, config: AuditConfig) {
        *self.0.common.audit.write().unwrap_or_else(PoisonError::into_inner) = config;
        if let Some(writer) = self.0.common.writer.get() {
            writer.limit_audit(config.max_bytes);
        }
    }

    /// The log of an entry, whose calls are counted from now on.
    pub(crate) fn entry(&self, namespace: &Namespace) -> EntryLog {
        self.meters().entry(namespace.clone()).or_default();
        self.log(namespace.as_str())
    }

    /// The log of a managed program.
    pub(crate) fn program(&self, name: &str) -> EntryLog {
        self.log(&format!("{PROGRAM}{name}"))
    }

    fn log(&self, name: &str) -> EntryLog {
        let make = || EntryLog::new(name, self.0.common.clone());
        self.logs().entry(name.to_owned()).or_insert_with(make).clone()
    }

    /// The log of an entry, or else of a program, that is there.
    pub(crate) fn find(&self, name: &str) -> Option<EntryLog> {
        let logs = self.logs();
        logs.get(name).or_else(|| logs.get(&format!("{PROGRAM}{name}"))).cloned()
    }

    /// An entry is there no more; one of that name that comes has another log.
    pub(crate) fn forget(&self, namespace: &str) {
        self.logs().remove(namespace);
        self.meters().remove(namespace);
    }

    /// The counts of an entry.
    pub(crate) fn meter(&self, namespace: &str) -> Option<Arc<Meter>> {
        self.0.meters.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    /// The counts of calls that are for no entry.
    pub(crate) fn nobody(&self) -> &Meter {
        &self.0.nobody
    }

    /// A call that begins.
    pub(crate) fn begin(&self, subject: &Subject<'_>, caller: Option<&Caller>) -> Note {
        Note::new(&self.0, subject, caller)
    }

    /// A call that was refused before it was looked at.
    pub(crate) fn refused(&self, tool: &str, caller: Option<&Caller>, kind: Kind) {
        self.0.nobody.refuse(kind);
        self.0.common.note(|| {
            let line = AuditLine::new("call").client(caller).text("tool", tool);
            line.text("verdict", "refused").text("rule", kind.word())
        });
    }

    /// Writes a line of the audit log, if there is one.
    pub(crate) fn note(&self, line: impl FnOnce() -> AuditLine) {
        self.0.common.note(line);
    }

    /// Notes which of these definitions are others than before.
    pub(crate) fn definitions<'a>(&self, listed: impl Iterator<Item = (&'a Namespace, &'a str, &'a str)>) {
        if self.0.common.audit().is_some() {
            self.0.definitions.look(listed, |line| self.0.common.note(|| line));
        }
    }

    /// What keeps it from being written, in words for health.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.0.common.writer.get().map(Writer::problems).unwrap_or_default()
    }

    /// Whether no call is made now: what must be written down cannot be.
    pub(crate) fn refuses(&self) -> bool {
        self.0.common.audit().is_some_and(|(writer, config)| config.require && writer.is_in_trouble())
    }

    /// How many lines of logs, and of the audit log, could not be written.
    pub(crate) fn lost(&self) -> (u64, u64) {
        self.0.common.writer.get().map(Writer::lost).unwrap_or_default()
    }

    /// Returns when what was said until now is written, or after `limit`. Cancel safe.
    pub(crate) async fn flush(&self, limit: Duration) {
        let Some(flushed) = self.0.common.writer.get().map(Writer::flush) else { return };
        let _ = tokio::time::timeout(limit, flushed).await;
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<String, EntryLog>> {
        self.0.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meters(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Namespace, Arc<Meter>>> {
        self.0.meters.write().unwrap_or_else(PoisonError::into_inner)
    }
}
