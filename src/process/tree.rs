//! Finding and signalling all that descends from a process, from what the system says of every process.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod look;
#[cfg(all(unix, not(target_os = "linux")))]
mod other;
#[cfg(target_os = "linux")]
mod pidfd;
#[cfg(target_os = "linux")]
mod recent;

#[cfg(target_os = "linux")]
pub(super) use {
    linux::{Ended, ask, kill_all_of_ours, kill_left_by, members, nobody_is_left_by, signal, signal_marked},
    look::is_dying,
    pidfd::{ExitWatch, pidfd},
    recent::recent_members,
};

#[cfg(all(unix, not(target_os = "linux")))]
pub(super) use other::{ask, members, signal, signal_marked};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Int,
    Term,
    Kill,
}
