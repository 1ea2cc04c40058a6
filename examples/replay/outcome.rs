//! What came of a step, in the form of recordings.

use std::sync::LazyLock;

use mcp_computer::sdk::SdkError;
use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What came of a step, or why nothing did.
pub(crate) type Came = Result<Map<String, Value>, SdkError>;

/// Ids that are made here: a time and something drawn.
static GENERATED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b\d{13}-[a-z0-9]{1,7}\b").expect("a pattern that is right"));

/// One field.
pub(crate) fn field(name: &str, value: impl Serialize) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), serde_json::to_value(value).expect("texts and JSON make JSON"))])
}

/// A failure.
pub(crate) fn failed(error: &SdkError) -> Map<String, Value> {
    let mut told = json!({ "name": "Error", "message": error.to_string() });
    match error {
        SdkError::Api(error) => {
            told["name"] = json!("ApiError");
            told["status"] = json!(error.status);
            if let Some(code) = &error.code {
                told["code"] = json!(code);
            }
        }
        SdkError::Worker(error) => {
            told["name"] = json!("WorkerError");
            if let Some(session_id) = &error.session_id {
                told["sessionId"] = json!(session_id);
            }
        }
        SdkError::Transport { .. } => told["name"] = json!("TypeError"),
        _ => {}
    }
    field("error", told)
}

/// A text with names in the place of what differs from run to run.
pub(crate) fn named(text: &str, origin: &str) -> String {
    GENERATED.replace_all(&text.replace(origin, "{{ORIGIN}}"), "{{GENERATED_ID}}").into_owned()
}
