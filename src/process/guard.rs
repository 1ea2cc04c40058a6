//! The guard: what outlives the daemon, and ends what the daemon leaves behind.
//!
//! The program forks before it does anything else. The first process is the guard: it adopts every orphan among its
//! descendants (it is their *subreaper*) and waits. The second is the daemon. When the daemon has died, of whatever
//! cause, the guard kills all its descendants and then ends as the daemon did. When the guard has died, the daemon
//! kills all that it started, and itself.
//!
//! What it misses: when both are killed at one moment (`pkill -9`) the system ends the daemon's children, and nobody ends
//! what those have started. It lives on until the next program of the same user starts a [`Computer`](crate::Computer),
//! which ends it before it starts anything of its own.
//!
//! A program that embeds the library and does without the guard ends what it has started when it ends in order, when it
//! drops its `Computer`, and when it panics and unwinds. What it misses: when it is killed, aborts or exits, it is with
//! its processes as if a guard had been killed too. [`ComputerHealth::guard`](crate::ComputerHealth::guard) tells which
//! of the two a program has.

use std::{
    fs::File,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

static GUARD: AtomicU32 = AtomicU32::new(0);
static LOST: AtomicBool = AtomicBool::new(false);
static TERMINAL: OnceLock<bool> = OnceLock::new();

/// The process id of the guard, if this process has one.
pub fn pid() -> Option<u32> {
    match GUARD.load(Ordering::Relaxed) {
        0 => None,
        pid => Some(pid),
    }
}

/// Whether a process id means this program: its own, or that of its guard, which is the process that was started.
pub(crate) fn is_us(other: u32) -> bool {
    other == std::process::id() || pid() == Some(other)
}

/// Whether the guard has died before us, so that all of ours is being killed: nothing may be started any more.
pub(super) fn is_lost() -> bool {
    LOST.load(Ordering::SeqCst)
}

/// Returns unless the guard has died before us: then all of ours is killed at once, as are we, and whoever looks after
/// one process alone is only in the way.
pub(super) async fn while_there() {
    if is_lost() {
        std::future::pending::<()>().await;
    }
}

/// Whether the program was started from a terminal, which takes it along when it goes. Noted by [`enter`]: below the
/// guard there is no terminal.
pub fn started_from_terminal() -> bool {
    *TERMINAL.get_or_init(|| File::open("/dev/tty").is_ok())
}

/// Puts a guard over this process.
///
/// Must be the first statement of `main`, before any thread is started and before anything is written: it forks. It
/// returns in the child, which from then on is the program: with another process id, and in a session of its own without
/// a terminal. Without effect where there is no such thing (anything but Linux), when threads run already, or when the
/// system refuses to fork; then [`pid`] stays `None`. What a program without it misses is told at the top of this module.
pub fn enter() {
    started_from_terminal();
    #[cfg(target_os = "linux")]
    linux::enter();
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(
        unsafe_code,
        reason = "forking, and ending a forked process without its parent's clean-up, have no safe form"
    )]

    use std::{
        fs,
        os::fd::{AsFd, AsRawFd},
        process, thread,
        time::{Duration, Instant},
    };

    use nix::{
        errno::Errno,
        libc,
        poll::{PollFd, PollFlags, PollTimeout, poll},
        sys::{
            prctl,
            signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, raise, signal, sigprocmask},
            wait::{WaitPidFlag, WaitStatus, waitpid},
        },
        unistd::{ForkResult, Pid, fork, getppid, setsid},
    };

    use super::{GUARD, LOST, Ordering};
    use crate::process::{mark, own_code, tree};

    /// How long the kernel may take to carry out the kills before the guard leaves all the same.
    const LIMIT: Duration = Duration::from_secs(10);

    pub(super) fn enter() {
        // Who started us may have ignored it, and so would we: children would vanish without a word.
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
        let threads = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        if threads != 1 || prctl::set_child_subreaper(true).is_err() {
            return;
        }
        let mut watched = SigSet::empty();
        for forwarded in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
            watched.add(forwarded);
        }
        let mut before = SigSet::empty();
        if sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched), Some(&mut before)).is_err() {
            return;
        }
        let guard = process::id();
        // Both of us are to know the daemon's processes by it.
        mark::own_tag();
        // SAFETY: this process has one thread (looked up above), so that the child's memory is whole.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => watch(child, &watched),
            Ok(ForkResult::Child) => {
                let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
                be_daemon(guard);
            }
            Err(_) => {
                let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
                let _ = prctl::set_child_subreaper(false);
            }
        }
    }

    fn be_daemon(guard: u32) {
        let _ = setsid();
        GUARD.store(guard, Ordering::Relaxed);
        // A daemon that is stopped would sleep through the death of its guard, and what it has would stay.
        let _ = prctl::set_pdeathsig(Signal::SIGCONT);
        // A thread that waits, and not a deadly signal: it works whatever the runtime is doing, and a signal that kills us
        // would leave our children to nobody.
        let watch = thread::Builder::new().name("guard-watch".into()).stack_size(128 << 10);
        let watching = tree::pidfd(guard).map(|pidfd| {
            watch.spawn(move || {
                let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
                while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
                die_with_guard();
            })
        });
        let lost = getppid().as_raw().cast_unsigned() != guard;
        if lost {
            die_with_guard();
        }
        if !matches!(watching, Ok(Ok(_))) {
            // Without a watch the crude way is better than none.
            let _ = prctl::set_pdeathsig(Signal::SIGKILL);
        }
    }

    /// The guard is dead: orphans go to nobody now, so that everything of ours is killed by force, ourselves last.
    fn die_with_guard() -> ! {
        GUARD.store(0, Ordering::Relaxed);
        // The rest of the program goes on: it would start again what it sees die.
        LOST.store(true, Ordering::SeqCst);
        let limit = Instant::now() + LIMIT;
        // Not being able to look, for want of descriptors, is not the same as finding nobody.
        while !tree::kill_all_of_ours().unwrap_or(false) && Instant::now() < limit {
            thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: ends the process without running anything; nothing of ours is left to clean up.
        unsafe { libc::_exit(137) }
    }

    /// The life of the guard.
    fn watch(daemon: Pid, watched: &SigSet) -> ! {
        let _ = prctl::set_name(c"computer-guard");
        let_go_of_files();
        own_code::give_back();
        let ended = loop {
            match watched.wait() {
                Ok(Signal::SIGCHLD) => {
                    if let Some(status) = reap(daemon) {
                        break status;
                    }
                }
                Ok(signal) => {
                    let _ = kill(daemon, signal);
                    // One that is stopped obeys only when it goes on.
                    let _ = kill(daemon, Signal::SIGCONT);
                }
                Err(_) => {}
            }
        };
        kill_descendants();
        end_as(ended);
    }

    /// Reaps what has ended; the daemon's status if it was among it.
    fn reap(daemon: Pid) -> Option<WaitStatus> {
        let mut ended = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(_) => return ended,
                Ok(status) if status.pid() == Some(daemon) => ended = Some(status),
                Ok(_) => {}
            }
        }
    }

    /// Everybody below us, in rounds, until none is left: orphans come to us as their parents die.
    fn kill_descendants() {
        let limit = Instant::now() + LIMIT;
        while Instant::now() < limit {
            // Whether there is anybody is better known from what there is to reap.
            let _ = tree::kill_all_of_ours();
            loop {
                match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                    Err(Errno::ECHILD) => return,
                    Ok(WaitStatus::StillAlive) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A client must see the end of its pipes when the daemon ends, not when we do.
    fn let_go_of_files() {
        let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null");
        for standard in 0..3 {
            match &null {
                // SAFETY: both are descriptors of this process, which uses neither for anything else.
                Ok(null) => unsafe { libc::dup2(null.as_raw_fd(), standard) },
                // SAFETY: nothing in this process uses it any more.
                Err(_) => unsafe { libc::close(standard) },
            };
        }
        drop(null);
        // SAFETY: the guard opens files only after this, and has none open that it still needs.
        if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } != 0 {
            for other in 3..1024 {
                // SAFETY: as above; closing what is not open does nothing.
                unsafe { libc::close(other) };
            }
        }
    }

    fn end_as(status: WaitStatus) -> ! {
        let code = match status {
            WaitStatus::Exited(_, code) => code,
            WaitStatus::Signaled(_, cause, _) => {
                let _ = prctl::set_dumpable(false);
                // SAFETY: the default action runs no code of ours.
                let _ = unsafe { signal(cause, SigHandler::SigDfl) };
                let _ = raise(cause);
                let _ = SigSet::all().thread_unblock();
                128 + cause as i32
            }
            _ => 1,
        };
        // SAFETY: ends the process without running what the daemon registered: that has had its turn.
        unsafe { libc::_exit(code) }
    }
}
