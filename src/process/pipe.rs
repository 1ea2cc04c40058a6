//! Our ends of a child's pipes.

use std::{io, os::fd::OwnedFd};

use tokio::{io::AsyncReadExt, net::unix::pipe};

/// What a child writes, for us to read.
#[derive(Debug)]
pub(crate) struct Reader(pipe::Receiver);

impl Reader {
    /// A new pipe: our end, and the child's.
    pub(super) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = io::pipe()?;
        Ok((Self(pipe::Receiver::from_owned_fd(ours.into())?), theirs.into()))
    }

    /// What a terminal shows, from its far end, which must not block.
    pub(super) fn of_terminal(far_end: OwnedFd) -> io::Result<Self> {
        pipe::Receiver::from_owned_fd_unchecked(far_end).map(Self)
    }

    /// Our end of a pipe that somebody else has made.
    pub(super) fn of_pipe(ours: OwnedFd) -> io::Result<Self> {
        pipe::Receiver::from_owned_fd(ours).map(Self)
    }

    /// What is at its end already.
    pub(super) fn empty() -> io::Result<Self> {
        Self::pipe().map(|(ours, _)| ours)
    }
}

impl crate::wire::Input for Reader {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(8 << 10);
        self.0.read_buf(buffer).await
    }
}

/// What a child reads, for us to write.
#[derive(Debug)]
pub(crate) struct Writer(pipe::Sender);

impl Writer {
    /// A new pipe: our end, and the child's.
    pub(super) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (theirs, ours) = io::pipe()?;
        Ok((Self(pipe::Sender::from_owned_fd(ours.into())?), theirs.into()))
    }

    /// What is typed into a terminal, from its far end, which must not block.
    pub(super) fn of_terminal(far_end: OwnedFd) -> io::Result<Self> {
        pipe::Sender::from_owned_fd_unchecked(far_end).map(Self)
    }
}

impl crate::wire::Output for Writer {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}
