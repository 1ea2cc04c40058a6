//! What is written down of the calls that a daemon serves.

use std::ops::RangeInclusive;

use schemars::JsonSchema;

use super::{
    fields::{Fields, Node},
    keys::Shape,
    value::Data,
};

/// What the audit log of a daemon holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditConfig {
    /// Whether there is one.
    pub on: bool,
    /// What it says of the arguments of calls.
    pub arguments: AuditArguments,
    /// No log, no call: what cannot be written down is not called.
    pub require: bool,
    /// How large it may be in all, in bytes; the oldest of it goes.
    pub max_bytes: u64,
}

/// What an audit log says of the arguments of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditArguments {
    /// Their SHA-256.
    #[default]
    Hash,
    /// The arguments themselves, up to 64 KiB; larger ones by their hash.
    Whole,
    /// Nothing.
    None,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { on: true, arguments: AuditArguments::default(), require: false, max_bytes: 64 << 20 }
    }
}

/// The mirror of the file, for editors: see `schema`.
#[derive(JsonSchema)]
#[schemars(rename = "Audit", untagged)]
#[expect(dead_code, reason = "only the shape of this type counts")]
pub(super) enum Written {
    /// Whether there is a log of the calls.
    On(bool),
    /// No log, no call.
    Require(Required),
    Settings(WrittenSettings),
}

#[derive(JsonSchema)]
#[schemars(rename = "AuditRequired", rename_all = "lowercase")]
pub(super) enum Required {
    #[expect(dead_code, reason = "only the shape of this type counts")]
    Require,
}

/// What the log of the calls holds.
#[derive(JsonSchema)]
#[schemars(rename = "AuditSettings", rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the shape of this type counts")]
pub(super) struct WrittenSettings {
    /// What it says of the arguments of calls: their SHA-256, all of them, or nothing.
    #[schemars(extend("default" = "hash"))]
    arguments: Option<WrittenArguments>,
    /// Refuses calls that cannot be written down.
    #[schemars(extend("default" = false))]
    require: Option<bool>,
    /// How large it may be in all, in bytes. The oldest of it goes.
    #[schemars(range(min = 65_536, max = 1_099_511_627_776_u64), extend("default" = 67_108_864))]
    max_bytes: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename = "AuditArguments", rename_all = "lowercase")]
#[expect(dead_code, reason = "only the shape of this type counts")]
enum WrittenArguments {
    Hash,
    Whole,
    None,
}

pub(super) const ARGUMENTS: &[(&str, AuditArguments)] =
    &[("hash", AuditArguments::Hash), ("whole", AuditArguments::Whole), ("none", AuditArguments::None)];

/// Less would be gone before anybody looks, and more no disk has to spare.
const MAX_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 40;

/// Reads the key: yes or no, `"require"`, or an object.
pub(super) fn audit(node: &Node<'_>) -> Option<AuditConfig> {
    match &node.value.data {
        Data::Flag(on) => Some(AuditConfig { on: *on, ..AuditConfig::default() }),
        Data::Text(word) if word == "require" => Some(AuditConfig { require: true, ..AuditConfig::default() }),
        Data::Object(_) => {
            let mut fields = node.fields(Shape::Audit, node.at())?;
            let read = settings(&mut fields);
            fields.finish();
            Some(read)
        }
        Data::Text(_) | Data::Number(_) | Data::Null | Data::List(_) => {
            node.mistake(r#"expected true, false, "require" or an object"#);
            None
        }
    }
}

pub(super) fn settings(fields: &mut Fields<'_>) -> AuditConfig {
    let mut audit = AuditConfig::default();
    if let Some(how) = fields.take("arguments").and_then(|node| node.one_of(ARGUMENTS)) {
        audit.arguments = how;
    }
    if let Some(require) = fields.take("require").and_then(|node| node.flag()) {
        audit.require = require;
    }
    if let Some(bytes) = fields.take("maxBytes").and_then(|node| node.whole(MAX_BYTES)) {
        audit.max_bytes = bytes as u64;
    }
    audit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::parse;

    #[test]
    fn whether_calls_are_written_down_is_said_in_a_word_or_in_detail() {
        let audit = |text: &str| parse(&format!(r#"{{ "serve": {{ "audit": {text} }} }}"#), "t").unwrap().0.serve.audit;
        let default = AuditConfig::default();
        assert_eq!((audit("true"), audit("{}")), (default, default));
        assert_eq!(audit("false"), AuditConfig { on: false, ..default });
        assert_eq!(audit("\"require\""), AuditConfig { require: true, ..default });
        assert_eq!(audit(r#"{ "arguments": "whole" }"#), AuditConfig { arguments: AuditArguments::Whole, ..default });
        let wrong = |text: &str| {
            let problems = parse(&format!(r#"{{ "serve": {{ "audit": {text} }} }}"#), "t").unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let expected = r#"t:1:23: `serve.audit`: expected true, false, "require" or an object"#;
        assert_eq!((wrong("1").as_str(), wrong("\"maybe\"").as_str()), (expected, expected));
        assert!(wrong(r#"{ "maxBytes": 1 }"#).contains("expected a whole number from 65536 to"));
        assert!(wrong(r#"{ "argument": "hash" }"#).contains("`arguments`"));
    }
}
