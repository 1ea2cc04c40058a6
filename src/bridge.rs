//! A bridge for browsers: a page talks to an agent of a platform over a socket, and the agent has the tools of this
//! computer.
//!
//! It serves what clients of the platform's socket transport expect, under a prefix (`/octavus`):
//!
//! | path | what it is |
//! |---|---|
//! | `/octavus/websocket` | a WebSocket, each message a JSON text |
//! | `/octavus`, `/octavus/info`, `/octavus/{server}/{session}/websocket` | the same for clients of SockJS |
//! | `/octavus/{server}/{session}/xhr`, `…/xhr_send` | the same for those that have no WebSocket |
//!
//! A client says `trigger`, `continue`, `stop`, and `init` for a session that it knows; it is told the events of its
//! turns. Each connection has a session of its own, which is made when it is first needed. What it says that is no
//! message is told as a `validation_error`; messages of other types are not for us and nothing happens.
//!
//! A turn outlives the socket that has asked for it: what the agent does for somebody whose page was reloaded is done,
//! and nobody is told. Such a client connects anew and has a new session, or says `init` with the one that it had.

mod answer;
mod chat;
mod desk;
mod frames;
mod outbox;
mod polls;
mod prefix;
mod route;
mod talk;

use std::{future::Future, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::time::timeout;

use self::desk::Desk;
pub use self::prefix::{NoPrefix, Prefix};
use crate::{
    Computer,
    front::http::{self, Listener},
    sdk::OctavusClient,
};

/// A bridge between pages and an agent of a platform. Nobody is served yet.
#[derive(Debug, Clone)]
pub struct Bridge {
    client: OctavusClient,
    agent: String,
    computer: Computer,
    options: BridgeOptions,
}

/// How a bridge serves. The default is what the program uses.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeOptions {
    /// Under which path.
    pub prefix: Prefix,
    /// What sessions are made with.
    pub input: Option<Map<String, Value>>,
    /// How often a client is shown that the connection lives. One of which nothing comes for more than twice as long has
    /// gone.
    pub heartbeat: Duration,
    /// How many bytes may wait for a client that reads slowly; beyond, its connection is closed.
    pub waiting: usize,
    /// How long a turn may go on when its client has gone.
    pub abandoned: Duration,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            input: None,
            // What servers of SockJS do.
            heartbeat: Duration::from_secs(25),
            waiting: 8 << 20,
            abandoned: Duration::from_secs(30 * 60),
        }
    }
}

impl Bridge {
    /// A bridge to sessions of this agent, which get the tools of this computer. The computer is neither started nor
    /// stopped: that is its owner's to do.
    pub fn new(client: OctavusClient, agent_id: impl Into<String>, computer: &Computer) -> Self {
        Self { client, agent: agent_id.into(), computer: computer.clone(), options: BridgeOptions::default() }
    }

    /// The same with options.
    #[must_use]
    pub fn with(self, options: BridgeOptions) -> Self {
        Self { options, ..self }
    }

    /// Where clients of SockJS find it at this listener.
    pub fn url(&self, listener: &Listener) -> String {
        format!("http://{}{}", listener.address(), self.options.prefix)
    }

    /// Serves all clients until `leave` is ready.
    ///
    /// Who may connect is said by the options of the listener: the `Host`, the `Origin`, and the token, which a client
    /// shows as `?token=` or in `Authorization`. [`Limits::sessions`](http::Limits) is how many clients there may be,
    /// [`Limits::body`](http::Limits) how large a message of theirs.
    ///
    /// In the end every client is told, turns and the tools that run for them end, and when it returns nothing of it
    /// runs any more. Dropping the future cuts everything at once.
    pub async fn serve(self, listener: Listener, leave: impl Future<Output = ()>) {
        let (socket, address, options) = listener.into_parts();
        let desk = Arc::new(Desk::new(self, (address, &options)));
        let _cut = desk.tasks.cut.clone().drop_guard();
        tokio::select! {
            () = http::accept(&socket, &desk.tasks, |stream| desk::serve(stream, desk.clone())) => {}
            () = leave => {}
        }
        drop(socket);
        desk.tasks.leaving.cancel();
        let _ = timeout(desk.limits.drain, desk.tasks.ended()).await;
        desk.tasks.cut.cancel();
        desk.tasks.ended().await;
    }
}
