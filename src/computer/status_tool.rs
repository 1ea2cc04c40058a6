//! The status tool: what an agent learns of an entry that is not up, and how it brings it up.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{board::Board, dispatch, words};
use crate::{
    error::Error,
    name,
    source::{Answer, Waiting},
};

#[derive(Debug, Default, Deserialize)]
struct Arguments {
    #[serde(default)]
    connect: bool,
}

/// Answers from the live state.
pub(super) fn call(board: Arc<Board>, namespace: String, arguments: Option<&RawValue>) -> Waiting<Answer> {
    let arguments = arguments.map(|raw| serde_json::from_str::<Arguments>(raw.get()));
    Box::pin(async move {
        let tool = || board.recipe(&namespace).map_or_else(|| namespace.clone(), |r| name::status_tool(&r.namespace));
        let Arguments { connect } = match arguments {
            Some(Ok(arguments)) => arguments,
            Some(Err(error)) => return Err(Error::Arguments { tool: tool(), reason: error.to_string() }),
            None => Arguments::default(),
        };
        let (Some(recipe), Some(handle)) = (board.recipe(&namespace), board.handle(&namespace)) else {
            return Err(dispatch::gone(&namespace));
        };
        if connect {
            if !recipe.config.agent_control {
                let reason = "`agentControl: false` keeps the status tool from connecting this entry".to_owned();
                return Err(Error::Arguments { tool: tool(), reason });
            }
            handle.restart().await;
            board.publish();
        }
        let mut report = Map::new();
        {
            let status = handle.status();
            report.insert("status".into(), words::state_name(&status.state).into());
            report.extend(words::reason(&status).map(|error| ("error".to_owned(), Value::from(error))));
            let diagnostics = &recipe.config.diagnostics;
            if !diagnostics.prerequisites.is_empty() {
                report.insert("prerequisites".into(), diagnostics.prerequisites.clone().into());
            }
            if !diagnostics.suggested_fixes.is_empty() {
                report.insert("suggestedFixes".into(), diagnostics.suggested_fixes.clone().into());
            }
            if connect && status.ready().is_some() {
                let registry = board.registry();
                let own = registry.own().listed().iter().filter(|listed| listed.route.namespace == recipe.namespace);
                report.insert("tools".into(), own.map(|listed| listed.name.clone()).collect::<Vec<_>>().into());
            }
        }
        let text = Value::Object(report.clone()).to_string();
        Ok(Answer::made(&json!({ "content": [{ "type": "text", "text": text }], "structuredContent": report })))
    })
}
