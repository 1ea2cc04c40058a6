//! A request of a client, from the moment it is understood to its answer.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::{AbortHandle, Abortable};
use serde_json::{json, value::RawValue};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    announce, ask, hello,
    message::{self, Era, INTERNAL, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Shape, TOO_MANY},
    outlet::Outlet,
    parked::{self, Back, Conversation, Slot},
    peer::{Peer, QUEUE, STREAMS, SUBSCRIPTIONS},
    scope::Kind,
};
use crate::{
    computer::{
        Params,
        dispatch::Repeatable,
        relay::{self, Way, raw_text},
    },
    error::{Error, Result},
    raw::RawObject,
    source::{Answer, CALL_TOOL, Call, CallContext, Sink, Waiting},
};

/// A request of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The JSON text of its id.
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    pub(super) params: Option<&'a RawValue>,
    pub(super) era: Era,
}

/// What is left to be done for a request. Whoever holds it runs it; dropping it takes the request back.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long a request about something that nobody has waits for entries that are being brought up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is waited for one entry before it is told what that can do.
const ONE_ENTRY: Duration = Duration::from_secs(5);

/// Begins a request. What can be handed over at once has been when this returns.
pub(super) fn begin(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    if let Err(hello::Refusal::Incomplete(error) | hello::Refusal::Version(error)) = checked(request) {
        return now(&outlet, message::failed(request.id, error, (request.era, Shape::Plain)));
    }
    if let Some(kind) = Kind::listed_by(request.method) {
        if peer.scope.lacks(kind) {
            return unknown(request, &outlet);
        }
        return list(peer, request, (kind, outlet));
    }
    match (request.method, request.era) {
        ("initialize", Era::Legacy) => initialize(peer, request, outlet),
        ("server/discover", Era::Modern) => discover(peer, request, outlet),
        ("ping", Era::Legacy) => now(&outlet, message::made(request.id, &json!({}), request.era)),
        ("logging/setLevel", Era::Legacy) => set_level(peer, request, outlet),
        ("resources/subscribe", Era::Legacy) if is_early(peer, request) => later(peer, request, outlet),
        ("resources/subscribe", Era::Legacy) => subscribe(peer, request, outlet),
        ("resources/unsubscribe", Era::Legacy) => unsubscribe(peer, request, outlet),
        ("subscriptions/listen", Era::Modern) => listen(peer, request, outlet),
        (
            "initialize"
            | "ping"
            | "logging/setLevel"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "server/discover"
            | "subscriptions/listen",
            _,
        ) => unknown(request, &outlet),
        ("prompts/get" | "resources/read" | "completion/complete", _) if is_early(peer, request) => {
            later(peer, request, outlet)
        }
        (CALL_TOOL | "prompts/get" | "resources/read" | "completion/complete", _) => admit(peer, request, outlet),
        (method, _) if method.starts_with("tasks/") || peer.scope.is_one() => admit(peer, request, outlet),
        _ => unknown(request, &outlet),
    }
}

/// Whether a request is about something that nobody has, while entries are still being brought up that may have it.
fn is_early(peer: &Arc<Peer>, request: &Request<'_>) -> bool {
    if !peer.scope.is_unsettled() {
        return false;
    }
    let members = request.params.and_then(RawObject::parse).unwrap_or_default();
    let subject = members.object("ref").unwrap_or(members);
    let known = match (subject.text("uri"), subject.text("name")) {
        (Some(uri), _) => peer.scope.owns(&uri),
        (None, Some(name)) => peer.scope.prompt(&name).is_some(),
        (None, None) => true,
    };
    !known
}

/// Begins a request when what should be up is up, or has failed.
fn later(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let (id, method, era) = (request.id.to_owned(), request.method.to_owned(), request.era);
    let params = request.params.map(ToOwned::to_owned);
    let peer_ = peer.clone();
    tracked(peer, request.id, async move {
        peer_.scope.settled(PATIENCE).await;
        let request = Request { id: &id, method: &method, params: params.as_deref(), era };
        let work = match method.as_str() {
            "resources/subscribe" => subscribe(&peer_, &request, outlet),
            _ => admit(&peer_, &request, outlet),
        };
        work.await;
    })
}

/// A request of the new generation says what it must; with a handshake that has been said.
fn checked(request: &Request<'_>) -> Result<hello::Meta, hello::Refusal> {
    match request.era {
        Era::Legacy => Ok(hello::Meta::default()),
        Era::Modern => hello::meta(request.params),
    }
}

fn now(outlet: &Outlet, message: Vec<u8>) -> Work {
    outlet.answer_now(message);
    Box::pin(std::future::ready(()))
}

fn unknown(request: &Request<'_>, outlet: &Outlet) -> Work {
    let words = format!("unknown method `{}`", request.method);
    now(outlet, message::failure(request.id, METHOD_NOT_FOUND, &words))
}

/// Work that the client can take back.
fn tracked(peer: &Arc<Peer>, id: &str, work: impl Future<Output = ()> + Send + 'static) -> Work {
    struct Listed {
        peer: Arc<Peer>,
        id: String,
    }
    impl Drop for Listed {
        fn drop(&mut self) {
            self.peer.end(&self.id);
        }
    }
    let (handle, registration) = AbortHandle::new_pair();
    peer.begin(id, handle);
    let listed = Listed { peer: peer.clone(), id: id.to_owned() };
    Box::pin(async move {
        let _listed = listed;
        // Taken back by the client, there is no answer.
        let _ = Abortable::new(work, registration).await;
    })
}

fn initialize(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let Some(said) = hello::read(request.params) else {
        let words = "cannot initialize: `params` must hold `protocolVersion`, `capabilities` and `clientInfo`";
        return now(&outlet, message::failure(request.id, INVALID_PARAMS, words));
    };
    if !peer.greet(said.clone()) {
        let words = "this session is initialized already";
        return now(&outlet, message::failure(request.id, INVALID_REQUEST, words));
    }
    let wait = if peer.scope.is_one() { ONE_ENTRY } else { Duration::ZERO };
    if wait.is_zero() {
        let result = hello::initialized(&peer.scope, &said);
        return now(&outlet, message::made(request.id, &result, request.era));
    }
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked(peer, request.id, async move {
        peer_.scope.settled(wait).await;
        outlet.answer(message::made(&id, &hello::initialized(&peer_.scope, &said), era)).await;
    })
}

fn discover(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked(peer, request.id, async move {
        if peer_.scope.is_one() {
            peer_.scope.settled(ONE_ENTRY).await;
        }
        outlet.answer(message::made(&id, &hello::discovered(&peer_.scope), era)).await;
    })
}

fn list(peer: &Arc<Peer>, request: &Request<'_>, (kind, outlet): (Kind, Outlet)) -> Work {
    let cursor = request.params.and_then(RawObject::parse).and_then(|params| params.get("cursor"));
    if cursor.is_some_and(|cursor| cursor.get() != "null") {
        let words = "unknown cursor: the whole list is one page";
        return now(&outlet, message::failure(request.id, INVALID_PARAMS, words));
    }
    // Lists wait only while the Computer is young: later they must not stand still for an entry that is brought back.
    let computer = peer.scope.computer();
    let wait = computer.config().serve.list_wait.saturating_sub(computer.age());
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked(peer, request.id, async move {
        peer_.scope.settled(wait).await;
        peer_.list(kind, peer_.scope.version(kind));
        outlet.answer(message::list(&id, (kind.member(), &peer_.scope.definitions(kind)), era)).await;
    })
}

fn set_level(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let level = request.params.and_then(RawObject::parse).and_then(|params| params.text("level"));
    let Some(level) = level.filter(|level| relay::weight(level).is_some()) else {
        let words = format!("`params.level` must be one of {}", relay::LEVELS.join(", "));
        return now(&outlet, message::failure(request.id, INVALID_PARAMS, &words));
    };
    peer.set_level(&level);
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked(peer, request.id, async move {
        peer_.scope.computer().board().want_level(peer_.number, Some(&level)).await;
        outlet.answer(message::made(&id, &json!({}), era)).await;
    })
}

/// The URI that a request is about.
fn uri(request: &Request<'_>) -> Option<String> {
    request.params.and_then(RawObject::parse)?.text("uri")
}

fn without_uri(request: &Request<'_>, outlet: &Outlet) -> Work {
    let words = format!("`{}` needs `params.uri`, a string", request.method);
    now(outlet, message::failure(request.id, INVALID_PARAMS, &words))
}

fn subscribe(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let Some(uri) = uri(request) else { return without_uri(request, &outlet) };
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked(peer, request.id, async move {
        let outcome = match peer_.scope.resource(&uri).into_iter().next() {
            None => Err(relay::no_resource(&uri, era.no_resource())),
            // Twice is once.
            Some(_) if peer_.is_subscribed(&uri) => Ok(()),
            Some(_) if peer_.subscriptions() >= SUBSCRIPTIONS => Err(Error::Server {
                code: TOO_MANY,
                message: format!("a client hears of {SUBSCRIPTIONS} resources at most; unsubscribe from some"),
                data: None,
            }),
            Some(way) => {
                let outcome = peer_.scope.computer().board().subscribe(&way).await;
                if outcome.is_ok() && !peer_.subscribe(&uri, way.clone()) {
                    // Somebody was faster with the same.
                    peer_.scope.computer().board().unsubscribe(&way).await;
                }
                outcome
            }
        };
        outlet
            .answer(match outcome {
                Ok(()) => message::made(&id, &json!({}), era),
                Err(error) => message::failed(&id, error, (era, Shape::Plain)),
            })
            .await;
    })
}

fn unsubscribe(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let Some(uri) = uri(request) else { return without_uri(request, &outlet) };
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked(peer, request.id, async move {
        if let Some(way) = peer_.unsubscribe(&uri) {
            peer_.scope.computer().board().unsubscribe(&way).await;
        }
        outlet.answer(message::made(&id, &json!({}), era)).await;
    })
}

fn listen(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    struct Stream(Arc<Peer>);
    impl Drop for Stream {
        fn drop(&mut self) {
            self.0.listening.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let others = peer.listening.fetch_add(1, Ordering::AcqRel);
    let stream = Stream(peer.clone());
    if others >= STREAMS {
        let words = format!("a client has {STREAMS} listening streams at most; end one of the others");
        return now(&outlet, message::failure(request.id, TOO_MANY, &words));
    }
    let params = request.params.map(ToOwned::to_owned);
    let (peer_, id) = (peer.clone(), request.id.to_owned());
    tracked(peer, request.id, async move {
        let _stream = stream;
        announce::listen(peer_, id, params, outlet).await;
    })
}

/// Begins a request that goes to an entry, when there is room for one more.
fn admit(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    if let Ok(room) = peer.room.clone().try_acquire_owned() {
        return pass(peer, request, (outlet, room));
    }
    struct Place(Arc<Peer>);
    impl Drop for Place {
        fn drop(&mut self) {
            self.0.queued.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let before = peer.queued.fetch_add(1, Ordering::AcqRel);
    let place = Place(peer.clone());
    if before >= QUEUE {
        let words = format!("{QUEUE} requests wait for their turn already; wait for answers before asking more");
        return now(&outlet, message::failure(request.id, TOO_MANY, &words));
    }
    let (id, method, era) = (request.id.to_owned(), request.method.to_owned(), request.era);
    let params = request.params.map(ToOwned::to_owned);
    let peer_ = peer.clone();
    tracked(peer, request.id, async move {
        let room = peer_.room.clone().acquire_owned().await;
        drop(place);
        let Ok(room) = room else { return };
        let request = Request { id: &id, method: &method, params: params.as_deref(), era };
        let work = pass(&peer_, &request, (outlet, room));
        work.await;
    })
}

/// Passes a request on to its entry.
fn pass(peer: &Arc<Peer>, request: &Request<'_>, (outlet, room): (Outlet, OwnedSemaphorePermit)) -> Work {
    let members = request.params.and_then(RawObject::parse).unwrap_or_default();
    let meta = members.get("_meta");
    let token = meta.and_then(RawObject::parse).and_then(|meta| meta.get("progressToken")).map(ToOwned::to_owned);
    let shape = Shape::of(request.method);
    let state = members.text("requestState").filter(|state| request.era == Era::Modern && parked::is_ours(state));
    if let Some(state) = state {
        let back = Back { subject: subject(request, &members), responses: members.get("inputResponses") };
        let resumed = peer.parking.resume(&state, back, (outlet.clone(), token));
        return match resumed {
            Ok(conversation) => converse(peer, request.id, (conversation, outlet, room)),
            Err(error) => now(&outlet, message::failed(request.id, error, (request.era, Shape::Plain))),
        };
    }
    let tool = tool(request, &members);
    let mut context = CallContext::default();
    match request.era {
        Era::Legacy => {
            context.progress = token.map(|token| progress(&outlet, token));
            context.capabilities = peer.hello().map(|hello| hello.capabilities.clone());
            context.log_level = peer.level();
            let heard = ask::heard(peer, &outlet);
            (context.log, context.ask) = (Some(heard.log), Some(heard.ask));
            let answer = sent(peer, request, (&members, tool.as_deref(), context));
            let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
            tracked(peer, request.id, async move {
                let outcome = answer.await;
                peer_.note_task(tool.as_deref(), &outcome);
                outlet.answer(message::answer(&id, outcome, (era, shape))).await;
                drop(room);
            })
        }
        Era::Modern => {
            let said = checked(request).unwrap_or_default();
            let slot = Slot::new(outlet.clone(), token);
            context.progress = slot.with(|to| to.token.is_some()).then(|| progress_by(&slot));
            let (ask, questions, waits) = ask::modern(said.capabilities.clone());
            context.capabilities = said.capabilities;
            context.log = said.level.map(|level| log_by(&slot, level));
            context.ask = Some(ask);
            context.input_required = true;
            let answer = sent(peer, request, (&members, tool.as_deref(), context));
            let subject = subject(request, &members);
            let conversation = Conversation { answer, questions, waits, slot, shape, tool, subject };
            converse(peer, request.id, (conversation, outlet, room))
        }
    }
}

/// What a request is about: a state of ours is good for that and nothing else.
fn subject(request: &Request<'_>, members: &RawObject<'_>) -> String {
    let of = members.get("name").or_else(|| members.get("uri")).map_or("", RawValue::get);
    format!("{} {of}", request.method)
}

/// The tool that a request calls.
fn tool(request: &Request<'_>, members: &RawObject<'_>) -> Option<String> {
    (request.method == CALL_TOOL).then(|| members.text("name")).flatten()
}

/// Waits for the answer, or for what the server wants to know before it gives one.
fn converse(
    peer: &Arc<Peer>,
    id: &str,
    (mut conversation, outlet, room): (Conversation, Outlet, OwnedSemaphorePermit),
) -> Work {
    let (peer_, id_) = (peer.clone(), id.to_owned());
    tracked(peer, id, async move {
        let shape = conversation.shape;
        let asked = tokio::select! {
            biased;
            outcome = &mut conversation.answer => {
                peer_.note_task(conversation.tool.as_deref(), &outcome);
                outlet.answer(message::answer(&id_, outcome, (Era::Modern, shape))).await;
                return;
            }
            Some(asked) = conversation.questions.recv() => asked,
        };
        let mut all = vec![asked];
        while let Ok(more) = conversation.questions.try_recv() {
            all.push(more);
        }
        outlet
            .answer(match peer_.parking.park(conversation, all) {
                Ok((requests, state)) => message::input_required(&id_, &requests, &state),
                Err(error) => message::failed(&id_, error, (Era::Modern, shape)),
            })
            .await;
        drop(room);
    })
}

/// Where progress of a call goes.
fn progress(outlet: &Outlet, token: Box<RawValue>) -> Sink {
    let outlet = outlet.clone();
    Arc::new(move |params: &RawValue| tell_progress(&outlet, &token, params))
}

/// The same for a call that may come back as another request.
fn progress_by(slot: &Slot) -> Sink {
    let slot = slot.clone();
    Arc::new(move |params: &RawValue| {
        slot.with(|to| {
            if let Some(token) = to.token.as_deref() {
                tell_progress(&to.outlet, token, params);
            }
        });
    })
}

fn tell_progress(outlet: &Outlet, token: &RawValue, params: &RawValue) {
    // Progress that a slow client would read late is of no use to it.
    if !outlet.is_crowded()
        && let Some(message) = message::progress(params, token)
    {
        outlet.tell(&message);
    }
}

/// Where the log messages of a call go, from a level on.
fn log_by(slot: &Slot, level: String) -> Sink {
    let slot = slot.clone();
    Arc::new(move |params: &RawValue| slot.with(|to| announce::tell_log(&to.outlet, Some(&level), params)))
}

/// A request on its way to its entry.
fn sent(
    peer: &Arc<Peer>,
    request: &Request<'_>,
    (members, tool, context): (&RawObject<'_>, Option<&str>, CallContext),
) -> Waiting<Answer> {
    match request.method {
        CALL_TOOL => call(peer, members, (tool, context)),
        "prompts/get" => {
            let Some(name) = members.text("name") else { return wrong("`prompts/get` needs `params.name`, a string") };
            match peer.scope.prompt(&name) {
                Some(way) => about(&way, request.method, (members, context)),
                None => wrong(&format!("unknown prompt `{name}`")),
            }
        }
        "resources/read" => {
            let Some(uri) = members.text("uri") else { return wrong("`resources/read` needs `params.uri`, a string") };
            read(peer.scope.resource(&uri), (members, context), relay::no_resource(&uri, request.era.no_resource()))
        }
        "completion/complete" => complete(peer, members, context),
        method if method.starts_with("tasks/") => {
            let way = members.text("taskId").and_then(|id| peer.scope.task(&id));
            match way.or_else(|| peer.scope.only()) {
                Some(way) => on(&way, method, (members, context)),
                None => wrong("unknown task: `params.taskId` is none that was handed out here"),
            }
        }
        method => match peer.scope.only() {
            Some(way) => on(&way, method, (members, context)),
            None => wrong("the Computer has not been started"),
        },
    }
}

fn wrong(words: &str) -> Waiting<Answer> {
    let error = Error::Server { code: INVALID_PARAMS, message: words.to_owned(), data: None };
    Box::pin(async { Err(error) })
}

/// The parameters of a request but for those that are dealt with apart.
fn rest<'a>(members: &'a RawObject<'a>, apart: &[&str]) -> Vec<(&'a str, &'a RawValue)> {
    let all = members.0.iter().map(|(name, value)| (name.as_ref(), *value));
    all.filter(|(name, _)| *name != "_meta" && !apart.contains(name)).collect()
}

fn call(peer: &Arc<Peer>, members: &RawObject<'_>, (name, context): (Option<&str>, CallContext)) -> Waiting<Answer> {
    let Some(name) = name else {
        return wrong("cannot call a tool: `params.name` must be a string");
    };
    let arguments = members.get("arguments").filter(|arguments| arguments.get() != "null");
    let rest = rest(members, &["name", "arguments"]);
    let params = Params { arguments, meta: members.get("_meta"), rest: &rest };
    peer.scope.call(name, params, context)
}

/// A request about something that has a name of its own at its entry.
fn about(way: &Way, method: &str, (members, context): (&RawObject<'_>, CallContext)) -> Waiting<Answer> {
    let rest = rest(members, &["name", "arguments"]);
    let call = Call {
        method,
        name: Some(&way.own),
        arguments: members.get("arguments").filter(|arguments| arguments.get() != "null"),
        meta: members.get("_meta"),
        rest: &rest,
    };
    way.send(call, (Repeatable(true), context))
}

/// A request with its parameters as they are.
fn on(way: &Way, method: &str, (members, context): (&RawObject<'_>, CallContext)) -> Waiting<Answer> {
    let rest = rest(members, &[]);
    let call = Call { meta: members.get("_meta"), rest: &rest, ..Call::of(method) };
    way.send(call, (Repeatable(false), context))
}

/// Reads a resource at its owner, or wherever it may be until somebody has it.
fn read(ways: Vec<Way>, (members, context): (&RawObject<'_>, CallContext), nowhere: Error) -> Waiting<Answer> {
    let mut answers = Vec::with_capacity(ways.len());
    let kept = Call { meta: members.get("_meta"), rest: &rest(members, &[]), ..Call::of("resources/read") }.keep();
    let mut ways = ways.into_iter();
    let send = move |way: &Way, context: CallContext| {
        let uri = raw_text(&way.own);
        kept.with(&[("uri", &uri)], |call| way.send(call, (Repeatable(true), context)))
    };
    // What can go out at once does.
    if let Some(way) = ways.next() {
        answers.push(send(&way, context.clone()));
    }
    Box::pin(async move {
        let mut outcome = Err(nowhere);
        for answer in answers {
            outcome = answer.await;
        }
        for way in ways {
            match &outcome {
                Err(Error::Server { code: -32002 | INVALID_PARAMS | INTERNAL, .. }) => {}
                _ => return outcome,
            }
            outcome = send(&way, context.clone()).await;
        }
        outcome
    })
}

/// Completes an argument of a prompt or of a template.
fn complete(peer: &Arc<Peer>, members: &RawObject<'_>, context: CallContext) -> Waiting<Answer> {
    let Some(mut reference) = members.object("ref") else {
        return wrong("`completion/complete` needs `params.ref`, an object");
    };
    let (member, way) = match (reference.text("name"), reference.text("uri")) {
        (Some(name), _) => ("name", peer.scope.prompt(&name)),
        (None, Some(uri)) => ("uri", peer.scope.resource(&uri).into_iter().next()),
        (None, None) => ("name", None),
    };
    let Some(way) = way else { return wrong("`params.ref` names no prompt and no resource that is here") };
    let own = raw_text(&way.own);
    reference.set(member, &own);
    let reference = reference.to_raw();
    let mut rest = rest(members, &["ref"]);
    rest.push(("ref", &reference));
    let call = Call { meta: members.get("_meta"), rest: &rest, ..Call::of("completion/complete") };
    way.send(call, (Repeatable(true), context))
}
