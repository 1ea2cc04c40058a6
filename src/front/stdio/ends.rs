//! Our own stdin and stdout, read and written without blocking where that disturbs nobody.
//!
//! Whether a descriptor blocks is a property of what is open, shared with whoever gave it to us: a terminal made
//! non-blocking stays so for the user's shell. A pipe can be opened anew for ourselves; the socket pairs of Node are ours
//! alone; for anything else there is a thread that may block.

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::{fs::FileTypeExt, net::UnixStream as StdStream},
    },
    sync::Arc,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::{
    io::AsyncReadExt,
    net::{UnixStream, unix::pipe},
};

use crate::wire::{Input, Output};

pub(super) fn of_this_process() -> io::Result<(In, Out)> {
    Ok((input()?, output()?))
}

fn input() -> io::Result<In> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let kind = stdin.metadata()?.file_type();
    if is_anonymous("/proc/self/fd/0")
        && let Ok(pipe) = pipe::OpenOptions::new().open_receiver("/proc/self/fd/0")
    {
        return Ok(In::Pipe(pipe));
    }
    if kind.is_socket()
        && let Ok(socket) = socket(stdin)
    {
        return Ok(In::Socket(socket));
    }
    Ok(In::Blocking(Box::new(tokio::io::stdin())))
}

fn output() -> io::Result<Out> {
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let kind = stdout.metadata()?.file_type();
    if is_anonymous("/proc/self/fd/1")
        && let Ok(pipe) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1")
    {
        return Ok(Out::Pipe(pipe));
    }
    if kind.is_socket()
        && let Ok(socket) = socket(stdout.try_clone()?)
    {
        return Ok(Out::Socket(socket));
    }
    Ok(Out::Blocking(stdout))
}

/// Whether it is a pipe without a name. One with a name, opened anew, does not tell that its writers have gone already.
fn is_anonymous(descriptor: &str) -> bool {
    std::fs::read_link(descriptor).is_ok_and(|target| target.to_string_lossy().starts_with("pipe:["))
}

fn socket(file: File) -> io::Result<Arc<UnixStream>> {
    let socket = StdStream::from(std::os::fd::OwnedFd::from(file));
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket).map(Arc::new)
}

/// What the client writes.
pub(super) enum In {
    Pipe(pipe::Receiver),
    Socket(Arc<UnixStream>),
    Blocking(Box<tokio::io::Stdin>),
}

/// How much is made room for at a time.
const CHUNK: usize = 16 << 10;

impl Input for In {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(CHUNK);
        match self {
            Self::Pipe(pipe) => pipe.read_buf(buffer).await,
            Self::Socket(socket) => loop {
                socket.readable().await?;
                match socket.try_read_buf(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            },
            Self::Blocking(stdin) => stdin.read_buf(buffer).await,
        }
    }

    fn is_hung_up(&self) -> bool {
        let descriptor = match self {
            Self::Pipe(pipe) => pipe.as_fd(),
            Self::Socket(socket) => socket.as_fd(),
            // A terminal or a file: nobody can be told from it.
            Self::Blocking(_) => return false,
        };
        let mut asked = [PollFd::new(descriptor, PollFlags::empty())];
        #[cfg(target_os = "linux")]
        asked[0].set_events(PollFlags::from_bits_retain(nix::libc::POLLRDHUP));
        poll(&mut asked, PollTimeout::ZERO).is_ok_and(|answered| answered > 0)
    }
}

/// What the client reads.
pub(super) enum Out {
    Pipe(pipe::Sender),
    Socket(Arc<UnixStream>),
    Blocking(File),
}

impl Output for Out {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.try_write(bytes),
            Self::Socket(socket) => socket.try_write(bytes),
            // A terminal or a file: it takes what it is given.
            Self::Blocking(file) => (&mut &*file).write(bytes),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.writable().await,
            Self::Socket(socket) => socket.writable().await,
            Self::Blocking(_) => Ok(()),
        }
    }
}
