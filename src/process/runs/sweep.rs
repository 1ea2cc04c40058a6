//! Ending what dead runs have left, and nobody else.
//!
//! Processes are ended that carry a mark of a run which is dead, as is its guard, were started after it, and are the
//! same user's. A `computer` that was started within another one carries the mark of the outer one itself: when the
//! outer one is dead the inner one is a part of what it has left, and goes with it, as it would have gone had the outer
//! one's guard lived. Who sweeps from within what a dead run has left does not cut off the branch that it sits on: that
//! run is left to somebody outside.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::record::{self, Instance, Life, Place, Record};
use crate::process::{
    mark::{self, Mark},
    tree::{self, Ended},
};

/// How long one sweep goes on: what the system does not get killed by then is left to the next.
const LIMIT: Duration = Duration::from_secs(2);

/// The pause between two rounds of kills.
const LOOK: Duration = Duration::from_millis(1);

/// How many of the ended are named.
const NAMED: usize = 10;

/// Ends what the dead of all the runs that are recorded in a directory have left.
pub(super) fn sweep(directory: &Path) {
    let Ok(here) = Place::here() else { return };
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline && sweep_once(directory, &here, deadline) {
        thread::sleep(LOOK);
    }
}

/// Whether there may be more to end: a run that is on its way to its end, or has been ended here because it was an inner
/// one of a dead one, leaves something itself.
fn sweep_once(directory: &Path, here: &Place, deadline: Instant) -> bool {
    let records = record::all(directory);
    let spared: Vec<u64> =
        records.iter().filter(|(_, run)| run.fate(here) == Fate::Lives).map(|(_, run)| run.tag).collect();
    let mut more = false;
    for (path, run) in &records {
        match run.fate(here) {
            Fate::Lives => {}
            Fate::Dies => more = true,
            Fate::Elsewhere => record::forget(path).unwrap_or(()),
            Fate::Past => remove(path),
            Fate::Dead if is_spared(run.tag, &spared) => {}
            Fate::Dead => more |= end(path, run, deadline),
        }
    }
    more
}

/// Whether what has this tag is left alone, whatever a record says of it.
fn is_spared(tag: u64, spared: &[u64]) -> bool {
    tag == mark::own_tag() || spared.contains(&tag) || Mark::of(std::process::id()).is_some_and(|own| own.tag() == tag)
}

/// What has become of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It or its guard, which then ends what is left, lives.
    Lives,
    /// It was killed so shortly ago that it is still there.
    Dies,
    Dead,
    /// It went with the system it ran on.
    Past,
    /// It cannot be told from here.
    Elsewhere,
}

impl Record {
    fn fate(&self, here: &Place) -> Fate {
        if self.place.is_past(here) {
            Fate::Past
        } else if self.place != *here {
            Fate::Elsewhere
        } else {
            let guard = self.guard.map_or(Life::Over, Instance::life);
            match (self.process.life(), guard) {
                (Life::Over, Life::Over) => Fate::Dead,
                (Life::Lives, _) | (_, Life::Lives) => Fate::Lives,
                _ => Fate::Dies,
            }
        }
    }
}

/// Ends, in rounds, what a dead run has left, and then forgets the run. Whether there was anything.
fn end(path: &Path, run: &Record, deadline: Instant) -> bool {
    let mut ended = Ended::new();
    let done = loop {
        // Not being able to look is not the same as finding nobody.
        if tree::kill_left_by(run.tag, run.process.start(), &mut ended).unwrap_or(false) {
            break true;
        }
        if Instant::now() >= deadline {
            break false;
        }
        thread::sleep(LOOK);
    };
    tell(run.process.pid, &ended);
    if done {
        remove(path);
    } else {
        tracing::warn!(
            pid = run.process.pid,
            "some of what an earlier run has left does not die; the next start tries again"
        );
    }
    !ended.is_empty()
}

fn tell(run: u32, ended: &Ended) {
    if ended.is_empty() {
        return;
    }
    let named: Vec<String> = ended.iter().take(NAMED).map(|(pid, name)| format!("{name} ({pid})")).collect();
    let count = ended.len();
    // With quotes, in which nothing that a process calls itself steers a terminal.
    tracing::warn!(run, processes = ?named, "ended {count} processes that an earlier run has left when it was killed");
}

fn remove(path: &Path) {
    // Somebody else sweeps at the same time: then it is gone already.
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests;
