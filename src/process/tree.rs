//! Finding and signalling all that descends from a process, from what the system says of every process.

use super::mark::Mark;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Term,
    Kill,
}

/// The living members of a process's tree: its session, its descendants, and whoever carries its mark.
pub(super) fn members(pid: u32, mark: Mark) -> Vec<u32> {
    platform::members(pid, mark)
}

/// Signals the members, and returns how many there were.
pub(super) fn signal(pid: u32, mark: Mark, signal: Signal) -> usize {
    // The group first: the system may be too short of descriptors to tell who else there is.
    platform::send_group(pid, signal);
    let members = members(pid, mark);
    for member in &members {
        platform::send(*member, signal);
    }
    members.len()
}

/// Kills, in rounds, every descendant of this process and all that carries a mark of ours. Returns how many were met last.
#[cfg(target_os = "linux")]
pub(super) fn kill_all_of_ours() -> usize {
    let members = platform::all_of_ours();
    for member in &members {
        platform::send(*member, Signal::Kill);
    }
    members.len()
}

#[cfg(target_os = "linux")]
pub(super) use platform::{ExitWatch, descendants};

#[cfg(target_os = "linux")]
mod platform {
    use std::{
        io,
        os::{
            fd::{FromRawFd, OwnedFd, RawFd},
            unix::process::ExitStatusExt,
        },
        process::ExitStatus,
    };

    use nix::{
        libc,
        sys::{
            signal::{Signal as Sig, kill, killpg},
            wait::{Id, WaitPidFlag, WaitStatus, waitid},
        },
        unistd::Pid,
    };
    use tokio::io::{Interest, unix::AsyncFd};

    use super::Signal;
    use crate::process::{
        mark::Mark,
        table::{Row, Table},
    };

    /// The living processes of a session and all that carries its mark, with their descendants.
    pub(super) fn members(pid: u32, mark: Mark) -> Vec<u32> {
        // Not being able to look is not the same as finding nobody.
        Table::read().map_or_else(|_| vec![pid], |table| table.members(pid, mark).iter().map(|row| row.pid).collect())
    }

    /// Our living descendants, and all that carries a mark of ours.
    pub(super) fn all_of_ours() -> Vec<u32> {
        let own = std::process::id();
        living(|row| row.parent == own || row.mark.is_some_and(Mark::is_ours))
    }

    /// The living descendants of a process.
    pub(in crate::process) fn descendants(pid: u32) -> Vec<u32> {
        living(|row| row.parent == pid)
    }

    /// The living among the seeds and all that descends from them; never ourselves, never the guard.
    fn living(is_seed: impl Fn(&Row) -> bool) -> Vec<u32> {
        let Ok(table) = Table::read() else { return Vec::new() };
        table.living(is_seed).iter().map(|row| row.pid).collect()
    }

    /// Signals the group of a leader that is not reaped yet.
    pub(super) fn send_group(leader: u32, signal: Signal) {
        let signal = if signal == Signal::Kill { Sig::SIGKILL } else { Sig::SIGTERM };
        if let Ok(leader) = i32::try_from(leader) {
            // A group that is gone already is what was wanted.
            let _ = killpg(Pid::from_raw(leader), signal);
        }
    }

    pub(super) fn send(pid: u32, signal: Signal) {
        let Ok(pid) = i32::try_from(pid) else { return };
        let signal = match signal {
            Signal::Term => Sig::SIGTERM,
            Signal::Kill => Sig::SIGKILL,
        };
        // A process that is gone already is what was wanted.
        let _ = kill(Pid::from_raw(pid), signal);
        if signal == Sig::SIGTERM {
            // A stopped process takes a TERM only when it goes on.
            let _ = kill(Pid::from_raw(pid), Sig::SIGCONT);
        }
    }

    /// Tells that a child has ended without reaping it, so that its ids stay taken.
    #[derive(Debug)]
    pub(in crate::process) struct ExitWatch(AsyncFd<OwnedFd>);

    impl ExitWatch {
        #[expect(unsafe_code, reason = "tokio takes descriptors on the caller's word")]
        pub(in crate::process) fn new(pid: u32) -> io::Result<Self> {
            // SAFETY: an `OwnedFd` gives the same open descriptor until it is dropped, which the `AsyncFd` does last.
            unsafe { AsyncFd::register_with_interest(pidfd(pid)?, Interest::READABLE) }
                .map(Self)
                .map_err(io::Error::from)
        }

        pub(in crate::process) async fn wait(&mut self, pid: u32) -> Option<ExitStatus> {
            let pid = Pid::from_raw(i32::try_from(pid).ok()?);
            loop {
                let mut ready = self.0.readable().await.ok()?;
                match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT) {
                    Ok(WaitStatus::Exited(_, code)) => return Some(ExitStatus::from_raw(code << 8)),
                    Ok(WaitStatus::Signaled(_, signal, _)) => return Some(ExitStatus::from_raw(signal as i32)),
                    Ok(_) => ready.clear_ready(),
                    Err(_) => return None,
                }
            }
        }
    }

    /// A descriptor that becomes readable when the process ends.
    #[expect(unsafe_code, reason = "pidfd_open has no safe wrapper among our crates")]
    pub(in crate::process) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
        // SAFETY: the call takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

#[cfg(target_os = "linux")]
pub(super) use platform::pidfd;

#[cfg(all(unix, not(target_os = "linux")))]
mod platform {
    use nix::{
        sys::signal::{Signal as Sig, killpg},
        unistd::Pid,
    };

    use super::Signal;
    use crate::process::mark::Mark;

    /// Without a table of processes at hand only the group of the leader is known, which stands for its members.
    pub(super) fn members(pid: u32, _: Mark) -> Vec<u32> {
        let group = i32::try_from(pid).map(Pid::from_raw);
        group.is_ok_and(|group| killpg(group, None).is_ok()).then_some(pid).into_iter().collect()
    }

    /// The group stands for its members: see `send`.
    pub(super) fn send_group(_: u32, _: Signal) {}

    pub(super) fn send(pid: u32, signal: Signal) {
        let Ok(pid) = i32::try_from(pid) else { return };
        let signal = if signal == Signal::Kill { Sig::SIGKILL } else { Sig::SIGTERM };
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}
