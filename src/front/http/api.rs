//! Control over HTTP, for whoever has no Unix sockets: the verbs of [`control`](crate::control) under `/api`.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::stream::{self, BoxStream};
use hyper::{
    Method, StatusCode,
    body::{Bytes, Incoming},
    http::request::Parts,
};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use tokio::time::{sleep, timeout};

use super::{
    desk::Desk,
    events::Place,
    gate::Credential,
    intake,
    reply::{self, Reply},
};
use crate::{
    control::{Code, Control, Follow, Refusal, Who},
    front::exchange::LEAVING,
};

/// What is under way here for a listener.
#[derive(Default)]
pub(super) struct Busy {
    requests: AtomicUsize,
    streams: Arc<AtomicUsize>,
}

/// How many requests may be under way, and how many streams.
const REQUESTS: usize = 64;
const STREAMS: usize = 16;

/// What a path and a method ask for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// A verb that changes nothing, about an entry or all.
    Look(&'static str, Option<String>),
    /// Something that is followed.
    Follow(&'static str, Option<String>),
    /// A verb with what the body says.
    Do(&'static str, Option<String>),
    /// The methods that are meant there.
    Method(&'static str),
    Nothing,
}

impl Wanted {
    fn of(method: &Method, path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        let (one, of) = match parts[..] {
            [one] => (one, None),
            [one, of] => (one, Some(of.to_owned())),
            ["entries", namespace, verb] => return Self::of_entry(method, namespace, verb),
            _ => return Self::Nothing,
        };
        let look = |verb, of| if method == Method::GET { Self::Look(verb, of) } else { Self::Method("GET") };
        let follow = |verb, of| if method == Method::GET { Self::Follow(verb, of) } else { Self::Method("GET") };
        let act = |verb| if method == Method::POST { Self::Do(verb, None) } else { Self::Method("POST") };
        match (one, of) {
            ("hello", None) => look("hello", None),
            ("status", None) => look("status", None),
            ("tools", of) => look("tools", of),
            ("events", None) => follow("events", None),
            ("logs", Some(of)) => follow("logs", Some(of)),
            ("call", None) => act("call"),
            ("entries", None) => act("add"),
            ("ready", None) => act("ready"),
            ("retry", None) => act("retry"),
            ("reload", None) => act("reload"),
            ("shutdown", None) => act("shutdown"),
            _ => Self::Nothing,
        }
    }

    fn of_entry(method: &Method, namespace: &str, verb: &str) -> Self {
        let verb = match verb {
            "add" => "add",
            "remove" => "remove",
            "restart" => "restart",
            "stop" | "stop-entry" => "stop-entry",
            "retry" => "retry",
            "ready" => "ready",
            _ => return Self::Nothing,
        };
        if method == Method::POST { Self::Do(verb, Some(namespace.to_owned())) } else { Self::Method("POST") }
    }
}

/// Replies to a request for `/api/<path>`.
pub(super) async fn answer(
    desk: &Arc<Desk>,
    (credential, parts, path): (Credential, &Parts, &str),
    body: Incoming,
) -> Reply {
    let Some(control) = desk.control() else {
        return refused(&Refusal::new(Code::Forbidden, "this daemon is not controlled over HTTP"));
    };
    let place = Counted::new(&desk.busy.requests);
    let who = Who::new("http");
    let outcome = match Wanted::of(&parts.method, path) {
        Wanted::Nothing => {
            let words = "there is nothing here; `docs/control.md` says what there is below /api";
            return json(StatusCode::NOT_FOUND, &Refusal::new(Code::UnknownVerb, words));
        }
        Wanted::Method(allowed) => return reply::wrong_method(allowed),
        _ if place.is_beyond(REQUESTS) => {
            let words = format!("{REQUESTS} requests are under way already; come back later");
            Err(Refusal::new(Code::TooMany, words))
        }
        Wanted::Look(verb, namespace) => {
            in_time(desk, control.answer(&who, verb, of(namespace, Map::new()).as_deref())).await
        }
        Wanted::Follow(verb, namespace) => return follow(desk, control, (verb, namespace), parts.uri.query()),
        Wanted::Do(verb, namespace) => {
            if credential.0.is_none() && verb != "call" {
                // Everybody on this machine may call tools then; what runs here is the user's to say.
                let words =
                    "what runs here is changed with a token only, and this daemon was started with `--no-token`";
                return refused(&Refusal::new(Code::Forbidden, words));
            }
            if !intake::is_json(&parts.headers) {
                let words = "what is asked for is sent as `Content-Type: application/json`";
                return reply::last(reply::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
            }
            let text = match intake::text(body, &desk.limits).await {
                Ok(text) => text,
                Err(reply) => return reply,
            };
            match arguments(&text) {
                Ok(given) => in_time(desk, control.answer(&who, verb, of(namespace, given).as_deref())).await,
                Err(refusal) => Err(refusal),
            }
        }
    };
    match outcome {
        Ok(result) => reply::json(StatusCode::OK, result.get().as_bytes().to_vec()),
        Err(refusal) => refused(&refusal),
    }
}

/// An answer that comes before we leave, or the word that there will be none.
async fn in_time<T>(desk: &Desk, answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let cut = async {
        desk.tasks.leaving.cancelled().await;
        sleep(desk.limits.drain.saturating_sub(desk.limits.last_words())).await;
    };
    tokio::select! {
        outcome = answer => outcome,
        () = cut => Err(Refusal::new(Code::NotReady, LEAVING)),
    }
}

/// What a body says; nothing at all says nothing.
fn arguments(text: &str) -> Result<Map<String, Value>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text)
        .map_err(|error| Refusal::new(Code::Invalid, format!("the body is no JSON object of arguments: {error}")))
}

fn of(namespace: Option<String>, mut given: Map<String, Value>) -> Option<Box<RawValue>> {
    if let Some(namespace) = namespace {
        given.insert("namespace".to_owned(), namespace.into());
    }
    to_raw_value(&given).ok()
}

/// Replies with what is followed, as server-sent events.
fn follow(
    desk: &Arc<Desk>,
    control: &Control,
    (verb, namespace): (&str, Option<String>),
    query: Option<&str>,
) -> Reply {
    let Some(place) = Place::among(&desk.busy.streams, STREAMS) else {
        let words = format!("there are {STREAMS} streams already; end one of them");
        return refused(&Refusal::new(Code::TooMany, words));
    };
    let given = match queried(verb, query.unwrap_or_default()) {
        Ok(given) => given,
        Err(refusal) => return refused(&refusal),
    };
    match control.follow(verb, of(namespace, given).as_deref()) {
        Ok(Some(follow)) => reply::stream(told(follow, place, desk)),
        Ok(None) => refused(&Refusal::new(Code::UnknownVerb, "nothing is followed here")),
        Err(refusal) => refused(&refusal),
    }
}

/// What the part of an address behind `?` says of what is followed.
fn queried(verb: &str, query: &str) -> Result<Map<String, Value>, Refusal> {
    let mut given = Map::new();
    if verb == "logs" {
        given.insert("follow".to_owned(), true.into());
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = match (verb, name) {
            ("logs", "follow") => value.parse().ok().map(Value::Bool),
            ("logs", "lines") => value.parse().ok().map(|lines: u32| lines.into()),
            _ => None,
        };
        let Some(value) = value else {
            let words = format!("`?{part}` is not understood; logs take `follow=false` and `lines=COUNT`");
            return Err(Refusal::new(Code::Invalid, words));
        };
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}

/// What is followed as events, until its end or ours. When nothing is said for a while, that it lives.
fn told(follow: Follow, place: Place, desk: &Arc<Desk>) -> BoxStream<'static, Bytes> {
    let (leaving, silence): (_, Duration) = (desk.tasks.leaving.clone(), desk.limits.silence);
    let state = (follow, place, leaving);
    Box::pin(stream::unfold(state, move |(mut follow, place, leaving)| async move {
        let next = leaving.run_until_cancelled(timeout(silence, follow.next())).await?;
        let event = match next {
            Ok(Some(event)) => format!("data: {}\n\n", event.get()).into(),
            Ok(None) => return None,
            Err(_) => Bytes::from_static(b":\n\n"),
        };
        Some((event, (follow, place, leaving)))
    }))
}

fn refused(refusal: &Refusal) -> Reply {
    let status = match refusal.code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::UnknownVerb | Code::UnknownNamespace | Code::UnknownTool => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Config => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Code::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Failed | Code::Other => StatusCode::BAD_GATEWAY,
    };
    json(status, refusal)
}

fn json(status: StatusCode, refusal: &Refusal) -> Reply {
    reply::json(status, serde_json::json!({ "error": refusal }).to_string().into_bytes())
}

/// One of those that are under way, until it is dropped.
struct Counted<'a>(&'a AtomicUsize, usize);

impl<'a> Counted<'a> {
    fn new(all: &'a AtomicUsize) -> Self {
        Self(all, all.fetch_add(1, Ordering::AcqRel))
    }

    fn is_beyond(&self, most: usize) -> bool {
        self.1 >= most
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_is_a_get_what_changes_is_a_post_and_nothing_else_is_there() {
        let get = |path: &str| Wanted::of(&Method::GET, path);
        let post = |path: &str| Wanted::of(&Method::POST, path);
        assert_eq!(get("status"), Wanted::Look("status", None));
        assert_eq!(get("tools/files"), Wanted::Look("tools", Some("files".to_owned())));
        assert_eq!(get("events"), Wanted::Follow("events", None));
        assert_eq!(post("call"), Wanted::Do("call", None));
        assert_eq!(post("entries/a/stop"), Wanted::Do("stop-entry", Some("a".to_owned())));
        for changes in ["call", "entries", "entries/a/restart", "reload", "shutdown", "ready", "retry"] {
            assert_eq!(get(changes), Wanted::Method("POST"), "{changes}");
        }
        for looks in ["hello", "status", "tools", "events", "logs/a"] {
            assert_eq!(post(looks), Wanted::Method("GET"), "{looks}");
        }
        for nothing in
            ["", "/", "status/", "attach", "cancel", "entries/a", "entries/a/b/c", "entries/a/attach", "logs"]
        {
            assert_eq!(get(nothing), Wanted::Nothing, "{nothing}");
            assert_eq!(post(nothing), Wanted::Nothing, "{nothing}");
        }
    }
}
