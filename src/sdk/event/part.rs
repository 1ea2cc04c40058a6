//! What events are made of.

use serde::{Deserialize, Serialize};

use super::present;

/// Why a turn is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// All was said, or it was stopped.
    Stop,
    /// Tools are to be called.
    ToolCalls,
    /// Tools are to be called by whoever shows the session.
    ClientToolCalls,
    /// There was no more room.
    Length,
    /// What was to be said may not be.
    ContentFilter,
    /// It went wrong.
    Error,
    /// Something else.
    Other,
}

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Display {
    /// Not at all.
    Hidden,
    /// By its name.
    Name,
    /// By its description.
    Description,
    /// With what it writes.
    Stream,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sourceType", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Source {
    /// On a page.
    Url {
        /// The source.
        id: String,
        /// The page.
        url: String,
        /// Its title.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The worker that has found it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// In a document.
    Document {
        /// The source.
        id: String,
        /// What kind of document it is.
        media_type: String,
        /// Its title.
        title: String,
        /// Its file's name.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        /// The worker that has found it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// The item.
    pub id: String,
    /// What is to be done.
    pub content: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// How far something to be done is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoStatus {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
    /// Not to be done any more.
    Cancelled,
}
