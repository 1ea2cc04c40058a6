//! How many files a process may have open: more for us, what it was before for what we start.

use std::{io, sync::OnceLock};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Our soft limit before it was raised.
static BEFORE: OnceLock<rlim_t> = OnceLock::new();

/// What a system takes that refuses the number it calls its own limit.
const MODEST: rlim_t = 10_240;

/// Lets this process have as many files open as the system allows it. Each entry takes some for its pipes.
///
/// What is started from here on gets what this process had before: a program that waits with `select` breaks when it
/// may have more than 1,024. A program that embeds the library may call it or not.
pub fn raise_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft >= hard {
        return;
    }
    // Before it holds: no child may get more, whoever starts one meanwhile.
    BEFORE.get_or_init(|| soft);
    let _ = [hard, MODEST.clamp(soft, hard)].iter().any(|most| setrlimit(Resource::RLIMIT_NOFILE, *most, hard).is_ok());
}

/// A limit for a child, soft and hard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    resource: Resource,
    soft: rlim_t,
    hard: rlim_t,
}

impl Bound {
    /// A limit that is no higher than our own.
    pub(super) fn within_ours(resource: Resource, soft: rlim_t, hard: rlim_t) -> Self {
        let most = most(resource);
        Self { resource, soft: soft.min(most), hard: hard.min(most) }
    }

    /// The open files of a child that nothing is said of, when it must not have what we have.
    pub(super) fn before() -> Option<Self> {
        let soft = *BEFORE.get()?;
        Some(Self::within_ours(Resource::RLIMIT_NOFILE, soft, rlim_t::MAX))
    }

    /// Sets it for the calling process. Async-signal-safe, for use between fork and exec.
    pub(super) fn apply(self) -> io::Result<()> {
        setrlimit(self.resource, self.soft, self.hard).map_err(io::Error::from)
    }
}

/// Keeps what this process has open from the program that it is about to become, but for the first three. We may have
/// been started with files of somebody who forgot them: a lock or a connection would live on with the child.
/// Async-signal-safe, for use between fork and exec.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system call has no safe form")]
pub(super) fn keep_to_the_standard_ones() {
    use nix::libc;
    // SAFETY: nothing is closed before the exec, and no memory is touched. A kernel that does not know it changes
    // nothing.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// How many files this process may come to have open; none when the system does not tell.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard)
}

/// Our own hard limit.
pub(super) fn most(resource: Resource) -> rlim_t {
    getrlimit(resource).map_or(rlim_t::MAX, |(_, hard)| hard)
}
