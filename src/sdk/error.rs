//! What can go wrong between a host and the platform.

use std::{error::Error as StdError, time::Duration};

use serde_json::Value;

use super::event::{ErrorEvent, ErrorType};

/// A result of the SDK.
pub type Result<T, E = SdkError> = std::result::Result<T, E>;

/// Why the platform could not be asked, or did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdkError {
    /// The platform has refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A worker gave no result.
    #[error(transparent)]
    Worker(#[from] Box<WorkerError>),
    /// What is to be reached is no URL.
    #[error("`{url}` is no URL of a platform; it must begin with http:// or https://")]
    Url {
        /// What was given.
        url: String,
    },
    /// The platform was not reached, or went away in the middle.
    #[error("{act} failed: {reason}")]
    Transport {
        /// What was tried.
        act: &'static str,
        /// How it failed.
        reason: String,
        /// What lies behind it.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// Nothing came from the platform for too long.
    #[error("{act} was given up: nothing came from the platform for {} s", after.as_secs_f32())]
    Stalled {
        /// What was tried.
        act: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The platform's answer is none that this version of the protocol knows.
    #[error("the platform's answer to {act} cannot be read: {reason}")]
    Answer {
        /// What was tried.
        act: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no session yet.
    #[error("there is no session yet that could go on: its first turn makes it")]
    NoSession,
    /// Work of an agent was waited for in vain; it goes on.
    #[error("the work on the thread `{}` is not over after {} s; it goes on", thread.escape_debug(), after.as_secs())]
    Unfinished {
        /// The thread.
        thread: String,
        /// How long was waited.
        after: Duration,
    },
    /// Tools cannot be attached as they are.
    #[error("{0}")]
    Tools(String),
    /// A file cannot be sent as it is.
    #[error("{0}")]
    File(String),
    /// HTTP cannot be set up on this machine.
    #[error("HTTP cannot be set up: {0}")]
    Setup(#[source] Box<crate::Error>),
}

impl SdkError {
    /// The request was not answered. The text says nothing of headers.
    pub(super) fn transport(act: &'static str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let text = next.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            cause = next.source();
        }
        Self::Transport { act, reason, source: Some(Box::new(error)) }
    }

    /// The error as whoever shows a session is told it.
    pub fn as_event(&self) -> ErrorEvent {
        match self {
            Self::Api(error) => {
                let retry_after = error.retry_after.map(|after| after.as_secs().into());
                ErrorEvent { retry_after, ..ErrorEvent::of_status(error.status, error.message.clone()) }
            }
            other => ErrorEvent::platform(ErrorType::InternalError, other.to_string()),
        }
    }

    /// The refusal, if it is one.
    pub fn as_api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }
}

/// What the platform answered in the place of a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What it says.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// What programs go by.
    pub code: Option<String>,
    /// After how long it may be asked again.
    pub retry_after: Option<Duration>,
}

/// The body of a refusal, in the words of the platform.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: Option<String>,
    pub(super) code: Option<String>,
}

impl Refusal {
    /// Reads a flat body, as the platform answers: `{ "error", "message", "code" }`, texts all. A body in which one of
    /// them is none says nothing.
    pub(super) fn flat(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let body = body.as_object()?;
        let text = |key: &str| match body.get(key) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        let (error, message, code) = (text("error")?, text("message")?, text("code")?);
        Some(Self { message: error.or(message), code })
    }

    /// Reads a flat body, or one as its documentation has it: `{ "error": { "code", "message" } }`.
    pub(super) fn read(body: &[u8]) -> Self {
        Self::flat(body).or_else(|| Self::nested(body)).unwrap_or_default()
    }

    fn nested(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |key: &str| body["error"][key].as_str().map(ToOwned::to_owned);
        Some(Self { message: text("message"), code: text("code") })
    }
}

/// Why a worker gave no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct WorkerError {
    /// What went wrong.
    pub message: String,
    /// The session of the execution, if it came to one.
    pub session_id: Option<String>,
    /// The event that told it, if it was one.
    pub details: Option<ErrorEvent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_status_or_as_one_of_ours() {
        let refusal =
            ApiError { message: "m".into(), status: 429, code: None, retry_after: Some(Duration::from_secs(7)) };
        let event = SdkError::from(refusal).as_event();
        let told = (event.error_type, event.retryable, event.retry_after);
        assert_eq!(told, (ErrorType::RateLimitError, true, Some(7.into())));
        let event = SdkError::Tools("t".into()).as_event();
        assert_eq!((event.error_type, event.message), (ErrorType::InternalError, "t".into()));
    }

    #[test]
    fn a_refusal_is_read_flat_or_nested() {
        let read = |body: &str| {
            let refusal = Refusal::read(body.as_bytes());
            (refusal.message.unwrap_or_default(), refusal.code.unwrap_or_default())
        };
        let pair = |message: &str, code: &str| (message.to_owned(), code.to_owned());
        assert_eq!(read(r#"{"error":"e","message":"m","code":"C"}"#), pair("e", "C"));
        assert_eq!(read(r#"{"message":"m"}"#), pair("m", ""));
        assert_eq!(read(r#"{"error":{"code":"C","message":"m"}}"#), pair("m", "C"));
        for nothing in [r#"{"error":"e","code":5}"#, "<html>", "[]", "null", "", r#"{"error":null}"#] {
            assert_eq!(read(nothing), pair("", ""), "{nothing}");
        }
        assert!(Refusal::flat(br#"{"error":{"code":"C","message":"m"}}"#).is_none());
    }
}
