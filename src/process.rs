//! One child process and everything that descends from it.
//!
//! Each child leads a session of its own and carries a mark that its descendants inherit (see [`mark`]), so that what
//! escapes its session, or its parent, is still known to be of it.

mod capture;
mod cgroup;
pub mod guard;
#[cfg(unix)]
pub(crate) mod handed;
pub mod inherited;
mod kept;
mod leader;
mod limits;
mod mark;
pub mod open_files;
pub mod own_code;
mod pipe;
mod running;
pub(crate) mod runs;
mod spawner;
mod stray;
mod table;
mod tail;
mod terminal;
mod tree;
mod usage;
mod watch;

use std::{ffi::OsString, fmt, future::Future, io, path::PathBuf, process::ExitStatus, time::Duration};

use tokio::time::{Instant, sleep, timeout};

pub(crate) use capture::{capture, captures_ended};
use cgroup::Cgroup;
pub(crate) use kept::{Keeper, Kept};
use leader::Leader;
pub use limits::Limits;
use mark::Mark;
pub(crate) use pipe::{Reader, Writer};
pub(crate) use running::Running;
pub use stray::Stray;
pub(crate) use table::is_stopped;
pub(crate) use tail::Tail;
pub(crate) use terminal::{Size, Terminal};
pub(crate) use usage::{Usage, UsageMeter};
pub(crate) use watch::{Found, Watch};

use crate::shutdown::Grace;

/// How long is waited for what a program that has ended printed last: somebody else may hold its pipes.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);

/// How to start a process.
#[derive(Clone)]
pub(crate) struct Spawn {
    /// Where it lies: it is not looked for.
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: PathBuf,
    /// Whether its stdin is a pipe of ours; else it reads nothing.
    pub(crate) stdin: Stdin,
    pub(crate) limits: Limits,
}

impl Spawn {
    /// A program that reads nothing, in the topmost directory.
    pub(crate) fn new(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<OsString>>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: PathBuf::from("/"),
            stdin: Stdin::Null,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Spawn {
    /// Without arguments and variables: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn").field("program", &self.program).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// What a process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    Pipe,
    Null,
    /// A terminal of its own, which it writes to as well.
    Terminal(Size),
}

/// Our ends of the pipes of a process. Whoever takes them owns them; closing `stdin` asks most servers to leave.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<Writer>,
    pub(crate) stdout: Reader,
    pub(crate) stderr: Reader,
    /// The terminal that all three are, where there is one: then `stderr` is at its end.
    pub(crate) terminal: Option<Terminal>,
}

/// A running process: its only owner.
///
/// Dropping it kills everything of it at once; the leader is then reaped by the one reaper (see [`spawner`]).
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    mark: Mark,
    /// When it was there.
    begun: std::time::Instant,
    limits: Limits,
    /// None once it is reaped, or about to be.
    leader: Option<Leader>,
    /// Dropped after the kill, as is the next.
    cgroup: Option<Cgroup>,
    _hold: runs::Hold,
}

/// The pause between two looks at what is still alive; ending takes a few of them.
const LOOK: Duration = Duration::from_millis(2);

/// How long a process is so new that the system cannot have given all its ids once since, the fastest one not.
const NEW: Duration = Duration::from_millis(200);

/// What those get whose leader has left in order.
const LEFT_BEHIND: Duration = Duration::from_millis(200);

/// How long the kernel may take to carry out kills before what is left is named in the log and left to the guard.
const KILL_LIMIT: Duration = Duration::from_secs(2);

impl Process {
    /// Starts a process. Cancel safe: a process that comes to be after its caller has gone is killed at once.
    pub(crate) async fn spawn(spawn: Spawn) -> io::Result<(Self, Pipes)> {
        // What an earlier run has left may hold what a server needs: its port, its profile, its locks.
        runs::swept().await;
        spawner::spawn(spawn).await
    }

    /// Its process id, which is its session id too.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Watches what it and all that descends from it use.
    pub(crate) fn watch(&self) -> Watch {
        Watch::new(self.pid, self.mark, self.limits, self.cgroup.as_ref().and_then(Cgroup::refusals))
    }

    /// The limit that ended it, if it was one: it has ended like this and is not reaped yet.
    pub(crate) fn limit_behind(&self, status: Option<ExitStatus>) -> Option<crate::Error> {
        let status = status?;
        self.cgroup.as_ref().and_then(Cgroup::exceeded).or_else(|| self.limits.behind(status, self.pid))
    }

    /// Returns when the process has ended. On Linux it is not reaped: its ids stay ours until [`end`](Self::end).
    ///
    /// Cancel safe.
    pub(crate) async fn exited(&self) -> Option<ExitStatus> {
        match &self.leader {
            Some(leader) => leader.exited().await,
            None => None,
        }
    }

    /// Ends the process and all that descends from it, and returns when nothing of it lives.
    ///
    /// It is given a share of `grace` to leave because its stdin was closed, then TERM, then KILL when `grace` is over.
    /// A short grace has no time for the first step, and none at all none for the second. Not cancel safe: dropping the
    /// future kills at once, and does not wait.
    pub(crate) async fn end(mut self, mut grace: Grace) -> Option<ExitStatus> {
        let patience = if grace.left() > Duration::from_secs(1) { grace.left() * 2 / 5 } else { Duration::ZERO };
        let mut status = tokio::select! {
            exited = timeout(patience, self.exited()) => exited.ok().flatten(),
            () = grace.over() => None,
        };
        if !grace.left().is_zero() {
            self.terminate().await;
            tokio::select! {
                () = self.gone() => {}
                () = grace.over() => {}
            }
        }
        self.kill().await;
        if let Some(leader) = self.leader.take() {
            // Only now: as long as the leader is not reaped, nobody else can get its ids.
            status = timeout(KILL_LIMIT, leader.reap()).await.ok().flatten().or(status);
        }
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.end().await;
        }
        status
    }

    /// Ends the process and all that descends from it: the leader is asked to leave with TERM and takes along what is its
    /// own; whoever is there a moment after it, or when `grace` is over, is killed. Not cancel safe, as
    /// [`end`](Self::end).
    pub(crate) async fn leave(self, mut grace: Grace) -> Option<ExitStatus> {
        if !grace.left().is_zero() {
            tree::ask(self.pid, tree::Signal::Term);
            let left_behind = async {
                self.exited().await;
                sleep(LEFT_BEHIND).await;
            };
            tokio::select! {
                () = self.gone() => {}
                () = left_behind => {}
                () = grace.over() => {}
            }
        }
        self.end(Grace::of(Duration::ZERO)).await
    }

    /// Asks the leader to leave by INT, as a person at a terminal would.
    pub(crate) fn interrupt(&self) {
        tree::ask(self.pid, tree::Signal::Int);
    }

    /// Kills in rounds until nothing of the process is found alive: a fork may be faster than a round.
    pub(crate) async fn kill(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            guard::while_there().await;
            cgroup.kill();
        }
        if self.recent_members().is_some_and(|members| members.is_empty()) {
            return;
        }
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
        guard::while_there().await;
        if let Some(few) = self.recent_members() {
            return few;
        }
        let (pid, mark) = (self.pid, self.mark);
        // It reads about every process of the system.
        blocking(move || tree::members(pid, mark)).await.unwrap_or_default()
    }

    /// Leaves programs of these names to a keeper that have left its group, as daemons do, with all that descends from
    /// them: they are none of its members any more. Once begun it is carried out, even when its caller goes away.
    pub(crate) async fn let_go(&self, names: &[String], keeper: &Keeper) -> Vec<Kept> {
        keeper.take(self.pid, self.mark, names).await
    }

    /// Sends TERM to all of it.
    pub(crate) async fn terminate(&self) {
        self.signal(tree::Signal::Term).await;
    }

    /// Sends a signal to all of it, given by its name, with `SIG` or without. False when there is no such signal.
    #[cfg(unix)]
    pub(crate) async fn send(&self, name: &str) -> bool {
        let Some(signal) = signal_of(name) else { return false };
        for member in self.members().await {
            // One that is gone already needs none.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(member.cast_signed()), signal);
        }
        true
    }

    /// Returns when nothing but zombies is left of it. Cancel safe.
    pub(crate) async fn gone(&self) {
        let mut pause = LOOK;
        while !self.members().await.is_empty() {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    async fn signal(&self, signal: tree::Signal) -> usize {
        guard::while_there().await;
        let (pid, mark) = (self.pid, self.mark);
        // A runtime that is being shut down does nothing for us any more.
        blocking(move || tree::signal(pid, mark, signal)).await.unwrap_or_else(|| tree::signal(pid, mark, signal))
    }

    /// The members, if the process is so new that few others can be some: reading about every process of the system
    /// would cost a short command more than it takes itself.
    fn recent_members(&self) -> Option<Vec<u32>> {
        #[cfg(target_os = "linux")]
        if self.begun.elapsed() < NEW {
            return tree::recent_members(self.pid, self.mark);
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.leader.is_some() && !guard::is_lost() {
            // Nobody can wait here: a fork that is faster than a round gets a few more, and no more than that.
            for _ in 0..5 {
                if tree::signal(self.pid, self.mark, tree::Signal::Kill) == 0 {
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
        self.mark.take_from(self.pid);
    }
}

#[cfg(unix)]
fn signal_of(name: &str) -> Option<nix::sys::signal::Signal> {
    let name = name.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    name.parse().ok()
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

/// Whether that user is ours, or one who may do everything anyway.
#[cfg(unix)]
pub(crate) fn is_own_or_root(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::Uid::effective().as_raw()
}
