//! Turns that are asked for over a socket: one at a time.

use std::{
    future::ready,
    sync::{MutexGuard, PoisonError},
};

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::AgentSession;
use crate::{
    provider::Promise,
    sdk::{
        event::StreamEvent,
        request::{SessionRequest, SocketMessage},
    },
};

/// Whoever shows a session at the other end of a socket.
pub trait SocketHandlers: Send {
    /// Something has happened.
    fn on_event(&mut self, event: StreamEvent);

    /// A turn is over, and all of it was told. It is not called for one that was stopped or has failed.
    fn on_finish(&mut self) -> Promise<'_, ()> {
        Box::pin(ready(()))
    }
}

impl AgentSession {
    /// Does what a message of a socket asks, until it is done: a turn, going on with one, or stopping what goes on.
    ///
    /// What is asked first stops what went on. Of a turn that was stopped nothing more is told, not even its end. What
    /// fails is told as one `internal_error` event. Call it for each message as it comes, without waiting for the call
    /// before.
    pub async fn handle_socket_message(&self, message: SocketMessage, handlers: &mut dyn SocketHandlers) {
        let request = match message {
            SocketMessage::Trigger(request) => SessionRequest::Trigger(request),
            SocketMessage::Continue(request) => SessionRequest::Continue(request),
            SocketMessage::Stop => return self.running().cancel(),
        };
        let cancel = CancellationToken::new();
        std::mem::replace(&mut *self.running(), cancel.clone()).cancel();
        let mut events = self.execute_until(request, cancel.clone());
        loop {
            let next = events.next().await;
            if cancel.is_cancelled() {
                return;
            }
            match next {
                Some(Ok(event)) => handlers.on_event(event),
                Some(Err(error)) => return handlers.on_event(StreamEvent::internal(error.to_string())),
                None => break,
            }
        }
        handlers.on_finish().await;
    }

    fn running(&self) -> MutexGuard<'_, CancellationToken> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
