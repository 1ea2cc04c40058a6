//! Handlers that do what a recording says, and note that they were called.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use mcp_computer::{DynamicTool, ToolError, ToolHandler, ToolProvider, ToolSchema, sdk::AgentSession};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Barrier, watch},
    time::sleep,
};

/// What handlers share.
#[derive(Default)]
pub(crate) struct Shared {
    handler_calls: Mutex<Vec<Value>>,
    resource_updates: Mutex<Vec<Value>>,
    hook_calls: Mutex<Vec<Value>>,
    barriers: Mutex<HashMap<String, Arc<Barrier>>>,
    session: Mutex<Option<AgentSession>>,
    /// The tools whose handlers have begun.
    begun: watch::Sender<Vec<String>>,
}

impl Shared {
    /// What was noted, under the names of recordings.
    pub(crate) fn noted(&self) -> [(&'static str, Vec<Value>); 3] {
        [
            ("handlerCalls", self.handler_calls.lock().unwrap().clone()),
            ("resourceUpdates", self.resource_updates.lock().unwrap().clone()),
            ("hookCalls", self.hook_calls.lock().unwrap().clone()),
        ]
    }

    pub(crate) fn note_update(&self, name: &str, value: Option<&Value>) {
        let mut update = json!({ "name": name });
        if let Some(value) = value {
            update["value"] = value.clone();
        }
        self.resource_updates.lock().unwrap().push(update);
    }

    pub(crate) fn note_hook(&self, results: Value) {
        self.hook_calls.lock().unwrap().push(results);
    }

    pub(crate) fn attached(&self, session: &AgentSession) {
        *self.session.lock().unwrap() = Some(session.clone());
    }

    /// How many handlers have begun.
    pub(crate) fn begun_so_far(&self) -> usize {
        self.begun.borrow().len()
    }

    /// Returns when the handler of a tool has begun, those before not counted.
    pub(crate) async fn begun(&self, tool: &str, before: usize) {
        let is_one = |begun: &Vec<String>| begun.iter().skip(before).any(|known| known == tool);
        let _ = self.begun.subscribe().wait_for(is_one).await;
    }

    fn begin(&self, tool: &str, args: &Map<String, Value>) {
        self.handler_calls.lock().unwrap().push(json!({ "tool": tool, "args": args }));
        self.begun.send_modify(|begun| begun.push(tool.to_owned()));
    }

    fn barrier(&self, name: &Value, count: usize) -> Arc<Barrier> {
        let mut barriers = self.barriers.lock().unwrap();
        barriers.entry(name.to_string()).or_insert_with(|| Arc::new(Barrier::new(count))).clone()
    }
}

/// A handler from its description.
pub(crate) fn handler(shared: &Arc<Shared>, tool: &str, spec: &Value) -> ToolHandler {
    let (shared, tool, spec) = (shared.clone(), tool.to_owned(), spec.clone());
    ToolHandler::new(move |args| {
        let (shared, tool, spec) = (shared.clone(), tool.clone(), spec.clone());
        async move { run(&shared, &tool, &spec, args).await }
    })
}

async fn run(shared: &Arc<Shared>, tool: &str, spec: &Value, args: Map<String, Value>) -> Result<Value, ToolError> {
    shared.begin(tool, &args);
    pause(&spec["delayMs"]).await;
    if !spec["barrier"].is_null() {
        let count = spec["count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(2);
        shared.barrier(&spec["barrier"], count).wait().await;
    }
    pause(&spec["delayAfterMs"]).await;
    if let Some(tools) = spec.get("setDynamicTools") {
        let session = shared.session.lock().unwrap().clone();
        if let Some(session) = session {
            session.set_dynamic_tools(provider(shared, tools));
        }
    }
    if let Some(error) = spec.get("throw") {
        return Err(ToolError::new(error.as_str().unwrap_or_default()));
    }
    if spec.get("throwValue").is_some() {
        // Something that is no error has no words.
        return Err(ToolError::new("Tool execution failed"));
    }
    if spec["echoArgs"] == json!(true) {
        return Ok(args.into());
    }
    if let Some(repeat) = spec.get("repeat") {
        return Ok(repeated(repeat).into());
    }
    Ok(spec["return"].clone())
}

async fn pause(millis: &Value) {
    if let Some(millis) = millis.as_u64() {
        sleep(Duration::from_millis(millis)).await;
    }
}

/// A text, so many times.
fn repeated(spec: &Value) -> String {
    let pair = spec.as_array().cloned().unwrap_or_default();
    let pick = |names: [&str; 4], place: usize| {
        names.iter().find_map(|name| spec.get(*name)).or_else(|| pair.get(place)).cloned().unwrap_or_default()
    };
    let text = pick(["text", "string", "char", "value"], 0);
    let times = if spec.is_u64() { spec.clone() } else { pick(["times", "count", "length", "n"], 1) };
    text.as_str().unwrap_or("x").repeat(times.as_u64().and_then(|times| usize::try_from(times).ok()).unwrap_or(1))
}

/// Tools that may change, from their description: a list, or schemas and handlers apart.
pub(crate) fn provider(shared: &Arc<Shared>, spec: &Value) -> Arc<dyn ToolProvider> {
    if let Some(tools) = spec.as_array() {
        let tools = tools.iter().filter_map(|tool| {
            let schema: ToolSchema = serde_json::from_value(tool["schema"].clone()).ok()?;
            let handler = handler(shared, &schema.name, &tool["handler"]);
            Some(DynamicTool { schema, handler })
        });
        return Arc::new(tools.collect::<Vec<_>>());
    }
    let schemas = serde_json::from_value(spec["schemas"].clone()).unwrap_or_default();
    let handlers = spec["handlers"].as_object().into_iter().flatten();
    let handlers = handlers.map(|(name, spec)| (name.clone(), handler(shared, name, spec))).collect();
    Arc::new(Apart { schemas, handlers })
}

struct Apart {
    schemas: Vec<ToolSchema>,
    handlers: std::collections::BTreeMap<String, ToolHandler>,
}

impl ToolProvider for Apart {
    fn tool_schemas(&self) -> Vec<ToolSchema> {
        self.schemas.clone()
    }

    fn tool_handlers(&self) -> std::collections::BTreeMap<String, ToolHandler> {
        self.handlers.clone()
    }
}
