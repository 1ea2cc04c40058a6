//! Lists that are none, have no end, or hold what no list should.

use serde_json::{Value, json};

use crate::server::{Server, send};

/// Answers the question for the tools in that way; false when the way is none of these.
pub(super) fn answers(server: &Server, (id, params): (&Value, &Value), name: &str) -> bool {
    match name {
        "list-is-an-object" => server.answer(id, json!({ "tools": {} })),
        "list-is-missing" => server.answer(id, json!({})),
        "list-is-refused" => server.fail(id, -32603, "the database is locked"),
        "list-is-a-list" => server.answer(id, json!([])),
        "list-under-a-number-as-cursor" => server.answer(id, json!({ "tools": [], "nextCursor": 7 })),
        "list-under-ever-new-cursors" => page(server, (id, params), 1),
        "list-of-huge-pages" => page(server, (id, params), 300_000),
        "list-under-a-huge-cursor" => {
            server.answer(id, json!({ "tools": [tool("one", 1)], "nextCursor": "c".repeat(1 << 20) }));
        }
        "list-of-20000" => {
            let tools: Vec<Value> = (0..20_000).map(|n| tool(&format!("t{n}"), 1)).collect();
            server.answer(id, json!({ "tools": tools }));
        }
        "list-of-10000-that-are-none" => {
            let tools: Vec<Value> = (0..10_000).map(|n| json!({ "title": format!("{n}") })).collect();
            server.answer(id, json!({ "tools": tools }));
        }
        "odd-names" => server.answer(id, json!({ "tools": odd_names() })),
        "odd-schemas" => odd_schemas(id),
        _ => return false,
    }
    true
}

/// One tool, and the way to the next.
fn page(server: &Server, (id, params): (&Value, &Value), bytes: usize) {
    let number: u64 = params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let tools = [tool(&format!("t{number}"), bytes)];
    server.answer(id, json!({ "tools": tools, "nextCursor": (number + 1).to_string() }));
}

fn tool(name: &str, bytes: usize) -> Value {
    json!({ "name": name, "description": "d".repeat(bytes), "inputSchema": { "type": "object" } })
}

/// Names as people and programs make them; each is answered with itself.
fn odd_names() -> Vec<Value> {
    let long = "l".repeat(300);
    let names = [
        "good",
        "with space",
        "with.dot",
        "with/slash",
        "with\\backslash",
        "crab_🦀",
        &long,
        "",
        "twice",
        "twice",
        "__status",
        "status",
        "-",
        "ütf",
        "a\nb",
        "a\0b",
        "\"quoted\"",
    ];
    names.into_iter().map(|name| tool(name, 1)).chain([tool(&"n".repeat(100_000), 1)]).collect()
}

/// Schemas that are none, each under a name that says how.
fn odd_schemas(id: &Value) {
    let deep = format!("{}{{}}{}", r#"{"properties":{"a":"#.repeat(100_000), "}}".repeat(100_000));
    let large = json!({ "type": "object", "description": "x".repeat(1 << 20) }).to_string();
    let itself = r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#/properties/b"}}}"##;
    let root_itself = r##"{"$ref":"#"}"##;
    let schemas = [
        ("good", r#"{"type":"object"}"#),
        ("true", "true"),
        ("null", "null"),
        ("list", "[]"),
        ("text", "\"object\""),
        ("number", "7"),
        ("deep", &deep),
        ("large", &large),
        ("of_itself", itself),
        ("root_of_itself", root_itself),
    ];
    let mut tools: Vec<String> =
        schemas.iter().map(|(name, schema)| format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)).collect();
    tools.push(r#"{"name":"missing"}"#.to_owned());
    send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{}]}}}}"#, tools.join(",")));
}
