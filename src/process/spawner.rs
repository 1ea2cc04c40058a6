//! The one lasting thread from which all children are started, and on which those are reaped that nobody waits for.
//!
//! A parent-death signal is tied to the *thread* that started the child: on a runtime's worker it would kill servers when
//! that worker ends. And a start may take milliseconds that no worker should lose.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(test)]
mod tests;

use std::{
    fs::OpenOptions,
    io,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{LazyLock, mpsc},
    thread,
    time::Instant,
};

#[cfg(target_os = "linux")]
pub(super) use linux::spawn as start_program;
#[cfg(not(target_os = "linux"))]
use other::spawn as start_program;
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    Pipes, Process, Reader, Spawn, Stdin, Writer,
    cgroup::{Cgroup, Door},
    guard,
    leader::Leader,
    mark::Mark,
    open_files::Bound,
    runs::Hold,
    terminal, tree,
};

enum Job {
    Start {
        spawn: Box<Spawn>,
        runtime: Handle,
        reply: oneshot::Sender<io::Result<(Process, Pipes)>>,
    },
    /// Somebody was killed, and nobody waits for its end.
    #[cfg(target_os = "linux")]
    Reap(u32),
}

static SPAWNER: LazyLock<Option<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    thread::Builder::new().name("spawner".into()).stack_size(256 << 10).spawn(move || work(&queue)).ok().map(|_| jobs)
});

pub(super) async fn spawn(spawn: Spawn) -> io::Result<(Process, Pipes)> {
    let (reply, started) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    let jobs = SPAWNER.as_ref().ok_or_else(gone)?;
    let job = Job::Start { spawn: Box::new(spawn), runtime: Handle::current(), reply };
    jobs.send(job).map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

fn work(queue: &mpsc::Receiver<Job>) {
    let mut unreaped = Unreaped::default();
    while let Some(job) = unreaped.reap_until_next(queue) {
        match job {
            Job::Start { spawn, runtime, reply } => {
                // Whoever asked may have gone: then the process is dropped here, and dies.
                let started = catch_unwind(AssertUnwindSafe(|| start(&spawn, &runtime)));
                let started = started.unwrap_or_else(|_| Err(io::Error::other("starting it panicked")));
                let _ = reply.send(started);
            }
            #[cfg(target_os = "linux")]
            Job::Reap(pid) => unreaped.0.push(pid),
        }
    }
}

/// Children that were killed, and may still be about to end.
#[derive(Default)]
struct Unreaped(Vec<u32>);

impl Unreaped {
    /// The next job; none when there are no more.
    #[cfg(target_os = "linux")]
    fn reap_until_next(&mut self, queue: &mpsc::Receiver<Job>) -> Option<Job> {
        use std::time::Duration;
        /// One that does not die, because the system is busy with it, is looked at now and then.
        const LONGEST: Duration = Duration::from_millis(500);
        let mut pause = super::LOOK;
        loop {
            self.0.retain(|pid| !reap(*pid));
            if self.0.is_empty() {
                return queue.recv().ok();
            }
            match queue.recv_timeout(pause) {
                Ok(job) => return Some(job),
                Err(mpsc::RecvTimeoutError::Timeout) => pause = (pause * 2).min(LONGEST),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reap_until_next(&mut self, queue: &mpsc::Receiver<Job>) -> Option<Job> {
        queue.recv().ok()
    }
}

/// Reaps a child of ours that has ended; false when it has not.
#[cfg(target_os = "linux")]
pub(super) fn reap(pid: u32) -> bool {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
    // One that is no child of ours is reaped already.
    !matches!(waitpid(pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
}

/// Has a child of ours reaped that was killed and may still be about to end.
#[cfg(target_os = "linux")]
pub(super) fn leave_to_reaper(pid: u32) {
    // Without the thread there is no child either.
    if let Some(jobs) = SPAWNER.as_ref() {
        let _ = jobs.send(Job::Reap(pid));
    }
}

fn start(spawn: &Spawn, runtime: &Handle) -> io::Result<(Process, Pipes)> {
    if guard::is_lost() {
        return Err(io::Error::other("the guard of this program has died, and everything ends with it"));
    }
    let _entered = runtime.enter();
    // Before there is anything to be recorded.
    let hold = Hold::recorded();
    let mark = Mark::next();
    let Ends { files, pipes } = Ends::of(spawn.stdin)?;
    let (cgroup, door) = Cgroup::of(spawn.limits).unzip();
    let started = start_program(spawn, files, (mark, (spawn.limits.bounds(), door, pipes.terminal.is_some())))?;
    #[cfg(target_os = "linux")]
    let leader = Leader::of(started).inspect_err(|_| {
        tree::signal(started, mark, tree::Signal::Kill);
        leave_to_reaper(started);
    })?;
    #[cfg(not(target_os = "linux"))]
    let leader = Leader::of(started)?;
    let pid = leader.pid();
    let (begun, limits) = (Instant::now(), spawn.limits);
    let process = Process { pid, mark, begun, limits, leader: Some(leader), cgroup, _hold: hold };
    mark.give_to(pid);
    Ok((process, pipes))
}

/// Both ends of what a child reads and writes.
struct Ends {
    /// What become the first three of its files.
    files: [OwnedFd; 3],
    pipes: Pipes,
}

impl Ends {
    fn of(stdin: Stdin) -> io::Result<Self> {
        if let Stdin::Terminal(size) = stdin {
            let terminal::Opened { terminal, shown, typed, theirs } = terminal::open(size)?;
            let files = [theirs.try_clone()?, theirs.try_clone()?, theirs];
            let pipes = Pipes { stdin: Some(typed), stdout: shown, stderr: Reader::empty()?, terminal: Some(terminal) };
            return Ok(Self { files, pipes });
        }
        let (stdin, ours_in) = match stdin {
            Stdin::Pipe => Writer::pipe().map(|(writer, theirs)| (theirs, Some(writer)))?,
            Stdin::Null | Stdin::Terminal(_) => (OpenOptions::new().read(true).open("/dev/null")?.into(), None),
        };
        let (ours_out, stdout) = Reader::pipe()?;
        let (ours_err, stderr) = Reader::pipe()?;
        let pipes = Pipes { stdin: ours_in, stdout: ours_out, stderr: ours_err, terminal: None };
        Ok(Self { files: [stdin, stdout, stderr], pipes })
    }
}

/// What a child is held to, the way into its control group, and whether its stdin is a terminal.
pub(super) type Bounds = ([Option<Bound>; 2], Option<Door>, bool);
