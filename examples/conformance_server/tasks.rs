//! Tools that become tasks where the client can follow one.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult, TASKS_EXTENSION_ID,
    },
    task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions},
};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    ask::{again, form},
    fixture::{Context, Shared, typed},
    rounds::{filled, name_form},
    tools::{Outcome, said, text},
};

/// Starts the task, or does the work at once for a client that knows no tasks; `None` if there is no such tool here.
pub(crate) async fn call(shared: &Shared, request: &CallToolRequestParams, cx: &Context) -> Option<Outcome> {
    let arguments = json!(request.arguments);
    let follows = cx.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks());
    let response = match &*request.name {
        "slow_compute" => {
            let time = Duration::from_secs(arguments["seconds"].as_u64().unwrap_or(1));
            let label = arguments["label"].as_str().unwrap_or("something").to_owned();
            if follows { start(shared, move |task| Box::pin(compute(task, time, label))) } else { at_once(time).await }
        }
        "failing_job" | "protocol_error_job" | "confirm_delete" | "multi_input" | "test_tool_with_task" if !follows => {
            // These can only be done as tasks.
            let needed = typed(json!({ "extensions": { TASKS_EXTENSION_ID: {} } }));
            return Some(Err(ErrorData::missing_required_client_capability(needed)));
        }
        "failing_job" => start(shared, |_| Box::pin(fail())),
        "protocol_error_job" => start(shared, |_| Box::pin(async { Err(broken().into()) })),
        "confirm_delete" => start(shared, |task| Box::pin(confirm(task))),
        "multi_input" => start(shared, |task| Box::pin(two_inputs(task))),
        "test_tool_with_task" => named_task(shared, request),
        _ => return None,
    };
    Some(Ok(response))
}

fn start(shared: &Shared, work: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
    let options = TaskOptions::new().with_poll_interval_ms(100);
    CallToolResponse::Task(CreateTaskResult::new(shared.tasks.spawn(options, work)))
}

async fn at_once(time: Duration) -> CallToolResponse {
    sleep(time).await;
    text("Computed")
}

async fn compute(task: TaskContext, time: Duration, label: String) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = sleep(time) => Ok(said(&format!("Computed {label}"))),
    }
}

async fn fail() -> Result<CallToolResult, TaskExit> {
    sleep(Duration::from_millis(500)).await;
    Ok(CallToolResult::error(vec![ContentBlock::text("The job failed, as it always does")]))
}

fn broken() -> ErrorData {
    ErrorData::internal_error("The job broke the protocol, as it always does", None)
}

async fn confirm(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let question = form("Delete the file?", &json!({ "confirm": { "type": "boolean" } }), &["confirm"]);
    let answer = task.request_input("confirm", typed(question)).await?;
    Ok(said(&format!("Confirmed: {}", answer["content"]["confirm"])))
}

async fn two_inputs(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let first = task.request_input("first", typed(name_form("What is the first name?")));
    let second = task.request_input("second", typed(name_form("What is the second name?")));
    let (first, second) = tokio::try_join!(first, second)?;
    Ok(said(&format!("Names: {} and {}", first["content"]["name"], second["content"]["name"])))
}

/// Asks for a name in a round of its own, and only then becomes a task.
fn named_task(shared: &Shared, request: &CallToolRequestParams) -> CallToolResponse {
    let Some(name) = filled(request.input_responses.as_ref(), "user_name", "name").cloned() else {
        let requests = json!({ "user_name": name_form("What is your name?") });
        return CallToolResponse::InputRequired(again(requests, None));
    };
    start(shared, move |_| Box::pin(async move { Ok(said(&format!("Done for {name}"))) }))
}
