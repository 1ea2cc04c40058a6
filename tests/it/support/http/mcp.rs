//! MCP servers made of a web server: what they answer as long as nothing else is wanted.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::{Reply, Request, Web};

impl Web {
    /// An MCP server of 2025-11-25 with the tool `act`, but for what `cue` answers.
    pub(crate) fn legacy(cue: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::serve(move |request| cue(&request).unwrap_or_else(|| legacy(&request)))
    }

    /// An MCP server of 2026-07-28 with the tool `act`, but for what `cue` answers.
    pub(crate) fn modern(cue: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::serve(move |request| cue(&request).unwrap_or_else(|| modern(&request)))
    }
}

/// What a server of 2025-11-25 answers.
pub(crate) fn legacy(request: &Request) -> Reply {
    if request.method != "POST" {
        return Reply::status(if request.method == "GET" { 405 } else { 200 });
    }
    let message = request.message();
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => request.result(&json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": { "listChanged": true } },
            "serverInfo": { "name": "web", "version": "1" },
        })),
        "tools/list" => request.result(&json!({ "tools": [{ "name": "act", "inputSchema": { "type": "object" } }] })),
        "tools/call" => request.says("done"),
        "ping" => request.result(&json!({})),
        _ if message.get("id").is_none() || message.get("method").is_none() => Reply::status(202),
        _ => Reply::json(
            200,
            &json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": -32601, "message": "no such method" } }),
        ),
    }
}

/// What a server of 2026-07-28 answers.
pub(crate) fn modern(request: &Request) -> Reply {
    if request.is("server/discover") {
        return request.result(&json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": { "listChanged": true } },
            "ttlMs": 0,
            "cacheScope": "private",
        }));
    }
    if request.is("initialize") {
        return Reply::status(400);
    }
    legacy(request)
}

/// Sessions of an MCP server of 2025-11-25: each has an id, and can be forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<(usize, HashSet<String>)>>);

impl Sessions {
    /// The answer to what begins a session, and to what names one that is not known; nothing to everything else.
    pub(crate) fn guard(&self, request: &Request, lost: impl Fn() -> Reply) -> Option<Reply> {
        let mut sessions = self.0.lock().unwrap();
        if request.is("initialize") {
            sessions.0 += 1;
            let id = format!("session-{}", sessions.0);
            sessions.1.insert(id.clone());
            return Some(legacy(request).with("mcp-session-id", &id));
        }
        let known = request.header("mcp-session-id").is_some_and(|id| sessions.1.contains(id));
        (!known).then(lost)
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().1.clear();
    }
}
