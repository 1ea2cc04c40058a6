//! The daemon of an identity while it runs: there is one, and where it answers is noted.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{State, StateError, unsafe_access};

/// What a daemon notes of itself while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Its process; 0 while it begins and has not said yet where it answers.
    pub pid: u32,
    /// The version of its program.
    pub version: String,
    /// Where it can be controlled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Where it serves over HTTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<String>,
}

/// The place of the daemon of an identity, held by this process. Dropped, it is free again.
#[derive(Debug)]
pub struct Held {
    notice: File,
    pub(super) directory: PathBuf,
    /// Ours to remove.
    pub(super) socket: Option<PathBuf>,
    pub(super) identity: String,
    http: Vec<String>,
}

/// Why a process cannot be the daemon of an identity.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another is.
    #[error("{}", taken(.0))]
    Taken(Notice),
    /// The place cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

fn taken(notice: &Notice) -> String {
    if notice.is_beginning() {
        return "a daemon for this config begins just now; use that one".to_owned();
    }
    let at = if notice.http.is_empty() { String::new() } else { format!(", at {}", notice.http.join(" and ")) };
    format!(
        "a daemon for this config runs already (process {}{at}); use it, end it by `computer shutdown`, or serve another \
         config",
        notice.pid
    )
}

impl State {
    /// Makes this process the daemon of its identity, for as long as what is returned is held.
    ///
    /// # Errors
    /// Another process is, or the place cannot be used.
    pub fn hold(&self) -> Result<Held, HoldError> {
        let directory = self.directory()?.to_owned();
        let path = directory.join(NOTICE);
        let failed = |source| StateError::Io { act: "write", path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
            options.mode(0o600).custom_flags(flags.bits());
        }
        let notice = options.open(&path).map_err(failed)?;
        match notice.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(HoldError::Taken(self.daemon()?.unwrap_or_default())),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error).into()),
        }
        notice.set_len(0).map_err(failed)?;
        Ok(Held { notice, directory, socket: None, identity: self.identity().to_owned(), http: Vec::new() })
    }

    /// What the daemon of this identity says of itself, if one runs.
    ///
    /// # Errors
    /// What is there may be somebody else's.
    pub fn daemon(&self) -> Result<Option<Notice>, StateError> {
        let path = self.directory.join(NOTICE);
        // Whatever lies there, nobody waits for it.
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
        }
        let Ok(mut file) = options.open(&path) else { return Ok(None) };
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        // Who runs holds it.
        if file.try_lock_shared().is_ok() {
            return Ok(None);
        }
        self.directory()?;
        let failed = |source| StateError::Io { act: "read", path: path.clone(), source };
        if let Some(reason) = unsafe_access(&file.metadata().map_err(failed)?, "remove it") {
            return Err(StateError::Unsafe { path, reason });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        Ok(Some(serde_json::from_str(&text).unwrap_or_default()))
    }
}

impl Notice {
    /// Whether the daemon has not said yet where it answers.
    pub fn is_beginning(&self) -> bool {
        self.pid == 0
    }

    /// Whether the socket is there that the daemon takes away when it leaves.
    pub fn is_there(&self) -> bool {
        self.socket.as_deref().is_some_and(|socket| fs::symlink_metadata(socket).is_ok())
    }
}

/// The file that the daemon holds, in its directory.
const NOTICE: &str = "daemon.json";

impl Held {
    /// Notes where this daemon answers. Who looks for it waits for that.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&mut self, http: &[String]) -> Result<(), StateError> {
        self.http = http.to_vec();
        self.write()
    }

    fn write(&self) -> Result<(), StateError> {
        let notice = Notice {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            socket: self.socket.clone(),
            http: self.http.clone(),
        };
        let path = self.directory.join(NOTICE);
        let text = serde_json::to_string(&notice).unwrap_or_default();
        let mut file = &self.notice;
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|source| StateError::Io { act: "write", path, source })
    }

    /// Whether the socket is there, if there is to be one.
    pub(crate) fn is_there(&self) -> bool {
        self.socket.as_deref().is_none_or(|socket| fs::symlink_metadata(socket).is_ok())
    }

    /// Listens once more, where the socket was taken away, and notes where.
    #[cfg(unix)]
    pub(crate) fn listen_again(&mut self) -> Result<std::os::unix::net::UnixListener, StateError> {
        let listener = self.listen()?;
        self.write()?;
        Ok(listener)
    }

    /// The identity whose daemon this is.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            // Ours: nobody else may put one there while this is held.
            let _ = fs::remove_file(socket);
        }
        // It says nothing once nobody holds it.
        let _ = self.notice.set_len(0);
    }
}
