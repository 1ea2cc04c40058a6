//! `examples/node`: the platform's own SDK for Node, with the tools of a daemon that runs.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};

use crate::support::{
    fake::{self, fake},
    http_client::Daemon,
    platform::Platform,
    procs::eventually,
    program::{Run, Scratch, run, text},
    real,
    sdk::{asks, bodies, finish, platform, told},
};

/// The example beside the packages that it needs, in the place of `scratch`.
fn install(scratch: &Scratch) -> Option<()> {
    let modules = real::modules()?;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node");
    for script in ["computer.mjs", "session.mjs"] {
        fs::copy(example.join(script), scratch.path(script)).unwrap();
    }
    symlink(modules, scratch.path("node_modules")).unwrap();
    Some(())
}

/// The daemon of a scratch place, its entries up.
fn up(scratch: &Scratch, flags: &[&str]) -> Daemon {
    let daemon = Daemon::start_with(scratch, flags);
    eventually("everything is up", || scratch.run(["status", "--json"]).json()["healthy"] == true);
    daemon
}

fn node(scratch: &Scratch, arguments: &[&str]) -> Run {
    let mut command = scratch.other("node".as_ref());
    command.args(arguments).env("OCTAVUS_API_KEY", "oct_secret");
    run(command, "")
}

/// A script that has the computer as `computer`, and what it prints.
fn script(scratch: &Scratch, body: &str) -> Value {
    let head = "import { connect } from './computer.mjs';\nconst computer = await connect();\n";
    let file =
        scratch.write("script.mjs", &format!("{head}const told = {{}};\n{body}\nconsole.log(JSON.stringify(told));"));
    node(scratch, &[text(&file)]).ok().json()
}

/// One turn by `session.mjs`.
async fn turn(scratch: Scratch, platform: &Platform) -> Run {
    let place = [platform.origin(), "s", "go", r#"{"USER_MESSAGE":"hello"}"#].map(ToOwned::to_owned);
    let session = move || node(&scratch, &[&["session.mjs"], &place.each_ref().map(String::as_str)[..]].concat());
    tokio::task::spawn_blocking(session).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_client_runs_a_turn_with_the_tools_of_the_daemon_that_runs() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path().canonicalize().unwrap();
    let Some(files) = real::node("server-filesystem", &[text(&dir)]) else { return };
    let entries = json!({ "files": files, "fake": fake(["--wide"]), "shell": { "type": "shell", "mode": "unrestricted", "cwd": dir } });
    let scratch = Scratch::entries(entries);
    let Some(()) = install(&scratch) else { return };
    let daemon = up(&scratch, &[]);
    let asked = |id: &str, name: &str, args: Value| json!({ "toolCallId": id, "toolName": name, "args": args });
    let write = json!({ "path": dir.join("note.txt"), "content": "from the agent" });
    let delta = json!({ "type": "text-delta", "id": "t", "delta": "it is done" });
    let platform = platform(json!([
        asks(json!([asked("1", "files__write_file", write)])),
        asks(json!([
            asked("2", "shell__run_command", json!({ "command": "cat note.txt" })),
            asked("3", "fake__echo", json!({ "message": "{\"a\":1}" })),
            asked("4", "fake__is_error", json!({})),
            asked("5", "fake__error", json!({})),
        ])),
        told(json!([delta, { "type": "text-end", "id": "t" }, finish()])),
    ]))
    .await;
    let ran = turn(scratch, &platform).await.ok();
    assert_eq!(ran.stdout, "it is done\n");
    assert_eq!(fs::read_to_string(dir.join("note.txt")).unwrap(), "from the agent");
    let [first, second, third] = bodies(&platform).try_into().unwrap();
    assert_eq!((&first["triggerName"], &first["input"]), (&json!("go"), &json!({ "USER_MESSAGE": "hello" })));
    let results = |body: &Value| body["toolResults"].as_array().unwrap().clone();
    let written = &results(&second)[0];
    assert!(written["result"].to_string().contains("Successfully wrote"), "{written}");
    let [shell, echo, is_error, error] = results(&third).try_into().unwrap();
    assert_eq!(shell["result"]["stdout"].as_str().map(str::trim), Some("from the agent"), "{shell}");
    assert_eq!(echo["result"], json!({ "a": 1 }), "without the packing of the protocol");
    assert_eq!(is_error["result"], json!({ "error": "it went wrong" }), "a tool that failed has answered");
    assert_eq!(error["error"], "told to fail");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_other_client_is_told_what_starts_one() {
    let scratch = Scratch::entries(json!({}));
    let Some(()) = install(&scratch) else { return };
    let platform = platform(json!([])).await;
    let ran = turn(scratch, &platform).await.fails_with(1);
    assert!(ran.stderr.contains("no daemon listens; `computer serve --http` starts one"), "{}", ran.stderr);
    assert_eq!(platform.count(), 0);
}

#[test]
fn the_computer_of_the_example_is_a_provider_of_the_shape_that_later_versions_want() {
    let scratch = Scratch::entries(json!({ "fake": fake(["--wide"]) }));
    let Some(()) = install(&scratch) else { return };
    let _daemon = up(&scratch, &[]);
    let told = script(
        &scratch,
        "const handlers = computer.toolHandlers();
         told.schemas = computer.toolSchemas();
         told.names = Object.keys(handlers);
         told.hi = await handlers.fake__echo({ message: 'hi' });
         told.failed = await handlers.fake__error({}).catch((error) => error.message);
         told.health = await computer.getHealth();
         told.ready = await computer.ensureReady();",
    );
    let schemas = told["schemas"].as_array().unwrap();
    let echo = schemas.iter().find(|schema| schema["name"] == "fake__echo").unwrap();
    assert!(echo["description"].is_string() && echo["inputSchema"]["type"] == "object", "{echo}");
    let keys = ["name", "description", "inputSchema", "outputSchema"];
    for schema in schemas {
        assert!(schema.as_object().unwrap().keys().all(|key| keys.contains(&key.as_str())), "{schema}");
    }
    let names: Vec<&Value> = schemas.iter().map(|schema| &schema["name"]).collect();
    assert_eq!(json!(names), told["names"], "each has its handler");
    assert_eq!((&told["hi"], &told["failed"]), (&json!("hi"), &json!("told to fail")));
    let health =
        json!({ "healthy": true, "entries": [{ "name": "fake", "healthy": true }], "totalTools": schemas.len() });
    assert_eq!((&told["health"], &told["ready"]), (&health, &health), "nothing had to recover");
}

#[test]
fn entries_come_and_go_through_the_computer_of_the_example() {
    let scratch = Scratch::entries(json!({ "fake": fake(["--tools", "1"]) }));
    let Some(()) = install(&scratch) else { return };
    let _daemon = up(&scratch, &[]);
    let entry = json!({ "type": "stdio", "command": fake::path(), "args": ["--tools", "1"] });
    let told = script(
        &scratch,
        &format!(
            "const has = () => [computer.hasEntry('more'), 'more__echo' in computer.toolHandlers()];
             told.before = has();
             await computer.addEntry('more', {entry}, {{ deferred: true }});
             told.deferred = has();
             told.restarted = await computer.restartEntry('more') ?? has();
             told.hi = await computer.toolHandlers().more__echo({{ message: 'hi' }});
             told.taken = await computer.addEntry('more', {entry}).catch((error) => error.code);
             await computer.removeEntry('more');
             await computer.removeEntry('more');
             told.after = has();
             told.nobody = await computer.restartEntry('more').catch((error) => error.code);"
        ),
    );
    let (yes, no) = (json!([true, true]), json!([false, false]));
    assert_eq!((&told["before"], &told["after"]), (&no, &no));
    assert_eq!((&told["deferred"], &told["restarted"]), (&json!([true, false]), &yes));
    let last = json!([told["hi"], told["taken"], told["nobody"]]);
    assert_eq!(last, json!(["hi", "conflict", "unknownNamespace"]));
}

#[test]
fn a_daemon_can_be_named_and_a_wrong_token_is_told() {
    let scratch = Scratch::entries(json!({ "fake": fake(["--tools", "1"]) }));
    let Some(()) = install(&scratch) else { return };
    let daemon = up(&scratch, &[]);
    let url = format!("http://{}", daemon.address());
    let scratch = scratch.variable("COMPUTER_URL", &url).variable("COMPUTER_TOKEN", "wrong");
    let file = scratch.write("script.mjs", "import { connect } from './computer.mjs';\nawait connect();\n");
    node(&scratch, &[text(&file)]).fails_with(1).says(["the token is missing or wrong"]);
    // Nobody listens on that port.
    let scratch = scratch.variable("COMPUTER_URL", "http://127.0.0.1:1");
    node(&scratch, &[text(&file)]).fails_with(1).says(["nobody listens at http://", "`computer serve --http` starts"]);
}
