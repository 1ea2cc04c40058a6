//! One client on our stdin and stdout.

pub(super) mod ends;
mod handed;

use std::{future::Future, io};

use super::client::Client;
pub use super::client::Over;
use crate::{Computer, wire::Outbox};
pub use handed::Handed;

/// Serves the client on this process's stdin and stdout until it closes our stdin or `leave` is ready.
///
/// `initialize` is answered at once, whether entries are up or not. The Computer is not stopped: that is its owner's to
/// do, and with how much grace is told by what is returned. Dropping the future ends the session.
///
/// # Errors
/// stdin or stdout cannot be used.
pub async fn serve(computer: &Computer, leave: impl Future<Output = ()>) -> io::Result<Over> {
    let ends = ends::of_this_process()?;
    Ok(serve_on(computer, ends, leave).await)
}

/// Serves the client on these ends.
pub(super) async fn serve_on(
    computer: &Computer,
    (input, output): (ends::In, ends::Out),
    leave: impl Future<Output = ()>,
) -> Over {
    let outbox = Outbox::new(output);
    let client = Client::new(computer, outbox.clone());
    let over = tokio::select! {
        over = client.serve(input, leave) => over,
        () = outbox.drain() => Over::ClientLeft,
    };
    outbox.close();
    over
}
