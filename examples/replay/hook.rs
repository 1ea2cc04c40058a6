//! Who looks at results: what a recording says that it does with them.

use mcp_computer::{
    ToolError,
    sdk::{FilesApi, ToolResult},
};
use serde_json::Value;

use super::{args::plain, handler::Shared};

/// A hook from its description: `true`, the name of what it calls, or an object of what it does.
#[derive(Clone)]
pub(crate) struct Hook {
    spec: Value,
    calls: Vec<Helper>,
}

/// What the SDK has for hooks.
#[derive(Clone, Copy)]
enum Helper {
    Images,
    Media,
    OutputFiles,
}

impl Helper {
    /// `normalizeToolResultImages`, or a shorter name for it.
    fn named(name: &str) -> Option<Self> {
        let name = plain(name);
        let name = name.strip_prefix("normalize").unwrap_or(&name);
        match name.strip_prefix("toolresult").unwrap_or(name) {
            "images" | "image" => Some(Self::Images),
            "media" => Some(Self::Media),
            "outputfiles" | "outputs" => Some(Self::OutputFiles),
            _ => None,
        }
    }
}

/// Names by which a hook says which fields results get.
const CHANGES: [&str; 4] = ["set", "patch", "merge", "edit"];

impl Hook {
    /// Nothing for a hook that is not there.
    pub(crate) fn read(spec: &Value) -> Option<Self> {
        if matches!(spec, Value::Null | Value::Bool(false)) {
            return None;
        }
        let mut calls = Vec::new();
        let names: Vec<&str> = match spec {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            Value::Object(fields) => {
                let called = ["call", "normalize", "use", "do"].iter().filter_map(|key| fields.get(*key)?.as_str());
                let flags =
                    fields.iter().filter(|(_, value)| **value == Value::Bool(true)).map(|(key, _)| key.as_str());
                called.chain(flags).collect()
            }
            _ => Vec::new(),
        };
        for name in names {
            match Helper::named(name) {
                Some(helper) => calls.push(helper),
                None if ["record", "note", "log"].contains(&name) => {}
                None => eprintln!("replay: nothing is known of the hook `{}`", name.escape_debug()),
            }
        }
        Some(Self { spec: spec.clone(), calls })
    }

    /// What it makes of results: it notes them, and fails, gives them other fields, or uploads what is in them.
    pub(crate) async fn look(
        self,
        results: Result<Vec<ToolResult>, ToolError>,
        files: FilesApi,
        session: String,
    ) -> Result<Vec<ToolResult>, ToolError> {
        let mut results = results?;
        for helper in self.calls {
            results = match helper {
                Helper::Images => files.upload_images(&session, results).await,
                Helper::Media => files.upload_media(&session, results).await,
                Helper::OutputFiles => files.upload_output_files(&session, results).await,
            };
        }
        Ok(results)
    }

    /// Notes results, and fails or changes them.
    pub(crate) fn edit(&self, shared: &Shared, results: Vec<ToolResult>) -> Result<Vec<ToolResult>, ToolError> {
        let mut all: Vec<Value> = results.into_iter().map(Value::from).collect();
        shared.note_hook(all.clone().into());
        if let Some(error) = self.spec.get("throw") {
            return Err(ToolError::new(error.as_str().unwrap_or_default()));
        }
        let change = CHANGES.iter().find_map(|key| self.spec.get(*key)).unwrap_or(&Value::Null);
        for (place, result) in all.iter_mut().enumerate() {
            let id = result["toolCallId"].as_str().unwrap_or_default().to_owned();
            let own = change.get(&id).or_else(|| change.get(place)).filter(|own| own.is_object());
            for (key, value) in own.unwrap_or(change).as_object().into_iter().flatten() {
                result[key] = value.clone();
            }
        }
        serde_json::from_value(all.into()).map_err(|error| ToolError::new(error.to_string()))
    }
}
