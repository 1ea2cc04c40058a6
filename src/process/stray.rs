//! Children that somebody else in this program has started, taken over from then on.

use std::{io, os::fd::OwnedFd, time::Instant};

use tokio::runtime::Handle;

use super::{Pipes, Process, Reader, leader::Leader, limits::Limits, mark::Mark, runs::Hold};

/// A child that was started elsewhere, by the standard library or by tokio.
#[derive(Debug)]
pub enum Stray {
    /// One of the standard library's.
    Std(std::process::Child),
    /// One of tokio's.
    Tokio(Box<tokio::process::Child>),
}

impl From<std::process::Child> for Stray {
    fn from(child: std::process::Child) -> Self {
        Self::Std(child)
    }
}

impl From<tokio::process::Child> for Stray {
    fn from(child: tokio::process::Child) -> Self {
        Self::Tokio(Box::new(child))
    }
}

impl Process {
    /// Takes over a child: its tree is known by descent, and by a mark from now on; what has escaped it before is not.
    /// Of its output what was piped and not taken by anybody is ours to read; its stdin is closed.
    ///
    /// # Errors
    /// It has been waited for already, or the system refused.
    pub(crate) fn adopt(stray: Stray) -> io::Result<(Self, Pipes)> {
        Handle::try_current().map_err(io::Error::other)?;
        let hold = Hold::recorded();
        let mark = Mark::next();
        let (leader, pipes) = Leader::adopt(stray)?;
        let pid = leader.pid();
        #[cfg(target_os = "linux")]
        give_to_all(mark, pid);
        let (begun, limits) = (Instant::now(), Limits::default());
        let process = Self { pid, mark, begun, limits, leader: Some(leader), cgroup: None, _hold: hold };
        mark.give_to(pid);
        Ok((process, pipes))
    }
}

/// What is there to be read of a child.
pub(super) fn pipes(stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) -> io::Result<Pipes> {
    let stdout = stdout.map_or_else(Reader::empty, Reader::of_pipe)?;
    let stderr = stderr.map_or_else(Reader::empty, Reader::of_pipe)?;
    Ok(Pipes { stdin: None, stdout, stderr, terminal: None })
}

/// Gives a mark to a process and to all that descends from it. The process has it first, so that what it starts from then
/// on inherits it; what others of them start while this looks is found by looking again.
#[cfg(target_os = "linux")]
fn give_to_all(mark: Mark, pid: u32) {
    const ROUNDS: usize = 16;
    // One that has gone meanwhile needs none.
    let _ = mark.give(pid);
    for _ in 0..ROUNDS {
        let members = super::tree::members(pid, mark);
        let without: Vec<u32> = members.into_iter().filter(|member| Mark::of(*member) != Some(mark)).collect();
        if without.is_empty() {
            return;
        }
        for member in without {
            let _ = mark.give(member);
        }
    }
}
