//! The least that an MCP server can be: what it costs is what every host pays, so that measures are taken against it.
//!
//! `floor_server [--tools N] [--delay-ms N]`: the first tool is `echo`, the others are `tool_1`, `tool_2` and so on;
//! nothing is read before the delay is over.

use std::{
    io::{self, BufRead, Write},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    thread::sleep(Duration::from_millis(number(&args, "--delay-ms").unwrap_or(0)));
    let tools = number(&args, "--tools").unwrap_or(1);
    let mut stdout = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let Some(id) = message.get("id").filter(|_| message.get("method").is_some()) else { continue };
        let mut answer = if let Some(result) = answer(&message, tools) {
            json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
        } else {
            let error = json!({ "code": -32601, "message": "method not found" });
            json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
        };
        answer.push('\n');
        stdout.write_all(answer.as_bytes())?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(message: &Value, tools: u64) -> Option<Value> {
    let params = &message["params"];
    match message["method"].as_str()? {
        "initialize" => Some(json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "floor", "version": "0" },
        })),
        "tools/list" => Some(json!({ "tools": (0..tools).map(tool).collect::<Vec<_>>() })),
        "tools/call" => Some(json!({ "content": [{ "type": "text", "text": params["arguments"]["message"] }] })),
        "ping" => Some(json!({})),
        _ => None,
    }
}

fn tool(index: u64) -> Value {
    let name = if index == 0 { "echo".to_owned() } else { format!("tool_{index}") };
    let message =
        json!({ "type": "object", "properties": { "message": { "type": "string" } }, "required": ["message"] });
    json!({ "name": name, "description": "Gives back its message.", "inputSchema": message })
}

fn number(args: &[String], name: &str) -> Option<u64> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1)?.parse().ok()
}
