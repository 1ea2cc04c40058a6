//! Without a table of processes at hand: only the group of the leader is known, which stands for its members.

use nix::{
    sys::signal::{Signal as Sig, killpg},
    unistd::Pid,
};

use super::Signal;
use crate::process::mark::Mark;

/// The leader, if anybody of its group lives.
pub(in crate::process) fn members(pid: u32, _: Mark) -> Vec<u32> {
    let group = i32::try_from(pid).map(Pid::from_raw);
    group.is_ok_and(|group| killpg(group, None).is_ok()).then_some(pid).into_iter().collect()
}

/// Signals the group, and returns whether there was anybody, as a number.
pub(in crate::process) fn signal(pid: u32, mark: Mark, signal: Signal) -> usize {
    let members = members(pid, mark);
    for member in members.iter().filter_map(|pid| i32::try_from(*pid).ok()) {
        let signal = if signal == Signal::Kill { Sig::SIGKILL } else { Sig::SIGTERM };
        // A group that is gone already is what was wanted.
        let _ = killpg(Pid::from_raw(member), signal);
    }
    members.len()
}

/// Asks a leader to leave.
pub(in crate::process) fn ask(leader: u32, signal: Signal) {
    let signal = match signal {
        Signal::Int => Sig::SIGINT,
        Signal::Term => Sig::SIGTERM,
        Signal::Kill => Sig::SIGKILL,
    };
    if let Ok(leader) = i32::try_from(leader) {
        // One that is gone already is what was wanted.
        let _ = nix::sys::signal::kill(Pid::from_raw(leader), signal);
    }
}

/// Nobody carries a mark.
pub(in crate::process) fn signal_marked(_: Mark, _: Signal) -> usize {
    0
}
