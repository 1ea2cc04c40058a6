//! Lines of JSON-RPC on a pair of pipes: reading them, writing them, and looking at no more than their envelope.
//!
//! Both sides of the host use it: the connections to servers, and the stdio front towards a client.

mod envelope;
mod lines;
mod outbox;

pub(crate) use envelope::{Envelope, position};
pub(crate) use lines::{Input, Line, Lines};
pub(crate) use outbox::{Outbox, Output, Refused};
