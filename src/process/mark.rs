//! A mark that a process's descendants inherit and practically cannot lose.
//!
//! A process that double-forks, calls `setsid` and clears its environment has cut every ordinary tie to whoever started
//! it. Its resource limits it keeps. The soft limit of bytes in POSIX message queues is one that hardly any program
//! looks at; lowered by a number of ours, out of some 800,000, it is the mark. It is inherited over fork and exec, and
//! anybody's can be read without rights beyond the same user.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// The mark of one spawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u32);

const COUNTER_BITS: u32 = 10;
const NONCE_BITS: u32 = 9;

impl Mark {
    /// The next mark of this process.
    pub(super) fn next() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let counter = COUNTER.fetch_add(1, Ordering::Relaxed) % (1 << COUNTER_BITS);
        Self(nonce() << COUNTER_BITS | counter)
    }

    /// Whether the mark is one that this process gave.
    pub(super) fn is_ours(self) -> bool {
        self.0 >> COUNTER_BITS == nonce()
    }
}

/// Tells the marks of hosts apart that run side by side.
fn nonce() -> u32 {
    process::id().wrapping_mul(2_654_435_761) >> (32 - NONCE_BITS)
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(unsafe_code, reason = "the limits of another process are behind a system call without a safe wrapper")]

    use std::{io, ptr};

    use nix::libc;

    use super::Mark;

    /// The kernel's default, which nearly every process has. Marks count down from it.
    const BASE: u64 = 819_200;

    impl Mark {
        /// Marks the calling process. Async-signal-safe, for use between fork and exec.
        pub(in crate::process) fn apply(self) -> io::Result<()> {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: `limit` is a valid place for one `rlimit`, and outlives the call.
            if unsafe { libc::getrlimit(libc::RLIMIT_MSGQUEUE, &raw mut limit) } != 0 {
                return Err(io::Error::last_os_error());
            }
            let value = BASE - 1 - u64::from(self.0);
            if limit.rlim_max < value {
                // An administrator lowered it: go without. The session and the tree are still there.
                return Ok(());
            }
            limit.rlim_cur = value;
            // SAFETY: `limit` is a valid `rlimit`, only read by the call.
            if unsafe { libc::setrlimit(libc::RLIMIT_MSGQUEUE, &raw const limit) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        }

        /// The mark of a process, if it has one and may be asked.
        pub(in crate::process) fn of(pid: u32) -> Option<Self> {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            let pid = i32::try_from(pid).ok()?;
            // SAFETY: `limit` is a valid place for one `rlimit`; with no new limit given the call changes nothing.
            let result = unsafe { libc::prlimit(pid, libc::RLIMIT_MSGQUEUE, ptr::null(), &raw mut limit) };
            if result != 0 || limit.rlim_cur >= BASE {
                return None;
            }
            let distance = u32::try_from(BASE - 1 - limit.rlim_cur).ok()?;
            (distance < 1 << (super::COUNTER_BITS + super::NONCE_BITS)).then_some(Self(distance))
        }
    }
}
