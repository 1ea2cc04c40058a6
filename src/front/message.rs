//! Messages to a client, put together from parts that are passed on as they are.

use serde_json::{json, value::RawValue};

use crate::{error::Error, raw::RawObject, registry::Listed, source::Answer};

/// Which generation a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// Up to 2025-11-25: with a handshake.
    Legacy,
    /// From 2026-07-28 on: every request speaks for itself.
    Modern,
}

pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const INVALID_PARAMS: i64 = -32602;

/// The member that results must have from 2026-07-28 on.
const RESULT_TYPE: &str = "\"resultType\"";

/// The answer to a call.
pub(super) fn answer(id: &str, outcome: Result<Answer, Error>, era: Era) -> Vec<u8> {
    match outcome {
        Ok(answer) => result(id, answer.get(), era),
        Err(Error::Server { code, message, data }) => {
            let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
            let message = serde_json::Value::from(message);
            line(&[
                "{\"jsonrpc\":\"2.0\",\"id\":",
                id,
                &format!(",\"error\":{{\"code\":{code},\"message\":{message}{data}}}}}"),
            ])
        }
        Err(error @ (Error::UnknownTool { .. } | Error::Arguments { .. } | Error::UnknownNamespace { .. })) => {
            failure(id, INVALID_PARAMS, &error.to_string())
        }
        // The model is to read it: many clients show it no protocol errors.
        Err(error) => {
            let text = error.to_string();
            let told = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
            result(id, &told.to_string(), era)
        }
    }
}

/// A result as it is, but for what the client's generation requires.
fn result(id: &str, result: &str, era: Era) -> Vec<u8> {
    let head = ["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"result\":"];
    if era == Era::Modern && lacks_type(result) {
        let members = result.trim_start().strip_prefix('{').unwrap_or_default();
        let comma = if members.trim_start().starts_with('}') { "" } else { "," };
        return line(&[head[0], head[1], head[2], "{", RESULT_TYPE, ":\"complete\"", comma, members, "}"]);
    }
    line(&[head[0], head[1], head[2], result, "}"])
}

fn lacks_type(result: &str) -> bool {
    if !result.trim_start().starts_with('{') {
        return false;
    }
    if memchr::memmem::find(result.as_bytes(), RESULT_TYPE.as_bytes()).is_none() {
        return true;
    }
    // It stands somewhere: look whether it stands at the top.
    serde_json::from_str::<RawObject<'_>>(result).is_ok_and(|object| object.get("resultType").is_none())
}

/// The answer to `tools/list`.
pub(super) fn list(id: &str, tools: &[Listed], era: Era) -> Vec<u8> {
    let mut parts = vec!["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"result\":{"];
    if era == Era::Modern {
        parts.extend([RESULT_TYPE, ":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","]);
    }
    parts.push("\"tools\":[");
    for (index, tool) in tools.iter().enumerate() {
        if index > 0 {
            parts.push(",");
        }
        parts.push(tool.definition.get());
    }
    parts.push("]}}");
    line(&parts)
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

/// A progress notification of a server under the client's own token.
pub(super) fn progress(params: &RawValue, token: &RawValue) -> Option<Vec<u8>> {
    let mut members = serde_json::from_str::<RawObject<'_>>(params.get()).ok()?;
    members.set("progressToken", token);
    let params = members.to_raw();
    Some(line(&["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":", params.get(), "}"]))
}

pub(super) const LIST_CHANGED: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n";

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
        text(super::result("1", result, era))
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
    fn progress_goes_out_under_the_clients_own_token() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let line = progress(&raw(r#"{"progressToken":"c-1","progress":1.0,"more":true}"#), &raw("7")).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1.0,"more":true}}"#;
        assert_eq!(text(line).trim_end(), expected);
    }
}
