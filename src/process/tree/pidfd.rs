//! Descriptors of processes: what they stand for is never another process that got the same id.

#![expect(unsafe_code, reason = "these system calls have no safe wrapper among our crates")]

use std::{
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
    ptr,
};

use nix::{
    libc,
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid},
    unistd::Pid,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A descriptor that becomes readable when the process ends.
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

/// Kills what the descriptor stands for.
pub(super) fn kill(pidfd: &OwnedFd) -> io::Result<()> {
    let (fd, signal, information) = (pidfd.as_raw_fd(), libc::SIGKILL, ptr::null::<libc::siginfo_t>());
    // SAFETY: the descriptor is open for as long as it is borrowed; without information the call reads no memory of ours.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, information, 0) };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Tells that a child has ended without reaping it, so that its ids stay taken.
#[derive(Debug)]
pub(in crate::process) struct ExitWatch(AsyncFd<OwnedFd>);

impl ExitWatch {
    pub(in crate::process) fn new(pid: u32) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` gives the same open descriptor until it is dropped, which the `AsyncFd` does last.
        unsafe { AsyncFd::register_with_interest(pidfd(pid)?, Interest::READABLE) }.map(Self).map_err(io::Error::from)
    }

    pub(in crate::process) async fn wait(&self, pid: u32) -> Option<ExitStatus> {
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
