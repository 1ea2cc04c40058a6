//! Control of a daemon that runs: what can be asked of it, where it is found, and asking it.
//!
//! A daemon answers on a Unix socket that only its user can reach, a line of JSON for each message:
//!
//! ```text
//! → { "id": 1, "verb": "restart", "args": { "namespace": "files" } }
//! ← { "id": 1, "result": { "name": "files", "healthy": true, … } }
//! ← { "id": 1, "error": { "code": "unknownNamespace", "message": "…" } }
//! ```
//!
//! A verb that follows something answers `{ "id", "event": { … } }` as often as there is something, and at its end a
//! `result`. Requests are worked on side by side; `{ "verb": "cancel", "args": { "id" } }` takes one back. The same
//! verbs are there over HTTP, under `/api`. `docs/control.md` has all of it, and [`Code`] the codes of errors.

mod client;
mod desk;
mod protocol;
mod save;
mod verbs;

pub use self::{
    client::{Daemon, DaemonError, Following},
    desk::Control,
    protocol::{Code, Refusal},
};
pub(crate) use self::{
    desk::{Follow, Who},
    protocol::{ATTACH, Asked, is_compatible, line},
};
