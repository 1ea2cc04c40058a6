//! The control group of an entry: where we may have some the system holds the entry to its limits at every moment, where
//! a look each second finds a burst too late.
//!
//! A child enters its group before it becomes a program, so that nothing of it is ever outside. The looks go on all the
//! same: memory that is shared with others the system counts for whoever asked for it first, and threads like processes,
//! which is not what the limits mean. Where no groups are to be had, as is usual, there are the looks alone.

#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod place;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

#[cfg(target_os = "linux")]
pub(super) use group::{Cgroup, Door, Refusals};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{Cgroup, Door, Refusals};

#[cfg(not(target_os = "linux"))]
mod other {
    use crate::{error::Error, process::Limits};

    /// There is none.
    #[derive(Debug)]
    pub(in crate::process) enum Cgroup {}

    #[derive(Debug)]
    pub(in crate::process) enum Door {}

    #[derive(Debug, Clone)]
    pub(in crate::process) enum Refusals {}

    impl Cgroup {
        pub(in crate::process) fn of(_: Limits) -> Option<(Self, Door)> {
            None
        }

        pub(in crate::process) fn refusals(&self) -> Option<Refusals> {
            match *self {}
        }

        pub(in crate::process) fn exceeded(&self) -> Option<Error> {
            match *self {}
        }

        pub(in crate::process) fn kill(&self) {
            match *self {}
        }

        pub(in crate::process) async fn end(self) {
            match self {}
        }
    }

    impl Refusals {
        pub(in crate::process) fn words(&self) -> Option<String> {
            match *self {}
        }
    }
}
