//! The whole output of a command in files, where the result holds only a part of it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::output::Kept;

/// How many files of one entry are kept; the oldest goes first.
const FILES: usize = 50;

/// Where the files of one entry lie. They go with it.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    next: AtomicU64,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Locked for as long as the directory belongs to somebody: what a killed run has left goes with the next one's
    /// first file.
    lock: Option<File>,
    known: Vec<PathBuf>,
}

/// The file that is locked.
const LOCK: &str = "lock";

impl Place {
    /// A directory of its own, made at the first file.
    pub(super) fn new(home: &Path) -> Arc<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { directory: home.join("output").join(name), next: AtomicU64::new(1), files: Mutex::default() })
    }

    fn file(&self, stream: usize) -> Option<(File, PathBuf)> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.lock.is_none() {
            self.directory.parent().map(remove_abandoned);
            files.lock = Some(claimed(&self.directory).ok()?);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{number}.{}", ["stdout", "stderr"][stream]));
        let file = private_file(&path).ok()?;
        files.known.push(path.clone());
        if files.known.len() > FILES {
            // What cannot be removed stays: nothing depends on it.
            let _ = fs::remove_file(files.known.remove(0));
        }
        Some((file, path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Makes a directory of ours; it is for as long as the file is open.
fn claimed(directory: &Path) -> io::Result<File> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    let path = directory.join(LOCK);
    let lock = private_file(&path)?;
    lock.lock()?;
    // Somebody may have taken it for abandoned before it was locked.
    fs::metadata(path).map(|_| lock)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes the directories that are nobody's any more.
fn remove_abandoned(all: &Path) {
    for directory in fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path()) {
        // One without a lock is only just being made.
        let is_abandoned = File::open(directory.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_abandoned {
            // Another run may be faster.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// The files of one command, each begun when its stream becomes too long.
pub(super) struct Spill {
    place: Arc<Place>,
    files: [Option<(File, PathBuf)>; 2],
}

impl Spill {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place, files: [None, None] }
    }

    /// Takes what comes next; `kept` is what came before.
    pub(super) fn push(&mut self, stream: usize, bytes: &[u8], kept: &Kept) {
        let file = &mut self.files[stream];
        if file.is_none() && (kept.has_room_for(bytes.len()) || !kept.is_whole()) {
            return;
        }
        if file.is_none() {
            *file = self.place.file(stream).filter(|(file, _)| kept.write_to(file).is_ok());
        }
        // A full disk costs the file, not the command.
        if file.as_mut().is_some_and(|(file, _)| file.write_all(bytes).is_err()) {
            *file = None;
        }
    }

    /// Where the files are.
    pub(super) fn paths(self) -> [Option<PathBuf>; 2] {
        self.files.map(|file| file.map(|(_, path)| path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_run_has_left_goes_and_what_a_living_one_has_stays() {
        let home = tempfile::tempdir().unwrap();
        let living = Place::new(home.path());
        let (_, theirs) = living.file(0).unwrap();
        let dead = home.path().join("output/1-1");
        drop(claimed(&dead).unwrap());
        private_file(&dead.join("1.stdout")).unwrap();
        let (_, ours) = Place::new(home.path()).file(0).unwrap();
        assert_eq!((dead.exists(), theirs.exists(), ours.exists()), (false, true, false), "ours went with its place");
    }
}
