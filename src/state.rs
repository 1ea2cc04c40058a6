//! Where the daemon keeps what is its own on disk: one directory for each identity.

mod daemon;
mod identity;
mod ports;
#[cfg(unix)]
mod socket;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

pub use daemon::{Held, HoldError, Notice};
use identity::{IDENTITY, identities, identity};
pub use ports::Listens;

use crate::{config::ComputerConfig, environment};

/// The place of one daemon: what is started for another config, or elsewhere where that matters, has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    identity: String,
    directory: PathBuf,
}

/// Why the place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no home directory to have it in.
    #[error("there is no directory for what the daemon keeps; set HOME or XDG_STATE_HOME")]
    Homeless,
    /// Something is there that must not be used.
    #[error("will not use `{}`: {reason}", .path.display())]
    Unsafe {
        /// What is there.
        path: PathBuf,
        /// What makes it unsafe, and the cure.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {act} `{}`: {source}", .path.display())]
    Io {
        /// What was being done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// How many random bytes a token has.
const TOKEN: usize = 32;

impl State {
    /// The place of the daemon that runs this config, which was read from `path`. Touches no file.
    ///
    /// # Errors
    /// [`Homeless`](StateError::Homeless).
    pub fn of(config: &ComputerConfig, path: Option<&Path>) -> Result<Self, StateError> {
        Ok(Self::under(&environment::state_home().ok_or(StateError::Homeless)?, config, path))
    }

    /// The places that a daemon of the config at `path` can have, whatever that config says now: it may be another than
    /// the one that the daemon was started with, or have mistakes. Touches no file.
    ///
    /// # Errors
    /// [`Homeless`](StateError::Homeless).
    pub fn of_file(path: Option<&Path>) -> Result<[Self; 2], StateError> {
        let home = environment::state_home().ok_or(StateError::Homeless)?;
        Ok(identities(path).map(|identity| Self { directory: home.join(&identity), identity }))
    }

    fn under(home: &Path, config: &ComputerConfig, path: Option<&Path>) -> Self {
        let identity = identity(config, path);
        Self { directory: home.join(&identity), identity }
    }

    /// What tells this daemon from others of the same user.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Where its directory is, or would be.
    pub fn place(&self) -> &Path {
        &self.directory
    }

    /// Whether its directory is there. Makes nothing.
    ///
    /// # Errors
    /// What is there may be somebody else's.
    pub fn has_directory(&self) -> Result<bool, StateError> {
        there(check_directory(&self.directory))
    }

    /// Whether there is a token. Makes none.
    ///
    /// # Errors
    /// As for [`token`](Self::token).
    pub fn has_token(&self) -> Result<bool, StateError> {
        let path = self.directory.join("token");
        there(read_private(&path).and_then(|text| checked(&path, &text)))
    }

    /// Its directory, which nobody else can look into; made when it is not there.
    ///
    /// # Errors
    /// It cannot be made, or what is there may be somebody else's.
    pub fn directory(&self) -> Result<&Path, StateError> {
        let path = &self.directory;
        let failed = |source| StateError::Io { act: "make", path: path.clone(), source };
        if let Some(parent) = path.parent() {
            private_directory().recursive(true).create(parent).map_err(failed)?;
        }
        match private_directory().create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        check_directory(path).map(|()| path.as_path())
    }

    /// The token that clients show; made at first use, and the same from then on, for every daemon of this identity.
    ///
    /// # Errors
    /// It cannot be written or read, others could read it, or it is damaged.
    pub fn token(&self) -> Result<String, StateError> {
        let path = self.directory()?.join("token");
        match read_private(&path) {
            Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => return read.and_then(|text| checked(&path, &text)),
        }
        self.make_token(&path)?;
        checked(&path, &read_private(&path)?)
    }

    /// Puts a token there, unless somebody else does so at the same time.
    fn make_token(&self, path: &Path) -> Result<(), StateError> {
        let failed = |source| StateError::Io { act: "make", path: path.to_owned(), source };
        let (mut random, mut label) = ([0; TOKEN], [0; 8]);
        let drawn = getrandom::fill(&mut random).and_then(|()| getrandom::fill(&mut label));
        drawn.map_err(|error| failed(error.into()))?;
        // Whole or not at all: written under another name, and then given its own, which fails where there is one.
        let draft = self.directory.join(format!("token.{}", HEXLOWER.encode(&label)));
        let drawn = write_new(&draft, &BASE64URL_NOPAD.encode(&random));
        let named = drawn.and_then(|()| fs::hard_link(&draft, path));
        // It may not exist.
        let _ = fs::remove_file(&draft);
        match named {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

/// Whether it was there to be looked at.
fn there<T>(looked: Result<T, StateError>) -> Result<bool, StateError> {
    match looked {
        Ok(_) => Ok(true),
        Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn check_directory(path: &Path) -> Result<(), StateError> {
    let failed = |source| StateError::Io { act: "look at", path: path.to_owned(), source };
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    let wrong = if metadata.is_symlink() {
        Some("it is a link, which may lead anywhere; remove it".to_owned())
    } else if metadata.is_dir() {
        unsafe_access(&metadata, "`chmod 700` it")
    } else {
        Some("it is no directory; move it away".to_owned())
    };
    wrong.map_or(Ok(()), |reason| Err(StateError::Unsafe { path: path.to_owned(), reason }))
}

fn checked(path: &Path, text: &str) -> Result<String, StateError> {
    let token = text.trim_end();
    if BASE64URL_NOPAD.decode(token.as_bytes()).is_ok_and(|bytes| bytes.len() >= TOKEN) {
        return Ok(token.to_owned());
    }
    let reason = "it holds no token; remove it, and a new one is made".to_owned();
    Err(StateError::Unsafe { path: path.to_owned(), reason })
}

fn read_private(path: &Path) -> Result<String, StateError> {
    let failed = |source| StateError::Io { act: "read", path: path.to_owned(), source };
    let is_link = fs::symlink_metadata(path).map_err(failed)?.is_symlink();
    let mut file = File::open(path).map_err(failed)?;
    let wrong = if is_link {
        Some("it is a link, which may lead anywhere; remove it".to_owned())
    } else {
        unsafe_access(&file.metadata().map_err(failed)?, "remove it, and a new one is made")
    };
    if let Some(reason) = wrong {
        return Err(StateError::Unsafe { path: path.to_owned(), reason });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = private_file().open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// How a new file is made that is for us alone.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// How a directory is made that is for us alone.
pub(crate) fn private_directory() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// What is wrong with who owns a thing and who may look into it.
#[cfg(unix)]
fn unsafe_access(metadata: &fs::Metadata, cure: &str) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let (uid, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if uid != nix::unistd::Uid::effective().as_raw() {
        return Some(format!("it belongs to another user (uid {uid}); remove it"));
    }
    (mode & 0o077 != 0).then(|| format!("others may use it (mode {mode:o}); {cure}"))
}

#[cfg(not(unix))]
fn unsafe_access(_: &fs::Metadata, _: &str) -> Option<String> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::{Computer, ShellMode, config::file};

    fn config(change: impl FnOnce(ComputerConfig) -> crate::Result<ComputerConfig>) -> ComputerConfig {
        change(ComputerConfig::new()).unwrap()
    }

    fn of_stdio(command: &str, args: &[&str]) -> ComputerConfig {
        config(|empty| empty.with("a", Computer::stdio(command, args.iter().copied())))
    }

    fn at(config: &ComputerConfig, workspace: &Path) -> ComputerConfig {
        ComputerConfig { workspace: Some(workspace.to_owned()), ..config.clone() }
    }

    /// Whether two daemons in two directories are two.
    fn differs_by_directory(config: &ComputerConfig) -> bool {
        let [one, other] =
            ["/", "/tmp"].map(|place| identity(&at(config, Path::new(place)), Some(Path::new("/x.json"))));
        one != other
    }

    fn state(home: &Path) -> State {
        State::under(home, &ComputerConfig::new(), None)
    }

    fn refused(result: Result<impl std::fmt::Debug, StateError>) -> String {
        let error = result.unwrap_err();
        assert!(matches!(error, StateError::Unsafe { .. }), "{error}");
        error.to_string()
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_identity_is_the_beginning_of_a_hash_of_the_place_of_the_config_and_of_the_directory() {
        // printf '/nowhere/x.json\0' | sha256sum, and 'built-in\0/'.
        let plain = of_stdio("server", &[]);
        assert_eq!(identity(&plain, Some(Path::new("/nowhere/x.json"))), "1695e9fa62aa");
        let (default, _) = file::parse(file::DEFAULT, "built-in").unwrap();
        assert_eq!(identity(&at(&default, Path::new("/")), None), "b595b48c6065");
    }

    #[test]
    fn two_names_of_one_file_are_one_daemon() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("a.json"), home.path().join("b.json"));
        fs::write(&file, "{}").unwrap();
        symlink(&file, &link).unwrap();
        let config = ComputerConfig::new();
        assert_eq!(identity(&config, Some(&file)), identity(&config, Some(&link)));
        assert_ne!(identity(&config, Some(&file)), identity(&config, None));
    }

    #[test]
    fn the_directory_counts_only_where_it_means_something() {
        for args in [&["."][..], &["../x"], &["--root=./x"], &["${workspaceFolder}/x"], &["${file:key}"]] {
            assert!(differs_by_directory(&of_stdio("server", args)), "{args:?}");
        }
        for args in [&["/x"][..], &["x"], &["--root=/x"], &["${userHome}/x"], &["${file:~/key}"], &["...", "a/b"]] {
            assert!(!differs_by_directory(&of_stdio("server", args)), "{args:?}");
        }
        for (command, differs) in
            [("./server", true), ("bin/server", true), ("/bin/server", false), ("~/server", false), ("@a/b", false)]
        {
            assert_eq!(differs_by_directory(&of_stdio(command, &[])), differs, "{command}");
        }
        let with_cwd = |cwd: &str| config(|empty| empty.with("a", Computer::stdio("x", [""; 0]).cwd(cwd)));
        assert!(differs_by_directory(&with_cwd("sub")) && !differs_by_directory(&with_cwd("/sub")));
        let shell = || Computer::shell(ShellMode::Unrestricted);
        assert!(differs_by_directory(&config(|empty| empty.with("a", shell()))));
        assert!(!differs_by_directory(&config(|empty| empty.with("a", shell().cwd("/")))));
        let header = Computer::http("https://example.com").header("X-Root", "./x");
        assert!(differs_by_directory(&config(|empty| empty.with("a", header))));
    }

    #[test]
    fn the_directory_is_made_for_us_alone() {
        let home = tempfile::tempdir().unwrap();
        let state = state(&home.path().join("state/computer"));
        let directory = state.directory().unwrap();
        assert!(directory.ends_with(state.identity()) && state.identity().len() == 12);
        for path in [directory, directory.parent().unwrap()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert_eq!(state.directory().unwrap(), directory);
    }

    #[test]
    fn what_others_may_use_or_have_put_there_is_refused_with_the_cure() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        let directory = state.directory().unwrap();
        chmod(directory, 0o750);
        assert!(refused(state.directory()).ends_with("others may use it (mode 750); `chmod 700` it"));
        fs::remove_dir(directory).unwrap();
        symlink("/tmp", directory).unwrap();
        assert!(refused(state.token()).contains("it is a link"));
        fs::remove_file(directory).unwrap();
        fs::write(directory, "").unwrap();
        assert!(refused(state.directory()).contains("it is no directory"));
    }

    #[test]
    fn the_token_is_made_once_and_for_us_alone() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        let token = state.token().unwrap();
        assert_eq!(BASE64URL_NOPAD.decode(token.as_bytes()).unwrap().len(), 32);
        assert_eq!(state.token().unwrap(), token);
        let file = state.directory().unwrap().join("token");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(state.directory().unwrap()).unwrap().count(), 1, "no draft is left");
        fs::remove_file(&file).unwrap();
        assert_ne!(state.token().unwrap(), token);
    }

    #[test]
    fn those_who_make_a_token_at_the_same_time_agree_on_one() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        let tokens: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let drawn: Vec<_> = (0..16).map(|_| scope.spawn(|| state.token().unwrap())).collect();
            drawn.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(tokens.len(), 1);
    }

    #[test]
    fn a_token_that_others_can_read_or_that_is_none_is_refused_with_the_cure() {
        let home = tempfile::tempdir().unwrap();
        let state = state(home.path());
        state.token().unwrap();
        let file = state.directory().unwrap().join("token");
        chmod(&file, 0o644);
        assert!(refused(state.token()).ends_with("others may use it (mode 644); remove it, and a new one is made"));
        chmod(&file, 0o600);
        fs::write(&file, "short").unwrap();
        assert!(refused(state.token()).contains("it holds no token"));
        let elsewhere = home.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        assert!(refused(state.token()).contains("it is a link"));
    }
}
