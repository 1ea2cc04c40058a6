//! Agents that work by themselves: they are given messages, and asked how it goes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    error::{Result, SdkError},
    event::present,
    message::UiMessage,
    result::FileReference,
    wire::{Wire, part},
};

/// Agents that work by themselves. Platforms have them since version 5.1.0 of their own SDK; the key is that of an agent.
#[derive(Debug, Clone)]
pub struct WorkforceApi(pub(super) Wire);

/// What a message has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dispatched {
    /// The thread that it is in.
    pub thread_id: String,
    /// How that is.
    pub status: ThreadStatus,
}

/// A thread of messages, and the work on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkforceThread {
    /// The thread.
    pub thread_id: String,
    /// How it is.
    pub status: ThreadStatus,
    /// Why it has failed.
    #[serde(default)]
    pub failure_reason: Option<String>,
    /// Its messages, as a person sees them.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<UiMessage>>,
    /// All else about it.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How a thread is, in the platform's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadStatus(pub String);

impl ThreadStatus {
    /// Whether the work is over: completed, failed or cancelled. A word that nobody knows is none of them.
    pub fn is_over(&self) -> bool {
        matches!(self.0.as_str(), "completed" | "failed" | "cancelled")
    }
}

/// How the end of work is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// How long after one look the next is taken.
    pub every: Duration,
    /// After how long it is given up.
    pub at_most: Duration,
}

impl Default for Wait {
    /// A look every 3 s, for a quarter of an hour.
    fn default() -> Self {
        Self { every: Duration::from_secs(3), at_most: Duration::from_secs(15 * 60) }
    }
}

impl WorkforceApi {
    /// Gives an agent a message in a thread of its own.
    pub async fn dispatch(&self, agent_id: &str, message: &str, files: &[FileReference]) -> Result<Dispatched> {
        self.0.post("giving an agent a message", &path(agent_id, ""), &body(message, files)).await
    }

    /// Gives an agent one more message in a thread; it comes after what goes on.
    pub async fn follow_up(
        &self,
        (agent_id, thread_id): (&str, &str),
        message: &str,
        files: &[FileReference],
    ) -> Result<Dispatched> {
        let path = path(agent_id, &format!("/{}/messages", part(thread_id)));
        self.0.post("giving an agent one more message", &path, &body(message, files)).await
    }

    /// How a thread is, and what was said in it.
    pub async fn thread(&self, agent_id: &str, thread_id: &str) -> Result<WorkforceThread> {
        self.0.get("looking at a thread", &path(agent_id, &format!("/{}", part(thread_id)))).await
    }

    /// Looks at a thread until the work on it is over. Dropping the future ends the looking, not the work.
    ///
    /// # Errors
    /// [`SdkError::Unfinished`] when it takes longer than that; the work goes on.
    pub async fn finished(&self, agent_id: &str, thread_id: &str, wait: Wait) -> Result<WorkforceThread> {
        let begun = Instant::now();
        loop {
            let thread = self.thread(agent_id, thread_id).await?;
            if thread.status.is_over() {
                return Ok(thread);
            }
            if begun.elapsed() + wait.every >= wait.at_most {
                return Err(SdkError::Unfinished { thread: thread_id.to_owned(), after: wait.at_most });
            }
            sleep(wait.every).await;
        }
    }
}

fn path(agent_id: &str, rest: &str) -> String {
    format!("/api/v1/workforce/agents/{}/threads{rest}", part(agent_id))
}

fn body(message: &str, files: &[FileReference]) -> Value {
    let mut body = json!({ "message": message });
    if !files.is_empty() {
        body["files"] = json!(files);
    }
    body
}
