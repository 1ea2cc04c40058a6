//! What somebody wants to hear of an entry: resources, and log messages. It outlives connections.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// The URIs that somebody wants to hear of, and how many do. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscribed(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    uris: Mutex<BTreeMap<String, usize>>,
    level: Mutex<Option<String>>,
    changed: Notify,
}

impl Subscribed {
    /// One more wants to hear of it; true when it is the first.
    pub(crate) fn add(&self, uri: &str) -> bool {
        let mut uris = self.uris_locked();
        let count = uris.entry(uri.to_owned()).or_default();
        *count += 1;
        let first = *count == 1;
        drop(uris);
        if first {
            self.0.changed.notify_waiters();
        }
        first
    }

    /// One less wants to hear of it; true when it was the last.
    pub(crate) fn remove(&self, uri: &str) -> bool {
        let mut uris = self.uris_locked();
        let Some(count) = uris.get_mut(uri) else { return false };
        *count -= 1;
        let last = *count == 0;
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
    pub(super) fn uris(&self) -> Vec<String> {
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

    fn uris_locked(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.uris.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
