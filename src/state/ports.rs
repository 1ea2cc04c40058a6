//! Which daemon listens on a port: a config that is written anew gives another identity than that of the one that runs.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
};

use super::{IDENTITY, State, StateError, private_directory, read_private};

/// A port that the daemon listens on, as [noted](State::listens_on). Dropped, it is so no longer.
#[derive(Debug)]
pub struct Listens {
    /// Ours to remove, if it is.
    path: Option<PathBuf>,
    /// Locked for as long as it is open.
    _file: File,
}

impl Drop for Listens {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It says nothing once nobody holds it.
            let _ = fs::remove_file(path);
        }
    }
}

impl State {
    /// Notes that the daemon of this identity listens on a port, for as long as what is returned is held. A config that is
    /// written anew may give another identity; whoever wants the token of the daemon that runs asks for it by its port.
    ///
    /// # Errors
    /// It cannot be written, or what is there may be somebody else's.
    pub fn listens_on(&self, port: u16) -> Result<Listens, StateError> {
        self.directory()?;
        let path = self.place_of_port(port);
        if let Some(parent) = path.parent() {
            let failed = |source| StateError::Io { act: "make", path: parent.to_owned(), source };
            private_directory().recursive(true).create(parent).map_err(failed)?;
        }
        let failed = |source| StateError::Io { act: "write", path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        }
        let mut file = options.open(&path).map_err(failed)?;
        // Whoever listens there beside us, on another address of the machine, was first.
        let is_first = file.try_lock().is_ok();
        if is_first {
            file.set_len(0).and_then(|()| file.write_all(self.identity.as_bytes())).map_err(failed)?;
        }
        Ok(Listens { path: is_first.then_some(path), _file: file })
    }

    /// The place of the daemon that listens on a port now; of this one where none does.
    ///
    /// # Errors
    /// What is there may be somebody else's.
    pub fn listening_on(self, port: u16) -> Result<Self, StateError> {
        let path = self.place_of_port(port);
        let Ok(file) = File::open(&path) else { return Ok(self) };
        // Who listens holds it.
        if file.try_lock_shared().is_ok() {
            return Ok(self);
        }
        let identity = read_private(&path)?;
        let is_one = identity.len() == IDENTITY && identity.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(home) = self.directory.parent().filter(|_| is_one) else { return Ok(self) };
        Ok(Self { directory: home.join(&identity), identity })
    }

    fn place_of_port(&self, port: u16) -> PathBuf {
        self.directory.with_file_name("ports").join(port.to_string())
    }
}
