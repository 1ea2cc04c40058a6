//! The direct child at the root of a process: told when it has ended, and reaped.

#[cfg(target_os = "linux")]
pub(super) use linux::Leader;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Leader;

#[cfg(target_os = "linux")]
mod linux {
    use std::{io, process::ExitStatus};

    use crate::process::{spawner, tree::ExitWatch};

    /// A child of ours that is not reaped yet, so that its ids are nobody else's. Dropping it leaves it to the one reaper.
    #[derive(Debug)]
    pub(in crate::process) struct Leader {
        pid: u32,
        exit: ExitWatch,
        is_reaped: bool,
    }

    impl Leader {
        /// Whoever cannot have it leaves the child unreaped.
        pub(in crate::process) fn of(pid: u32) -> io::Result<Self> {
            Ok(Self { pid, exit: ExitWatch::new(pid)?, is_reaped: false })
        }

        pub(in crate::process) fn pid(&self) -> u32 {
            self.pid
        }

        /// Returns when it has ended, without reaping it. Cancel safe.
        pub(in crate::process) async fn exited(&mut self) -> Option<ExitStatus> {
            self.exit.wait(self.pid).await
        }

        /// Returns when it has ended and is reaped. Cancel safe: what is given up is left to the one reaper.
        pub(in crate::process) async fn reap(mut self) -> Option<ExitStatus> {
            let status = self.exit.wait(self.pid).await;
            self.is_reaped = spawner::reap(self.pid);
            status
        }
    }

    impl Drop for Leader {
        fn drop(&mut self) {
            if !self.is_reaped {
                spawner::leave_to_reaper(self.pid);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::{io, process::ExitStatus};

    use tokio::process::Child;

    /// A child of ours. Dropping it leaves it to the runtime's reaper.
    #[derive(Debug)]
    pub(in crate::process) struct Leader {
        pid: u32,
        child: Child,
    }

    impl Leader {
        pub(in crate::process) fn of(child: Child) -> io::Result<Self> {
            let pid = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
            Ok(Self { pid, child })
        }

        pub(in crate::process) fn pid(&self) -> u32 {
            self.pid
        }

        /// Returns when it has ended. Cancel safe.
        pub(in crate::process) async fn exited(&mut self) -> Option<ExitStatus> {
            self.child.wait().await.ok()
        }

        /// Returns when it has ended and is reaped. Cancel safe.
        pub(in crate::process) async fn reap(mut self) -> Option<ExitStatus> {
            self.child.wait().await.ok()
        }
    }
}
