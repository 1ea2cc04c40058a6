//! The way to a server: a pipe, or HTTP.

use crate::wire::{Outbox, Refused};

use super::http;

/// The way to a server.
pub(super) enum Lane {
    /// Its stdin.
    Pipe(Outbox),
    /// Requests of our own for each message.
    Http(http::Lane),
}

/// A message on its way, and what HTTP has to know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    /// The message as one line, with its end.
    pub(super) line: &'a [u8],
    /// What it is.
    pub(super) kind: Kind<'a>,
}

/// What a message is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    /// It is answered.
    Request {
        /// The JSON text of its id.
        id: &'a str,
        method: &'a str,
        /// Of the tool or prompt, or the URI of the resource, or the id of the task.
        name: Option<&'a str>,
        /// The arguments of a call, for headers that repeat some of them.
        arguments: Option<&'a serde_json::value::RawValue>,
    },
    /// It is not answered.
    Notification { method: &'a str },
    /// It answers a question of the server.
    Answer,
}

impl Lane {
    /// Hands a message over without waiting.
    pub(super) fn send(&self, message: &Message<'_>) -> Result<(), Refused> {
        match self {
            Self::Pipe(outbox) => outbox.send(message.line),
            Self::Http(lane) => lane.send(message),
        }
    }

    /// Closes it: nothing more goes out.
    pub(super) fn close(&self) {
        match self {
            Self::Pipe(outbox) => outbox.close(),
            Self::Http(lane) => lane.close(),
        }
    }

    /// Whether it has to know what a message is.
    pub(super) fn shows_kinds(&self) -> bool {
        self.may_miss()
    }

    /// Whether a message that was handed over may turn out to have reached nobody.
    pub(super) fn may_miss(&self) -> bool {
        match self {
            Self::Pipe(_) => false,
            Self::Http(_) => true,
        }
    }
}
