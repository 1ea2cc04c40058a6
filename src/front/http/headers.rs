//! What the headers of a request say of its message, and that both say the same.

use std::borrow::Cow;

use data_encoding::BASE64;
use hyper::{HeaderMap, header::HeaderName};
use serde_json::value::RawValue;

use super::{
    gate::{Unclear, single},
    params,
};
use crate::{
    front::{
        hello::{self, LEGACY, MODERN},
        message::Era,
        scope::Scope,
    },
    raw::RawObject,
    source::CALL_TOOL,
    wire::Envelope,
};

pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What is wrong with the headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// They say something else than the message.
    Mismatch(String),
    /// They name a generation that nobody knows.
    Version(String),
}

fn mismatch<T>(words: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Mismatch(words.into()))
}

/// Whether they name the generation without sessions.
pub(super) fn is_modern(headers: &HeaderMap) -> bool {
    matches!(single(headers, &VERSION), Ok(Some(version)) if version == MODERN)
}

/// Which generation a message is of.
pub(super) fn era(headers: &HeaderMap, envelope: &Envelope<'_>) -> Result<Era, Wrong> {
    let named = version(headers)?;
    let handshake = handshake(envelope);
    if let Some(asked) = handshake {
        return match named {
            Some(named) if named != asked => mismatch("`MCP-Protocol-Version` and `params.protocolVersion` differ"),
            _ => same("Mcp-Method", given(headers, &METHOD)?.as_deref(), Some("initialize")).map(|()| Era::Legacy),
        };
    }
    let meant = hello::version(envelope.params).filter(|version| !LEGACY.contains(&version.as_str()));
    match named {
        _ if meant.is_some() => Ok(Era::Modern),
        Some(MODERN) => Ok(Era::Modern),
        Some(named) if !LEGACY.contains(&named) => Err(Wrong::Version(named.to_owned())),
        _ => Ok(Era::Legacy),
    }
}

fn version(headers: &HeaderMap) -> Result<Option<&str>, Wrong> {
    single(headers, &VERSION).or_else(|_| mismatch("`MCP-Protocol-Version` is not clear"))
}

/// The generation that a handshake asks for, if the message is one. The generation without knows no such method.
fn handshake(envelope: &Envelope<'_>) -> Option<String> {
    if envelope.method.as_deref() != Some("initialize") {
        return None;
    }
    RawObject::parse(envelope.params?)?.text("protocolVersion")
}

/// Whether the headers of a message of the generation without sessions say what the message says.
pub(super) fn check(headers: &HeaderMap, envelope: &Envelope<'_>, scope: &Scope) -> Result<(), Wrong> {
    let meant = hello::version(envelope.params);
    match (version(headers)?, meant) {
        (None, _) => return mismatch("`MCP-Protocol-Version` is missing"),
        (Some(named), Some(meant)) if named != meant => {
            return mismatch("`MCP-Protocol-Version` and the version in `_meta` differ");
        }
        (Some(_), _) => {}
    }
    let Some(method) = envelope.method.as_deref() else { return Ok(()) };
    required("Mcp-Method", given(headers, &METHOD)?.as_deref(), method)?;
    let params = envelope.params.and_then(RawObject::parse).unwrap_or_default();
    let member = match method {
        CALL_TOOL | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(()),
    };
    let Some(name) = params.text(member) else { return Ok(()) };
    required("Mcp-Name", given(headers, &NAME)?.as_deref(), &name)?;
    if method == CALL_TOOL
        && let Some(definition) = scope.definition_of(&name)
    {
        return check_params(headers, &definition, params.get("arguments"));
    }
    Ok(())
}

fn check_params(headers: &HeaderMap, definition: &RawValue, arguments: Option<&RawValue>) -> Result<(), Wrong> {
    for (name, expected) in params::expected(definition, arguments) {
        // What no header can be called cannot be asked for.
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        match (given(headers, &header)?, expected) {
            (None, None) => {}
            (Some(given), Some(expected)) if expected.is(&given) => {}
            (None, Some(_)) => return mismatch(format!("`{name}` is missing")),
            (Some(_), None) => return mismatch(format!("`{name}` is given for an argument that is not")),
            (Some(_), Some(_)) => return mismatch(format!("`{name}` and the argument differ")),
        }
    }
    Ok(())
}

fn required(header: &str, given: Option<&str>, expected: &str) -> Result<(), Wrong> {
    match given {
        None => mismatch(format!("`{header}` is missing")),
        Some(_) => same(header, given, Some(expected)),
    }
}

/// What is given must be what is expected.
fn same(header: &str, given: Option<&str>, expected: Option<&str>) -> Result<(), Wrong> {
    if given.is_some() && given != expected {
        return mismatch(format!("`{header}` and the message differ"));
    }
    Ok(())
}

const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// The value of a header. One that does not fit into a header is given in Base64, between marks.
fn given<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Cow<'a, str>>, Wrong> {
    let value = single(headers, name).map_err(|Unclear| Wrong::Mismatch(format!("`{name}` is not clear")))?;
    let Some(value) = value else { return Ok(None) };
    let Some(encoded) = value.strip_prefix(ENCODED.0).and_then(|rest| rest.strip_suffix(ENCODED.1)) else {
        return Ok(Some(value.into()));
    };
    let text = BASE64.decode(encoded.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map_or_else(|| mismatch(format!("`{name}` is no Base64 of a text")), |text| Ok(Some(text.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn era_of(named: Option<&str>, message: &str) -> Result<Era, Wrong> {
        let named: Vec<_> = named.iter().map(|named| ("mcp-protocol-version", *named)).collect();
        era(&headers(&named), &Envelope::of(message).unwrap())
    }

    #[test]
    fn a_message_is_of_the_generation_that_it_or_its_header_names() {
        let plain = r#"{"id":1,"method":"tools/list","params":{}}"#;
        let modern =
            r#"{"id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert_eq!(era_of(None, plain), Ok(Era::Legacy));
        assert_eq!(era_of(Some("2025-06-18"), plain), Ok(Era::Legacy));
        assert_eq!(era_of(Some(MODERN), plain), Ok(Era::Modern));
        assert_eq!(era_of(None, modern), Ok(Era::Modern));
        assert_eq!(era_of(Some("2025-06-18"), modern), Ok(Era::Modern));
        assert_eq!(era_of(Some("v9"), plain), Err(Wrong::Version("v9".to_owned())));
        assert_eq!(era_of(Some("v9"), &modern.replace(MODERN, "v9")), Ok(Era::Modern));
    }

    #[test]
    fn a_handshake_is_one_whatever_its_header_but_both_name_the_same_generation() {
        let hello = r#"{"id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
        assert_eq!(era_of(None, hello), Ok(Era::Legacy));
        assert_eq!(era_of(Some("2025-11-25"), hello), Ok(Era::Legacy));
        assert!(matches!(era_of(Some("2025-06-18"), hello), Err(Wrong::Mismatch(_))));
        let none = r#"{"id":1,"method":"initialize","params":{}}"#;
        assert_eq!(era_of(Some(MODERN), none), Ok(Era::Modern));
        let contradicted = headers(&[("mcp-method", "ping")]);
        assert!(matches!(era(&contradicted, &Envelope::of(hello).unwrap()), Err(Wrong::Mismatch(_))));
    }

    #[test]
    fn a_value_may_be_given_in_base64_between_marks() {
        let value = |text: &str| given(&headers(&[("mcp-name", text)]), &NAME).map(|value| value.unwrap().into_owned());
        assert_eq!(value("=?base64?SGVsbG8=?="), Ok("Hello".to_owned()));
        assert_eq!(value("SGVsbG8="), Ok("SGVsbG8=".to_owned()));
        assert_eq!(value("=?base64?SGVsbG8="), Ok("=?base64?SGVsbG8=".to_owned()));
        assert_eq!(value("  padded  "), Ok("padded".to_owned()));
        for bad in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?/w==?="] {
            assert!(value(bad).is_err(), "{bad}");
        }
        let twice = headers(&[("mcp-name", "a"), ("mcp-name", "a")]);
        assert!(given(&twice, &NAME).is_err());
    }
}
