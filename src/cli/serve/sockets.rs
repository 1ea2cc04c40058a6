//! Sockets that whoever started us listens on for us: which is served, and which are not.

use std::net::TcpListener;

use mcp_computer::inherited;

use crate::cli::{paint, say};

/// The socket that is served over HTTP instead of one of our own. What is not served is said.
pub(super) fn handed_over(http: Wanted<'_>) -> Option<TcpListener> {
    let handed = inherited::sockets();
    let mut listeners = handed.listeners.into_iter();
    let used = if http == Wanted::No { None } else { listeners.next() };
    let unused = listeners.map(|listener| match listener.local_addr() {
        Ok(address) => format!("the socket at {address}: one is served, the first"),
        Err(error) => format!("a socket: {error}"),
    });
    for what in unused.chain(handed.others) {
        say(&paint::plain(&format!("warning: was handed over and is not used: {what}")));
    }
    if let (Some(Ok(address)), Wanted::At(given)) = (used.as_ref().map(TcpListener::local_addr), http)
        && given != address.to_string()
    {
        let given = paint::plain(given);
        say(&format!("warning: the socket at {address} was handed over and is used, `--http {given}` is not"));
    }
    used
}

/// Whether anything is to be served over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    No,
    /// If there is a socket.
    Anywhere,
    /// At an address that was given.
    At(&'a str),
}
