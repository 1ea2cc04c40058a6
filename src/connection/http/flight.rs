//! Work that is done once for all who want it at the same time.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

/// At most one run of a piece of work at a time: whoever comes while it runs waits for that run.
///
/// The work lives as long as somebody waits for it.
pub(super) struct Flight<T: Clone>(Mutex<Option<WeakShared<BoxFuture<'static, T>>>>);

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Joins the run that is under way, or begins one.
    pub(super) async fn join<F: Future<Output = T> + Send + 'static>(&self, work: impl FnOnce() -> F) -> T {
        let shared: Shared<BoxFuture<'static, T>> = {
            let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let current = running.as_ref().and_then(WeakShared::upgrade).filter(|shared| shared.peek().is_none());
            let shared = current.unwrap_or_else(|| work().boxed().shared());
            *running = shared.downgrade();
            shared
        };
        shared.await
    }
}
