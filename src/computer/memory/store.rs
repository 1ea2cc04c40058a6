//! Files that are for us alone, and never more of them than there is room for.

use std::{
    fmt,
    fs::{self, File, Metadata},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;

use super::key::Key;
use crate::state::{private_directory, private_file};

/// The largest file. What is larger is listed when its entry is up.
const LARGEST: u64 = 4 << 20;

/// The room for all of them.
const ROOM: u64 = 32 << 20;

/// How long a file is kept that nobody has read.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a draft can be somebody's who still writes it.
const DRAFT: Duration = Duration::from_secs(3600);

/// The files, one for each key.
pub(super) struct Store {
    directory: PathBuf,
    /// Whether this run has looked after those that nobody uses.
    is_tidy: AtomicBool,
}

/// Why a file is done without.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The system refused.
    Io(PathBuf, io::Error),
    /// It is not what it should be.
    Unusable(PathBuf, String),
    /// What was to be kept is too large, in bytes.
    Large(usize),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => {
                write!(f, "cannot keep the tools of an entry in `{}`: {error}; its list waits for it", path.display())
            }
            Self::Unusable(path, reason) => {
                write!(f, "will not use `{}`: {reason}; remove it, and a new one is made", path.display())
            }
            Self::Large(bytes) => {
                write!(f, "the lists of an entry are not kept: they are {bytes} bytes, and {LARGEST} are kept at most")
            }
        }
    }
}

impl Store {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self { directory, is_tidy: AtomicBool::new(false) }
    }

    /// Where the file for a key is.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.directory.join(format!("{}.json", &key.text()[..32]))
    }

    /// The text for a key, if there is one. It counts as used from now on.
    pub(super) fn read(&self, key: &Key) -> Result<Option<String>, Trouble> {
        let path = self.path(key);
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|error| Trouble::Io(path.clone(), error))?,
        };
        if let Some(reason) = unusable(&metadata) {
            return Err(Trouble::Unusable(path, reason));
        }
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Trouble::Unusable(path.clone(), "it is no text".to_owned()),
            _ => Trouble::Io(path.clone(), error),
        })?;
        touch(&path);
        Ok(Some(text))
    }

    /// Keeps a text for a key, in the place of an earlier one.
    pub(super) fn write(&self, key: &Key, text: &str) -> Result<(), Trouble> {
        if text.len() as u64 > LARGEST {
            return Err(Trouble::Large(text.len()));
        }
        let path = self.path(key);
        let is_known = matches!(self.read(key), Ok(Some(known)) if known == text);
        if !is_known {
            self.replace(&path, text).map_err(|error| Trouble::Io(path, error))?;
        }
        if !self.is_tidy.swap(true, Ordering::Relaxed) || !is_known {
            self.tidy();
        }
        Ok(())
    }

    /// Whole or not at all: written under another name, and then given its own.
    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        private_directory().recursive(true).create(&self.directory)?;
        let mut label = [0; 8];
        getrandom::fill(&mut label)?;
        let draft = self.directory.join(format!("draft-{}", HEXLOWER.encode(&label)));
        let drawn = private_file().open(&draft).and_then(|mut file| file.write_all(text.as_bytes()));
        let written = drawn.and_then(|()| fs::rename(&draft, path));
        if written.is_err() {
            // It may not exist.
            let _ = fs::remove_file(&draft);
        }
        written
    }

    /// Removes what nobody has used for long, and the oldest when there is no room for all.
    fn tidy(&self) {
        let Ok(files) = fs::read_dir(&self.directory) else { return };
        let files = files.flatten().filter_map(|file| Some((file.path(), file.metadata().ok()?)));
        let mut files: Vec<_> = files.filter(|(_, metadata)| metadata.is_file()).collect();
        let used = |metadata: &Metadata| metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        files.sort_by_key(|(_, metadata)| std::cmp::Reverse(used(metadata)));
        let mut taken = 0;
        for (path, metadata) in files {
            let unused = used(&metadata).elapsed().unwrap_or_default();
            let limit = if path.extension().is_some_and(|ending| ending == "json") { KEPT } else { DRAFT };
            taken += metadata.len();
            if taken > ROOM || unused > limit {
                // Somebody else may have been faster.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Why a file cannot be used, if it cannot.
fn unusable(metadata: &Metadata) -> Option<String> {
    if !metadata.is_file() {
        return Some("it is no plain file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Some(format!("it is larger than {LARGEST} bytes"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if metadata.uid() != nix::unistd::Uid::effective().as_raw() {
            return Some(format!("it belongs to another user (uid {})", metadata.uid()));
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o022 != 0 {
            return Some(format!("others may write to it (mode {mode:o})"));
        }
    }
    None
}

/// It was used now. Where that cannot be noted it may be removed too early, which costs a list that waits.
fn touch(path: &Path) {
    let file = File::options().write(true).open(path);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_directory(dir.path().join("catalogs"));
        (dir, store)
    }

    fn key(digit: char) -> Key {
        Key::of_text(&digit.to_string().repeat(64))
    }

    fn names(store: &Store) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&store.directory).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    fn used_ago(path: &Path, ago: Duration) {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - ago).unwrap();
    }

    #[test]
    fn what_is_written_is_read_again_and_is_for_us_alone() {
        let (_dir, store) = store();
        assert!(matches!(store.read(&key('a')), Ok(None)));
        store.write(&key('a'), "one").unwrap();
        store.write(&key('a'), "two").unwrap();
        assert_eq!(store.read(&key('a')).unwrap().as_deref(), Some("two"));
        assert_eq!(names(&store).len(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&store.path(&key('a'))), mode(&store.directory)), (0o600, 0o700));
        }
    }

    #[test]
    fn what_nobody_has_used_for_a_month_is_removed_and_so_are_old_drafts() {
        let (dir, store) = store();
        store.write(&key('a'), "old").unwrap();
        store.write(&key('b'), "used").unwrap();
        let draft = store.directory.join("draft-00");
        fs::write(&draft, "half").unwrap();
        for path in [store.path(&key('a')), store.path(&key('b')), draft] {
            used_ago(&path, KEPT + DRAFT);
        }
        let next = Store::in_directory(dir.path().join("catalogs"));
        assert_eq!(next.read(&key('b')).unwrap().as_deref(), Some("used"));
        // Nothing new: a run looks after them all the same.
        next.write(&key('b'), "used").unwrap();
        assert_eq!(names(&next), [format!("{}.json", "b".repeat(32))]);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room_for_all() {
        let (_dir, store) = store();
        let large = "x".repeat(usize::try_from(LARGEST).unwrap());
        let most = u32::try_from(ROOM / LARGEST).unwrap();
        for n in 0..=most {
            let key = key(char::from_digit(n, 16).unwrap());
            store.write(&key, &large).unwrap();
            used_ago(&store.path(&key), Duration::from_secs(60) * (most + 1 - n));
        }
        store.write(&key('e'), "small").unwrap();
        assert!(!store.path(&key('0')).exists() && !store.path(&key('1')).exists());
        assert!(store.path(&key('2')).exists() && store.path(&key('e')).exists());
        assert!(matches!(store.write(&key('f'), &(large + "x")), Err(Trouble::Large(_))));
    }
}
