//! Our own stdin and stdout, read and written without blocking where that disturbs nobody.
//!
//! Whether a descriptor blocks is a property of what is open, shared with whoever gave it to us: a terminal made
//! non-blocking stays so for the user's shell. A pipe can be opened anew for ourselves; the socket pairs of Node are ours
//! alone; for anything else there is a thread that may block.

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::UnixStream as StdStream,
        },
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
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let input = input(&stdin)?.unwrap_or_else(|| In::Blocking(Box::new(tokio::io::stdin())));
    let output = output(&stdout)?.unwrap_or(Out::Blocking(stdout));
    Ok((input, output))
}

/// The ends of a client that another process has handed over; an error for those that may block.
pub(in crate::front) fn of_another(stdin: OwnedFd, stdout: OwnedFd) -> io::Result<(In, Out)> {
    let may_block = || io::Error::new(io::ErrorKind::InvalidInput, "it is neither a pipe nor a socket");
    let input = input(&File::from(stdin))?.ok_or_else(may_block)?;
    let output = output(&File::from(stdout))?.ok_or_else(may_block)?;
    Ok((input, output))
}

/// Whether another process of ours can use it as we would.
pub(super) fn can_be_handed_over(descriptor: &impl AsFd) -> bool {
    let copy = descriptor.as_fd().try_clone_to_owned().map(File::from);
    copy.is_ok_and(|file| {
        let metadata = file.metadata();
        let is_ours = metadata.as_ref().is_ok_and(|metadata| metadata.uid() == nix::unistd::Uid::effective().as_raw());
        (is_ours && is_anonymous(&place(&file))) || metadata.is_ok_and(|metadata| metadata.file_type().is_socket())
    })
}

fn input(stdin: &File) -> io::Result<Option<In>> {
    let place = place(stdin);
    if is_anonymous(&place)
        && let Ok(pipe) = pipe::OpenOptions::new().open_receiver(&place)
    {
        return Ok(Some(In::Pipe(pipe)));
    }
    if stdin.metadata()?.file_type().is_socket()
        && let Ok(socket) = socket(stdin.try_clone()?)
    {
        return Ok(Some(In::Socket(socket)));
    }
    Ok(None)
}

fn output(stdout: &File) -> io::Result<Option<Out>> {
    let place = place(stdout);
    if is_anonymous(&place)
        && let Ok(pipe) = pipe::OpenOptions::new().open_sender(&place)
    {
        return Ok(Some(Out::Pipe(pipe)));
    }
    if stdout.metadata()?.file_type().is_socket()
        && let Ok(socket) = socket(stdout.try_clone()?)
    {
        return Ok(Some(Out::Socket(socket)));
    }
    Ok(None)
}

fn place(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Whether it is a pipe without a name. One with a name, opened anew, does not tell that its writers have gone already.
fn is_anonymous(descriptor: &str) -> bool {
    std::fs::read_link(descriptor).is_ok_and(|target| target.to_string_lossy().starts_with("pipe:["))
}

fn socket(file: File) -> io::Result<Arc<UnixStream>> {
    let socket = StdStream::from(OwnedFd::from(file));
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket).map(Arc::new)
}

/// What the client writes.
pub(in crate::front) enum In {
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
pub(in crate::front) enum Out {
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
