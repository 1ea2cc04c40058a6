//! From a name to a call on its way.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde_json::{Value, value::RawValue};
use tokio::time::{Instant, sleep_until};

use super::{board::Board, status_tool, words};
use crate::{
    error::{Delivery, Error, Result},
    name::{Namespace, namespace_of},
    records::{Note, Subject},
    registry::{self, Registry, Target},
    source::{Answer, CALL_TOOL, Call, CallContext, Face, KeptCall, Place, TOO_MANY, Waiting},
    supervisor::{Handle, Reason, State, Status},
};

/// How long a call waits for an entry that is being brought up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an entry whose credentials were refused is left alone by those who call it.
const REFUSED: Duration = Duration::from_secs(1);

/// How many names are offered instead of an unknown one.
const NEAREST: usize = 3;

/// The parameters of a call but for its name, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Params<'a> {
    pub(crate) arguments: Option<&'a RawValue>,
    pub(crate) meta: Option<&'a RawValue>,
    pub(crate) rest: &'a [(&'a str, &'a RawValue)],
}

impl<'a> Params<'a> {
    pub(crate) fn only(arguments: Option<&'a RawValue>) -> Self {
        Self { arguments, ..Self::default() }
    }

    fn of(call: &Call<'a>) -> Self {
        Self { arguments: call.arguments, meta: call.meta, rest: call.rest }
    }

    fn call<'b>(self, tool: &'b str) -> Call<'b>
    where
        'a: 'b,
    {
        Call { method: CALL_TOOL, name: Some(tool), arguments: self.arguments, meta: self.meta, rest: self.rest }
    }
}

/// The JSON text of arguments, which must be an object (or null, for none).
pub(super) fn checked(tool: &str, arguments: &Value) -> Result<Box<RawValue>> {
    let text = match arguments {
        Value::Object(_) => serde_json::to_string(arguments),
        Value::Null => Ok("{}".to_owned()),
        _ => Err(serde::ser::Error::custom("the arguments must be a JSON object")),
    };
    let raw = text.and_then(RawValue::from_string);
    raw.map_err(|error| Error::Arguments { tool: tool.to_owned(), reason: error.to_string() })
}

/// Sends a call to where its name leads, and notes it. When this returns it is on its way, or waits for its entry.
pub(crate) fn call(
    registry: &Registry,
    board: &Arc<Board>,
    name: &str,
    (params, context): (Params<'_>, CallContext),
) -> Waiting<Answer> {
    let mut note = {
        let listed = registry.route(name).map(|(_, listed)| &listed.route.namespace);
        // Only a name that nobody lists has to be taken apart.
        let named = if listed.is_none() { namespace_of(name, &board.namespaces()) } else { None };
        let subject = Subject { entry: listed.or(named.as_ref()).map(Namespace::as_str), tool: name };
        board.book().begin(&subject, context.caller.as_ref())
    };
    if !note.must_be_written() {
        let answer = routed(registry, board, name, (params, context));
        // Only now: the server works already.
        note.with(params.arguments);
        return note.until_over(answer);
    }
    note.with(params.arguments);
    let (board, name, kept) = (board.clone(), name.to_owned(), params.call("").keep());
    written_first(note, move || {
        kept.with(&[], |call| routed(&board.registry(), &board, &name, (Params::of(&call), context)))
    })
}

/// Makes a call when it is written down that it begins, and not when that cannot be written.
pub(crate) fn written_first(note: Note, send: impl FnOnce() -> Waiting<Answer> + Send + 'static) -> Waiting<Answer> {
    Box::pin(async move {
        let written = note.is_written().await;
        let answer = written.map(|()| send());
        note.until_over(async move { answer?.await }).await
    })
}

/// Sends a call to where its name leads.
fn routed(
    registry: &Registry,
    board: &Arc<Board>,
    name: &str,
    (params, context): (Params<'_>, CallContext),
) -> Waiting<Answer> {
    let Some((handle, listed)) = registry.route(name) else {
        return unlisted(registry, board, name, (params, context));
    };
    if let Some(raw) = params.arguments.filter(|raw| !raw.get().starts_with('{')) {
        let reason = format!("the arguments must be a JSON object, not {}", kind(raw.get()));
        let error = Error::Arguments { tool: name.to_owned(), reason };
        return Box::pin(async move { Err(error) });
    }
    let namespace = listed.route.namespace.as_str();
    match &listed.route.target {
        Target::Status => status_tool::call(board.clone(), namespace.to_owned(), params.arguments),
        Target::Tool { own_name, repeatable } => {
            send(handle, namespace, params.call(own_name), (Repeatable(*repeatable), context))
        }
    }
}

/// Whether sending a request twice is the same as sending it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeatable(pub(crate) bool);

/// Sends a request to an entry; it is waited for when it is being brought up.
pub(crate) fn send(
    handle: &Handle<Face>,
    namespace: &str,
    call: Call<'_>,
    (repeatable, context): (Repeatable, CallContext),
) -> Waiting<Answer> {
    let face = open(handle);
    if !repeatable.0
        && let Some(face) = face.as_ref().filter(|face| !face.may_miss())
        && let Some(answer) = face.clone().call(call, context.clone())
    {
        // The ordinary case: nothing is copied, no task is woken.
        return answer;
    }
    let way = Way { handle: handle.clone(), namespace: namespace.to_owned(), repeatable, place: None };
    way.send(call.keep(), context)
}

/// The entry's face when it is up and can be called.
fn open(handle: &Handle<Face>) -> Option<Face> {
    handle.status().ready().filter(|face| face.is_open()).cloned()
}

/// A name that is not in the catalog: of an entry that is being brought up, or of nobody.
fn unlisted(
    registry: &Registry,
    board: &Arc<Board>,
    name: &str,
    (params, context): (Params<'_>, CallContext),
) -> Waiting<Answer> {
    let Some(namespace) = namespace_of(name, &board.namespaces()) else {
        let unknown = Error::UnknownTool { name: name.to_owned(), nearest: registry.own().nearest(name, NEAREST) };
        return Box::pin(async { Err(unknown) });
    };
    let Some(handle) = board.handle(namespace.as_str()) else {
        let (state, reason) = ("idle".to_owned(), Some(words::NOT_STARTED.to_owned()));
        let error = Error::NotReady { namespace: namespace.to_string(), state, reason, cure: None };
        return Box::pin(async move { Err(error) });
    };
    let (board, name, kept) = (board.clone(), name.to_owned(), params.call("").keep());
    Box::pin(async move {
        let face = ready(&handle, namespace.as_str(), &context, Instant::now() + PATIENCE).await?;
        // Its tools are known now; the publisher may not have had its turn.
        board.publish();
        let registry = board.registry();
        if registry.route(&name).is_none() {
            let filter = board.recipe(namespace.as_str()).map(|recipe| recipe.config.tools.clone()).unwrap_or_default();
            if let Some(error) = registry::explain(&name, (&namespace, &face.tools()), &filter, board.rules()) {
                return Err(error);
            }
            return Err(Error::UnknownTool { nearest: registry.own().nearest(&name, NEAREST), name });
        }
        let answer = kept.with(&[], |call| routed(&registry, &board, &name, (Params::of(&call), context)));
        answer.await
    })
}

/// An entry when it is up; it is waited for until then.
async fn ready(handle: &Handle<Face>, namespace: &str, context: &CallContext, until: Instant) -> Result<Face> {
    let cancel = context.cancel.clone().unwrap_or_default();
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        outcome = settled(handle, namespace) => outcome,
        () = patience(handle, until) => {
            let late = || not_ready(namespace, &handle.status(), Some(PATIENCE + until.elapsed()));
            open(handle).ok_or_else(late)
        }
    }
}

/// Returns when a call has waited long enough. What was listed before it was up is waited for until its start, which has
/// a clock of its own, has come to something.
async fn patience(handle: &Handle<Face>, until: Instant) {
    sleep_until(until).await;
    let _ = handle.watch().wait_for(|status| !status.is_awaited()).await;
}

/// Returns when an entry has been down for longer than a call waits for it, or is not to come back.
async fn lost(handle: &Handle<Face>, namespace: &str) -> Error {
    let mut watch = handle.watch();
    loop {
        if watch.wait_for(|status| status.ready().is_none()).await.is_err() {
            return gone(namespace);
        }
        let back = ready(handle, namespace, &CallContext::default(), Instant::now() + PATIENCE).await;
        if let Err(error) = back {
            return error;
        }
    }
}

/// An entry when it is up, or why it is not to be. One that nobody has used is started. One whose credentials were refused
/// is tried once more at once: they may have been renewed, and all who call meanwhile wait for the same try.
async fn settled(handle: &Handle<Face>, namespace: &str) -> Result<Face> {
    let mut watch = handle.watch();
    let mut was_tried = false;
    loop {
        let outcome = {
            let settled = watch
                .wait_for(|status| status.ready().is_some_and(|face| face.is_open()) || status.is_settled_down())
                .await;
            let Ok(status) = settled else { return Err(gone(namespace)) };
            status.ready().cloned().ok_or_else(|| {
                let is_tried = status.is_unused() || (!was_tried && is_worth_a_try(&status));
                was_tried |= is_tried && !status.is_unused();
                (not_ready(namespace, &status, None), is_tried)
            })
        };
        match outcome {
            Ok(face) => return Ok(face),
            Err((_, true)) => handle.ensure().await,
            Err((error, false)) => return Err(error),
        }
    }
}

/// Whether its credentials were refused, and not a moment ago.
fn is_worth_a_try(status: &Status<Face>) -> bool {
    matches!(status.state, State::Held(Reason::NeedsAuth { .. })) && status.since.elapsed() >= REFUSED
}

/// Where a request goes that has to wait, or may be sent once more.
struct Way {
    handle: Handle<Face>,
    namespace: String,
    repeatable: Repeatable,
    /// Its turn, or its place among those that wait for theirs, where the entry takes only so many calls at a time.
    place: Option<Place>,
}

impl Way {
    fn send(mut self, call: KeptCall, context: CallContext) -> Waiting<Answer> {
        // What can go out at once does, before anybody polls.
        let first = match open(&self.handle) {
            Some(face) => self.hand_over(&face, &call, &context),
            None => Ok(None),
        };
        Box::pin(async move {
            let first = match first? {
                Some(first) => first,
                None => self.send_to_next(&call, &context).await?,
            };
            match first.await {
                // The server died before it answered, and calling twice is like calling once.
                Err(Error::Ended { .. } | Error::Http { delivery: Delivery::Unknown, .. }) if self.repeatable.0 => {
                    self.send_to_next(&call, &context).await?.await
                }
                // It has reached nobody.
                Err(Error::Http { delivery: Delivery::Unsent, .. }) => self.send_to_next(&call, &context).await?.await,
                outcome => outcome,
            }
        })
    }

    /// Hands a request over, if it is its turn and there is somebody to take it.
    fn hand_over(&mut self, face: &Face, call: &KeptCall, context: &CallContext) -> Result<Option<Waiting<Answer>>> {
        if self.place.is_none()
            && let Some(turns) = face.turns().filter(|_| call.is_work())
        {
            self.place = Some(turns.enter(context.client).ok_or_else(|| too_many(&self.namespace))?);
        }
        if self.waits() {
            return Ok(None);
        }
        Ok(call.with(&[], |call| face.clone().call(call, context.clone())))
    }

    /// Whether it is not its turn yet.
    fn waits(&self) -> bool {
        self.place.as_ref().is_some_and(|place| !place.has_turn())
    }

    /// Sends to whoever is up next. One that goes before it has taken the request is none.
    async fn send_to_next(&mut self, call: &KeptCall, context: &CallContext) -> Result<Waiting<Answer>> {
        // In all: one that comes and goes keeps nobody waiting for ever.
        let mut until = Instant::now() + PATIENCE;
        loop {
            if self.waits() {
                self.turn(context).await?;
                until = Instant::now() + PATIENCE;
            }
            let face = ready(&self.handle, &self.namespace, context, until).await?;
            if let Some(sent) = self.hand_over(&face, call, context)? {
                return Ok(sent);
            }
        }
    }

    /// Waits for its turn. An entry that is down meanwhile is waited for as long as without turns.
    async fn turn(&mut self, context: &CallContext) -> Result<()> {
        let Some(place) = &mut self.place else { return Ok(()) };
        let cancel = context.cancel.clone().unwrap_or_default();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            () = place.turn() => Ok(()),
            error = lost(&self.handle, &self.namespace) => Err(error),
        }
    }
}

/// What is said to a caller for whom there is no place any more.
fn too_many(namespace: &str) -> Error {
    let message = format!(
        "too many calls wait for their turn at entry `{namespace}` already (`maxConcurrent`); wait for answers before \
         asking more"
    );
    Error::Server { code: TOO_MANY, message, data: None }
}

/// What is said to somebody who called an entry that is not up, and who may have waited for it.
fn not_ready(namespace: &str, status: &Status<Face>, waited: Option<Duration>) -> Error {
    let state = words::state_name(&status.state).to_owned();
    let (reason, cure) = (words::reason(status), words::cure(status, waited));
    Error::NotReady { namespace: namespace.to_owned(), state, reason, cure }
}

/// What is said of an entry that nobody drives any more.
pub(super) fn gone(namespace: &str) -> Error {
    let reason = Some("it was removed, or its Computer was stopped".to_owned());
    Error::NotReady { namespace: namespace.to_owned(), state: "gone".to_owned(), reason, cure: None }
}

fn kind(json: &str) -> Cow<'_, str> {
    match json.chars().next() {
        Some('[') => "a list".into(),
        Some('"') => "a string".into(),
        Some('0'..='9' | '-') => "a number".into(),
        _ => json.into(),
    }
}
