//! One client: what it asks for, and what it gets.

use std::{
    borrow::Cow,
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{
    future::{AbortHandle, Abortable},
    stream::{FuturesUnordered, StreamExt},
};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use super::{
    lifecycle::Lifecycle,
    message::{self, Era, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR},
};
use crate::{
    Computer,
    computer::{Params, dispatch},
    raw::RawObject,
    source::{CallContext, Sink},
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
    computer: Computer,
    outbox: Outbox,
    /// Calls and lists that are being worked on, by the JSON text of their id.
    under_way: FuturesUnordered<Work>,
    abort: HashMap<String, AbortHandle>,
    /// Set by `initialize`.
    legacy: bool,
    /// Whether the handshake is complete, so that the client may be told of changes.
    initialized: bool,
    /// Which generation of the catalog the client saw first, counted from one; zero before it has seen any.
    listed: Arc<AtomicU64>,
    rmcp: Lifecycle,
}

/// Something under way; its id when it is done.
type Work = Pin<Box<dyn Future<Output = String> + Send>>;

/// The longest line that is read from a client.
const MAX_LINE: usize = 64 << 20;

/// When so much waits to be read by the client, nothing more is read from it.
pub(super) const PATIENCE: usize = 4 << 20;

/// How often it is looked whether a client that does not read has gone.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// What is under way gets this much time when the client has closed our input: no more, it wants us gone.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Client {
    pub(super) fn new(computer: Computer, outbox: Outbox) -> Self {
        let rmcp = Lifecycle::start(&computer, &outbox);
        let (under_way, abort) = (FuturesUnordered::new(), HashMap::new());
        Self { computer, outbox, under_way, abort, legacy: false, initialized: false, listed: Arc::default(), rmcp }
    }

    /// Serves the client until it goes or `leave` is ready. What is under way then is taken back.
    pub(super) async fn serve(mut self, input: impl Input, leave: impl Future<Output = ()>) -> Over {
        let mut lines = Lines::new(input, MAX_LINE);
        let mut changes = self.computer.changes();
        let outbox = self.outbox.clone();
        let mut leave = std::pin::pin!(leave);
        loop {
            // A client that does not read its answers is not read either; that it has gone must be seen all the same.
            let crowded = outbox.holds_more_than(PATIENCE);
            tokio::select! {
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.abort.remove(&done);
                }
                line = lines.next(), if !crowded => match line {
                    Ok(Some(Line::Whole(line))) => self.take(line).await,
                    Ok(Some(Line::TooLong(_))) => {
                        self.send(&message::failure("null", INVALID_REQUEST, &format!("a message must not be larger than {MAX_LINE} bytes")));
                    }
                    Ok(None) | Err(_) => break,
                },
                () = outbox.emptied(), if crowded => {}
                () = sleep(LOOK_AFTER), if crowded => if lines.is_hung_up() {
                    return Over::ClientLeft;
                },
                Some(()) = changes.next() => self.announce(),
                () = self.rmcp.run() => self.rmcp = Lifecycle::start(&self.computer, &self.outbox),
                () = &mut leave => return Over::Asked,
            }
        }
        // What was as good as done when the client closed our input still reaches it.
        let last = async {
            while self.under_way.next().await.is_some() {}
            outbox.emptied().await;
        };
        let _ = timeout(LAST_WORDS, last).await;
        Over::ClientLeft
    }

    /// Tells the client that the tools have changed.
    fn announce(&self) {
        // Nobody needs to hear of what was there when he first listed. The new generation subscribes.
        let seen = self.listed.load(Ordering::Acquire);
        if self.legacy && self.initialized && seen > 0 && seen <= self.computer.board().count() {
            self.send(message::LIST_CHANGED);
        }
    }

    fn send(&self, line: &[u8]) {
        // A client that has gone closes our input too.
        let _ = self.outbox.send(line);
    }

    /// Deals with one line.
    async fn take(&mut self, line: Vec<u8>) {
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
        match (envelope.method.as_deref(), id) {
            (Some("tools/call"), Some(id)) if self.may_ask(&envelope) => self.call(id, envelope.params),
            (Some("tools/list"), Some(id)) if self.may_ask(&envelope) => match cursor_in(envelope.params) {
                None => self.list(id),
                Some(_) => {
                    self.send(&message::failure(id, INVALID_PARAMS, "unknown cursor: the whole list is one page"));
                }
            },
            (Some("notifications/cancelled"), None) if self.cancel(envelope.params) => {}
            (Some("notifications/initialized"), None) => {
                self.initialized = true;
                self.pass(&line).await;
            }
            (Some("initialize"), Some(id)) if self.legacy => {
                self.send(&message::failure(id, INVALID_REQUEST, "this session is initialized already"));
            }
            (Some("initialize"), Some(id)) if !is_handshake(&line) => {
                let words = "cannot initialize: `params` must hold `protocolVersion`, `capabilities` and `clientInfo`";
                self.send(&message::failure(id, INVALID_PARAMS, words));
            }
            (Some("initialize"), Some(_)) => {
                self.legacy = true;
                self.pass(&line).await;
            }
            _ => self.pass(&line).await,
        }
    }

    /// Passes a message on to rmcp.
    async fn pass(&mut self, line: &str) {
        let message = match serde_json::from_str::<ClientJsonRpcMessage>(line) {
            Ok(message) => message,
            Err(error) => {
                let id = Envelope::of(line).and_then(|envelope| envelope.id).map_or("null", RawValue::get);
                return self.send(&message::failure(
                    id,
                    INVALID_REQUEST,
                    &format!("the request is malformed: {error}"),
                ));
            }
        };
        if let Err(message) = self.rmcp.pass(message).await {
            // It had given up on what came before; a fresh one takes this.
            self.rmcp = Lifecycle::start(&self.computer, &self.outbox);
            let _ = self.rmcp.pass(*message).await;
        }
    }

    /// Whether a request of the new generation says what it must; if not, rmcp tells the client so.
    fn may_ask(&self, envelope: &Envelope<'_>) -> bool {
        self.legacy || version_in(envelope.params).is_some_and(|version| is_known(&version))
    }

    fn era(&self) -> Era {
        if self.legacy { Era::Legacy } else { Era::Modern }
    }

    fn call(&mut self, id: &str, params: Option<&RawValue>) {
        let members = params.and_then(|params| serde_json::from_str::<RawObject<'_>>(params.get()).ok());
        let name = members.as_ref().and_then(|members| members.text("name"));
        let (Some(members), Some(name)) = (members, name) else {
            return self.send(&message::failure(
                id,
                INVALID_PARAMS,
                "cannot call a tool: `params.name` must be a string",
            ));
        };
        let meta = members.get("_meta");
        let arguments = members.get("arguments").filter(|arguments| arguments.get() != "null");
        let rest: Vec<(&str, &RawValue)> = members
            .0
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
            .filter(|(name, _)| !matches!(*name, "name" | "arguments" | "_meta"))
            .collect();
        let context = CallContext { progress: meta.and_then(|meta| self.progress(meta)), ..CallContext::default() };
        let board = self.computer.board();
        let params = Params { arguments, meta, rest: &rest };
        let answer = dispatch::call(&board.registry(), board, &name, (params, context));
        let (id, era, outbox) = (id.to_owned(), self.era(), self.outbox.clone());
        self.begin(id.clone(), async move {
            let outcome = answer.await;
            outbox.send_in_turn(&message::answer(&id, outcome, era), PATIENCE).await;
        });
    }

    /// Where progress of a call goes, if the client wants to see it.
    fn progress(&self, meta: &RawValue) -> Option<Sink> {
        let token = serde_json::from_str::<RawObject<'_>>(meta.get()).ok()?.get("progressToken")?.to_owned();
        let outbox = self.outbox.clone();
        Some(Arc::new(move |params: &RawValue| {
            // Progress that a slow client would read late is of no use to it.
            if !outbox.holds_more_than(PATIENCE)
                && let Some(line) = message::progress(params, &token)
            {
                let _ = outbox.send(&line);
            }
        }))
    }

    fn list(&mut self, id: &str) {
        let (id, era, outbox, computer) = (id.to_owned(), self.era(), self.outbox.clone(), self.computer.clone());
        let listed = self.listed.clone();
        // Only the first list waits: later ones must not stand still because an entry is being brought back.
        let wait = if listed.load(Ordering::Acquire) > 0 { Duration::ZERO } else { computer.config().serve.list_wait };
        self.begin(id.clone(), async move {
            computer.settled_within(wait).await;
            let first = computer.board().count() + 1;
            let _ = listed.compare_exchange(0, first, Ordering::AcqRel, Ordering::Acquire);
            let registry = computer.board().registry();
            outbox.send_in_turn(&message::list(&id, registry.fronts().listed(), era), PATIENCE).await;
        });
    }

    fn begin(&mut self, id: String, work: impl Future<Output = ()> + Send + 'static) {
        let (handle, registration) = AbortHandle::new_pair();
        self.abort.insert(id.clone(), handle);
        let work = Abortable::new(work, registration);
        self.under_way.push(Box::pin(async move {
            // Taken back by the client, there is no answer.
            let _ = work.await;
            id
        }));
    }

    /// Takes back what the client cancels, if it is ours.
    fn cancel(&mut self, params: Option<&RawValue>) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled<'a> {
            #[serde(borrow)]
            request_id: &'a RawValue,
        }
        let cancelled = params.and_then(|params| serde_json::from_str::<Cancelled<'_>>(params.get()).ok());
        let handle = cancelled.and_then(|cancelled| self.abort.remove(cancelled.request_id.get()));
        handle.as_ref().map(AbortHandle::abort);
        handle.is_some()
    }
}

/// Whether a request for a handshake is one that rmcp understands.
fn is_handshake(line: &str) -> bool {
    let message = serde_json::from_str::<ClientJsonRpcMessage>(line);
    matches!(message, Ok(ClientJsonRpcMessage::Request(request)) if matches!(request.request, ClientRequest::InitializeRequest(_)))
}

/// The cursor of a list request.
fn cursor_in(params: Option<&RawValue>) -> Option<&RawValue> {
    let params = serde_json::from_str::<RawObject<'_>>(params?.get()).ok()?;
    params.get("cursor").filter(|cursor| cursor.get() != "null")
}

/// The protocol version that a request of the new generation names.
fn version_in(params: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Parameters<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: Meta<'a>,
    }
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
        version: Cow<'a, str>,
        #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
        _info: &'a RawValue,
        #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
        _capabilities: &'a RawValue,
    }
    serde_json::from_str::<Parameters<'_>>(params?.get()).ok().map(|params| params.meta.version.into_owned())
}

fn is_known(version: &str) -> bool {
    rmcp::model::ProtocolVersion::KNOWN_VERSIONS.iter().any(|known| known.as_str() == version)
}
