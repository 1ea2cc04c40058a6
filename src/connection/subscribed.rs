//! What somebody wants to hear of an entry: resources, and log messages. It outlives connections.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// The URIs that somebody wants to hear of, and how many do. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscribed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    uris: Mutex<BTreeMap<String, Wanted>>,
    turn: Semaphore,
    level: Mutex<Option<String>>,
    changed: Notify,
}

impl Default for Inner {
    fn default() -> Self {
        Self { uris: Mutex::default(), turn: Semaphore::new(1), level: Mutex::default(), changed: Notify::new() }
    }
}

#[derive(Debug, Default)]
struct Wanted {
    /// How many want to hear of it.
    count: usize,
    /// Whether the entry has agreed to tell.
    known: bool,
}

/// One more who wants to hear of a resource. Dropping it before it is kept takes that back.
pub(crate) struct Wish {
    subscribed: Subscribed,
    uri: Option<String>,
    known: bool,
}

impl Wish {
    /// Whether the entry has agreed already.
    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    /// The entry has agreed.
    pub(crate) fn keep(mut self) {
        if let Some(uri) = self.uri.take()
            && let Some(wanted) = self.subscribed.uris_locked().get_mut(&uri)
        {
            wanted.known = true;
        }
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        if let Some(uri) = self.uri.take() {
            self.subscribed.remove(&uri);
        }
    }
}

impl Subscribed {
    /// Waits for the right to tell the entry something of this.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.turn.acquire().await.ok()
    }

    /// One more wants to hear of it.
    pub(crate) fn add(&self, uri: &str) -> Wish {
        let mut uris = self.uris_locked();
        let wanted = uris.entry(uri.to_owned()).or_default();
        wanted.count += 1;
        let (first, known) = (wanted.count == 1, wanted.known);
        drop(uris);
        if first {
            self.0.changed.notify_waiters();
        }
        Wish { subscribed: self.clone(), uri: Some(uri.to_owned()), known }
    }

    /// One less wants to hear of it; true when it was the last.
    pub(crate) fn remove(&self, uri: &str) -> bool {
        let mut uris = self.uris_locked();
        let Some(wanted) = uris.get_mut(uri) else { return false };
        wanted.count -= 1;
        let last = wanted.count == 0;
        if last {
            uris.remove(uri);
        }
        drop(uris);
        if last {
            self.0.changed.notify_waiters();
        }
        last
    }

    /// Log messages are wanted from this level on.
    pub(crate) fn set_level(&self, level: &str) {
        *self.0.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level.to_owned());
    }

    /// From which level on log messages are wanted, if anybody has said so.
    pub(super) fn level(&self) -> Option<String> {
        self.0.level.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of them.
    pub(crate) fn uris(&self) -> Vec<String> {
        self.uris_locked().keys().cloned().collect()
    }

    /// Returns when they are others than when this was called.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + use<> {
        let inner = self.0.clone();
        let mut changed = Box::pin(async move { inner.changed.notified().await });
        // What happens between the call and the wait must not be missed: it begins to wait here.
        let _ = futures_util::FutureExt::now_or_never(changed.as_mut());
        changed
    }

    fn uris_locked(&self) -> MutexGuard<'_, BTreeMap<String, Wanted>> {
        self.0.uris.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
