//! Running one command: its process, its output, its end.

use std::{ffi::OsString, process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Commands,
    arguments::Order,
    escapes,
    job::Begun,
    jobs::MOST,
    progress::Reporter,
    result::{Ended, Left, refused, report},
    spill::Spill,
    stream::{Printed, Streams},
};
use crate::{
    config::Login,
    error::Error,
    process::{Limits, Pipes, Process, Size, Spawn, Stdin},
    shutdown::Grace,
    source::{Answer, CallContext, Sink, Waiting},
    wire::Outbox,
};

/// How long the pipes may stay open after the shell has exited: a background child may hold them for ever.
pub(super) const DRAIN: Duration = Duration::from_millis(100);

/// What a command gets to leave in order when its caller has gone.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How large a terminal is at first.
const SIZE: Size = Size { columns: 120, rows: 40 };

/// What ends the input of a terminal.
const END_OF_INPUT: &[u8] = b"\x04";

/// Runs a command. The shell owns its task: a caller that goes away takes the command with it, in order.
pub(super) fn run(shell: Arc<Commands>, order: Order, context: CallContext) -> Waiting<Answer> {
    let gone = CancellationToken::new();
    let guard = gone.clone().drop_guard();
    let (reply, answer) = oneshot::channel();
    let tasks = shell.tasks.clone();
    tasks.spawn(async move {
        let cancel = context.cancel.clone().unwrap_or_default();
        let command = Command { shell, order, progress: context.progress.clone(), cancel, gone };
        command.run(reply).await;
    });
    Box::pin(async move {
        let answer = answer.await.unwrap_or_else(|_| Err(stopped()));
        drop(guard);
        answer
    })
}

fn stopped() -> Error {
    Error::ended_as_asked("was stopped")
}

struct Command {
    shell: Arc<Commands>,
    order: Order,
    progress: Option<Sink>,
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
        if self.order.background && self.shell.jobs.is_full() {
            let reason = format!("{MOST} jobs are running already; stop one of them with `stop_job` first");
            let _ = reply.send(Ok(refused(&reason)));
            return;
        }
        let (mut process, mut pipes) = match Process::spawn(self.spawn()).await {
            Ok(spawned) => spawned,
            Err(error) => {
                let reason = format!("the shell {} cannot be started: {error}", self.shell.program.display());
                let _ = reply.send(Ok(refused(&reason)));
                return;
            }
        };
        if self.order.background {
            return self.go_on(process, pipes, (begin, reply)).await;
        }
        let input = pipes.stdin.take().map(Outbox::new);
        if let (Some(input), Some(text)) = (&input, &self.order.stdin) {
            // One that reads nothing is none the worse for it.
            let _ = input.send(text.as_bytes());
            if self.order.pty {
                let _ = input.send(END_OF_INPUT);
            }
        }
        let reporter = self.progress.clone().map(Reporter::new);
        let spill = self.shell.spill.clone().map(Spill::new);
        let mut streams = Streams::new(pipes, self.shell.config.max_output, reporter, spill);
        let outcome = self.wait(&mut process, (&mut streams, input.as_ref()), begin).await;
        let error = match outcome {
            Outcome::Exited(status) => {
                let kept = process.let_go(&self.shell.config.keep, &self.shell.keeper).await;
                let left = process.members().await;
                let printed = self.shown(&mut streams);
                let Some(pid) = left.first() else {
                    let left = Left { kept, ..Left::default() };
                    let _ = reply.send(Ok(report(printed, Ended::Exited(status), (begin.elapsed(), left))));
                    process.end(Grace::of(Duration::ZERO)).await;
                    return;
                };
                let begun = self.begun(*pid, process, streams.pipes);
                let left = Left { jobs: vec![begun.job.brief()], kept };
                let _ = reply.send(Ok(report(printed, Ended::Exited(status), (begin.elapsed(), left))));
                return begun.tend(&self.shell).await;
            }
            Outcome::TimedOut => {
                process.end(Grace::of(Duration::ZERO)).await;
                // What it printed before its end is there now, and nobody holds the pipe.
                let _ = timeout_at(Instant::now() + DRAIN, streams.drain()).await;
                let printed = self.shown(&mut streams);
                let _ = reply.send(Ok(report(printed, Ended::TimedOut, (begin.elapsed(), Left::default()))));
                return;
            }
            Outcome::Cancelled => Error::Cancelled,
            Outcome::Stopped => {
                process.let_go(&self.shell.config.keep, &self.shell.keeper).await;
                stopped()
            }
        };
        let _ = reply.send(Err(error));
        finish(process, &self.shell).await;
    }

    /// Makes a job of it at once. One that ends at once is told like any other command.
    async fn go_on(self, process: Process, pipes: Pipes, (begin, reply): (Instant, Reply)) {
        let deadline = self.order.timeout.map(|timeout| begin + timeout);
        let begun = self.begun(process.pid(), process, pipes).until(deadline).telling(self.shell.config.max_output);
        let job = begun.job.clone();
        if let (Some(input), Some(text)) = (job.input(), &self.order.stdin) {
            let _ = input.send(text.as_bytes());
        }
        let told = async {
            tokio::select! {
                () = job.ended() => {}
                () = sleep_until(begin + DRAIN) => {}
            }
            let _ = reply.send(Ok(job.report()));
        };
        tokio::join!(begun.tend(&self.shell), told);
    }

    fn begun(&self, pid: u32, process: Process, pipes: Pipes) -> Begun {
        let begun = Begun::new((self.shell.job_id(), pid), self.order.command.clone(), process, pipes);
        self.shell.jobs.add(begun.job.clone());
        begun
    }

    fn shown(&self, streams: &mut Streams) -> Printed {
        let mut printed = streams.show();
        if self.order.pty {
            printed.stdout.text = escapes::stripped(&printed.stdout.text);
        }
        if self.shell.config.login == Login::Always {
            let text = &mut printed.stderr.text;
            while let Some((_, rest)) = text.split_once('\n').filter(|(line, _)| is_regret(line)) {
                *text = rest.to_owned();
            }
        }
        printed
    }

    fn spawn(&self) -> Spawn {
        let Order { command, rendered, directory, stdin, background, pty, .. } = &self.order;
        let mut args: Vec<OsString> = self.shell.flags.iter().map(OsString::from).collect();
        args.push(rendered.as_ref().unwrap_or(command).into());
        let mut env = self.shell.env();
        if *pty && !self.shell.sets("TERM") {
            env.retain(|(name, _)| name != "TERM");
            env.push(("TERM".into(), "xterm-256color".into()));
        }
        let stdin = match (pty, stdin.is_some() || *background) {
            (true, _) => Stdin::Terminal(SIZE),
            (false, true) => Stdin::Pipe,
            (false, false) => Stdin::Null,
        };
        let limits = Limits::default();
        Spawn { program: self.shell.program.clone(), args, env, cwd: directory.clone(), stdin, limits }
    }

    async fn wait(
        &self,
        process: &mut Process,
        (streams, input): (&mut Streams, Option<&Outbox>),
        begin: Instant,
    ) -> Outcome {
        let deadline = self.order.timeout.map(|timeout| begin + timeout);
        let mut exited = None;
        let mut drained_at: Option<Instant> = None;
        let mut fed = input.is_none();
        loop {
            let at = |time: Option<Instant>| async move {
                match time {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            let feeding = async {
                if let Some(input) = input {
                    tokio::join!(input.drain(), async {
                        input.emptied().await;
                        // A terminal is at its end when it is told so, a pipe when it is closed.
                        if !self.order.pty {
                            input.close();
                        }
                    });
                }
            };
            tokio::select! {
                biased;
                () = self.shell.stop.cancelled() => return Outcome::Stopped,
                () = self.gone.cancelled() => return Outcome::Cancelled,
                () = self.cancel.cancelled() => return Outcome::Cancelled,
                () = at(deadline), if drained_at.is_none() => return Outcome::TimedOut,
                status = process.exited(), if drained_at.is_none() => {
                    exited = status;
                    drained_at = Some(Instant::now() + DRAIN);
                }
                () = at(drained_at) => return Outcome::Exited(exited),
                () = feeding, if !fed => fed = true,
                () = streams.read() => {}
            }
            if streams.at_end() && drained_at.is_some() {
                return Outcome::Exited(exited);
            }
        }
    }
}

/// Whether an interactive bash says with this line that it has no terminal, which nobody expects it to have.
fn is_regret(line: &str) -> bool {
    line.contains(": cannot set terminal process group (") || line.ends_with(": no job control in this shell")
}

/// TERM for all of it, KILL when the grace is over: there is no stdin whose end a command would see.
pub(super) async fn finish(process: Process, shell: &Commands) -> Option<ExitStatus> {
    process.terminate().await;
    let mut cancelled = Grace::of(GRACE);
    let stopped = async {
        shell.stop.cancelled().await;
        Grace::until(&shell.leave_by).over().await;
    };
    tokio::select! {
        () = process.gone() => {}
        () = cancelled.over() => {}
        () = stopped => {}
    }
    process.end(Grace::of(Duration::ZERO)).await
}
