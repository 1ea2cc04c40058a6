//! The server SDK: sessions of a platform that use the tools of this machine.
//!
//! A platform runs agents; a host shows their sessions and runs their tools. [`OctavusClient`] makes sessions and
//! attaches to them; [`AgentSession::execute`] runs a turn: it asks the platform, tells what happens as a stream of
//! [`StreamEvent`]s, runs the tools that are asked for, sends their results back, and so on until the turn is over. A
//! [`Computer`](crate::Computer) is plugged in with [`AgentSession::set_dynamic_tools`].
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use mcp_computer::{Computer, sdk::{AttachOptions, OctavusClient, SessionRequest}};
//!
//! # async fn run(computer: Computer) -> Result<(), Box<dyn std::error::Error>> {
//! let client = OctavusClient::new("https://octavus.ai", "oct_…");
//! let session_id = client.agent_sessions().create("support-chat", None).await?;
//! let session = client.agent_sessions().attach(session_id, AttachOptions::new())?;
//! session.set_dynamic_tools(computer);
//! let mut events = session.execute(SessionRequest::trigger("user-message"));
//! while let Some(event) = events.next().await {
//!     println!("{:?}", event?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It speaks version 4 of the platform's protocol. Where the platform's own SDK differs by accident, this one does not
//! follow it: a tool is handled only when it has a handler, whatever its name; an error without words is an error; who
//! watches a resource, or looks at results, may fail without harm to the turn; a last line without an end counts; a tool
//! that runs is ended when its turn is stopped; a provider of tools that change is followed.

mod agents;
mod error;
mod event;
mod events;
mod files;
mod generator;
mod group;
mod images;
mod lines;
mod media;
mod message;
mod outputs;
mod place;
mod request;
mod result;
mod run;
mod session;
mod sessions;
mod size;
mod sse;
mod tokens;
mod toolbox;
mod uploads;
mod watch;
mod when;
mod wire;
mod workers;
mod workforce;

use std::time::Duration;

pub use agents::{Agent, AgentDefinition, AgentFormat, AgentPrompt, AgentSettings, AgentsApi};
pub use error::{ApiError, Result, SdkError, WorkerError};
pub use event::{
    Display, ErrorEvent, ErrorSource, ErrorType, FailedTool, FinishReason, ProviderInfo, Source, StreamEvent, Todo,
    TodoStatus,
};
pub use events::{Events, RawEvents};
pub use files::{FileUpload, FilesApi, UploadUrl};
pub use group::ToolGroup;
pub use message::{ChatMessage, ChatRole, Part, UiMessage, UiRole, UiStatus};
pub use place::StartOptions;
pub use request::{ContinueRequest, Rollback, SessionRequest, SocketMessage, TriggerRequest};
pub use result::{CallSource, FileReference, PendingToolCall, ToolResult};
pub use session::{AgentSession, AttachOptions, SocketHandlers};
pub use sessions::{
    Active, AgentSessionsApi, ClearedSession, Expired, ExpiredSession, Lasting, LogEntries, LogEntry, RestoredSession,
    SessionLogs, SessionState, UiSessionState,
};
pub use sse::to_sse_stream;
pub use tokens::{RevokedToken, Token, TokenOptions, TokensApi};
pub use toolbox::ToolHandlers;
pub use watch::Resource;
pub use workers::{WorkerOptions, WorkerOutput, WorkersApi};
pub use workforce::{Dispatched, ThreadStatus, Wait, WorkforceApi, WorkforceThread};

pub use self::wire::url_mistake;
use self::wire::{Wire, part};

/// A platform, and who asks it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OctavusClient(Wire);

/// How a platform is asked. By default nothing is tried again, waited for shorter, or cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// Whether the platform keeps what it asks models.
    pub trace_model_requests: bool,
    /// How often a request of an execution is made again when the platform could not be reached, or had no time (408,
    /// 429, 502, 503, 504): after a second, doubled each time up to eight, or as the platform asks with `Retry-After`.
    pub retries: u32,
    /// How long an execution may be silent. The platform says every 15 s that nothing has broken.
    pub idle_timeout: Option<Duration>,
    /// How many bytes a request of an execution may have: contents of results above 16 KiB are cut, the largest first.
    pub max_request: Option<usize>,
}

impl ClientOptions {
    /// What suits a program that nobody watches: two more tries, a minute of silence, 4 MiB.
    pub fn sturdy() -> Self {
        Self {
            trace_model_requests: false,
            retries: 2,
            idle_timeout: Some(Duration::from_secs(60)),
            max_request: Some(4 << 20),
        }
    }
}

impl OctavusClient {
    /// The platform at a URL, and the key that it knows who asks by; an empty one is none. Nothing is asked yet.
    pub fn new(base_url: &str, api_key: impl Into<String>) -> Self {
        Self::with(base_url, api_key, ClientOptions::default())
    }

    /// The same with options.
    pub fn with(base_url: &str, api_key: impl Into<String>, options: ClientOptions) -> Self {
        Self(Wire::new(base_url, Some(api_key.into()), options))
    }

    /// The platform's URL.
    pub fn base_url(&self) -> &str {
        self.0.base()
    }

    /// Its agents.
    pub fn agents(&self) -> AgentsApi {
        AgentsApi(self.0.clone())
    }

    /// Its sessions.
    pub fn agent_sessions(&self) -> AgentSessionsApi {
        AgentSessionsApi(self.0.clone())
    }

    /// Files for it.
    pub fn files(&self) -> FilesApi {
        FilesApi(self.0.clone())
    }

    /// Its workers.
    pub fn workers(&self) -> WorkersApi {
        WorkersApi(self.0.clone())
    }

    /// Its agents that work by themselves.
    pub fn workforce(&self) -> WorkforceApi {
        WorkforceApi(self.0.clone())
    }

    /// Tokens for whoever shows its sessions.
    pub fn tokens(&self) -> TokensApi {
        TokensApi(self.0.clone())
    }

    /// The page of a session on the platform.
    pub fn session_url(&self, session_id: &str) -> String {
        format!("{}/platform/sessions/{}", self.0.base(), part(session_id))
    }

    /// The page of an agent on the platform.
    pub fn agent_url(&self, agent_id: &str) -> String {
        format!("{}/platform/agents/{}", self.0.base(), part(agent_id))
    }
}
