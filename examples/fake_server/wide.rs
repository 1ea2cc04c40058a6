//! What a server has beside tools: prompts, resources, completion, and questions for its client.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    server::{Server, notify, send},
    tools::Outcome,
};

/// The tools that come with it: name, description, the properties of their arguments.
pub(crate) const TOOLS: [(&str, &str, &[&str]); 5] = [
    ("ask", "asks the client something, after a while, and answers with what it said", &["method", "params", "ms"]),
    ("announce", "sends a notification", &["method", "params"]),
    ("change", "adds a prompt or a resource and says so", &["what", "name"]),
    ("level", "the level of log messages that was set, and for which resources somebody wants to hear of", &[]),
    ("touch", "says to whoever wants to hear of it that a resource was updated", &["uri"]),
];

/// What changes of it.
#[derive(Default)]
pub(crate) struct Wide {
    prompts: Vec<String>,
    resources: Vec<String>,
    subscribed: Vec<String>,
    level: Option<String>,
    /// The calls that wait for an answer of the client, by the id of the question.
    asked: Vec<(String, Value)>,
}

impl Wide {
    /// How many questions of ours nobody has answered.
    pub(crate) fn open_questions(&self) -> usize {
        self.asked.len()
    }
}

pub(crate) fn capabilities() -> Value {
    json!({
        "tools": { "listChanged": true },
        "logging": {},
        "prompts": { "listChanged": true },
        "resources": { "listChanged": true, "subscribe": true },
        "completions": {},
        "extensions": { "example.org/fake": { "since": 1 } },
    })
}

impl Server {
    /// The outcome of a request beyond tools; nothing when it is none.
    pub(crate) fn wide(&self, method: &str, params: &Value) -> Option<Outcome> {
        Some(match method {
            "prompts/list" => self.listed("prompts", &self.prompts()),
            "resources/list" => self.listed("resources", &self.resources()),
            "resources/templates/list" => {
                let template = json!({ "uriTemplate": "fake://made/{id}", "name": "made", "x-own": 1.0 });
                self.listed("resourceTemplates", &[template])
            }
            "prompts/get" => self.prompt(params),
            "resources/read" => self.read(params),
            "completion/complete" => {
                let value = json!({ "ref": params["ref"], "argument": params["argument"] }).to_string();
                Outcome::Result(json!({ "completion": { "values": [value] }, "x-own": true }))
            }
            "resources/subscribe" => self.wish(params, true),
            "resources/unsubscribe" => self.wish(params, false),
            "logging/setLevel" => {
                self.seen().wide.level = params["level"].as_str().map(str::to_owned);
                Outcome::Result(json!({}))
            }
            "example/custom" => Outcome::Result(json!({ "custom": params["x"] })),
            "tasks/get" => Outcome::Result(json!({ "taskId": params["taskId"], "status": "working" })),
            _ => return None,
        })
    }

    /// The outcome of a tool that comes with it.
    pub(crate) fn wide_tool(&self, id: &Value, params: &Value) -> Outcome {
        let arguments = &params["arguments"];
        match params["name"].as_str().unwrap_or_default() {
            "ask" => self.ask(id, params),
            "announce" => {
                notify(arguments["method"].as_str().unwrap_or_default(), &arguments["params"]);
                text("announced")
            }
            "change" => self.change(arguments),
            "level" => {
                let seen = self.seen();
                text(&json!({ "level": seen.wide.level, "subscribed": seen.wide.subscribed }).to_string())
            }
            _ => self.touch(arguments["uri"].as_str().unwrap_or_default()),
        }
    }

    /// Takes the client's answer to a question; false when there was none.
    pub(crate) fn answered(&self, message: &Value) -> bool {
        let id = message["id"].as_str().unwrap_or_default();
        let call = {
            let asked = &mut self.seen().wide.asked;
            asked.iter().position(|(question, _)| question == id).map(|place| asked.remove(place).1)
        };
        let Some(call) = call else { return false };
        let said = if message["error"].is_null() { &message["result"] } else { &message["error"] };
        self.answer(&call, text_result(&said.to_string()));
        true
    }

    fn listed(&self, member: &str, items: &[Value]) -> Outcome {
        let mut result = json!({ member: items });
        if self.options.modern() {
            result["ttlMs"] = json!(0);
            result["cacheScope"] = json!("private");
        }
        Outcome::Result(result)
    }

    fn prompts(&self) -> Vec<Value> {
        let mut prompts =
            vec![json!({ "x-own": 1.0, "name": "greet", "arguments": [{ "name": "who", "required": true }] })];
        prompts.extend(self.seen().wide.prompts.iter().map(|name| json!({ "name": name })));
        prompts
    }

    fn resources(&self) -> Vec<Value> {
        let mut resources = vec![json!({ "x-own": 1.0, "uri": "fake://plain", "name": "plain" })];
        resources.extend(self.seen().wide.resources.iter().map(|uri| json!({ "uri": uri, "name": "added" })));
        resources
    }

    fn prompt(&self, params: &Value) -> Outcome {
        let name = params["name"].as_str().unwrap_or_default();
        if !self.prompts().iter().any(|prompt| prompt["name"] == name) {
            return Outcome::Error(-32602, format!("unknown prompt: {name}"));
        }
        let said = format!("{name} {}", params["arguments"]["who"].as_str().unwrap_or("nobody"));
        let message = json!({ "role": "user", "content": { "type": "text", "text": said } });
        Outcome::Result(json!({ "messages": [message], "x-own": 1.0 }))
    }

    fn read(&self, params: &Value) -> Outcome {
        let uri = params["uri"].as_str().unwrap_or_default();
        let known = self.resources().iter().any(|resource| resource["uri"] == uri);
        // One is not listed and is there all the same.
        if !known && !uri.starts_with("fake://made/") && uri != "fake://unlisted" {
            return Outcome::Error(if self.options.modern() { -32602 } else { -32002 }, format!("not found: {uri}"));
        }
        let content = json!({ "uri": uri, "text": std::process::id().to_string(), "x-own": 1.0 });
        Outcome::Result(json!({ "contents": [content], "x-own": true }))
    }

    fn wish(&self, params: &Value, on: bool) -> Outcome {
        let uri = params["uri"].as_str().unwrap_or_default().to_owned();
        if uri == "fake://made/refused" {
            return Outcome::Error(-32051, "told to refuse".to_owned());
        }
        let subscribed = &mut self.seen().wide.subscribed;
        subscribed.retain(|known| *known != uri);
        if on {
            subscribed.push(uri);
        }
        Outcome::Result(json!({}))
    }

    fn touch(&self, uri: &str) -> Outcome {
        let (subscribed, listeners) = {
            let seen = self.seen();
            (seen.wide.subscribed.iter().any(|known| known == uri), seen.listeners.clone())
        };
        if subscribed {
            notify("notifications/resources/updated", &json!({ "uri": uri, "x-own": 1.0 }));
        }
        for (id, filter) in listeners {
            if filter["resourceSubscriptions"].as_array().is_some_and(|uris| uris.contains(&json!(uri))) {
                let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
                notify("notifications/resources/updated", &json!({ "uri": uri, "_meta": meta }));
            }
        }
        text("touched")
    }

    fn change(&self, arguments: &Value) -> Outcome {
        let name = arguments["name"].as_str().unwrap_or_default().to_owned();
        let what = arguments["what"].as_str().unwrap_or_default();
        match what {
            "prompts" => self.seen().wide.prompts.push(name),
            _ => self.seen().wide.resources.push(name),
        }
        self.changed(what);
        text("changed")
    }

    fn ask(&self, id: &Value, params: &Value) -> Outcome {
        let (method, question) = (&params["arguments"]["method"], &params["arguments"]["params"]);
        if self.options.modern() {
            if params["inputResponses"].is_null() {
                let request = json!({ "method": method, "params": question });
                return Outcome::Result(json!({
                    "resultType": "input_required", "inputRequests": { "q": request }, "requestState": "fake-state",
                }));
            }
            assert_eq!(params["requestState"], "fake-state", "the state comes back as it was");
            return text(&params["inputResponses"]["q"].to_string());
        }
        let question_id = format!("fake-{id}");
        self.seen().wide.asked.push((question_id.clone(), id.clone()));
        let question = json!({ "jsonrpc": "2.0", "id": question_id, "method": method, "params": question }).to_string();
        let wait = Duration::from_millis(params["arguments"]["ms"].as_u64().unwrap_or_default());
        thread::spawn(move || {
            thread::sleep(wait);
            send(&question);
        });
        Outcome::Later
    }
}

fn text(text: &str) -> Outcome {
    Outcome::Result(text_result(text))
}

fn text_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}
