//! Reading the body of a request: so much of it, and for so long, at most.

use std::{future::poll_fn, pin::Pin};

use hyper::{
    HeaderMap, StatusCode,
    body::{Body as _, Incoming},
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::time::timeout;

use super::{
    limits::Limits,
    reply::{self, Reply},
};

/// Reads the whole body as text. Whatever is wrong with it, no more of it is read.
pub(crate) async fn text(body: Incoming, limits: &Limits) -> Result<String, Reply> {
    let too_large = || {
        let words = format!("a message must not be larger than {} bytes", limits.body);
        reply::last(reply::refused(StatusCode::PAYLOAD_TOO_LARGE, &words))
    };
    if body.size_hint().lower() > limits.body as u64 {
        return Err(too_large());
    }
    match timeout(limits.body_time, bytes(body, limits.body)).await {
        Ok(Ok(bytes)) => {
            String::from_utf8(bytes).map_err(|_| reply::refused(StatusCode::BAD_REQUEST, "the message is no UTF-8"))
        }
        Ok(Err(Broken::TooLarge)) => Err(too_large()),
        Ok(Err(Broken::Cut)) => {
            Err(reply::last(reply::refused(StatusCode::BAD_REQUEST, "the message ended before its end")))
        }
        Err(_) => {
            let words = format!("the message did not come within {:?}", limits.body_time);
            Err(reply::last(reply::refused(StatusCode::REQUEST_TIMEOUT, &words)))
        }
    }
}

enum Broken {
    TooLarge,
    Cut,
}

async fn bytes(mut body: Incoming, limit: usize) -> Result<Vec<u8>, Broken> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or_default();
    let mut all = Vec::with_capacity(expected.min(limit));
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame else { return Err(Broken::Cut) };
        // Trailers are of no use to us.
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > limit {
            return Err(Broken::TooLarge);
        }
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// Whether the body is said to be JSON. A page of another site can send what it wants, but not under this name.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// In what shapes a client takes answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Whatever is best.
    Both,
    /// One JSON message.
    Json,
    /// A stream of events: it takes nothing else, or names it first.
    Events,
}

impl Accepts {
    /// Reads what a client says; nothing when it takes neither. Saying nothing is taking everything.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let lines: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if lines.is_empty() {
            return Some(Self::Both);
        }
        let kinds = || lines.iter().flat_map(|line| line.split(',')).filter(|kind| !is_unwanted(kind));
        let first = |whole: &str, group: &str| {
            kinds().position(|kind| {
                let kind = kind.split(';').next().unwrap_or_default().trim();
                kind == "*/*" || kind.eq_ignore_ascii_case(whole) || kind.eq_ignore_ascii_case(group)
            })
        };
        match (first("application/json", "application/*"), first("text/event-stream", "text/*")) {
            (Some(json), Some(events)) if json <= events => Some(Self::Both),
            (Some(_), None) => Some(Self::Json),
            (_, Some(_)) => Some(Self::Events),
            (None, None) => None,
        }
    }
}

/// Whether a kind is named as one that is not taken.
fn is_unwanted(kind: &str) -> bool {
    let weight = kind.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: hyper::header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, hyper::header::HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn what_a_client_takes_is_read_from_all_that_it_says() {
        let read = |value| Accepts::read(&headers(ACCEPT, value));
        assert_eq!(Accepts::read(&HeaderMap::new()), Some(Accepts::Both));
        for both in ["application/json, text/event-stream", "*/*", "Application/*,text/*;q=0.9"] {
            assert_eq!(read(both), Some(Accepts::Both), "{both}");
        }
        assert_eq!(read("application/json"), Some(Accepts::Json));
        for json in ["text/event-stream; q=0, application/json", "text/event-stream;q=0.0,application/json;q=0.1"] {
            assert_eq!(read(json), Some(Accepts::Json), "{json}");
        }
        for events in ["text/event-stream", "Text/Event-Stream, application/json"] {
            assert_eq!(read(events), Some(Accepts::Events), "{events}");
        }
        assert_eq!(read("text/html"), None);
    }

    #[test]
    fn only_json_is_json() {
        for json in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(is_json(&headers(CONTENT_TYPE, json)), "{json}");
        }
        for other in ["text/plain", "application/jsonl", "text/plain; application/json", ""] {
            assert!(!is_json(&headers(CONTENT_TYPE, other)), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
