//! What a session can be asked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::event::present;

/// What a session is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SessionRequest {
    /// A new turn.
    Trigger(TriggerRequest),
    /// Going on after whoever shows the session has run tools.
    Continue(ContinueRequest),
}

/// A new turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerRequest {
    /// The trigger of the agent's protocol.
    pub trigger_name: String,
    /// What it is given.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Which messages are taken back first.
    #[serde(
        rename = "rollbackAfterMessageId",
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub rollback: Option<Rollback>,
    /// Who has sent it, for platforms that ask.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub sender: Option<Value>,
}

/// Which messages are taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<String>", into = "Option<String>")]
pub enum Rollback {
    /// All after this one.
    After(String),
    /// All.
    All,
}

impl From<Option<String>> for Rollback {
    fn from(id: Option<String>) -> Self {
        id.map_or(Self::All, Self::After)
    }
}

impl From<Rollback> for Option<String> {
    fn from(rollback: Rollback) -> Self {
        match rollback {
            Rollback::After(id) => Some(id),
            Rollback::All => None,
        }
    }
}

/// Going on after whoever shows the session has run tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContinueRequest {
    /// The execution to go on with.
    pub execution_id: String,
    /// What all the tools gave, those run here too. They are sent as they are.
    pub tool_results: Vec<Value>,
}

impl SessionRequest {
    /// A new turn without input.
    pub fn trigger(name: impl Into<String>) -> Self {
        Self::Trigger(TriggerRequest { trigger_name: name.into(), ..TriggerRequest::default() })
    }

    /// A new turn with input.
    pub fn trigger_with(name: impl Into<String>, input: Value) -> Self {
        Self::Trigger(TriggerRequest { trigger_name: name.into(), input: Some(input), ..TriggerRequest::default() })
    }

    /// Going on with results.
    pub fn go_on<R: Into<Value>>(execution_id: impl Into<String>, results: impl IntoIterator<Item = R>) -> Self {
        let tool_results = results.into_iter().map(Into::into).collect();
        Self::Continue(ContinueRequest { execution_id: execution_id.into(), tool_results })
    }
}

impl TriggerRequest {
    /// What every request of the turn says again.
    pub(super) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

/// What comes over a socket from whoever shows a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SocketMessage {
    /// A new turn.
    Trigger(TriggerRequest),
    /// Going on with results.
    Continue(ContinueRequest),
    /// Stopping what goes on.
    Stop,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn taking_back_is_said_by_an_id_or_by_null_or_not_at_all() {
        for (rollback, written) in [
            (None, json!({ "triggerName": "t" })),
            (Some(Rollback::All), json!({ "triggerName": "t", "rollbackAfterMessageId": null })),
            (Some(Rollback::After("m".to_owned())), json!({ "triggerName": "t", "rollbackAfterMessageId": "m" })),
        ] {
            let request = TriggerRequest { trigger_name: "t".to_owned(), rollback, ..TriggerRequest::default() };
            assert_eq!(Value::Object(request.fields()), written);
            assert_eq!(serde_json::from_value::<TriggerRequest>(written).unwrap(), request);
        }
    }

    #[test]
    fn messages_of_sockets_are_read() {
        let read = |message: Value| serde_json::from_value::<SocketMessage>(message).unwrap();
        assert_eq!(read(json!({ "type": "stop" })), SocketMessage::Stop);
        let message = read(json!({ "type": "continue", "executionId": "e", "toolResults": [{ "any": 1 }] }));
        let SocketMessage::Continue(request) = message else { panic!("{message:?}") };
        assert_eq!(request.tool_results, [json!({ "any": 1 })]);
    }
}
