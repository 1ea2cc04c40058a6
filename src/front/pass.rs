//! A request that goes to an entry: under which name there, with whom to be heard by meanwhile.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{json, value::RawValue};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    announce, ask,
    exchange::{Request, Work, checked, now, tracked},
    message::{self, Era, INTERNAL, INVALID_PARAMS, Shape, TOO_MANY},
    outlet::Outlet,
    parked::{self, Back, Conversation, Slot},
    peer::Peer,
};
use crate::{
    computer::{
        Params,
        dispatch::Repeatable,
        relay::{self, Way, raw_text},
    },
    error::{Error, Result},
    raw::RawObject,
    records::Kind,
    source::{Answer, CALL_TOOL, Call, CallContext, Sink, Waiting},
};

/// Begins a request that goes to an entry, when there is room for one more.
pub(super) fn admit(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let (members, tool) = opened(request);
    let room = peer.room(tool.as_deref().and_then(|tool| peer.scope.worker_of_tool(tool)));
    if let Ok(room) = room.clone().try_acquire_owned() {
        return pass(peer, request, (members, tool), (outlet, room));
    }
    let (queued, most) = peer.queue();
    let before = queued.fetch_add(1, Ordering::AcqRel);
    let place = Place(peer.clone());
    if before >= most {
        if let Some(tool) = &tool {
            let caller = peer.caller(outlet.front(), None);
            peer.scope.computer().board().book().refused(tool, Some(&caller), Kind::OverLimit);
        }
        let words = format!("{most} requests wait for their turn already; wait for answers before asking more");
        return now(&outlet, message::failure(request.id, TOO_MANY, &words));
    }
    let (id, method, era) = (request.id.to_owned(), request.method.to_owned(), request.era);
    let params = request.params.map(ToOwned::to_owned);
    let peer_ = peer.clone();
    tracked((peer, request.id), outlet.clone(), async move {
        let room = room.acquire_owned().await;
        drop(place);
        let Ok(room) = room else { return };
        let request = Request { id: &id, method: &method, params: params.as_deref(), era };
        let work = pass(&peer_, &request, opened(&request), (outlet, room));
        work.await;
    })
}

/// A place in the queue of those that wait for room.
struct Place(Arc<Peer>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.queue().0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The members of a request's parameters, and the tool that it calls.
fn opened<'a>(request: &Request<'a>) -> (RawObject<'a>, Option<String>) {
    let members = request.params.and_then(RawObject::parse).unwrap_or_default();
    let tool = (request.method == CALL_TOOL).then(|| members.text("name")).flatten();
    (members, tool)
}

/// Passes a request on to its entry.
fn pass(
    peer: &Arc<Peer>,
    request: &Request<'_>,
    (members, tool): (RawObject<'_>, Option<String>),
    (outlet, room): (Outlet, OwnedSemaphorePermit),
) -> Work {
    let meta = members.get("_meta");
    let token = meta.and_then(RawObject::parse).and_then(|meta| meta.get("progressToken")).map(ToOwned::to_owned);
    let shape = Shape::of(request.method);
    let state = members.text("requestState").filter(|state| request.era == Era::Modern && parked::is_ours(state));
    if let Some(state) = state {
        let back = Back { subject: subject(request, &members), responses: members.get("inputResponses") };
        let resumed = peer.parking.resume(&state, &back, (outlet.clone(), token));
        return match resumed {
            Ok(conversation) => converse(peer, request.id, (conversation, outlet, room)),
            Err(error) => now(&outlet, message::failed(request.id, error, (request.era, Shape::Plain))),
        };
    }
    let mut context = CallContext { client: Some(peer.number), ..CallContext::default() };
    match request.era {
        Era::Legacy => {
            context.progress = token.map(|token| progress(&outlet, token));
            context.capabilities = peer.hello().map(|hello| hello.capabilities.clone());
            context.log_level = peer.level();
            context.caller = Some(peer.caller(outlet.front(), None));
            let heard = ask::heard(peer, &outlet);
            (context.log, context.ask) = (Some(heard.log), Some(heard.ask));
            let answer = sent(peer, request, (&members, tool.as_deref(), context));
            let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
            tracked((peer, request.id), outlet.clone(), async move {
                let outcome = answer.await;
                peer_.note_task(tool.as_deref(), &outcome);
                let outcome = told(outcome, tool.as_deref());
                outlet.answer(message::answer(&id, outcome, (era, shape))).await;
                drop(room);
            })
        }
        Era::Modern => {
            let said = checked(request).unwrap_or_default();
            context.caller = Some(peer.caller(outlet.front(), said.client.clone()));
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

/// A call that failed without the server's saying so is told as a failed tool is, with the tool's name: whoever reads it
/// may have called many.
fn told(outcome: Result<Answer>, tool: Option<&str>) -> Result<Answer> {
    match (outcome, tool) {
        (Err(error), Some(tool)) if error.is_of_entry() => {
            let text = error.of_call(tool);
            Ok(Answer::made(&json!({ "content": [{ "type": "text", "text": text }], "isError": true })))
        }
        (outcome, _) => outcome,
    }
}

/// What a request is about: a state of ours is good for that and nothing else.
fn subject(request: &Request<'_>, members: &RawObject<'_>) -> String {
    let of = members.get("name").or_else(|| members.get("uri")).map_or("", RawValue::get);
    format!("{} {of}", request.method)
}

/// Waits for the answer, or for what the server wants to know before it gives one.
fn converse(
    peer: &Arc<Peer>,
    id: &str,
    (mut conversation, outlet, room): (Conversation, Outlet, OwnedSemaphorePermit),
) -> Work {
    let (peer_, id_) = (peer.clone(), id.to_owned());
    tracked((peer, id), outlet.clone(), async move {
        let shape = conversation.shape;
        let asked = tokio::select! {
            biased;
            outcome = &mut conversation.answer => {
                peer_.note_task(conversation.tool.as_deref(), &outcome);
                let outcome = told(outcome, conversation.tool.as_deref());
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
    let asked = members.text("uri").unwrap_or_default();
    let send = move |way: &Way, context: CallContext| {
        let uri = raw_text(&way.own);
        let answer = kept.with(&[("uri", &uri)], |call| way.send(call, (Repeatable(true), context)));
        if way.own == asked {
            return answer;
        }
        let (own, asked) = (way.own.clone(), asked.clone());
        Box::pin(async move { Ok(known_as(&answer.await?, &own, &asked)) })
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

/// What was read, under the URI by which the client knows it: under the other it would find somebody else's.
fn known_as(answer: &Answer, own: &str, asked: &str) -> Answer {
    let renamed = || {
        let mut result: RawObject<'_> = serde_json::from_str(answer.get()).ok()?;
        let contents: Vec<&RawValue> = serde_json::from_str(result.get("contents")?.get()).ok()?;
        let asked = raw_text(asked);
        let contents = contents.into_iter().map(|content| {
            let mut content = RawObject::parse(content)?;
            if content.text("uri").as_deref() == Some(own) {
                content.set("uri", &asked);
            }
            Some(content.to_raw())
        });
        let contents: Vec<_> = contents.collect::<Option<_>>()?;
        let contents = serde_json::value::to_raw_value(&contents).ok()?;
        result.set("contents", &contents);
        Some(Answer::raw(&result.to_raw()))
    };
    renamed().unwrap_or_else(|| answer.clone())
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
