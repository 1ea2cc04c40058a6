//! What the server is: what all its clients share, what one of them said, and how changes are told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use rmcp::{
    RoleServer,
    model::{
        LoggingLevel, PromptListChangedNotification, ProtocolVersion, ResourceUpdatedNotification,
        ResourceUpdatedNotificationParam, ServerNotification, ToolListChangedNotification,
    },
    service::RequestContext,
    task_manager::TaskManager,
};
use serde_json::{Value, json};
use tokio::sync::broadcast;

pub(crate) type Context = RequestContext<RoleServer>;

/// Which clients are served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Both,
    Legacy,
    Modern,
}

/// What clients can be told about.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resource(String),
}

/// The server as one client sees it; what all of them share is behind an `Arc`.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) shared: Arc<Shared>,
    /// What this client wants to have logged. Only the generations with sessions can say it for a whole session.
    level: Arc<Mutex<LoggingLevel>>,
}

/// What all clients of one process share.
pub(crate) struct Shared {
    pub(crate) generation: Generation,
    pub(crate) tasks: TaskManager,
    /// How often each list was changed; a changing description shows it, so that an unchanged list is not announced.
    pub(crate) tools_revision: AtomicU32,
    pub(crate) prompts_revision: AtomicU32,
    changes: broadcast::Sender<Change>,
}

impl Fixture {
    pub(crate) fn new(generation: Generation) -> Self {
        let shared = Shared {
            generation,
            tasks: TaskManager::new(),
            tools_revision: AtomicU32::new(0),
            prompts_revision: AtomicU32::new(0),
            changes: broadcast::Sender::new(64),
        };
        Self { shared: Arc::new(shared), level: Arc::new(Mutex::new(LoggingLevel::Debug)) }
    }

    /// The same server for another client.
    pub(crate) fn session(&self) -> Self {
        Self { shared: self.shared.clone(), level: Arc::new(Mutex::new(LoggingLevel::Debug)) }
    }

    /// The least severe level that this request may have logged.
    pub(crate) fn level(&self, cx: &Context) -> Option<LoggingLevel> {
        if modern(cx) { cx.meta.log_level() } else { Some(*self.level.lock().expect("no holder of this lock panics")) }
    }

    /// What the session wants to have logged from now on.
    pub(crate) fn set_session_level(&self, level: LoggingLevel) {
        *self.level.lock().expect("no holder of this lock panics") = level;
    }

    /// The changes from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    /// Makes a change and tells everybody who asked: subscriptions, and the caller himself where there are none.
    pub(crate) async fn change(&self, change: Change, cx: &Context) {
        match change {
            Change::Tools => self.shared.tools_revision.fetch_add(1, Ordering::Relaxed),
            Change::Prompts => self.shared.prompts_revision.fetch_add(1, Ordering::Relaxed),
            Change::Resource(_) => 0,
        };
        // Nobody may be listening.
        let _ = self.shared.changes.send(change.clone());
        if !modern(cx) {
            let _ = cx.peer.send_notification(notification(change)).await;
        }
    }
}

/// Whether the request comes from a client that speaks without a session.
pub(crate) fn modern(cx: &Context) -> bool {
    cx.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// One of rmcp's types from JSON of our own.
pub(crate) fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the JSON of the fixture fits the protocol")
}

/// A result that ends its request. rmcp takes the type away again where the generation knows none.
pub(crate) fn complete<T: serde::de::DeserializeOwned>(mut result: Value) -> T {
    result["resultType"] = json!("complete");
    typed(result)
}

pub(crate) fn notification(change: Change) -> ServerNotification {
    match change {
        Change::Tools => ServerNotification::ToolListChangedNotification(ToolListChangedNotification::default()),
        Change::Prompts => ServerNotification::PromptListChangedNotification(PromptListChangedNotification::default()),
        Change::Resource(uri) => {
            let params = ResourceUpdatedNotificationParam::new(uri);
            ServerNotification::ResourceUpdatedNotification(ResourceUpdatedNotification::new(params))
        }
    }
}
