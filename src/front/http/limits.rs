//! How much a listener takes at most.

use std::time::Duration;

/// How much a listener takes at most. The default is what the program uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes the first line and the headers of a request have together; beyond, 431.
    pub head: usize,
    /// How many bytes the body of a request has; beyond, 413.
    pub body: usize,
    /// How long the head of a request may take, and how long a connection may be kept without a request.
    pub head_time: Duration,
    /// How long the body of a request may take as a whole; beyond, 408.
    pub body_time: Duration,
    /// How many sessions there are at a time; beyond, 503.
    pub sessions: usize,
    /// How long a session may do nothing: no request under way, no stream open.
    pub session_idle: Duration,
    /// How long a stream may be silent before a comment shows that it lives.
    pub silence: Duration,
    /// How long a request may take before its answer becomes a stream.
    pub patience: Duration,
    /// How long requests under way get when the listener leaves.
    pub drain: Duration,
}

impl Limits {
    /// How much of the drain is left to say that there will be no answer.
    pub(super) fn last_words(&self) -> Duration {
        (self.drain / 4).min(Duration::from_millis(200))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 32 << 10,
            body: 4 << 20,
            // A client may send its next request at the moment at which a kept connection is closed: not too often.
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(60),
            sessions: 256,
            session_idle: Duration::from_secs(30 * 60),
            silence: Duration::from_secs(15),
            patience: Duration::from_secs(1),
            drain: Duration::from_secs(2),
        }
    }
}
