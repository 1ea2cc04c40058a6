//! What is known of entries before they are up.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    Computer,
    board::{Board, Slot},
    memory::Memory,
};
use crate::{
    name::Namespace,
    source::Face,
    supervisor::{Begin, Handle, Reason, Status},
};

impl Computer {
    /// Keeps in this directory what entries list, and shows it from the next start on before they are up. To be said
    /// before [`start`](Self::start); said again it changes nothing.
    ///
    /// What is kept is known by a hash of the entry's configuration as it is written: no value that a reference stands
    /// for is kept or hashed. The directory is made when there is first something to be kept, for this user alone.
    pub fn remember_in(&self, directory: impl Into<PathBuf>) {
        let _ = self.inner.board.memory.set(Arc::new(Memory::in_directory(directory.into())));
    }

    /// Returns when it is known of each entry what it has, or it has failed at its first try, after `limit` at the
    /// latest. The registry is up to date afterwards.
    pub(crate) async fn listed_within(&self, limit: Duration) {
        let handles = self.handles().into_iter().map(|(_, handle)| handle).collect();
        self.wait_for_lists(handles, limit).await;
    }

    /// [`listed_within`](Self::listed_within) for one entry.
    pub(crate) async fn entry_listed_within(&self, namespace: &Namespace, limit: Duration) {
        self.wait_for_lists(self.inner.board.handle(namespace.as_str()).into_iter().collect(), limit).await;
    }

    async fn wait_for_lists(&self, handles: Vec<Handle<Face>>, limit: Duration) {
        let unlisted: Vec<_> = handles.into_iter().filter(|handle| !is_listed(&handle.status())).collect();
        if limit.is_zero() {
            return;
        }
        let listed = join_all(unlisted.into_iter().map(|handle| async move {
            let _ = handle.watch().wait_for(is_listed).await;
        }));
        let _ = timeout(limit, listed).await;
        self.inner.board.publish();
    }
}

fn is_listed(status: &Status<Face>) -> bool {
    status.is_settled() || status.shown().is_some()
}

impl Board {
    /// How an entry begins, and what is known of it.
    pub(super) fn beginning(&self, slot: &Slot) -> (Begin, Option<Face>) {
        if slot.recipe.config.disabled {
            return (Begin::Held(Reason::Disabled), None);
        }
        if slot.deferred {
            return (Begin::Held(Reason::Deferred), None);
        }
        let known = self.memory.get().and_then(|memory| memory.recall(&slot.recipe));
        let is_unused = known.is_some() && slot.recipe.config.kind.demand().lazy;
        (if is_unused { Begin::Held(Reason::Unused) } else { Begin::Start }, known)
    }
}
