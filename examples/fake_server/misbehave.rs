//! What no server should do, by name: from its start on with `--misbehave NAME`, or in the middle of a call of the tool
//! `misbehave`, whose argument `how` is the name.

mod answers;
mod floods;
mod lists;
mod pipes;

use serde_json::{Value, json};

use crate::{
    server::{self, Server},
    tools::Outcome,
};

/// Begins what is done from the start on, whatever is asked.
pub(crate) fn begin(server: &Server) {
    for name in &server.options.misbehave {
        match name.as_str() {
            "byte-order-mark-first" => write(b"\xef\xbb\xbf"),
            "chatter-before-the-handshake" => floods::chatter(),
            "stderr-without-a-line-end" => floods::on_stderr(20 << 20, &[b'e'; 4096]),
            "stderr-with-escapes" => eprint!("\x1b]0;owned\x07\x1b[2J\x1b[1;31mthe key is wrong\x1b[0m\r\n"),
            "no-stderr" => pipes::close(pipes::Pipe::Stderr),
            _ => {}
        }
    }
}

/// Answers a request in the way that was asked for; false when that says nothing about it.
pub(crate) fn answers(server: &Server, (id, method, params): (&Value, &str, &Value)) -> bool {
    server.options.misbehave.iter().any(|name| match method {
        "initialize" => handshake(server, id, name),
        "tools/list" => lists::answers(server, (id, params), name),
        _ => false,
    })
}

/// Does the worst to the answer of the handshake.
fn handshake(server: &Server, id: &Value, name: &str) -> bool {
    match name {
        "handshake-answered-twice" => {
            server.initialize(id);
            server.initialize(id);
        }
        "handshake-answered-under-a-text" => server.initialize(&json!(id.to_string())),
        "handshake-refused" => server.fail(id, -32603, "the license has run out"),
        "handshake-without-a-result" => server.answer(id, json!(7)),
        "handshake-without-an-id" => {
            let error = json!({ "code": -32700, "message": "cannot read that" });
            write_line(&json!({ "jsonrpc": "2.0", "error": error }).to_string());
        }
        _ => return false,
    }
    true
}

/// What becomes of a call of the tool `misbehave`.
pub(crate) fn call(server: &Server, id: &Value, arguments: &Value) -> Outcome {
    let how = arguments["how"].as_str().unwrap_or_default();
    let known = answers::give(server, id, how) || floods::begin(server, (id, arguments), how) || pipes::harm(id, how);
    assert!(known, "nobody knows how to `{how}`");
    Outcome::Later
}

/// A good answer to a call.
fn good(id: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"done"}}]}}}}"#)
}

/// Writes bytes as they are.
fn write(bytes: &[u8]) {
    server::write(bytes);
}

fn write_line(text: &str) {
    write(format!("{text}\n").as_bytes());
}
