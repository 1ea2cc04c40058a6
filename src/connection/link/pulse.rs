//! Whether the server gives a sign of life: what everybody who asks for one finds out.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Link, lock};
use crate::error::Error;

/// What is known of a server's life.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// How many messages have come.
    heard: AtomicU64,
    /// Whether the last question had no answer, and nothing has come since.
    is_missed: AtomicBool,
    /// What was found then, in words for health.
    silence: Mutex<Option<String>>,
}

impl Link {
    /// Notes that the server has said something.
    pub(in crate::connection) fn hear(&self) {
        self.pulse.heard.fetch_add(1, Ordering::Relaxed);
        if self.pulse.is_missed.load(Ordering::Acquire) {
            self.note_life();
        }
    }

    /// How many times it has said something.
    pub(in crate::connection) fn heard(&self) -> u64 {
        self.pulse.heard.load(Ordering::Relaxed)
    }

    /// Notes that it lives.
    pub(in crate::connection) fn note_life(&self) {
        self.pulse.is_missed.store(false, Ordering::Release);
        if lock(&self.pulse.silence).take().is_some() {
            self.mark_otherwise();
        }
    }

    /// Notes that it gave no sign of life when it was asked for one.
    pub(in crate::connection) fn note_silence(&self, error: &Error) {
        let words = match error {
            // That it has ended is said elsewhere, and so is why nobody waits any more.
            Error::Ended { .. } | Error::Cancelled => return,
            Error::Timeout { after, .. } => {
                format!("it gave no sign of life within {}; restart the entry if it stays so", shown(*after))
            }
            other => other.to_string(),
        };
        let before = lock(&self.pulse.silence).replace(words.clone());
        self.pulse.is_missed.store(true, Ordering::Release);
        if before.is_none_or(|before| before != words) {
            self.mark_otherwise();
        }
    }

    /// What was found when it was asked for a sign of life, if it gave none and has said nothing since.
    pub(super) fn silent(&self) -> Option<String> {
        lock(&self.pulse.silence).clone()
    }
}

/// A time in words.
pub(in crate::connection) fn shown(duration: Duration) -> String {
    if duration.as_secs() > 0 { format!("{} s", duration.as_secs()) } else { format!("{} ms", duration.as_millis()) }
}
