//! Where every request arrives: what all connections of a bridge share, and the way from a request to its reply.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{Method, Request, StatusCode, body::Incoming, http::request::Parts};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    Bridge, answer,
    polls::{self, Polls},
    route::{Framing, Route},
    talk,
};
use crate::front::http::{self, Gate, Limits, Options, Reply, Tasks, reply};

/// What all connections of a bridge share.
pub(super) struct Desk {
    pub(super) bridge: Bridge,
    gate: Gate,
    pub(super) limits: Limits,
    pub(super) tasks: Tasks,
    /// How many more clients there may be.
    room: Arc<Semaphore>,
    pub(super) polls: Polls,
}

/// What a connection has become.
pub(super) struct Opened {
    pub(super) framing: Framing,
    pub(super) place: OwnedSemaphorePermit,
}

/// What the connection becomes that a request came over.
type Slot = Arc<Mutex<Option<Opened>>>;

/// Serves a connection until it is closed.
pub(super) async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    let opened = Slot::default();
    let left = {
        let (desk, opened) = (desk.clone(), opened.clone());
        let (leaving, limits) = (desk.tasks.leaving.clone(), desk.limits);
        let answer = move |request, local| -> http::Answering {
            let (desk, opened) = (desk.clone(), opened.clone());
            Box::pin(async move { Ok(*desk.answer(request, local, &opened).await) })
        };
        http::requests(stream, (&leaving, &limits), answer).await
    };
    let Some((stream, read)) = left else { return };
    let opened = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    match opened {
        Some(opened) => talk::talk((stream, read), opened, desk).await,
        None => http::close(stream).await,
    }
}

impl Desk {
    pub(super) fn new(bridge: Bridge, (address, options): (SocketAddr, &Options)) -> Self {
        Self {
            bridge,
            gate: Gate::new(address, options),
            limits: options.limits,
            tasks: Tasks::new(),
            room: Arc::new(Semaphore::new(options.limits.sessions)),
            polls: Polls::default(),
        }
    }

    /// Replies to a request that came to the address `local`.
    async fn answer(self: Arc<Self>, request: Request<Incoming>, local: SocketAddr, opened: &Slot) -> Reply {
        let (parts, body) = request.into_parts();
        let route = match self.admit(&parts, local) {
            Ok(route) => route,
            Err(refused) => return refused,
        };
        let headers = parts.headers.clone();
        let reply = match (&parts.method, route) {
            (&Method::OPTIONS, _) => answer::preflight(),
            (&Method::GET, Route::Greeting) => answer::greeting(),
            (&Method::GET, Route::Info) => answer::info(),
            (&Method::GET, Route::Socket(framing)) => return self.open(parts, framing, opened).unwrap_or_else(|no| no),
            (&Method::POST, Route::Poll(name)) => polls::poll(&self, &name).await.unwrap_or_else(|no| no),
            (&Method::POST, Route::Send(name)) => polls::send(&self, &name, body).await.unwrap_or_else(|no| no),
            (_, Route::Poll(_) | Route::Send(_)) => reply::wrong_method("POST, OPTIONS"),
            (_, Route::Greeting | Route::Info | Route::Socket(_)) => reply::wrong_method("GET, OPTIONS"),
        };
        answer::readable(reply, &headers)
    }

    /// Lets a request in and says what it is for, or says why not. The order is the same for all of them.
    fn admit(&self, parts: &Parts, local: SocketAddr) -> Result<Route, Reply> {
        if http::size(parts) > self.limits.head {
            let words = format!("the headers must not be larger than {} bytes", self.limits.head);
            return Err(reply::last(reply::refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &words)));
        }
        self.gate.admit_page(parts, local)?;
        let below = self.bridge.options.prefix.below(parts.uri.path());
        below.and_then(Route::of).ok_or_else(|| {
            let words = format!("there is nothing here; the bridge is at {}", self.bridge.options.prefix);
            reply::refused(StatusCode::NOT_FOUND, &words)
        })
    }

    /// A place among the clients, if there is one.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Reply> {
        self.room.clone().try_acquire_owned().map_err(|_| answer::full())
    }

    fn open(&self, parts: Parts, framing: Framing, opened: &Slot) -> Result<Reply, Reply> {
        let switched = answer::switch(parts)?;
        let place = self.place()?;
        *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Opened { framing, place });
        Ok(switched)
    }
}
