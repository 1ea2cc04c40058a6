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
    platform::members(|process| process.pid == pid || process.session == pid, Some(mark))
}

/// Signals the members, and returns how many there were.
pub(super) fn signal(pid: u32, mark: Mark, signal: Signal) -> usize {
    let members = members(pid, mark);
    members.iter().for_each(|member| platform::send(*member, signal));
    members.len()
}

/// Kills, in rounds, every descendant of this process and all that carries a mark of ours. Returns how many were met last.
#[cfg(target_os = "linux")]
pub(super) fn kill_all_of_ours() -> usize {
    let own = std::process::id();
    let members = platform::members(|process| process.parent == own, None);
    members.iter().for_each(|member| platform::send(*member, Signal::Kill));
    members.len()
}

#[cfg(target_os = "linux")]
pub(super) use platform::{ExitWatch, descendants};

/// What the system says of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) session: u32,
    pub(super) zombie: bool,
}

#[cfg(target_os = "linux")]
mod platform {
    use std::{
        collections::HashSet,
        fs, io,
        os::{
            fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
            unix::process::ExitStatusExt,
        },
        process::ExitStatus,
    };

    use nix::{
        libc,
        sys::{
            signal::{Signal as Sig, kill},
            wait::{Id, WaitPidFlag, WaitStatus, waitid},
        },
        unistd::Pid,
    };
    use tokio::io::{Interest, unix::AsyncFd};

    use super::{Entry, Signal};
    use crate::process::{guard, mark::Mark};

    /// Every process of the system.
    fn all() -> Vec<Entry> {
        let Ok(dir) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = dir.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(read).collect()
    }

    fn read(pid: u32) -> Option<Entry> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program stands in parentheses and may hold anything, parentheses too.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        Some(Entry { pid, parent, session, zombie: matches!(state, "Z" | "X") })
    }

    /// The living processes that `is_seed` picks or that carry the mark (any of ours when it is `None`), with all their
    /// descendants; never ourselves, never the guard.
    pub(super) fn members(is_seed: impl Fn(&Entry) -> bool, mark: Option<Mark>) -> Vec<u32> {
        let all = all();
        let marked =
            |entry: &Entry| Mark::of(entry.pid).is_some_and(|found| mark.map_or(found.is_ours(), |mark| found == mark));
        let beneath_guard = guard::pid().map(|guard| closure(&all, |entry| entry.parent == guard));
        // Marks are drawn from a small space: with a guard they count only beneath it, where everything is ours.
        let ours = |entry: &Entry| beneath_guard.as_ref().is_none_or(|beneath| beneath.contains(&entry.pid));
        let mut found = closure(&all, |entry| is_seed(entry) || (ours(entry) && marked(entry)));
        found.remove(&std::process::id());
        guard::pid().map(|guard| found.remove(&guard));
        all.iter().filter(|entry| !entry.zombie && found.contains(&entry.pid)).map(|entry| entry.pid).collect()
    }

    /// The living descendants of a process.
    pub(in crate::process) fn descendants(pid: u32) -> Vec<u32> {
        let all = all();
        let found = closure(&all, |entry| entry.parent == pid);
        all.iter().filter(|entry| !entry.zombie && found.contains(&entry.pid)).map(|entry| entry.pid).collect()
    }

    /// The seeds and all that descends from them.
    fn closure(all: &[Entry], is_seed: impl Fn(&Entry) -> bool) -> HashSet<u32> {
        let mut found: HashSet<u32> = all.iter().filter(|entry| is_seed(entry)).map(|entry| entry.pid).collect();
        loop {
            let before = found.len();
            let children = all.iter().filter(|entry| found.contains(&entry.parent)).map(|entry| entry.pid);
            found.extend(children.collect::<Vec<_>>());
            if found.len() == before {
                return found;
            }
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
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        debug_assert!(owned.as_raw_fd() > 2, "the standard descriptors are taken");
        Ok(owned)
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

    use super::{Entry, Signal};
    use crate::process::mark::Mark;

    /// Without a table of processes at hand only the group of the leader is known.
    pub(super) fn members(is_seed: impl Fn(&Entry) -> bool, _: Option<Mark>) -> Vec<u32> {
        let _ = is_seed;
        Vec::new()
    }

    pub(super) fn send(pid: u32, signal: Signal) {
        let Ok(pid) = i32::try_from(pid) else { return };
        let signal = if signal == Signal::Kill { Sig::SIGKILL } else { Sig::SIGTERM };
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}
