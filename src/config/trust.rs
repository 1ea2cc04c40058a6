//! Which `./computer.json` may be used: a checkout must not run commands by being looked at.
//!
//! Trust is for a place and a content: a file that was changed has to be trusted again.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::environment;

/// Whether this content at this place was trusted before.
pub fn is_trusted(path: &Path, content: &[u8]) -> bool {
    Store::of_user().is_some_and(|store| store.holds(path, content))
}

/// Trusts a file as it is now; what was trusted at that place before is forgotten.
///
/// # Errors
/// When the file cannot be read, or the store cannot be written.
pub fn trust(path: &Path, content: &[u8]) -> io::Result<()> {
    let store = Store::of_user()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no home directory to remember it in"))?;
    store.add_as(path, content)
}

/// The file of what is trusted: lines of `sha256  canonical path`.
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    pub(super) fn of_user() -> Option<Self> {
        environment::state_home().map(Self::in_directory)
    }

    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(super) fn holds(&self, path: &Path, content: &[u8]) -> bool {
        let Ok(line) = line(path, content) else { return false };
        self.lines().contains(&line)
    }

    #[cfg(test)]
    pub(super) fn add(&self, path: &Path) -> io::Result<()> {
        self.add_as(path, &fs::read(path)?)
    }

    /// Adds a file with the content that was looked at: it may hold something else by now.
    fn add_as(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let path = fs::canonicalize(path)?;
        let added = line(&path, content)?;
        let mut lines = self.lines();
        lines.retain(|line| path_of(line) != path_of(&added));
        lines.push(added);
        self.write(&lines)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.directory.join("trusted")
    }

    /// What the store holds: nothing when others may have written it.
    fn lines(&self) -> Vec<String> {
        if !is_private(&self.file()) {
            return Vec::new();
        }
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) -> io::Result<()> {
        create_private_directory(&self.directory)?;
        let draft = self.directory.join(format!("trusted.{}", std::process::id()));
        let written = write_private(&draft, &(lines.join("\n") + "\n")).and_then(|()| fs::rename(&draft, self.file()));
        if written.is_err() {
            // The error of the write is the one that matters; the draft may not even exist.
            let _ = fs::remove_file(&draft);
        }
        written
    }
}

fn line(path: &Path, content: &[u8]) -> io::Result<String> {
    let path = fs::canonicalize(path)?;
    let name = path.to_str().filter(|name| !name.contains(['\n', '\r']));
    let name = name.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "its path holds a line break or is not UTF-8; rename it")
    })?;
    Ok(format!("{}  {name}", HEXLOWER.encode(&Sha256::digest(content))))
}

fn path_of(line: &str) -> Option<&str> {
    line.split_once("  ").map(|(_, path)| path)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn create_private_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn is_private(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| super::ownership::Access::of(&metadata).is_private())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct World {
        _root: tempfile::TempDir,
        store: Store,
        file: PathBuf,
    }

    fn world() -> World {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("computer.json");
        fs::write(&file, "{}").unwrap();
        World { store: Store::in_directory(root.path().join("state/computer")), file, _root: root }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_content_that_was_trusted_is_trusted() {
        let World { store, file, .. } = &world();
        assert!(!store.holds(file, b"{}"));
        store.add(file).unwrap();
        assert!(store.holds(file, b"{}"));
        assert!(!store.holds(file, b"{ }"));
    }

    #[test]
    fn the_same_content_elsewhere_is_not_trusted() {
        let World { store, file, .. } = &world();
        store.add(file).unwrap();
        let other = file.with_file_name("other.json");
        fs::write(&other, "{}").unwrap();
        assert!(!store.holds(&other, b"{}"));
        let link = file.with_file_name("link.json");
        std::os::unix::fs::symlink(file, &link).unwrap();
        assert!(store.holds(&link, b"{}"), "a link is the file it leads to");
    }

    #[test]
    fn trusting_again_forgets_the_former_content() {
        let World { store, file, .. } = &world();
        store.add(file).unwrap();
        fs::write(file, "[]").unwrap();
        store.add(file).unwrap();
        assert!(store.holds(file, b"[]"));
        assert!(!store.holds(file, b"{}"));
        let hash = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
        let expected = format!("{hash}  {}\n", fs::canonicalize(file).unwrap().display());
        assert_eq!(fs::read_to_string(store.file()).unwrap(), expected);
    }

    #[test]
    fn the_store_is_private_and_leaves_no_draft() {
        let World { store, file, .. } = &world();
        store.add(file).unwrap();
        assert_eq!(mode(&store.directory), 0o700);
        assert_eq!(mode(&store.file()), 0o600);
        assert_eq!(fs::read_dir(&store.directory).unwrap().count(), 1);
    }

    #[test]
    fn a_store_that_others_can_write_counts_for_nothing() {
        let World { store, file, .. } = &world();
        store.add(file).unwrap();
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!store.holds(file, b"{}"));
    }

    #[test]
    fn a_missing_file_cannot_be_trusted() {
        let World { store, file, .. } = &world();
        assert_eq!(store.add(&file.with_file_name("no.json")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
