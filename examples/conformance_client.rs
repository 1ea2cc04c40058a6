//! A client for the client scenarios of the protocol's conformance suites: it shows them our connecting side.
//!
//! The suite gives the URL of its server. A `computer serve --stdio` has that server as an HTTP entry, and this program,
//! as that one's client, lists and calls all that there is.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on has failed")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// The namespace of the suite's server.
const NAMESPACE: &str = "server";

/// In this scenario the host answers forms itself, because its client cannot be asked.
const DEFAULTS: &str = "elicitation-sep1034-client-defaults";

fn main() {
    let url = env::args().nth(1).expect("usage: conformance_client URL");
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let context = env::var("MCP_CONFORMANCE_CONTEXT").ok();
    let context: Value = context.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let capabilities = if scenario == DEFAULTS {
        json!({})
    } else {
        json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
    };
    let mut client = Client::start(&url, &capabilities);
    let tools = client.result("tools/list", &json!({}))["tools"].clone();
    let tools = tools.as_array().unwrap();
    match context["toolCalls"].as_array() {
        Some(calls) => {
            for call in calls {
                let name = format!("{NAMESPACE}__{}", call["name"].as_str().unwrap());
                client.ask("tools/call", &json!({ "name": name, "arguments": call["arguments"] }));
            }
        }
        None => {
            for tool in tools.iter().filter(|tool| tool["name"] != format!("{NAMESPACE}__status")) {
                client.ask("tools/call", &json!({ "name": tool["name"], "arguments": arguments(tool, tools) }));
            }
        }
    }
    if let Some(resource) = client.result("resources/list", &json!({}))["resources"].get(0) {
        client.ask("resources/read", &json!({ "uri": resource["uri"] }));
    }
    if let Some(prompt) = client.result("prompts/list", &json!({}))["prompts"].get(0) {
        client.ask("prompts/get", &json!({ "name": prompt["name"] }));
    }
    client.leave();
}

/// Arguments that a tool should take: something for each property.
fn arguments(tool: &Value, tools: &[Value]) -> Value {
    let properties = tool["inputSchema"]["properties"].as_object().cloned().unwrap_or_default();
    let mut number = 8;
    let filled = properties.into_iter().map(|(name, schema)| {
        let value = match (name.as_str(), schema["type"].as_str()) {
            // What another tool's schema looks like from here.
            ("schema", Some("object")) => {
                tools.iter().find(|other| *other != tool).map(|t| t["inputSchema"].clone()).unwrap()
            }
            (_, Some("number" | "integer")) => {
                number -= 3;
                json!(number)
            }
            (_, Some("boolean")) => json!(true),
            (_, Some("object")) => json!({}),
            (_, Some("array")) => json!([]),
            _ => json!("text"),
        };
        (name, value)
    });
    Value::Object(filled.collect())
}

/// `computer serve --stdio`, seen by a client of 2025-11-25.
struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    next_id: u64,
    _config: Config,
}

/// A config file that goes when it is not needed any more.
struct Config(PathBuf);

impl Drop for Config {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Client {
    fn start(url: &str, capabilities: &Value) -> Self {
        let config = env::temp_dir().join(format!("conformance-{}.json", std::process::id()));
        let content = json!({
            "mcpServers": { NAMESPACE: { "url": url } },
            // What the suites compare is what the server says, not what model providers like.
            "schemaProfile": "none",
            "serve": { "unattended": "defaults", "nameLimit": 128, "listWait": "1m" },
        });
        fs::write(&config, content.to_string()).unwrap();
        let mut child = Command::new(program())
            .args(["serve", "--stdio", "--config"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, stdin, stdout, next_id: 1, _config: Config(config) };
        let info = json!({ "name": "conformance-client", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
        client.ask("initialize", &params);
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    /// Sends a request and waits for the answer, whatever it is; questions are answered meanwhile.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the program has gone during `{method}`");
            let message: Value = serde_json::from_str(&line).unwrap();
            match (message["method"].as_str(), message.get("id")) {
                (Some(asked), Some(question)) => {
                    let result = answer(asked, &message["params"]);
                    self.send(&json!({ "jsonrpc": "2.0", "id": question, "result": result }));
                }
                (None, Some(answered)) if *answered == json!(id) => return message,
                _ => {}
            }
        }
    }

    fn result(&mut self, method: &str, params: &Value) -> Value {
        let message = self.ask(method, params);
        assert!(message["error"].is_null(), "`{method}` failed: {message}");
        message["result"].clone()
    }

    fn leave(mut self) {
        drop(self.stdin);
        assert!(self.child.wait().unwrap().success(), "the program leaves in order");
    }
}

/// What a person, a model or a workspace says.
fn answer(method: &str, params: &Value) -> Value {
    match method {
        "roots/list" => json!({ "roots": [{ "uri": "file:///workspace" }] }),
        "sampling/createMessage" => {
            json!({ "role": "assistant", "model": "none", "content": { "type": "text", "text": "sampled" } })
        }
        _ => {
            let fields = params["requestedSchema"]["properties"].as_object().cloned().unwrap_or_default();
            let content = fields.into_iter().map(|(name, field)| {
                let value = match field["type"].as_str() {
                    Some("boolean") => json!(true),
                    Some("number" | "integer") => json!(1),
                    _ => json!("text"),
                };
                (name, value)
            });
            json!({ "action": "accept", "content": Value::Object(content.collect()) })
        }
    }
}

/// The program that lies beside the examples.
fn program() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().join("computer")
}
