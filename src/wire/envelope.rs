//! The outermost object of a JSON-RPC message, its parts left as they are.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of a message that tell what it is and whose.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) error: Option<&'a RawValue>,
}

/// Tells a `null` that is there from a member that is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a line, if the line is a JSON-RPC message.
    pub(crate) fn of(line: &'a str) -> Option<Self> {
        let envelope: Self = serde_json::from_str(line).ok()?;
        let answers = envelope.result.is_some() || envelope.error.is_some();
        (envelope.method.is_some() || answers).then_some(envelope)
    }

    /// Whether the id is what none may be: neither a text nor a number.
    pub(crate) fn has_strange_id(&self) -> bool {
        let first = self.id.and_then(|id| id.get().bytes().next());
        first.is_some_and(|first| first != b'"' && first != b'-' && !first.is_ascii_digit())
    }

    /// The id when it is a string without escapes, as ours are.
    pub(crate) fn text_id(&self) -> Option<&'a str> {
        self.id?.get().strip_prefix('"')?.strip_suffix('"')
    }
}

/// Where a part stands in the line that it was parsed from.
pub(crate) fn position(line: &str, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr() as usize - line.as_ptr() as usize;
    debug_assert!(start + part.get().len() <= line.len(), "the part belongs to another line");
    start..start + part.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_result_is_an_answer_and_a_missing_one_is_none() {
        assert_eq!(Envelope::of(r#"{"id":1,"result":null}"#).unwrap().result.unwrap().get(), "null");
        assert!(Envelope::of(r#"{"id":1}"#).is_none());
        assert!(Envelope::of(r#"{"level":"info"}"#).is_none());
        assert!(Envelope::of("[1]").is_none());
    }

    #[test]
    fn a_part_is_found_again_in_its_line() {
        let line = r#"{"id":"c-1", "result": {"a": 1.0} }"#;
        let envelope = Envelope::of(line).unwrap();
        assert_eq!(&line[position(line, envelope.result.unwrap())], r#"{"a": 1.0}"#);
        assert_eq!(envelope.text_id(), Some("c-1"));
    }
}
