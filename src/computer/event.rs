//! What happens to a Computer, as typed events.

use serde::Serialize;
use tokio::sync::broadcast;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// An entry was added.
    EntryAdded {
        /// Its namespace.
        namespace: String,
    },
    /// An entry was removed.
    EntryRemoved {
        /// Its namespace.
        namespace: String,
    },
    /// An entry is in another state.
    StateChanged {
        /// Its namespace.
        namespace: String,
        /// The state as health shows it.
        state: &'static str,
        /// How many tools it has, when it is up.
        #[serde(skip_serializing_if = "Option::is_none")]
        tools: Option<usize>,
        /// What keeps it from being up; of one that is up, what it did when it gave no sign of life. Such a one is told
        /// of again when it gives one.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A managed program is in another state.
    ProgramChanged {
        /// Its name.
        name: String,
        /// The state as health shows it.
        state: &'static str,
        /// The port of a Chrome that is up.
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// What keeps it from being up.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Another configuration holds.
    ConfigApplied {
        /// Entries that are new.
        added: Vec<String>,
        /// Entries that are gone.
        removed: Vec<String>,
        /// Entries of which it says something else.
        changed: Vec<String>,
    },
    /// The configuration as it is written now cannot be used: what held before holds.
    ConfigRefused {
        /// Every mistake with its place, or the one reason.
        problems: Vec<String>,
    },
    /// The set of tools has changed.
    ToolsChanged {
        /// How many there are now, status tools left out.
        tools: usize,
    },
}

/// The events of a Computer, from the moment it was asked for.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self(receiver)
    }

    /// The next event; `None` when the Computer is gone. A listener that lags far behind loses the oldest. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
