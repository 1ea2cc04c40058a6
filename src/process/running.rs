//! A process that runs, and all that it says.

use std::process::ExitStatus;

use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{Pipes, Process, Tail};
use crate::shutdown::Grace;

/// A process with what it prints: its only owner. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    tail: Tail,
    _output: [AbortOnDropHandle<()>; 2],
}

impl Running {
    /// Begins to listen: what is printed goes into `tail`.
    pub(crate) fn new(process: Process, pipes: Pipes, tail: Tail) -> Self {
        let tasks = TaskTracker::new();
        let output = [
            AbortOnDropHandle::new(tasks.spawn(tail.clone().follow(pipes.stderr))),
            AbortOnDropHandle::new(tasks.spawn(tail.clone().follow_too(pipes.stdout))),
        ];
        Self { process, tail, _output: output }
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Returns when it has ended. Cancel safe.
    pub(crate) async fn exited(&self) -> Option<ExitStatus> {
        self.process.exited().await
    }

    /// See [`Process::leave`].
    pub(crate) async fn leave(self, grace: Grace) -> Option<ExitStatus> {
        self.process.leave(grace).await
    }
}
