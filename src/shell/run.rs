//! Running one command: its process, its output, its end.

use std::{path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Commands,
    arguments::Order,
    output::{Kept, Shown},
    refused,
};
use crate::{
    error::Error,
    process::{Limits, Pipes, Process, Reader, Spawn, Stdin},
    shutdown::Grace,
    source::{Answer, CallContext, Waiting},
    wire::Input,
};

/// How long the pipes may stay open after the shell has exited: a background child may hold them for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// What a command gets to leave in order when its caller has gone.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A read takes this much at most; pipes hold as much.
const CHUNK: usize = 64 << 10;

/// Runs a command. The shell owns its task: a caller that goes away takes the command with it, in order.
pub(super) fn run(shell: Arc<Commands>, order: Order, context: CallContext) -> Waiting<Answer> {
    let gone = CancellationToken::new();
    let guard = gone.clone().drop_guard();
    let (reply, answer) = oneshot::channel();
    let tasks = shell.tasks.clone();
    tasks.spawn(async move {
        let command = Command { shell, order, cancel: context.cancel.clone().unwrap_or_default(), gone };
        command.run(reply).await;
    });
    Box::pin(async move {
        let answer = answer.await.unwrap_or_else(|_| Err(stopped()));
        drop(guard);
        answer
    })
}

fn stopped() -> Error {
    Error::Ended { how: "was stopped".to_owned(), stderr: String::new() }
}

struct Command {
    shell: Arc<Commands>,
    order: Order,
    cancel: CancellationToken,
    gone: CancellationToken,
}

type Reply = oneshot::Sender<crate::Result<Answer>>;

/// How the wait for a command ended.
enum Outcome {
    Exited(Option<ExitStatus>),
    TimedOut,
    Cancelled,
    Stopped,
}

impl Command {
    async fn run(self, reply: Reply) {
        let begin = Instant::now();
        let (mut process, pipes) = match Process::spawn(self.spawn()).await {
            Ok(spawned) => spawned,
            Err(error) => {
                let reason = format!("the shell {} cannot be started: {error}", self.shell.program.display());
                let _ = reply.send(Ok(refused(&reason)));
                return;
            }
        };
        let mut streams = Streams::new(pipes, self.shell.config.max_output);
        let outcome = self.wait(&mut process, &mut streams, begin).await;
        let error = match outcome {
            Outcome::Exited(status) => {
                let left = process.members().await;
                let jobs = self.jobs(&left);
                let _ = reply.send(Ok(report(streams.show(), Ended::Exited(status), (begin.elapsed(), jobs))));
                if left.is_empty() {
                    process.end(Grace::of(Duration::ZERO)).await;
                } else {
                    self.keep(process, streams.pipes).await;
                }
                return;
            }
            Outcome::TimedOut => {
                process.end(Grace::of(Duration::ZERO)).await;
                // What it printed before its end is there now, and nobody holds the pipe.
                let _ = timeout_at(Instant::now() + DRAIN, streams.drain()).await;
                let _ = reply.send(Ok(report(streams.show(), Ended::TimedOut, (begin.elapsed(), Vec::new()))));
                return;
            }
            Outcome::Cancelled => Error::Cancelled,
            Outcome::Stopped => stopped(),
        };
        let _ = reply.send(Err(error));
        self.finish(process).await;
    }

    fn spawn(&self) -> Spawn {
        Spawn {
            program: self.shell.program.clone(),
            args: vec!["-c".into(), self.order.command.clone().into()],
            env: self.shell.env.clone(),
            cwd: PathBuf::clone(&self.order.directory),
            stdin: Stdin::Null,
            limits: Limits::default(),
        }
    }

    async fn wait(&self, process: &mut Process, streams: &mut Streams, begin: Instant) -> Outcome {
        let deadline = begin + self.order.timeout;
        let mut exited = None;
        let mut drained_at: Option<Instant> = None;
        loop {
            let drain = async {
                match drained_at {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.shell.stop.cancelled() => return Outcome::Stopped,
                () = self.gone.cancelled() => return Outcome::Cancelled,
                () = self.cancel.cancelled() => return Outcome::Cancelled,
                () = sleep_until(deadline), if drained_at.is_none() => return Outcome::TimedOut,
                status = process.exited(), if drained_at.is_none() => {
                    exited = status;
                    drained_at = Some(Instant::now() + DRAIN);
                }
                () = drain => return Outcome::Exited(exited),
                more = streams.read() => if !more && drained_at.is_some() {
                    return Outcome::Exited(exited);
                },
            }
            if streams.at_end() && drained_at.is_some() {
                return Outcome::Exited(exited);
            }
        }
    }

    fn jobs(&self, left: &[u32]) -> Vec<Value> {
        match left.first() {
            Some(pid) => {
                vec![json!({ "id": self.shell.job_id().to_string(), "pid": pid, "command": self.order.command })]
            }
            None => Vec::new(),
        }
    }

    /// What a command left running goes on until it ends or the entry does. Its pipes are read on: it must not die of
    /// a closed pipe, nor stand still at a full one.
    async fn keep(&self, process: Process, mut pipes: Pipes) {
        let mut rubbish = (Vec::new(), Vec::new());
        let (mut out, mut err) = (true, true);
        let mut pause = DRAIN;
        let mut look_at = Instant::now() + pause;
        loop {
            tokio::select! {
                () = self.shell.stop.cancelled() => break,
                () = sleep_until(look_at) => {
                    if process.members().await.is_empty() {
                        break;
                    }
                    // Nothing tells when the last of several processes has ended; a job may last for days.
                    pause = (pause * 2).min(GRACE);
                    look_at = Instant::now() + pause;
                }
                more = read(&mut pipes.stdout, &mut rubbish.0), if out => out = more,
                more = read(&mut pipes.stderr, &mut rubbish.1), if err => err = more,
            }
        }
        self.finish(process).await;
    }

    /// TERM for all of it, KILL when the grace is over: there is no stdin whose end a command would see.
    async fn finish(&self, process: Process) {
        process.terminate().await;
        let mut cancelled = Grace::of(GRACE);
        let stopped = async {
            self.shell.stop.cancelled().await;
            Grace::until(&self.shell.leave_by).over().await;
        };
        tokio::select! {
            () = process.gone() => {}
            () = cancelled.over() => {}
            () = stopped => {}
        }
        process.end(Grace::of(Duration::ZERO)).await;
    }
}

/// What a command came to.
fn report((stdout, stderr): (Shown, Shown), ended: Ended, (took, jobs): (Duration, Vec<Value>)) -> Answer {
    let (code, signal) = match ended {
        Ended::TimedOut => (124, None),
        Ended::Exited(status) => code_of(status),
    };
    let mut errors = stderr.text;
    if ended == Ended::TimedOut {
        if !errors.is_empty() && !errors.ends_with('\n') {
            errors.push('\n');
        }
        errors.push_str("[command timed out]");
    }
    let text = text_of(&stdout.text, &errors, code);
    let mut result = Map::new();
    result.insert("exitCode".into(), code.into());
    result.insert("stdout".into(), stdout.text.into());
    result.insert("stderr".into(), errors.into());
    result.insert("durationMs".into(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into());
    if let Some(signal) = signal {
        result.insert("signal".into(), signal.into());
    }
    if stdout.truncated + stderr.truncated > 0 {
        result.insert("truncated".into(), json!({ "stdoutBytes": stdout.truncated, "stderrBytes": stderr.truncated }));
    }
    if !jobs.is_empty() {
        result.insert("jobs".into(), jobs.into());
    }
    Answer::made(&json!({ "content": [{ "type": "text", "text": text }], "structuredContent": result }))
}

#[derive(Clone, Copy, PartialEq)]
enum Ended {
    Exited(Option<ExitStatus>),
    TimedOut,
}

fn code_of(status: Option<ExitStatus>) -> (i32, Option<String>) {
    let Some(status) = status else { return (-1, None) };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name =
            nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |name| name.to_string());
        return (128 + signal, Some(name));
    }
    (status.code().unwrap_or(-1), None)
}

fn text_of(stdout: &str, stderr: &str, code: i32) -> String {
    let mut text = stdout.to_owned();
    let exit = if code == 0 { String::new() } else { format!("[exit code {code}]") };
    for part in [stderr, &exit] {
        if !text.is_empty() && !text.ends_with('\n') && !part.is_empty() {
            text.push('\n');
        }
        text.push_str(part);
    }
    text
}

/// Both output streams of a command.
struct Streams {
    pipes: Pipes,
    open: (bool, bool),
    kept: (Kept, Kept),
    buffers: (Vec<u8>, Vec<u8>),
}

impl Streams {
    fn new(pipes: Pipes, limit: usize) -> Self {
        Self {
            pipes,
            open: (true, true),
            kept: (Kept::new(limit), Kept::new(limit)),
            buffers: (Vec::new(), Vec::new()),
        }
    }

    fn at_end(&self) -> bool {
        self.open == (false, false)
    }

    /// Reads some more; false when both are at their end, without waiting for ever then. Cancel safe.
    async fn read(&mut self) -> bool {
        if self.at_end() {
            return std::future::pending().await;
        }
        let Self { pipes, open, kept, buffers } = self;
        tokio::select! {
            more = read(&mut pipes.stdout, &mut buffers.0), if open.0 => { open.0 = more; kept.0.push(&buffers.0); }
            more = read(&mut pipes.stderr, &mut buffers.1), if open.1 => { open.1 = more; kept.1.push(&buffers.1); }
        }
        !self.at_end()
    }

    async fn drain(&mut self) {
        while !self.at_end() {
            self.read().await;
        }
    }

    fn show(&mut self) -> (Shown, Shown) {
        let empty = || Kept::new(0);
        (std::mem::replace(&mut self.kept.0, empty()).show(), std::mem::replace(&mut self.kept.1, empty()).show())
    }
}

/// Reads what is there; false at the end. Cancel safe: a read that is given up has taken nothing.
async fn read(pipe: &mut Reader, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    buffer.reserve(CHUNK);
    pipe.read_into(buffer).await.is_ok_and(|read| read > 0)
}
