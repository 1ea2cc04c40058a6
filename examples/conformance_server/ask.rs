//! Asking the client something in the middle of a request, in the way of its generation.

use rmcp::{
    ErrorData,
    model::{InputRequest, InputRequiredResult, InputResponses},
    service::ServiceError,
};
use serde_json::{Value, json};

use crate::fixture::{Context, modern, typed};

/// What came of asking.
pub(crate) enum Asked {
    /// The client's answer, as it came.
    Answer(Value),
    /// The client is told to ask and to call again.
    Again(InputRequiredResult),
}

/// Asks under `key`. A client with a session is asked at once; one without gets a result that asks him.
pub(crate) async fn ask(
    (key, request): (&str, Value),
    answers: Option<&InputResponses>,
    cx: &Context,
) -> Result<Asked, ErrorData> {
    if !modern(cx) {
        return at_once(typed(request), cx).await.map(Asked::Answer).map_err(|e| refused(&e));
    }
    let answer = answers.and_then(|answers| answers.get(key)).filter(|answer| answer.is_object());
    Ok(match answer {
        Some(answer) => Asked::Answer(answer.clone()),
        None => Asked::Again(again(json!({ key: request }), None)),
    })
}

/// The result that asks for more.
pub(crate) fn again(requests: Value, state: Option<String>) -> InputRequiredResult {
    InputRequiredResult::new(Some(typed(requests)), state)
}

/// The request that asks a person to fill in a form.
pub(crate) fn form(message: &str, properties: &Value, required: &[&str]) -> Value {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    json!({ "method": "elicitation/create", "params": { "message": message, "requestedSchema": schema } })
}

/// The request that asks a model.
pub(crate) fn sample(prompt: &str, max_tokens: u32) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
    json!({ "method": "sampling/createMessage", "params": { "messages": [message], "maxTokens": max_tokens } })
}

async fn at_once(request: InputRequest, cx: &Context) -> Result<Value, ServiceError> {
    let answer = match request {
        InputRequest::Elicitation(request) => json!(cx.peer.create_elicitation(request.params).await?),
        InputRequest::CreateMessage(request) => json!(cx.peer.create_message(request.params).await?),
        _ => json!(cx.peer.list_roots().await?),
    };
    Ok(answer)
}

fn refused(error: &ServiceError) -> ErrorData {
    ErrorData::internal_error(format!("the client did not answer: {error}"), None)
}
