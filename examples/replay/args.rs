//! What a step is given: in order, by names, or one thing alone.

use serde_json::{Map, Value};

/// The arguments of a step.
pub(crate) struct Args<'a>(&'a Value);

impl<'a> Args<'a> {
    pub(crate) fn new(given: &'a Value) -> Self {
        Self(given)
    }

    /// The argument at this place, or of one of these names.
    pub(crate) fn get(&self, place: usize, names: &[&str]) -> Option<&'a Value> {
        match self.0 {
            Value::Array(given) => given.get(place),
            Value::Object(given) => names.iter().find_map(|name| given.get(*name)),
            Value::Null | Value::Bool(_) => None,
            alone => (place == 0).then_some(alone),
        }
    }

    /// A text; empty when there is none.
    pub(crate) fn text(&self, place: usize, names: &[&str]) -> &'a str {
        self.get(place, names).and_then(Value::as_str).unwrap_or_default()
    }

    /// The session that is meant.
    pub(crate) fn session_id(&self) -> &'a str {
        match self.text(0, &["sessionId", "id", "session"]) {
            "" => "sess_1",
            id => id,
        }
    }

    /// An object.
    pub(crate) fn object(&self, place: usize, names: &[&str]) -> Option<Map<String, Value>> {
        self.get(place, names).and_then(Value::as_object).cloned()
    }
}

/// What a step does, and with what. Its verb may be a value too: `{ "call": "agentSessions.create", "args": [] }`, or
/// a list of both, or an object with both.
pub(crate) fn called(verb: &str, given: &Value, step: &Value) -> (String, Value) {
    let plain = || (verb.to_owned(), given.clone());
    if ["agentSessions", "sessions", "agents", "files", "workers"].contains(&verb) {
        // A room of the client, and in it the method: `{ "files": { "getUploadUrls": … } }`.
        return match given.as_object().map(|fields| fields.iter().collect::<Vec<_>>()).as_deref() {
            Some([(method, given)]) => (format!("{verb}{method}"), (*given).clone()),
            _ => given.as_str().map_or_else(plain, |method| {
                (format!("{verb}{method}"), step.get("args").cloned().unwrap_or_default())
            }),
        };
    }
    if !["call", "api", "method", "rest", "invoke", "client", "request"].contains(&verb) {
        return plain();
    }
    let args = |of: &Value| ["args", "arguments", "params", "with"].iter().find_map(|key| of.get(*key)).cloned();
    match given {
        Value::String(name) => (name.clone(), args(step).unwrap_or_default()),
        Value::Array(parts) => match parts.split_first() {
            Some((Value::String(name), rest)) => (name.clone(), rest.into()),
            _ => plain(),
        },
        Value::Object(fields) => {
            let name = ["method", "name", "call", "path", "fn"].iter().find_map(|key| fields.get(*key)?.as_str());
            let room = ["api", "on", "room"].iter().find_map(|key| fields.get(*key)?.as_str()).unwrap_or_default();
            name.map_or_else(plain, |name| (format!("{room}{name}"), args(given).unwrap_or_default()))
        }
        _ => plain(),
    }
}

/// A verb without what it is written with: `agentSessions.getLogs` is `getlogs`.
pub(crate) fn plain(verb: &str) -> String {
    let plain: String = verb.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["agentsessions", "sessions", "files"].iter().find_map(|room| plain.strip_prefix(room)).unwrap_or(&plain).to_owned()
}
