//! The status tool (spec/computer.md 25), in this process.

use mcp_computer::{Computer, EntryConfig, Error, ToolProvider, ToolSchema, config::StatusTools};
use serde_json::{Value, json};

use crate::support::library::{
    Fake, comes_true, deferred, gated, made_of, names, never_restarted, open_gate, server, told, up, with_diagnostics,
    with_status_tools, within,
};

fn one() -> EntryConfig {
    server(["--tools", "1"]).into()
}

fn status_tool(computer: &Computer) -> ToolSchema {
    let status = computer.tool_schemas().into_iter().find(|schema| schema.name == "fake__status");
    status.unwrap_or_else(|| panic!("no status tool: {:?}", names(computer)))
}

async fn status(computer: &Computer, arguments: Value) -> Value {
    within("the status tool", computer.call("fake__status", &arguments)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_wakes_a_deferred_entry() {
    let computer = up([("fake", deferred(one()))]).await;
    assert_eq!(names(&computer), ["fake__status"]);
    assert_eq!(status_tool(&computer).input_schema["properties"]["connect"]["type"], "boolean");
    let health = within("health", computer.health()).await;
    assert_eq!((health.total_tools, health.entries[0].tools), (0, 0), "it is ours and not the server's");
    let told = status(&computer, json!({})).await;
    assert_eq!(told, json!({ "status": "deferred", "error": "Deferred - connect via restart_entry()" }));
    let told = status(&computer, json!({ "connect": true })).await;
    assert_eq!(told, json!({ "status": "ready", "tools": ["fake__echo"] }));
    assert_eq!(names(&computer), ["fake__echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_mends_a_failed_entry() {
    let dir = tempfile::tempdir().unwrap();
    let entry = never_restarted(gated(dir.path()));
    let computer = made_of([("fake", with_diagnostics(entry, "an open gate", "open the gate"))]);
    within("the start", computer.start()).await.unwrap_err();
    let told = status(&computer, json!({ "connect": false })).await;
    assert_eq!((&told["status"], &told["prerequisites"]), (&json!("failed"), &json!(["an open gate"])));
    assert_eq!(told["suggestedFixes"], json!(["open the gate"]));
    assert!(told["error"].as_str().is_some_and(|error| error.contains("the gate is shut")), "{told}");
    let told = status(&computer, json!({ "connect": true })).await;
    assert_eq!((&told["status"], &told["tools"]), (&json!("failed"), &Value::Null));
    open_gate(dir.path());
    let told = status(&computer, json!({ "connect": true })).await;
    assert_eq!(told["status"], "ready");
    assert!(told["tools"].as_array().unwrap().contains(&json!("fake__echo")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_starts_what_was_stopped() {
    let fake = Fake::up([]).await;
    within("stopping", fake.computer.stop_entry("fake")).await.unwrap();
    assert_eq!(names(&fake.computer), ["fake__status"]);
    assert_eq!(status(&fake.computer, json!({})).await["status"], "stopped");
    assert_eq!(status(&fake.computer, json!({ "connect": true })).await["status"], "ready");
    assert_eq!(fake.call("pid", json!({})).await.unwrap(), fake.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_waits_and_was_never_up_offers_it() {
    let dir = tempfile::tempdir().unwrap();
    let computer = made_of([("fake", gated(dir.path()))]);
    within("the start", computer.start()).await.unwrap_err();
    let told = status(&computer, json!({})).await;
    assert!(told["status"] == "waiting" || told["status"] == "starting", "{told}");
    assert!(told["error"].as_str().is_some_and(|error| error.contains("the gate is shut")), "{told}");
    open_gate(dir.path());
    comes_true("it comes up, and the status tool goes", || {
        let names = names(&computer);
        names.contains(&"fake__echo".to_owned()) && !names.contains(&"fake__status".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_may_be_kept_from_connecting() {
    let kept = EntryConfig { agent_control: false, ..deferred(one()) };
    let computer = up([("fake", kept)]).await;
    assert_eq!(status_tool(&computer).input_schema["properties"], json!({}));
    assert_eq!(status(&computer, json!({})).await["status"], "deferred");
    let error =
        within("the status tool", computer.call("fake__status", &json!({ "connect": true }))).await.unwrap_err();
    assert!(error.to_string().contains("agentControl"), "{error}");
    assert_eq!(names(&computer), ["fake__status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_always_be_there() {
    let computer = with_status_tools(StatusTools::Always, [("fake", one())]);
    within("the start", computer.start()).await.unwrap();
    assert_eq!(names(&computer), ["fake__echo", "fake__status"]);
    assert_eq!(status(&computer, json!({})).await, json!({ "status": "ready" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_never_be_there() {
    let computer = with_status_tools(StatusTools::Never, [("fake", deferred(one()))]);
    within("the start", computer.start()).await.unwrap();
    assert_eq!(names(&computer), Vec::<String>::new());
    let error = computer.call("fake__echo", &json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::NotReady { state, .. } if state == "deferred"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_there_while_a_crashed_entry_is_brought_back() {
    let fake = Fake::up([]).await;
    let mut events = fake.computer.events();
    fake.kill();
    for state in ["waiting", "starting", "ready"] {
        told(&mut events, "fake", state).await;
        assert!(!names(&fake.computer).contains(&"fake__status".to_owned()), "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_never_stands_before_a_status_of_the_servers_own() {
    let mut entry = one();
    entry.tools.rename = vec![("echo".to_owned(), "status".to_owned())];
    let computer = with_status_tools(StatusTools::Always, [("fake", entry)]);
    within("the start", computer.start()).await.unwrap();
    assert_eq!(names(&computer), ["fake__status"]);
    assert_eq!(status(&computer, json!({ "message": "mine" })).await, "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_boolean_is_refused() {
    let computer = up([("fake", deferred(one()))]).await;
    let error =
        within("the status tool", computer.call("fake__status", &json!({ "connect": "yes" }))).await.unwrap_err();
    assert!(matches!(&error, Error::Arguments { tool, .. } if tool == "fake__status"), "{error:?}");
    assert_eq!(names(&computer), ["fake__status"]);
}
