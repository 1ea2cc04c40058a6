//! Sockets that whoever started us listens on for us, as systemd hands them over.
#![expect(unsafe_code, reason = "a descriptor that was inherited is known by its number alone")]

use std::{
    net::TcpListener,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    libc,
    sys::socket::{SockType, getsockopt, sockopt},
};

use super::guard;
use crate::environment;

/// The number of the first.
const FIRST: RawFd = 3;
/// More are nobody's.
const MOST: RawFd = 1024;

/// What was handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// Sockets that listen for TCP, in order.
    pub listeners: Vec<TcpListener>,
    /// The rest, each in words: what it is called, and what it is.
    pub others: Vec<String>,
}

/// Takes what was handed over to this program: to this process, or to its guard, which the one who started us takes for
/// it. Only the first who asks gets something.
pub fn sockets() -> Handed {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Handed::default();
    }
    let Some(count) = count() else { return Handed::default() };
    let names = environment::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut handed = Handed::default();
    for fd in FIRST..FIRST + RawFd::try_from(count).unwrap_or(MOST).min(MOST) {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unnamed");
        match take(fd) {
            Ok(listener) => handed.listeners.push(listener),
            Err(what) => handed.others.push(format!("`{name}` (descriptor {fd}): {what}")),
        }
    }
    handed
}

/// Whether something was handed over to this program, whoever has taken it.
pub fn is_something() -> bool {
    count().is_some_and(|count| count > 0)
}

/// How many descriptors are meant for us.
fn count() -> Option<u32> {
    let number = |name: &str| environment::var(name)?.parse::<u32>().ok();
    let (count, pid) = (number("LISTEN_FDS")?, number("LISTEN_PID")?);
    guard::is_us(pid).then_some(count)
}

/// The socket behind a number, or what is behind it instead. What is no socket that listens may be our own by now: it is
/// let alone.
fn take(fd: RawFd) -> Result<TcpListener, &'static str> {
    // SAFETY: asks about a number, whatever is behind it, and changes nothing.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err("it is not open");
    }
    // SAFETY: it is open, as was just seen, and nothing closes what was inherited before it is taken here.
    let seen = unsafe { BorrowedFd::borrow_raw(fd) };
    if getsockopt(&seen, sockopt::SockType) != Ok(SockType::Stream)
        || getsockopt(&seen, sockopt::AcceptConn) != Ok(true)
    {
        return Err("no stream socket that is listened on");
    }
    // What we start must not have it.
    let _ = fcntl(seen, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    // SAFETY: this program listens nowhere before it has asked for these, and asks once: nobody else owns it.
    let listener = TcpListener::from(unsafe { OwnedFd::from_raw_fd(seen.as_raw_fd()) });
    // Of a Unix socket this is no address; it is closed here, so that whoever connects is refused and does not wait.
    listener.local_addr().map(|_| listener).map_err(|_| "a Unix socket, which is not served")
}
