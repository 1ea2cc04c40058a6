//! The protocol: handshake of every generation, listing, notifications.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};

use crate::{
    misbehave,
    options::{MODERN, Options},
    tools::{self, Outcome},
    wide::{self, Wide},
};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// A server on stdin and stdout. Cheap to clone: calls that take their time hold one in a thread.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) options: Arc<Options>,
    seen: Arc<Mutex<Seen>>,
}

/// What came in so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often each method was received.
    pub(crate) methods: BTreeMap<String, usize>,
    /// Lines that are neither a request nor a notification: nothing we sent asks for an answer.
    pub(crate) unexpected: Vec<String>,
    /// The ids of the requests that were cancelled.
    pub(crate) cancelled: Vec<Value>,
    /// Tools that were added at run time.
    pub(crate) added: Vec<String>,
    initialized: bool,
    first_handshake: Option<Value>,
    /// The subscriptions of the newest generation: the id of each and what it wants to hear.
    pub(crate) listeners: Vec<(Value, Value)>,
    pub(crate) wide: Wide,
    /// A call that is answered with the next.
    pub(crate) kept: Option<Value>,
    /// How many calls were answered when nobody waited any more.
    pub(crate) answered_late: usize,
}

impl Server {
    pub(crate) fn new(options: Options) -> Self {
        Self { options: Arc::new(options), seen: Arc::default() }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder of this lock panics")
    }

    /// Handles one line; returns the exit status when the server shall end.
    pub(crate) fn receive(&self, line: &[u8]) -> Option<u8> {
        let message: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
        let Some(method) = message["method"].as_str() else {
            if self.answered(&message) {
                return None;
            }
            self.seen().unexpected.push(String::from_utf8_lossy(line).into_owned());
            return None;
        };
        *self.seen().methods.entry(method.to_owned()).or_default() += 1;
        let Some(id) = message.get("id") else {
            self.notification(method, &message["params"]);
            return None;
        };
        self.request(id, method, &message["params"])
    }

    fn notification(&self, method: &str, params: &Value) {
        if method == "notifications/cancelled" {
            self.seen().cancelled.push(params["requestId"].clone());
        }
    }

    fn request(&self, id: &Value, method: &str, params: &Value) -> Option<u8> {
        if method == "initialize" || method == "server/discover" {
            self.stale_handshake_answers(id);
        }
        if self.options.hang_on.as_deref() == Some(method) {
            return None;
        }
        if misbehave::answers(self, (id, method, params)) {
            self.seen().initialized |= method == "initialize";
            return None;
        }
        let refusal = self.refusal(method, params);
        match (method, refusal) {
            (_, Some((code, why))) => self.fail(id, code, &why),
            ("initialize", _) => self.initialize(id),
            ("server/discover", _) if self.options.modern() => self.discover(id),
            (_, None) if self.options.wide && self.try_wide(id, method, params) => {}
            ("ping" | "logging/setLevel", _) if !self.options.modern() => self.answer(id, json!({})),
            ("tools/list", _) => self.list(id, params),
            ("tools/call", _) => self.call(id, params),
            ("subscriptions/listen", _) if self.options.modern() => self.listen(id, params),
            _ if self.options.exit_on_unknown => return Some(1),
            _ if self.options.empty_object_to_all => self.answer(id, json!({})),
            _ => self.fail(id, -32601, &format!("method not found: {method}")),
        }
        None
    }

    /// Answers a request beyond tools; false when it is none.
    fn try_wide(&self, id: &Value, method: &str, params: &Value) -> bool {
        let Some(outcome) = self.wide(method, params) else { return false };
        self.settle(id, outcome);
        true
    }

    fn capabilities(&self) -> Value {
        if self.options.wide {
            return wide::capabilities();
        }
        json!({ "tools": { "listChanged": true }, "logging": {} })
    }

    /// What a strict server of this generation refuses: requests before the handshake, or without `_meta`.
    fn refusal(&self, method: &str, params: &Value) -> Option<(i64, String)> {
        if self.options.modern() {
            if method == "initialize" {
                return Some((-32601, "method not found: initialize".to_owned()));
            }
            let meta = &params["_meta"];
            let missing = [VERSION_KEY, CAPABILITIES_KEY].into_iter().find(|key| meta[key].is_null());
            return match missing {
                Some(key) => Some((-32602, format!("_meta lacks {key}"))),
                None if meta[VERSION_KEY] != MODERN => Some((-32022, "unsupported protocol version".to_owned())),
                None => None,
            };
        }
        let early = method.starts_with("tools/") && !self.seen().initialized;
        early.then(|| (-32600, "not initialized".to_owned()))
    }

    pub(crate) fn initialize(&self, id: &Value) {
        self.seen().initialized = true;
        self.answer(
            id,
            json!({
                "protocolVersion": self.options.version,
                "capabilities": self.capabilities(),
                "serverInfo": server_info(),
            }),
        );
    }

    fn discover(&self, id: &Value) {
        let result = json!({
            "supportedVersions": [MODERN],
            "capabilities": self.capabilities(),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { SERVER_INFO_KEY: server_info() },
        });
        self.answer(id, result);
    }

    /// The answers to a handshake request that the host may have given up long ago.
    fn stale_handshake_answers(&self, id: &Value) {
        if !self.options.late_handshake {
            return;
        }
        let first = self.seen().first_handshake.get_or_insert_with(|| id.clone()).clone();
        if first == *id {
            // It gets its answer in time now, and again when the host asks in another way.
            return;
        }
        self.fail(&first, -32601, "method not found, said late");
        self.fail(&first, -32601, "method not found, said late and twice");
    }

    fn list(&self, id: &Value, params: &Value) {
        let all = tools::catalog(self);
        let pages = self.options.pages.max(1);
        let page: usize = params["cursor"].as_str().and_then(|c| c.strip_prefix("page-")?.parse().ok()).unwrap_or(0);
        let size = all.len().div_ceil(pages).max(1);
        let mut result = json!({ "tools": all.chunks(size).nth(page).unwrap_or_default() });
        if self.options.same_cursor {
            result["nextCursor"] = json!("again");
        } else if page + 1 < pages {
            result["nextCursor"] = json!(format!("page-{}", page + 1));
        }
        if self.options.modern() {
            result["ttlMs"] = json!(0);
            result["cacheScope"] = json!("private");
        }
        self.answer(id, result);
    }

    fn call(&self, id: &Value, params: &Value) {
        self.settle(id, tools::call(self, id, params));
    }

    fn settle(&self, id: &Value, outcome: Outcome) {
        match outcome {
            Outcome::Result(result) => self.answer(id, result),
            Outcome::Raw(result) => self.answer_raw(id, result),
            Outcome::Error(code, message) => self.fail(id, code, &message),
            Outcome::Later => {}
        }
    }

    fn listen(&self, id: &Value, params: &Value) {
        self.seen().listeners.push((id.clone(), params["notifications"].clone()));
        let accepted = json!({ "_meta": { SUBSCRIPTION_KEY: id }, "notifications": params["notifications"] });
        notify("notifications/subscriptions/acknowledged", &accepted);
    }

    /// Says that a list has changed, in the way of the generation.
    pub(crate) fn changed(&self, what: &str) {
        let method = format!("notifications/{what}/list_changed");
        if !self.options.modern() {
            notify(&method, &json!({}));
        }
        let listeners = self.seen().listeners.clone();
        for (id, filter) in listeners {
            if filter[format!("{what}ListChanged")] == true {
                notify(&method, &json!({ "_meta": { SUBSCRIPTION_KEY: id } }));
            }
        }
    }

    pub(crate) fn answer(&self, id: &Value, mut result: Value) {
        if self.options.modern() && result["resultType"].is_null() {
            result["resultType"] = json!("complete");
        }
        self.answer_raw(id, &result.to_string());
    }

    fn answer_raw(&self, id: &Value, result: &str) {
        self.junk();
        let typed = self.options.modern() && !result.contains("resultType");
        let result = if typed { format!(r#"{{"resultType":"complete",{}"#, &result[1..]) } else { result.to_owned() };
        send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#));
    }

    pub(crate) fn fail(&self, id: &Value, code: i64, message: &str) {
        self.junk();
        let error = json!({ "code": code, "message": message, "data": { "from": "fake" } });
        send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string());
    }

    /// What stdout should never carry: text, JSON that is no JSON-RPC, bytes that are no text.
    pub(crate) fn junk(&self) {
        const KINDS: [&[u8]; 6] =
            [b"starting up...", br#"{"level":"info","msg":"hi"}"#, b"[1,2,3]", b"\xff\xfe", b"", br#""id""#];
        for kind in KINDS.iter().cycle().take(self.options.junk) {
            write_line(kind);
        }
    }
}

fn server_info() -> Value {
    json!({ "name": "fake", "version": "1.0.0" })
}

/// Sends a notification.
pub(crate) fn notify(method: &str, params: &Value) {
    send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
}

/// Sends a message.
pub(crate) fn send(text: &str) {
    write_line(text.as_bytes());
}

/// Writes a line whole, whichever thread it comes from. A reader that is gone is told by stdin's end soon enough.
fn write_line(line: &[u8]) {
    write(&[line, b"\n"].concat());
}

/// Writes bytes as they are; false when nobody can read them any more.
pub(crate) fn write(bytes: &[u8]) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).is_ok()
}
