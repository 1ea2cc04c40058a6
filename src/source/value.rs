//! What an agent gets from the result of a call.

use serde_json::{Map, Number, Value, value::RawValue};

use crate::raw::RawObject;

/// What a handler returns for the `CallToolResult` in `result_json`: what the tool said, without its packing.
///
/// In this order: the error, the structured content, success, the value or text of a single part, the parts.
pub(crate) fn handler_value(result_json: &str) -> Value {
    let Ok(result) = serde_json::from_str::<RawObject<'_>>(result_json) else {
        return read_or_text(result_json);
    };
    let parts = parts(&result);
    if result.get("isError").is_some_and(|flag| flag.get() == "true") {
        return one("error", error_text(&parts).into());
    }
    match structured(&result) {
        Some(value) => value,
        None => unpacked(parts),
    }
}

/// One part of a result's content.
enum Part<'a> {
    Text(String),
    Other(&'a RawValue),
}

impl Part<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Other(raw) => read_or_text(raw.get()),
        }
    }
}

fn parts<'a>(result: &RawObject<'a>) -> Vec<Part<'a>> {
    let raw: Vec<&'a RawValue> =
        result.get("content").and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default();
    raw.into_iter().map(part).collect()
}

fn part(raw: &RawValue) -> Part<'_> {
    let text = RawObject::parse(raw)
        .filter(|part| part.text("type").is_some_and(|kind| kind == "text"))
        .and_then(|part| part.text("text"));
    text.map_or(Part::Other(raw), Part::Text)
}

fn error_text(parts: &[Part<'_>]) -> String {
    let text = joined(parts.iter().filter_map(Part::text));
    if text.is_empty() { "Tool execution failed".to_owned() } else { text }
}

/// A structured content that no [`Value`] can hold (a number out of range, bottomless nesting) counts as absent:
/// servers repeat it as text.
fn structured(result: &RawObject<'_>) -> Option<Value> {
    result
        .get("structuredContent")
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .filter(|value| *value != Value::Null)
}

fn unpacked(mut parts: Vec<Part<'_>>) -> Value {
    if parts.is_empty() {
        return one("success", true.into());
    }
    if let [Part::Text(text)] = parts.as_mut_slice() {
        return meant(std::mem::take(text));
    }
    let texts: Option<Vec<&str>> = parts.iter().map(Part::text).collect();
    match texts {
        Some(texts) => joined(texts).into(),
        None => parts.into_iter().map(Part::into_value).collect(),
    }
}

/// The JSON that a text is, where that loses nothing: a version `1.10` and a code `007` must not become numbers.
fn meant(text: String) -> Value {
    match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(b'-' | b'0'..=b'9') => match serde_json::from_str::<Number>(&text) {
            Ok(number) if number.to_string() == text => number.into(),
            _ => text.into(),
        },
        _ => text.into(),
    }
}

fn read_or_text(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().collect::<Vec<_>>().join("\n")
}

fn one(key: &str, value: Value) -> Value {
    Map::from_iter([(key.to_owned(), value)]).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(result: &Value) -> Value {
        handler_value(&result.to_string())
    }

    fn of_text(text: &str) -> Value {
        of(&json!({ "content": [{ "type": "text", "text": text }] }))
    }

    #[test]
    fn an_error_comes_first_and_is_its_text_parts() {
        let parts = json!([{ "type": "text", "text": "no" }, { "type": "image", "data": "" }, { "type": "text", "text": "way" }]);
        let result = json!({ "isError": true, "structuredContent": { "a": 1 }, "content": parts });
        assert_eq!(of(&result), json!({ "error": "no\nway" }));
        assert_eq!(of(&json!({ "isError": true, "content": [] })), json!({ "error": "Tool execution failed" }));
        assert_eq!(of(&json!({ "isError": true })), json!({ "error": "Tool execution failed" }));
    }

    #[test]
    fn structured_content_comes_before_the_parts_unless_it_is_null() {
        let content = json!([{ "type": "text", "text": "t" }]);
        assert_eq!(
            of(&json!({ "content": content, "structuredContent": { "b": 1, "a": [] } })),
            json!({ "b": 1, "a": [] })
        );
        assert_eq!(of(&json!({ "content": content, "structuredContent": 0 })), json!(0));
        assert_eq!(of(&json!({ "content": content, "structuredContent": null, "isError": false })), json!("t"));
    }

    #[test]
    fn no_content_is_success() {
        for result in [json!({}), json!({ "content": [] }), json!({ "content": null })] {
            assert_eq!(of(&result), json!({ "success": true }));
        }
    }

    #[test]
    fn a_text_that_is_an_object_or_array_is_read() {
        assert_eq!(of_text(" {\"a\":1} "), json!({ "a": 1 }));
        assert_eq!(of_text("[1, \"x\"]\n"), json!([1, "x"]));
        for text in ["{a:1}", "[1", "{}{}", "{", &"[".repeat(100_000)] {
            assert_eq!(of_text(text), json!(text));
        }
    }

    #[test]
    fn a_text_is_a_number_only_when_it_prints_back_the_same() {
        assert_eq!(of_text("12"), json!(12));
        assert_eq!(of_text("-3"), json!(-3));
        assert_eq!(of_text("1.0"), json!(1.0));
        assert_eq!(of_text("0.1"), json!(0.1));
        assert_eq!(of_text("18446744073709551615"), json!(u64::MAX));
        for text in
            ["007", "1.10", "1e5", "-0", " 12", "12\n", "+1", "0x10", "1e400", "123456789012345678901234", "1_000"]
        {
            assert_eq!(of_text(text), json!(text));
        }
    }

    #[test]
    fn every_other_text_stays_a_text() {
        for text in ["true", "null", "\"quoted\"", "", "hello", "NaN"] {
            assert_eq!(of_text(text), json!(text));
        }
    }

    #[test]
    fn several_texts_are_lines() {
        let content = json!([{ "type": "text", "text": "{}" }, { "type": "text", "text": "2" }]);
        assert_eq!(of(&json!({ "content": content })), json!("{}\n2"));
    }

    #[test]
    fn other_parts_make_an_array_in_which_texts_are_plain() {
        let image = json!({ "type": "image", "data": "AA==", "mimeType": "image/png", "new": { "z": 1, "a": 2 } });
        assert_eq!(of(&json!({ "content": [image] })), json!([image]));
        let content = json!([{ "type": "text", "text": "12" }, image]);
        assert_eq!(of(&json!({ "content": content })), json!(["12", image]));
        assert_eq!(of(&json!({ "content": [{ "type": "text" }] })), json!([{ "type": "text" }]));
    }

    #[test]
    fn what_no_value_can_hold_is_handed_on_as_text() {
        let part = r#"{"type":"data","n":1e400}"#;
        assert_eq!(handler_value(&format!(r#"{{"content":[{part}]}}"#)), json!([part]));
        assert_eq!(
            handler_value(r#"{"structuredContent":1e400,"content":[{"type":"text","text":"huge"}]}"#),
            json!("huge")
        );
        assert_eq!(handler_value("[1]"), json!([1]));
        assert_eq!(handler_value("not json"), json!("not json"));
    }
}
