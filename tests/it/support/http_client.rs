//! Raw HTTP, a thin MCP client on it, and the daemon that it talks to.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use mcp_computer::{
    Computer, ComputerConfig, Namespace,
    front::http::{Limits, Options, bind},
};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    PATIENCE,
    client::MODERN,
    library::server,
    procs::{self, eventually},
    program::{Scratch, names},
};

/// `computer serve` with an HTTP front, in a process of its own.
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
    stderr: Arc<Mutex<String>>,
    _directories: Arc<TempDir>,
}

impl Daemon {
    /// Starts it without a token, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch) -> Self {
        Self::start_with(scratch, &["--no-token"])
    }

    /// Starts it with these flags, and waits until it listens.
    #[track_caller]
    pub(crate) fn start_with(scratch: &Scratch, flags: &[&str]) -> Self {
        Self::start_at(scratch, "127.0.0.1:0", flags)
    }

    /// Starts it at an address with these flags, and waits until it listens.
    #[track_caller]
    pub(crate) fn start_at(scratch: &Scratch, address: &str, flags: &[&str]) -> Self {
        Self::from_config(scratch, &[&["--http", address], flags].concat())
    }

    /// Starts it with these flags where its config says, and waits until it listens.
    #[track_caller]
    pub(crate) fn from_config(scratch: &Scratch, flags: &[&str]) -> Self {
        let mut command = scratch.command([&["serve"], flags].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self::of(scratch, command)
    }

    /// Starts it by a command of the test's, and waits until it listens.
    #[track_caller]
    pub(crate) fn of(scratch: &Scratch, mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (from, to) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                writeln!(to.lock().unwrap(), "{line}").unwrap();
            }
        });
        let address = listening(|| stderr.lock().unwrap().clone());
        Self { child, address, stderr, _directories: scratch.keep() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The guard's child that does the work.
    pub(crate) fn daemon(&self) -> i32 {
        procs::children(self.child.id().cast_signed())[0]
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        procs::signal(self.child.id().cast_signed(), signal);
    }

    /// Waits until it has exited.
    #[track_caller]
    pub(crate) fn exited(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the daemon exits", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it has exited")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The guard's death is the daemon's, and the daemon's that of everything below it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(nix::unistd::Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Waits for the line that says where it listens.
#[track_caller]
pub(crate) fn listening(stderr: impl Fn() -> String) -> SocketAddr {
    let mut address = None;
    eventually("the daemon listens", || {
        let said = stderr();
        let url = said.lines().find_map(|line| line.strip_prefix("listening http://"));
        address = url.and_then(|url| url.strip_suffix("/mcp")?.parse().ok());
        address.is_some()
    });
    address.expect("it listens")
}

/// A listener in this process, with one entry `fake`.
pub(crate) struct InProcess {
    pub(crate) address: SocketAddr,
    leave: CancellationToken,
    left: mpsc::Receiver<()>,
}

impl InProcess {
    /// Serves with these limits.
    pub(crate) fn limited(limits: Limits) -> Self {
        Self::start(Options { limits, ..Options::default() })
    }

    pub(crate) fn start(options: Options) -> Self {
        let leave = CancellationToken::new();
        let (told, address) = mpsc::channel();
        let (leaving, left) = mpsc::channel();
        let asked = leave.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let namespace: Namespace = "fake".parse().unwrap();
                let config = ComputerConfig::new().with(namespace.as_str(), server(["--wide"])).unwrap();
                let computer = Computer::new(config);
                computer.start().await.unwrap();
                let listener = bind("127.0.0.1:0", options).await.unwrap();
                told.send(listener.address()).unwrap();
                listener.serve(&computer, asked.cancelled()).await;
                let _ = leaving.send(());
                computer.stop().await;
            });
        });
        Self { address: address.recv_timeout(PATIENCE).expect("it listens"), leave, left }
    }

    /// Asks it to leave and waits until it has.
    #[track_caller]
    pub(crate) fn leave(&self) {
        self.leave.cancel();
        self.left.recv_timeout(PATIENCE).expect("it leaves");
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.leave.cancel();
    }
}

/// A request that is put together by hand.
#[derive(Clone)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let accept = ("Accept".to_owned(), "application/json, text/event-stream".to_owned());
        Self { method: method.to_owned(), path: path.to_owned(), headers: vec![accept], body: String::new() }
    }

    /// A message in a `POST`.
    pub(crate) fn post(path: &str, message: &Value) -> Self {
        Self::post_text(path, &message.to_string())
    }

    pub(crate) fn post_text(path: &str, text: &str) -> Self {
        let mut ask = Self::new("POST", path).header("Content-Type", "application/json");
        text.clone_into(&mut ask.body);
        ask
    }

    /// A `GET` that listens in a session.
    pub(crate) fn get(path: &str, session: &str) -> Self {
        Self::new("GET", path).header("Accept", "text/event-stream").header("Mcp-Session-Id", session)
    }

    /// With a header, in place of one of that name.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more header.
    pub(crate) fn another(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The text of it.
    pub(crate) fn text(&self, address: SocketAddr) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let given = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !given("host") {
            write!(text, "Host: {address}\r\n").unwrap();
        }
        for (name, value) in &self.headers {
            // A host that is not given at all is written with an empty name for itself.
            if value != NOT_AT_ALL {
                write!(text, "{name}: {value}\r\n").unwrap();
            }
        }
        if self.method == "POST" && !given("transfer-encoding") {
            write!(text, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        text + "\r\n" + &self.body
    }

    /// Sends it and reads the head of what comes back.
    #[track_caller]
    pub(crate) fn send(&self, address: SocketAddr) -> Reply {
        raw(address, self.text(address).as_bytes())
    }

    /// Sends it and reads nothing. The request is taken back when the connection is dropped.
    #[track_caller]
    pub(crate) fn begin(&self, address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(self.text(address).as_bytes()).unwrap();
        stream
    }

    /// The status of what comes back.
    #[track_caller]
    pub(crate) fn status(&self, address: SocketAddr) -> u16 {
        self.send(address).status
    }
}

/// The value of a header that is left out.
pub(crate) const NOT_AT_ALL: &str = "\0";

/// Sends bytes over a connection of their own and reads the head of what comes back.
#[track_caller]
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    Reply::read(stream)
}

/// What came back: its head, and its body as far as it is read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
    left: Left,
    ready: Vec<u8>,
}

enum Left {
    Bytes(usize),
    Chunks,
    Nothing,
}

/// An event of a stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    /// The message; null for an empty one.
    pub(crate) data: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn read(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            let read = stream.read_line(&mut line).expect("a head comes back");
            assert!(read > 0, "the connection was closed without a reply: {head:?}");
            let line = line.trim_end().to_owned();
            if line.is_empty() && head.first().is_some_and(|first: &String| first.contains(" 100 ")) {
                head.clear();
            } else if line.is_empty() {
                break;
            } else {
                head.push(line);
            }
        }
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        let pair =
            |line: &String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let mut reply = Self {
            status,
            headers: head[1..].iter().filter_map(pair).collect(),
            stream,
            left: Left::Nothing,
            ready: Vec::new(),
        };
        reply.left = match (reply.header("content-length"), reply.header("transfer-encoding")) {
            (Some(length), _) => Left::Bytes(length.parse().unwrap()),
            (None, Some(_)) => Left::Chunks,
            (None, None) => Left::Nothing,
        };
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    /// More of the body; false at its end.
    fn more(&mut self) -> bool {
        match self.left {
            Left::Nothing => false,
            Left::Bytes(length) => {
                self.left = Left::Nothing;
                let start = self.ready.len();
                self.ready.resize(start + length, 0);
                self.stream.read_exact(&mut self.ready[start..]).expect("the whole body comes");
                length > 0
            }
            Left::Chunks => {
                let mut line = String::new();
                if self.stream.read_line(&mut line).is_ok_and(|read| read == 0) {
                    self.left = Left::Nothing;
                    return false;
                }
                let length =
                    usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("no chunk: {line:?}"));
                let mut chunk = vec![0; length + 2];
                self.stream.read_exact(&mut chunk).expect("the whole chunk comes");
                self.ready.extend_from_slice(&chunk[..length]);
                if length == 0 {
                    self.left = Left::Nothing;
                }
                length > 0
            }
        }
    }

    /// The body to its end.
    pub(crate) fn body(&mut self) -> String {
        while self.more() {}
        String::from_utf8(std::mem::take(&mut self.ready)).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&mut self) -> Value {
        let body = self.body();
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{}: no JSON ({error}): {body:?}", self.status))
    }

    /// The next event, comments left out; nothing at the end of the stream.
    pub(crate) fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.ready.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.ready.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                if let Some(event) = Event::read(&block) {
                    return Some(event);
                }
            } else if !self.more() {
                assert!(self.ready.is_empty(), "half an event: {:?}", self.ready);
                return None;
            }
        }
    }

    /// Whether a comment is all that comes next.
    pub(crate) fn comment(&mut self) -> bool {
        while !self.ready.ends_with(b"\n\n") && self.more() {}
        self.ready.starts_with(b":")
    }

    /// The next message on the stream that is no answer and of this method.
    #[track_caller]
    pub(crate) fn told(&mut self, method: &str) -> Value {
        let told = std::iter::from_fn(|| self.event()).find(|event| event.data["method"] == method);
        told.unwrap_or_else(|| panic!("the stream ended without {method}")).data
    }

    /// All messages to the end, as JSON or as a stream; the answer is the last.
    #[track_caller]
    pub(crate) fn messages(&mut self) -> Vec<Value> {
        if self.is_stream() {
            std::iter::from_fn(|| self.event()).map(|event| event.data).filter(|data| !data.is_null()).collect()
        } else {
            vec![self.json()]
        }
    }

    /// Closes the connection, whatever comes.
    pub(crate) fn cut(self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }
}

impl Event {
    fn read(block: &str) -> Option<Self> {
        let mut event = Self::default();
        let mut is_comment = true;
        for line in block.lines().filter(|line| !line.starts_with(':') && !line.is_empty()) {
            is_comment = false;
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line}"));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = Some(value.to_owned()),
                "data" if value.is_empty() => {}
                "data" => event.data = serde_json::from_str(value).unwrap_or_else(|_| panic!("no JSON: {value}")),
                _ => panic!("an unknown field: {line}"),
            }
        }
        (!is_comment).then_some(event)
    }
}

/// A client at a path, of either generation.
pub(crate) struct Caller {
    address: SocketAddr,
    path: String,
    version: String,
    capabilities: Value,
    /// Its session, where there are sessions.
    pub(crate) session: Option<String>,
    token: Option<String>,
    next_id: u64,
}

impl Caller {
    /// A client that has said nothing yet.
    pub(crate) fn new(address: SocketAddr, path: &str, version: &str) -> Self {
        let (path, version) = (path.to_owned(), version.to_owned());
        Self { address, path, version, capabilities: json!({}), session: None, token: None, next_id: 1 }
    }

    /// A client of 2025-11-25 that has shaken hands.
    #[track_caller]
    pub(crate) fn legacy(address: SocketAddr) -> Self {
        let mut caller = Self::new(address, "/mcp", "2025-11-25");
        caller.initialize();
        caller
    }

    pub(crate) fn able(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Shakes hands; returns the result.
    #[track_caller]
    pub(crate) fn initialize(&mut self) -> Value {
        let info = json!({ "name": "test", "version": "0" });
        let params = json!({ "protocolVersion": self.version, "capabilities": self.capabilities, "clientInfo": info });
        let (ask, _) = self.ask("initialize", params);
        let mut reply = ask.send(self.address);
        assert_eq!(reply.status, 200, "the handshake");
        self.session = Some(reply.header("mcp-session-id").expect("a session").to_owned());
        let result = reply.messages().pop().unwrap()["result"].clone();
        assert_eq!(self.notify("notifications/initialized", &json!({})), 202);
        result
    }

    /// What all its messages have.
    pub(crate) fn message(&self, message: &Value) -> Ask {
        let mut ask = Ask::post(&self.path, message).header("MCP-Protocol-Version", &self.version);
        if let Some(session) = &self.session {
            ask = ask.header("Mcp-Session-Id", session);
        }
        if let Some(token) = &self.token {
            ask = ask.header("Authorization", &format!("Bearer {token}"));
        }
        if self.version != MODERN {
            return ask;
        }
        let (method, params) = (message["method"].as_str().unwrap_or_default(), &message["params"]);
        let name = [&params["name"], &params["uri"], &params["taskId"]].into_iter().find_map(Value::as_str);
        ask = ask.header("Mcp-Method", method);
        name.map_or(ask.clone(), |name| ask.header("Mcp-Name", name))
    }

    /// A request, ready to be sent, and its id.
    pub(crate) fn ask(&mut self, method: &str, mut params: Value) -> (Ask, Value) {
        let id = json!(self.next_id);
        self.next_id += 1;
        if self.version == MODERN {
            let mut meta = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            });
            if let Value::Object(more) = params["_meta"].take() {
                meta.as_object_mut().unwrap().extend(more);
            }
            params["_meta"] = meta;
        }
        (self.message(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })), id)
    }

    /// Sends a request and reads the head of what comes back.
    #[track_caller]
    pub(crate) fn open(&mut self, method: &str, params: Value) -> Reply {
        self.ask(method, params).0.send(self.address)
    }

    /// Calls a tool and reads the head of what comes back.
    #[track_caller]
    pub(crate) fn open_tool(&mut self, name: &str, arguments: &Value) -> Reply {
        self.open("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    /// Sends a request and waits for the answer.
    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        self.open(method, params).messages().pop().unwrap_or_else(|| panic!("no answer to {method}"))
    }

    /// Sends a request and waits for its result.
    #[track_caller]
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params);
        assert!(answer["error"].is_null() && !answer["result"].is_null(), "{method} failed: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool and waits for the text of its result.
    #[track_caller]
    pub(crate) fn call_text(&mut self, name: &str, arguments: &Value) -> String {
        let result = self.result("tools/call", json!({ "name": name, "arguments": arguments }));
        assert_ne!(result["isError"], true, "{name} failed: {result}");
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}")).to_owned()
    }

    /// The names of the tools.
    #[track_caller]
    pub(crate) fn tools(&mut self) -> Vec<String> {
        names(&self.result("tools/list", json!({}))["tools"])
    }

    /// Sends a notification; returns the status.
    #[track_caller]
    pub(crate) fn notify(&self, method: &str, params: &Value) -> u16 {
        self.message(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).status(self.address)
    }

    /// Answers a question; returns the status.
    #[track_caller]
    pub(crate) fn reply(&self, id: &Value, result: &Value) -> u16 {
        self.message(&json!({ "jsonrpc": "2.0", "id": id, "result": result })).status(self.address)
    }

    /// A `GET` of its session, ready to be sent.
    pub(crate) fn get(&self) -> Ask {
        let ask = Ask::get(&self.path, self.session.as_deref().expect("a session"));
        self.token.iter().fold(ask, |ask, token| ask.header("Authorization", &format!("Bearer {token}")))
    }

    /// Listens.
    #[track_caller]
    pub(crate) fn listen(&self) -> Reply {
        let reply = self.get().send(self.address);
        assert!(reply.status == 200 && reply.is_stream(), "{}", reply.status);
        reply
    }

    /// Ends its session; returns the status.
    #[track_caller]
    pub(crate) fn end(&self) -> u16 {
        Ask::new("DELETE", &self.path).header("Mcp-Session-Id", self.session.as_deref().unwrap()).status(self.address)
    }
}
