//! The headers that repeat, for whoever stands between, what a message of 2026-07-28 says.

use std::collections::HashSet;

use data_encoding::BASE64;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, value::RawValue};

use crate::{connection::lane::Kind, raw::RawObject, source::CALL_TOOL};

/// The annotation in a tool's input schema by which an argument is repeated in a header.
const ANNOTATION: &str = "x-mcp-header";

const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// Whether the name that goes with a request of that method is repeated in a header.
fn has_name(method: &str) -> bool {
    matches!(
        method,
        "tools/call"
            | "prompts/get"
            | "resources/read"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "tasks/get"
            | "tasks/update"
            | "tasks/cancel"
    )
}

/// The headers of a message. `tool` is the definition of the tool that it calls.
pub(super) fn of(kind: &Kind<'_>, tool: Option<&RawValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let (method, name, arguments) = match *kind {
        Kind::Request { method, name, arguments, .. } => (method, name, arguments),
        Kind::Notification { method } => (method, None, None),
        Kind::Answer => return headers,
    };
    put(&mut headers, "mcp-method", method);
    if let Some(name) = name.filter(|_| has_name(method)) {
        put(&mut headers, "mcp-name", &encode(name));
    }
    if method == CALL_TOOL
        && let (Some(tool), Some(arguments)) = (tool, arguments)
    {
        for (path, header) in annotations(tool) {
            if let Some(value) = value_at(arguments, &path) {
                put(&mut headers, &format!("mcp-param-{}", header.to_ascii_lowercase()), &encode(&value));
            }
        }
    }
    headers
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    // What is no header by now was no valid annotation, and its tool was left out of the list.
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// A text as a header may carry it: as it is where that is possible.
fn encode(text: &str) -> String {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let strange = bytes.iter().any(|byte| !(0x20..=0x7e).contains(byte));
    let looks_encoded = text.starts_with(ENCODED.0) && text.ends_with(ENCODED.1);
    if strange || looks_encoded || edge(bytes.first()) || edge(bytes.last()) {
        return format!("{}{}{}", ENCODED.0, BASE64.encode(bytes), ENCODED.1);
    }
    text.to_owned()
}

/// The argument at a path as the text of a header; nothing where it is missing, null, or no plain value.
fn value_at(arguments: &RawValue, path: &[String]) -> Option<String> {
    let mut value = arguments;
    for key in path {
        value = RawObject::parse(value)?.get(key)?;
    }
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        // As the body says it: nobody may find a difference.
        _ => Some(value.get().to_owned()),
    }
}

/// The annotated arguments of a tool: the path to each, and its header.
fn annotations(tool: &RawValue) -> Vec<(Vec<String>, String)> {
    let Some(schema) = annotated_schema(tool) else { return Vec::new() };
    let found = collect(&schema);
    found.into_iter().filter_map(|found| Some((found.path, found.header.as_str()?.to_owned()))).collect()
}

/// The input schema of a tool, when there is an annotation in it: nearly no tool has one, and looking is cheap.
fn annotated_schema(tool: &RawValue) -> Option<Map<String, Value>> {
    memchr::memmem::find(tool.get().as_bytes(), ANNOTATION.as_bytes())?;
    let schema = RawObject::parse(tool)?.get("inputSchema")?;
    serde_json::from_str(schema.get()).ok()
}

/// An annotation that is reached from the root through `properties` alone.
struct Annotation {
    path: Vec<String>,
    header: Value,
    kind: Option<Value>,
}

fn collect(schema: &Map<String, Value>) -> Vec<Annotation> {
    fn walk(schema: &Map<String, Value>, path: &mut Vec<String>, found: &mut Vec<Annotation>) {
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let Some(property) = property.as_object() else { continue };
            path.push(name.clone());
            if let Some(header) = property.get(ANNOTATION) {
                found.push(Annotation {
                    path: path.clone(),
                    header: header.clone(),
                    kind: property.get("type").cloned(),
                });
            }
            walk(property, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), &mut found);
    found
}

/// Why a tool cannot be called over HTTP, if its annotations are not as they must be.
pub(in crate::connection) fn complaint(tool: &RawValue) -> Option<String> {
    let schema = annotated_schema(tool)?;
    if stands_elsewhere(&schema, Place::Root) {
        return Some(format!("`{ANNOTATION}` stands where no property of the arguments is"));
    }
    let mut seen = HashSet::new();
    collect(&schema).into_iter().find_map(|annotation| {
        let property = annotation.path.join(".");
        let Some(header) = annotation.header.as_str() else {
            return Some(format!("the `{ANNOTATION}` of `{property}` is no text"));
        };
        if header.is_empty() || !header.bytes().all(is_token) {
            return Some(format!("the `{ANNOTATION}` of `{property}` can be no part of a header's name"));
        }
        if !seen.insert(header.to_ascii_lowercase()) {
            return Some(format!("the `{ANNOTATION}` of `{property}` is there twice"));
        }
        let plain = matches!(annotation.kind.as_ref().and_then(Value::as_str), Some("string" | "integer" | "boolean"));
        (!plain).then(|| format!("`{property}` has an `{ANNOTATION}`, and is no string, integer or boolean"))
    })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Where a part of a schema stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Property,
    Elsewhere,
}

/// Whether an annotation stands on what is no property of the arguments.
fn stands_elsewhere(schema: &Map<String, Value>, place: Place) -> bool {
    schema.iter().any(|(key, value)| match key.as_str() {
        ANNOTATION => place != Place::Property,
        "properties" if place != Place::Elsewhere => within_each(value, Place::Property),
        "properties" | "$defs" | "definitions" | "dependentSchemas" | "patternProperties" => {
            within_each(value, Place::Elsewhere)
        }
        // Values, no schemas.
        "default" | "const" | "enum" | "examples" => false,
        _ => within(value, Place::Elsewhere),
    })
}

fn within_each(map: &Value, place: Place) -> bool {
    map.as_object().is_some_and(|map| map.values().any(|schema| within(schema, place)))
}

fn within(value: &Value, place: Place) -> bool {
    match value {
        Value::Object(schema) => stands_elsewhere(schema, place),
        Value::Array(items) => items.iter().any(|item| within(item, Place::Elsewhere)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn tool(properties: &Value) -> Box<RawValue> {
        raw(&json!({ "name": "t", "inputSchema": { "type": "object", "properties": properties } }))
    }

    #[test]
    fn a_text_travels_as_it_is_where_that_is_possible() {
        for plain in ["us-west1", "a b c", "", "=?base64?abc"] {
            assert_eq!(encode(plain), plain);
        }
        assert_eq!(encode("héé"), "=?base64?aMOpw6k=?=");
        for strange in [" a", "a\t", "a\nb", "ü", "=?base64?YQ==?="] {
            let encoded = encode(strange);
            let inner = encoded.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")).unwrap();
            assert_eq!(BASE64.decode(inner.as_bytes()).unwrap(), strange.as_bytes());
        }
    }

    #[test]
    fn a_call_repeats_its_name_and_what_is_annotated() {
        let tool = tool(&json!({
            "region": { "type": "string", "x-mcp-header": "Region" },
            "deep": { "type": "object", "properties": { "n": { "type": "integer", "x-mcp-header": "N" } } },
            "absent": { "type": "boolean", "x-mcp-header": "Absent" },
            "null": { "type": "string", "x-mcp-header": "Null" },
            "other": { "type": "string" },
        }));
        let arguments = raw(&json!({ "region": "zürich", "deep": { "n": 42 }, "null": null, "other": "x" }));
        let kind = Kind::Request { id: "\"c-1\"", method: CALL_TOOL, name: Some("t"), arguments: Some(&arguments) };
        let headers = of(&kind, Some(&tool));
        let mut all: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        all.sort_unstable();
        let region = encode("zürich");
        let expected =
            [("mcp-method", "tools/call"), ("mcp-name", "t"), ("mcp-param-n", "42"), ("mcp-param-region", &region)];
        assert_eq!(all, expected);
    }

    #[test]
    fn what_has_no_name_has_no_header_for_it() {
        let kind = Kind::Request { id: "1", method: "completion/complete", name: Some("t"), arguments: None };
        let headers = of(&kind, None);
        assert_eq!((headers.len(), &headers["mcp-method"]), (1, &HeaderValue::from_static("completion/complete")));
        assert!(of(&Kind::Answer, None).is_empty());
    }

    #[test]
    fn annotations_that_are_not_as_they_must_be_are_told() {
        let complains = |properties: Value| complaint(&tool(&properties)).is_some();
        assert!(!complains(json!({ "a": { "type": "string", "x-mcp-header": "A" }, "b": { "type": "number" } })));
        for wrong in [
            json!({ "a": { "type": "string", "x-mcp-header": "" } }),
            json!({ "a": { "type": "string", "x-mcp-header": 5 } }),
            json!({ "a": { "type": "string", "x-mcp-header": "a b" } }),
            json!({ "a": { "type": "number", "x-mcp-header": "A" } }),
            json!({ "a": { "type": "object", "x-mcp-header": "A" } }),
            json!({ "a": { "type": "string", "x-mcp-header": "A" }, "b": { "type": "string", "x-mcp-header": "a" } }),
            json!({ "a": { "type": "array", "items": { "type": "string", "x-mcp-header": "A" } } }),
            json!({ "a": { "anyOf": [{ "type": "string", "x-mcp-header": "A" }] } }),
        ] {
            assert!(complains(wrong.clone()), "{wrong}");
        }
        let root = raw(&json!({ "name": "t", "inputSchema": { "type": "object", "x-mcp-header": "A" } }));
        assert!(complaint(&root).is_some());
        let named = json!({ "x-mcp-header": { "type": "string" } });
        assert!(!complains(named), "an argument may have that name");
    }
}
