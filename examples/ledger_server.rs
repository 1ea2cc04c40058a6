//! A server that writes down what it was asked to do before it does it: whoever calls can count how often that was.
//!
//! `ledger_server --ledger FILE [--name TEXT] [--modern] [--shy] [--deaf] [--helper] [--delay-ms N]`
//!
//! Its tools give back their `token`, after `ms` milliseconds, or end the server instead when they are told to `die`:
//! `do` declares nothing, `look` that it only reads, `set` that twice is like once. `--modern` speaks 2026-07-28, `--shy`
//! exits on a method that it does not know, `--deaf` does not end on SIGTERM nor when its stdin ends, and `--helper` has a
//! child in a session of its own. `--name` is for people who look at the list of processes.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, Write},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";

struct Server {
    ledger: File,
    modern: bool,
    shy: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let value = |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1));
    if has("--deaf") {
        let mut term = SigSet::empty();
        term.add(Signal::SIGTERM);
        term.thread_block().expect("SIGTERM can be blocked");
    }
    if has("--only-there") {
        park();
    }
    let path = value("--ledger").expect("--ledger FILE is given");
    let ledger = OpenOptions::new().create(true).append(true).open(path).expect("the ledger can be written");
    if has("--helper") {
        help(&args);
    }
    thread::sleep(Duration::from_millis(value("--delay-ms").map_or(0, |ms| ms.parse().expect("a number"))));
    let server = Arc::new(Server { ledger, modern: has("--modern"), shy: has("--shy") });
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Some(code) = server.receive(&line) {
            return ExitCode::from(code);
        }
    }
    if has("--deaf") {
        park();
    }
    ExitCode::SUCCESS
}

fn park() -> ! {
    loop {
        thread::park();
    }
}

/// Starts a child that holds our stderr, in a session of its own.
fn help(args: &[String]) {
    let own = std::env::current_exe().expect("the system tells what runs");
    let mut helper = Command::new("setsid");
    helper.arg(own).arg("--only-there").args(args.iter().filter(|arg| *arg != "--helper"));
    let mut helper = helper.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("`setsid` is there");
    thread::spawn(move || helper.wait());
}

impl Server {
    /// Deals with a line; returns the exit status when it shall end.
    fn receive(self: &Arc<Self>, line: &str) -> Option<u8> {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) else { return None };
        let params = &message["params"];
        let info = json!({ "name": "ledger", "version": "1" });
        let capabilities = json!({ "tools": { "listChanged": true } });
        match (method, self.modern) {
            ("initialize", false) => self.answer(
                id,
                json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info }),
            ),
            ("server/discover", true) => self.answer(
                id,
                json!({ "supportedVersions": [MODERN], "capabilities": capabilities, "ttlMs": 0, "cacheScope": "private" }),
            ),
            ("ping", false) => self.answer(id, json!({})),
            ("subscriptions/listen", true) => {
                let subscription = json!({ "io.modelcontextprotocol/subscriptionId": id });
                let params = json!({ "_meta": subscription, "notifications": params["notifications"] });
                let method = "notifications/subscriptions/acknowledged";
                say(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
            }
            ("tools/list", _) => self.answer(id, json!({ "tools": tools(), "ttlMs": 0, "cacheScope": "private" })),
            ("tools/call", _) => return self.call(id, &params["arguments"]),
            _ if self.shy => return Some(1),
            _ => say(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no such method" } })),
        }
        None
    }

    fn call(self: &Arc<Self>, id: &Value, arguments: &Value) -> Option<u8> {
        let token = arguments["token"].as_str().unwrap_or_default();
        // In one write, so that lines of servers that share the file do not mix.
        (&self.ledger).write_all(format!("{token}\n").as_bytes()).expect("the ledger can be written");
        if arguments["die"] == true {
            eprintln!("told to die by {token}");
            return Some(3);
        }
        let result = json!({ "content": [{ "type": "text", "text": token }] });
        match arguments["ms"].as_u64() {
            None => self.answer(id, result),
            Some(ms) => {
                let (server, id) = (self.clone(), id.clone());
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(ms));
                    server.answer(&id, result);
                });
            }
        }
        None
    }

    fn answer(&self, id: &Value, mut result: Value) {
        if self.modern {
            result["resultType"] = "complete".into();
        }
        say(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }
}

fn tools() -> Value {
    let tool = |name: &str, annotations: Value| {
        let schema = json!({ "type": "object", "properties": { "token": { "type": "string" } } });
        json!({ "name": name, "inputSchema": schema, "annotations": annotations })
    };
    let [read_only, idempotent] = ["readOnlyHint", "idempotentHint"].map(|hint| json!({ hint: true }));
    json!([tool("do", json!({})), tool("look", read_only), tool("set", idempotent)])
}

fn say(message: &Value) {
    let mut stdout = io::stdout().lock();
    // A client that has gone ends our stdin as well.
    let _ = stdout.write_all(format!("{message}\n").as_bytes());
    let _ = stdout.flush();
}
