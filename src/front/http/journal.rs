//! The last events of a session, for a client whose connection broke.

use std::{collections::VecDeque, fmt};

use hyper::body::Bytes;

/// The last events of a session.
#[derive(Default)]
pub(super) struct Journal {
    kept: VecDeque<(EventId, Bytes)>,
    bytes: usize,
}

/// What an event is named by: its stream within the session, and its place in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    pub(super) stream: u64,
    pub(super) number: u64,
}

/// So many events are kept.
const EVENTS: usize = 256;

/// So many bytes of them are kept. The last is, however large: it is the one that was lost.
const BYTES: usize = 1 << 20;

impl EventId {
    /// Reads what a client gives back.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (stream, number) = text.split_once('-')?;
        Some(Self { stream: stream.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.number)
    }
}

impl Journal {
    /// Keeps an event as it is sent.
    pub(super) fn keep(&mut self, id: EventId, event: Bytes) {
        self.bytes += event.len();
        self.kept.push_back((id, event));
        while self.kept.len() > EVENTS || (self.bytes > BYTES && self.kept.len() > 1) {
            let oldest = self.kept.pop_front();
            self.bytes -= oldest.map_or(0, |(_, event)| event.len());
        }
    }

    /// What is kept of a stream after that event.
    pub(super) fn after(&self, id: EventId) -> Vec<Bytes> {
        let later = |kept: &EventId| kept.stream == id.stream && kept.number > id.number;
        self.kept.iter().filter(|(kept, _)| later(kept)).map(|(_, event)| event.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EventId {
        EventId::of(text).unwrap()
    }

    #[test]
    fn an_event_is_found_again_by_what_came_before_it_on_its_stream() {
        let mut journal = Journal::default();
        for (name, event) in [("1-1", "a"), ("2-1", "b"), ("1-2", "c"), ("1-3", "d")] {
            assert_eq!(id(name).to_string(), name);
            journal.keep(id(name), event.into());
        }
        assert_eq!(journal.after(id("1-1")), ["c", "d"]);
        assert_eq!(journal.after(id("2-0")), ["b"]);
        assert!(journal.after(id("3-0")).is_empty());
        for bad in ["", "1", "-1", "1-", "x-1", "1-2-3", "1--1"] {
            assert_eq!(EventId::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn it_is_bounded_in_events_and_bytes() {
        let mut journal = Journal::default();
        for number in 1..=1000 {
            journal.keep(EventId { stream: 1, number }, "x".into());
        }
        assert_eq!(journal.after(id("1-0")).len(), EVENTS);
        journal.keep(id("1-1001"), vec![0; BYTES + 1].into());
        assert_eq!(journal.after(id("1-0")).len(), 1);
        journal.keep(id("1-1002"), "y".into());
        assert_eq!(journal.after(id("1-0")), ["y"]);
    }
}
