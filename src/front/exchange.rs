//! A request of a client, from the moment it is understood to its answer.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::{AbortHandle, Abortable};
use serde_json::{json, value::RawValue};

use super::{
    announce, hello,
    kind::Kind,
    message::{self, Era, INTERNAL, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Shape, TOO_MANY},
    outlet::Outlet,
    page::{Cursor, page},
    pass,
    peer::{Peer, SUBSCRIPTIONS},
};
use crate::{
    computer::relay,
    error::{Error, Result},
    raw::RawObject,
    source::CALL_TOOL,
};

/// A request of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The JSON text of its id.
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    pub(super) params: Option<&'a RawValue>,
    pub(super) era: Era,
}

/// What is left to be done for a request. Whoever holds it runs it; dropping it takes the request back.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a request is told that has no answer when we leave, or comes then.
pub(super) const LEAVING: &str = "the host is about to end; ask again when it runs again";

/// How long a request about something that nobody has waits for entries that are being brought up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is waited for one entry before it is told what that can do.
const ONE_ENTRY: Duration = Duration::from_secs(5);

/// Begins a request. What can be handed over at once has been when this returns.
pub(super) fn begin(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    if let Err(hello::Refusal::Incomplete(error) | hello::Refusal::Version(error)) = checked(request) {
        return now(&outlet, message::failed(request.id, error, (request.era, Shape::Plain)));
    }
    if let Some(kind) = Kind::listed_by(request.method) {
        if peer.scope.lacks(kind) {
            return unknown(request, &outlet);
        }
        return list(peer, request, (kind, outlet));
    }
    match (request.method, request.era) {
        ("initialize", Era::Legacy) => initialize(peer, request, outlet),
        ("server/discover", Era::Modern) => discover(peer, request, outlet),
        ("ping", Era::Legacy) => now(&outlet, message::made(request.id, &json!({}), request.era)),
        ("logging/setLevel", Era::Legacy) => set_level(peer, request, outlet),
        ("resources/subscribe", Era::Legacy) if is_early(peer, request) => later(peer, request, outlet),
        ("resources/subscribe", Era::Legacy) => subscribe(peer, request, outlet),
        ("resources/unsubscribe", Era::Legacy) => unsubscribe(peer, request, outlet),
        ("subscriptions/listen", Era::Modern) => listen(peer, request, outlet),
        (
            "initialize"
            | "ping"
            | "logging/setLevel"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "server/discover"
            | "subscriptions/listen",
            _,
        ) => unknown(request, &outlet),
        ("prompts/get" | "resources/read" | "completion/complete", _) if is_early(peer, request) => {
            later(peer, request, outlet)
        }
        (CALL_TOOL | "prompts/get" | "resources/read" | "completion/complete", _) => pass::admit(peer, request, outlet),
        ("tasks/list", _) if !peer.scope.is_one() => unknown(request, &outlet),
        (method, _) if method.starts_with("tasks/") || peer.scope.is_one() => pass::admit(peer, request, outlet),
        _ => unknown(request, &outlet),
    }
}

/// Whether a request is about something that nobody has, while entries are still being brought up that may have it.
fn is_early(peer: &Arc<Peer>, request: &Request<'_>) -> bool {
    if !peer.scope.is_unsettled() {
        return false;
    }
    let members = request.params.and_then(RawObject::parse).unwrap_or_default();
    let subject = members.object("ref").unwrap_or(members);
    let known = match (subject.text("uri"), subject.text("name")) {
        (Some(uri), _) => peer.scope.owns(&uri),
        (None, Some(name)) => peer.scope.prompt(&name).is_some(),
        (None, None) => true,
    };
    !known
}

/// Begins a request when what should be up is up, or has failed.
fn later(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let (id, method, era) = (request.id.to_owned(), request.method.to_owned(), request.era);
    let params = request.params.map(ToOwned::to_owned);
    let peer_ = peer.clone();
    tracked((peer, request.id), outlet.clone(), async move {
        peer_.scope.settled(PATIENCE).await;
        let request = Request { id: &id, method: &method, params: params.as_deref(), era };
        let work = match method.as_str() {
            "resources/subscribe" => subscribe(&peer_, &request, outlet),
            _ => pass::admit(&peer_, &request, outlet),
        };
        work.await;
    })
}

/// A request of the new generation says what it must; with a handshake that has been said.
pub(super) fn checked(request: &Request<'_>) -> Result<hello::Meta, hello::Refusal> {
    match request.era {
        Era::Legacy => Ok(hello::Meta::default()),
        Era::Modern => hello::meta(request.params),
    }
}

pub(super) fn now(outlet: &Outlet, message: Vec<u8>) -> Work {
    outlet.answer_now(message);
    Box::pin(std::future::ready(()))
}

fn unknown(request: &Request<'_>, outlet: &Outlet) -> Work {
    let words = format!("unknown method `{}`", request.method);
    now(outlet, message::failure(request.id, METHOD_NOT_FOUND, &words))
}

/// Work that the client can take back.
pub(super) fn tracked(
    (peer, id): (&Arc<Peer>, &str),
    outlet: Outlet,
    work: impl Future<Output = ()> + Send + 'static,
) -> Work {
    struct Listed {
        peer: Arc<Peer>,
        id: String,
    }
    impl Drop for Listed {
        fn drop(&mut self) {
            self.peer.end(&self.id);
        }
    }
    let (handle, registration) = AbortHandle::new_pair();
    peer.begin(id, handle);
    let listed = Listed { peer: peer.clone(), id: id.to_owned() };
    Box::pin(async move {
        let outcome = Abortable::new(work, registration).await;
        // Taken back by the client, there is no answer; by us, there is one that says why.
        if let (Err(_), Some(words)) = (outcome, listed.peer.farewell()) {
            outlet.answer_now(message::failure(&listed.id, INTERNAL, words));
        }
    })
}

fn initialize(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let Some(said) = hello::read(request.params) else {
        let words = "cannot initialize: `params` must hold `protocolVersion`, `capabilities` and `clientInfo`";
        return now(&outlet, message::failure(request.id, INVALID_PARAMS, words));
    };
    if !peer.greet(said.clone()) {
        let words = "this session is initialized already";
        return now(&outlet, message::failure(request.id, INVALID_REQUEST, words));
    }
    let wait = if peer.scope.is_one() { ONE_ENTRY } else { Duration::ZERO };
    if wait.is_zero() {
        let result = hello::initialized(&peer.scope, &said);
        return now(&outlet, message::made(request.id, &result, request.era));
    }
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked((peer, request.id), outlet.clone(), async move {
        peer_.scope.listed(wait).await;
        outlet.answer(message::made(&id, &hello::initialized(&peer_.scope, &said), era)).await;
    })
}

fn discover(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked((peer, request.id), outlet.clone(), async move {
        if peer_.scope.is_one() {
            peer_.scope.listed(ONE_ENTRY).await;
        }
        outlet.answer(message::made(&id, &hello::discovered(&peer_.scope), era)).await;
    })
}

fn list(peer: &Arc<Peer>, request: &Request<'_>, (kind, outlet): (Kind, Outlet)) -> Work {
    let Ok(cursor) = cursor(request) else {
        let words = "unknown cursor: ask for the first page without one, and go on with its `nextCursor`";
        return now(&outlet, message::failure(request.id, INVALID_PARAMS, words));
    };
    // Lists wait only while the Computer is young: later they must not stand still for an entry that is brought back.
    let computer = peer.scope.computer();
    let wait = computer.config().serve.list_wait.saturating_sub(computer.age());
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked((peer, request.id), outlet.clone(), async move {
        peer_.scope.listed(wait).await;
        peer_.list(kind, peer_.scope.version(kind));
        let all = peer_.scope.definitions(kind);
        outlet.answer(message::list(&id, kind.member(), &page(&all, kind, cursor), era)).await;
    })
}

/// Where the page that is wanted begins; an error when it is no cursor of ours.
fn cursor(request: &Request<'_>) -> Result<Option<Cursor>, ()> {
    let cursor = request.params.and_then(RawObject::parse).and_then(|params| params.get("cursor"));
    let Some(cursor) = cursor.filter(|cursor| cursor.get() != "null") else { return Ok(None) };
    let text: String = serde_json::from_str(cursor.get()).map_err(drop)?;
    Cursor::parse(&text).map(Some).ok_or(())
}

fn set_level(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let level = request.params.and_then(RawObject::parse).and_then(|params| params.text("level"));
    let Some(level) = level.filter(|level| relay::weight(level).is_some()) else {
        let words = format!("`params.level` must be one of {}", relay::LEVELS.join(", "));
        return now(&outlet, message::failure(request.id, INVALID_PARAMS, &words));
    };
    peer.set_level(&level);
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked((peer, request.id), outlet.clone(), async move {
        peer_.scope.computer().board().want_level(peer_.number, Some(&level)).await;
        outlet.answer(message::made(&id, &json!({}), era)).await;
    })
}

/// The URI that a request is about.
fn uri(request: &Request<'_>) -> Option<String> {
    request.params.and_then(RawObject::parse)?.text("uri")
}

fn without_uri(request: &Request<'_>, outlet: &Outlet) -> Work {
    let words = format!("`{}` needs `params.uri`, a string", request.method);
    now(outlet, message::failure(request.id, INVALID_PARAMS, &words))
}

fn subscribe(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let Some(uri) = uri(request) else { return without_uri(request, &outlet) };
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked((peer, request.id), outlet.clone(), async move {
        let outcome = match peer_.scope.resource(&uri).into_iter().next() {
            None => Err(relay::no_resource(&uri, era.no_resource())),
            // Twice is once.
            Some(_) if peer_.is_subscribed(&uri) => Ok(()),
            Some(_) if peer_.subscriptions() >= SUBSCRIPTIONS => Err(Error::Server {
                code: TOO_MANY,
                message: format!("a client hears of {SUBSCRIPTIONS} resources at most; unsubscribe from some"),
                data: None,
            }),
            Some(way) => {
                let outcome = peer_.scope.computer().board().subscribe(&way).await;
                if outcome.is_ok() && !peer_.subscribe(&uri, way.clone()) {
                    // Somebody was faster with the same.
                    peer_.scope.computer().board().unsubscribe(&way).await;
                }
                outcome
            }
        };
        outlet
            .answer(match outcome {
                Ok(()) => message::made(&id, &json!({}), era),
                Err(error) => message::failed(&id, error, (era, Shape::Plain)),
            })
            .await;
    })
}

fn unsubscribe(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    let Some(uri) = uri(request) else { return without_uri(request, &outlet) };
    let (peer_, id, era) = (peer.clone(), request.id.to_owned(), request.era);
    tracked((peer, request.id), outlet.clone(), async move {
        if let Some(way) = peer_.unsubscribe(&uri) {
            peer_.scope.computer().board().unsubscribe(&way).await;
        }
        outlet.answer(message::made(&id, &json!({}), era)).await;
    })
}

fn listen(peer: &Arc<Peer>, request: &Request<'_>, outlet: Outlet) -> Work {
    struct Stream(Arc<Peer>);
    impl Drop for Stream {
        fn drop(&mut self) {
            self.0.listening().0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let (taken, most) = peer.listening();
    let others = taken.fetch_add(1, Ordering::AcqRel);
    let stream = Stream(peer.clone());
    if others >= most {
        let words = format!("a client has {most} listening streams at most; end one of the others");
        return now(&outlet, message::failure(request.id, TOO_MANY, &words));
    }
    let params = request.params.map(ToOwned::to_owned);
    let (peer_, id) = (peer.clone(), request.id.to_owned());
    tracked((peer, request.id), outlet.clone(), async move {
        let _stream = stream;
        announce::listen(peer_, id, params, outlet).await;
    })
}
