//! The record of one run: who it was, and by what its processes are known.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::process::{
    guard,
    mark::{self, Mark},
    table, tree,
};

/// A process that nobody else can be taken for: its id is given again, but not with the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) pid: u32,
    /// In milliseconds of the system's uptime.
    pub(super) started: u64,
}

impl Instance {
    fn of(pid: u32) -> io::Result<Self> {
        let row = table::read(pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, started: u64::try_from(row.start.as_millis()).map_err(io::Error::other)? })
    }

    /// When it was started, on the clock of the system's uptime.
    pub(super) fn start(self) -> Duration {
        Duration::from_millis(self.started)
    }

    /// One that cannot be asked about lives.
    pub(super) fn life(self) -> Life {
        match table::read(self.pid) {
            Ok(Some(row)) if row.start != self.start() || row.zombie => Life::Over,
            Ok(Some(_)) if tree::is_dying(self.pid) => Life::Ends,
            Ok(None) => Life::Over,
            Ok(Some(_)) | Err(_) => Life::Lives,
        }
    }
}

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Lives,
    /// It has been killed, and that is not done yet.
    Ends,
    Over,
}

/// Where process ids mean what they mean to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    boot: String,
    /// A home may be shared by machines, and by containers of one machine.
    host: String,
    namespace: String,
}

impl Place {
    pub(super) fn here() -> io::Result<Self> {
        let kernel = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        let namespace = fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned();
        let (boot, host) = (kernel("random/boot_id")?, kernel("hostname")?);
        Ok(Self { boot: boot.trim().to_owned(), host: host.trim().to_owned(), namespace })
    }

    /// Whether this is a place that is no more: an earlier boot of the same machine.
    pub(super) fn is_past(&self, here: &Self) -> bool {
        self.host == here.host && self.boot != here.boot
    }
}

/// One run of this library in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(flatten)]
    pub(super) process: Instance,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) guard: Option<Instance>,
    /// What the marks of all that it started have in common.
    pub(super) tag: u64,
}

/// What a record of a few short fields never comes near.
const SIZE: u64 = 4 << 10;

/// After so long a record that nobody can judge is rubbish.
const RUBBISH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Record {
    /// The one of this process.
    pub(super) fn own() -> io::Result<Self> {
        let guard = guard::pid().map(Instance::of).transpose()?;
        Ok(Self { process: Instance::of(std::process::id())?, place: Place::here()?, guard, tag: mark::own_tag() })
    }

    /// Two records never have one name, whatever pids do.
    fn name(&self) -> String {
        format!("{}-{}-{:x}.json", self.process.pid, self.process.started, self.tag)
    }

    /// Writes it into the directory, whole or not at all.
    pub(super) fn write(&self, directory: &Path) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if !is_private(directory) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not ours alone; `chmod 700` it"));
        }
        let path = directory.join(self.name());
        let draft = path.with_extension("draft");
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&text)?;
        fs::rename(&draft, &path)?;
        Ok(path)
    }

    /// What a file holds, if it is a record and has the name of that record.
    fn read(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > SIZE {
            return None;
        }
        let record: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let is_mark = Mark::from_tag(record.tag).is_some();
        (is_mark && path.file_name()? == record.name().as_str()).then_some(record)
    }
}

/// The records of a directory with their files. What is none is left alone, unless it is an old one of ours.
pub(super) fn all(directory: &Path) -> Vec<(PathBuf, Record)> {
    if !is_private(directory) {
        return Vec::new();
    }
    let files = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    files
        .filter_map(|path| Record::read(&path).map(|record| (path.clone(), record)).or_else(|| forget(&path)))
        .collect()
}

/// Removes a file that may be a record, or a draft of one, when it is so old that it helps nobody.
pub(super) fn forget<T>(path: &Path) -> Option<T> {
    let is_named = path.file_name()?.to_str()?.starts_with(|first: char| first.is_ascii_digit());
    let is_ours = is_named && matches!(path.extension()?.to_str()?, "json" | "draft");
    let age = fs::symlink_metadata(path).ok()?.modified().ok()?.elapsed().ok()?;
    if is_ours && age > RUBBISH {
        let _ = fs::remove_file(path);
    }
    None
}

/// Whether a directory is one, and of nobody else's making.
fn is_private(directory: &Path) -> bool {
    let metadata = fs::symlink_metadata(directory);
    let us = nix::unistd::Uid::effective().as_raw();
    metadata.is_ok_and(|found| found.is_dir() && found.uid() == us && found.mode() & 0o777 == 0o700)
}
