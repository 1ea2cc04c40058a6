//! What is on disk of each run, so that the next one ends what a killed one has left.
//!
//! When a daemon is killed together with its guard, or a program that has none is killed, nobody is there to clean up:
//! the children die by their parent-death signal, but what has escaped them lives on. So a process keeps a record of
//! itself for as long as anything that it started may live, and before it starts anything itself it ends what the dead
//! of the earlier runs have left: see [`sweep`].
//!
//! Without effect elsewhere than on Linux: there are no marks to find anybody by.

#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod sweep;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Hold, keep_in, keep_nothing, swept};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Hold, keep_in, keep_nothing, swept};

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        path::PathBuf,
        sync::{Mutex, MutexGuard, OnceLock, PoisonError},
        time::Duration,
    };

    use tokio::{sync::OnceCell, time::timeout};

    use super::{record::Record, sweep};
    use crate::process::{blocking, mark, tree};

    /// How long the first start waits for the sweep, which needs some milliseconds for what it finds.
    const LIMIT: Duration = Duration::from_secs(3);

    /// None where nothing is kept.
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    static SWEPT: OnceCell<()> = OnceCell::const_new();
    static OURS: Mutex<Ours> = Mutex::new(Ours { holders: 0, file: File::None });

    /// The record of this process.
    struct Ours {
        holders: usize,
        file: File,
    }

    enum File {
        None,
        Written(PathBuf),
        /// It could not be written, which has been said and is not tried again.
        Refused,
    }

    /// Names the directory of the user's state, in which the records are. The first that is named counts.
    pub(crate) fn keep_in(state_home: Option<PathBuf>) {
        if let Some(home) = state_home {
            let _ = DIRECTORY.set(Some(home.join("runs")));
        }
    }

    /// Keeps no record and sweeps nothing, unless a directory was named before: for who only looks.
    pub(crate) fn keep_nothing() {
        let _ = DIRECTORY.set(None);
    }

    /// Ends what dead runs have left, at the first call that comes to its end. Never fails. Cancel safe.
    pub(crate) async fn swept() {
        let Some(Some(directory)) = DIRECTORY.get() else { return };
        let sweeping = || async {
            if timeout(LIMIT, blocking(|| sweep::sweep(directory))).await.is_err() {
                tracing::warn!(directory = %directory.display(), "looking for what earlier runs have left takes too long");
            }
        };
        SWEPT.get_or_init(sweeping).await;
    }

    /// Keeps the record of this process, once there is one.
    #[derive(Debug)]
    pub(crate) struct Hold(());

    impl Hold {
        pub(crate) fn new() -> Self {
            ours().holders += 1;
            Self(())
        }

        /// With a record, written now unless there is one.
        pub(in crate::process) fn recorded() -> Self {
            let hold = Self::new();
            let mut ours = ours();
            if let (File::None, Some(Some(directory))) = (&ours.file, DIRECTORY.get()) {
                ours.file = match Record::own().and_then(|record| record.write(directory)) {
                    Ok(path) => File::Written(path),
                    Err(error) => {
                        // Nothing that works depends on it.
                        tracing::debug!(directory = %directory.display(), %error, "there will be no record of this run");
                        File::Refused
                    }
                };
            }
            hold
        }
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            let mut ours = ours();
            ours.holders -= 1;
            // What was killed may still be about to die, or has escaped a single blow: then the next run looks after it.
            if ours.holders == 0
                && let File::Written(path) = &ours.file
                && tree::nobody_is_left_by(mark::own_tag(), Duration::ZERO)
            {
                // Who has removed it already has done what was wanted.
                let _ = std::fs::remove_file(path);
                ours.file = File::None;
            }
        }
    }

    fn ours() -> MutexGuard<'static, Ours> {
        OURS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::path::PathBuf;

    pub(crate) fn keep_in(_: Option<PathBuf>) {}

    pub(crate) fn keep_nothing() {}

    pub(crate) async fn swept() {}

    #[derive(Debug)]
    pub(crate) struct Hold(());

    impl Hold {
        pub(crate) fn new() -> Self {
            Self(())
        }

        pub(in crate::process) fn recorded() -> Self {
            Self(())
        }
    }
}
