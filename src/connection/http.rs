//! The way to a server over HTTP: Streamable HTTP of every generation, and the older HTTP+SSE.

use super::lane::Message;
use crate::wire::Refused;

/// Hands messages to the server by POST.
pub(super) struct Lane;

impl Lane {
    /// Hands a message over without waiting.
    #[expect(clippy::unused_self, reason = "there is nobody yet who takes it")]
    pub(super) fn send(&self, _message: &Message<'_>) -> Result<(), Refused> {
        Err(Refused::Closed)
    }

    #[expect(clippy::unused_self, reason = "there is nothing yet to close")]
    pub(super) fn close(&self) {}
}
