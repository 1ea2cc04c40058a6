//! The tools that answer in one go, and those that say something or ask something meanwhile.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, LoggingLevel,
        LoggingMessageNotificationParam, ProgressNotificationParam,
    },
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    ask::{Asked, ask, form, sample},
    fixture::{Change, Context, Fixture, complete, typed},
    resources::{PNG, WAV},
};

pub(crate) type Outcome = Result<CallToolResponse, ErrorData>;

/// Long enough for two messages not to travel together, short enough not to be waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Does what the tool does; `None` if there is no such tool here.
pub(crate) async fn call(fixture: &Fixture, request: &CallToolRequestParams, cx: &Context) -> Option<Outcome> {
    let arguments = json!(request.arguments);
    let response = match &*request.name {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => content(&json!([image()])),
        "test_audio_content" => content(&json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }])),
        "test_embedded_resource" => content(&json!([embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )])),
        "test_multiple_content_types" => content(&json!([
            { "type": "text", "text": "Multiple content types test:" },
            image(),
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ])),
        "test_error_handling" => failure("This tool intentionally returns an error for testing"),
        "json_schema_2020_12_tool" | "test_x_mcp_header" => text(&format!("Called with {arguments}")),
        "greet" => text(&format!("Hello, {}!", arguments["name"].as_str().unwrap_or_default())),
        "test_tool_with_logging" | "test_logging_tool" => logging(fixture, cx).await,
        "test_tool_with_progress" => progress(cx).await,
        "test_reconnection" => slowly().await,
        "test_missing_capability" => return Some(sampling_only(cx)),
        "test_trigger_tool_change" => changed(fixture, Change::Tools, cx).await,
        "test_trigger_prompt_change" => changed(fixture, Change::Prompts, cx).await,
        "test_trigger_resource_change" => {
            let uri = arguments["uri"].as_str().unwrap_or("test://watched-resource").to_owned();
            changed(fixture, Change::Resource(uri), cx).await
        }
        _ => return asking(request, &arguments, cx).await.map(Ok),
    };
    Some(Ok(response))
}

/// The tools that ask the client before they answer.
async fn asking(request: &CallToolRequestParams, arguments: &Value, cx: &Context) -> Option<CallToolResponse> {
    let message = arguments["message"].as_str().unwrap_or("Please answer");
    let (question, said) = match &*request.name {
        "test_sampling" => (sample(arguments["prompt"].as_str().unwrap_or("Say something"), 100), "LLM response"),
        "test_elicitation" | "test_streaming_elicitation" => (user(message), "User response"),
        "test_elicitation_sep1034_defaults" => (defaults(), "Elicitation completed"),
        "test_elicitation_sep1330_enums" => (enums(), "Elicitation completed"),
        _ => return None,
    };
    let response = match ask(("answer", question), request.input_responses.as_ref(), cx).await {
        Ok(Asked::Again(result)) => CallToolResponse::InputRequired(result),
        Ok(Asked::Answer(answer)) => text(&format!("{said}: {}", in_words(&answer))),
        Err(error) => failure(&error.message),
    };
    Some(response)
}

/// The model's text, or what the person did with the form.
fn in_words(answer: &Value) -> String {
    match answer["content"]["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("action={}, content={}", answer["action"].as_str().unwrap_or("none"), answer["content"]),
    }
}

fn user(message: &str) -> Value {
    let properties = json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    });
    form(message, &properties, &["username", "email"])
}

fn defaults() -> Value {
    let properties = json!({
        "name": { "type": "string", "description": "User name", "default": "John Doe" },
        "age": { "type": "integer", "description": "User age", "default": 30 },
        "score": { "type": "number", "description": "User score", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "description": "Verified", "default": true },
    });
    form("Please look at the values and change what is wrong", &properties, &[])
}

fn enums() -> Value {
    let options = json!(["option1", "option2", "option3"]);
    let titled = |first: &str| {
        json!([
            { "const": "value1", "title": first },
            { "const": "value2", "title": "The second" },
            { "const": "value3", "title": "The third" },
        ])
    };
    let properties = json!({
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": { "type": "string", "oneOf": titled("First Option") },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled("First Choice") } },
    });
    form("Please choose", &properties, &[])
}

async fn logging(fixture: &Fixture, cx: &Context) -> CallToolResponse {
    let lines = ["Tool execution started", "Tool processing data", "Tool execution completed"];
    let wanted = fixture.level(cx).is_some_and(|least| severity(least) <= severity(LoggingLevel::Info));
    for line in lines {
        if wanted {
            let params = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line));
            let _ = cx.peer.notify_logging_message(params).await;
        }
        sleep(PAUSE).await;
    }
    text("Tool with logging executed successfully")
}

/// The levels in their order; rmcp has none.
fn severity(level: LoggingLevel) -> u8 {
    level as u8
}

async fn progress(cx: &Context) -> CallToolResponse {
    let token = cx.meta.get_progress_token();
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = &token {
            let params = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
            let _ = cx.peer.notify_progress(params).await;
        }
        sleep(PAUSE).await;
    }
    text("Tool with progress executed successfully")
}

/// Takes long enough for a stream to be lost and found again. rmcp gives a handler no hold of its own stream, so it
/// is not closed on purpose.
async fn slowly() -> CallToolResponse {
    sleep(4 * PAUSE).await;
    text("Reconnection test completed")
}

fn sampling_only(cx: &Context) -> Outcome {
    if cx.client_capabilities().is_some_and(|capabilities| capabilities.sampling.is_some()) {
        return Ok(text("The client can be asked for a sample"));
    }
    Err(ErrorData::missing_required_client_capability(typed(json!({ "sampling": {} }))))
}

async fn changed(fixture: &Fixture, change: Change, cx: &Context) -> CallToolResponse {
    let said = format!("Changed: {change:?}");
    fixture.change(change, cx).await;
    text(&said)
}

fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

pub(crate) fn embedded(uri: &str, mime: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } })
}

fn content(content: &Value) -> CallToolResponse {
    CallToolResponse::Complete(complete(json!({ "content": content })))
}

/// A result that is one text.
pub(crate) fn said(text: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

pub(crate) fn text(text: &str) -> CallToolResponse {
    CallToolResponse::Complete(said(text))
}

fn failure(text: &str) -> CallToolResponse {
    CallToolResponse::Complete(CallToolResult::error(vec![ContentBlock::text(text)]))
}
