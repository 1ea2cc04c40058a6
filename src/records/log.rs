//! The log of one entry: the last of it in memory, all of it on the disk when there is one.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, task};

use super::{
    AuditLine, Common,
    line::{LogLine, Origin},
};

/// The log of one entry. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(crate) struct EntryLog(Arc<Inner>);

struct Inner {
    /// By which its file is called.
    name: Arc<str>,
    kept: Mutex<Kept>,
    /// How many lines there were.
    said: watch::Sender<u64>,
    common: Arc<Common>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// How many there were, those included that are not kept any more.
    count: u64,
    /// Nothing more comes.
    closed: bool,
}

/// How much of each log is kept in memory, in bytes.
const KEPT: usize = 64 << 10;

impl Default for EntryLog {
    fn default() -> Self {
        Self::new("", Arc::default())
    }
}

impl fmt::Debug for EntryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EntryLog").field(&self.0.name).finish()
    }
}

impl EntryLog {
    pub(super) fn new(name: &str, common: Arc<Common>) -> Self {
        let inner = Inner { name: name.into(), kept: Mutex::default(), said: watch::Sender::new(0), common };
        Self(Arc::new(inner))
    }

    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Notes what was said, which holds no secrets any more.
    pub(crate) fn say(&self, source: Origin, level: Option<&str>, text: &str) {
        let line = LogLine::new((source, level), text);
        if let Some(writer) = self.0.common.writer.get() {
            writer.log(&self.0.name, format!("{line}\n"));
        }
        self.kept().push(line);
        self.0.said.send_modify(|said| *said += 1);
    }

    /// Notes what happened to it.
    pub(crate) fn event(&self, level: &str, text: &str) {
        self.say(Origin::Event, Some(level), text);
    }

    /// Notes that a process of it was started.
    pub(crate) fn spawned(&self, pid: u32, command: &str) {
        self.event("info", &format!("started with pid {pid}: {command}"));
        let line = || AuditLine::new("spawn").text("entry", &self.0.name).number("pid", u64::from(pid));
        self.0.common.note(|| line().text("command", command));
    }

    /// Notes that a process of it has ended, and how.
    pub(crate) fn exited(&self, pid: u32, how: &str) {
        self.event("info", &format!("the process {pid} {how}"));
        let line = || AuditLine::new("exit").text("entry", &self.0.name).number("pid", u64::from(pid));
        self.0.common.note(|| line().text("how", how));
    }

    /// Nothing more comes: whoever follows gets to know.
    pub(crate) fn close(&self) {
        self.kept().closed = true;
        self.0.said.send_modify(|_| {});
    }

    /// Follows it from now on.
    pub(crate) fn follow(&self) -> Logs {
        let said = self.0.said.subscribe();
        let heard = self.kept().count;
        Logs { log: self.clone(), said, begun: heard, heard }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, line: LogLine) {
        self.count += 1;
        self.bytes += line.size();
        self.lines.push_back(line);
        while self.bytes > KEPT && self.lines.len() > 1 {
            let oldest = self.lines.pop_front();
            self.bytes -= oldest.map_or(0, |line| line.size());
        }
    }
}

/// The log of an entry: what is kept of it, and what comes.
#[derive(Debug)]
pub struct Logs {
    log: EntryLog,
    said: watch::Receiver<u64>,
    /// How many lines there were when it was asked for.
    begun: u64,
    /// How many of them were heard or lost.
    heard: u64,
}

/// What somebody who follows hears.
enum Heard {
    Line(LogLine),
    /// All that there was has been heard.
    Nothing {
        is_over: bool,
    },
}

impl Logs {
    /// The last lines that were there when this was asked for, the oldest first, as far as they are kept.
    pub fn recent(&self) -> Vec<LogLine> {
        let kept = self.log.kept();
        let later = usize::try_from(kept.count - self.begun).unwrap_or(usize::MAX);
        kept.lines.iter().take(kept.lines.len().saturating_sub(later)).cloned().collect()
    }

    /// The next line after those; `None` when the entry is removed or the Computer is gone. Cancel safe.
    ///
    /// Who is slow loses the oldest, and is told how many by a line that says so.
    pub async fn next(&mut self) -> Option<LogLine> {
        loop {
            // In a flood there is always more: others have their turn all the same.
            task::consume_budget().await;
            self.said.borrow_and_update();
            match self.take() {
                Heard::Line(line) => return Some(line),
                Heard::Nothing { is_over: true } => return None,
                // It cannot be closed: it is held here as well.
                Heard::Nothing { is_over: false } => _ = self.said.changed().await,
            }
        }
    }

    /// What has been said already.
    fn take(&mut self) -> Heard {
        let kept = self.log.kept();
        let lag = kept.count - self.heard;
        let there = kept.lines.len() as u64;
        if lag > there {
            self.heard += lag - there;
            let text = format!("{} lines were lost here: who reads is too slow", lag - there);
            return Heard::Line(LogLine::new((Origin::Event, Some("warning")), &text));
        }
        let Some(line) = usize::try_from(there - lag).ok().and_then(|at| kept.lines.get(at)) else {
            return Heard::Nothing { is_over: kept.closed };
        };
        self.heard += 1;
        Heard::Line(line.clone())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// What has been said already, and whether it is over.
    fn heard(logs: &mut Logs) -> (Vec<String>, bool) {
        let mut texts = Vec::new();
        loop {
            match logs.next().now_or_never() {
                Some(Some(line)) => texts.push(line.text),
                Some(None) => return (texts, true),
                None => return (texts, false),
            }
        }
    }

    #[test]
    fn who_follows_hears_each_line_once_in_order() {
        let log = EntryLog::default();
        log.event("info", "before");
        let mut logs = log.follow();
        log.event("info", "a");
        log.event("info", "b");
        let recent: Vec<String> = logs.recent().into_iter().map(|line| line.text).collect();
        assert_eq!(recent, ["before"]);
        assert_eq!(heard(&mut logs), (vec!["a".into(), "b".into()], false));
        log.event("info", "c");
        log.close();
        assert_eq!(heard(&mut logs), (vec!["c".into()], true));
    }

    #[test]
    fn who_is_slow_loses_the_oldest_and_is_told_how_many() {
        let log = EntryLog::default();
        let mut logs = log.follow();
        for number in 0..2000 {
            log.event("info", &number.to_string());
        }
        let (texts, _) = heard(&mut logs);
        let lost = 2000 - (texts.len() - 1);
        assert_eq!(texts[0], format!("{lost} lines were lost here: who reads is too slow"));
        assert_eq!((texts[1].clone(), texts.last().unwrap().as_str()), (lost.to_string(), "1999"));
        assert!(log.kept().bytes <= KEPT);
    }
}
