//! The whole output of a command in files, where the result holds only a part of it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
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
    files: Mutex<Vec<PathBuf>>,
}

impl Place {
    /// A directory of its own, made at the first file.
    pub(super) fn new(home: &Path) -> Arc<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { directory: home.join("output").join(name), next: AtomicU64::new(1), files: Mutex::default() })
    }

    fn file(&self, stream: usize) -> Option<(File, PathBuf)> {
        private_directory(&self.directory).ok()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{number}.{}", ["stdout", "stderr"][stream]));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).ok()?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(path.clone());
        if files.len() > FILES {
            // What cannot be removed stays: nothing depends on it.
            let _ = fs::remove_file(files.remove(0));
        }
        Some((file, path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
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
