//! Who belongs to a process that was started a moment ago: ids are given in turn, so few can.

use crate::process::{
    mark::Mark,
    table::{self, descent},
};

/// How many ids are looked at, at most: as many as a short command takes.
const MOST: u32 = 24;

/// The living members of the tree of a process that was started so recently that the system cannot have given all its
/// ids once since. `None` when that cannot be told at a small cost.
pub(in crate::process) fn recent_members(pid: u32, mark: Mark) -> Option<Vec<u32>> {
    let last = table::last_pid()?;
    if last.checked_sub(pid)? > MOST {
        return None;
    }
    let mut rows = Vec::new();
    for id in pid..=last {
        rows.extend(table::read(id).ok()?);
    }
    // Whoever came to be meanwhile may be the child of one that had gone when it was its turn.
    if table::last_pid()? != last {
        return None;
    }
    let members = descent(&rows, |row| row.belongs_to(pid, mark)).into_iter();
    Some(members.filter(|row| !row.zombie && is_process(row.pid)).map(|row| row.pid).collect())
}

/// Threads have ids like processes, and are read about like them.
fn is_process(id: u32) -> bool {
    table::number(id, "status", "Tgid:") == Some(id)
}
