//! Messages to a client, put together from parts that are passed on as they are.

use serde_json::{json, value::RawValue};

use super::page::Page;
use crate::{
    error::Error,
    raw::RawObject,
    source::{Answer, CALL_TOOL},
};

/// Which generation a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// Up to 2025-11-25: with a handshake.
    Legacy,
    /// From 2026-07-28 on: every request speaks for itself.
    Modern,
}

impl Era {
    /// The code that says that there is no such resource.
    pub(super) fn no_resource(self) -> i64 {
        match self {
            Self::Legacy => -32002,
            Self::Modern => INVALID_PARAMS,
        }
    }
}

/// What a result must say of itself from 2026-07-28 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Its type. That a call failed is a result as well: the model is to read it, and many clients show it no errors.
    Tool,
    /// Its type.
    Plain,
    /// For how long it may be kept, too.
    Cached,
}

impl Shape {
    pub(super) fn of(method: &str) -> Self {
        match method {
            CALL_TOOL => Self::Tool,
            "resources/read" => Self::Cached,
            _ => Self::Plain,
        }
    }
}

pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
pub(super) const INTERNAL: i64 = -32603;
/// More than a client may have under way; over HTTP the status says so too.
pub(super) use crate::source::TOO_MANY;

/// What is said of a request that could not be told from others.
pub(super) const STRANGE_ID: &str = "the `id` of a request is a text or a number, and nothing else";

/// The member that results must have from 2026-07-28 on.
const RESULT_TYPE: &str = "\"resultType\"";

/// The answer to a request that was passed on.
pub(super) fn answer(id: &str, outcome: Result<Answer, Error>, (era, shape): (Era, Shape)) -> Vec<u8> {
    match outcome {
        Ok(answer) => result(id, answer.get(), (era, shape)),
        Err(error) => failed(id, error, (era, shape)),
    }
}

/// The answer to a request that failed.
pub(super) fn failed(id: &str, error: Error, (era, shape): (Era, Shape)) -> Vec<u8> {
    match error {
        Error::Server { code, message, data } => {
            // The code for a resource that is not there is another in the new generation.
            let is_missing = code == Era::Legacy.no_resource() && shape == Shape::Cached;
            let code = if is_missing { era.no_resource() } else { code };
            let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
            let message = serde_json::Value::from(message);
            line(&[
                "{\"jsonrpc\":\"2.0\",\"id\":",
                id,
                &format!(",\"error\":{{\"code\":{code},\"message\":{message}{data}}}}}"),
            ])
        }
        Error::UnknownTool { .. }
        | Error::ToolLeftOut { .. }
        | Error::Arguments { .. }
        | Error::UnknownNamespace { .. } => failure(id, INVALID_PARAMS, &error.to_string()),
        error if shape == Shape::Tool => {
            let text = error.to_string();
            let told = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
            result(id, &told.to_string(), (era, shape))
        }
        error => failure(id, INTERNAL, &error.to_string()),
    }
}

/// A result that we made, complete as it is.
pub(super) fn made(id: &str, value: &serde_json::Value, era: Era) -> Vec<u8> {
    result(id, &value.to_string(), (era, Shape::Plain))
}

/// A result as it is, but for what the client's generation requires.
fn result(id: &str, result: &str, (era, shape): (Era, Shape)) -> Vec<u8> {
    let head = ["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"result\":"];
    let missing = match era {
        Era::Legacy => String::new(),
        Era::Modern => missing(result, shape),
    };
    if missing.is_empty() {
        return line(&[head[0], head[1], head[2], result, "}"]);
    }
    let members = result.trim_start().strip_prefix('{').unwrap_or_default();
    let comma = if members.trim_start().starts_with('}') { "" } else { "," };
    line(&[head[0], head[1], head[2], "{", &missing, comma, members, "}"])
}

/// The members that a result of the new generation lacks.
fn missing(result: &str, shape: Shape) -> String {
    let all: &[(&str, &str)] = match shape {
        Shape::Tool | Shape::Plain => &[(RESULT_TYPE, "\"complete\"")],
        Shape::Cached => &[(RESULT_TYPE, "\"complete\""), ("\"ttlMs\"", "0"), ("\"cacheScope\"", "\"private\"")],
    };
    let lacking: Vec<String> =
        all.iter().filter(|(name, _)| lacks(result, name)).map(|(name, value)| format!("{name}:{value}")).collect();
    lacking.join(",")
}

/// Whether an object lacks a member, whose name is given in quotes.
fn lacks(result: &str, name: &str) -> bool {
    if !result.trim_start().starts_with('{') {
        return false;
    }
    if memchr::memmem::find(result.as_bytes(), name.as_bytes()).is_none() {
        return true;
    }
    // It stands somewhere: look whether it stands at the top.
    serde_json::from_str::<RawObject<'_>>(result).is_ok_and(|object| object.get(name.trim_matches('"')).is_none())
}

/// The answer to a request for a list: a page of it.
pub(super) fn list(id: &str, member: &str, page: &Page<'_>, era: Era) -> Vec<u8> {
    let mut parts = vec!["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"result\":{"];
    if era == Era::Modern {
        parts.extend([RESULT_TYPE, ":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","]);
    }
    parts.extend(["\"", member, "\":["]);
    for (index, item) in page.items.iter().enumerate() {
        if index > 0 {
            parts.push(",");
        }
        parts.push(item.get());
    }
    parts.push("]");
    if let Some(next) = &page.next {
        // Nothing in a cursor of ours needs an escape.
        parts.extend([",\"nextCursor\":\"", next, "\""]);
    }
    parts.push("}}");
    line(&parts)
}

/// The answer to a call whose server wants to know something first.
pub(super) fn input_required(id: &str, requests: &RawValue, state: &str) -> Vec<u8> {
    let state = serde_json::Value::from(state).to_string();
    line(&[
        "{\"jsonrpc\":\"2.0\",\"id\":",
        id,
        ",\"result\":{\"resultType\":\"input_required\",\"inputRequests\":",
        requests.get(),
        ",\"requestState\":",
        &state,
        "}}",
    ])
}

/// A request of ours. `id` is JSON text.
pub(super) fn request(id: &str, method: &str, params: Option<&RawValue>) -> Vec<u8> {
    let method = serde_json::Value::from(method).to_string();
    let params = params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
    line(&["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":", &method, &params, "}"])
}

/// A notification.
pub(super) fn notification(method: &str, params: Option<&RawValue>) -> Vec<u8> {
    let method = serde_json::Value::from(method).to_string();
    let params = params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
    line(&["{\"jsonrpc\":\"2.0\",\"method\":", &method, &params, "}"])
}

/// Says that nobody waits any more for the answer to a request of ours.
pub(super) fn cancelled(id: &str) -> Vec<u8> {
    let params = format!("{{\"requestId\":{id},\"reason\":\"the server does not want to know any more\"}}");
    line(&["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":", &params, "}"])
}

/// By what a notification says which subscription it belongs to.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Says that a list has changed; for a subscription, whose id is JSON text, or for a whole session.
pub(super) fn list_changed(what: &str, subscription: Option<&str>) -> Vec<u8> {
    let params = subscription.map(|id| format!(",\"params\":{{\"_meta\":{{\"{SUBSCRIPTION}\":{id}}}}}"));
    let params = params.unwrap_or_default();
    line(&["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/", what, "/list_changed\"", &params, "}"])
}

/// Says what of a subscription was accepted.
pub(super) fn acknowledged(id: &str, accepted: &serde_json::Value) -> Vec<u8> {
    let params = format!("{{\"_meta\":{{\"{SUBSCRIPTION}\":{id}}},\"notifications\":{accepted}}}");
    line(&["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":", &params, "}"])
}

/// Says that a resource was updated, under the URI by which the client knows it.
pub(super) fn updated(uri: &str, params: Option<&RawValue>, subscription: Option<&str>) -> Vec<u8> {
    let mut members = params.and_then(RawObject::parse).unwrap_or_default();
    let uri = serde_json::value::to_raw_value(uri).expect("a text makes JSON text");
    members.set("uri", &uri);
    let mut meta = members.object("_meta").unwrap_or_default();
    // A server of the new generation names our subscription there, which is no business of the client's.
    meta.remove(SUBSCRIPTION);
    let id = subscription.and_then(|id| RawValue::from_string(id.to_owned()).ok());
    if let Some(id) = &id {
        meta.set(SUBSCRIPTION, id);
    }
    let meta = (!meta.0.is_empty()).then(|| meta.to_raw());
    members.remove("_meta");
    if let Some(meta) = &meta {
        members.set("_meta", meta);
    }
    notification("notifications/resources/updated", Some(&members.to_raw()))
}

/// An error.
pub(super) fn failure(id: &str, code: i64, message: &str) -> Vec<u8> {
    let message = serde_json::Value::from(message).to_string();
    line(&[
        "{\"jsonrpc\":\"2.0\",\"id\":",
        id,
        ",\"error\":{\"code\":",
        &code.to_string(),
        ",\"message\":",
        &message,
        "}}",
    ])
}

/// The code of an answer of ours to the request `id`, if it is an error. It is read where we write it.
pub(super) fn error_code(answer: &[u8], id: &str) -> Option<i64> {
    let rest = answer.get("{\"jsonrpc\":\"2.0\",\"id\":".len() + id.len()..)?;
    let rest = std::str::from_utf8(rest.strip_prefix(b",\"error\":{\"code\":")?).ok()?;
    rest.split(',').next()?.parse().ok()
}

/// Whether a message of ours wants an answer, or says that it is not wanted any more.
pub(super) fn is_question(message: &[u8]) -> bool {
    let begins = |with: &str| message.starts_with(with.as_bytes());
    begins("{\"jsonrpc\":\"2.0\",\"id\":") || begins("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"")
}

/// A progress notification of a server under the client's own token.
pub(super) fn progress(params: &RawValue, token: &RawValue) -> Option<Vec<u8>> {
    let mut members = serde_json::from_str::<RawObject<'_>>(params.get()).ok()?;
    members.set("progressToken", token);
    let params = members.to_raw();
    Some(line(&["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":", params.get(), "}"]))
}

/// One line of these parts. A line end inside of JSON is only white space.
fn line(parts: &[&str]) -> Vec<u8> {
    let mut line = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
    for part in parts {
        line.extend_from_slice(part.as_bytes());
    }
    if memchr::memchr2(b'\n', b'\r', &line).is_some() {
        line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: Vec<u8>) -> String {
        String::from_utf8(line).unwrap()
    }

    fn answered(result: &str, era: Era) -> String {
        text(super::result("1", result, (era, Shape::Plain)))
    }

    #[test]
    fn a_result_is_passed_on_byte_for_byte() {
        let result = r#"{"content":[], "zeta":1.0,"alpha":1e400}"#;
        assert_eq!(answered(result, Era::Legacy), format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}\n"));
    }

    #[test]
    fn a_modern_client_gets_the_type_of_a_result_exactly_when_it_is_missing() {
        let typed = |result: &str| answered(result, Era::Modern);
        assert!(typed(r#"{"content":[]}"#).contains(r#""result":{"resultType":"complete","content":[]}"#));
        assert!(typed("{}").contains(r#""result":{"resultType":"complete"}"#));
        assert!(typed(r#"{"resultType":"input_required"}"#).contains(r#""result":{"resultType":"input_required"}}"#));
        assert!(typed(r#"{"a":{"resultType":"x"}}"#).contains(r#""result":{"resultType":"complete","a":{"#));
    }

    #[test]
    fn errors_and_questions_are_told_from_what_else_we_write() {
        for id in ["1", "\"a,b\"", "null"] {
            assert_eq!(error_code(&failure(id, -32601, "no, never"), id), Some(-32601));
            let server = Error::Server { code: 7, message: "x".into(), data: Some("{\"a\":1}".into()) };
            assert_eq!(error_code(&failed(id, server, (Era::Modern, Shape::Plain)), id), Some(7));
            assert_eq!(error_code(&made(id, &json!({ "error": 1 }), Era::Modern), id), None);
        }
        assert!(is_question(&request("\"s-1\"", "roots/list", None)) && is_question(&cancelled("\"s-1\"")));
        assert!(!is_question(&notification("notifications/message", None)));
    }

    #[test]
    fn progress_goes_out_under_the_clients_own_token() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let line = progress(&raw(r#"{"progressToken":"c-1","progress":1.0,"more":true}"#), &raw("7")).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1.0,"more":true}}"#;
        assert_eq!(text(line).trim_end(), expected);
    }
}
