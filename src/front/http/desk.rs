//! Where every request arrives: what all connections of a listener share, and the way from a request to its reply.

use std::{future::Future, net::SocketAddr, sync::Arc};

use hyper::{HeaderMap, Method, Request, StatusCode, body::Incoming, http::request::Parts};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Options,
    api::{self, Busy},
    gate::{Credential, Gate},
    get,
    limits::Limits,
    metrics, post,
    reply::{self, Reply, SESSION_ID},
    route::Route,
    sessions::Sessions,
    stateless::Stateless,
};
use crate::{Computer, control::Control, front::scope::Scope};

/// What all connections of a listener share.
pub(super) struct Desk {
    computer: Computer,
    gate: Gate,
    pub(super) limits: Limits,
    pub(super) sessions: Sessions,
    pub(super) stateless: Stateless,
    pub(super) tasks: Tasks,
    control: Option<Control>,
    pub(super) busy: Busy,
}

/// What runs for a listener beside the one who serves it, who awaits it.
#[derive(Clone)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    runtime: Handle,
    /// What has no end of its own ends now.
    pub(crate) leaving: CancellationToken,
    /// Everything ends now.
    pub(crate) cut: CancellationToken,
}

impl Tasks {
    /// In the runtime that this is called in.
    pub(crate) fn new() -> Self {
        let cut = CancellationToken::new();
        Self { tracker: TaskTracker::new(), runtime: Handle::current(), leaving: cut.child_token(), cut }
    }

    /// Runs something until it ends or everything does.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let work = self.cut.clone().run_until_cancelled_owned(work);
        // On this runtime: what asks for it may be dropped outside of any.
        self.tracker.spawn_on(async move { work.await.unwrap_or_default() }, &self.runtime);
    }

    /// Returns when nothing runs any more. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// A request that was let in, and from whom.
pub(super) struct Visit {
    pub(super) desk: Arc<Desk>,
    pub(super) credential: Credential,
    pub(super) route: Route,
    pub(super) scope: Scope,
    pub(super) headers: HeaderMap,
}

/// The methods that are known here.
const METHODS: &str = "GET, POST, DELETE";

impl Desk {
    pub(super) fn new(
        computer: &Computer,
        control: Option<Control>,
        (address, options): (SocketAddr, &Options),
    ) -> Self {
        Self {
            computer: computer.clone(),
            gate: Gate::new(address, options),
            limits: options.limits,
            sessions: Sessions::new(&options.limits),
            stateless: Stateless::default(),
            tasks: Tasks::new(),
            control,
            busy: Busy::default(),
        }
    }

    /// By what the daemon is controlled, if it is over HTTP.
    pub(super) fn control(&self) -> Option<&Control> {
        self.control.as_ref()
    }

    /// Replies to a request that came to the address `local`.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>, local: SocketAddr) -> Reply {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        if let Some(path) = parts.uri.path().strip_prefix("/api/") {
            return match self.admit(&parts, local) {
                Ok(credential) => api::answer(&self, (credential, &parts, path), body).await,
                Err(reply) => reply,
            };
        }
        let visit = match self.visit(parts, local) {
            Ok(visit) => visit,
            Err(reply) => return reply,
        };
        match method {
            method if visit.route == Route::Metrics => metrics::answer(&visit, &method).await,
            Method::POST => post::answer(&visit, body).await,
            Method::GET => get::answer(&visit).unwrap_or_else(|refused| refused),
            Method::DELETE => end_session(&visit),
            _ => reply::wrong_method(METHODS),
        }
    }

    /// Lets a request in, or says why not. The order is the same for all of them.
    fn admit(&self, parts: &Parts, local: SocketAddr) -> Result<Credential, Reply> {
        if size(parts) > self.limits.head {
            let words = format!("the headers must not be larger than {} bytes", self.limits.head);
            return Err(reply::last(reply::refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &words)));
        }
        self.gate.admit(parts, local)
    }

    /// Lets in a request that is about MCP.
    fn visit(self: &Arc<Self>, parts: Parts, local: SocketAddr) -> Result<Visit, Reply> {
        let credential = self.admit(&parts, local)?;
        let Some(route) = Route::of(parts.uri.path()) else {
            return Err(reply::refused(
                StatusCode::NOT_FOUND,
                "there is nothing here; MCP is served at /mcp, and control at /api",
            ));
        };
        let scope = match &route {
            Route::All | Route::Metrics => Some(Scope::all(&self.computer)),
            Route::One(namespace) => Scope::one(&self.computer, namespace.as_str()),
        };
        let Some(scope) = scope else { return Err(self.no_entry(&route)) };
        Ok(Visit { desk: self.clone(), credential, route, scope, headers: parts.headers })
    }

    fn no_entry(&self, route: &Route) -> Reply {
        let known = self.computer.entries().join(", ");
        let words = match route {
            Route::One(namespace) => format!("there is no entry `{namespace}`; there are: {known}"),
            Route::All | Route::Metrics => format!("there are: {known}"),
        };
        reply::refused(StatusCode::NOT_FOUND, &words)
    }
}

/// How many bytes the first line and the headers of a request have, written plainly.
pub(crate) fn size(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.to_string().len() + " HTTP/1.1\r\n".len() + 1;
    let headers = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

fn end_session(visit: &Visit) -> Reply {
    if super::headers::is_modern(&visit.headers) {
        return reply::wrong_method("POST");
    }
    let Ok(Some(id)) = super::gate::single(&visit.headers, &SESSION_ID) else {
        return reply::refused(StatusCode::BAD_REQUEST, "which session is to end is said by `Mcp-Session-Id`");
    };
    let Some(session) = visit.desk.sessions.find(id, visit.credential, &visit.route) else {
        return reply::no_session(None);
    };
    visit.desk.sessions.end(&session);
    reply::empty(StatusCode::NO_CONTENT)
}
