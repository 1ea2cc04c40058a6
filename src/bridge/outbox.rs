//! What waits for a client to read it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Messages on their way to a client, in order. Nobody waits to put one in.
pub(super) struct Outbox {
    state: Mutex<State>,
    /// A message has come, or the box was closed.
    changed: Notify,
    limit: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<String>,
    bytes: usize,
    closed: Option<Closed>,
}

/// Why nothing comes out any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The client has gone.
    Gone,
    /// Too much waited for it.
    Full,
}

impl Outbox {
    /// A box in which so many bytes may wait. One message is always taken by an empty one, however large.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), limit }
    }

    /// Puts a message in. When it is too much, the box is closed and emptied.
    pub(super) fn put(&self, message: String) {
        let mut state = self.state();
        if state.closed.is_some() {
            return;
        }
        if !state.queue.is_empty() && state.bytes + message.len() > self.limit {
            drop(state);
            return self.close(Closed::Full);
        }
        state.bytes += message.len();
        state.queue.push_back(message);
        drop(state);
        self.changed.notify_one();
    }

    /// Closes the box, unless it is closed.
    pub(super) fn close(&self, why: Closed) {
        let mut state = self.state();
        let closed = *state.closed.get_or_insert(why);
        *state = State { closed: Some(closed), ..State::default() };
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the next message out. One alone may wait for it. Cancel safe.
    pub(super) async fn next(&self) -> Result<String, Closed> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Returns when the box is closed, if nobody waits for the next message. Cancel safe.
    pub(super) async fn closed(&self) -> Closed {
        loop {
            if let Some(closed) = self.state().closed {
                return closed;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Result<String, Closed>> {
        let mut state = self.state();
        match state.queue.pop_front() {
            Some(message) => {
                state.bytes -= message.len();
                Some(Ok(message))
            }
            None => state.closed.map(Err),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn messages_come_out_in_order_until_too_much_waits() {
        let outbox = Outbox::new(4);
        assert!(outbox.next().now_or_never().is_none());
        outbox.put("larger than that".to_owned());
        assert_eq!(outbox.next().now_or_never(), Some(Ok("larger than that".to_owned())));
        for message in ["a", "b", "cd"] {
            outbox.put(message.to_owned());
        }
        assert_eq!(outbox.next().now_or_never(), Some(Ok("a".to_owned())));
        assert!(outbox.closed().now_or_never().is_none());
        outbox.put("ef".to_owned());
        outbox.put("g".to_owned());
        assert_eq!(outbox.next().now_or_never(), Some(Err(Closed::Full)));
        outbox.close(Closed::Gone);
        assert_eq!(outbox.closed().now_or_never(), Some(Closed::Full));
    }
}
