//! A session that is attached: turns, and the tools for them.

mod socket;

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value};
pub use socket::SocketHandlers;
use tokio_util::sync::CancellationToken;

use super::{
    error::{Result, SdkError},
    events::{Events, RawEvents},
    files::FilesApi,
    group::ToolGroup,
    place::Place,
    request::SessionRequest,
    result::ToolResult,
    run::{Hook, Leg, Plan, Unhandled},
    toolbox::{ToolHandlers, Toolbox},
    watch::Resource,
    wire::Wire,
};
use crate::provider::{ToolError, ToolHandler, ToolProvider};

/// What a session is attached with.
#[derive(Default)]
pub struct AttachOptions {
    tools: ToolHandlers,
    groups: Vec<ToolGroup>,
    resources: Vec<Resource>,
    hook: Option<Hook>,
    unhandled: Unhandled,
}

impl AttachOptions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With what runs a tool of the agent's protocol. The platform knows such tools already.
    #[must_use]
    pub fn tool(mut self, name: impl Into<String>, handler: ToolHandler) -> Self {
        self.tools.insert(name.into(), handler);
        self
    }

    /// With a group of tools, which the platform is told of.
    #[must_use]
    pub fn group(mut self, group: ToolGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// With somebody who wants to know the values of a resource.
    #[must_use]
    pub fn resource(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// With somebody who looks at what tools gave here before it is told and sent, and may change it. When that fails,
    /// a warning is in the log and the results stay as they were.
    #[must_use]
    pub fn on_tool_results<F, R>(mut self, look: F) -> Self
    where
        F: Fn(Vec<ToolResult>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<ToolResult>, ToolError>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |results| Box::pin(look(results))));
        self
    }

    /// With data in what tools gave here uploaded for this session: [`FilesApi::upload_media`] and
    /// [`FilesApi::upload_output_files`] look at it, in the place of anybody else.
    #[must_use]
    pub fn uploading(self, files: FilesApi, session_id: impl Into<String>) -> Self {
        let id = session_id.into();
        self.on_tool_results(move |results| {
            let (files, id) = (files.clone(), id.clone());
            async move {
                let results = files.upload_media(&id, results).await;
                Ok(files.upload_output_files(&id, results).await)
            }
        })
    }

    /// With nobody who could run a tool that has no handler here: such a call has failed, and the turn goes on.
    #[must_use]
    pub fn reject_client_tool_calls(mut self) -> Self {
        self.unhandled = Unhandled::Rejected;
        self
    }
}

impl fmt::Debug for AttachOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tools, groups, resources) = (self.tools.keys(), &self.groups, &self.resources);
        let mut options = f.debug_struct("AttachOptions");
        options.field("tools", &tools).field("groups", groups).field("resources", resources).finish_non_exhaustive()
    }
}

/// A session of the platform, with tools of this machine. Cheap to clone.
#[derive(Clone)]
pub struct AgentSession(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    wire: Wire,
    tools: Toolbox,
    watched: Arc<[Resource]>,
    hook: Option<Hook>,
    unhandled: Unhandled,
    /// Stops the turn that a socket has asked for last.
    running: Mutex<CancellationToken>,
}

impl fmt::Debug for AgentSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentSession")
            .field("id", &self.0.place.id())
            .field("tools", &self.0.tools)
            .finish_non_exhaustive()
    }
}

impl AgentSession {
    pub(super) fn new(wire: Wire, place: Place, options: AttachOptions) -> Result<Self> {
        let AttachOptions { tools, groups, resources, hook, unhandled } = options;
        let tools = Toolbox::new(tools, None, groups)?;
        let (watched, running) = (resources.into(), Mutex::default());
        let place = Arc::new(place);
        Ok(Self(Arc::new(Inner { place, wire, tools, watched, hook, unhandled, running })))
    }

    /// The session. It has no name before the platform has made it, for the first turn of one that is started.
    pub fn id(&self) -> &str {
        self.0.place.id().unwrap_or_default()
    }

    /// Gives the session tools that may change, in the place of those that it was given so before; none with an empty
    /// list. The platform is told of them with each request.
    ///
    /// A provider is asked at each request: tools that appear in it or go are in the next one. A tool that has only a
    /// schema, or only a handler, is none; one of the name of a static tool stands in its place as long as it is there.
    /// It may be called at any time, by a handler too.
    pub fn set_dynamic_tools(&self, tools: impl ToolProvider + 'static) {
        self.0.tools.set_dynamic(Arc::new(tools));
    }

    /// Does what is asked and tells what happens. Tools that have a handler are run in between, and their results sent
    /// back; dropping the stream ends the turn and what runs for it.
    ///
    /// What the platform refuses is told as an event. The stream has an error when the platform cannot be reached, goes
    /// away in the middle, or is silent for longer than [`ClientOptions::idle_timeout`](super::ClientOptions).
    pub fn execute(&self, request: SessionRequest) -> Events {
        self.execute_until(request, CancellationToken::new())
    }

    /// The same until the token is cancelled: then the stream ends at once with a
    /// [`Finish`](super::StreamEvent::Finish), and so does what runs for it.
    pub fn execute_until(&self, request: SessionRequest, cancel: CancellationToken) -> Events {
        if matches!(request, SessionRequest::Continue(_)) && !self.0.place.is_there() {
            return Events::failed(SdkError::NoSession);
        }
        let (fields, execution_id, results) = match request {
            SessionRequest::Trigger(trigger) => (trigger.fields(), None, None),
            SessionRequest::Continue(go_on) => (Map::new(), Some(go_on.execution_id), Some(go_on.tool_results)),
        };
        let inner = &self.0;
        let tools = inner.tools.clone();
        let plan = Plan {
            wire: inner.wire.clone(),
            place: inner.place.clone(),
            context: "Failed to trigger",
            body: Box::new(move |leg| body(&fields, &leg, &tools)),
            tools: inner.tools.clone(),
            watched: inner.watched.clone(),
            hook: inner.hook.clone(),
            unhandled: inner.unhandled,
            cancel,
        };
        Events::of(plan, execution_id, results)
    }

    /// The same as [`execute`](Self::execute) in the words of the platform.
    pub fn execute_raw(&self, request: SessionRequest) -> RawEvents {
        self.execute(request).raw()
    }

    /// The same as [`execute_until`](Self::execute_until) in the words of the platform.
    pub fn execute_raw_until(&self, request: SessionRequest, cancel: CancellationToken) -> RawEvents {
        self.execute_until(request, cancel).raw()
    }
}

fn body(fields: &Map<String, Value>, leg: &Leg<'_>, tools: &Toolbox) -> Map<String, Value> {
    let mut body = fields.clone();
    if let Some(id) = leg.execution_id {
        body.insert("executionId".to_owned(), id.into());
    }
    if let Some(results) = leg.results {
        body.insert("toolResults".to_owned(), results.into());
    }
    if let Some(schemas) = tools.schemas() {
        body.insert("dynamicToolSchemas".to_owned(), schemas.into());
    }
    body
}
