//! The language of the tests, in which a new one is five lines.

#[cfg(feature = "sdk")]
pub(crate) mod bridge;
pub(crate) mod chrome;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod fake;
pub(crate) mod haunt;
pub(crate) mod hostile;
pub(crate) mod http;
pub(crate) mod http_client;
pub(crate) mod library;
pub(crate) mod platform;
pub(crate) mod procs;
pub(crate) mod program;
pub(crate) mod real;
#[cfg(feature = "sdk")]
pub(crate) mod sdk;
pub(crate) mod shell;
#[cfg(feature = "sdk")]
pub(crate) mod tab;

use std::time::Duration;

/// How long a condition may take. It bounds what has failed already: nothing that works comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An entry with more keys.
pub(crate) fn with(mut entry: serde_json::Value, more: &serde_json::Value) -> serde_json::Value {
    let more = more.as_object().expect("the keys are an object").clone();
    entry.as_object_mut().expect("an entry is an object").extend(more);
    entry
}
