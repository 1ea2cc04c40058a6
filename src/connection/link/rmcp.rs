//! What comes in and is rmcp's business: answers that it awaits, and little else.
//!
//! It gets nothing else because it reads a message whole, which costs many times its size, and because nobody may have
//! to wait for it: what the server says to others comes in on the same line.

use std::ops::ControlFlow;

use rmcp::model::{RequestId, ServerJsonRpcMessage};
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;

use super::{Link, lock};

/// More than it ever asks at a time. What is never answered must not pile up.
const MOST: usize = 16;

impl Link {
    /// rmcp has asked something. While hands are shaken only its last question counts: it has given up the others.
    pub(in crate::connection) fn rmcp_asks(&self, id: RequestId) {
        let mut awaited = lock(&self.awaited);
        if !self.is_up() {
            awaited.clear();
        }
        if awaited.len() == MOST {
            awaited.remove(0);
        }
        awaited.push(id);
    }

    /// Hands were shaken, or will not be: nothing of that is awaited any more.
    pub(in crate::connection) fn rmcp_has_shaken(&self) {
        lock(&self.awaited).clear();
    }

    /// Whether rmcp awaits the answer of this id, which it does no longer then. An answer that names no request is to
    /// the one there is, while hands are shaken.
    pub(in crate::connection) fn is_for_rmcp(&self, id: Option<&RawValue>) -> bool {
        let mut awaited = lock(&self.awaited);
        let Some(id) = id.filter(|id| id.get() != "null") else { return !self.is_up() && !awaited.is_empty() };
        let Ok(id) = serde_json::from_str::<RequestId>(id.get()) else { return false };
        // Some servers make texts of our numbers.
        let place = awaited.iter().position(|awaited| awaited.to_string() == id.to_string());
        place.map(|place| awaited.remove(place)).is_some()
    }

    /// Gives a message to rmcp, if it has room. Broken off: it has ended.
    pub(in crate::connection) fn give_to_rmcp(&self, line: &str) -> ControlFlow<()> {
        let Ok(message) = serde_json::from_str::<ServerJsonRpcMessage>(line) else {
            self.note_noise(line);
            return ControlFlow::Continue(());
        };
        match self.for_rmcp.try_send(message) {
            // It reads little and soon; when its box is full it has other worries.
            Ok(()) | Err(TrySendError::Full(_)) => ControlFlow::Continue(()),
            Err(TrySendError::Closed(_)) => ControlFlow::Break(()),
        }
    }
}
