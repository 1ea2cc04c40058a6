//! Messages of a session, kept as the platform wrote them.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

use super::when;

/// A message as a person sees it. What this version does not know is kept, so that it can be sent back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UiMessage {
    /// The message.
    pub id: String,
    /// Whose it is.
    pub role: UiRole,
    /// What it is made of.
    pub parts: Vec<Part>,
    /// Whether it is whole.
    pub status: UiStatus,
    /// When it was written: RFC 3339 in UTC, with milliseconds.
    #[serde(deserialize_with = "time")]
    pub created_at: String,
    /// What else the platform wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UiRole {
    /// The user's.
    User,
    /// The agent's.
    Assistant,
}

/// Whether a message is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UiStatus {
    /// It is being written.
    Streaming,
    /// It is whole.
    Done,
}

/// A message as the platform has it, with what no person sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatMessage {
    /// The message.
    pub id: String,
    /// Whose it is.
    pub role: ChatRole,
    /// What it is made of.
    pub parts: Vec<Part>,
    /// When it was written.
    pub created_at: String,
    /// Its text.
    pub content: String,
    /// What else the platform wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// The user's.
    User,
    /// The agent's.
    Assistant,
    /// The one that the agent begins with.
    System,
}

/// A part of a message, whole, whatever it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Part(pub Map<String, Value>);

impl Part {
    /// What kind of part it is: `text`, `tool-call`, `step-start`, …
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// The thread that it belongs to; none when that is the main one.
    pub fn thread(&self) -> Option<&str> {
        self.text("thread").filter(|thread| *thread != "main")
    }

    /// A field that holds a text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let time = Value::deserialize(deserializer)?;
    when::with_millis(&time).ok_or_else(|| D::Error::custom(format!("{time} is no point in time")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_a_message_holds_comes_back_with_its_time_in_milliseconds() {
        let mut message = json!({
            "id": "m", "role": "assistant", "status": "done", "createdAt": "2026-01-02T03:04:05Z", "extra": [1],
            "parts": [{ "type": "text", "text": "t", "status": "done", "thread": "side" }, { "type": "step-start" },
                      { "type": "from-the-future", "x": { "y": null } }],
        });
        let read: UiMessage = serde_json::from_value(message.clone()).unwrap();
        assert_eq!(read.parts[0].thread(), Some("side"));
        assert_eq!(read.parts.iter().map(Part::kind).collect::<Vec<_>>(), ["text", "step-start", "from-the-future"]);
        message["createdAt"] = json!("2026-01-02T03:04:05.000Z");
        assert_eq!(serde_json::to_value(&read).unwrap(), message);
        message["createdAt"] = json!("yesterday");
        assert!(serde_json::from_value::<UiMessage>(message).is_err());
    }
}
