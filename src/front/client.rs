//! One client on one line: what it says, and what is under way for it.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::value::RawValue;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{
    announce::Announcer,
    exchange::{self, LEAVING, Request, Work},
    hello,
    message::{self, Era, INTERNAL, INVALID_REQUEST, PARSE_ERROR},
    outlet::{Outlet, PATIENCE},
    parked::Parking,
    peer::Peer,
    scope::Scope,
};
use crate::{
    Computer,
    wire::{Envelope, Input, Line, Lines, Outbox},
};

/// Why a session with a client is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The client closed our input.
    ClientLeft,
    /// We were asked to leave.
    Asked,
}

/// A client and all that it has under way.
pub(super) struct Client {
    peer: Arc<Peer>,
    outbox: Outbox,
    under_way: FuturesUnordered<Work>,
    /// Nothing more is begun.
    is_leaving: bool,
}

/// The longest line that is read from a client.
const MAX_LINE: usize = 64 << 20;

/// How often it is looked whether a client that does not read has gone.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// What is under way gets this much time when the client has closed our input: no more, it wants us gone.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What is under way gets this much time when we are asked to leave: a little less than what the front gets.
const DRAIN: Duration = Duration::from_millis(1_800);

/// How often calls are given up that wait for a client who does not come back.
const TIDY: Duration = Duration::from_secs(60);

impl Drop for Client {
    /// What it was asked, others may be asked.
    fn drop(&mut self) {
        self.peer.cancel_all();
    }
}

impl Client {
    pub(super) fn new(computer: &Computer, outbox: Outbox) -> Self {
        let peer = Peer::new(Scope::all(computer), Arc::new(Parking::default()));
        Self { peer, outbox, under_way: FuturesUnordered::new(), is_leaving: false }
    }

    /// Serves the client until it goes or `leave` is ready. What is under way then gets a little time, and is taken back
    /// after that.
    pub(super) async fn serve(mut self, input: impl Input, leave: impl Future<Output = ()>) -> Over {
        let mut lines = Lines::new(input, MAX_LINE);
        let mut announcer = Announcer::new(&self.peer);
        let outbox = self.outbox.clone();
        let mut leave = std::pin::pin!(leave);
        let mut drained = std::pin::pin!(sleep(DRAIN));
        let mut tidy = interval(TIDY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_leaving || self.peer.is_asked() {
            // A client that does not read its answers is not read either; that it has gone must be seen all the same.
            let crowded = outbox.holds_more_than(PATIENCE);
            tokio::select! {
                Some(()) = self.under_way.next(), if !self.under_way.is_empty() => {}
                line = lines.next(), if !crowded => match line {
                    Ok(Some(Line::Whole(line))) => self.take(line),
                    Ok(Some(Line::TooLong(_))) => {
                        let words = format!("a message must not be larger than {MAX_LINE} bytes");
                        self.send(&message::failure("null", INVALID_REQUEST, &words));
                    }
                    Ok(None) | Err(_) => break,
                },
                () = outbox.emptied(), if crowded => {}
                () = sleep(LOOK_AFTER), if crowded => if lines.is_hung_up() {
                    return Over::ClientLeft;
                },
                // What it would read late it may hear of less: lists that change meanwhile are told of once.
                messages = announcer.next(), if !crowded => messages.iter().for_each(|message| self.send(message)),
                _ = tidy.tick() => self.peer.parking.tidy(),
                () = &mut leave, if !self.is_leaving => {
                    self.is_leaving = true;
                    drained.as_mut().reset(Instant::now() + DRAIN);
                }
                () = &mut drained, if self.is_leaving => break,
            }
        }
        if self.is_leaving {
            self.peer.end_all(LEAVING);
            let _ = timeout(LAST_WORDS, async {
                while self.under_way.next().await.is_some() {}
                outbox.emptied().await;
            })
            .await;
            return Over::Asked;
        }
        // What was as good as done when the client closed our input still reaches it.
        let last = async {
            while self.peer.is_busy() && self.under_way.next().await.is_some() {}
            outbox.emptied().await;
        };
        let _ = timeout(LAST_WORDS, last).await;
        Over::ClientLeft
    }

    fn send(&self, line: &[u8]) {
        // A client that has gone closes our input too.
        let _ = self.outbox.send(line);
    }

    /// Deals with one line.
    fn take(&mut self, line: Vec<u8>) {
        let Ok(line) = String::from_utf8(line) else {
            return self.send(&message::failure("null", PARSE_ERROR, "the message is no UTF-8"));
        };
        if line.trim().is_empty() {
            return;
        }
        let Some(envelope) = Envelope::of(&line) else {
            let (code, words) = match serde_json::from_str::<&RawValue>(&line) {
                Ok(_) => (INVALID_REQUEST, "the message is no JSON-RPC request; batches are not supported"),
                Err(_) => (PARSE_ERROR, "the message is no JSON"),
            };
            return self.send(&message::failure("null", code, words));
        };
        let id = envelope.id.map(RawValue::get).filter(|id| *id != "null");
        if envelope.method.is_some() && envelope.has_strange_id() {
            return self.send(&message::failure("null", INVALID_REQUEST, message::STRANGE_ID));
        }
        match (envelope.method.as_deref(), id) {
            (Some(method), Some(id)) => {
                let request = Request { id, method, params: envelope.params, era: self.era(method, envelope.params) };
                if self.is_leaving {
                    return self.send(&message::failure(id, INTERNAL, LEAVING));
                }
                let work = exchange::begin(&self.peer, &request, Outlet::Line(self.outbox.clone()));
                self.under_way.push(work);
            }
            (Some("notifications/cancelled"), None) => self.peer.cancel(envelope.params),
            (Some("notifications/initialized"), None) => self.peer.mark_initialized(),
            (Some(method), None) => self.peer.pass_on(method, envelope.params),
            (None, _) => {
                self.peer.answered(&envelope);
            }
        }
    }

    /// Which generation a request is of: one line may begin with questions of the new one before hands are shaken.
    fn era(&self, method: &str, params: Option<&RawValue>) -> Era {
        let handshake = match method {
            "initialize" => hello::is_handshake(params),
            "ping" => !hello::is_modern(params),
            _ => false,
        };
        if handshake { Era::Legacy } else { self.peer.era() }
    }
}
