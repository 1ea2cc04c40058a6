//! The heart of a session: what sends messages, knows who waits for which answer, and holds what is listed.

mod face;
mod notes;
mod pulse;
mod questions;
mod rmcp;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ::rmcp::model::{RequestId, ServerJsonRpcMessage};
use serde_json::value::RawValue;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Options, ask,
    clock::{self, Clock},
    http,
    lane::{Lane, Message},
};
use crate::{
    error::{Error, Result},
    process::Tail,
    raw::RawObject,
    source::{About, Answer, Ask, CallContext, Listings, Notice, Sink, ToolList},
    wire::Refused,
};
use notes::Notes;
use pulse::Pulse;
pub(super) use pulse::shown;

/// Messages that are rmcp's business.
pub(super) type Inbound = mpsc::Receiver<ServerJsonRpcMessage>;

/// A server as others see it.
pub(crate) struct Link {
    lane: Lane,
    options: Options,
    /// Everything that runs for this session. It ends with it.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// A call may be dropped where no runtime is.
    runtime: Handle,
    next_id: AtomicU64,
    waiting: Mutex<HashMap<u64, Pending>>,
    tools: RwLock<Arc<ToolList>>,
    listings: RwLock<Arc<Listings>>,
    capabilities: OnceLock<Arc<RawValue>>,
    /// What every request must say of us, from 2026-07-28 on.
    modern: OnceLock<Arc<Modern>>,
    /// Questions of the server that nobody has answered yet.
    questions: Mutex<ask::Open>,
    /// The result of the handshake as the server sent it.
    hello: Mutex<Option<Box<RawValue>>>,
    /// Whether the clocks are being kept.
    timing: AtomicBool,
    clock_call: Notify,
    pulse: Pulse,
    /// A call was given up: the server may hang.
    doubt: Notify,
    changed: AtomicBool,
    woken: Notify,
    /// Something else is to be shown than before, and it is not the tools.
    otherwise: Notify,
    ended: CancellationToken,
    end_reason: OnceLock<String>,
    closed: AtomicBool,
    notes: Mutex<Notes>,
    for_rmcp: mpsc::Sender<ServerJsonRpcMessage>,
    inbound: Mutex<Option<Inbound>>,
    /// The ids of what rmcp has asked and has no answer to.
    awaited: Mutex<Vec<RequestId>>,
    about: RwLock<About>,
}

/// What requests to a server of the new generation say of us: members of `_meta`, without braces.
pub(super) struct Modern {
    /// The version and our name.
    pub(super) common: String,
    /// What we can be asked for without a caller who says so.
    pub(super) capabilities: String,
}

impl Modern {
    /// The members for a request of a caller, or for one of our own.
    pub(super) fn members(&self, context: Option<&CallContext>) -> String {
        let of_caller = context.and_then(|context| context.capabilities.as_deref()).map(RawValue::get);
        let capabilities = of_caller.unwrap_or(&self.capabilities);
        format!("{},\"io.modelcontextprotocol/clientCapabilities\":{capabilities}", self.common)
    }
}

/// Somebody who waits for an answer.
pub(super) struct Pending {
    pub(super) reply: oneshot::Sender<Result<Answer>>,
    pub(super) progress: Option<Sink>,
    pub(super) log: Option<Sink>,
    pub(super) ask: Option<Ask>,
    /// How many questions of the server that may be about it are open: while somebody thinks, no clock runs out.
    pub(super) asked: u32,
    pub(super) touched: Instant,
    /// For a call: others are timed by whoever waits.
    pub(super) clock: Option<Clock>,
}

impl Link {
    pub(super) fn new(lane: Lane, options: Options) -> (Arc<Self>, Inbound) {
        // Bounded: a flood that rmcp does not keep up with must not grow.
        let (for_rmcp, inbound) = mpsc::channel(64);
        let link = Self {
            lane,
            options,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime: Handle::current(),
            next_id: AtomicU64::new(1),
            waiting: Mutex::default(),
            tools: RwLock::default(),
            listings: RwLock::default(),
            capabilities: OnceLock::new(),
            modern: OnceLock::new(),
            questions: Mutex::default(),
            hello: Mutex::default(),
            timing: AtomicBool::new(false),
            clock_call: Notify::new(),
            pulse: Pulse::default(),
            doubt: Notify::new(),
            changed: AtomicBool::new(false),
            woken: Notify::new(),
            otherwise: Notify::new(),
            ended: CancellationToken::new(),
            end_reason: OnceLock::new(),
            closed: AtomicBool::new(false),
            notes: Mutex::default(),
            for_rmcp,
            inbound: Mutex::default(),
            awaited: Mutex::default(),
            about: RwLock::default(),
        };
        (Arc::new(link), inbound)
    }

    pub(super) fn keep_inbound(&self, inbound: Inbound) {
        *lock(&self.inbound) = Some(inbound);
    }

    pub(super) fn take_inbound(&self) -> Option<Inbound> {
        lock(&self.inbound).take()
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// What the server wrote on stderr.
    pub(crate) fn tail(&self) -> &Tail {
        &self.options.tail
    }

    /// What every request says of us; nothing towards a server of an older generation.
    pub(super) fn modern(&self) -> Option<Arc<Modern>> {
        self.modern.get().cloned()
    }

    pub(super) fn is_modern(&self) -> bool {
        self.modern.get().is_some()
    }

    pub(super) fn set_modern(&self, modern: Modern) {
        let _ = self.modern.set(Arc::new(modern));
    }

    /// Keeps the result of a handshake for [`take_hello`](Self::take_hello).
    pub(super) fn set_hello(&self, result: &RawValue) {
        *lock(&self.hello) = Some(result.to_owned());
    }

    pub(super) fn take_hello(&self) -> Option<Box<RawValue>> {
        lock(&self.hello).take()
    }

    /// Fills in what health says of it.
    pub(crate) fn describe(&self, fill: impl FnOnce(&mut About)) {
        fill(&mut self.about.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn set_capabilities(&self, capabilities: Arc<RawValue>) {
        let _ = self.capabilities.set(capabilities);
    }

    /// Whether the server has declared a capability at the top of its list.
    pub(super) fn offers(&self, capability: &str) -> bool {
        let capabilities = self.capabilities.get();
        let object = capabilities.and_then(|raw| serde_json::from_str::<RawObject<'_>>(raw.get()).ok());
        object.is_some_and(|object| object.get(capability).is_some_and(|value| value.get() != "null"))
    }

    /// Runs something for as long as the session lives.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(self.stop.clone().run_until_cancelled_owned(work), &self.runtime);
    }

    /// Returns when all that runs for the session has ended, which it is told to.
    pub(super) async fn end_tasks(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Tells everything that runs for the session to end.
    pub(super) fn cancel_tasks(&self) {
        self.stop.cancel();
    }

    /// Says something to whoever listens to this entry.
    pub(super) fn tell(&self, method: &str, params: Option<&RawValue>) {
        let params = params.map(|params| params.to_owned().into());
        let notice = Notice { namespace: self.options.namespace.clone(), method: method.into(), params };
        self.options.notices.tell(notice);
    }

    pub(super) fn set_listings(&self, listings: Listings) {
        *self.listings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listings);
    }

    pub(super) fn set_tools(&self, list: ToolList) {
        *self.tools.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
    }

    /// Whether a message must say what it is: see [`Lane::shows_kinds`].
    pub(super) fn shows_kinds(&self) -> bool {
        self.lane.shows_kinds()
    }

    /// Sends a message as it is.
    pub(super) fn send(&self, message: &Message<'_>) -> Result<()> {
        self.lane.send(message).map_err(|refused| match refused {
            Refused::Full(queued) => Error::NotReading { queued },
            Refused::Closed => {
                // It may still run and even write: but nobody can ask it for anything any more.
                self.mark_ended("closed its input");
                self.gone()
            }
        })
    }

    /// Registers somebody who waits, and returns the number under which the answer comes.
    pub(super) fn expect(
        &self,
        context: &CallContext,
        clock: Option<Clock>,
    ) -> Result<(u64, oneshot::Receiver<Result<Answer>>)> {
        let id = self.number();
        let (reply, answer) = oneshot::channel();
        let (progress, log, ask) = (context.progress.clone(), context.log.clone(), context.ask.clone());
        let touched = clock.as_ref().map_or_else(Instant::now, |clock| clock.begin);
        let timed = clock.is_some();
        lock(&self.waiting).insert(id, Pending { reply, progress, log, ask, asked: 0, touched, clock });
        if timed && !self.timing.swap(true, Ordering::AcqRel) {
            self.clock_call.notify_one();
        }
        if self.closed.load(Ordering::Acquire) {
            self.forget(id);
            return Err(self.gone());
        }
        Ok((id, answer))
    }

    pub(super) fn forget(&self, id: u64) -> Option<Pending> {
        let pending = lock(&self.waiting).remove(&id)?;
        if pending.asked > 0 {
            self.drop_questions_of_none();
        }
        Some(pending)
    }

    /// A number that nothing else of this session has.
    pub(super) fn number(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether somebody waits for an answer.
    pub(super) fn waits(&self, id: u64) -> bool {
        lock(&self.waiting).contains_key(&id)
    }

    /// Whether somebody waits for any answer.
    pub(super) fn is_awaited(&self) -> bool {
        !lock(&self.waiting).is_empty()
    }

    /// Whether a call is inside its clocks that began before then.
    pub(super) fn has_calls(&self, then: Instant) -> bool {
        let waiting = lock(&self.waiting);
        waiting.values().any(|pending| pending.clock.as_ref().is_some_and(|clock| clock.begin <= then))
    }

    /// Notes that it owed an answer when the call was given up.
    pub(super) fn suspect(&self) {
        self.doubt.notify_one();
    }

    /// Returns when a call was given up. Cancel safe.
    pub(super) fn suspected(&self) -> impl Future<Output = ()> + '_ {
        self.doubt.notified()
    }

    /// The way to the server, where it is HTTP.
    pub(super) fn http(&self) -> Option<&http::Lane> {
        match &self.lane {
            Lane::Http(lane) => Some(lane),
            Lane::Pipe(_) => None,
        }
    }

    /// The process at the root of it, where there is one.
    pub(super) fn pid(&self) -> Option<u32> {
        self.about.read().unwrap_or_else(PoisonError::into_inner).pid
    }

    /// Whether hands were shaken.
    pub(super) fn is_up(&self) -> bool {
        self.about.read().unwrap_or_else(PoisonError::into_inner).protocol.is_some()
    }

    /// Returns when there is a call whose time has to be kept. Cancel safe.
    pub(super) fn clock_wanted(&self) -> impl Future<Output = ()> + '_ {
        self.clock_call.notified()
    }

    /// Gives up what has taken too long; false when there is nothing left whose time has to be kept.
    pub(super) fn expire(&self, now: Instant) -> bool {
        // Said before it is looked at: a call that comes in between asks for the clock again.
        self.timing.store(false, Ordering::Release);
        let mut waiting = lock(&self.waiting);
        let judged = waiting.iter().filter_map(|(id, pending)| Some((*id, clock::judge(pending, &self.options, now)?)));
        let over: Vec<(u64, Error)> = judged.collect();
        let over = over.into_iter().filter_map(|(id, error)| Some((id, waiting.remove(&id)?, error))).collect();
        let more = waiting.values().any(|pending| pending.clock.is_some());
        if more {
            self.timing.store(true, Ordering::Release);
        }
        drop(waiting);
        clock::give_up(self, over);
        more
    }

    /// Notes a sign of life and returns where the caller wants to hear of it.
    pub(super) fn touch(&self, id: u64) -> Option<Sink> {
        let mut waiting = lock(&self.waiting);
        let pending = waiting.get_mut(&id)?;
        pending.touched = Instant::now();
        pending.progress.clone()
    }

    /// Everybody who wants to see a log message: whoever made the call that it came with, as far as that is known, else
    /// everybody who waits.
    pub(super) fn log_sinks(&self, of: Option<u64>) -> Vec<Sink> {
        let waiting = lock(&self.waiting);
        if let Some(pending) = of.and_then(|id| waiting.get(&id)) {
            return pending.log.clone().into_iter().collect();
        }
        let mut sinks: Vec<Sink> = waiting.values().filter_map(|pending| pending.log.clone()).collect();
        // Calls of one client over one line have one ear.
        sinks.sort_by_key(|sink| Arc::as_ptr(sink).addr());
        sinks.dedup_by(|a, b| Arc::ptr_eq(a, b));
        sinks
    }

    /// Fails a request: of ours, or of rmcp's, which is told as the server would.
    pub(super) fn refuse(&self, id: &str, error: Error) {
        let ours = id.strip_prefix('"').and_then(|id| id.strip_suffix('"')).and_then(super::reader::number);
        if let Some(number) = ours {
            if let Some(pending) = self.forget(number) {
                let _ = pending.reply.send(Err(error));
            }
            return;
        }
        let (code, message) = match error {
            Error::Server { code, message, .. } => (code, message),
            other => (-32603, other.to_string()),
        };
        let answer = serde_json::json!({ "code": code, "message": message });
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{answer}}}");
        if serde_json::from_str(id).is_ok_and(|id| self.is_for_rmcp(Some(id))) {
            let _ = self.give_to_rmcp(&line);
        }
    }

    /// The server said that its tools have changed.
    pub(super) fn mark_changed(&self) {
        self.changed.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    /// Something else is to be shown than before, and it is not the tools.
    pub(super) fn mark_otherwise(&self) {
        self.otherwise.notify_one();
    }

    pub(super) fn otherwise(&self) -> impl Future<Output = ()> + '_ {
        self.otherwise.notified()
    }

    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    pub(super) fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.woken.notified()
    }

    /// The server's output is at its end.
    pub(super) fn mark_ended(&self, reason: &str) {
        let _ = self.end_reason.set(reason.to_owned());
        self.ended.cancel();
    }

    /// Returns why the server's output is at its end, when it is. Cancel safe.
    pub(crate) async fn ended(&self) -> String {
        self.ended.cancelled().await;
        self.end_reason.get().cloned().unwrap_or_default()
    }

    /// Fails everybody who waits.
    pub(crate) fn fail_all(&self, error: &Error) {
        // From now on nobody new may wait: see `expect`.
        self.closed.store(true, Ordering::Release);
        let waiting: Vec<Pending> = lock(&self.waiting).drain().map(|(_, pending)| pending).collect();
        for pending in waiting {
            let _ = pending.reply.send(Err(error.clone()));
        }
    }

    /// Closes the way to the server.
    pub(super) fn close(&self) {
        self.lane.close();
    }

    fn gone(&self) -> Error {
        let how = self.end_reason.get().cloned().unwrap_or_else(|| "closed its input".to_owned());
        Error::ended(how, self.tail().last_lines())
    }
}

/// A lock that is held for a moment only; what it protects is whole even if its last holder panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a tool's arguments are on one line: outside of strings a line end is only white space, inside there is none.
pub(super) fn one_line(raw: &RawValue) -> std::borrow::Cow<'_, str> {
    let text = raw.get();
    if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ").into() } else { text.into() }
}
