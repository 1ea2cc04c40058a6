//! A child that the caller has started, as a managed program.

use std::io;

use super::{Given, ManagedProcess};
use crate::process::{Process, Running, Stray, Tail};

impl ManagedProcess {
    /// A child that the caller has started: from now on it is ended with the Computer, with all that descends from it,
    /// and what it prints is read where its pipes were left in it. It is not started again when it ends.
    ///
    /// Must be called in a runtime.
    ///
    /// # Errors
    /// It has been waited for already, or the system refused.
    pub fn child(child: impl Into<Stray>) -> io::Result<Self> {
        let (process, pipes) = Process::adopt(child.into())?;
        Ok(Self(Given::Child(Box::new(Running::new(process, pipes, Tail::default())))))
    }
}
