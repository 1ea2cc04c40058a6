//! The one lasting thread from which all children are started.
//!
//! A parent-death signal is tied to the *thread* that forked: on a runtime's worker it would kill servers when that
//! worker ends. And fork in a large process may take milliseconds that no worker should lose.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Stdio,
    sync::{LazyLock, mpsc},
    thread,
    time::Instant,
};

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    Pipes, Process, Reader, Spawn, Stdin, Writer,
    cgroup::{Cgroup, Door},
    guard,
    mark::Mark,
    open_files::{self, Bound},
    runs::Hold,
    terminal, tree,
};

struct Job {
    spawn: Spawn,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<(Process, Pipes)>>,
}

static SPAWNER: LazyLock<Option<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    let work = move || {
        for job in queue {
            // Whoever asked may have gone: then the process is dropped here, and dies.
            let started = catch_unwind(AssertUnwindSafe(|| start(&job.spawn, &job.runtime)));
            let started = started.unwrap_or_else(|_| Err(io::Error::other("starting it panicked")));
            let _ = job.reply.send(started);
        }
    };
    thread::Builder::new().name("spawner".into()).stack_size(256 << 10).spawn(work).ok().map(|_| jobs)
});

pub(super) async fn spawn(spawn: Spawn) -> io::Result<(Process, Pipes)> {
    let (reply, started) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    let jobs = SPAWNER.as_ref().ok_or_else(gone)?;
    jobs.send(Job { spawn, runtime: Handle::current(), reply }).map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

fn start(spawn: &Spawn, runtime: &Handle) -> io::Result<(Process, Pipes)> {
    if guard::is_lost() {
        return Err(io::Error::other("the guard of this program has died, and everything ends with it"));
    }
    let _entered = runtime.enter();
    // Before there is anything to be recorded.
    let hold = Hold::recorded();
    let mark = Mark::next();
    let Ends { stdin, stdout, stderr, pipes } = Ends::of(spawn.stdin)?;
    let has_terminal = pipes.terminal.is_some();
    let mut command = tokio::process::Command::new(&spawn.program);
    command.args(&spawn.args).env_clear().envs(spawn.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&spawn.cwd).stdin(stdin).stdout(stdout).stderr(stderr);
    let (cgroup, door) = Cgroup::of(spawn.limits).unzip();
    detach(&mut command, mark, (spawn.limits.bounds(), door, has_terminal));
    let child = command.spawn()?;
    // The command holds the child's ends of the pipes: as long as it lives they never come to their end.
    drop(command);
    let pid = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
    let process = Process {
        pid,
        mark,
        begun: Instant::now(),
        limits: spawn.limits,
        #[cfg(target_os = "linux")]
        exit: tree::ExitWatch::new(pid).inspect_err(|_| {
            tree::signal(pid, mark, tree::Signal::Kill);
        })?,
        child: Some(child),
        cgroup,
        _hold: hold,
    };
    mark.give_to(pid);
    Ok((process, pipes))
}

/// Both ends of what a child reads and writes.
struct Ends {
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    pipes: Pipes,
}

impl Ends {
    fn of(stdin: Stdin) -> io::Result<Self> {
        if let Stdin::Terminal(size) = stdin {
            let terminal::Opened { terminal, shown, typed, theirs } = terminal::open(size)?;
            let (stdout, stderr) = (theirs.try_clone()?.into(), theirs.try_clone()?.into());
            let pipes = Pipes { stdin: Some(typed), stdout: shown, stderr: Reader::empty()?, terminal: Some(terminal) };
            return Ok(Self { stdin: theirs.into(), stdout, stderr, pipes });
        }
        let (stdin, ours_in) = match stdin {
            Stdin::Pipe => Writer::pipe().map(|(writer, theirs)| (Stdio::from(theirs), Some(writer)))?,
            Stdin::Null | Stdin::Terminal(_) => (Stdio::null(), None),
        };
        let (ours_out, stdout) = Reader::pipe()?;
        let (ours_err, stderr) = Reader::pipe()?;
        let pipes = Pipes { stdin: ours_in, stdout: ours_out, stderr: ours_err, terminal: None };
        Ok(Self { stdin, stdout: stdout.into(), stderr: stderr.into(), pipes })
    }
}

/// What a child is held to, the way into its control group, and whether its stdin is a terminal.
pub(super) type Bounds = ([Option<Bound>; 2], Option<Door>, bool);

/// Makes the child a session leader that carries our mark, keeps to its limits and dies with us.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "what happens between fork and exec has no safe form")]
pub(super) fn detach(command: &mut tokio::process::Command, mark: Mark, (bounds, door, has_terminal): Bounds) {
    use nix::{sys::prctl, sys::signal::Signal, unistd};
    let parent = unistd::getpid();
    // SAFETY: the closure makes system calls only: it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            door.iter().for_each(Door::enter);
            unistd::setsid()?;
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if unistd::getppid() != parent {
                return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
            }
            bounds.into_iter().flatten().try_for_each(Bound::apply)?;
            open_files::keep_to_the_standard_ones();
            if has_terminal {
                terminal::take_control()?;
            }
            mark.apply()
        });
    }
}

/// Makes the child a session leader that keeps to its limits.
#[cfg(all(unix, not(target_os = "linux")))]
#[expect(unsafe_code, reason = "what happens between fork and exec has no safe form")]
pub(super) fn detach(command: &mut tokio::process::Command, _: Mark, (bounds, _, has_terminal): Bounds) {
    // SAFETY: the closure makes system calls only: it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            bounds.into_iter().flatten().try_for_each(Bound::apply)?;
            if has_terminal { terminal::take_control() } else { Ok(()) }
        });
    }
}
