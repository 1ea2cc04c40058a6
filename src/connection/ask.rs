//! What a server asks us: passed on to whoever made the call that it is about.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::{AbortHandle, Abortable};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio_util::sync::CancellationToken;

use super::{
    lane::{Kind, Message},
    link::{Link, one_line},
};
use crate::{
    config::Unattended,
    error::{Error, Result},
    source::{Answer, Ask, Question},
    wire::Envelope,
};

/// Questions that are open, by the JSON text of their id.
pub(super) type Open = HashMap<String, OpenQuestion>;

/// A question that is open.
pub(super) struct OpenQuestion {
    /// The calls that it may be about: one where the connection tells, else all that were under way when it was asked.
    /// While one of them waits, so does the question; when none does, nobody wants to know any more.
    pub(super) calls: Vec<u64>,
    /// The call of whoever is being asked, and how that is given up.
    pub(super) asked_of: (u64, CancellationToken),
    pub(super) handle: AbortHandle,
    bytes: usize,
    /// Tells it from a later one with the same id.
    number: u64,
}

/// Who is asked, with the call that is theirs.
pub(super) type Asker = (u64, Ask);

/// More than so many at a time, or so many bytes of them, are no questions but a flood. One is always taken.
const MOST: usize = 64;
const BYTES: usize = 32 << 20;

const METHOD_NOT_FOUND: i64 = -32601;
const INTERNAL: i64 = -32603;
/// What the protocol says of a sampling that a person refuses.
const REFUSED: i64 = -1;

/// Puts a question to whoever made the call; nobody there, the configuration decides.
pub(super) fn put(link: &Arc<Link>, (method, envelope): (&str, &Envelope<'_>), of: Option<u64>) {
    let Some(id) = envelope.id.map(|id| id.get().to_owned()) else { return };
    if method == "ping" {
        return reply(link, &id, Ok(Answer::made(&json!({}))));
    }
    let bytes = id.len() + method.len() + envelope.params.map_or(0, |params| params.get().len());
    let (is_open, others, open_bytes) = link.open_questions(|open| {
        (open.contains_key(&id), open.len(), open.values().map(|question| question.bytes).sum::<usize>())
    });
    if is_open || others >= MOST || (others > 0 && open_bytes + bytes > BYTES) {
        let message = if is_open {
            "a question of this id is open already".to_owned()
        } else {
            format!("{others} questions are open already; wait for answers before asking more")
        };
        return reply(link, &id, Err(Error::Server { code: INTERNAL, message, data: None }));
    }
    let question = Question { method: method.to_owned(), params: envelope.params.map(ToOwned::to_owned) };
    let (calls, first) = link.asked(of, &question);
    let Some(first) = first else {
        return reply(link, &id, unattended(link.options().unattended, &question));
    };
    let number = link.number();
    let (handle, registration) = AbortHandle::new_pair();
    let given_up = CancellationToken::new();
    let asked_of = (first.0, given_up.clone());
    let opened = OpenQuestion { calls: calls.clone(), asked_of, handle, bytes, number };
    link.open_questions(|open| open.insert(id.clone(), opened));
    link.drop_questions_of_none();
    let asking = link.clone();
    link.spawn(async move {
        let round = Round { asker: first, given_up };
        let asked = ask_until_answered(&asking, (&id, &calls), round, question);
        let outcome = Abortable::new(asked, registration).await;
        let is_ours = |open: &Open| open.get(&id).is_some_and(|question| question.number == number);
        let was_open = asking.open_questions(|open| is_ours(open) && open.remove(&id).is_some());
        asking.answered(&calls);
        // Taken back by the server, it wants no answer; else it gets one, whatever became of the calls.
        if was_open {
            reply(&asking, &id, outcome.unwrap_or(Err(Error::Cancelled)));
        }
    });
}

/// Somebody who is being asked.
struct Round {
    asker: Asker,
    given_up: CancellationToken,
}

/// Asks one after the other of those whose call it may be about, until somebody answers: whoever is asked may leave, or
/// take his call back, while the question is about another's.
async fn ask_until_answered(
    link: &Link,
    (id, calls): (&str, &[u64]),
    mut round: Round,
    question: Question,
) -> Result<Answer> {
    let mut tried = vec![round.asker.0];
    loop {
        let asked = round.given_up.run_until_cancelled(round.asker.1.ask(question.clone())).await;
        let outcome = asked.unwrap_or(Err(Error::Cancelled));
        if !matches!(outcome, Err(Error::Cancelled)) {
            return outcome;
        }
        let Some(asker) = link.asker(calls, &tried, &question) else { return outcome };
        tried.push(asker.0);
        round = Round { asker, given_up: CancellationToken::new() };
        link.open_questions(|open| {
            if let Some(question) = open.get_mut(id) {
                question.asked_of = (round.asker.0, round.given_up.clone());
            }
        });
    }
}

/// The server does not want to know any more.
pub(super) fn take_back(link: &Link, params: Option<&RawValue>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cancelled<'a> {
        #[serde(borrow)]
        request_id: &'a RawValue,
    }
    let cancelled = params.and_then(|params| serde_json::from_str::<Cancelled<'_>>(params.get()).ok());
    let open = cancelled.and_then(|cancelled| link.open_questions(|open| open.remove(cancelled.request_id.get())));
    if let Some(question) = open {
        question.handle.abort();
    }
}

fn reply(link: &Link, id: &str, outcome: Result<Answer>) {
    let line = match outcome {
        Ok(answer) => {
            let result = RawValue::from_string(answer.get().to_owned()).unwrap_or_default();
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{}}}\n", one_line(&result))
        }
        Err(error) => {
            let (code, message, data) = match error {
                Error::Server { code, message, data } => (code, message, data),
                Error::Cancelled => (REFUSED, "the question was not answered".to_owned(), None),
                other => (INTERNAL, other.to_string(), None),
            };
            let mut body = json!({ "code": code, "message": message });
            if let Some(data) = data.and_then(|data| serde_json::from_str::<Value>(&data).ok()) {
                body["data"] = data;
            }
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{body}}}\n")
        }
    };
    // A server that cannot be told any more has other worries.
    let _ = link.send(&Message { line: line.as_bytes(), kind: Kind::Answer });
}

/// What is answered when nobody is there to be asked.
pub(crate) fn unattended(policy: Unattended, question: &Question) -> Result<Answer> {
    let refused = |code, message: &str| Err(Error::Server { code, message: message.to_owned(), data: None });
    match question.method.as_str() {
        "elicitation/create" => {
            let content = match policy {
                Unattended::Decline => None,
                Unattended::Defaults => question.params.as_deref().and_then(defaults),
            };
            Ok(Answer::made(&match content {
                Some(content) => json!({ "action": "accept", "content": content }),
                None => json!({ "action": "decline" }),
            }))
        }
        "roots/list" => Ok(Answer::made(&json!({ "roots": [] }))),
        "sampling/createMessage" => refused(REFUSED, "no client is there that could be asked to sample"),
        method => refused(METHOD_NOT_FOUND, &format!("nobody here knows the method `{method}`")),
    }
}

/// The content of a form from the defaults in it, if every required field has one.
fn defaults(params: &RawValue) -> Option<Value> {
    let params: Value = serde_json::from_str(params.get()).ok()?;
    let schema = params.get("requestedSchema")?;
    let fields = schema.get("properties")?.as_object()?;
    let content: serde_json::Map<String, Value> =
        fields.iter().filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone()))).collect();
    let required = schema.get("required").and_then(Value::as_array);
    let complete = required.into_iter().flatten().filter_map(Value::as_str).all(|name| content.contains_key(name));
    complete.then_some(Value::Object(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(policy: Unattended, method: &str, params: &Value) -> Result<Value> {
        let params = RawValue::from_string(params.to_string()).ok();
        unattended(policy, &Question { method: method.to_owned(), params }).map(|answer| answer.to_value())
    }

    fn form(required: &[&str]) -> Value {
        let properties = json!({ "name": { "type": "string", "default": "x" }, "age": { "type": "integer" } });
        json!({ "message": "?", "requestedSchema": { "type": "object", "properties": properties, "required": required } })
    }

    #[test]
    fn a_form_that_nobody_sees_is_declined_unless_its_defaults_are_enough_and_allowed() {
        let ask = |policy, form: Value| asked(policy, "elicitation/create", &form).unwrap();
        assert_eq!(ask(Unattended::Decline, form(&["name"])), json!({ "action": "decline" }));
        let accepted = json!({ "action": "accept", "content": { "name": "x" } });
        assert_eq!(ask(Unattended::Defaults, form(&["name"])), accepted);
        assert_eq!(ask(Unattended::Defaults, form(&["name", "age"])), json!({ "action": "decline" }));
        assert_eq!(
            ask(Unattended::Defaults, json!({ "mode": "url", "url": "https://x" })),
            json!({ "action": "decline" })
        );
    }

    #[test]
    fn roots_are_none_and_everything_else_is_refused() {
        assert_eq!(asked(Unattended::Decline, "roots/list", &json!({})), Ok(json!({ "roots": [] })));
        let code = |method| match asked(Unattended::Decline, method, &json!({})) {
            Err(Error::Server { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code("sampling/createMessage"), REFUSED);
        assert_eq!(code("x/y"), METHOD_NOT_FOUND);
    }
}
