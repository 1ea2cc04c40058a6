//! Programs that somebody wants to stay when what they were started by ends: they are the user's from then on.

/// A process that was let go: nothing of ours ends it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) pid: u32,
    /// The name by which it was to be kept.
    pub(crate) name: String,
}

#[cfg(target_os = "linux")]
pub(super) use linux::let_go;

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

    /// Lets the programs of these names go that are of a process's tree and have left its group, as daemons do, with
    /// all that descends from them.
    pub(in crate::process) fn let_go(leader: u32, mark: Mark, names: &[String]) -> Vec<Kept> {
        let mut kept = BTreeMap::new();
        for _ in 0..LOOKS {
            let Ok(table) = Table::read() else { break };
            let of_tree = table.members(leader, mark).into_iter().filter(|row| has_left(row.pid, leader));
            let chosen: BTreeMap<u32, String> = of_tree.filter_map(|row| Some((row.pid, named(row, names)?))).collect();
            // A child that it forked while it was let go still has our mark.
            let is_seed =
                |row: &Row| chosen.contains_key(&row.pid) || row.mark == Some(mark) && kept.contains_key(&row.parent);
            let freed = descent(table.rows(), is_seed).into_iter().filter(|row| row.mark == Some(mark));
            let freed = freed.filter(|row| row.pid != leader && Mark::LET_GO.give(row.pid).is_ok());
            let freed: Vec<u32> = freed.map(|row| row.pid).collect();
            if freed.is_empty() {
                break;
            }
            for pid in freed {
                kept.entry(pid).or_insert_with(|| chosen.get(&pid).cloned());
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

/// Nobody can be let go where nobody carries a mark.
#[cfg(not(target_os = "linux"))]
pub(super) fn let_go(_: u32, _: super::mark::Mark, _: &[String]) -> Vec<Kept> {
    Vec::new()
}
