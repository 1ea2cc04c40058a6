//! The lists of tools and prompts, what prompts answer, and completion.

use std::sync::atomic::Ordering;

use rmcp::{
    ErrorData,
    model::{
        CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResponse, InputRequiredResult, Prompt,
        Tool,
    },
};
use serde_json::{Value, json};

use crate::{
    ask::{again, form},
    fixture::{self, Context, Shared, modern, typed},
    resources::PNG,
    rounds::filled,
    tools::embedded,
};

const TOOLS: &str = include_str!("tools.json");
const PROMPTS: &str = include_str!("prompts.json");

/// What the names of the arguments can be completed to.
const WORDS: [&str; 4] = ["paris", "park", "party", "test"];

pub(crate) fn tools(shared: &Shared) -> Vec<Tool> {
    let mut tools: Vec<Tool> = typed(serde_json::from_str(TOOLS).expect("tools.json is JSON"));
    let revision = shared.tools_revision.load(Ordering::Relaxed);
    for tool in tools.iter_mut().filter(|tool| tool.name == "test_trigger_tool_change") {
        tool.description = Some(format!("Changes this description (revision {revision})").into());
    }
    tools
}

pub(crate) fn prompts(shared: &Shared) -> Vec<Prompt> {
    let mut prompts: Vec<Prompt> = typed(serde_json::from_str(PROMPTS).expect("prompts.json is JSON"));
    let revision = shared.prompts_revision.load(Ordering::Relaxed);
    for prompt in prompts.iter_mut().filter(|prompt| prompt.name == "test_simple_prompt") {
        prompt.description = Some(format!("A prompt without arguments (revision {revision})"));
    }
    prompts
}

pub(crate) fn prompt(request: &GetPromptRequestParams, cx: &Context) -> Result<GetPromptResponse, ErrorData> {
    let arguments = json!(request.arguments);
    let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let messages = match &*request.name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            vec![text(&format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))]
        }
        "test_prompt_with_embedded_resource" => vec![
            embedded(&argument("resourceUri"), "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
            text("Please analyze the image above."),
        ],
        "test_input_required_result_prompt" => match context(request, cx) {
            Some(context) => vec![text(&format!("Prompt with context: {context}"))],
            None => return Ok(GetPromptResponse::InputRequired(context_question())),
        },
        name => return Err(ErrorData::invalid_params(format!("unknown prompt: {name}"), None)),
    };
    let messages: Vec<_> = messages.iter().map(|content| json!({ "role": "user", "content": content })).collect();
    Ok(GetPromptResponse::Complete(fixture::complete(json!({ "messages": messages }))))
}

/// The context that the prompt shall have, unless the client has to be asked for it.
fn context(request: &GetPromptRequestParams, cx: &Context) -> Option<Value> {
    // A client with a session cannot be told to ask and to come again.
    if modern(cx) {
        filled(request.input_responses.as_ref(), "user_context", "context").cloned()
    } else {
        Some(json!("none"))
    }
}

fn context_question() -> InputRequiredResult {
    let properties = json!({ "context": { "type": "string" } });
    let question = form("What context should the prompt use?", &properties, &["context"]);
    again(json!({ "user_context": question }), None)
}

pub(crate) fn complete(request: &CompleteRequestParams) -> CompleteResult {
    let values: Vec<_> = WORDS.into_iter().filter(|word| word.starts_with(&request.argument.value)).collect();
    fixture::complete(json!({ "completion": { "values": values, "total": values.len(), "hasMore": false } }))
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}
