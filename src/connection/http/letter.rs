//! A message that is to be posted, and what has to be known of it on its way.

use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::headers;
use crate::{
    connection::{
        lane::{Kind, Message},
        link::Link,
        reader,
    },
    raw::RawObject,
    source::{CALL_TOOL, Source},
    wire::Envelope,
};

/// A message on its way.
pub(super) struct Letter {
    pub(super) line: Vec<u8>,
    /// The JSON text of its id, if it is a request.
    pub(super) id: Option<String>,
    /// The number in that id, if it is one of ours and not rmcp's.
    pub(super) number: Option<u64>,
    pub(super) what: What,
    /// Whether it calls a tool.
    pub(super) is_call: bool,
    /// The headers that say what it is, for a server of the new generation.
    pub(super) headers: HeaderMap,
}

/// What is special about a message.
pub(super) enum What {
    /// The first request to a server of the new generation, and the generation it names.
    Discover(Option<HeaderValue>),
    /// The first request to a server of an older generation: it begins a session.
    Hello,
    /// The server may send what it likes from now on.
    Initialized,
    /// A request is taken back: the JSON text of its id.
    Cancelled(Option<String>),
    /// It answers a question of the server.
    Answer,
    /// Nothing.
    Other,
}

impl Letter {
    pub(super) fn new(link: &Link, message: &Message<'_>) -> Self {
        let line = message.line.strip_suffix(b"\n").unwrap_or(message.line);
        let (id, what) = match message.kind {
            Kind::Request { id, method, .. } => (Some(id), of_request(link, method, line)),
            Kind::Notification { method: "notifications/initialized" } => (None, What::Initialized),
            Kind::Notification { method: "notifications/cancelled" } => (None, What::Cancelled(taken_back(line))),
            Kind::Notification { .. } => (None, What::Other),
            Kind::Answer => (None, What::Answer),
        };
        let headers = if link.is_modern() || matches!(what, What::Discover(_)) {
            headers::of(&message.kind, called(link, &message.kind).as_deref())
        } else {
            HeaderMap::new()
        };
        let number = id.and_then(|id| id.strip_prefix('"')?.strip_suffix('"')).and_then(reader::number);
        let is_call = matches!(message.kind, Kind::Request { method: CALL_TOOL, .. });
        Self { line: line.to_vec(), id: id.map(ToOwned::to_owned), number, what, is_call, headers }
    }

    /// Whether later messages wait until it is delivered.
    pub(super) fn comes_first(&self) -> bool {
        self.id.is_none() && !matches!(self.what, What::Cancelled(_))
    }

    /// Whether it means nothing in another session than the one it was written for.
    pub(super) fn is_of_its_session(&self) -> bool {
        matches!(self.what, What::Cancelled(_) | What::Answer | What::Initialized)
    }
}

fn of_request(link: &Link, method: &str, line: &[u8]) -> What {
    match method {
        "initialize" => What::Hello,
        "server/discover" if !link.is_up() => What::Discover(named_version(line)),
        _ => What::Other,
    }
}

/// The generation that a request names in its `_meta`.
fn named_version(line: &[u8]) -> Option<HeaderValue> {
    let params = params(line)?;
    let meta = RawObject::parse(params)?.object("_meta")?;
    HeaderValue::from_str(&meta.text("io.modelcontextprotocol/protocolVersion")?).ok()
}

fn taken_back(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cancelled<'a> {
        #[serde(borrow)]
        request_id: &'a RawValue,
    }
    let cancelled: Cancelled<'_> = serde_json::from_str(params(line)?.get()).ok()?;
    Some(cancelled.request_id.get().to_owned())
}

fn params(line: &[u8]) -> Option<&RawValue> {
    Envelope::of(std::str::from_utf8(line).ok()?)?.params
}

/// The definition of the tool that a request calls.
fn called(link: &Link, kind: &Kind<'_>) -> Option<std::sync::Arc<RawValue>> {
    match kind {
        Kind::Request { method: CALL_TOOL, name: Some(name), .. } => {
            link.tools().tools.iter().find(|tool| tool.name == *name).map(|tool| tool.raw.clone())
        }
        _ => None,
    }
}
