//! A client, as far as it outlives its requests.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use futures_util::future::AbortHandle;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, oneshot};

use super::{ask::Heard, hello::Hello, kind::Kind, message::Era, parked::Parking, scope::Scope};
use crate::{
    Namespace,
    computer::relay::{self, Way},
    error::{Error, Result},
    source::{Answer, Caller},
    wire::Envelope,
};

/// A client: what was agreed with it, and what it has open.
pub(super) struct Peer {
    /// Tells clients apart, within this run of the program.
    pub(super) number: u64,
    pub(super) scope: Scope,
    /// What it said in its handshake; without one, each request speaks for itself.
    hello: OnceLock<Hello>,
    /// Whether the handshake is complete, so that it may be told of changes.
    initialized: AtomicBool,
    /// From which level on it wants to see log messages.
    level: Mutex<Option<Arc<str>>>,
    /// Which version of each kind it has listed first or been told of last.
    seen: Mutex<HashMap<&'static str, u64>>,
    subscribed: Mutex<HashMap<String, Way>>,
    /// How its calls are heard where all of them have one way out.
    pub(super) standing: OnceLock<Heard>,
    /// Our questions to it that it has not answered.
    asked: Mutex<HashMap<String, oneshot::Sender<Result<Answer>>>>,
    next_question: AtomicU64,
    /// Its requests that are being worked on, by the JSON text of their id.
    under_way: Mutex<HashMap<String, AbortHandle>>,
    /// What those who still wait for an answer are told, once we wait no more.
    farewell: OnceLock<&'static str>,
    allowance: Allowance,
    pub(super) parking: Arc<Parking>,
}

/// Room for calls, by the entry that they are for: one that answers nothing holds up no other.
type Rooms = Arc<Mutex<HashMap<Option<Namespace>, Arc<Semaphore>>>>;

/// What a client has of what it may have. Cheap to clone: all clones are one.
#[derive(Clone)]
struct Allowance {
    rooms: Rooms,
    queued: Arc<AtomicUsize>,
    listening: Arc<AtomicUsize>,
    /// For how many clients it is: those without sessions cannot be told apart.
    clients: usize,
}

impl Allowance {
    fn of(clients: usize) -> Self {
        Self { rooms: Arc::default(), queued: Arc::default(), listening: Arc::default(), clients }
    }
}

/// How many calls of a client to an entry are worked on at a time, and how many more, to all of them, wait for their
/// turn.
const CALLS: usize = 64;
const QUEUE: usize = 1024;

/// How many listening streams a client has.
const STREAMS: usize = 16;

/// For how many clients there is room among those without sessions, which share it.
const WITHOUT_SESSIONS: usize = 16;

/// How many resources a client hears of, and how many one listener.
pub(super) const SUBSCRIPTIONS: usize = 1000;

/// Our questions have ids that begin with this.
const PREFIX: &str = "s-";

static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl Peer {
    pub(super) fn new(scope: Scope, parking: Arc<Parking>) -> Arc<Self> {
        Self::with(scope, parking, Allowance::of(1))
    }

    /// All clients that have no sessions, which cannot be told apart.
    pub(super) fn without_session(scope: Scope, parking: Arc<Parking>) -> Arc<Self> {
        Self::with(scope, parking, Allowance::of(WITHOUT_SESSIONS))
    }

    /// The same client before another scope: what it may have under way, it has in both together.
    pub(super) fn elsewhere(&self, scope: Scope, parking: Arc<Parking>) -> Arc<Self> {
        Self::with(scope, parking, self.allowance.clone())
    }

    fn with(scope: Scope, parking: Arc<Parking>, allowance: Allowance) -> Arc<Self> {
        Arc::new(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            scope,
            hello: OnceLock::new(),
            initialized: AtomicBool::new(false),
            level: Mutex::default(),
            seen: Mutex::default(),
            subscribed: Mutex::default(),
            standing: OnceLock::new(),
            asked: Mutex::default(),
            next_question: AtomicU64::new(1),
            under_way: Mutex::default(),
            farewell: OnceLock::new(),
            allowance,
            parking,
        })
    }

    pub(super) fn hello(&self) -> Option<&Hello> {
        self.hello.get()
    }

    /// Agrees on a generation; false when that has been done.
    pub(super) fn greet(&self, hello: Hello) -> bool {
        self.hello.set(hello).is_ok()
    }

    /// Who it is, for the audit log; `name` is what it calls itself in a request, where it has not shaken hands.
    pub(super) fn caller(&self, front: &'static str, name: Option<Arc<str>>) -> Caller {
        let name = name.or_else(|| self.hello().map(|hello| hello.client.clone()));
        Caller { number: self.number, name: name.unwrap_or_else(|| "".into()), front }
    }

    pub(super) fn era(&self) -> Era {
        if self.hello.get().is_some() { Era::Legacy } else { Era::Modern }
    }

    pub(super) fn mark_initialized(&self) {
        // Who comes when everything is up hears of what changes from now on, whether it lists or not. What is still being
        // brought up is none of its concern before it has listed.
        if !self.scope.is_unsettled() {
            for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
                self.list(kind, self.scope.version(kind));
            }
        }
        self.initialized.store(true, Ordering::Release);
    }

    /// Where calls to an entry have room.
    pub(super) fn room(&self, entry: Option<Namespace>) -> Arc<Semaphore> {
        let calls = CALLS * self.allowance.clients;
        lock(&self.allowance.rooms).entry(entry).or_insert_with(|| Arc::new(Semaphore::new(calls))).clone()
    }

    /// How many of its calls wait for their turn, and how many may.
    pub(super) fn queue(&self) -> (&AtomicUsize, usize) {
        (&self.allowance.queued, QUEUE * self.allowance.clients)
    }

    /// How many streams of it listen, and how many may.
    pub(super) fn listening(&self) -> (&Arc<AtomicUsize>, usize) {
        (&self.allowance.listening, STREAMS * self.allowance.clients)
    }

    /// Whether it may be told of what it did not ask for.
    pub(super) fn hears(&self) -> bool {
        self.hello.get().is_some() && self.initialized.load(Ordering::Acquire)
    }

    pub(super) fn level(&self) -> Option<Arc<str>> {
        lock(&self.level).clone()
    }

    pub(super) fn set_level(&self, level: &str) {
        *lock(&self.level) = Some(level.into());
    }

    /// Notes that it has listed a kind; what it hears of from then on is what changes after that.
    pub(super) fn list(&self, kind: Kind, version: u64) {
        lock(&self.seen).entry(kind.capability()).or_insert(version);
    }

    /// Notes that it is told of a version of a kind.
    pub(super) fn tell(&self, kind: Kind, version: u64) {
        lock(&self.seen).insert(kind.capability(), version);
    }

    /// The version of a kind that it has listed first or been told of last.
    pub(super) fn seen(&self, kind: Kind) -> Option<u64> {
        lock(&self.seen).get(kind.capability()).copied()
    }

    /// Notes that it wants to hear of a resource; false when it does already.
    pub(super) fn subscribe(&self, uri: &str, way: Way) -> bool {
        match lock(&self.subscribed).entry(uri.to_owned()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(way);
                true
            }
        }
    }

    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        lock(&self.subscribed).contains_key(uri)
    }

    /// How many resources it wants to hear of.
    pub(super) fn subscriptions(&self) -> usize {
        lock(&self.subscribed).len()
    }

    pub(super) fn unsubscribe(&self, uri: &str) -> Option<Way> {
        lock(&self.subscribed).remove(uri)
    }

    /// All that it wants to hear of, which it does no longer.
    pub(super) fn take_subscriptions(&self) -> Vec<Way> {
        lock(&self.subscribed).drain().map(|(_, way)| way).collect()
    }

    /// Under which URIs it wants to hear of a resource of an entry.
    pub(super) fn names_of(&self, namespace: &Namespace, own: &str) -> HashSet<String> {
        let subscribed = lock(&self.subscribed);
        let meant = subscribed.iter().filter(|(_, way)| way.namespace == *namespace && way.own == own);
        meant.map(|(uri, _)| uri.clone()).collect()
    }

    /// The JSON text of the id of a new question, and where its answer will come.
    pub(super) fn ask(&self) -> (String, oneshot::Receiver<Result<Answer>>) {
        let id = format!("\"{PREFIX}{}\"", self.next_question.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        lock(&self.asked).insert(id.clone(), reply);
        (id, answer)
    }

    /// Nobody waits for that answer any more.
    pub(super) fn forget(&self, id: &str) {
        lock(&self.asked).remove(id);
    }

    /// The client answers a question of ours; false when there is none.
    pub(super) fn answered(&self, envelope: &Envelope<'_>) -> bool {
        let reply = envelope.id.and_then(|id| lock(&self.asked).remove(id.get()));
        let Some(reply) = reply else { return false };
        let outcome = match (envelope.result, envelope.error) {
            (Some(result), _) => Ok(Answer::raw(result)),
            (None, Some(error)) => Err(refused(error)),
            (None, None) => return false,
        };
        // Whoever asked may have gone.
        let _ = reply.send(outcome);
        true
    }

    /// Notes a request that is being worked on.
    pub(super) fn begin(&self, id: &str, handle: AbortHandle) {
        lock(&self.under_way).insert(id.to_owned(), handle);
    }

    pub(super) fn end(&self, id: &str) {
        lock(&self.under_way).remove(id);
    }

    pub(super) fn is_busy(&self) -> bool {
        !lock(&self.under_way).is_empty()
    }

    /// Whether it waits for an answer; a stream that it listens on has no end of its own, and is not waited for.
    pub(super) fn is_asked(&self) -> bool {
        lock(&self.under_way).len() > self.listening().0.load(Ordering::Acquire)
    }

    /// Takes back what the client cancels.
    pub(super) fn cancel(&self, params: Option<&RawValue>) {
        let request = params.and_then(crate::raw::RawObject::parse).and_then(|params| params.get("requestId"));
        if let Some(handle) = request.and_then(|id| lock(&self.under_way).remove(id.get())) {
            handle.abort();
        }
    }

    /// A notification of the client that is for the entries: that its roots have changed, or, of one entry, whatever.
    pub(super) fn pass_on(&self, method: &str, params: Option<&RawValue>) {
        if self.scope.is_one() || method == "notifications/roots/list_changed" {
            self.scope.notify(method, params);
        }
    }

    /// Notes the task that a call of a tool has become, if it has.
    pub(super) fn note_task(&self, tool: Option<&str>, outcome: &Result<Answer>) {
        if let (Some(tool), Ok(answer)) = (tool, outcome)
            && relay::may_be_task(answer)
            && let Some(owner) = self.scope.owner_of_tool(tool)
        {
            self.scope.computer().board().tasks().note(answer, (&owner, self.number));
        }
    }

    /// Takes back everything, and says why to the client, who waits for it.
    pub(super) fn end_all(&self, words: &'static str) {
        self.farewell.get_or_init(|| words);
        self.cancel_all();
    }

    /// What those are told whose requests we take back.
    pub(super) fn farewell(&self) -> Option<&'static str> {
        self.farewell.get().copied()
    }

    /// Takes back everything, and waits for no answer of the client any more.
    pub(super) fn cancel_all(&self) {
        lock(&self.under_way).drain().for_each(|(_, handle)| handle.abort());
        lock(&self.asked).clear();
    }
}

impl Drop for Peer {
    /// Tells the entries that this client has gone.
    fn drop(&mut self) {
        let ways = self.take_subscriptions();
        if self.level().is_none() && ways.is_empty() {
            return;
        }
        let (computer, number) = (self.scope.computer().clone(), self.number);
        let board = computer.board().clone();
        computer.in_background(async move {
            board.want_level(number, None).await;
            for way in ways {
                board.unsubscribe(&way).await;
            }
        });
    }
}

fn refused(error: &RawValue) -> Error {
    let body = crate::raw::RawObject::parse(error).unwrap_or_default();
    let code = body.get("code").and_then(|code| serde_json::from_str(code.get()).ok()).unwrap_or(-32603);
    let data = body.get("data").map(|data| data.get().to_owned());
    Error::Server { code, message: body.text("message").unwrap_or_default(), data }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
