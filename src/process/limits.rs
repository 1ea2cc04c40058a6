//! What the processes of an entry may use, and what the system is told of it.

use std::process::ExitStatus;

use nix::sys::resource::{Resource, rlim_t};

use super::{
    open_files::{Bound, most},
    table,
};
use crate::error::{Error, Limit};

/// What the processes of an entry may use. What is not given is not limited.
///
/// Memory and processes are looked at every second, over the server and all that descends from it; when there are more
/// the entry is ended by force, and brought back as after a crash. The other two the system holds each process to. On
/// Linux, where a part of the tree of control groups (cgroup v2) was given to us, the system holds an entry to its memory
/// at every moment, files that it holds in memory included, and keeps a burst of forks within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The resident memory of all of them together, in MiB (1,048,576 bytes). What they share counts once.
    pub memory_mb: Option<u64>,
    /// How many of them there may be, the server included.
    pub processes: Option<u64>,
    /// How many files each of them may have open. Never more than this process itself could have.
    pub open_files: Option<u64>,
    /// How much processor time each of them may use over its whole life, in seconds.
    pub cpu_seconds: Option<u64>,
}

impl Limits {
    /// What the system is to hold each process to.
    pub(super) fn bounds(self) -> [Option<Bound>; 2] {
        let files = |most| Bound::within_ours(Resource::RLIMIT_NOFILE, most, most);
        // A warning first, which ends whoever does not listen to it and can be told from any other end.
        let time = |most: rlim_t| Bound::within_ours(Resource::RLIMIT_CPU, most, most.saturating_add(1));
        [self.open_files.map(files).or_else(Bound::before), self.cpu_seconds.map(time)]
    }

    /// What is asked for and cannot be given, in words for health.
    pub(crate) fn problems(self) -> Vec<String> {
        let asked = [
            ("openFiles", self.open_files, Resource::RLIMIT_NOFILE),
            ("cpuSeconds", self.cpu_seconds, Resource::RLIMIT_CPU),
        ];
        let cut = asked.into_iter().filter_map(|(key, wanted, resource)| {
            let (wanted, most) = (wanted?, most(resource));
            (wanted > most).then(|| {
                format!("`limits.{key}` is {wanted}, but more than {most} cannot be given: that is our own hard limit")
            })
        });
        cut.collect()
    }

    /// The limit that ended a process which is not reaped yet, if it was one.
    pub(super) fn behind(self, status: ExitStatus, pid: u32) -> Option<Error> {
        use std::os::unix::process::ExitStatusExt;

        const TOO_LONG: i32 = nix::libc::SIGXCPU;
        const KILL: i32 = nix::libc::SIGKILL;
        /// How a shell ends whose last program was ended by that signal.
        const PASSED_ON: i32 = 128 + TOO_LONG;
        let allowed = self.cpu_seconds?.min(most(Resource::RLIMIT_CPU));
        let used = table::row(pid).map_or(0, |row| row.own.as_secs());
        let is_it = match (status.signal(), status.code()) {
            (Some(TOO_LONG), _) | (_, Some(PASSED_ON)) => true,
            // It did not listen to the warning.
            (Some(KILL), _) => used >= allowed,
            _ => false,
        };
        is_it.then(|| Error::LimitExceeded { limit: Limit::CpuSeconds, used: used.max(allowed), allowed })
    }

    /// Whether the processes have to be looked at.
    pub(super) fn are_counted(self) -> bool {
        self.memory_mb.or(self.processes).or(self.open_files).is_some()
    }

    /// How many files each process may really have open.
    pub(super) fn most_files(self) -> Option<u64> {
        self.open_files.map(|wanted| wanted.min(most(Resource::RLIMIT_NOFILE)))
    }
}
