//! What came of a call, in a word: for the audit log and for what is counted.

use crate::{error::Error, source::Answer};

/// Why a call did not give what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The tool says that it failed.
    Tool,
    /// The server answered with an error.
    Server,
    /// A shell's rules do not allow it.
    Denied,
    /// There is no such tool, or it is not shown.
    UnknownTool,
    /// The arguments are none.
    Arguments,
    /// The client has more under way than it may.
    OverLimit,
    /// The entry is not up.
    NotReady,
    /// Its server ended.
    Ended,
    /// It took too long.
    Timeout,
    /// The way to it does not work.
    Http,
    /// Its credentials are refused.
    Auth,
    /// The answer is too large.
    TooLarge,
    /// It does not read what it is sent.
    NotReading,
    /// It was taken back.
    Cancelled,
    /// It could not be written down, and had to be.
    Unrecorded,
    /// Anything else.
    Other,
}

impl Kind {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 16] = [
        Self::Tool,
        Self::Server,
        Self::Denied,
        Self::UnknownTool,
        Self::Arguments,
        Self::OverLimit,
        Self::NotReady,
        Self::Ended,
        Self::Timeout,
        Self::Http,
        Self::Auth,
        Self::TooLarge,
        Self::NotReading,
        Self::Cancelled,
        Self::Unrecorded,
        Self::Other,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Server => "server",
            Self::Denied => "denied",
            Self::UnknownTool => "unknownTool",
            Self::Arguments => "arguments",
            Self::OverLimit => "overLimit",
            Self::NotReady => "notReady",
            Self::Ended => "ended",
            Self::Timeout => "timeout",
            Self::Http => "http",
            Self::Auth => "auth",
            Self::TooLarge => "tooLarge",
            Self::NotReading => "notReading",
            Self::Cancelled => "cancelled",
            Self::Unrecorded => "unrecorded",
            Self::Other => "other",
        }
    }

    /// Why a call failed.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Server { .. } => Self::Server,
            Error::UnknownTool { .. } | Error::ToolLeftOut { .. } | Error::UnknownNamespace { .. } => Self::UnknownTool,
            Error::Arguments { .. } => Self::Arguments,
            Error::NotReady { .. } => Self::NotReady,
            Error::Ended { .. } | Error::LimitExceeded { .. } => Self::Ended,
            Error::Timeout { .. } => Self::Timeout,
            Error::Http { .. } => Self::Http,
            Error::NeedsAuth { .. } => Self::Auth,
            Error::TooLarge { .. } => Self::TooLarge,
            Error::NotReading { .. } => Self::NotReading,
            Error::Cancelled => Self::Cancelled,
            Error::Unrecorded { .. } => Self::Unrecorded,
            Error::InvalidNamespace { .. }
            | Error::NamespaceTaken(_)
            | Error::Config(_)
            | Error::CommandNotFound { .. }
            | Error::Spawn { .. }
            | Error::Template { .. }
            | Error::Protocol { .. }
            | Error::NeedsInput { .. }
            | Error::AllFailed(_)
            | Error::Chrome(_)
            | Error::ProgramEnded { .. }
            | Error::ProgramName { .. }
            | Error::Panicked(_) => Self::Other,
        }
    }

    /// Whether it was refused, so that nothing was done.
    fn is_refusal(self) -> bool {
        matches!(self, Self::Denied | Self::UnknownTool | Self::Arguments | Self::OverLimit | Self::Unrecorded)
    }

    /// What the audit log calls it.
    pub(super) fn verdict(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            kind if kind.is_refusal() => "refused",
            _ => "failed",
        }
    }
}

/// What is told of an error beside its kind. No words of servers: they may repeat what they were asked.
pub(super) fn detail(error: &Error) -> Option<String> {
    match error {
        Error::Server { code, .. } => Some(format!("error {code}")),
        Error::Ended { how, .. } => Some(how.clone()),
        Error::NotReady { state, .. } => Some(state.clone()),
        Error::Timeout { after, .. } => Some(format!("after {} s", after.as_secs_f32())),
        Error::Unrecorded { reason } => Some(reason.clone()),
        _ => None,
    }
}

/// Whether a result says that the tool failed. Looking is cheaper than parsing, and few results have to be parsed.
pub(super) fn has_failed(answer: &Answer) -> bool {
    let text = answer.get();
    // At the very end it can stand nowhere but in the result itself.
    if text.ends_with(r#","isError":false}"#) {
        return false;
    }
    if text.ends_with(r#","isError":true}"#) {
        return true;
    }
    memchr::memmem::find(text.as_bytes(), b"\"isError\"").is_some()
        && serde_json::from_str::<crate::raw::RawObject<'_>>(text)
            .is_ok_and(|result| result.get("isError").is_some_and(|value| value.get() == "true"))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_failed_tool_is_told_from_one_that_only_speaks_of_it() {
        let failed = |text: &str| has_failed(&Answer::raw(&RawValue::from_string(text.to_owned()).unwrap()));
        for text in [
            r#"{"content":[],"isError":true}"#,
            r#"{"isError":true,"content":[]}"#,
            r#"{ "content": [], "isError" : true }"#,
        ] {
            assert!(failed(text), "{text}");
        }
        for text in [
            r#"{"content":[],"isError":false}"#,
            r#"{"content":[{"type":"text","text":"\"isError\":true"}]}"#,
            r#"{"structuredContent":{"a":1,"isError":true}}"#,
            r#"{"content":[]}"#,
        ] {
            assert!(!failed(text), "{text}");
        }
    }

    #[test]
    fn each_kind_has_its_place() {
        assert!(Kind::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
    }
}
