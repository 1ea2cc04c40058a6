//! Tools of the host's own behind a namespace, whose arguments are checked before they are run.

mod check;

use serde_json::{Map, Value};

use self::check::check;
use super::error::{Result, SdkError};
use crate::{
    name::{self, Namespace},
    provider::{DynamicTool, ToolError, ToolHandler, ToolSchema},
};

/// Tools of the host's own behind a namespace (`github__get-issue`), which the platform is told of.
///
/// A call's arguments are checked against the tool's schema, and what the schema does not name is left out; the result
/// is checked likewise where the tool declares what it gives.
#[derive(Debug, Clone)]
pub struct ToolGroup {
    namespace: String,
    tools: Vec<(ToolSchema, ToolHandler)>,
}

impl ToolGroup {
    /// A group without tools.
    ///
    /// # Errors
    /// When the namespace is not made of lowercase letters, digits and hyphens, a letter first.
    pub fn new(namespace: impl Into<String>) -> Result<Self> {
        let namespace = namespace.into();
        if !is_name(&namespace, b"-") {
            let reason = format!(
                "`{}` cannot be a group's namespace: write lowercase letters, digits and hyphens, a letter first",
                namespace.escape_debug()
            );
            return Err(SdkError::Tools(reason));
        }
        Ok(Self { namespace, tools: Vec::new() })
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// With one more tool, named without the namespace.
    ///
    /// # Errors
    /// When the name is not made of lowercase letters, digits, underscores and hyphens, a letter first, or is taken.
    pub fn with(mut self, tool: DynamicTool) -> Result<Self> {
        let DynamicTool { mut schema, handler } = tool;
        if !is_name(&schema.name, b"_-") {
            let reason = format!(
                "`{}` cannot be a tool's name in the group `{}`: write lowercase letters, digits, underscores and \
                 hyphens, a letter first",
                schema.name.escape_debug(),
                self.namespace
            );
            return Err(SdkError::Tools(reason));
        }
        let namespace: Namespace = self.namespace.parse().map_err(|error| SdkError::Tools(format!("{error}")))?;
        schema.name = name::join(&namespace, &schema.name);
        if self.tools.iter().any(|(known, _)| known.name == schema.name) {
            return Err(SdkError::Tools(format!("there is a tool `{}` already; rename one of them", schema.name)));
        }
        let handler = checked(schema.clone(), handler);
        self.tools.push((schema, handler));
        Ok(self)
    }

    pub(super) fn into_tools(self) -> Vec<(ToolSchema, ToolHandler)> {
        self.tools
    }
}

fn is_name(name: &str, also: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(&byte);
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(plain)
}

fn checked(schema: ToolSchema, handler: ToolHandler) -> ToolHandler {
    ToolHandler::new(move |arguments: Map<String, Value>| {
        let (schema, handler) = (schema.clone(), handler.clone());
        async move {
            let of = |what: &str, problems: String| {
                ToolError::new(format!("Invalid {what} \"{}\": {problems}", schema.name))
            };
            let arguments = check(&schema.input_schema, Value::Object(arguments));
            let arguments = match arguments.map_err(|problems| of("arguments for", problems))? {
                Value::Object(arguments) => arguments,
                _ => Map::new(),
            };
            let result = handler.call(arguments).await?;
            match &schema.output_schema {
                Some(output) => check(output, result).map_err(|problems| of("output from", problems)),
                None => Ok(result),
            }
        }
    })
}
