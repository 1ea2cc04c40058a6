//! Programs of the user's that outlive what started them, though not us: a `tmux`, an `ssh-agent`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{
    KILL_LIMIT, LOOK, blocking, guard,
    mark::Mark,
    tree::{self, Signal},
};

/// A process that was let go: it belongs to nobody but its keeper any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) pid: u32,
    /// The name by which it was to be kept.
    pub(crate) name: String,
}

/// Whom processes are left to. Cheap to clone: all clones are one, and when the last is dropped they are killed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeper(Arc<Keeping>);

#[derive(Debug)]
struct Keeping {
    mark: Mark,
    /// Whether anything was ever left to it.
    used: AtomicBool,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { mark: Mark::next_keepers(), used: AtomicBool::new(false) }
    }
}

impl Keeper {
    /// Takes over the programs of these names that are of a process's tree and have left its group, as daemons do, with
    /// all that descends from them. Once begun it is carried out, even when its caller goes away.
    pub(super) async fn take(&self, leader: u32, mark: Mark, names: &[String]) -> Vec<Kept> {
        if names.is_empty() {
            return Vec::new();
        }
        guard::while_there().await;
        self.0.used.store(true, Ordering::SeqCst);
        let (names, keepers) = (names.to_vec(), self.0.mark);
        let kept = blocking(move || hand_over((leader, mark), keepers, &names)).await.unwrap_or_default();
        for Kept { pid, name } in &kept {
            tracing::info!(pid, name, "a program goes on without what started it: `keep` names it");
        }
        kept
    }

    /// Ends all of them: they are asked to, and killed after `patience`.
    pub(crate) async fn end(&self, patience: Duration) {
        if !self.0.used.swap(false, Ordering::SeqCst) {
            return;
        }
        // A server such as an agent for keys leaves at once.
        let leaving = async {
            while self.signal(Signal::Term).await > 0 {
                sleep(LOOK * 10).await;
            }
        };
        let _ = timeout(patience, leaving).await;
        let killing = async {
            while self.signal(Signal::Kill).await > 0 {
                sleep(LOOK).await;
            }
        };
        if timeout(KILL_LIMIT, killing).await.is_err() {
            tracing::warn!("some programs that were kept do not die; they are left to the guard");
        }
    }

    async fn signal(&self, signal: Signal) -> usize {
        guard::while_there().await;
        let mark = self.0.mark;
        blocking(move || tree::signal_marked(mark, signal)).await.unwrap_or_else(|| tree::signal_marked(mark, signal))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.used.load(Ordering::SeqCst) && !guard::is_lost() {
            // Nobody can wait here: a fork that is faster than a round gets a few more, and no more than that.
            for _ in 0..5 {
                if tree::signal_marked(self.mark, Signal::Kill) == 0 {
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
    }
}

#[cfg(target_os = "linux")]
use linux::hand_over;

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::BTreeMap, fs};

    use nix::unistd::{Pid, getpgid};

    use super::Kept;
    use crate::process::{
        mark::Mark,
        table::{self, Row, Table, descent},
    };

    /// How often it is looked for children that were forked meanwhile.
    const LOOKS: usize = 20;

    /// Gives the keeper's mark to the programs of these names that are of a process's tree and have left its group.
    pub(super) fn hand_over((leader, mark): (u32, Mark), keepers: Mark, names: &[String]) -> Vec<Kept> {
        let mut kept = BTreeMap::new();
        for _ in 0..LOOKS {
            let Ok(table) = Table::read() else { break };
            let of_tree = table.members(leader, mark).into_iter().filter(|row| has_left(row.pid, leader));
            let chosen: BTreeMap<u32, String> = of_tree.filter_map(|row| Some((row.pid, named(row, names)?))).collect();
            // A child that was forked while its parent was handed over has our mark, and a parent that was kept.
            let is_seed = |row: &Row| chosen.contains_key(&row.pid) || kept.contains_key(&row.parent);
            let theirs = descent(table.rows(), is_seed).into_iter().filter(|row| row.mark == Some(mark));
            let taken = theirs.filter(|row| row.pid != leader && keepers.give(row.pid).is_ok());
            let taken: Vec<u32> = taken.map(|row| row.pid).collect();
            if taken.is_empty() {
                break;
            }
            for pid in taken {
                kept.insert(pid, chosen.get(&pid).cloned());
            }
        }
        kept.into_iter().filter_map(|(pid, name)| Some(Kept { pid, name: name? })).collect()
    }

    /// Whether a signal for the leader's group is none for it.
    fn has_left(pid: u32, leader: u32) -> bool {
        let group = i32::try_from(pid).ok().and_then(|pid| getpgid(Some(Pid::from_raw(pid))).ok());
        group.is_some_and(|group| group.as_raw().cast_unsigned() != leader)
    }

    /// The name under which a process is to be kept: that of its program, or what it calls itself.
    fn named(row: &Row, names: &[String]) -> Option<String> {
        let program = fs::read_link(format!("/proc/{}/exe", row.pid)).ok();
        let program = program.as_deref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
        // So is called what was replaced by an update while it ran.
        let program = program.strip_suffix(" (deleted)").unwrap_or(&program);
        let own = table::name(row);
        names.iter().find(|name| *name == program || **name == own).cloned()
    }
}

/// Nothing can be handed over where nobody carries a mark.
#[cfg(not(target_os = "linux"))]
fn hand_over(_: (u32, Mark), _: Mark, _: &[String]) -> Vec<Kept> {
    Vec::new()
}
