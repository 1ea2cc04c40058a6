//! Starting a program as the standard library does.
#![expect(unsafe_code, reason = "what happens between fork and exec has no safe form")]

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Stdio,
};

use tokio::process::{Child, Command};

use super::{Bounds, Spawn};
use crate::process::{mark::Mark, open_files, terminal};

/// Starts a program as a session leader that keeps to its limits; `files` become its first three.
pub(in crate::process) fn spawn(spawn: &Spawn, files: [OwnedFd; 3], (_, bounds): (Mark, Bounds)) -> io::Result<Child> {
    let mut command = Command::new(&spawn.program);
    command.args(&spawn.args).env_clear().envs(spawn.env.iter().map(|(name, value)| (name, value)));
    let [stdin, stdout, stderr] = files.map(Stdio::from);
    command.current_dir(&spawn.cwd).stdin(stdin).stdout(stdout).stderr(stderr);
    let (bounds, _, has_terminal) = bounds;
    // SAFETY: the closure makes system calls only: it allocates nothing and takes no lock.
    unsafe {
        command.as_std_mut().pre_exec(move || {
            nix::unistd::setsid()?;
            bounds.into_iter().flatten().try_for_each(open_files::Bound::apply)?;
            if has_terminal { terminal::take_control() } else { Ok(()) }
        });
    }
    // The command holds the child's ends of the pipes: they go with it.
    command.spawn()
}
