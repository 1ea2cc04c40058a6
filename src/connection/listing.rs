//! Listing a server's tools, tool by tool: a bad one costs itself alone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{link::Link, request::request};
use crate::{
    error::{Error, Result},
    source::{Tool, ToolList},
};

/// A list ends here, whatever the server says.
const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 10_000;

/// How long a page may take.
const PAGE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    #[serde(default)]
    annotations: Option<Hints>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hints {
    #[serde(default)]
    read_only_hint: Option<bool>,
    #[serde(default)]
    idempotent_hint: Option<bool>,
}

/// Lists all tools of a server.
pub(super) async fn list(link: Arc<Link>) -> Result<ToolList> {
    let mut list = ToolList::default();
    let mut seen = HashSet::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let params = match &cursor {
            Some(cursor) => format!("\"cursor\":{}", serde_json::Value::from(cursor.as_str())),
            None => String::new(),
        };
        let limit = PAGE.max(link.options().connect_timeout);
        let answer = match request(&link, "tools/list", &params, limit).await {
            // A server without tools need not know the method.
            Err(Error::Server { code: -32601, .. }) if cursor.is_none() => return Ok(list),
            answer => answer?,
        };
        let page: Page<'_> = serde_json::from_str(answer.get()).map_err(|error| Error::Protocol {
            act: "listing the tools".to_owned(),
            reason: format!("the answer is no list of tools ({error})"),
            stderr: link.tail().last_lines(),
        })?;
        for raw in page.tools {
            if list.tools.len() == MAX_TOOLS {
                list.problems.push(format!("it lists more than {MAX_TOOLS} tools; the rest is left out"));
                return Ok(list);
            }
            match tool(raw) {
                Ok(tool) => list.tools.push(tool),
                Err(problem) => list.problems.push(problem),
            }
        }
        match page.next_cursor.filter(|cursor| !cursor.is_empty()) {
            None => return Ok(list),
            Some(next) if !seen.insert(next.clone()) => {
                list.problems.push("its list of tools never ends: a cursor came twice".to_owned());
                return Ok(list);
            }
            next => cursor = next,
        }
    }
    list.problems.push(format!("its list of tools has more than {MAX_PAGES} pages; the rest is left out"));
    Ok(list)
}

fn tool(raw: &RawValue) -> Result<Tool, String> {
    let shown: String = raw.get().chars().take(80).collect();
    let definition = serde_json::from_str::<Definition>(raw.get()).or_else(|error| {
        // Hints that are malformed are no reason to lose the tool.
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let named = serde_json::from_str::<Named>(raw.get());
        named.map(|named| Definition { name: named.name, annotations: None }).map_err(|_| error)
    });
    let definition =
        definition.map_err(|error| format!("a tool was left out, its definition is malformed ({error}): {shown}"))?;
    if definition.name.is_empty() {
        return Err(format!("a tool was left out, it has no name: {shown}"));
    }
    let hint = |hint: fn(&Hints) -> Option<bool>| definition.annotations.as_ref().and_then(hint).unwrap_or(false);
    Ok(Tool {
        repeatable: hint(|hints| hints.read_only_hint) || hint(|hints| hints.idempotent_hint),
        name: definition.name,
        raw: raw.to_owned().into(),
    })
}
