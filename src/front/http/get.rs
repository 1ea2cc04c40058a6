//! `GET`: a session listens, or comes back to a stream whose connection broke.

use std::sync::{Arc, Weak};

use hyper::StatusCode;

use super::{
    desk::Visit,
    events::{Events, Place, Style},
    flow::{Flow, Keeper},
    gate::single,
    headers::{self, LAST_EVENT_ID},
    intake::Accepts,
    journal::EventId,
    listening,
    pipe::{Pipe, Wants},
    reply::{self, Reply, SESSION_ID},
    session::LISTENING,
};
use crate::front::message;

/// Replies to a `GET`. It changes nothing.
pub(super) fn answer(visit: &Visit) -> Result<Reply, Reply> {
    if headers::is_modern(&visit.headers) {
        return Err(reply::wrong_method("POST"));
    }
    if !matches!(Accepts::read(&visit.headers), Some(Accepts::Both | Accepts::Events)) {
        return Err(reply::refused(StatusCode::NOT_ACCEPTABLE, "what is here is `text/event-stream`"));
    }
    let Ok(Some(id)) = single(&visit.headers, &SESSION_ID) else {
        let words = "who listens names a session by `Mcp-Session-Id`; one begins with `initialize`, by POST";
        return Err(reply::refused(StatusCode::BAD_REQUEST, words));
    };
    let desk = &visit.desk;
    let session = desk.sessions.find(id, visit.credential, &visit.route).ok_or_else(|| reply::no_session(None))?;
    let last = match single(&visit.headers, &LAST_EVENT_ID) {
        Ok(None) => None,
        Ok(Some(text)) if EventId::of(text).is_some() => EventId::of(text),
        _ => return Err(reply::refused(StatusCode::BAD_REQUEST, "`Last-Event-ID` names no event of this session")),
    };
    let (taken, most) = session.peer.listening();
    let Some(place) = Place::among(taken, most) else {
        let words = format!("a session has {most} listening streams at most; end one of the others");
        let error = message::failure("null", message::TOO_MANY, &words);
        return Err(reply::json(StatusCode::TOO_MANY_REQUESTS, error));
    };
    let reader = match last {
        Some(EventId { stream, .. }) if stream != LISTENING => {
            session.open_stream(stream).map(|flow| flow.read(Keeper::Request(session.clone())))
        }
        _ => {
            let pipe = Arc::new(Pipe::new(Wants::All, Weak::new()));
            let work = listening::work(session.clone(), pipe.clone());
            Some(Flow::new(LISTENING, pipe, work).read(Keeper::Listening(session.clone())))
        }
    };
    // Only now: who read before may have sent something until now.
    let missed = last.map(|last| session.sent_after(last)).unwrap_or_default();
    let events = Events::new(reader, Style::Numbered(session), desk.limits.silence);
    Ok(reply::events(events.replaying(missed).counted(place)))
}
