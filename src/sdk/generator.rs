//! A stream that an async function fills: the function runs only while somebody waits for the next item, and ends where
//! it is when the stream is dropped.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures_util::stream::Stream;

/// Where the function puts what it has.
pub(super) struct Outlet<T>(Slot<T>);

type Slot<T> = Arc<Mutex<Option<T>>>;

impl<T> Outlet<T> {
    /// Gives an item to whoever waits, and returns when the next one is wanted.
    pub(super) async fn give(&self, item: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
        let mut given = false;
        // Whoever has taken the item polls again; nobody has to be woken for that.
        poll_fn(|_| if std::mem::replace(&mut given, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// The stream.
pub(super) struct Generator<T> {
    run: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    slot: Slot<T>,
}

impl<T: Send + 'static> Generator<T> {
    /// What `run` gives.
    pub(super) fn new<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(Outlet<T>) -> F) -> Self {
        let slot = Slot::default();
        Self { run: Some(Box::pin(run(Outlet(slot.clone())))), slot }
    }
}

impl<T> Stream for Generator<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let Some(run) = &mut this.run else { return Poll::Ready(None) };
        let ended = run.as_mut().poll(context).is_ready();
        if ended {
            // What it holds goes at once, not when the stream is dropped.
            this.run = None;
        }
        match this.slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(item) => Poll::Ready(Some(item)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn the_function_runs_only_as_far_as_somebody_asks() {
        let reached = Arc::new(Mutex::new(0));
        let seen = reached.clone();
        let mut items = Generator::new(|outlet| async move {
            for n in 1..=2 {
                *seen.lock().unwrap() = n;
                outlet.give(n).await;
            }
        });
        assert_eq!(*reached.lock().unwrap(), 0);
        assert_eq!(items.next().now_or_never(), Some(Some(1)));
        assert_eq!(*reached.lock().unwrap(), 1);
        assert_eq!(items.next().now_or_never(), Some(Some(2)));
        assert_eq!(items.next().now_or_never(), Some(None));
        assert_eq!(items.next().now_or_never(), Some(None));
        assert_eq!(Arc::strong_count(&reached), 1, "what it held is gone");
    }
}
