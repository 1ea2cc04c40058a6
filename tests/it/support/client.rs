//! A thin MCP client of our own over the program's stdin and stdout: it shows the lines as they come.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    PATIENCE, procs,
    program::{Scratch, names},
};

/// The generations that begin with `initialize`.
pub(crate) const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The generation that does not.
pub(crate) const MODERN: &str = "2026-07-28";

/// `computer serve --stdio` and what it has said so far.
pub(crate) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<Heard>,
    next_id: u64,
    modern: bool,
    /// What it says it can be asked for.
    capabilities: Value,
    _directories: Arc<TempDir>,
}

/// A line on stdout, as text and as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) json: Value,
}

#[derive(Default)]
struct Heard {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    stderr: String,
    over: bool,
}

impl Client {
    /// Starts the program and says nothing yet.
    pub(crate) fn start(scratch: &Scratch) -> Self {
        Self::start_with(scratch, &[])
    }

    /// Starts the program with more flags and says nothing yet.
    pub(crate) fn start_with(scratch: &Scratch, flags: &[&str]) -> Self {
        Self::of(scratch, scratch.command([&["serve", "--stdio"], flags].concat()))
    }

    /// Runs this command, which serves a client on its stdin and stdout, and says nothing yet.
    pub(crate) fn of(scratch: &Scratch, mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let heard = Arc::new(Heard::default());
        listen(child.stdout.take().unwrap(), child.stderr.take().unwrap(), &heard);
        Self {
            stdin: child.stdin.take(),
            child,
            heard,
            next_id: 1,
            modern: false,
            capabilities: json!({}),
            _directories: scratch.keep(),
        }
    }

    /// Starts the program, shakes hands as a client of 2025-11-25, and lists the tools, so that the entries are up.
    #[track_caller]
    pub(crate) fn connect(scratch: &Scratch) -> Self {
        let mut client = Self::start(scratch);
        client.initialize("2025-11-25");
        client.tools();
        client
    }

    /// Starts the program as a client of 2026-07-28, which needs no handshake, and says nothing yet.
    pub(crate) fn start_modern(scratch: &Scratch) -> Self {
        let mut client = Self::start(scratch);
        client.modern = true;
        client
    }

    /// Starts the program as a client of 2026-07-28 and lists the tools, so that the entries are up.
    #[track_caller]
    pub(crate) fn modern(scratch: &Scratch) -> Self {
        let mut client = Self::start_modern(scratch);
        client.tools();
        client
    }

    /// Starts the program and connects as a client of a generation that can be asked what `capabilities` say.
    #[track_caller]
    pub(crate) fn able(scratch: &Scratch, version: &str, capabilities: Value) -> Self {
        let mut client = Self::start(scratch);
        client.modern = version == MODERN;
        client.capabilities = capabilities;
        if !client.modern {
            client.initialize(version);
        }
        client.tools();
        client
    }

    /// The handshake of a generation; returns the result.
    #[track_caller]
    pub(crate) fn initialize(&mut self, version: &str) -> Value {
        let info = json!({ "name": "test", "version": "0" });
        let params = json!({ "protocolVersion": version, "capabilities": self.capabilities, "clientInfo": info });
        let result = self.result("initialize", params);
        self.notify("notifications/initialized", &json!({}));
        result
    }

    /// Writes a line as it is.
    #[track_caller]
    pub(crate) fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the program reads its stdin");
        stdin.flush().unwrap();
    }

    /// Sends a notification.
    #[track_caller]
    pub(crate) fn notify(&mut self, method: &str, params: &Value) {
        self.send_line(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// Sends a request and does not wait; returns its id.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, mut params: Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        if self.modern {
            let meta = params["_meta"].take();
            params["_meta"] = modern_meta(&self.capabilities, meta);
        }
        self.send_line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    /// Sends a call and does not wait; returns its id.
    #[track_caller]
    pub(crate) fn ask_tool(&mut self, name: &str, arguments: &Value) -> Value {
        self.ask("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    /// Sends a call whose arguments go out as they are; returns its id. For clients of 2026-07-28.
    #[track_caller]
    pub(crate) fn ask_raw(&mut self, name: &str, arguments: &serde_json::value::RawValue) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let meta = modern_meta(&self.capabilities, Value::Null);
        let params = format!(r#"{{"name":"{name}","arguments":{arguments},"_meta":{meta}}}"#);
        self.send_line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#));
        json!(id)
    }

    /// The answer to a request, as the line that it was.
    #[track_caller]
    pub(crate) fn answer(&self, id: &Value) -> Line {
        self.wait_for(&format!("the answer to request {id}"), |lines| lines.iter().find(|l| answers(l, id)).cloned())
    }

    /// Sends a request and waits for the answer.
    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(&id).json
    }

    /// Waits for a question of the server and returns its id and its params.
    #[track_caller]
    pub(crate) fn asked(&self, method: &str) -> (Value, Value) {
        self.wait_for(&format!("the question {method}"), |lines| {
            let asked = |line: &&Line| line.json["method"] == method && !line.json["id"].is_null();
            lines.iter().rfind(asked).map(|line| (line.json["id"].clone(), line.json["params"].clone()))
        })
    }

    /// Answers a question of the server.
    #[track_caller]
    pub(crate) fn reply(&mut self, id: &Value, result: &Value) {
        self.send_line(&json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string());
    }

    /// Sends a request and waits for its result.
    #[track_caller]
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params);
        assert!(answer["error"].is_null() && !answer["result"].is_null(), "{method} failed: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool and waits for its result, which must be no error.
    #[track_caller]
    pub(crate) fn call(&mut self, name: &str, arguments: &Value) -> Value {
        let result = self.result("tools/call", json!({ "name": name, "arguments": arguments }));
        assert_ne!(result["isError"], true, "{name} failed: {result}");
        result
    }

    /// Calls a tool and waits for the text of its result.
    #[track_caller]
    pub(crate) fn call_text(&mut self, name: &str, arguments: &Value) -> String {
        let result = self.call(name, arguments);
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}")).to_owned()
    }

    /// The names of the tools.
    #[track_caller]
    pub(crate) fn tools(&mut self) -> Vec<String> {
        names(&self.result("tools/list", json!({}))["tools"])
    }

    /// Everything that was heard so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.heard.state.lock().unwrap().lines.clone()
    }

    /// What was said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.heard.state.lock().unwrap().stderr.clone()
    }

    /// The params of the notifications of this method so far.
    pub(crate) fn notifications(&self, method: &str) -> Vec<Value> {
        let lines = self.lines();
        lines.iter().filter(|line| line.json["method"] == method).map(|line| line.json["params"].clone()).collect()
    }

    /// Waits for so many notifications of this method and returns their params.
    #[track_caller]
    pub(crate) fn wait_for_notifications(&self, method: &str, count: usize) -> Vec<Value> {
        self.wait_for(&format!("{count} notifications {method}"), |lines| {
            (lines.iter().filter(|line| line.json["method"] == method).count() >= count).then_some(())
        });
        self.notifications(method)
    }

    /// Waits until the lines so far hold what is asked for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&[Line]) -> Option<T>) -> T {
        let start = Instant::now();
        let mut state = self.heard.state.lock().unwrap();
        loop {
            if let Some(found) = find(&state.lines) {
                return found;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            if state.over || left.is_zero() {
                let why = if state.over { "the program has closed its stdout" } else { "it takes too long" };
                let (lines, stderr) = (state.lines.clone(), state.stderr.clone());
                drop(state);
                panic!("no {what}: {why}\n--- heard\n{lines:#?}\n--- stderr\n{stderr}");
            }
            state = self.heard.more.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until it has said this on its stderr.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        let said = || self.heard.state.lock().unwrap().stderr.contains(text);
        procs::eventually(&format!("it says `{text}`"), said);
    }

    /// The process that we started: the guard.
    pub(crate) fn guard(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The guard's child that does the work. Only before anything was orphaned is it the only one.
    #[track_caller]
    pub(crate) fn daemon(&self) -> i32 {
        let children = procs::children(self.guard());
        assert_eq!(children.len(), 1, "the guard has one child, the daemon: {children:?}");
        children[0]
    }

    /// Closes its stdin, as a client does that leaves.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has exited.
    #[track_caller]
    pub(crate) fn exited(&mut self) -> ExitStatus {
        let mut status = None;
        procs::eventually("the program exits", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it has exited")
    }

    /// Leaves and waits until it has exited, which must go well.
    #[track_caller]
    pub(crate) fn leave(mut self) {
        self.close();
        let status = self.exited();
        assert!(status.success(), "{status}: {}", self.heard.state.lock().unwrap().stderr);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The guard's death is the daemon's, and the daemon's that of everything below it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(nix::unistd::Pid::from_raw(self.guard()), Signal::SIGKILL);
            let _ = self.child.wait();
        }
        if thread::panicking() {
            return;
        }
        for line in self.lines() {
            assert!(line.json["jsonrpc"] == "2.0", "stdout carries the protocol and nothing else: {}", line.text);
        }
    }
}

fn listen(stdout: impl Read + Send + 'static, mut stderr: impl Read + Send + 'static, heard: &Arc<Heard>) {
    let out = Arc::clone(heard);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(text) = line else { break };
            let json = serde_json::from_str(&text).unwrap_or_default();
            out.state.lock().unwrap().lines.push(Line { text, json });
            out.more.notify_all();
        }
        out.state.lock().unwrap().over = true;
        out.more.notify_all();
    });
    let err = Arc::clone(heard);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stderr.read(&mut buffer) {
            err.state.lock().unwrap().stderr += &String::from_utf8_lossy(&buffer[..n]);
        }
    });
}

fn answers(line: &Line, id: &Value) -> bool {
    line.json.get("id") == Some(id) && line.json.get("method").is_none()
}

/// What every request of 2026-07-28 carries, and what the test wants to add.
fn modern_meta(capabilities: &Value, more: Value) -> Value {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    if let Value::Object(more) = more {
        meta.as_object_mut().expect("it is an object").extend(more);
    }
    meta
}
