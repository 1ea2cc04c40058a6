//! The client's side: finding the daemon that runs, and asking it.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};

use super::protocol::{ATTACH, Refusal, Reply, is_compatible, request};
use crate::{
    process,
    state::{Notice, State, StateError},
    wire::{Input, Line, Lines},
};

/// A daemon that runs, and a connection to it. One thing is asked at a time; dropping the connection takes it back.
pub struct Daemon {
    notice: Notice,
    socket: Arc<UnixStream>,
    lines: Lines<Socket>,
    next: u64,
}

/// Why a daemon could not be asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It refused, or it failed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It has ended.
    #[error("the daemon has ended")]
    Gone,
    /// It cannot be reached.
    #[error("cannot reach the daemon (process {pid}): {reason}")]
    Unreachable {
        /// Its process.
        pid: u32,
        /// The system's reason, and the cure where there is one.
        reason: String,
    },
    /// It runs and does not answer.
    #[error("the daemon (process {pid}) does not answer; look what keeps it, or end it by `kill {pid}`")]
    Silent {
        /// Its process.
        pid: u32,
    },
    /// It says something that is no answer.
    #[error("the daemon (process {pid}) answers what is no answer; is it of another version?")]
    Strange {
        /// Its process.
        pid: u32,
    },
    /// It is of another version.
    #[error(
        "the daemon that runs (process {pid}) is of version {theirs}, and this is {}; end it by `computer shutdown`, and \
         start it anew", env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// Its process.
        pid: u32,
        /// Its version.
        theirs: String,
    },
    /// Where it is noted may be somebody else's.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The longest line that a daemon sends: a catalog, a result.
const LONGEST: usize = 256 << 20;

/// How long a daemon that begins just now is waited for, and how often it is looked at.
const BEGINNING: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(10);

/// How long a daemon may take to show that it answers at all.
const PATIENCE: Duration = Duration::from_secs(5);

impl Daemon {
    /// The daemon of that identity, if one runs. One that begins just now is waited for, 5 s at most.
    ///
    /// # Errors
    /// It runs and cannot be reached, or where it is noted may be somebody else's.
    pub async fn find(state: &State) -> Result<Option<Self>, DaemonError> {
        let (mut last, looks) = (None, BEGINNING.as_millis() / AGAIN.as_millis());
        for _ in 0..looks {
            match state.daemon()? {
                None => return Ok(None),
                Some(notice) if notice.is_beginning() => sleep(AGAIN).await,
                // Without a socket it cannot be asked: it is as if there were none.
                Some(notice) if notice.socket.is_none() => return Ok(None),
                Some(notice) => {
                    if let Ok(daemon) = Self::connect(&notice) {
                        return daemon.greeted().await.map(Some);
                    }
                    // It leaves: nobody listens any more, and its place is not free yet.
                    last = Some(notice);
                    sleep(AGAIN).await;
                }
            }
        }
        match last {
            Some(notice) => Self::connect(&notice).map(Some),
            None => Ok(None),
        }
    }

    /// Waits until it has shown that it answers.
    async fn greeted(mut self) -> Result<Self, DaemonError> {
        let pid = self.notice.pid;
        match timeout(PATIENCE, self.ask("hello", &serde_json::json!({}))).await {
            Ok(greeted) => greeted.map(|_| self),
            Err(_) => Err(DaemonError::Silent { pid }),
        }
    }

    fn connect(notice: &Notice) -> Result<Self, DaemonError> {
        let pid = notice.pid;
        let unreachable = |reason: String| DaemonError::Unreachable { pid, reason };
        let stream = notice.connect().and_then(non_blocking).map_err(|error| unreachable(error.to_string()))?;
        let peer = stream.peer_cred().map_err(|error| unreachable(error.to_string()))?;
        if !process::is_own_or_root(peer.uid()) {
            return Err(unreachable(format!("the user {} answers in its place", peer.uid())));
        }
        let socket = Arc::new(stream);
        Ok(Self { notice: notice.clone(), lines: Lines::new(Socket(socket.clone()), LONGEST), socket, next: 1 })
    }

    /// What it has noted of itself.
    pub fn notice(&self) -> &Notice {
        &self.notice
    }

    /// That it is of a version that can be talked to.
    ///
    /// # Errors
    /// [`Version`](DaemonError::Version).
    pub fn check_version(&self) -> Result<(), DaemonError> {
        let theirs = &self.notice.version;
        if is_compatible(theirs, env!("CARGO_PKG_VERSION")) {
            return Ok(());
        }
        Err(DaemonError::Version { pid: self.notice.pid, theirs: theirs.clone() })
    }

    /// Asks it to do something, and returns what came of it: JSON. Dropping the future takes a call back.
    ///
    /// # Errors
    /// It refused, failed, or has ended.
    pub async fn ask(&mut self, verb: &str, args: &(impl Serialize + Sync)) -> Result<Box<RawValue>, DaemonError> {
        let id = self.send(verb, args, &[]).await?;
        loop {
            if let Told::Result(result) = self.told(id).await? {
                return Ok(result);
            }
        }
    }

    /// Follows something: its events, a log.
    ///
    /// # Errors
    /// It has ended.
    pub async fn follow(mut self, verb: &str, args: &(impl Serialize + Sync)) -> Result<Following, DaemonError> {
        let id = self.send(verb, args, &[]).await?;
        Ok(Following { daemon: self, id, is_over: false })
    }

    /// Gives it the two ends of a client of MCP, and returns when it is done with that client.
    ///
    /// # Errors
    /// It refused, or has ended.
    pub async fn attach(mut self, input: OwnedFd, output: OwnedFd) -> Result<Box<RawValue>, DaemonError> {
        let args = serde_json::json!({ "version": env!("CARGO_PKG_VERSION") });
        let id = self.send(ATTACH, &args, &[input, output]).await?;
        loop {
            if let Told::Result(result) = self.told(id).await? {
                return Ok(result);
            }
        }
    }

    async fn send(
        &mut self,
        verb: &str,
        args: &(impl Serialize + Sync),
        descriptors: &[OwnedFd],
    ) -> Result<u64, DaemonError> {
        let id = self.next;
        self.next += 1;
        let line = request(id, verb, args).map_err(|error| Refusal::arguments(verb, error))?;
        let mut rest = &line[..];
        while !rest.is_empty() {
            if self.socket.writable().await.is_err() {
                break;
            }
            // They go with the first byte.
            let beside = if rest.len() == line.len() { descriptors } else { &[] };
            match self
                .socket
                .try_io(tokio::io::Interest::WRITABLE, || process::handed::send(&self.socket, rest, beside))
            {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // It has ended, or wants no more of us: what it said last tells.
                Err(_) => break,
            }
        }
        Ok(id)
    }

    /// What it says next about a request.
    async fn told(&mut self, id: u64) -> Result<Told, DaemonError> {
        let pid = self.notice.pid;
        loop {
            let Ok(Some(Line::Whole(line))) = self.lines.next().await else { return Err(DaemonError::Gone) };
            let text = String::from_utf8(line).map_err(|_| DaemonError::Strange { pid })?;
            let reply: Reply<'_> = serde_json::from_str(&text).map_err(|_| DaemonError::Strange { pid })?;
            match reply {
                Reply { error: Some(refusal), .. } => return Err(refusal.into()),
                Reply { id: Some(of), .. } if of.get() != id.to_string() => {}
                Reply { result: Some(result), .. } => return Ok(Told::Result(result.to_owned())),
                Reply { event: Some(event), .. } => return Ok(Told::Event(event.to_owned())),
                Reply { .. } => return Err(DaemonError::Strange { pid }),
            }
        }
    }
}

enum Told {
    Event(Box<RawValue>),
    Result(Box<RawValue>),
}

/// Something of a daemon's that is followed.
pub struct Following {
    daemon: Daemon,
    id: u64,
    is_over: bool,
}

impl Following {
    /// The next of it; nothing after its end. Cancel safe.
    ///
    /// # Errors
    /// The daemon refused, or has ended.
    pub async fn next(&mut self) -> Result<Option<Box<RawValue>>, DaemonError> {
        if self.is_over {
            return Ok(None);
        }
        match self.daemon.told(self.id).await? {
            Told::Event(event) => Ok(Some(event)),
            Told::Result(_) => {
                self.is_over = true;
                Ok(None)
            }
        }
    }
}

fn non_blocking(stream: StdStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

struct Socket(Arc<UnixStream>);

/// How much is made room for at a time.
const CHUNK: usize = 16 << 10;

impl Input for Socket {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(CHUNK);
        loop {
            self.0.readable().await?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}
