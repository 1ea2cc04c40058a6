//! What is replied to requests that open no socket, and to those that do.

use hyper::{
    HeaderMap, Request, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, VARY,
    },
    http::request::Parts,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use crate::front::http::{Body, Reply, reply};

/// What clients of SockJS look for.
pub(super) fn greeting() -> Reply {
    text("text/plain; charset=UTF-8", "Welcome to SockJS!\n".to_owned())
}

/// What clients of SockJS ask first.
pub(super) fn info() -> Reply {
    // It lets clients draw better names, where they cannot draw well themselves.
    let entropy = getrandom::u32().unwrap_or_default();
    let info = json!({ "websocket": true, "origins": ["*:*"], "cookie_needed": false, "entropy": entropy });
    let mut reply = text("application/json; charset=UTF-8", info.to_string());
    let never = HeaderValue::from_static("no-store, no-cache, no-transform, must-revalidate, max-age=0");
    reply.headers_mut().insert(CACHE_CONTROL, never);
    reply
}

fn text(kind: &'static str, text: String) -> Reply {
    let mut reply = reply::empty(StatusCode::OK);
    *reply.body_mut() = Body::whole(text.into_bytes());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// A frame of SockJS for a client that polls.
pub(super) fn frame(frame: String) -> Reply {
    text("application/javascript; charset=UTF-8", frame + "\n")
}

/// What a browser asks before it lets a page ask.
pub(super) fn preflight() -> Reply {
    let mut reply = reply::empty(StatusCode::NO_CONTENT);
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("OPTIONS, GET, POST"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    reply
}

/// Lets the page read the reply that has asked; it was let in by its origin.
pub(super) fn readable(mut reply: Reply, asked: &HeaderMap) -> Reply {
    if let Some(origin) = asked.get(ORIGIN) {
        let headers = reply.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
    reply
}

/// Switches to a WebSocket, or says why not.
pub(super) fn switch(parts: Parts) -> Result<Reply, Reply> {
    let switched = create_response(&Request::from_parts(parts, ())).map_err(|error| {
        let words = format!("a WebSocket is opened here, and this does not ask for one: {error}");
        reply::refused(StatusCode::BAD_REQUEST, &words)
    })?;
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    *reply.headers_mut() = switched.headers().clone();
    Ok(reply)
}

/// There are enough clients.
pub(super) fn full() -> Reply {
    reply::last(reply::refused(StatusCode::SERVICE_UNAVAILABLE, "there are too many clients; one must leave first"))
}
