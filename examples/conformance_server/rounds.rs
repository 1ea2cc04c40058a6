//! Tools that need several rounds: a result that asks the client, and a call that brings his answers.

use data_encoding::HEXLOWER;
use rmcp::{
    ErrorData,
    model::{CallToolRequestParams, CallToolResponse, InputResponses},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    ask::{again, form, sample},
    fixture::Context,
    tools::{Outcome, text},
};

/// Known to nobody but this process's source, which is enough for a fixture.
const SECRET: &str = "what the client cannot guess";

/// Plays the next round; `None` if there is no such tool here.
pub(crate) fn call(request: &CallToolRequestParams, cx: &Context) -> Option<Outcome> {
    let round = Round(request);
    let tool = request.name.strip_prefix("test_input_required_result_")?;
    let response = match tool {
        "elicitation" => round.elicitation(),
        "sampling" => round.sampling(),
        "list_roots" => round.roots(),
        "capabilities" => round.within_capabilities(cx),
        "request_state" => return Some(round.state("state-ok")),
        "tampered_state" => return Some(round.state("The state is as we left it")),
        "multiple_inputs" => return Some(round.several()),
        "multi_round" => return Some(round.several_rounds()),
        _ => return None,
    };
    Some(Ok(response))
}

/// The form that asks for a name.
pub(crate) fn name_form(message: &str) -> Value {
    form(message, &json!({ "name": { "type": "string" } }), &["name"])
}

/// What the person wrote into `field` of the form under `key`, if it was accepted.
pub(crate) fn filled<'a>(answers: Option<&'a InputResponses>, key: &str, field: &str) -> Option<&'a Value> {
    let answer = answers?.get(key)?;
    (answer["action"] == "accept").then(|| &answer["content"][field]).filter(|value| !value.is_null())
}

/// One call among several.
struct Round<'a>(&'a CallToolRequestParams);

impl Round<'_> {
    fn elicitation(&self) -> CallToolResponse {
        match self.filled("user_name", "name") {
            Some(name) => text(&format!("Hello, {name}!")),
            None => ask(json!({ "user_name": name_form("What is your name?") }), None),
        }
    }

    fn sampling(&self) -> CallToolResponse {
        match self.answer("capital_question").and_then(|answer| answer["content"]["text"].as_str()) {
            Some(said) => text(said),
            None => ask(json!({ "capital_question": sample("What is the capital of France?", 100) }), None),
        }
    }

    fn roots(&self) -> CallToolResponse {
        match self.answer("client_roots").filter(|answer| answer["roots"].is_array()) {
            Some(answer) => text(&format!("Roots: {}", answer["roots"])),
            None => ask(json!({ "client_roots": roots() }), None),
        }
    }

    /// Answers only to a state that is exactly the one it gave.
    fn state(&self, done: &str) -> Outcome {
        let confirm = form("Please confirm", &json!({ "ok": { "type": "boolean" } }), &["ok"]);
        match self.unsealed()? {
            Some(_) if self.filled("confirm", "ok").is_some() => Ok(text(done)),
            _ => Ok(ask(json!({ "confirm": confirm }), Some("confirm"))),
        }
    }

    fn several(&self) -> Outcome {
        let all = ["user_name", "greeting", "client_roots"].iter().all(|key| self.answer(key).is_some());
        if self.unsealed()?.is_some() && all {
            return Ok(text("All inputs received"));
        }
        let requests = json!({
            "user_name": name_form("What is your name?"),
            "greeting": sample("Generate a greeting", 50),
            "client_roots": roots(),
        });
        Ok(ask(requests, Some("several")))
    }

    fn several_rounds(&self) -> Outcome {
        let color =
            || form("Step 2: What is your favorite color?", &json!({ "color": { "type": "string" } }), &["color"]);
        let state = self.unsealed()?;
        let name = match state.as_deref() {
            Some("one") => self.filled("step1", "name"),
            Some(two) => match (two.strip_prefix("two "), self.filled("step2", "color")) {
                (Some(name), Some(color)) => return Ok(text(&format!("{name} likes {color}"))),
                (Some(_), None) => return Ok(ask(json!({ "step2": color() }), Some(two))),
                (None, _) => None,
            },
            None => None,
        };
        Ok(match name {
            Some(name) => ask(json!({ "step2": color() }), Some(&format!("two {name}"))),
            None => ask(json!({ "step1": name_form("Step 1: What is your name?") }), Some("one")),
        })
    }

    /// Asks only for what the client said that it can do.
    fn within_capabilities(&self, cx: &Context) -> CallToolResponse {
        if self.0.input_responses.as_ref().is_some_and(|answers| !answers.is_empty()) {
            return text("Asked only for what the client can do");
        }
        let can = cx.client_capabilities().unwrap_or_default();
        let mut requests = serde_json::Map::new();
        if can.sampling.is_some() {
            requests.insert("sample".to_owned(), sample("Generate a greeting", 50));
        }
        if can.elicitation.is_some() {
            requests.insert("user_name".to_owned(), name_form("What is your name?"));
        }
        if can.roots.is_some() {
            requests.insert("client_roots".to_owned(), roots());
        }
        if requests.is_empty() { text("The client can do nothing for us") } else { ask(Value::Object(requests), None) }
    }

    fn answer(&self, key: &str) -> Option<&Value> {
        self.0.input_responses.as_ref()?.get(key).filter(|answer| answer.is_object())
    }

    fn filled(&self, key: &str, field: &str) -> Option<String> {
        let value = filled(self.0.input_responses.as_ref(), key, field)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// The state that came back, if one did; an error if it is none of ours.
    fn unsealed(&self) -> Result<Option<String>, ErrorData> {
        let Some(sealed) = &self.0.request_state else { return Ok(None) };
        let state = sealed.rsplit_once('.').map(|(state, _)| state).filter(|state| seal(state) == *sealed);
        match state {
            Some(state) => Ok(Some(state.to_owned())),
            None => Err(ErrorData::invalid_params("requestState is not what was given", None)),
        }
    }
}

fn ask(requests: Value, state: Option<&str>) -> CallToolResponse {
    CallToolResponse::InputRequired(again(requests, state.map(seal)))
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// The state with a sum that only we can make.
fn seal(state: &str) -> String {
    let sum = Sha256::digest(format!("{SECRET} {state} {SECRET}"));
    format!("{state}.{}", HEXLOWER.encode(&sum))
}
