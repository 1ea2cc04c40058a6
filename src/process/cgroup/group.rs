//! One group: made, entered, asked, emptied and removed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread,
};

use nix::unistd;
use tokio::time::sleep;

use super::place::{MEMORY, PIDS, Place};
use crate::{
    error::{Error, Limit},
    process::{LOOK, Limits},
};

/// The control group of what was started once. Dropping it kills what is in it, and removes it.
#[derive(Debug)]
pub(in crate::process) struct Cgroup {
    directory: PathBuf,
    place: Arc<Place>,
    limits: Limits,
}

/// The system counts each thread. A process is granted as many as hardly any has, so that none is refused to an entry
/// that keeps to its limit: only a burst of forks comes near.
const THREADS: u64 = 128;

/// A single process may well have more: one for each processor of a large machine.
const FEWEST: u64 = 1024;

/// How often it is tried to remove a group whose processes have been killed, a moment between each two times.
const TRIES: usize = 100;

/// The same where nobody can wait.
const HASTY_TRIES: usize = 5;

impl Cgroup {
    /// A new group for what may use that much, and the way into it. None where none is to be had, or where it would
    /// limit nothing.
    pub(in crate::process) fn of(limits: Limits) -> Option<(Self, Door)> {
        static PLACE: OnceLock<Option<Arc<Place>>> = OnceLock::new();
        limits.memory_mb.or(limits.processes)?;
        let find = || match Place::find() {
            Ok(place) => Some(Arc::new(place)),
            Err(reason) => {
                tracing::debug!(%reason, "limits are kept without control groups");
                None
            }
        };
        let made = Self::within(PLACE.get_or_init(find).as_ref()?, limits);
        made.inspect_err(|error| tracing::debug!(%error, "an entry goes without a control group")).ok()
    }

    pub(super) fn within(place: &Arc<Place>, limits: Limits) -> io::Result<(Self, Door)> {
        let memory = limits.memory_mb.filter(|_| place.has(MEMORY));
        let processes = limits.processes.filter(|_| place.has(PIDS));
        if memory.or(processes).is_none() {
            return Err(io::Error::other("the system lets nobody below us limit what this entry is limited in"));
        }
        let limits = Limits { memory_mb: memory, processes, ..Limits::default() };
        let group = Self { directory: place.new_directory()?, place: Arc::clone(place), limits };
        if let Some(mib) = memory {
            // Else the system picks one of them, and the rest goes on without it.
            group.write("memory.oom.group", "1")?;
            // It is not there where nothing is ever swapped.
            let _ = group.write("memory.swap.max", "0");
            group.write("memory.max", &mib.saturating_mul(1 << 20).to_string())?;
        }
        if let Some(most) = processes {
            group.write("pids.max", &threads_of(most).to_string())?;
        }
        let door = Door(File::create(group.directory.join("cgroup.procs"))?);
        Ok((group, door))
    }

    /// The limit for which the system has ended its processes, if it has.
    pub(in crate::process) fn exceeded(&self) -> Option<Error> {
        let allowed = self.limits.memory_mb?;
        let events = self.read("memory.events");
        // Killed for want of memory they may also be when the whole system has none: the limit was not reached then.
        if count(&events, "oom") == 0 || count(&events, "oom_kill") + count(&events, "oom_group_kill") == 0 {
            return None;
        }
        let peak: Option<u64> = self.read("memory.peak").trim().parse().ok();
        let used = peak.map_or(allowed, |bytes| bytes.div_ceil(1 << 20).max(allowed));
        Some(Error::LimitExceeded { limit: Limit::MemoryMb, used, allowed })
    }

    /// Where it is told what they were refused.
    pub(in crate::process) fn refusals(&self) -> Option<Refusals> {
        let allowed = self.limits.processes?;
        Some(Refusals { events: self.directory.join("pids.events"), allowed })
    }

    /// Kills all that is in it, however fast it forks.
    ///
    /// Nobody in it was given to a keeper of ours: only commands of the shell leave anybody to one, and have no limits.
    pub(in crate::process) fn kill(&self) {
        if count(&self.read("cgroup.events"), "populated") > 0 {
            // Where the system does not know it, there are the signals.
            let _ = self.write("cgroup.kill", "1");
        }
    }

    /// Removes it, once what was killed has gone.
    pub(in crate::process) async fn end(self) {
        for _ in 0..TRIES {
            if self.is_removed() {
                return;
            }
            sleep(LOOK).await;
        }
    }

    fn is_removed(&self) -> bool {
        remove(&self.directory).is_ok()
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.directory.join(file), text)
    }

    /// What is not there says nothing.
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.join(file)).unwrap_or_default()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..HASTY_TRIES {
            if self.is_removed() {
                return;
            }
            self.kill();
            thread::sleep(LOOK);
        }
        self.place.leave(&self.directory);
    }
}

/// The way into a group.
#[derive(Debug)]
pub(in crate::process) struct Door(File);

impl Door {
    /// Puts the calling process in. Async-signal-safe, for use between fork and exec.
    pub(in crate::process) fn enter(&self) {
        // Refused it goes without, like anybody for whom there is no group.
        let _ = unistd::write(&self.0, b"0");
    }
}

/// Tells whether the processes of a group were refused another one.
#[derive(Debug, Clone)]
pub(in crate::process) struct Refusals {
    events: PathBuf,
    allowed: u64,
}

impl Refusals {
    /// In words for health.
    pub(in crate::process) fn words(&self) -> Option<String> {
        let times = count(&fs::read_to_string(&self.events).unwrap_or_default(), "max");
        let (allowed, most) = (self.allowed, threads_of(self.allowed));
        (times > 0).then(|| {
            format!(
                "the system refused it new processes or threads: with {allowed} as its `limits.processes` it may have \
                 {most} threads in all; raise it if the server complains of a resource that is temporarily unavailable"
            )
        })
    }
}

fn threads_of(processes: u64) -> u64 {
    processes.saturating_mul(THREADS).max(FEWEST)
}

/// A number by its name, from a file in which each line is one.
fn count(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or_default()
}

/// Removes a group with those that its processes have made within, if nobody is in it.
pub(super) fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
        Ok(()) => return Ok(()),
    }
    for entry in fs::read_dir(directory)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}
