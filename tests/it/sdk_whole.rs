//! The complete example: an agent of a platform that writes files, runs commands and browses, by `computer run`. A real
//! server of files, a real shell, a real Chromium with the real chrome-devtools-mcp.

use std::{fs, path::Path};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::support::{
    chrome::{self, Answering},
    platform::Platform,
    program::{Scratch, text},
    real,
    sdk::{asks, finish, told},
};

/// What the agent's protocol says of this machine.
const PROTOCOL: &str = "mcpServers:
  browser: { description: Chrome, source: device }
  filesystem: { description: Files, source: device }
  shell: { description: Shell, source: device }
agent:
  model: some/model
  mcpServers: [filesystem, browser, shell]
";

/// The config of the example, as far as this machine lets it be.
fn config(scratch: &Scratch) -> Option<Value> {
    let chrome = chrome::config(&scratch.path("profile"))?;
    let script = real::modules()?.join("chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js");
    // The page that was opened last is meant: an agent that plays a script cannot read its number.
    let browser = json!({
        "command": "node",
        "args": [script, "--browser-url=${chrome.url}", "--no-page-id-routing", "--no-usage-statistics"],
        "env": { "CHROME_DEVTOOLS_MCP_NO_UPDATE_CHECKS": "1" },
    });
    let filesystem = real::node("server-filesystem", &[text(&scratch.path(""))])?;
    let shell = json!({ "type": "shell", "mode": "unrestricted" });
    let entries = json!({ "browser": browser, "filesystem": filesystem, "shell": shell });
    Some(json!({ "chrome": chrome, "mcpServers": entries }))
}

#[expect(clippy::needless_pass_by_value, reason = "arguments are written where they are given")]
fn asked(id: &str, name: &str, args: Value) -> Value {
    json!({ "toolCallId": id, "toolName": name, "args": args })
}

/// A platform whose agent writes a file, looks at it, opens a page, reads it and takes a picture of it.
async fn agent(page: &Answering, file: &Path) -> Platform {
    let write = json!({ "path": file, "content": "from the agent" });
    let delta = json!({ "type": "text-delta", "id": "t", "delta": "all is done" });
    let last = json!([{ "type": "text-start", "id": "t" }, delta, { "type": "text-end", "id": "t" }, finish()]);
    let turns = json!([
        asks(json!([
            asked("write", "filesystem__write_file", write),
            asked("open", "browser__new_page", json!({ "url": page.url() })),
        ])),
        asks(json!([
            asked("cat", "shell__run_command", json!({ "command": "cat note.txt" })),
            asked("read", "browser__take_snapshot", json!({})),
            asked("picture", "browser__take_screenshot", json!({})),
        ])),
        told(last),
    ]);
    let place = json!({ "id": "f1", "uploadUrl": "{{ORIGIN}}/put", "downloadUrl": "https://x/f1" });
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions", "legs": [{ "json": { "sessionId": "s" } }] },
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": turns },
        { "method": "POST", "path": "/api/files/upload-urls", "legs": [{ "json": { "files": [place] } }] },
        { "method": "PUT", "path": "/put", "legs": [{ "text": "" }] },
    ]);
    Platform::start(&json!({ "routes": routes })).await.unwrap()
}

/// The processes that were started with the name of this place.
fn naming(place: &Path) -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text(place))).collect()
}

/// What the platform was asked at this path, in turn.
fn bodies(platform: &Platform, path: &str) -> Vec<Value> {
    let requests = platform.requests().into_iter().filter(|request| request["path"] == path);
    requests.map(|request| request["body"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_writes_files_runs_commands_and_browses_and_nothing_is_left_of_it() {
    let scratch = Scratch::new().variable("OCTAVUS_API_KEY", "oct_secret");
    let Some(config) = config(&scratch) else { return };
    let (scratch, page) = (scratch.config(&config), Answering::page("<h1>The heading</h1>"));
    let work = scratch.path("").canonicalize().unwrap();
    let platform = agent(&page, &work.join("note.txt")).await;
    let protocol = scratch.write("protocol.yaml", PROTOCOL);
    let place = ["run", "--platform", platform.origin(), "--agent", "a", "--trigger", "user-message", "--json"];
    let arguments = [&place[..], &["--protocol", text(&protocol)]].concat().into_iter().map(ToOwned::to_owned);
    let arguments: Vec<String> = arguments.collect();
    let kept = scratch.keep();
    let ran = tokio::task::spawn_blocking(move || scratch.run(arguments)).await.unwrap().ok();
    assert_eq!(naming(kept.path()), [""; 0], "nothing runs any more");

    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outputs = events.iter().filter(|event| event["type"] == "tool-output-available");
    let ids: Vec<&Value> = outputs.map(|event| &event["toolCallId"]).collect();
    assert_eq!(json!(ids), json!(["write", "open", "cat", "read", "picture"]), "{}", ran.stdout);
    assert_eq!(events.last(), Some(&finish()));

    let [first, second, third] = bodies(&platform, "/api/agent-sessions/s/trigger").try_into().unwrap();
    let schemas = first["dynamicToolSchemas"].as_array().unwrap();
    for name in ["filesystem__write_file", "browser__take_screenshot", "shell__run_command"] {
        let schema = schemas.iter().find(|schema| schema["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(schema["inputSchema"]["type"], "object");
    }
    assert!(second["toolResults"][0]["result"].to_string().contains("Successfully wrote"), "{second}");
    assert!(second["toolResults"][1]["result"].to_string().contains(&page.url()), "{}", second["toolResults"]);
    let [cat, read, picture] = third["toolResults"].as_array().unwrap().clone().try_into().unwrap();
    assert_eq!(cat["result"]["stdout"].as_str().map(str::trim), Some("from the agent"), "{cat}");
    assert!(read["result"].to_string().contains("The heading"), "{read}");
    let image = picture["result"].as_array().unwrap().iter().find(|part| part["type"] == "image").unwrap();
    assert_eq!((&image["url"], &picture["files"][0]["id"]), (&json!("https://x/f1"), &json!("f1")), "{picture}");
    let uploaded = bodies(&platform, "/put").remove(0);
    let bytes = BASE64.decode(uploaded["b64"].as_str().unwrap().as_bytes()).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "the picture itself is where the platform can get it");
    assert_eq!(fs::read_to_string(kept.path().join("work/note.txt")).unwrap(), "from the agent");
}
