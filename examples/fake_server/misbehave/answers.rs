//! Answers that are none, or not the right ones, or not only.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use super::{good, write, write_line};
use crate::server::Server;

/// Answers the call in that way; false when the way is none of these.
pub(super) fn give(server: &Server, id: &Value, how: &str) -> bool {
    let message = |members: &str| write_line(&format!(r#"{{"jsonrpc":"2.0","id":{id},{members}}}"#));
    match how {
        "result-and-error" => message(r#""result":{"content":[]},"error":{"code":-1,"message":"it failed"}"#),
        "null-result-and-error" => message(r#""result":null,"error":{"code":-1,"message":"it failed"}"#),
        "result-and-null-error" => message(r#""error":null,"result":{"content":[{"type":"text","text":"done"}]}"#),
        "neither" => write_line(&format!(r#"{{"jsonrpc":"2.0","id":{id}}}"#)),
        "result-is-a-list" => message(r#""result":[1,2,3]"#),
        "result-is-a-text" => message(r#""result":"done""#),
        "result-is-null" => message(r#""result":null"#),
        "error-is-a-text" => message(r#""error":"it broke""#),
        "error-of-long-nonsense" => message(&format!(r#""error":{{"code":"{}"}}"#, "no-".repeat(10_000))),
        "error-without-words" => message(r#""error":{"code":-5}"#),
        "unknown-content" => message(
            r#""result":{"content":[{"type":"hologram","depth":3},{"type":7},null,{"type":"text","text":"done"}]}"#,
        ),
        "nothing-at-all" => message(r#""result":{}"#),
        "bottomless-result" => message(&format!(
            r#""result":{{"content":[],"structuredContent":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        )),
        "no-utf-8" => write(&[b"{\"jsonrpc\":\"2.0\",\"id\":", id.to_string().as_bytes(), LATIN].concat()),
        "zero-bytes" => message("\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"a\0b\"}]}"),
        "cut-off" => write_line(&good(id)[..60]),
        "carriage-returns" => write(format!("{}\r\n", good(id).replace(',', ",\r")).as_bytes()),
        "byte-order-mark" => write_line(&format!("\u{feff}{}", good(id))),
        "byte-by-byte" => one_by_one(id),
        "two-in-one-write" => pair(server, id),
        "in-a-bundle" => write_line(&format!("[{}, {}]", NOTE, good(id))),
        "twice" => write(format!("{0}\n{0}\n", good(id)).as_bytes()),
        "as-a-number" => write_line(&good(&json!(number(id)))),
        "to-others-first" => strangers(id),
        "blank-lines-first" => write(format!("\n \n\t\n\r\n{}\n", good(id)).as_bytes()),
        "after-a-while" => later(server, id),
        _ => return false,
    }
    true
}

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"hi"}}"#;

/// What comes after the id of an answer in a character set of long ago.
const LATIN: &[u8] = b",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}]}}\n";

fn one_by_one(id: &Value) {
    for byte in format!("{}\n", good(id)).bytes() {
        write(&[byte]);
    }
}

/// Keeps the first call waiting, and answers it with the second.
fn pair(server: &Server, id: &Value) {
    let first = server.seen().kept.take();
    match first {
        None => server.seen().kept = Some(id.clone()),
        Some(first) => write(format!("{}\n{}\n", good(id), good(&first)).as_bytes()),
    }
}

fn number(id: &Value) -> Option<u64> {
    id.as_str()?.rsplit('-').next()?.parse().ok()
}

/// Answers that nobody has asked for, then the one that somebody has.
fn strangers(id: &Value) {
    let strangers = [json!("c-999999"), json!("x"), json!(7), json!(null), json!([1]), json!({ "a": 1 }), json!(1.5)];
    for stranger in &strangers {
        write_line(&good(stranger));
    }
    write_line(r#"{"jsonrpc":"2.0","id":"c-999999","error":{"code":-1,"message":"not for you"}}"#);
    write_line(&good(id));
}

/// Answers when the call has long been given up, if it is told so.
fn later(server: &Server, id: &Value) {
    let (server, id) = (server.clone(), id.clone());
    thread::spawn(move || {
        while !server.seen().cancelled.contains(&id) {
            thread::sleep(Duration::from_millis(5));
        }
        write_line(&good(&id));
        server.seen().answered_late += 1;
    });
}
