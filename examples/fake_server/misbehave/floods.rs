//! More than anybody wants to hear.

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{good, write, write_line};
use crate::server::{self, Server, notify};

/// Floods, then answers the call, or does not; false when the flood is none of these.
pub(super) fn begin(server: &Server, (id, arguments): (&Value, &Value), how: &str) -> bool {
    let count = arguments["count"].as_u64().unwrap_or(1);
    match how {
        "noise" => (0..count).for_each(|_| noise()),
        "deep-noise" => write_line(&"[".repeat(100_000)),
        "large-line" => large_line(count),
        "endless-line" => while server::write(&[b'x'; 4 << 10]) {},
        "strange-progress" => (0..count).for_each(strange_progress),
        "logs" => (0..count).for_each(log),
        "large-logs" => (0..count).for_each(|_| large_log()),
        "large-notices" => (0..count).for_each(|_| large_notice()),
        "unknown-notifications" => (0..count).for_each(|n| notify("notifications/of/our/own", &json!({ "n": n }))),
        "changes" => return changes(server, (id, count)),
        "pings" => (0..count).for_each(|n| ask(&json!(n), "ping")),
        "questions" => (0..count).for_each(|n| ask(&json!(format!("q-{n}")), "sampling/createMessage")),
        "unknown-questions" => (0..count).for_each(|n| ask(&json!(format!("u-{n}")), "no/such/method")),
        "strange-answers" => (0..count).for_each(|n| write_line(&good(&json!(1_000_000 + n)))),
        "bytes-of-noise" => by_the_block("a line of a log that went to the wrong place\n", count),
        "bytes-of-logs" => by_the_block(&(message_of(1000) + "\n"), count),
        "bytes-of-strange-answers" => by_the_block(&format!("{}\n", good(&json!(7))), count),
        "stderr" => on_stderr(usize::try_from(count).unwrap_or(usize::MAX), b"a line of a log that is quite long\n"),
        _ => return false,
    }
    if let Some(marker) = arguments["marker"].as_str() {
        std::fs::write(marker, "").expect("the marker can be written");
    }
    write_line(&good(id));
    true
}

/// The same line again and again, many at a time, until so many bytes are written.
fn by_the_block(line: &str, bytes: u64) {
    let block = line.repeat((64 << 10) / line.len());
    for _ in 0..bytes / block.len() as u64 {
        write(block.as_bytes());
    }
}

fn message_of(bytes: usize) -> String {
    let params = json!({ "level": "info", "data": "l".repeat(bytes) });
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }).to_string()
}

/// Lines that are no JSON-RPC, one of each kind.
fn noise() {
    const KINDS: [&str; 10] = [
        "starting up...",
        "17",
        "\"text\"",
        "[1,2,3]",
        "[]",
        "{}",
        r#"{"level":"info","msg":"hi"}"#,
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"method":7,"id":{}}"#,
        "{\"a\":",
    ];
    for kind in KINDS {
        write_line(kind);
    }
}

fn large_line(bytes: u64) {
    let chunk = vec![b'x'; 64 << 10];
    for _ in 0..bytes / chunk.len() as u64 {
        write(&chunk);
    }
    write(b"\n");
}

fn strange_progress(n: u64) {
    let token = if n.is_multiple_of(2) { json!(format!("c-{}", 1_000_000 + n)) } else { json!(n) };
    notify("notifications/progress", &json!({ "progressToken": token, "progress": n }));
}

fn log(n: u64) {
    let data = format!("{n} {}", "log ".repeat(50));
    notify("notifications/message", &json!({ "level": "info", "data": data }));
}

fn large_log() {
    notify("notifications/message", &json!({ "level": "info", "data": "l".repeat(1 << 20) }));
}

fn large_notice() {
    notify("notifications/of/our/own", &json!({ "data": "n".repeat(1 << 20) }));
}

fn ask(id: &Value, method: &str) {
    let params = json!({ "messages": [], "maxTokens": 1 });
    write_line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
}

/// Says a thousand times a second that the tools have changed, and each time they have; then answers.
fn changes(server: &Server, (id, count): (&Value, u64)) -> bool {
    let (server, id) = (server.clone(), id.clone());
    thread::spawn(move || {
        for n in 0..count {
            server.seen().added = vec![format!("at_{n}")];
            server.changed("tools");
            thread::sleep(Duration::from_millis(1));
        }
        write_line(&good(&id));
    });
    true
}

/// What many a server says before it is asked anything.
pub(super) fn chatter() {
    (0..500).for_each(log);
    (0..500).for_each(|n| ask(&json!(n), "ping"));
    write_line(&good(&json!(99)));
    write_line(&good(&json!("c-1")));
}

pub(super) fn on_stderr(bytes: usize, line: &[u8]) {
    let mut stderr = io::stderr().lock();
    for _ in 0..bytes / line.len() {
        if stderr.write_all(line).is_err() {
            return;
        }
    }
}
