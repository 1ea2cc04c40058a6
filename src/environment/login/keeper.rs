//! Keeps the user's environment, and asks for it again when it may be another.

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::{Asked, LoginEnvironment};
use crate::environment::startup::{self, Fingerprint};

/// How old an answer may be before the start-up files are looked at again. Looking costs some 30 `stat` calls.
const RECHECK: Duration = Duration::from_secs(1);

/// How old an answer may be before the shell is asked again, though its start-up files are as they were: they may read
/// others.
const OLD: Duration = Duration::from_secs(600);

pub(super) static KEPT: Keeper = Keeper::new(RECHECK, OLD);

/// Those who ask again while the old answer serves.
static ASKING: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Keeps an answer for as long as the start-up files stay as they were.
pub(super) struct Keeper {
    kept: Mutex<Option<Snapshot>>,
    /// The latest answer, for who does not wait.
    latest: RwLock<Option<Arc<LoginEnvironment>>>,
    recheck: Duration,
    old: Duration,
    /// Whether somebody asks again in the background.
    asking: AtomicBool,
    /// Whether the answer that is kept counts for nothing any more.
    outdated: AtomicBool,
}

struct Snapshot {
    environment: Arc<LoginEnvironment>,
    files: Vec<PathBuf>,
    fingerprint: Fingerprint,
    taken: Instant,
    checked: Instant,
}

/// What is to be thought of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Current,
    /// It serves until there is another.
    Old,
    /// The start-up files say something else.
    Outdated,
}

impl Keeper {
    pub(super) const fn new(recheck: Duration, old: Duration) -> Self {
        Self {
            kept: Mutex::const_new(None),
            latest: RwLock::new(None),
            recheck,
            old,
            asking: AtomicBool::new(false),
            outdated: AtomicBool::new(false),
        }
    }

    /// The answer that holds now; asks when there is none. An old one serves while it is asked for again.
    pub(super) async fn get(&'static self, asked: impl FnOnce() -> Asked + Send + 'static) -> Arc<LoginEnvironment> {
        match self.look().await {
            Some((environment, Worth::Current)) => environment,
            Some((environment, Worth::Old)) => {
                self.ask_in_background(asked);
                environment
            }
            Some((_, Worth::Outdated)) | None => self.renew(asked).await,
        }
    }

    /// The latest answer there is, without waiting for a shell; `None` when none was ever asked. When it may be another
    /// by now, that is found out in the background.
    pub(super) fn latest(
        &'static self,
        asked: impl FnOnce() -> Asked + Send + 'static,
    ) -> Option<Arc<LoginEnvironment>> {
        // Whoever holds it is asking.
        if let Ok(mut kept) = self.kept.try_lock()
            && let Some(snapshot) = kept.as_mut()
            && self.worth(snapshot) != Worth::Current
        {
            drop(kept);
            self.ask_in_background(asked);
        }
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the next who asks get a new answer.
    pub(super) fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    async fn look(&self) -> Option<(Arc<LoginEnvironment>, Worth)> {
        let mut kept = self.kept.lock().await;
        let snapshot = kept.as_mut()?;
        Some((snapshot.environment.clone(), self.worth(snapshot)))
    }

    fn worth(&self, snapshot: &mut Snapshot) -> Worth {
        if self.outdated.load(Ordering::Acquire) {
            return Worth::Outdated;
        }
        snapshot.worth(self.recheck, self.old)
    }

    fn ask_in_background(&'static self, asked: impl FnOnce() -> Asked + Send + 'static) {
        if !self.asking.swap(true, Ordering::AcqRel) {
            ASKING.spawn(async move {
                let _ = self.renew(asked).await;
                self.asking.store(false, Ordering::Release);
            });
        }
    }

    // The lock is held while the shell runs: those who ask meanwhile want this very answer.
    async fn renew(&self, asked: impl FnOnce() -> Asked) -> Arc<LoginEnvironment> {
        let before = Instant::now();
        let mut kept = self.kept.lock().await;
        if let Some(snapshot) = kept.as_ref()
            && snapshot.taken > before
        {
            return snapshot.environment.clone();
        }
        self.outdated.store(false, Ordering::Release);
        let fresh = Snapshot::take(&asked()).await;
        let environment = fresh.environment.clone();
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Some(environment.clone());
        *kept = Some(fresh);
        environment
    }
}

impl Snapshot {
    async fn take(asked: &Asked) -> Self {
        let mut files = startup::files(&asked.base);
        // Before the shell reads them: a change made while it does must be noticed later.
        let mut fingerprint = startup::fingerprint(&files);
        let environment = Arc::new(asked.environment().await);
        // `.zshenv` may have said only now where the others are.
        let mut more = startup::files(&environment.variables);
        more.retain(|file| !files.contains(file));
        fingerprint.extend(startup::fingerprint(&more));
        files.append(&mut more);
        let now = Instant::now();
        Self { environment, files, fingerprint, taken: now, checked: now }
    }

    fn worth(&mut self, recheck: Duration, old: Duration) -> Worth {
        if self.checked.elapsed() >= recheck {
            if startup::fingerprint(&self.files) != self.fingerprint {
                return Worth::Outdated;
            }
            self.checked = Instant::now();
        }
        if self.taken.elapsed() < old { Worth::Current } else { Worth::Old }
    }
}
