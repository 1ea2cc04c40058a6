//! A terminal that a process has for itself, seen from its far end.
#![expect(unsafe_code, reason = "what terminals are asked for has no safe form")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
};

use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    libc,
    pty::{Winsize, openpty},
};

use super::{Reader, Writer};

/// How many characters a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
}

/// The far end of a terminal. Cheap to clone; it has no power over the process.
#[derive(Debug, Clone)]
pub(crate) struct Terminal(Arc<OwnedFd>);

/// A new terminal: what is done to it, what it shows, what is typed into it, and the process's end.
pub(super) struct Opened {
    pub(super) terminal: Terminal,
    pub(super) shown: Reader,
    pub(super) typed: Writer,
    pub(super) theirs: OwnedFd,
}

pub(super) fn open(size: Size) -> io::Result<Opened> {
    let pair = openpty(Some(&winsize(size)), None)?;
    for end in [&pair.master, &pair.slave] {
        // No other child may hold it: a terminal ends when its last holder goes.
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    let shown = Reader::of_terminal(pair.master.as_fd().try_clone_to_owned()?)?;
    let typed = Writer::of_terminal(pair.master.as_fd().try_clone_to_owned()?)?;
    Ok(Opened { terminal: Terminal(Arc::new(pair.master)), shown, typed, theirs: pair.slave })
}

impl Terminal {
    /// Tells the terminal, and whoever runs in it, how large it is from now on.
    pub(crate) fn resize(&self, size: Size) -> io::Result<()> {
        let size = winsize(size);
        // SAFETY: the descriptor is open for as long as `self` lives, and `size` is a valid `winsize`, only read.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Makes the terminal on stdin that of the calling process, which must lead a session. Async-signal-safe.
pub(super) fn take_control() -> io::Result<()> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let result = unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn winsize(size: Size) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}
