//! Where the requests of an execution go: to a worker, to a session, or to what makes a session.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::{uploads::new_id, wire::part};

/// What a session is made with by its first turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StartOptions {
    /// What it is made with.
    pub input: Option<Map<String, Value>>,
    /// By what the platform knows that it is asked for the same session again; one is drawn when there is none.
    pub idempotency_key: Option<String>,
}

/// Where requests go.
#[derive(Debug)]
pub(super) enum Place {
    /// Always there.
    Fixed(String),
    /// To a session, once it is there.
    Session { id: OnceLock<String>, start: Option<Start> },
}

/// What makes a session that is not there yet.
#[derive(Debug)]
pub(super) struct Start {
    agent_id: String,
    input: Option<Map<String, Value>>,
    idempotency_key: String,
}

impl Place {
    /// A session that is there.
    pub(super) fn session(id: String) -> Self {
        Self::Session { id: id.into(), start: None }
    }

    /// A session that the first turn makes.
    pub(super) fn start(agent_id: String, options: StartOptions) -> Self {
        let StartOptions { input, idempotency_key } = options;
        let idempotency_key = idempotency_key.unwrap_or_else(new_id);
        Self::Session { id: OnceLock::new(), start: Some(Start { agent_id, input, idempotency_key }) }
    }

    /// The session, if it is one and there.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Fixed(_) => None,
            Self::Session { id, .. } => id.get().map(String::as_str),
        }
    }

    /// Whether something that has begun can go on there.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::Fixed(_)) || self.id().is_some()
    }

    /// The session is there from now on.
    pub(super) fn learn(&self, learnt: &str) {
        if let Self::Session { id, .. } = self
            && !learnt.is_empty()
        {
            // The first one to say so is believed.
            let _ = id.set(learnt.to_owned());
        }
    }

    /// The next request of a turn: where it goes, and its body as it is sent there.
    pub(super) fn request(&self, mut turn: Map<String, Value>) -> (String, Map<String, Value>) {
        let (id, start) = match self {
            Self::Fixed(path) => return (path.clone(), turn),
            Self::Session { id, start } => (id.get(), start),
        };
        match (id, start) {
            (None, Some(start)) => {
                // There are no messages yet.
                turn.shift_remove("rollbackAfterMessageId");
                ("/api/agent-sessions/start".to_owned(), start.body(turn))
            }
            (id, _) => {
                let id = id.map(String::as_str).unwrap_or_default();
                (format!("/api/agent-sessions/{}/trigger", part(id)), turn)
            }
        }
    }
}

impl Start {
    fn body(&self, turn: Map<String, Value>) -> Map<String, Value> {
        let mut body = Map::from_iter([("agentId".to_owned(), self.agent_id.clone().into())]);
        body.insert("trigger".to_owned(), turn.into());
        if let Some(input) = &self.input {
            body.insert("input".to_owned(), input.clone().into());
        }
        body.insert("idempotencyKey".to_owned(), self.idempotency_key.clone().into());
        body
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_is_made_by_its_first_turn_and_asked_from_then_on() {
        let options = StartOptions { input: None, idempotency_key: Some("k".to_owned()) };
        let place = Place::start("a".to_owned(), options);
        let turn = || {
            Map::from_iter([("triggerName".to_owned(), json!("go")), ("rollbackAfterMessageId".into(), json!(null))])
        };
        let (path, body) = place.request(turn());
        assert_eq!(path, "/api/agent-sessions/start");
        let made = json!({ "agentId": "a", "trigger": { "triggerName": "go" }, "idempotencyKey": "k" });
        assert_eq!(Value::from(body), made);
        assert!(!place.is_there());
        place.learn("");
        place.learn("s/1");
        place.learn("other");
        assert_eq!(place.request(turn()), ("/api/agent-sessions/s%2F1/trigger".to_owned(), turn()));
        assert_eq!((place.id(), place.is_there()), (Some("s/1"), true));
    }
}
