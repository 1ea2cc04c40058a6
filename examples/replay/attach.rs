//! Attaching to a session, with what a recording says.

use std::sync::Arc;

use mcp_computer::{
    DynamicTool, ToolError, ToolSchema,
    sdk::{AttachOptions, Resource, SdkError, ToolGroup, ToolResult},
};
use serde_json::{Map, Value, json};

use super::{
    Outcome, Stage,
    handler::{Shared, handler, provider},
    outcome::{Came, field},
};

impl Stage {
    pub(crate) fn attach(&mut self, spec: &Value) -> Came {
        let id = spec["sessionId"].as_str().unwrap_or("sess_1").to_owned();
        let mut options = AttachOptions::new();
        for (name, spec) in spec["tools"].as_object().into_iter().flatten() {
            options = options.tool(name, handler(&self.shared, name, spec));
        }
        for group in groups(&self.shared, &spec["mcpServers"])? {
            options = options.group(group);
        }
        for resource in spec["resources"].as_array().into_iter().flatten() {
            options = options.resource(self.resource(resource));
        }
        if spec["rejectClientToolCalls"] == json!(true) {
            options = options.reject_client_tool_calls();
        }
        if let Some(hook) = spec.get("onToolResults").filter(|hook| **hook != json!(false)) {
            let (shared, hook, files, session) = (self.shared.clone(), hook.clone(), self.client.files(), id.clone());
            options = options.on_tool_results(move |results| {
                let looked = look(&shared, &hook, results);
                let uploads = hook.to_string().to_ascii_lowercase().contains("image");
                let (files, session) = (files.clone(), session.clone());
                async move {
                    let results = looked?;
                    Ok(if uploads { files.upload_images(&session, results).await } else { results })
                }
            });
        }
        let session = self.client.agent_sessions().attach(id.clone(), options)?;
        self.shared.attached(&session);
        self.session = Some(session);
        Ok(field("sessionId", id))
    }

    fn resource(&self, spec: &Value) -> Resource {
        let name = spec.as_str().or(spec["name"].as_str()).unwrap_or_default().to_owned();
        let (shared, watched) = (self.shared.clone(), name.clone());
        // One that throws has nowhere to throw to: its value is noted, and that is all.
        Resource::new(name, move |value| shared.note_update(&watched, value))
    }

    pub(crate) fn set_dynamic_tools(&self, spec: &Value) -> Outcome<Came> {
        self.session()?.set_dynamic_tools(provider(&self.shared, spec));
        Ok(Ok(Map::new()))
    }
}

/// Groups of tools, each with its namespace, and its tools by their names, or as schemas and handlers.
pub(crate) fn groups(shared: &Arc<Shared>, spec: &Value) -> Result<Vec<ToolGroup>, SdkError> {
    spec.as_array().into_iter().flatten().map(|spec| group(shared, spec)).collect()
}

fn group(shared: &Arc<Shared>, spec: &Value) -> Result<ToolGroup, SdkError> {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    let mut group = ToolGroup::new(namespace)?;
    let prefix = [namespace, "__"].concat();
    for (name, tool) in spec["tools"].as_object().into_iter().flatten() {
        let schema = ToolSchema {
            name: name.clone(),
            description: tool["description"].as_str().unwrap_or_default().to_owned(),
            input_schema: first(tool, &["parameters", "inputSchema", "schema"])
                .unwrap_or_else(|| json!({ "type": "object" })),
            output_schema: first(tool, &["output", "outputSchema"]),
        };
        let handler = handler(shared, &(prefix.clone() + name), tool.get("handler").unwrap_or(tool));
        group = group.with(DynamicTool { schema, handler })?;
    }
    for schema in spec["schemas"].as_array().into_iter().flatten() {
        let Ok(mut schema) = serde_json::from_value::<ToolSchema>(schema.clone()) else { continue };
        let handler = handler(shared, &schema.name, &spec["handlers"][&schema.name]);
        if let Some(plain) = schema.name.strip_prefix(&prefix).map(ToOwned::to_owned) {
            schema.name = plain;
        }
        group = group.with(DynamicTool { schema, handler })?;
    }
    Ok(group)
}

fn first(spec: &Value, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| spec.get(*name)).cloned()
}

/// What a hook makes of results: it notes them, and fails, or gives them other fields.
fn look(shared: &Shared, spec: &Value, results: Vec<ToolResult>) -> Result<Vec<ToolResult>, ToolError> {
    let mut all: Vec<Value> = results.into_iter().map(Value::from).collect();
    shared.note_hook(all.clone().into());
    if let Some(error) = spec.get("throw") {
        return Err(ToolError::new(error.as_str().unwrap_or_default()));
    }
    for (place, result) in all.iter_mut().enumerate() {
        let change = ["set", "patch", "merge", "edit"].iter().find_map(|key| spec.get(*key)).unwrap_or(&Value::Null);
        let id = result["toolCallId"].as_str().unwrap_or_default().to_owned();
        let own = change.get(&id).or_else(|| change.get(place)).filter(|own| own.is_object());
        for (key, value) in own.unwrap_or(change).as_object().into_iter().flatten() {
            result[key] = value.clone();
        }
    }
    serde_json::from_value(all.into()).map_err(|error| ToolError::new(error.to_string()))
}
