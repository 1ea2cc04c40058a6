//! Our face over Streamable HTTP: many clients of every generation at `/mcp`, one entry alone at `/mcp/<namespace>`.
//!
//! [`bind`] takes the address, [`Listener::serve`] serves until it is told to leave. Every request is checked in the
//! same order, whatever it is for: the `Host` it names, the `Origin` it comes from, its token, and only then the rest.
//! Bytes of answers pass untouched, as everywhere in the fronts.

mod api;
mod body;
mod connection;
mod desk;
mod events;
mod flow;
mod gate;
mod get;
mod headers;
pub(crate) mod intake;
mod journal;
mod limits;
mod listener;
mod listening;
mod metrics;
mod params;
mod pipe;
mod post;
pub(crate) mod reply;
mod route;
mod session;
mod sessions;
mod stateless;
mod token;

// What another front over HTTP is made of as well.
#[cfg(feature = "sdk")]
pub(crate) use self::{
    body::Body,
    connection::{Answering, close, requests},
    desk::{Tasks, size},
    gate::Gate,
    listener::accept,
    reply::Reply,
};
pub use self::{
    limits::Limits,
    listener::{BindError, Listener, adopt, bind},
    token::Token,
};

/// How a listener is guarded.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who may ask.
    pub access: Access,
    /// From where it can be reached.
    pub reach: Reach,
    /// What `Host` a request may name, beside the loopback names and the address that is listened on.
    pub allowed_hosts: Vec<String>,
    /// What `Origin` a request may come from, beside our own.
    pub allowed_origins: Vec<String>,
    /// How much is taken at most.
    pub limits: Limits,
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Everybody who can reach it. Only for loopback.
    #[default]
    Anyone,
    /// Who shows this token.
    Bearer(Token),
}

/// From where a listener can be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// From this machine.
    #[default]
    Loopback,
    /// From wherever its address can be reached. Needs a token.
    Remote,
}
