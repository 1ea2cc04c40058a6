//! A stream of messages as a client reads it: server-sent events.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::{flow::Reader, journal::EventId, pipe::Message, session::Session};

/// A stream of messages as a client reads it.
pub(crate) struct Events {
    /// What goes out before anything else.
    ahead: VecDeque<Bytes>,
    reader: Option<Reader>,
    style: Style,
    silence: Duration,
    alarm: Pin<Box<Sleep>>,
    /// What the client may have only so many of.
    place: Option<Place>,
}

/// How its events look.
pub(super) enum Style {
    /// Each has a message and nothing else.
    Plain,
    /// Each has a number, by which the client can come back to it.
    Numbered(Arc<Session>),
}

/// What shows that a stream lives.
const COMMENT: &[u8] = b":\n\n";

/// After how many milliseconds a client is to come back whose connection broke.
const RETRY: u32 = 1000;

impl Events {
    /// The messages of `reader`; none at all without it.
    pub(super) fn new(reader: Option<Reader>, style: Style, silence: Duration) -> Self {
        Self { ahead: VecDeque::new(), reader, style, silence, alarm: Box::pin(sleep(silence)), place: None }
    }

    /// Counts among the streams of its client until it ends.
    pub(super) fn counted(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Sends these events first, as they were sent before.
    pub(super) fn replaying(mut self, events: Vec<Bytes>) -> Self {
        self.ahead.extend(events);
        self
    }

    /// Sends a message first that has been read already.
    pub(super) fn beginning_with(mut self, message: &Message) -> Self {
        let event = self.event(message);
        self.ahead.push_back(event);
        if message.is_answer {
            self.reader = None;
        }
        self
    }

    /// Sends an empty event first: a client knows by it from where on to come back.
    pub(super) fn primed(mut self) -> Self {
        if let (Some(reader), Style::Numbered(session)) = (&self.reader, &self.style) {
            let id = session.next_event(reader.flow().stream);
            self.ahead.push_back(format!("id: {id}\nretry: {RETRY}\ndata:\n\n").into());
        }
        self
    }

    /// What goes out next. Nothing after the end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(event) = self.ahead.pop_front() {
            return Poll::Ready(Some(event));
        }
        let Some(reader) = &mut self.reader else { return Poll::Ready(None) };
        match reader.poll_next(context) {
            Poll::Ready(Some(message)) => {
                self.alarm.as_mut().reset(Instant::now() + self.silence);
                Poll::Ready(Some(self.event(&message)))
            }
            Poll::Ready(None) => {
                self.reader = None;
                self.place = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.alarm.as_mut().reset(Instant::now() + self.silence);
                Poll::Ready(Some(Bytes::from_static(COMMENT)))
            }
        }
    }

    fn event(&self, message: &Message) -> Bytes {
        match (&self.style, &self.reader) {
            (Style::Numbered(session), Some(reader)) => session.record(reader.flow().stream, message),
            _ => text(None, message),
        }
    }
}

/// An event with a message, which ends with its only newline.
pub(super) fn text(id: Option<EventId>, message: &Message) -> Bytes {
    let head = id.map_or_else(|| "data: ".to_owned(), |id| format!("id: {id}\ndata: "));
    let mut event = Vec::with_capacity(head.len() + message.text.len() + 1);
    event.extend_from_slice(head.as_bytes());
    event.extend_from_slice(&message.text);
    event.push(b'\n');
    event.into()
}

/// A place among the streams that a client may have, until it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    /// One of `most` places; nothing when all are taken.
    pub(super) fn among(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let before = taken.fetch_add(1, Ordering::AcqRel);
        let place = Self(taken.clone());
        (before < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
