//! A command that goes on after its call: its process, its output, and what it is told.

use std::{
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Commands, escapes,
    log::Log,
    output,
    result::{Ended, Left, code_of, of_kept, report},
    run::{DRAIN, GRACE, finish},
    stream::{Printed, read},
};
use crate::{
    process::{Kept, Pipes, Process, Size, Terminal},
    source::Answer,
    wire::Outbox,
};

/// A job as everybody but its owner, its task, sees it.
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) pid: u32,
    pub(super) command: String,
    begun: Instant,
    log: Mutex<Log>,
    /// Both streams apart, until its call has been answered.
    early: Mutex<Option<Streams>>,
    grown: watch::Sender<u64>,
    fate: watch::Sender<Fate>,
    /// What of it was let go.
    kept: Mutex<Vec<Kept>>,
    input: Option<Outbox>,
    terminal: Option<Terminal>,
    wishes: mpsc::UnboundedSender<Wish>,
}

/// What is kept of stdout and of stderr.
type Streams = [output::Kept; 2];

fn streams(most: usize) -> Streams {
    [output::Kept::new(most), output::Kept::new(most)]
}

/// What has become of a job.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Runs,
    Ended { status: Option<ExitStatus>, at: Instant },
}

/// What a job's owner is asked for.
#[derive(Debug)]
pub(super) enum Wish {
    /// A signal for all of it; answered with whether there is such a signal.
    Signal(String, oneshot::Sender<bool>),
    /// Its end, in order and then by force.
    End,
}

/// A job that has begun, and its owner's part.
pub(super) struct Begun {
    pub(super) job: Arc<Job>,
    process: Process,
    pipes: Pipes,
    wishes: mpsc::UnboundedReceiver<Wish>,
    /// When it is ended, if somebody said so.
    deadline: Option<Instant>,
}

/// How long between two looks whether something of a job whose first process has gone still runs.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

impl Begun {
    /// `pid` is who is shown for it: its first process may have gone.
    pub(super) fn new((id, pid): (u64, u32), command: String, process: Process, mut pipes: Pipes) -> Self {
        let (wishes, asked) = mpsc::unbounded_channel();
        let directory = crate::environment::state_home().map(|home| home.join("jobs"));
        let job = Job {
            id,
            pid,
            command,
            begun: Instant::now(),
            log: Mutex::new(Log::new(directory.as_deref())),
            early: Mutex::new(None),
            grown: watch::Sender::new(0),
            fate: watch::Sender::new(Fate::Runs),
            kept: Mutex::default(),
            input: pipes.stdin.take().map(Outbox::new),
            terminal: pipes.terminal.take(),
            wishes,
        };
        Self { job: Arc::new(job), process, pipes, wishes: asked, deadline: None }
    }

    /// Keeps so many characters of each stream for the answer to the call that begins it.
    pub(super) fn telling(self, most: usize) -> Self {
        *self.job.early() = Some(streams(most));
        self
    }

    pub(super) fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// The life of the job: it ends when nothing of it runs any more, when somebody wants it to, or with its entry.
    pub(super) async fn tend(self, shell: &Commands) {
        let Self { job, process, pipes, mut wishes, deadline } = self;
        let mut heard = Heard { pipes, open: [true, true], buffers: [Vec::new(), Vec::new()] };
        let (mut gone, mut status) = (false, None);
        let (mut pause, mut is_late) = (DRAIN, false);
        let mut look_at: Option<Instant> = None;
        loop {
            tokio::select! {
                () = shell.stop.cancelled() => break,
                () = at(deadline) => {
                    is_late = true;
                    break;
                }
                wish = wishes.recv() => match wish {
                    Some(Wish::Signal(name, reply)) => { let _ = reply.send(process.send(&name).await); }
                    Some(Wish::End) | None => break,
                },
                ended = process.exited(), if !gone => {
                    (gone, status) = (true, ended);
                    look_at = Some(Instant::now());
                }
                () = at(look_at) => {
                    job.keep(process.let_go(&shell.config.keep, &shell.keeper).await);
                    if process.members().await.is_empty() {
                        break;
                    }
                    // Nothing tells when the last of several processes has ended; a job may last for days.
                    look_at = Some(Instant::now() + pause);
                    pause = (pause * 2).min(LONGEST_LOOK);
                }
                () = heard.more(&job) => {}
                () = job.feed() => {}
            }
        }
        if !is_late {
            job.keep(process.let_go(&shell.config.keep, &shell.keeper).await);
        }
        // What it printed last is still in its pipes.
        let rest = async {
            while heard.open != [false, false] {
                heard.more(&job).await;
            }
        };
        let (ended, _) = tokio::join!(finish(process, shell), timeout(GRACE + DRAIN, rest));
        if let Some(input) = &job.input {
            input.close();
        }
        job.fate.send_replace(Fate::Ended { status: status.or(ended), at: Instant::now() });
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What a job prints, on its way into the log.
struct Heard {
    pipes: Pipes,
    open: [bool; 2],
    buffers: [Vec<u8>; 2],
}

impl Heard {
    /// Reads some more, without end when there is nothing more to come. Cancel safe.
    async fn more(&mut self, job: &Job) {
        let Self { pipes, open, buffers: [out, err] } = self;
        let (stream, more) = tokio::select! {
            more = read(&mut pipes.stdout, out), if open[0] => (0, more),
            more = read(&mut pipes.stderr, err), if open[1] => (1, more),
            else => return std::future::pending().await,
        };
        open[stream] = more;
        job.take(stream, &self.buffers[stream]);
    }
}

impl Job {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, kept: Vec<Kept>) {
        self.kept().extend(kept);
    }

    fn early(&self) -> MutexGuard<'_, Option<Streams>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, stream: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            if let Some(early) = self.early().as_mut() {
                early[stream].push(bytes);
            }
            let total = {
                let mut log = self.log();
                log.push(bytes);
                log.total()
            };
            self.grown.send_replace(total);
        }
    }

    /// Writes what it is to read, without end. Cancel safe.
    async fn feed(&self) {
        if let Some(input) = &self.input {
            input.drain().await;
        }
        std::future::pending::<()>().await;
    }

    /// How much it has printed, and a part of it.
    pub(super) fn part(&self, offset: Option<u64>, limit: usize) -> (u64, super::log::Part) {
        let log = self.log();
        let total = log.total();
        (total, log.part(offset.unwrap_or_else(|| total.saturating_sub(limit as u64)), limit))
    }

    pub(super) fn fate(&self) -> Fate {
        *self.fate.borrow()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.fate(), Fate::Ended { .. })
    }

    /// Returns when it has printed more than `seen` bytes or has ended. Cancel safe.
    pub(super) async fn more_than(&self, seen: u64) {
        let (mut grown, mut fate) = (self.grown.subscribe(), self.fate.subscribe());
        tokio::select! {
            _ = grown.wait_for(|total| *total > seen) => {}
            _ = fate.wait_for(|fate| matches!(fate, Fate::Ended { .. })) => {}
        }
    }

    /// Returns when it has ended. Cancel safe.
    pub(super) async fn ended(&self) {
        let _ = self.fate.subscribe().wait_for(|fate| matches!(fate, Fate::Ended { .. })).await;
    }

    pub(super) fn wish(&self, wish: Wish) {
        // One that has ended has had its wish.
        let _ = self.wishes.send(wish);
    }

    /// Whether anything can be written to it.
    pub(super) fn input(&self) -> Option<&Outbox> {
        self.input.as_ref()
    }

    pub(super) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    pub(super) fn resize(&self, size: Size) -> Result<(), String> {
        let terminal = self.terminal.as_ref().ok_or("it has no terminal; start it with `pty: true`")?;
        terminal.resize(size).map_err(|error| format!("its terminal cannot be resized: {error}"))
    }

    /// What it is known by in the result of a command.
    pub(super) fn brief(&self) -> Value {
        json!({ "id": self.id.to_string(), "pid": self.pid, "command": self.command })
    }

    /// What the call that begins it comes to, as far as it has come: once.
    pub(super) fn report(&self) -> Answer {
        let [mut stdout, stderr] = self.early().take().unwrap_or_else(|| streams(0)).map(output::Kept::show);
        if self.has_terminal() {
            stdout.text = escapes::stripped(&stdout.text);
        }
        let printed = Printed { stdout, stderr, spilled: [None, None] };
        let kept = self.kept().clone();
        let (ended, jobs) = match self.fate() {
            Fate::Runs => (Ended::GoesOn, vec![self.brief()]),
            Fate::Ended { status, .. } => (Ended::Exited(status), Vec::new()),
        };
        report(printed, ended, (self.begun.elapsed(), Left { jobs, kept }))
    }

    /// How it is.
    pub(super) fn shown(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("id".into(), self.id.to_string().into());
        shown.insert("command".into(), self.command.clone().into());
        let until = match self.fate() {
            Fate::Runs => {
                shown.insert("state".into(), "running".into());
                shown.insert("pid".into(), self.pid.into());
                Instant::now()
            }
            Fate::Ended { status, at } => {
                shown.insert("state".into(), "ended".into());
                let (code, signal) = code_of(status);
                shown.insert("exitCode".into(), code.into());
                if let Some(signal) = signal {
                    shown.insert("signal".into(), signal.into());
                }
                at
            }
        };
        let ran = u64::try_from((until - self.begun).as_millis()).unwrap_or(u64::MAX);
        shown.insert("durationMs".into(), ran.into());
        let kept = self.kept();
        if !kept.is_empty() {
            shown.insert("kept".into(), of_kept(&kept));
        }
        drop(kept);
        shown.insert("totalBytes".into(), self.log().total().into());
        if self.has_terminal() {
            shown.insert("terminal".into(), true.into());
        }
        shown
    }
}
