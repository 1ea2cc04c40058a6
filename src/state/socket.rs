//! The socket of a daemon: where only its user can reach it.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use super::{Held, Notice, StateError, private_directory, unsafe_access};
use crate::environment;

/// A longer path fits into no socket's address.
const LONGEST: usize = 107;

impl Held {
    /// Listens where only this user can reach it: below `$XDG_RUNTIME_DIR`, else in the daemon's own directory. What
    /// a daemon has left there that was killed is replaced; whatever else is there is not.
    ///
    /// # Errors
    /// It cannot be made, or what is there is somebody else's.
    pub fn listen(&mut self) -> Result<UnixListener, StateError> {
        let path = match environment::runtime_dir().and_then(|runtime| place_in(&runtime)) {
            Some(place) => place.join(format!("{}.sock", self.identity)),
            None => self.directory.join("control.sock"),
        };
        let failed = |source| StateError::Io { act: "listen on", path: path.clone(), source };
        remove_stale(&path)?;
        let listener = with_address(&path, |address| UnixListener::bind(address)).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        self.socket = Some(path);
        Ok(listener)
    }
}

impl Notice {
    /// Connects to it.
    ///
    /// # Errors
    /// The system's reason, or that there is nothing to connect to.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "it has no control socket");
        with_address(self.socket.as_deref().ok_or_else(none)?, |address| UnixStream::connect(address))
    }
}

/// Our directory in the user's one for sockets, if both are for this user alone.
fn place_in(runtime: &Path) -> Option<PathBuf> {
    let is_ours = |path: &Path| {
        let metadata = fs::symlink_metadata(path).ok();
        metadata.is_some_and(|metadata| metadata.is_dir() && unsafe_access(&metadata, "").is_none())
    };
    let place = runtime.join("computer");
    if !is_ours(runtime) {
        return None;
    }
    // It may be there.
    let _ = private_directory().create(&place);
    is_ours(&place).then_some(place)
}

/// Removes what a killed daemon has left.
fn remove_stale(path: &Path) -> Result<(), StateError> {
    let unsafe_ = |reason: &str| StateError::Unsafe { path: path.to_owned(), reason: reason.to_owned() };
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if metadata.is_symlink() {
        return Err(unsafe_("it is a link, which may lead anywhere; remove it"));
    }
    if !metadata.file_type().is_socket() {
        return Err(unsafe_("it is no socket; move it away"));
    }
    if metadata.uid() != nix::unistd::Uid::effective().as_raw() {
        return Err(unsafe_("it belongs to another user; remove it"));
    }
    match with_address(path, |address| UnixStream::connect(address)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => return Err(unsafe_("somebody answers there who is no daemon of this config; end that program")),
    }
    fs::remove_file(path).map_err(|source| StateError::Io { act: "remove", path: path.to_owned(), source })
}

/// Does something with the address of a socket, which may be too long as it is.
fn with_address<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= LONGEST {
        return act(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return act(path) };
    let directory = File::open(parent)?;
    act(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::{config::ComputerConfig, state::State};

    fn state(home: &Path) -> State {
        State::under(home, &ComputerConfig::new(), None)
    }

    /// Listens in the state's own directory, whatever the environment says.
    fn listen(held: &mut Held) -> Result<UnixListener, StateError> {
        let path = held.directory.join("control.sock");
        remove_stale(&path)?;
        let listener = with_address(&path, |address| UnixListener::bind(address)).unwrap();
        held.socket = Some(path);
        Ok(listener)
    }

    #[test]
    fn there_is_one_daemon_of_an_identity_and_the_second_is_told_of_the_first() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        assert_eq!(state.daemon().unwrap(), None);
        let mut held = state.hold().unwrap();
        held.note(&["http://127.0.0.1:1/mcp".to_owned()]).unwrap();
        let error = state.hold().unwrap_err().to_string();
        assert!(error.contains(&format!("process {}, at http://127.0.0.1:1/mcp", std::process::id())), "{error}");
        drop(held);
        assert_eq!(state.daemon().unwrap(), None);
        state.hold().unwrap();
    }

    #[test]
    fn of_many_that_begin_at_the_same_time_one_is_the_daemon() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        let barrier = std::sync::Barrier::new(16);
        let won = std::thread::scope(|scope| {
            let begin = || {
                barrier.wait();
                let mut held = state.hold().ok()?;
                let listener = listen(&mut held).unwrap();
                held.note(&[]).unwrap();
                Some((held, listener))
            };
            let all: Vec<_> = (0..16).map(|_| scope.spawn(begin)).collect();
            all.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(won.len(), 1);
        state.daemon().unwrap().unwrap().connect().unwrap();
    }

    #[test]
    fn the_socket_of_a_killed_daemon_is_replaced_and_nothing_else_is() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        let mut held = state.hold().unwrap();
        let path = held.directory.join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        let listener = listen(&mut held).unwrap();
        // Somebody answers.
        assert!(remove_stale(&path).unwrap_err().to_string().contains("somebody answers there"));
        drop(listener);
        fs::remove_file(&path).unwrap();
        symlink(home.path().join("elsewhere"), &path).unwrap();
        assert!(remove_stale(&path).unwrap_err().to_string().contains("it is a link"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(remove_stale(&path).unwrap_err().to_string().contains("it is no socket"));
    }

    #[test]
    fn a_place_that_is_deeper_than_the_address_of_a_socket_is_one_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("x".repeat(150));
        fs::create_dir(&deep).unwrap();
        let state = state(&deep);
        let mut held = state.hold().unwrap();
        let _listener = listen(&mut held).unwrap();
        held.note(&[]).unwrap();
        state.daemon().unwrap().unwrap().connect().unwrap();
    }

    #[test]
    fn a_directory_for_sockets_that_others_may_use_is_not_used() {
        let runtime = tempfile::tempdir().unwrap();
        fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(place_in(runtime.path()), None);
        fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let place = place_in(runtime.path()).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(place_in(runtime.path()), None);
    }
}
