//! What comes back when a message was posted: JSON, or a stream of events.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use super::{
    Carrier, Talk,
    events::{Event, EventStream, Marks},
    letter::{Letter, What},
    post::SESSION,
    site::Asked,
    stream::listening_headers,
    trouble::{Refusal, Trouble, broken_off, strange_content},
};
use crate::{
    connection::{link::Link, reader},
    error::{Delivery, Error},
    raw::RawObject,
    wire::Envelope,
};

/// A message that was posted.
pub(super) struct Posted<'a> {
    pub(super) link: &'a Arc<Link>,
    pub(super) letter: &'a Letter,
    pub(super) talk: &'a Arc<Talk>,
}

/// What a response holds.
enum Content {
    Nothing,
    Json,
    Events,
    Other,
}

/// How long the end of a response is waited for when all that matters has come: a connection whose response was read to
/// its end is used again.
const DRAIN: Duration = Duration::from_millis(50);

/// How long a stream is left alone before it is opened again, when the server names no time, and at most.
const AGAIN: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Messages beyond this size are not looked into twice. Errors that do not name their request are never so large.
const LARGE: usize = 64 << 10;

impl Carrier {
    /// Takes a response that is a success.
    pub(super) async fn receive(self: &Arc<Self>, posted: &Posted<'_>, mut response: Response) -> Result<(), Trouble> {
        let letter = posted.letter;
        let older = self.state().older.is_some();
        if letter.id.is_none() || older {
            drain(async { while let Ok(Some(_)) = response.chunk().await {} }).await;
            if matches!(letter.what, What::Initialized) && !older {
                self.listen(posted.link, posted.talk).await;
            }
            return Ok(());
        }
        if let (What::Hello, Some(session)) = (&letter.what, response.headers().get(&SESSION)) {
            self.agree(Talk { session: Some(session.clone()), ..Talk::default() });
        }
        match content(&response) {
            Content::Json => self.take_json(posted, response).await,
            Content::Events => {
                let limit = posted.link.options().max_message;
                self.take_events(posted, EventStream::new(response, limit, Marks::default())).await
            }
            Content::Nothing => {
                let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
                Err(strange_content(&self.site, &headers, (status, b"")))
            }
            Content::Other => {
                let status = response.status();
                let Refusal { headers, body, .. } = Refusal::read(response).await;
                Err(strange_content(&self.site, &headers, (status, &body)))
            }
        }
    }

    async fn take_json(&self, posted: &Posted<'_>, response: Response) -> Result<(), Trouble> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.whole(posted.link, response).await?;
        let beginning = body[..body.len().min(1 << 10)].to_vec();
        let strange = || strange_content(&self.site, &headers, (status, &beginning));
        if body.trim_ascii_start().starts_with(b"[") {
            // A server of 2025-03-26 may answer in bundles.
            let bundle: Vec<&RawValue> = serde_json::from_slice(&body).map_err(|_| strange())?;
            let mut answered = false;
            for message in bundle {
                answered |= self.hand(posted, message.get().as_bytes().to_vec());
            }
            return if answered { Ok(()) } else { Err(strange()) };
        }
        if self.hand(posted, body) { Ok(()) } else { Err(strange()) }
    }

    /// The body of a response, if it is not too large.
    pub(super) async fn whole(&self, link: &Link, mut response: Response) -> Result<Vec<u8>, Trouble> {
        let limit = link.options().max_message;
        let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if length > limit {
            return Err(too_large(link));
        }
        let mut body = Vec::with_capacity(length);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(too_large(link)),
                Ok(None) => return Ok(body),
                Err(error) => return Err(broken_off(&self.site, Some(error))),
            }
        }
    }

    /// Takes events until the answer is among them. A stream that breaks off before is opened again where it was, if
    /// the server says how.
    async fn take_events(&self, posted: &Posted<'_>, mut stream: EventStream) -> Result<(), Trouble> {
        loop {
            let broken = match stream.next().await {
                Ok(Some(Event::Whole { data, .. })) => {
                    if self.hand(posted, data) {
                        drain(async { while let Ok(Some(_)) = stream.next().await {} }).await;
                        return Ok(());
                    }
                    continue;
                }
                Ok(Some(Event::TooLong(_))) => return Err(too_large(posted.link)),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if posted.letter.number.is_some_and(|number| !posted.link.waits(number)) {
                return Ok(());
            }
            let marks = stream.marks().clone();
            if marks.last_id.is_none() {
                return Err(broken_off(&self.site, broken));
            }
            stream = self.resume(posted, marks).await?;
        }
    }

    async fn resume(&self, posted: &Posted<'_>, marks: Marks) -> Result<EventStream, Trouble> {
        sleep(marks.retry.unwrap_or(AGAIN).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
        let headers = listening_headers(posted.talk, &marks);
        let asked = Asked { method: Method::GET, url: self.site.url.clone(), headers, body: None };
        let response = self.site.ask(&asked).await.map_err(|trouble| match trouble {
            // The request has been sent, whatever became of it.
            Trouble::Unreachable(Error::Http { act, url, reason, .. }) => {
                Trouble::Unreachable(Error::Http { act, url, reason, delivery: Delivery::Unknown })
            }
            other => other,
        })?;
        match content(&response) {
            Content::Events if response.status().is_success() => {
                Ok(EventStream::new(response, posted.link.options().max_message, marks))
            }
            _ => Err(broken_off(&self.site, None)),
        }
    }

    /// Passes on a message that came with what was posted; true when it is the answer.
    pub(super) fn hand(&self, posted: &Posted<'_>, line: Vec<u8>) -> bool {
        let (line, answers) = self.correlated(posted, on_one_line(line));
        let Some(line) = line else { return false };
        let gone = reader::take(posted.link, line, posted.letter.number).is_break();
        match (answers, posted.letter.number) {
            (Some(answers), _) => answers || gone,
            (None, Some(number)) => !posted.link.waits(number) || gone,
            (None, None) => gone,
        }
    }

    /// The message under the id of what was posted, if it is an error that names no request; and whether it is the
    /// answer, as far as that was looked at. No message at all when it is none.
    fn correlated(&self, posted: &Posted<'_>, line: Vec<u8>) -> (Option<Vec<u8>>, Option<bool>) {
        let letter = posted.letter;
        if line.len() > LARGE && letter.number.is_some() {
            return (Some(line), None);
        }
        let Some(envelope) = std::str::from_utf8(&line).ok().and_then(Envelope::of) else {
            posted.link.note_noise(&String::from_utf8_lossy(&line));
            return (None, Some(false));
        };
        let id = letter.id.as_deref().unwrap_or_default();
        if envelope.method.is_some() {
            return (Some(line), Some(false));
        }
        if envelope.id.is_some_and(|of| of.get() == id) {
            if let (What::Hello, Some(result)) = (&letter.what, envelope.result) {
                self.greet(result);
            }
            return (Some(line), Some(true));
        }
        // Some name no request, some name one that nobody has made.
        match envelope.error {
            Some(error) => {
                let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{}}}", error.get());
                (Some(line.into_bytes()), Some(true))
            }
            None => (Some(line), Some(false)),
        }
    }

    /// Notes what the server agreed to.
    fn greet(&self, result: &RawValue) {
        let version = RawObject::parse(result).and_then(|result| result.text("protocolVersion"));
        let version = version.and_then(|version| version.parse().ok());
        let session = self.talk().session.clone();
        self.agree(Talk { session, version, ..Talk::default() });
    }
}

/// Line ends outside of texts are only white space, and inside there are none; but whoever passes lines on must not find
/// one in a message.
pub(super) fn on_one_line(mut text: Vec<u8>) -> Vec<u8> {
    for byte in &mut text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    text
}

fn too_large(link: &Link) -> Trouble {
    let limit = link.options().max_message;
    link.note(format!("a message larger than {limit} bytes (`maxMessage`) was skipped"));
    Trouble::Strange(Error::TooLarge { limit })
}

async fn drain(rest: impl Future<Output = ()>) {
    let _ = timeout(DRAIN, rest).await;
}

fn content(response: &Response) -> Content {
    if matches!(response.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT)
        || response.content_length() == Some(0)
    {
        return Content::Nothing;
    }
    let kind = response.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    match kind.as_deref() {
        Some(kind) if kind.starts_with(b"application/json") => Content::Json,
        Some(kind) if kind.starts_with(b"text/event-stream") => Content::Events,
        Some(_) | None => Content::Other,
    }
}

/// Whether a response is a stream of events.
pub(super) fn is_stream(response: &Response) -> bool {
    response.status().is_success() && matches!(content(response), Content::Events)
}
