//! What happens in an execution, one event at a time.

mod error;
mod part;
#[cfg(test)]
mod tests;

pub use error::{ErrorEvent, ErrorSource, ErrorType, FailedTool, ProviderInfo};
pub use part::{Display, FinishReason, Source, Todo, TodoStatus};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::result::{PendingToolCall, ToolResult};

/// An event of an execution.
///
/// Fields that this version of the protocol does not know are left out; an event that lacks a field it must have, or
/// has `null` where a value may only be missing, is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum StreamEvent {
    /// An execution begins, or goes on.
    Start {
        /// The message that is being written.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        /// The execution; results of tools are sent back under its id.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        execution_id: Option<String>,
        /// The message before it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        last_message_id: Option<String>,
    },
    /// The turn is over.
    Finish {
        /// Why.
        finish_reason: FinishReason,
        /// The execution.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        execution_id: Option<String>,
    },
    /// Something went wrong.
    Error(ErrorEvent),
    /// A text begins.
    TextStart {
        /// The text.
        id: String,
        /// The type that the text is to be read as.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        response_type: Option<String>,
        /// The worker that writes it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A piece of a text.
    TextDelta {
        /// The text.
        id: String,
        /// The piece.
        delta: String,
        /// The worker that writes it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A text is whole.
    TextEnd {
        /// The text.
        id: String,
        /// The worker that has written it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A line of thought begins.
    ReasoningStart {
        /// The line of thought.
        id: String,
        /// The worker that thinks.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A piece of a line of thought.
    ReasoningDelta {
        /// The line of thought.
        id: String,
        /// The piece.
        delta: String,
        /// The worker that thinks.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A line of thought is whole.
    ReasoningEnd {
        /// The line of thought.
        id: String,
        /// The worker that has thought.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// The arguments of a call begin.
    ToolInputStart {
        /// The call.
        tool_call_id: String,
        /// The tool.
        tool_name: String,
        /// What a person reads in the tool's place.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The worker that calls.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A piece of a call's arguments.
    ToolInputDelta {
        /// The call.
        tool_call_id: String,
        /// The piece, of JSON.
        input_text_delta: String,
        /// The worker that calls.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// The arguments of a call are written.
    ToolInputEnd {
        /// The call.
        tool_call_id: String,
        /// The worker that calls.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A call, with its arguments.
    ToolInputAvailable {
        /// The call.
        tool_call_id: String,
        /// The tool.
        tool_name: String,
        /// The arguments.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
        /// The worker that calls.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A call has a result.
    ToolOutputAvailable {
        /// The call.
        tool_call_id: String,
        /// The result.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
        /// The worker that called.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A call has failed.
    ToolOutputError {
        /// The call.
        tool_call_id: String,
        /// Why.
        error: String,
        /// The worker that called.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// Where something was found.
    Source(Source),
    /// A step of the agent's protocol begins.
    BlockStart {
        /// The step.
        block_id: String,
        /// Its name.
        block_name: String,
        /// What kind of step it is.
        block_type: String,
        /// How it is shown.
        display: Display,
        /// What it does.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Whether what it writes belongs to the chat.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        output_to_chat: Option<bool>,
        /// The thread that it works in.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        thread: Option<String>,
        /// The worker whose step it is.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A step of the agent's protocol is done.
    BlockEnd {
        /// The step.
        block_id: String,
        /// What came of it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
        /// The worker whose step it was.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A resource has another value.
    ResourceUpdate {
        /// The resource.
        name: String,
        /// Its value.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
    /// Tools are to be called. It is answered here and not told.
    ToolRequest {
        /// The calls.
        tool_calls: Vec<PendingToolCall>,
    },
    /// Tools are to be called that have no handler here: whoever shows this session has to, and to go on with a
    /// [`SessionRequest::Continue`](super::SessionRequest) that brings these results and its own.
    ClientToolRequest {
        /// The execution to go on with.
        execution_id: String,
        /// The calls.
        tool_calls: Vec<PendingToolCall>,
        /// What the tools with handlers gave.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        server_tool_results: Option<Vec<ToolResult>>,
    },
    /// A file was made.
    FileAvailable {
        /// The file.
        id: String,
        /// What it is.
        media_type: String,
        /// Where it is.
        url: String,
        /// Its name.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        /// Its size in bytes.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        size: Option<Number>,
        /// The call that has made it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        tool_call_id: Option<String>,
        /// The worker that has made it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// The list of what is to be done.
    TodoUpdate {
        /// The list.
        todos: Vec<Todo>,
        /// The worker whose list it is.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
    },
    /// A worker begins.
    WorkerStart {
        /// The worker's run.
        worker_id: String,
        /// The worker.
        worker_slug: String,
        /// What it is to do.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// What it was given.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        input: Option<Map<String, Value>>,
    },
    /// A worker is done.
    WorkerResult {
        /// The worker's run.
        worker_id: String,
        /// What came of it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
        /// Why nothing came of it.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The input of a worker begins.
    WorkerInputStart {
        /// The worker's run.
        worker_id: String,
        /// The worker.
        worker_slug: String,
        /// What it is to do.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// A piece of a worker's input.
    WorkerInputDelta {
        /// The worker's run.
        worker_id: String,
        /// The piece, of JSON.
        delta: String,
    },
    /// The input of a worker is whole.
    WorkerInputReady {
        /// The worker's run.
        worker_id: String,
        /// The input.
        input: Map<String, Value>,
    },
}

impl StreamEvent {
    /// The event in this JSON; `None` when this version of the protocol knows no such event.
    pub fn read(json: &Value) -> Option<Self> {
        json.is_object().then(|| Self::deserialize(json).ok()).flatten()
    }

    /// The end of a turn that was stopped.
    pub(super) fn stopped() -> Self {
        Self::Finish { finish_reason: FinishReason::Stop, execution_id: None }
    }

    /// An error that arose here.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::Error(ErrorEvent::platform(ErrorType::InternalError, message))
    }

    /// What a call gave.
    pub(super) fn output(result: &ToolResult) -> Self {
        let tool_call_id = result.tool_call_id.clone();
        match &result.error {
            Some(error) => Self::ToolOutputError { tool_call_id, error: error.clone(), worker_id: None },
            None => Self::ToolOutputAvailable { tool_call_id, output: result.result.clone(), worker_id: None },
        }
    }
}

/// A value that may be missing, but not be `null` unless it is any JSON.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
