//! Errors that are told as events.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::present;

/// Something went wrong, and what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEvent {
    /// What kind of error it is.
    pub error_type: ErrorType,
    /// What went wrong.
    pub message: String,
    /// Whether the same may succeed later.
    pub retryable: bool,
    /// Where it went wrong.
    pub source: ErrorSource,
    /// After how many seconds it may succeed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Number>,
    /// What programs go by.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider of the model that it comes from.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderInfo>,
    /// The tool that it comes from.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tool: Option<FailedTool>,
}

impl ErrorEvent {
    /// An error of the platform, or of the way to it.
    pub(crate) fn platform(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self {
            error_type,
            message: message.into(),
            retryable: false,
            source: ErrorSource::Platform,
            retry_after: None,
            code: None,
            provider: None,
            tool: None,
        }
    }

    /// What an answer of this HTTP status stands for.
    pub(in crate::sdk) fn of_status(status: u16, message: impl Into<String>) -> Self {
        let kind = match status {
            400 => ErrorType::ValidationError,
            401 => ErrorType::AuthenticationError,
            403 => ErrorType::PermissionError,
            404 => ErrorType::NotFoundError,
            429 => ErrorType::RateLimitError,
            503 => ErrorType::ProviderOverloaded,
            504 => ErrorType::ProviderTimeout,
            500.. => ErrorType::InternalError,
            _ => ErrorType::UnknownError,
        };
        Self { retryable: status == 429 || status >= 500, ..Self::platform(kind, message) }
    }
}

/// What kind of error something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    /// It is not known who asks.
    AuthenticationError,
    /// Whoever asks may not.
    PermissionError,
    /// What was asked for makes no sense.
    ValidationError,
    /// There is no such thing.
    NotFoundError,
    /// It was asked for too often.
    RateLimitError,
    /// What was paid for is used up.
    QuotaExceededError,
    /// The provider of the model has failed.
    ProviderError,
    /// The provider of the model has too much to do.
    ProviderOverloaded,
    /// The provider of the model took too long.
    ProviderTimeout,
    /// The execution has failed.
    ExecutionError,
    /// A tool has failed.
    ToolError,
    /// The agent's protocol is not right.
    ProtocolError,
    /// The platform has failed.
    InternalError,
    /// Something else.
    UnknownError,
}

/// Where something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorSource {
    /// On the platform, or on the way to it.
    Platform,
    /// At the provider of the model.
    Provider,
    /// In a tool.
    Tool,
    /// With whoever shows the session.
    Client,
}

/// The provider of a model, and what it said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderInfo {
    /// The provider.
    pub name: String,
    /// The model.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The HTTP status of its answer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub status_code: Option<Number>,
    /// What it calls the error.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Under what it knows the request.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A tool that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedTool {
    /// The tool.
    pub name: String,
    /// The call.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
}
