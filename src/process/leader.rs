//! The direct child at the root of a process: told when it has ended, and reaped.

#[cfg(target_os = "linux")]
pub(super) use linux::Leader;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Leader;

#[cfg(target_os = "linux")]
mod linux {
    use std::{io, process::ExitStatus};

    use crate::process::{Pipes, Stray, spawner, stray, tree::ExitWatch};

    /// A child of ours that is not reaped yet, so that its ids are nobody else's. Dropping it leaves it to the one reaper.
    #[derive(Debug)]
    pub(in crate::process) struct Leader {
        pid: u32,
        exit: ExitWatch,
        is_reaped: bool,
        /// Who else believes to own it, and has it reaped when it is dropped.
        of_tokio: Option<Box<tokio::process::Child>>,
    }

    impl Leader {
        /// Whoever cannot have it leaves the child unreaped.
        pub(in crate::process) fn of(pid: u32) -> io::Result<Self> {
            Ok(Self { pid, exit: ExitWatch::new(pid)?, is_reaped: false, of_tokio: None })
        }

        /// A child that was started elsewhere, and what is there to be read of it.
        pub(in crate::process) fn adopt(stray: Stray) -> io::Result<(Self, Pipes)> {
            match stray {
                Stray::Std(mut child) => {
                    if child.try_wait()?.is_some() {
                        return Err(has_ended());
                    }
                    let pipes = stray::pipes(child.stdout.take().map(Into::into), child.stderr.take().map(Into::into))?;
                    // What is left of it is its stdin, and nobody who would write there.
                    Ok((Self::of(child.id())?, pipes))
                }
                Stray::Tokio(mut child) => {
                    // None once it has been waited for.
                    let pid = child.id().ok_or_else(has_ended)?;
                    let stdout = child.stdout.take().map(tokio::process::ChildStdout::into_owned_fd).transpose()?;
                    let stderr = child.stderr.take().map(tokio::process::ChildStderr::into_owned_fd).transpose()?;
                    drop(child.stdin.take());
                    let leader = Self { pid, exit: ExitWatch::new(pid)?, is_reaped: false, of_tokio: Some(child) };
                    Ok((leader, stray::pipes(stdout, stderr)?))
                }
            }
        }

        pub(in crate::process) fn pid(&self) -> u32 {
            self.pid
        }

        /// Returns when it has ended, without reaping it. Cancel safe.
        pub(in crate::process) async fn exited(&self) -> Option<ExitStatus> {
            self.exit.wait(self.pid).await
        }

        /// Returns when it has ended and is reaped. Cancel safe: what is given up is left to the one reaper.
        pub(in crate::process) async fn reap(mut self) -> Option<ExitStatus> {
            let status = self.exit.wait(self.pid).await;
            self.is_reaped = match &mut self.of_tokio {
                Some(child) => child.wait().await.is_ok(),
                None => spawner::reap(self.pid),
            };
            status
        }
    }

    fn has_ended() -> io::Error {
        io::Error::other("the child has ended already")
    }

    impl Drop for Leader {
        fn drop(&mut self) {
            if !self.is_reaped && self.of_tokio.is_none() {
                spawner::leave_to_reaper(self.pid);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::{io, process::ExitStatus};

    use tokio::{process::Child, sync::Mutex};

    use crate::process::{Pipes, Stray, stray};

    /// A child of ours. Dropping it leaves it to the runtime's reaper.
    #[derive(Debug)]
    pub(in crate::process) struct Leader {
        pid: u32,
        child: Mutex<Child>,
    }

    impl Leader {
        pub(in crate::process) fn of(child: Child) -> io::Result<Self> {
            let pid = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
            Ok(Self { pid, child: Mutex::new(child) })
        }

        /// A child that was started elsewhere, and what is there to be read of it.
        pub(in crate::process) fn adopt(stray: Stray) -> io::Result<(Self, Pipes)> {
            let Stray::Tokio(mut child) = stray else {
                return Err(io::Error::other("on this system only children of tokio can be managed"));
            };
            let stdout = child.stdout.take().map(tokio::process::ChildStdout::into_owned_fd).transpose()?;
            let stderr = child.stderr.take().map(tokio::process::ChildStderr::into_owned_fd).transpose()?;
            drop(child.stdin.take());
            Ok((Self::of(*child)?, stray::pipes(stdout, stderr)?))
        }

        pub(in crate::process) fn pid(&self) -> u32 {
            self.pid
        }

        /// Returns when it has ended. Cancel safe.
        pub(in crate::process) async fn exited(&self) -> Option<ExitStatus> {
            self.child.lock().await.wait().await.ok()
        }

        /// Returns when it has ended and is reaped. Cancel safe.
        pub(in crate::process) async fn reap(self) -> Option<ExitStatus> {
            self.child.lock().await.wait().await.ok()
        }
    }
}
