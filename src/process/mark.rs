//! A mark that a process's descendants inherit and practically cannot lose.
//!
//! A process that double-forks, calls `setsid` and clears its environment has cut every ordinary tie to whoever started
//! it. Its resource limits it keeps, over fork and exec. The limit of processor time without a blocking call holds for
//! real-time scheduling alone and is set by hardly any program; a value of ours in it, beyond a hundred thousand years,
//! limits nothing and is the mark. Anybody's can be read without rights beyond the same user.

use std::{
    collections::BTreeMap,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// The mark of one spawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark(u64);

/// What all marks begin with.
const PREFIX: u64 = 0x4d43;
const COUNTER_BITS: u32 = 20;
/// The bit of the counter that tells the marks of keepers.
const KEEPERS: u64 = 1 << (COUNTER_BITS - 1);
const NONCE_BITS: u32 = 28;

/// Tells the marks of hosts apart: of those that run side by side, and of those that ran before.
static NONCE: LazyLock<u64> = LazyLock::new(|| {
    // Without random numbers the id, which is nobody else's at this time, is the best there is.
    let drawn = getrandom::u32().unwrap_or_else(|_| std::process::id());
    u64::from(drawn) & ((1 << NONCE_BITS) - 1)
});

/// What all marks of this process have in common.
pub(super) fn own_tag() -> u64 {
    PREFIX << NONCE_BITS | *NONCE
}

impl Mark {
    /// The next mark of this process.
    pub(super) fn next() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let counter = u64::from(COUNTER.fetch_add(1, Ordering::Relaxed)) % KEEPERS;
        Self(PREFIX << (NONCE_BITS + COUNTER_BITS) | *NONCE << COUNTER_BITS | counter)
    }

    /// The next mark of this process that is for those which outlive what started them.
    pub(super) fn next_keepers() -> Self {
        Self(Self::next().0 | KEEPERS)
    }

    /// Whether whoever carries it belongs to nobody by session or descent any more.
    pub(super) fn is_keepers(self) -> bool {
        self.0 & KEEPERS != 0
    }

    /// What it has in common with all marks that the same process gave.
    pub(super) fn tag(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The first mark of a tag, if it is one.
    pub(super) fn from_tag(tag: u64) -> Option<Self> {
        Self::from_limit(tag.checked_mul(1 << COUNTER_BITS)?)
    }

    /// Whether the mark is one that this process gave.
    pub(super) fn is_ours(self) -> bool {
        self.tag() == own_tag()
    }

    /// Notes which process was started with it.
    pub(super) fn give_to(self, pid: u32) {
        given().insert(pid, self);
    }

    /// Forgets the process that was started with it, unless its id is another's by now.
    pub(super) fn take_from(self, pid: u32) {
        let mut given = given();
        if given.get(&pid) == Some(&self) {
            given.remove(&pid);
        }
    }

    /// The mark with which a process of ours was started.
    pub(super) fn given_to(pid: u32) -> Option<Self> {
        given().get(&pid).copied()
    }

    fn from_limit(limit: u64) -> Option<Self> {
        (limit >> (NONCE_BITS + COUNTER_BITS) == PREFIX).then_some(Self(limit))
    }
}

/// The marks of the processes that somebody owns.
fn given() -> MutexGuard<'static, BTreeMap<u32, Mark>> {
    static GIVEN: Mutex<BTreeMap<u32, Mark>> = Mutex::new(BTreeMap::new());
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(unsafe_code, reason = "the limits of another process are behind a system call without a safe wrapper")]

    use std::{io, ptr};

    use nix::libc;

    use super::Mark;

    impl Mark {
        /// Marks the calling process. Async-signal-safe, for use between fork and exec.
        pub(in crate::process) fn apply(self) -> io::Result<()> {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: `limit` is a valid place for one `rlimit`, and outlives the call.
            if unsafe { libc::getrlimit(libc::RLIMIT_RTTIME, &raw mut limit) } != 0 {
                return Err(io::Error::last_os_error());
            }
            if limit.rlim_max < self.0 {
                // An administrator lowered it: go without. The session and the tree are still there.
                return Ok(());
            }
            limit.rlim_cur = self.0;
            // SAFETY: `limit` is a valid `rlimit`, only read by the call.
            if unsafe { libc::setrlimit(libc::RLIMIT_RTTIME, &raw const limit) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        }

        /// Gives it to a process that is there, in the place of the one that it has.
        pub(in crate::process) fn give(self, pid: u32) -> io::Result<()> {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            let pid = i32::try_from(pid).map_err(io::Error::other)?;
            // SAFETY: `limit` is a valid place for one `rlimit`; with no new limit given the call changes nothing.
            if unsafe { libc::prlimit(pid, libc::RLIMIT_RTTIME, ptr::null(), &raw mut limit) } != 0 {
                return Err(io::Error::last_os_error());
            }
            limit.rlim_cur = self.0;
            // SAFETY: `limit` is a valid `rlimit`, only read by the call, which writes nothing back.
            if unsafe { libc::prlimit(pid, libc::RLIMIT_RTTIME, &raw const limit, ptr::null_mut()) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        }

        /// The mark of a process, if it has one and may be asked.
        pub(in crate::process) fn of(pid: u32) -> Option<Self> {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            let pid = i32::try_from(pid).ok()?;
            // SAFETY: `limit` is a valid place for one `rlimit`; with no new limit given the call changes nothing.
            let result = unsafe { libc::prlimit(pid, libc::RLIMIT_RTTIME, ptr::null(), &raw mut limit) };
            if result == 0 { Self::from_limit(limit.rlim_cur) } else { None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_another_and_all_are_known_as_ours() {
        let (a, b) = (Mark::next(), Mark::next());
        assert_ne!(a, b);
        assert!(a.is_ours() && b.is_ours());
        assert_eq!(Mark::from_limit(a.0), Some(a));
        assert!(!Mark(a.0 ^ 1 << COUNTER_BITS).is_ours());
        let keepers = Mark::next_keepers();
        assert!(keepers.is_ours() && keepers.is_keepers() && !a.is_keepers());
    }

    #[test]
    fn an_ordinary_limit_is_no_mark() {
        for limit in [0, 200_000, u64::MAX, u64::MAX >> 1] {
            assert_eq!(Mark::from_limit(limit), None);
        }
    }
}
