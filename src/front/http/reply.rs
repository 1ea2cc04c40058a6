//! What is replied to a request over HTTP.

use futures_util::stream::BoxStream;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE},
};

use super::{body::Body, events::Events};
use crate::front::message;

/// What is replied. Boxed: it goes through many hands, as what was asked for and as why it is not given.
pub(crate) type Reply = Box<Response<Body>>;

/// The header by which a session is named.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// No session of that name; what the SDKs answer with, too.
pub(super) const NO_SESSION: i64 = -32001;

fn with(status: StatusCode, body: Body) -> Reply {
    let mut reply = Box::new(Response::new(body));
    *reply.status_mut() = status;
    // Answers are for who asked, at the time of asking.
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A message of JSON-RPC.
pub(super) fn json(status: StatusCode, message: Vec<u8>) -> Reply {
    let mut reply = with(status, Body::whole(message));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// A text for Prometheus.
pub(super) fn exposition(text: String) -> Reply {
    let mut reply = with(StatusCode::OK, Body::whole(text.into_bytes()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

/// A stream of messages.
pub(super) fn events(events: Events) -> Reply {
    streaming(Body::Events(Box::new(events)))
}

/// A stream of events that are no messages.
pub(super) fn stream(stream: BoxStream<'static, Bytes>) -> Reply {
    streaming(Body::Stream(stream))
}

fn streaming(body: Body) -> Reply {
    let mut reply = with(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies between us and the client must neither change nor collect what comes.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    reply
}

/// Nothing but a status.
pub(crate) fn empty(status: StatusCode) -> Reply {
    with(status, Body::whole(Vec::new()))
}

/// An error about the request as a whole.
pub(crate) fn refused(status: StatusCode, words: &str) -> Reply {
    json(status, message::failure("null", message::INVALID_REQUEST, words))
}

/// An error about the request `id`, which is JSON text.
pub(super) fn invalid(status: StatusCode, id: Option<&str>, words: &str) -> Reply {
    json(status, message::failure(id.unwrap_or("null"), message::INVALID_REQUEST, words))
}

/// There is no such session, or not for this client or at this path.
pub(super) fn no_session(id: Option<&str>) -> Reply {
    let words = "there is no such session; begin a new one with `initialize`";
    json(StatusCode::NOT_FOUND, message::failure(id.unwrap_or("null"), NO_SESSION, words))
}

/// The token is missing or wrong.
pub(super) fn unauthorized() -> Reply {
    let words = "the token is missing or wrong: it is shown as `Authorization: Bearer …`; `computer connect` prints it";
    let mut reply = refused(StatusCode::UNAUTHORIZED, words);
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    reply
}

/// [`unauthorized`], for pages, which cannot set headers for a socket.
#[cfg(feature = "sdk")]
pub(super) fn unauthorized_page() -> Reply {
    let words = "the token is missing or wrong: a page shows it as `?token=…` in the URL, a program as `Authorization: \
                 Bearer …`; `computer serve` says which file holds it";
    let mut reply = refused(StatusCode::UNAUTHORIZED, words);
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    reply
}

/// Another method is meant.
pub(crate) fn wrong_method(allowed: &'static str) -> Reply {
    let mut reply = refused(StatusCode::METHOD_NOT_ALLOWED, &format!("the methods here are {allowed}"));
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// The reply, after which the connection is closed.
pub(crate) fn last(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}
