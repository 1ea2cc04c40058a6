//! Many callers over one pair of pipes: each gets what is answered to its own id, and nobody else's.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// A client of 2025-11-25 on stdin and stdout. Threads share it.
pub(super) struct Pipe {
    stdin: Mutex<Option<ChildStdin>>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    calls: HashMap<u64, mpsc::Sender<Value>>,
    /// Ids whose request was taken back: an answer may come, once.
    taken_back: HashSet<u64>,
    /// Answers that nobody waits for.
    stray: Vec<String>,
}

impl Pipe {
    pub(super) fn new(stdin: ChildStdin) -> Self {
        Self { stdin: Mutex::new(Some(stdin)), waiting: Mutex::default() }
    }

    /// Gives each answer to whoever waits for it, until there are no more.
    pub(super) fn listen(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            let mut waiting = self.waiting.lock().unwrap();
            match message["id"].as_u64() {
                Some(id) if message["method"].is_null() => {
                    let taken = waiting.calls.remove(&id).is_some_and(|call| call.send(message).is_ok());
                    if !taken && !waiting.taken_back.remove(&id) {
                        waiting.stray.push(line);
                    }
                }
                None if !message["method"].is_null() => {}
                _ => waiting.stray.push(line),
            }
        }
    }

    /// Sends a request, and waits for the answer for so long.
    pub(super) fn request(&self, method: &str, params: &Value, bound: Duration) -> Option<Value> {
        let (_, answer) = self.ask(method, params);
        answer.recv_timeout(bound).ok()
    }

    /// Sends a request and takes it back after a while, unless it was answered.
    pub(super) fn take_back(&self, method: &str, params: &Value, after: Duration) -> Option<Value> {
        let (id, answer) = self.ask(method, params);
        if let Ok(answer) = answer.recv_timeout(after) {
            return Some(answer);
        }
        self.waiting.lock().unwrap().taken_back.insert(id);
        drop(answer);
        self.notify("notifications/cancelled", &json!({ "requestId": id }));
        None
    }

    pub(super) fn notify(&self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// What was answered that nobody had asked for, or twice.
    pub(super) fn stray(&self) -> Vec<String> {
        self.waiting.lock().unwrap().stray.clone()
    }

    /// Closes its end.
    pub(super) fn close(&self) {
        self.stdin.lock().unwrap().take();
    }

    fn ask(&self, method: &str, params: &Value) -> (u64, mpsc::Receiver<Value>) {
        let (call, answer) = mpsc::channel();
        let id = {
            let mut waiting = self.waiting.lock().unwrap();
            waiting.last += 1;
            let id = waiting.last;
            waiting.calls.insert(id, call);
            id
        };
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        (id, answer)
    }

    fn send(&self, message: &Value) {
        let mut stdin = self.stdin.lock().unwrap();
        stdin.as_mut().expect("it is open").write_all(format!("{message}\n").as_bytes()).expect("the program reads");
    }
}

/// Begins to listen, in a thread that ends with the program.
pub(super) fn listening(pipe: &std::sync::Arc<Pipe>, stdout: ChildStdout) -> thread::JoinHandle<()> {
    let pipe = pipe.clone();
    thread::spawn(move || pipe.listen(stdout))
}
