//! A line of the audit log: one JSON object, whatever is put into it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::line::{is_harmful, now, shown};
use crate::{config::AuditArguments, source::Caller};

/// A line of the audit log that is being made.
pub(crate) struct Line(String);

/// The longest text, in bytes. It is enough for names, rules, and command lines.
const LONGEST: usize = 1 << 10;

/// Larger arguments are told by their hash even where they are to be told whole.
const WHOLE: usize = 64 << 10;

impl Line {
    /// A line of a kind, of now.
    pub(crate) fn new(kind: &str) -> Self {
        Self(format!("{{\"time\":\"{}\",\"kind\":\"{kind}\"", now()))
    }

    /// Puts a text from outside in.
    #[must_use]
    pub(crate) fn text(mut self, key: &str, text: &str) -> Self {
        let _ = write!(self.0, ",\"{key}\":");
        quote(&mut self.0, &shown(text, LONGEST));
        self
    }

    /// Puts a number in.
    #[must_use]
    pub(crate) fn number(mut self, key: &str, number: u64) -> Self {
        let _ = write!(self.0, ",\"{key}\":{number}");
        self
    }

    /// Puts JSON in that is harmless already.
    #[must_use]
    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        let _ = write!(self.0, ",\"{key}\":{json}");
        self
    }

    /// Puts in who asks, as far as that is known.
    #[must_use]
    pub(crate) fn client(mut self, caller: Option<&Caller>) -> Self {
        if let Some(caller) = caller {
            let _ =
                write!(self.0, ",\"client\":{{\"number\":{},\"front\":\"{}\",\"name\":", caller.number, caller.front);
            quote(&mut self.0, &shown(&caller.name, LONGEST));
            self.0.push('}');
        }
        self
    }

    /// The whole line, newline included.
    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}

/// Writes a text as JSON.
fn quote(to: &mut String, text: &str) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => to.extend(['\\', c]),
            '\t' => to.push_str("\\t"),
            c if is_harmful(c) => escape(to, c),
            c => to.push(c),
        }
    }
    to.push('"');
}

/// Writes a character as JSON may write any.
fn escape(to: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(to, "\\u{unit:04x}");
    }
}

/// What the audit log says of the arguments of a call, as JSON; nothing when it says nothing.
pub(super) fn arguments(json: &str, how: AuditArguments) -> Option<String> {
    match how {
        AuditArguments::None => None,
        AuditArguments::Whole if json.len() <= WHOLE => Some(one_line(json)),
        AuditArguments::Whole | AuditArguments::Hash => Some(format!("\"{}\"", hash(json))),
    }
}

/// The hash of a text.
pub(super) fn hash(text: &str) -> String {
    let mut hash = String::from("sha256:");
    data_encoding::HEXLOWER.encode_append(&Sha256::digest(text), &mut hash);
    hash
}

/// JSON that means the same, on one line and without what would steer whoever reads it.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Raw line ends and tabs stand between values only.
            '\n' | '\r' | '\t' => line.push(' '),
            // And these within texts only.
            c if is_harmful(c) => escape(&mut line, c),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn whatever_is_put_in_a_line_is_one_object() {
        let evil = "x\"}\r\n{\"kind\":\"call\"}\u{2028}\u{85}\u{e0041}\\";
        let caller = Caller { number: 3, name: evil.into(), front: "http" };
        let line = Line::new("call").client(Some(&caller)).text("tool", evil).number("durationMs", 7).finish();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.chars().any(|c| c != '\n' && is_harmful(c)), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["kind"], &read["durationMs"]), (&json!("call"), &json!(7)));
        assert_eq!(read["client"]["number"], 3);
        assert!(read["tool"].as_str().unwrap().starts_with("x\"}\\u{d}\\u{a}{\"kind\""), "{line}");
    }

    #[test]
    fn arguments_are_hashed_or_whole_or_left_out() {
        // printf '{"a":1}' | sha256sum
        let hashed = "\"sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\"";
        assert_eq!(arguments(r#"{"a":1}"#, AuditArguments::Hash).as_deref(), Some(hashed));
        assert_eq!(arguments(r#"{"a":1}"#, AuditArguments::None), None);
        let pretty = "{\r\n\t\"a\": \"b\\n\u{2028}\u{202e}\"\n}";
        let whole = arguments(pretty, AuditArguments::Whole).unwrap();
        assert!(!whole.contains('\n') && !whole.chars().any(is_harmful), "{whole}");
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&whole), read(pretty));
        let large = format!("[\"{}\"]", "x".repeat(WHOLE));
        assert!(arguments(&large, AuditArguments::Whole).unwrap().starts_with("\"sha256:"));
    }
}
