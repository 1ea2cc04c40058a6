//! The tools, each with one behaviour.

use std::{env, fs::File, path::Path, process, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    misbehave, orphans,
    server::{Server, notify},
    wide,
};

const UNKNOWN_FIELDS: &str = include_str!("unknown_fields.json");

/// The tools with behaviours: name, description, the properties of its arguments.
const BEHAVIOURS: [(&str, &str, &[&str]); 20] = [
    ("add_tool", "adds a tool and says that the list has changed", &["name"]),
    ("answer", "answers with the given result, as it is", &["result"]),
    ("cancelled", "the ids of the requests that were cancelled", &[]),
    ("crash", "aborts in the middle of the call", &[]),
    ("cwd", "the working directory", &[]),
    ("echo", "echoes its message", &["message"]),
    ("env", "the environment", &[]),
    ("error", "answers with a JSON-RPC error", &[]),
    ("hang", "never answers", &[]),
    ("is_error", "answers with an error result", &[]),
    ("log", "sends log messages, then answers", &["count"]),
    ("big", "answers with so many bytes", &["bytes"]),
    ("params", "the params of the request", &[]),
    ("pid", "the pid of the server", &[]),
    ("progress", "sends progress, then answers", &["steps"]),
    ("read_only_crash", "crashes when the marker is not there", &["marker"]),
    ("seen", "what the server has received", &[]),
    ("sleep", "answers after a while, cancelled or not", &["ms"]),
    ("spawn_orphans", "leaves children behind", &["pidfile"]),
    ("unknown_fields", "a result with fields that nobody knows", &[]),
];

/// What becomes of a call.
pub(crate) enum Outcome {
    Result(Value),
    Raw(&'static str),
    Error(i64, String),
    Later,
}

/// The whole list of tools.
pub(crate) fn catalog(server: &Server) -> Vec<Value> {
    let options = &server.options;
    let mut tools = match options.tools {
        None => BEHAVIOURS.iter().map(|(name, about, arguments)| tool(name, about, arguments)).collect(),
        Some(n) => (0..n).map(plain).collect::<Vec<_>>(),
    };
    if options.tools.is_some() && options.big.is_some() {
        tools.push(tool("big", "answers with so many bytes", &["bytes"]));
    }
    if !options.misbehave.is_empty() {
        tools.push(tool("misbehave", "does what no server should", &["how", "count"]));
    }
    if options.wide {
        tools.extend(wide::TOOLS.iter().map(|(name, about, arguments)| tool(name, about, arguments)));
    }
    if options.bad_tool {
        tools.extend(bad_tools());
    }
    tools.extend(server.seen().added.iter().map(|name| tool(name, "added at run time", &[])));
    tools
}

fn plain(i: usize) -> Value {
    let name = if i == 0 { "echo".to_owned() } else { format!("tool_{i}") };
    tool(&name, "echoes its message", &["message"])
}

fn tool(name: &str, about: &str, arguments: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> = arguments.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    let mut tool = json!({
        "name": name,
        "description": about,
        "inputSchema": { "type": "object", "properties": properties },
    });
    if name == "read_only_crash" {
        tool["annotations"] = json!({ "readOnlyHint": true });
    }
    tool
}

fn bad_tools() -> Vec<Value> {
    let schema = json!({ "type": "object", "properties": {} });
    vec![
        json!({ "name": 7, "inputSchema": schema }),
        json!("nonsense"),
        json!({ "name": "string_schema", "inputSchema": "object" }),
        json!({ "name": "no_schema" }),
        json!({ "name": "with space", "inputSchema": schema }),
        json!({ "name": "with.dot", "inputSchema": schema }),
        json!({ "name": "crab_🦀", "inputSchema": schema }),
        json!({ "name": "x".repeat(300), "inputSchema": schema }),
        json!({ "name": "twice", "description": "the first", "inputSchema": schema }),
        json!({ "name": "twice", "description": "the second", "inputSchema": schema }),
    ]
}

/// Does what the tool does.
pub(crate) fn call(server: &Server, id: &Value, params: &Value) -> Outcome {
    let arguments = &params["arguments"];
    let name = params["name"].as_str().unwrap_or_default();
    match name {
        "add_tool" => add_tool(server, arguments),
        "answer" => Outcome::Result(arguments["result"].clone()),
        "big" => text(&"x".repeat(number(&arguments["bytes"]).or(server.options.big).unwrap_or(1 << 20))),
        "cancelled" => text(&json!(server.seen().cancelled).to_string()),
        "crash" => crash(),
        "cwd" => text(&env::current_dir().unwrap_or_default().to_string_lossy()),
        "echo" => text(arguments["message"].as_str().unwrap_or_default()),
        "env" => text(&environment().to_string()),
        "error" => Outcome::Error(-32050, "told to fail".to_owned()),
        "hang" => Outcome::Later,
        "is_error" => {
            Outcome::Result(json!({ "content": [{ "type": "text", "text": "it went wrong" }], "isError": true }))
        }
        "misbehave" => misbehave::call(server, id, arguments),
        "log" => log(server, arguments, &params["_meta"]),
        "params" => text(&params.to_string()),
        "pid" => text(&process::id().to_string()),
        "progress" => progress(arguments, &params["_meta"]["progressToken"]),
        "read_only_crash" => read_only_crash(arguments),
        "seen" => seen(server),
        "sleep" => sleep(server, id, arguments),
        "spawn_orphans" => spawn_orphans(arguments),
        _ if server.options.wide && wide::TOOLS.iter().any(|(tool, ..)| *tool == name) => server.wide_tool(id, params),
        "unknown_fields" => Outcome::Raw(UNKNOWN_FIELDS),
        _ if catalog(server).iter().any(|tool| tool["name"] == name) => text(&format!("called {name}")),
        _ => Outcome::Error(-32602, format!("unknown tool: {name}")),
    }
}

fn text(text: &str) -> Outcome {
    Outcome::Result(text_result(text))
}

fn text_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn number(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

fn add_tool(server: &Server, arguments: &Value) -> Outcome {
    let name = arguments["name"].as_str().unwrap_or("added").to_owned();
    server.seen().added.push(name);
    server.changed("tools");
    text("added")
}

fn crash() -> ! {
    eprintln!("about to crash");
    process::abort()
}

fn environment() -> Value {
    let variables = env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), json!(v.to_string_lossy())));
    Value::Object(variables.collect())
}

fn log(server: &Server, arguments: &Value, meta: &Value) -> Outcome {
    // The newest generation sends log messages only to requests that ask for them.
    let wanted = !server.options.modern() || !meta["io.modelcontextprotocol/logLevel"].is_null();
    for i in 1..=number(&arguments["count"]).unwrap_or(1) {
        if wanted {
            notify("notifications/message", &json!({ "level": "info", "data": i }));
        }
    }
    text("logged")
}

fn progress(arguments: &Value, token: &Value) -> Outcome {
    let steps = number(&arguments["steps"]).unwrap_or(3);
    for step in 1..=steps {
        if !token.is_null() {
            let params = json!({ "progressToken": token, "progress": step, "total": steps, "x-own": true });
            notify("notifications/progress", &params);
        }
    }
    text("done")
}

fn read_only_crash(arguments: &Value) -> Outcome {
    let marker = Path::new(arguments["marker"].as_str().expect("a marker is given"));
    if marker.exists() {
        return text("survived");
    }
    File::create(marker).expect("the marker can be written");
    crash()
}

fn seen(server: &Server) -> Outcome {
    let seen = server.seen();
    text(
        &json!({ "methods": seen.methods, "unexpected": seen.unexpected, "late": seen.answered_late,
                  "asked": seen.wide.open_questions() })
        .to_string(),
    )
}

fn sleep(server: &Server, id: &Value, arguments: &Value) -> Outcome {
    let time = Duration::from_millis(arguments["ms"].as_u64().unwrap_or(100));
    let (server, id) = (server.clone(), id.clone());
    thread::spawn(move || {
        thread::sleep(time);
        server.answer(&id, text_result("slept"));
    });
    Outcome::Later
}

fn spawn_orphans(arguments: &Value) -> Outcome {
    let path = arguments["pidfile"].as_str().expect("a pidfile is given");
    let time = arguments["time"].as_str().unwrap_or("1000");
    let scattered = if arguments["scatter"] == true { orphans::scatter(time) } else { Ok(()) };
    match scattered.and_then(|()| orphans::leave(Path::new(path), time)) {
        Ok(()) => text("left"),
        Err(error) => Outcome::Error(-32000, format!("cannot leave orphans: {error}")),
    }
}
