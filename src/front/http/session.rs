//! A client that has shaken hands: what of it outlives its connections.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::body::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    desk::Tasks,
    events,
    flow::Flow,
    gate::Credential,
    journal::{EventId, Journal},
    listening::Listening,
    pipe::Message,
    route::Route,
};
use crate::front::{announce::Announcer, parked::Parking, peer::Peer, scope::Scope};

/// A client that has shaken hands.
pub(super) struct Session {
    /// 128 random bits, which grant nothing alone.
    pub(super) id: String,
    /// To whom it belongs: this credential, at this path.
    owner: (Credential, Route),
    pub(super) peer: Arc<Peer>,
    pub(super) listening: Listening,
    /// It is over, and with it all that it has under way.
    pub(super) ended: CancellationToken,
    used: Mutex<Instant>,
    /// Its streams that can be come back to.
    streams: Mutex<Streams>,
    /// Under which number the next request becomes a stream. 0 is what listens.
    next_stream: AtomicU64,
    tasks: Tasks,
}

#[derive(Default)]
struct Streams {
    open: HashMap<u64, Arc<Flow>>,
    /// How many events there were of each that is open, and of those that listen.
    numbers: HashMap<u64, u64>,
    journal: Journal,
}

/// The stream of what is told unasked.
pub(super) const LISTENING: u64 = 0;

/// What those are told who wait for an answer when their session ends.
const ENDED: &str = "the session has ended; begin another with `initialize`";

impl Session {
    pub(super) fn new(id: String, owner: (Credential, Route), (scope, tasks): (Scope, Tasks)) -> Arc<Self> {
        let peer = Peer::new(scope, Arc::new(Parking::default()));
        Arc::new(Self {
            id,
            owner,
            listening: Listening::new(Announcer::new(&peer)),
            peer,
            ended: tasks.leaving.child_token(),
            used: Mutex::new(Instant::now()),
            streams: Mutex::default(),
            next_stream: AtomicU64::new(LISTENING + 1),
            tasks,
        })
    }

    /// Whether it belongs to that client at that path.
    pub(super) fn belongs_to(&self, credential: Credential, route: &Route) -> bool {
        self.owner.0 == credential && self.owner.1 == *route
    }

    /// Notes that the client has come.
    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether nothing has been done for so long, and nothing is under way.
    pub(super) fn is_idle(&self, limit: Duration) -> bool {
        if self.peer.is_busy() || self.listening.is_open() {
            self.touch();
            return false;
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= limit
    }

    /// Ends it: what is under way is taken back, and what listens ends.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.peer.end_all(ENDED);
    }

    /// The number of a request that may become a stream.
    pub(super) fn new_stream(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    /// From now on the client can come back to this stream.
    pub(super) fn register(&self, flow: &Arc<Flow>) {
        self.streams().open.insert(flow.stream, flow.clone());
    }

    /// The name of the next event of a stream.
    pub(super) fn next_event(&self, stream: u64) -> EventId {
        self.streams().next_event(stream)
    }

    /// A message as the next event of a stream, kept in case that it is lost on its way.
    pub(super) fn record(&self, stream: u64, message: &Message) -> Bytes {
        self.streams().record(stream, message)
    }

    /// A stream that has not come to its end.
    pub(super) fn open_stream(&self, stream: u64) -> Option<Arc<Flow>> {
        self.streams().open.get(&stream).cloned()
    }

    /// What was sent on a stream after that event, as far as it is kept.
    pub(super) fn sent_after(&self, event: EventId) -> Vec<Bytes> {
        self.streams().journal.after(event)
    }

    /// Goes on with a request whose connection broke, and keeps what comes of it.
    pub(super) fn keep(self: &Arc<Self>, flow: &Arc<Flow>) {
        if flow.is_done() {
            return self.bury(flow);
        }
        if self.ended.is_cancelled() {
            return flow.give_up();
        }
        let (session, flow) = (self.clone(), flow.clone());
        let going_on = flow.clone().go_on_unread();
        self.tasks.spawn(async move {
            tokio::select! {
                done = going_on => if done {
                    session.bury(&flow);
                },
                () = session.ended.cancelled() => flow.give_up(),
            }
        });
    }

    /// What nobody has read of a request that is done is kept for when the client is back.
    fn bury(&self, flow: &Flow) {
        let rest = flow.take_rest();
        let mut streams = self.streams();
        if streams.open.remove(&flow.stream).is_some() {
            for message in &rest {
                streams.record(flow.stream, message);
            }
            streams.numbers.remove(&flow.stream);
        }
    }

    /// Whether a stream of it listens.
    pub(super) fn listens(&self) -> bool {
        self.listening.is_open()
    }

    /// Asks the client over a stream that listens; false when none does.
    pub(super) fn ask_elsewhere(&self, message: &[u8]) -> bool {
        self.listening.tell(message)
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn next_event(&mut self, stream: u64) -> EventId {
        let number = self.numbers.entry(stream).or_default();
        *number += 1;
        EventId { stream, number: *number }
    }

    fn record(&mut self, stream: u64, message: &Message) -> Bytes {
        let id = self.next_event(stream);
        let event = events::text(Some(id), message);
        self.journal.keep(id, event.clone());
        event
    }
}
