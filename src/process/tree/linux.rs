//! Who belongs to whom, by session, descent and mark.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    time::Duration,
};

use nix::{
    sys::signal::{Signal as Sig, kill, killpg},
    unistd::{Pid, Uid},
};

use super::{
    Signal,
    look::look_for,
    pidfd::{self, pidfd},
};
use crate::process::{
    mark::Mark,
    table::{self, Row, descent},
};

/// The living members of a process's tree: its session, its descendants, and whoever carries its mark.
pub(in crate::process) fn members(pid: u32, mark: Mark) -> Vec<u32> {
    // Not being able to look is not the same as finding nobody.
    of_tree(pid, mark, |_| ()).unwrap_or_else(|_| vec![pid])
}

/// Signals the members, and returns how many there were.
pub(in crate::process) fn signal(pid: u32, mark: Mark, signal: Signal) -> usize {
    // The group first: the system may be too short of descriptors to tell who else there is.
    send_group(pid, signal);
    let at_once = |row: &Row| {
        if signal == Signal::Kill {
            send(row.pid, signal);
        }
    };
    let members = of_tree(pid, mark, at_once).unwrap_or_else(|_| vec![pid]);
    for member in &members {
        send(*member, signal);
    }
    members.len()
}

/// Asks a leader that is not reaped yet to leave; nobody else of its tree is told.
pub(in crate::process) fn ask(leader: u32, signal: Signal) {
    send(leader, signal);
}

fn of_tree(pid: u32, mark: Mark, met: impl FnMut(&Row)) -> io::Result<Vec<u32>> {
    // Most often the leader has ended before anybody asks.
    let dead = matches!(table::read(pid), Ok(Some(leader)) if leader.zombie).then_some(pid);
    living(dead.into_iter().collect(), |row| row.belongs_to(pid, mark), met)
}

/// Signals whoever carries a mark, with all that descends from it, and returns how many there were.
pub(in crate::process) fn signal_marked(mark: Mark, signal: Signal) -> usize {
    let marked = living(HashSet::new(), |row| row.mark == Some(mark), |_| ()).unwrap_or_default();
    for pid in &marked {
        send(*pid, signal);
    }
    marked.len()
}

/// Kills every descendant of this process and all that carries a mark of ours, or of the daemon's for the guard. Whether
/// nobody was there.
///
/// # Errors
/// Nobody can tell who is there.
pub(in crate::process) fn kill_all_of_ours() -> io::Result<bool> {
    let own = std::process::id();
    let is_seed = |row: &Row| row.parent == own || row.mark.is_some_and(Mark::is_ours);
    let members = living(HashSet::new(), is_seed, |row| send(row.pid, Signal::Kill))?;
    for member in &members {
        send(*member, Signal::Kill);
    }
    Ok(members.is_empty())
}

/// The living processes that are seeds, with all their descendants; never ourselves, never the guard. Seeds are `met` at
/// once: a process that does not stay for long is not there any more when all have been read about.
fn living(dead: HashSet<u32>, is_seed: impl Fn(&Row) -> bool, mut met: impl FnMut(&Row)) -> io::Result<Vec<u32>> {
    let met = |row: &Row| {
        if is_seed(row) && !row.zombie && !row.is_spared() {
            met(row);
        }
    };
    let picked = |all: &[Row]| descent(all, &is_seed).into_iter().copied().collect();
    Ok(look_for(dead, met, picked)?.into_iter().map(|row| row.pid).collect())
}

/// Who was killed: names by pid.
pub(in crate::process) type Ended = BTreeMap<u32, String>;

/// Kills the living processes of our user that carry a mark of this tag and are no older than `since`; never ourselves,
/// never the guard. Whether nobody was there.
///
/// # Errors
/// Nobody can tell who is there.
pub(in crate::process) fn kill_left_by(tag: u64, since: Duration, ended: &mut Ended) -> io::Result<bool> {
    let met = |row: &Row| {
        if is_left_by(row, tag, since) && !row.zombie {
            ended.extend(kill_exactly(*row).map(|name| (row.pid, name)));
        }
    };
    let left =
        look_for(HashSet::new(), met, |all| all.iter().filter(|row| is_left_by(row, tag, since)).copied().collect());
    Ok(left?.is_empty())
}

/// Whether it is certain that [`kill_left_by`] would find nobody.
pub(in crate::process) fn nobody_is_left_by(tag: u64, since: Duration) -> bool {
    let left =
        look_for(HashSet::new(), |_| (), |all| all.iter().filter(|row| is_left_by(row, tag, since)).copied().collect());
    left.is_ok_and(|left| left.is_empty())
}

fn is_left_by(row: &Row, tag: u64, since: Duration) -> bool {
    let is_marked = row.mark.is_some_and(|mark| mark.tag() == tag) && row.start >= since;
    // One that has just ended may have left a child: it counts until the next look.
    is_marked && !row.is_spared() && (row.zombie || owner(row.pid).is_none_or(|uid| uid == Uid::current()))
}

/// Kills this very process, and nobody who has got its id since; its name if it was there.
fn kill_exactly(row: Row) -> Option<String> {
    let pidfd = pidfd(row.pid).ok()?;
    let now = table::row(row.pid)?;
    if (now.start, now.mark) != (row.start, row.mark) {
        return None;
    }
    let name = table::name(&row);
    pidfd::kill(&pidfd).ok()?;
    Some(name)
}

/// Whose process it is.
fn owner(pid: u32) -> Option<Uid> {
    table::number(pid, "status", "Uid:").map(Uid::from_raw)
}

/// Signals the group of a leader that is not reaped yet.
fn send_group(leader: u32, signal: Signal) {
    let signal = number(signal);
    if let Ok(leader) = i32::try_from(leader) {
        // A group that is gone already is what was wanted.
        let _ = killpg(Pid::from_raw(leader), signal);
    }
}

fn send(pid: u32, signal: Signal) {
    let Ok(pid) = i32::try_from(pid) else { return };
    // A process that is gone already is what was wanted.
    let _ = kill(Pid::from_raw(pid), number(signal));
    if signal != Signal::Kill {
        // A stopped process takes any other only when it goes on.
        let _ = kill(Pid::from_raw(pid), Sig::SIGCONT);
    }
}

fn number(signal: Signal) -> Sig {
    match signal {
        Signal::Int => Sig::SIGINT,
        Signal::Term => Sig::SIGTERM,
        Signal::Kill => Sig::SIGKILL,
    }
}
