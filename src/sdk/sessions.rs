//! Sessions on the platform: making them, looking at them, bringing them back.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value, json};

use super::{
    error::Result,
    event::present,
    message::{ChatMessage, UiMessage},
    place::{Place, StartOptions},
    session::{AgentSession, AttachOptions},
    wire::{Wire, part},
};

/// Sessions on the platform.
#[derive(Debug, Clone)]
pub struct AgentSessionsApi(pub(super) Wire);

/// Something of a session, or that the session has expired.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Lasting<T> {
    /// The session is there.
    Active(T),
    /// The session has expired: it can be brought back with [`AgentSessionsApi::restore`].
    Expired(ExpiredSession),
}

impl<T> Lasting<T> {
    /// What was asked for, unless the session has expired.
    pub fn active(self) -> Option<T> {
        match self {
            Self::Active(value) => Some(value),
            Self::Expired(_) => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lasting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        // Whatever else it looks like.
        match ExpiredSession::deserialize(&value) {
            Ok(expired) => Ok(Self::Expired(expired)),
            Err(_) => T::deserialize(value).map(Self::Active).map_err(D::Error::custom),
        }
    }
}

/// A session that has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiredSession {
    /// The session.
    pub session_id: String,
    /// Its agent.
    pub agent_id: String,
    /// That it has expired.
    pub status: Expired,
    /// When it was made.
    pub created_at: String,
}

/// Says that something has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expired {
    /// It has.
    Expired,
}

/// Says that something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// It is.
    Active,
}

/// All that the platform has of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionState {
    /// The session.
    pub id: String,
    /// Its agent.
    pub agent_id: String,
    /// What it was made with.
    pub input: Map<String, Value>,
    /// Its variables.
    pub variables: Map<String, Value>,
    /// Its resources.
    pub resources: Map<String, Value>,
    /// Its messages, with what no person sees.
    pub messages: Vec<ChatMessage>,
    /// That it is there.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub status: Option<Active>,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

/// A session as a person sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UiSessionState {
    /// The session.
    pub session_id: String,
    /// Its agent.
    pub agent_id: String,
    /// Its messages.
    pub messages: Vec<UiMessage>,
    /// That it is there.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub status: Option<Active>,
}

/// What bringing a session back has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredSession {
    /// The session.
    pub session_id: String,
    /// Whether it was brought back; not when it was there.
    pub restored: bool,
}

/// What clearing a session has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearedSession {
    /// The session.
    pub session_id: String,
    /// Whether it was cleared.
    pub cleared: bool,
}

/// What has happened in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionLogs {
    /// The session.
    pub session_id: String,
    /// What has happened, in order.
    pub entries: Vec<LogEntry>,
    /// How many entries there are.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub total: Option<Value>,
    /// Whether these are not all.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Value>,
}

/// Something that has happened in a session, whole, whatever it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The entry.
    pub id: String,
    /// When it happened.
    pub timestamp: String,
    /// What kind of thing it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// All else about it.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Which entries of a log are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogEntries {
    /// All.
    #[default]
    All,
    /// Those that are no requests to models, which are large.
    WithoutModelRequests,
}

impl AgentSessionsApi {
    /// Makes a session of an agent and returns its id.
    pub async fn create(&self, agent_id: &str, input: Option<Map<String, Value>>) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            session_id: String,
        }

        let mut body = json!({ "agentId": agent_id });
        if let Some(input) = input {
            body["input"] = input.into();
        }
        let created: Created = self.0.post("making a session", "/api/agent-sessions", &body).await?;
        Ok(created.session_id)
    }

    /// All that the platform has of a session, with what no person may see.
    pub async fn get(&self, session_id: &str) -> Result<Lasting<SessionState>> {
        self.0.get("looking at a session", &path(session_id, "")).await
    }

    /// The messages of a session as a person sees them.
    pub async fn get_messages(&self, session_id: &str) -> Result<Lasting<UiSessionState>> {
        self.0.get("reading a session's messages", &path(session_id, "?format=ui")).await
    }

    /// What has happened in a session.
    pub async fn get_logs(&self, session_id: &str, entries: LogEntries) -> Result<Lasting<SessionLogs>> {
        let rest = match entries {
            LogEntries::All => "/logs",
            LogEntries::WithoutModelRequests => "/logs?excludeModelRequests=true",
        };
        self.0.get("reading a session's log", &path(session_id, rest)).await
    }

    /// Brings a session back that has expired, from its messages, with the input that it was made with.
    pub async fn restore(
        &self,
        session_id: &str,
        messages: &[UiMessage],
        input: Option<Map<String, Value>>,
    ) -> Result<RestoredSession> {
        let mut body = json!({ "messages": messages });
        if let Some(input) = input {
            body["input"] = input.into();
        }
        self.0.post("bringing a session back", &path(session_id, "/restore"), &body).await
    }

    /// Takes away what the platform has of a session: it has expired then.
    pub async fn clear(&self, session_id: &str) -> Result<ClearedSession> {
        self.0.delete("clearing a session", &path(session_id, "")).await
    }

    /// A session, to run turns in. The platform is not asked.
    ///
    /// # Errors
    /// When two tools have the same name, or two groups the same namespace.
    pub fn attach(&self, session_id: impl Into<String>, options: AttachOptions) -> Result<AgentSession> {
        AgentSession::new(self.0.clone(), Place::session(session_id.into()), options)
    }

    /// A session that is made of an agent by its first turn, in one request. The platform is not asked yet. Platforms do
    /// so since version 6.0.0 of their own SDK.
    ///
    /// # Errors
    /// As for [`attach`](Self::attach).
    pub fn start(
        &self,
        agent_id: impl Into<String>,
        start: StartOptions,
        options: AttachOptions,
    ) -> Result<AgentSession> {
        AgentSession::new(self.0.clone(), Place::start(agent_id.into(), start), options)
    }
}

fn path(session_id: &str, rest: &str) -> String {
    format!("/api/agent-sessions/{}{rest}", part(session_id))
}
