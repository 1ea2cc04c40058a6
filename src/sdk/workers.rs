//! Workers: agents that do one thing and are done.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    error::{Result, SdkError, WorkerError},
    event::{ErrorEvent, StreamEvent},
    events::Events,
    group::ToolGroup,
    place::Place,
    run::{Leg, Plan, Unhandled},
    toolbox::{ToolHandlers, Toolbox},
    wire::{Wire, part},
};
use crate::provider::{ToolHandler, ToolSchema};

/// Workers on the platform.
#[derive(Debug, Clone)]
pub struct WorkersApi(pub(super) Wire);

/// What a worker is run with.
#[derive(Debug, Clone, Default)]
pub struct WorkerOptions {
    tools: ToolHandlers,
    schemas: Option<Vec<ToolSchema>>,
    groups: Vec<ToolGroup>,
    cancel: CancellationToken,
}

impl WorkerOptions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With what runs a tool.
    #[must_use]
    pub fn tool(mut self, name: impl Into<String>, handler: ToolHandler) -> Self {
        self.tools.insert(name.into(), handler);
        self
    }

    /// With tools that the platform is told of. What runs them is given with [`tool`](Self::tool), or whoever shows the
    /// worker is asked.
    #[must_use]
    pub fn schemas(mut self, schemas: Vec<ToolSchema>) -> Self {
        self.schemas = Some(schemas);
        self
    }

    /// With a group of tools, which the platform is told of.
    #[must_use]
    pub fn group(mut self, group: ToolGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// Until the token is cancelled.
    #[must_use]
    pub fn until(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }
}

/// What a worker gave.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerOutput {
    /// The result, if there is one.
    pub output: Option<Value>,
    /// The session of the execution.
    pub session_id: String,
}

/// What is said of a worker that has failed with an error without words.
const WORDLESS: &str = "The worker has failed, and does not say why";

impl WorkersApi {
    /// Runs a worker and tells what happens, as [`AgentSession::execute`](super::AgentSession::execute) does.
    pub fn execute(&self, agent_id: &str, input: Map<String, Value>, options: WorkerOptions) -> Events {
        let tell = move |leg: Leg<'_>, tools: &Toolbox| {
            if let Some(id) = leg.execution_id.filter(|id| !id.is_empty()) {
                return object(json!({ "type": "continue", "executionId": id, "toolResults": leg.results }));
            }
            let mut body = object(json!({ "type": "start", "input": input }));
            if let Some(schemas) = tools.schemas() {
                body.insert("dynamicToolSchemas".to_owned(), schemas.into());
            }
            body
        };
        let made = self.plan(agent_id, options).map(|plan| {
            let tools = plan.tools.clone();
            Plan { context: "Failed to execute worker", body: Box::new(move |leg| tell(leg, &tools)), ..plan }
        });
        made.map_or_else(Events::failed, |plan| Events::of(plan, None, None))
    }

    /// Goes on with a worker after whoever shows it has run tools.
    pub fn go_on(&self, agent_id: &str, (execution_id, results): (&str, Vec<Value>), options: WorkerOptions) -> Events {
        let made = self.plan(agent_id, options);
        made.map_or_else(Events::failed, |plan| Events::of(plan, Some(execution_id.to_owned()), Some(results)))
    }

    /// Runs a worker and returns what it gave.
    ///
    /// # Errors
    /// [`SdkError::Worker`], with the session if it came to one, when the worker fails or ends without a result.
    pub async fn generate(
        &self,
        agent_id: &str,
        input: Map<String, Value>,
        options: WorkerOptions,
    ) -> Result<WorkerOutput> {
        let mut events = self.execute(agent_id, input, options);
        let mut session_id = None;
        let failed = |message: String, session_id, details: Option<ErrorEvent>| {
            SdkError::from(Box::new(WorkerError { message, session_id, details }))
        };
        while let Some(event) = events.next().await {
            match event? {
                StreamEvent::Start { execution_id: Some(id), .. } if !id.is_empty() => session_id = Some(id),
                StreamEvent::Error(error) => return Err(failed(error.message.clone(), session_id, Some(error))),
                StreamEvent::WorkerResult { worker_id, output, error } => {
                    let session_id = session_id.unwrap_or(worker_id);
                    return match error {
                        Some(error) if error.is_empty() => Err(failed(WORDLESS.to_owned(), Some(session_id), None)),
                        Some(error) => Err(failed(error, Some(session_id), None)),
                        None => Ok(WorkerOutput { output, session_id }),
                    };
                }
                _ => {}
            }
        }
        Err(failed("Worker completed without producing a result".to_owned(), session_id, None))
    }

    /// A plan for going on.
    fn plan(&self, agent_id: &str, options: WorkerOptions) -> Result<Plan> {
        let WorkerOptions { tools, schemas, groups, cancel } = options;
        Ok(Plan {
            wire: self.0.clone(),
            place: Place::Fixed(format!("/api/agents/{}/execute", part(agent_id))).into(),
            context: "Failed to continue worker",
            body: Box::new(|leg| {
                let (id, results) = (leg.execution_id, leg.results);
                object(json!({ "type": "continue", "executionId": id, "toolResults": results }))
            }),
            tools: Toolbox::new(tools, schemas, groups)?,
            watched: [].into(),
            hook: None,
            unhandled: Unhandled::ForClient,
            cancel,
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
