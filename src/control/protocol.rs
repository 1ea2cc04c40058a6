//! The messages of the control protocol.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;

/// The version of the protocol: it counts changes that an older client would not understand.
pub(crate) const VERSION: u32 = 1;

/// The verb by which a client of MCP joins a daemon: its stdin and stdout come along.
pub(crate) const ATTACH: &str = "attach";

/// A request, as it was read.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked<'a> {
    /// Whatever the client tells its answers apart by.
    #[serde(borrow, default)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) verb: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) args: Option<&'a RawValue>,
}

impl<'a> Asked<'a> {
    /// Reads a line, or says whose it is, if that can be read, and what is wrong with it. A list is neither a request nor
    /// arguments, though it could be read as such.
    pub(crate) fn read(text: &'a str) -> Result<Self, (Option<&'a RawValue>, String)> {
        let is_object = |text: &str| text.trim_start().starts_with('{');
        if !is_object(text) {
            return Err((None, "it is no JSON object".to_owned()));
        }
        let asked: Self = serde_json::from_str(text).map_err(|error| {
            let whose = serde_json::from_str(text).ok().and_then(|Whose { id }| id);
            (whose, error.to_string())
        })?;
        match asked.args.map(RawValue::get) {
            Some(args) if args != "null" && !is_object(args) => Err((asked.id, "`args` is no JSON object".to_owned())),
            _ => Ok(asked),
        }
    }
}

/// Whose a line is that is no request.
#[derive(Deserialize)]
struct Whose<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// A message of the daemon.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) event: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) error: Option<Refusal>,
}

/// Why something that was asked for was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of error it is, for programs.
    pub code: Code,
    /// What went wrong and what to do, for people.
    pub message: String,
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Code {
    /// The message is no request, or its arguments are not those of the verb.
    Invalid,
    /// There is no such verb.
    UnknownVerb,
    /// There is no entry of that namespace.
    UnknownNamespace,
    /// There is no tool of that name.
    UnknownTool,
    /// The namespace is taken, or the file holds something of that name already.
    Conflict,
    /// The entry or the Computer is not up.
    NotReady,
    /// The configuration has mistakes, or cannot be written.
    Config,
    /// Whoever asks may not.
    Forbidden,
    /// Too much is under way for whoever asks.
    TooMany,
    /// It was taken back.
    Cancelled,
    /// It took too long.
    Timeout,
    /// The server refused, or died.
    Failed,
    /// A code of a later version.
    #[serde(other)]
    Other,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The arguments are not those of the verb.
    pub(crate) fn arguments(verb: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(Code::Invalid, format!("the arguments of `{verb}` are wrong: {reason}"))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::UnknownNamespace { .. } => Code::UnknownNamespace,
            Error::UnknownTool { .. } | Error::ToolLeftOut { .. } => Code::UnknownTool,
            Error::NamespaceTaken(_) => Code::Conflict,
            Error::InvalidNamespace { .. } | Error::Arguments { .. } => Code::Invalid,
            Error::Config(_) | Error::ProgramName { .. } => Code::Config,
            Error::NotReady { .. } | Error::NeedsAuth { .. } | Error::NeedsInput { .. } => Code::NotReady,
            Error::Cancelled => Code::Cancelled,
            Error::Timeout { .. } => Code::Timeout,
            _ => Code::Failed,
        };
        Self::new(code, error.to_string())
    }
}

/// A line of the daemon's.
pub(crate) fn line(id: Option<&RawValue>, part: &str, body: &str) -> Vec<u8> {
    let id = id.map_or("null", RawValue::get);
    // What passes by may have been written on several lines, which mean nothing in JSON.
    let body: Cow<'_, str> =
        if body.contains(['\n', '\r']) { body.replace(['\n', '\r'], " ").into() } else { body.into() };
    format!("{{\"id\":{id},\"{part}\":{body}}}\n").into_bytes()
}

/// A line of a client's.
pub(crate) fn request(id: u64, verb: &str, args: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Request<'a, T> {
        id: u64,
        verb: &'a str,
        args: &'a T,
    }
    let mut line = serde_json::to_vec(&Request { id, verb, args })?;
    line.push(b'\n');
    Ok(line)
}

/// Whether two versions of the program understand each other. Before 1.0 the second number says it.
pub(crate) fn is_compatible(one: &str, other: &str) -> bool {
    let major = |version: &str| {
        let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse::<u64>().unwrap_or_default());
        let (first, second) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        (first, if first == 0 { second } else { 0 })
    };
    major(one) == major(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_understand_each_other_within_a_major_one() {
        for (one, other, expected) in [
            ("0.1.0", "0.1.9", true),
            ("0.1.0", "0.2.0", false),
            ("1.2.3", "1.9.0-beta.1", true),
            ("1.0.0", "2.0.0", false),
            ("0.9.0", "1.9.0", false),
        ] {
            assert_eq!(is_compatible(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_passes_by() {
        let id = RawValue::from_string("\"a\"".to_owned()).unwrap();
        let told = line(Some(&id), "result", "{\n \"a\": 1\r\n}");
        assert_eq!(String::from_utf8(told).unwrap(), "{\"id\":\"a\",\"result\":{  \"a\": 1  }}\n");
    }

    #[test]
    fn codes_are_written_as_the_page_has_them_and_later_ones_are_read() {
        assert_eq!(serde_json::to_string(&Code::UnknownNamespace).unwrap(), "\"unknownNamespace\"");
        let refusal: Refusal = serde_json::from_str(r#"{ "code": "newer", "message": "m" }"#).unwrap();
        assert_eq!(refusal.code, Code::Other);
    }
}
