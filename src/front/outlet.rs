//! Where messages to a client go: its one line, or the stream that belongs to a request of it.

use std::sync::Arc;

use crate::wire::Outbox;

/// Where messages to a client go. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(super) enum Outlet {
    /// Everything goes over one line.
    Line(Outbox),
    /// What belongs to a request goes over a stream of its own.
    Stream(Arc<dyn Stream>),
}

/// A stream of messages that belong to one request.
pub(super) trait Stream: Send + Sync + 'static {
    /// Sends something that is not the answer; false when it cannot be delivered any more. Ends with a newline.
    fn tell(&self, message: &[u8]) -> bool;

    /// Sends the answer, after which nothing follows.
    fn answer(&self, message: Vec<u8>);

    /// Whether a question on it reaches the client.
    fn can_ask(&self) -> bool;

    /// Whether so much waits to be read that what may be left out should be.
    fn is_crowded(&self) -> bool;
}

/// When so much waits to be read by a client, nothing more is read from it.
pub(super) const PATIENCE: usize = 4 << 20;

impl Outlet {
    /// Sends something that is not an answer; false when it cannot be delivered any more.
    pub(super) fn tell(&self, message: &[u8]) -> bool {
        match self {
            Self::Line(outbox) => outbox.send(message).is_ok(),
            Self::Stream(stream) => stream.tell(message),
        }
    }

    /// By which way its client came.
    pub(super) fn front(&self) -> &'static str {
        match self {
            Self::Line(_) => "stdio",
            Self::Stream(_) => "http",
        }
    }

    /// Whether a question reaches the client.
    pub(super) fn can_ask(&self) -> bool {
        match self {
            Self::Line(_) => true,
            Self::Stream(stream) => stream.can_ask(),
        }
    }

    /// Sends an answer, on a line when there is room for it.
    pub(super) async fn answer(&self, message: Vec<u8>) {
        match self {
            Self::Line(outbox) => outbox.send_in_turn(&message, PATIENCE).await,
            Self::Stream(stream) => stream.answer(message),
        }
    }

    /// Sends an answer without waiting for room.
    pub(super) fn answer_now(&self, message: Vec<u8>) {
        match self {
            // A client that has gone closes our input too.
            Self::Line(outbox) => drop(outbox.send(&message)),
            Self::Stream(stream) => stream.answer(message),
        }
    }

    /// Whether so much waits to be read that what may be left out should be.
    pub(super) fn is_crowded(&self) -> bool {
        match self {
            Self::Line(outbox) => outbox.holds_more_than(PATIENCE),
            Self::Stream(stream) => stream.is_crowded(),
        }
    }
}
