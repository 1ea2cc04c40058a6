//! Attaching to a session, with what a recording says.

use std::sync::Arc;

use mcp_computer::{
    DynamicTool, ToolSchema,
    sdk::{AttachOptions, Resource, SdkError, ToolGroup},
};
use serde_json::{Map, Value, json};

use super::{
    Outcome, Stage,
    handler::{Shared, handler, provider},
    hook::Hook,
    outcome::{Came, field},
};

/// What recordings may call groups of tools.
pub(crate) const GROUPS: [&str; 4] = ["mcpServers", "inlineMcpServers", "inlineMcp", "groups"];

impl Stage {
    pub(crate) fn attach(&mut self, spec: &Value) -> Came {
        let id = spec["sessionId"].as_str().unwrap_or("sess_1").to_owned();
        let mut options = AttachOptions::new();
        for (name, spec) in spec["tools"].as_object().into_iter().flatten() {
            options = options.tool(name, handler(&self.shared, name, spec));
        }
        for group in groups(&self.shared, &first(spec, &GROUPS).unwrap_or_default())? {
            options = options.group(group);
        }
        for resource in spec["resources"].as_array().into_iter().flatten() {
            options = options.resource(self.resource(resource));
        }
        if spec["rejectClientToolCalls"] == json!(true) {
            options = options.reject_client_tool_calls();
        }
        if let Some(hook) = Hook::read(&spec["onToolResults"]) {
            let (shared, files, session) = (self.shared.clone(), self.client.files(), id.clone());
            options = options.on_tool_results(move |results| {
                // Noted at once, in the order of the calls.
                let edited = hook.edit(&shared, results);
                hook.clone().look(edited, files.clone(), session.clone())
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
            input_schema: schema(first(tool, &["parameters", "inputSchema", "schema"]).unwrap_or_else(|| json!({}))),
            output_schema: first(tool, &["output", "outputSchema"]).map(schema),
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

/// A schema as it is, or made of the fields of an object with their types: `{ "n": "number", "s": "string?" }`.
fn schema(spec: Value) -> Value {
    let Some(fields) = spec.as_object() else { return spec };
    let is_schema = fields.is_empty() || fields.keys().any(|key| ["type", "$ref", "anyOf", "allOf"].contains(&&**key));
    if is_schema {
        return if fields.is_empty() { json!({ "type": "object" }) } else { spec };
    }
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, kind) in fields {
        let text = kind.as_str();
        let property = text.map_or_else(|| kind.clone(), |text| json!({ "type": text.trim_end_matches('?') }));
        properties.insert(name.clone(), property);
        if text.is_none_or(|text| !text.ends_with('?')) {
            required.push(name.clone());
        }
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

pub(crate) fn first(spec: &Value, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| spec.get(*name)).cloned()
}
