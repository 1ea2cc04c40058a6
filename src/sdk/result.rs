//! Calls that the platform asks for, and what came of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::event::present;

/// A call that the platform asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingToolCall {
    /// The call.
    pub tool_call_id: String,
    /// The tool.
    pub tool_name: String,
    /// The arguments.
    pub args: Map<String, Value>,
    /// Who wants it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub source: Option<CallSource>,
    /// The variable that the result goes into.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output_variable: Option<String>,
    /// The step of the protocol that wants it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub block_index: Option<Number>,
    /// The thread that it belongs to.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The worker that it belongs to.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
}

impl PendingToolCall {
    /// The call's result.
    pub fn succeeded(&self, result: Value) -> ToolResult {
        ToolResult { result: Some(result), ..self.outcome() }
    }

    /// The call's failure.
    pub fn failed(&self, error: impl Into<String>) -> ToolResult {
        ToolResult { error: Some(error.into()), ..self.outcome() }
    }

    fn outcome(&self) -> ToolResult {
        ToolResult {
            tool_call_id: self.tool_call_id.clone(),
            tool_name: Some(self.tool_name.clone()),
            result: None,
            error: None,
            output_variable: self.output_variable.clone(),
            block_index: self.block_index.clone(),
            thread: self.thread.clone(),
            worker_id: self.worker_id.clone(),
            files: None,
        }
    }
}

/// Who wants a tool called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallSource {
    /// The model.
    Llm,
    /// A step of the agent's protocol.
    Block,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    /// The call.
    pub tool_call_id: String,
    /// The tool.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// The result, when there is one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The variable that the result goes into.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output_variable: Option<String>,
    /// The step of the protocol that wanted it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub block_index: Option<Number>,
    /// The thread that it belongs to.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The worker that it belongs to.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Files that belong to it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileReference>>,
}

impl From<ToolResult> for Value {
    fn from(result: ToolResult) -> Self {
        serde_json::to_value(result).expect("texts and JSON make JSON")
    }
}

/// A file that the platform has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileReference {
    /// The file.
    pub id: String,
    /// What it is.
    pub media_type: String,
    /// Where it can be got.
    pub url: String,
    /// Its name.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its size in bytes.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub size: Option<Number>,
}
