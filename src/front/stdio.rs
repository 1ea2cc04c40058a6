//! One client on our stdin and stdout.

mod ends;

use std::{future::Future, io};

use super::client::Client;
pub use super::client::Over;
use crate::{Computer, wire::Outbox};

/// Serves the client on this process's stdin and stdout until it closes our stdin or `leave` is ready.
///
/// `initialize` is answered at once, whether entries are up or not. The Computer is not stopped: that is its owner's to
/// do, and with how much grace is told by what is returned. Dropping the future ends the session.
///
/// # Errors
/// stdin or stdout cannot be used.
pub async fn serve(computer: &Computer, leave: impl Future<Output = ()>) -> io::Result<Over> {
    let (input, output) = ends::of_this_process()?;
    let outbox = Outbox::new(output);
    let client = Client::new(computer, outbox.clone());
    let over = tokio::select! {
        over = client.serve(input, leave) => over,
        () = outbox.drain() => Over::ClientLeft,
    };
    outbox.close();
    Ok(over)
}
