//! One child process and everything that descends from it.
//!
//! Each child leads a session of its own and carries a mark that its descendants inherit (see [`mark`]), so that what
//! escapes its session, or its parent, is still known to be of it.

pub mod guard;
mod mark;
mod pipe;
mod spawner;
mod tree;
mod usage;

use std::{ffi::OsString, future::Future, io, path::PathBuf, process::ExitStatus, time::Duration};

use tokio::{
    process::Child,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::wire::Input;
use mark::Mark;
pub(crate) use pipe::{Reader, Writer};
pub(crate) use usage::{Usage, UsageMeter};

/// How to start a process.
#[derive(Debug, Clone)]
pub(crate) struct Spawn {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: PathBuf,
    /// Whether its stdin is a pipe of ours; else it reads nothing.
    pub(crate) stdin: Stdin,
}

/// What a process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    Pipe,
    Null,
}

/// Our ends of the pipes of a process. Whoever takes them owns them; closing `stdin` asks most servers to leave.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<Writer>,
    pub(crate) stdout: Reader,
    pub(crate) stderr: Reader,
}

/// A running process: its only owner.
///
/// Dropping it kills everything of it at once; the leader is then reaped by the runtime's one reaper.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    mark: Mark,
    child: Option<Child>,
    #[cfg(target_os = "linux")]
    exit: tree::ExitWatch,
}

/// The pause between two looks at what is still alive; ending takes a few of them.
const LOOK: Duration = Duration::from_millis(2);

/// How long the kernel may take to carry out kills before what is left is named in the log and left to the guard.
const KILL_LIMIT: Duration = Duration::from_secs(2);

impl Process {
    /// Starts a process. Cancel safe: a process that comes to be after its caller has gone is killed at once.
    pub(crate) async fn spawn(spawn: Spawn) -> io::Result<(Self, Pipes)> {
        spawner::spawn(spawn).await
    }

    /// Its process id, which is its session id too.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when the process has ended, without reaping it: its ids stay ours until [`end`](Self::end).
    ///
    /// Cancel safe.
    #[cfg(target_os = "linux")]
    pub(crate) async fn exited(&mut self) -> Option<ExitStatus> {
        self.exit.wait(self.pid).await
    }

    /// Returns when the process has ended. Cancel safe.
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn exited(&mut self) -> Option<ExitStatus> {
        match &mut self.child {
            Some(child) => child.wait().await.ok(),
            None => None,
        }
    }

    /// Ends the process and all that descends from it, and returns when nothing of it lives.
    ///
    /// It is given a share of `grace` to leave because its stdin was closed, then TERM, then KILL when `grace` is over.
    /// A short grace has no time for the first step, and zero none for the second. Not cancel safe: dropping the future
    /// kills at once.
    pub(crate) async fn end(mut self, grace: Duration) -> Option<ExitStatus> {
        let begin = Instant::now();
        let patience = if grace > Duration::from_secs(1) { grace * 2 / 5 } else { Duration::ZERO };
        let mut status = timeout(patience, self.exited()).await.ok().flatten();
        if !grace.is_zero() {
            self.terminate().await;
            self.until_gone(begin + grace).await;
        }
        self.kill().await;
        if let Some(mut child) = self.child.take() {
            // Only now: as long as the leader is not reaped, nobody else can get its ids.
            status = timeout(KILL_LIMIT, child.wait()).await.ok().and_then(Result::ok).or(status);
        }
        status
    }

    /// Kills in rounds until nothing of the process lives: a round can race with a fork, two in a row cannot.
    pub(crate) async fn kill(&mut self) {
        let limit = Instant::now() + KILL_LIMIT;
        while self.signal(tree::Signal::Kill).await > 0 {
            if Instant::now() >= limit {
                tracing::warn!(pid = self.pid, "some processes of an entry do not die; they are left to the guard");
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// The living members of the process's tree, itself included.
    pub(crate) async fn members(&self) -> Vec<u32> {
        let (pid, mark) = (self.pid, self.mark);
        // It reads about every process of the system.
        blocking(move || tree::members(pid, mark)).await.unwrap_or_default()
    }

    /// Sends TERM to all of it.
    pub(crate) async fn terminate(&self) {
        self.signal(tree::Signal::Term).await;
    }

    /// Returns when nothing but zombies is left of it, or at `limit`.
    pub(crate) async fn until_gone(&self, limit: Instant) {
        let mut pause = LOOK;
        while !self.members().await.is_empty() && Instant::now() < limit {
            sleep(pause.min(limit.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    async fn signal(&self, signal: tree::Signal) -> usize {
        let (pid, mark) = (self.pid, self.mark);
        // A runtime that is being shut down does nothing for us any more.
        blocking(move || tree::signal(pid, mark, signal)).await.unwrap_or_else(|| tree::signal(pid, mark, signal))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            tree::signal(self.pid, self.mark, tree::Signal::Kill);
        }
    }
}

/// Runs a program to its end and returns what it printed, 4 MiB at most, whatever its exit status.
///
/// All that it started is gone when this returns.
///
/// # Errors
/// The program could not be started, or was still running at the deadline.
pub(crate) async fn capture(
    program: &std::path::Path,
    args: &[&str],
    env: Vec<(OsString, OsString)>,
    deadline: Duration,
) -> io::Result<Vec<u8>> {
    const LIMIT: usize = 4 << 20;
    const LAST_WORDS: Duration = Duration::from_millis(50);
    let spawn = Spawn {
        program: program.to_owned(),
        args: args.iter().map(OsString::from).collect(),
        env,
        cwd: PathBuf::from("/"),
        stdin: Stdin::Null,
    };
    let (mut process, mut pipes) = Process::spawn(spawn).await?;
    let mut printed = Vec::new();
    let done = async {
        let mut exited: Option<Instant> = None;
        let mut stderr_open = true;
        let mut sink = Vec::new();
        loop {
            tokio::select! {
                read = pipes.stdout.read_into(&mut printed) => if read? == 0 { return Ok(()) },
                read = pipes.stderr.read_into(&mut sink), if stderr_open => { stderr_open = read? > 0; sink.clear(); }
                _ = process.exited(), if exited.is_none() => exited = Some(Instant::now()),
                // A background child may hold the pipe for ever: what was printed is there shortly after the exit.
                () = sleep_until(exited.unwrap_or_else(Instant::now) + LAST_WORDS), if exited.is_some() => return Ok(()),
            }
            printed.truncate(LIMIT);
        }
    };
    let outcome = timeout(deadline, done).await;
    process.end(Duration::ZERO).await;
    match outcome {
        Ok(Ok(())) => Ok(printed),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("still running after {deadline:?}"))),
    }
}

/// Says how a process ended, in words.
pub(crate) fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "ended".to_owned() };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name =
            nix::sys::signal::Signal::try_from(signal).map_or("unknown signal", nix::sys::signal::Signal::as_str);
        return format!("was ended by signal {signal} ({name})");
    }
    match status.code() {
        Some(code) => format!("exited with status {code}"),
        None => "ended".to_owned(),
    }
}

/// Runs blocking work on a thread that may block. The caller's future awaits it.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let handle = tokio::task::spawn_blocking(work);
    async move { handle.await.ok() }
}
