//! An execution: request by request, with the tools that it asks for run in between.

mod post;

use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use hyper::body::Bytes;
use reqwest::Response;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    error::{Result, SdkError},
    event::{FinishReason, StreamEvent},
    generator::{Generator, Outlet},
    lines::Lines,
    place::Place,
    result::{PendingToolCall, ToolResult},
    size,
    toolbox::{ToolHandlers, Toolbox},
    watch::Resource,
    wire::Wire,
};
use crate::provider::{Promise, ToolError, ToolHandler};

/// What is said of a handler that has panicked.
const NO_REASON: &str = "Tool execution failed";

/// Looks at what the tools here gave, before it is told or sent.
pub(super) type Hook =
    Arc<dyn Fn(Vec<ToolResult>) -> Promise<'static, Result<Vec<ToolResult>, ToolError>> + Send + Sync>;

/// What makes the body of a request.
pub(super) type Body = Box<dyn Fn(Leg<'_>) -> Map<String, Value> + Send + Sync>;

/// What becomes of calls that no handler here is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Unhandled {
    /// Whoever shows the session is asked to run them.
    #[default]
    ForClient,
    /// They have failed.
    Rejected,
}

/// What an execution needs.
pub(super) struct Plan {
    pub(super) wire: Wire,
    pub(super) place: Arc<Place>,
    /// The words before a refusal that has none.
    pub(super) context: &'static str,
    /// The body of a request, but for its tools.
    pub(super) body: Body,
    pub(super) tools: Toolbox,
    pub(super) watched: Arc<[Resource]>,
    pub(super) hook: Option<Hook>,
    pub(super) unhandled: Unhandled,
    pub(super) cancel: CancellationToken,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Where an execution is when a request is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg<'a> {
    pub(super) execution_id: Option<&'a str>,
    pub(super) results: Option<&'a [Value]>,
}

/// Something that has happened: as the platform wrote it, and as it is understood, if it is.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event: Option<StreamEvent>,
    pub(super) raw: Value,
}

/// Why an execution goes no further.
enum Halt {
    /// It was stopped.
    Stopped,
    /// All is told.
    Ended,
    /// Whoever listens must know.
    Failed(SdkError),
}

/// What one answer of the platform has brought.
#[derive(Default)]
struct Heard {
    pending: Option<Vec<PendingToolCall>>,
    finished: bool,
    /// The platform has said that nothing of weight follows, to us or to whoever listens.
    is_over: bool,
}

struct Run {
    plan: Plan,
    outlet: Outlet<Result<Told>>,
    execution_id: Option<String>,
    results: Option<Vec<Value>>,
}

/// Runs an execution as far as somebody listens.
pub(super) fn run(plan: Plan, execution_id: Option<String>, results: Option<Vec<Value>>) -> Generator<Result<Told>> {
    Generator::new(|outlet| Run { plan, outlet, execution_id, results }.drive())
}

impl Run {
    async fn drive(mut self) {
        let halt = loop {
            if let Err(halt) = self.leg().await {
                break halt;
            }
        };
        match halt {
            Halt::Stopped => self.tell(StreamEvent::stopped()).await,
            Halt::Ended => {}
            Halt::Failed(error) => self.outlet.give(Err(error)).await,
        }
    }

    /// One request, its answer, and the tools that it asks for.
    async fn leg(&mut self) -> Result<(), Halt> {
        self.go_on()?;
        if self.results.is_some() && !self.plan.place.is_there() {
            return Err(Halt::Failed(SdkError::NoSession));
        }
        let (path, body) = self.request().await?;
        let response = self.post(&path, body).await?;
        self.results = None;
        let heard = self.listen(response).await?;
        self.go_on()?;
        match heard.pending {
            Some(calls) if !calls.is_empty() => self.answer(calls, heard.finished).await,
            _ => Err(Halt::Ended),
        }
    }

    fn go_on(&self) -> Result<(), Halt> {
        if self.plan.cancel.is_cancelled() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Where the next request goes, and its body.
    async fn request(&mut self) -> Result<(String, Vec<u8>), Halt> {
        let limit = self.plan.wire.options().max_request;
        if let (Some(limit), Some(results)) = (limit, &mut self.results) {
            size::fit(results, size::budget(limit));
        }
        let leg = Leg { execution_id: self.execution_id.as_deref(), results: self.results.as_deref() };
        let (path, body) = self.plan.place.request((self.plan.body)(leg));
        let body = Value::Object(body).to_string().into_bytes();
        if let Some(limit) = limit.filter(|limit| body.len() > *limit) {
            self.tell(StreamEvent::Error(size::too_large(self.plan.context, limit))).await;
            return Err(Halt::Ended);
        }
        Ok((path, body))
    }

    async fn listen(&mut self, mut response: Response) -> Result<Heard, Halt> {
        let (mut lines, mut heard) = (Lines::default(), Heard::default());
        loop {
            let mut objects = Vec::new();
            let chunk = match self.chunk(&mut response).await {
                // Whoever has said all and keeps the line open, or drops it, has said all.
                Err(Halt::Failed(error)) if heard.is_over && self.plan.wire.options().idle_timeout.is_some() => {
                    tracing::debug!(%error, "the platform did not end its answer");
                    return Ok(heard);
                }
                chunk => chunk?,
            };
            match &chunk {
                Some(chunk) => lines.feed(chunk, |object| objects.push(object)),
                None => objects.extend(lines.end()),
            }
            for object in objects {
                self.go_on()?;
                self.hear(object, &mut heard).await;
            }
            if chunk.is_none() {
                return Ok(heard);
            }
        }
    }

    async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Halt> {
        const ACT: &str = "listening to the platform";
        let read = response.chunk();
        let read = async {
            match self.plan.wire.options().idle_timeout {
                None => Ok(read.await),
                Some(limit) => timeout(limit, read).await.map_err(|_| SdkError::Stalled { act: ACT, after: limit }),
            }
        };
        let read = self.unless_stopped(read).await?.map_err(Halt::Failed)?;
        read.map_err(|error| Halt::Failed(SdkError::transport(ACT, error)))
    }

    async fn hear(&mut self, raw: Value, heard: &mut Heard) {
        let event = StreamEvent::read(&raw);
        if let (Some(StreamEvent::Start { .. }), Some(id)) = (&event, raw["sessionId"].as_str()) {
            self.plan.place.learn(id);
        }
        match &event {
            Some(StreamEvent::Start { execution_id: Some(id), .. }) if !id.is_empty() => {
                self.execution_id = Some(id.clone());
            }
            Some(StreamEvent::ToolRequest { tool_calls }) => {
                heard.pending = Some(tool_calls.clone());
                return;
            }
            Some(StreamEvent::Finish { finish_reason: FinishReason::ToolCalls, .. }) if heard.pending.is_some() => {
                heard.is_over = true;
                return;
            }
            Some(StreamEvent::Finish { .. }) => (heard.finished, heard.is_over) = (true, true),
            Some(StreamEvent::ResourceUpdate { name, value }) => {
                Resource::tell(&self.plan.watched, name, value.as_ref());
            }
            _ => {}
        }
        self.outlet.give(Ok(Told { event, raw })).await;
    }

    /// Runs what has a handler, and sees to the rest.
    async fn answer(&mut self, calls: Vec<PendingToolCall>, finished: bool) -> Result<(), Halt> {
        // Only now: what has run before may have changed the tools.
        let handlers = self.plan.tools.handlers();
        let (ours, others): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| handlers.contains_key(&call.tool_name));
        let mut results = self.unless_stopped(call_all(&handlers, &ours)).await?;
        if !results.is_empty()
            && let Some(hook) = self.plan.hook.clone()
        {
            results = self.unless_stopped(looked_at(&hook, results)).await?;
        }
        for result in &results {
            self.tell(StreamEvent::output(result)).await;
        }
        if !others.is_empty() {
            if self.plan.unhandled == Unhandled::ForClient {
                return self.ask_client(others, results).await;
            }
            results.extend(self.reject(others).await);
        }
        if finished {
            return Err(Halt::Ended);
        }
        self.results = Some(results.into_iter().map(Value::from).collect());
        Ok(())
    }

    async fn ask_client(&self, tool_calls: Vec<PendingToolCall>, results: Vec<ToolResult>) -> Result<(), Halt> {
        let Some(execution_id) = self.execution_id.clone() else {
            self.tell(StreamEvent::internal("Missing executionId for client-tool-request")).await;
            return Err(Halt::Ended);
        };
        let server_tool_results = Some(results).filter(|results| !results.is_empty());
        let ask =
            StreamEvent::ClientToolRequest { execution_id: execution_id.clone(), tool_calls, server_tool_results };
        self.tell(ask).await;
        let finish_reason = FinishReason::ClientToolCalls;
        self.tell(StreamEvent::Finish { finish_reason, execution_id: Some(execution_id) }).await;
        Err(Halt::Ended)
    }

    async fn reject(&self, calls: Vec<PendingToolCall>) -> Vec<ToolResult> {
        let mut rejected = Vec::new();
        for call in calls {
            let name = &call.tool_name;
            let result =
                call.failed(format!("Tool \"{name}\" is not available. No handler is registered for this tool."));
            self.tell(StreamEvent::output(&result)).await;
            rejected.push(result);
        }
        rejected
    }

    async fn tell(&self, event: StreamEvent) {
        let raw = serde_json::to_value(&event).expect("texts and JSON make JSON");
        self.outlet.give(Ok(Told { event: Some(event), raw })).await;
    }

    /// Waits for something, unless the execution is stopped first: then it is dropped, and what it runs ends.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        self.plan.cancel.run_until_cancelled(work).await.ok_or(Halt::Stopped)
    }
}

/// Runs all at once; the results are in the order of the calls.
async fn call_all(handlers: &ToolHandlers, calls: &[PendingToolCall]) -> Vec<ToolResult> {
    let running = calls.iter().filter_map(|call| Some(run_one(handlers.get(&call.tool_name)?, call)));
    join_all(running).await
}

async fn run_one(handler: &ToolHandler, call: &PendingToolCall) -> ToolResult {
    // Nothing of the handler's is used after a panic.
    match AssertUnwindSafe(handler.call(call.args.clone())).catch_unwind().await {
        Ok(Ok(result)) => call.succeeded(result),
        Ok(Err(error)) => call.failed(error.message),
        Err(_) => call.failed(NO_REASON),
    }
}

/// The results as the hook wants them; as they were when it fails.
async fn looked_at(hook: &Hook, results: Vec<ToolResult>) -> Vec<ToolResult> {
    let before = results.clone();
    match AssertUnwindSafe(hook(results)).catch_unwind().await {
        Ok(Ok(results)) => results,
        Ok(Err(error)) => {
            tracing::warn!(error = error.message, "the results of tools are sent as they are: looking at them failed");
            before
        }
        Err(_) => {
            tracing::warn!("the results of tools are sent as they are: looking at them panicked");
            before
        }
    }
}
