//! `POST`: a message of a client.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use hyper::{StatusCode, body::Incoming};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{
    desk::Visit,
    events::{Events, Style},
    flow::{Flow, Keeper, Reader},
    gate::single,
    headers::{self, Wrong},
    intake::{self, Accepts},
    pipe::{Message, Pipe, Wants},
    reply::{self, Reply, SESSION_ID},
    session::Session,
};
use crate::{
    front::{
        exchange::{self, Request, Work},
        hello,
        message::{self, Era, INVALID_PARAMS, METHOD_NOT_FOUND, TOO_MANY},
        outlet::Outlet,
    },
    wire::Envelope,
};

/// Replies to a `POST`.
pub(super) async fn answer(visit: &Visit, body: Incoming) -> Reply {
    take(visit, body).await.unwrap_or_else(|refused| refused)
}

async fn take(visit: &Visit, body: Incoming) -> Result<Reply, Reply> {
    if !intake::is_json(&visit.headers) {
        let words = "a message is sent as `Content-Type: application/json`";
        return Err(reply::last(reply::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)));
    }
    let Some(accepts) = Accepts::read(&visit.headers) else {
        let words = "answers are `application/json` or `text/event-stream`; `Accept` must name both";
        return Err(reply::last(reply::refused(StatusCode::NOT_ACCEPTABLE, words)));
    };
    let text = intake::text(body, &visit.desk.limits).await?;
    let envelope = Envelope::of(&text).ok_or_else(|| no_message(&text))?;
    let id = envelope.id.map(RawValue::get).filter(|id| *id != "null");
    if envelope.method.is_some() && envelope.has_strange_id() {
        return Err(reply::invalid(StatusCode::BAD_REQUEST, None, message::STRANGE_ID));
    }
    let asked = Asked { visit, envelope: &envelope, id, accepts };
    match headers::era(&visit.headers, &envelope) {
        Ok(Era::Legacy) => asked.legacy().await,
        Ok(Era::Modern) => asked.modern().await,
        Err(wrong) => Err(contradiction(id, wrong)),
    }
}

/// Why a body is none.
fn no_message(text: &str) -> Reply {
    let (code, words) = match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if raw.get().starts_with('[') => {
            (message::INVALID_REQUEST, "batches are not supported; send each message by itself")
        }
        Ok(_) => (message::INVALID_REQUEST, "the message is no JSON-RPC message"),
        Err(_) => (message::PARSE_ERROR, "the message is no JSON"),
    };
    reply::json(StatusCode::BAD_REQUEST, message::failure("null", code, words))
}

/// The error for headers that are wrong.
fn contradiction(id: Option<&str>, wrong: Wrong) -> Reply {
    let id = id.unwrap_or("null");
    let error = match wrong {
        Wrong::Mismatch(words) => message::failure(id, hello::HEADER_MISMATCH, &words),
        Wrong::Version(version) => {
            message::failed(id, hello::unsupported(&version), (Era::Modern, message::Shape::Plain))
        }
    };
    reply::json(StatusCode::BAD_REQUEST, error)
}

/// A message that was understood.
struct Asked<'a> {
    visit: &'a Visit,
    envelope: &'a Envelope<'a>,
    /// The JSON text of its id, if it is a request or an answer.
    id: Option<&'a str>,
    accepts: Accepts,
}

impl Asked<'_> {
    /// A message of a client without a handshake.
    async fn modern(&self) -> Result<Reply, Reply> {
        let Visit { desk, credential, route, scope, headers } = self.visit;
        headers::check(headers, self.envelope, scope).map_err(|wrong| contradiction(self.id, wrong))?;
        let Some(method) = self.envelope.method.as_deref() else {
            let words = "this is an answer, and nothing was asked; what a server asks is answered by calling again";
            return Err(reply::invalid(StatusCode::BAD_REQUEST, None, words));
        };
        let peer = desk.stateless.peer(*credential, route, scope.clone());
        let Some(id) = self.id else {
            // A request is taken back by closing its connection: its id alone says nothing without a session.
            if method != "notifications/cancelled" {
                peer.pass_on(method, self.envelope.params);
            }
            return Ok(reply::empty(StatusCode::ACCEPTED));
        };
        let listens = method == "subscriptions/listen";
        if listens && self.accepts == Accepts::Json {
            return Err(reply::invalid(
                StatusCode::NOT_ACCEPTABLE,
                self.id,
                "what is answered here is `text/event-stream`",
            ));
        }
        let pipe = Arc::new(Pipe::new(self.wants(), Weak::new()));
        let request = Request { id, method, params: self.envelope.params, era: Era::Modern };
        let mut work = exchange::begin(&peer, &request, Outlet::Stream(pipe.clone()));
        if listens {
            work = until_we_leave(work, self.visit);
        }
        let reader = Flow::new(0, pipe, work).read(Keeper::Nobody);
        Ok(self.reply(reader, Style::Plain, desk.limits.silence).await)
    }

    /// A message of a client with a handshake.
    async fn legacy(&self) -> Result<Reply, Reply> {
        let Visit { desk, credential, route, headers, .. } = self.visit;
        let named = single(headers, &SESSION_ID);
        let session = match (named, self.id, self.envelope.method.as_deref()) {
            (Ok(Some(named)), ..) => {
                desk.sessions.find(named, *credential, route).ok_or_else(|| reply::no_session(self.id))?
            }
            (Ok(None), Some(id), Some("initialize")) => return self.initialize(id).await,
            _ => {
                let words = "`Mcp-Session-Id` is missing; a session begins with `initialize`";
                return Err(reply::invalid(StatusCode::BAD_REQUEST, self.id, words));
            }
        };
        let (peer, params) = (&session.peer, self.envelope.params);
        match (self.envelope.method.as_deref(), self.id) {
            (Some(method), Some(id)) => {
                let reader = self.begin(&session, (id, method));
                return Ok(self.reply(reader, Style::Numbered(session), desk.limits.patience).await);
            }
            (Some("notifications/cancelled"), None) => peer.cancel(params),
            (Some("notifications/initialized"), None) => peer.mark_initialized(),
            (Some(method), None) => peer.pass_on(method, params),
            (None, _) => {
                peer.answered(self.envelope);
            }
        }
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    /// A handshake: the session is there from the moment at which it is agreed on.
    async fn initialize(&self, id: &str) -> Result<Reply, Reply> {
        struct Provisional<'a>(&'a Visit, Option<Arc<Session>>);
        impl Drop for Provisional<'_> {
            fn drop(&mut self) {
                self.1.iter().for_each(|session| self.0.desk.sessions.end(session));
            }
        }
        let Visit { desk, credential, route, scope, .. } = self.visit;
        let owner = (*credential, route.clone());
        let session = desk.sessions.open(owner, (scope.clone(), desk.tasks.clone()), id)?;
        let mut provisional = Provisional(self.visit, Some(session.clone()));
        let mut reader = self.begin(&session, (id, "initialize"));
        let Some(answer) = reader.next().await else {
            return Err(reply::invalid(StatusCode::BAD_REQUEST, self.id, "the handshake was taken back"));
        };
        let agreed = message::error_code(&answer.text, id).is_none();
        let mut reply = self.answered(answer, reader, Style::Numbered(session.clone()));
        if agreed {
            provisional.1 = None;
            if let Ok(value) = session.id.parse() {
                reply.headers_mut().insert(SESSION_ID, value);
            }
        }
        Ok(reply)
    }

    /// Begins a request of a session.
    fn begin(&self, session: &Arc<Session>, (id, method): (&str, &str)) -> Reader {
        let pipe = Arc::new(Pipe::new(self.wants(), Arc::downgrade(session)));
        let request = Request { id, method, params: self.envelope.params, era: Era::Legacy };
        let work = exchange::begin(&session.peer, &request, Outlet::Stream(pipe.clone()));
        Flow::new(session.new_stream(), pipe, work).read(Keeper::Request(session.clone()))
    }

    fn wants(&self) -> Wants {
        match self.accepts {
            Accepts::Both | Accepts::Events => Wants::All,
            Accepts::Json => Wants::Answer,
        }
    }

    /// The reply to a request: what it is depends on what comes first.
    async fn reply(&self, mut reader: Reader, style: Style, patience: Duration) -> Reply {
        let first = match self.accepts {
            Accepts::Json => Ok(reader.next().await),
            Accepts::Both | Accepts::Events => timeout(patience, reader.next()).await,
        };
        match first {
            Ok(Some(message)) if message.is_answer => self.answered(message, reader, style),
            Ok(Some(message)) => reply::events(self.stream(reader, style).beginning_with(&message)),
            // Taken back by the client, there is no answer.
            Ok(None) => reply::events(Events::new(None, Style::Plain, self.visit.desk.limits.silence)),
            // Nothing yet: so that the client, and whoever is between, sees that it lives.
            Err(_) => reply::events(self.stream(reader, style)),
        }
    }

    /// The reply when the answer comes first.
    fn answered(&self, answer: Message, reader: Reader, style: Style) -> Reply {
        let status = self.status(&answer, &style);
        if self.accepts == Accepts::Events && status == StatusCode::OK {
            return reply::events(self.stream(reader, style).beginning_with(&answer));
        }
        reply::json(status, answer.text)
    }

    /// What is read of a request as events. A client that knows how to come back is told from where on.
    fn stream(&self, reader: Reader, style: Style) -> Events {
        let primed = match &style {
            Style::Numbered(session) => {
                session.register(reader.flow());
                session.peer.hello().is_some_and(|hello| hello.version.as_str() >= PRIMED_SINCE)
            }
            Style::Plain => false,
        };
        let events = Events::new(Some(reader), style, self.visit.desk.limits.silence);
        if primed { events.primed() } else { events }
    }

    /// With which status an answer goes. Clients with a handshake look into errors that come with 200 only.
    fn status(&self, answer: &Message, style: &Style) -> StatusCode {
        let code = self.id.and_then(|id| message::error_code(&answer.text, id));
        match (code, style) {
            (Some(TOO_MANY), _) => StatusCode::TOO_MANY_REQUESTS,
            (Some(METHOD_NOT_FOUND), Style::Plain) => StatusCode::NOT_FOUND,
            (Some(INVALID_PARAMS), Style::Plain) if hello::meta(self.envelope.params).is_err() => {
                StatusCode::BAD_REQUEST
            }
            (Some(code), Style::Plain) if hello::AGAINST_THE_PROTOCOL.contains(&code) => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }
}

/// From this generation on clients know events without data, and how to come back after one.
const PRIMED_SINCE: &str = "2025-11-25";

/// What has no end of its own ends when the listener leaves.
fn until_we_leave(work: Work, visit: &Visit) -> Work {
    let leaving = visit.desk.tasks.leaving.clone();
    Box::pin(async move {
        tokio::select! {
            () = work => {}
            () = leaving.cancelled() => {}
        }
    })
}
