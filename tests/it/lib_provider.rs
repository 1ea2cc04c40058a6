//! What a host plugs into a server SDK (spec/computer.md 35–38), in this process.

use futures_util::FutureExt;
use mcp_computer::{
    AddOptions, Computer, ComputerConfig, DynamicTool, Event, ToolError, ToolHandler, ToolProvider, ToolSchema,
};
use serde_json::{Map, Value, json};

use crate::support::library::{Fake, deferred, names, server, up, within};

fn tool(name: &str) -> DynamicTool {
    let schema = ToolSchema {
        name: name.to_owned(),
        description: "Doubles".to_owned(),
        input_schema: json!({ "type": "object", "properties": { "n": { "type": "integer" } } }),
        output_schema: None,
    };
    let handler = ToolHandler::new(|arguments: Map<String, Value>| async move {
        let n = arguments.get("n").and_then(Value::as_i64).ok_or_else(|| ToolError::new("`n` is missing"))?;
        Ok(json!(2 * n))
    });
    DynamicTool { schema, handler }
}

fn arguments(arguments: Value) -> Map<String, Value> {
    serde_json::from_value(arguments).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_of_every_kind_stand_side_by_side() {
    let computer = up([("fake", server(["--tools", "1"]))]).await;
    let providers: Vec<Box<dyn ToolProvider>> = vec![Box::new(computer), Box::new(vec![tool("double")])];
    let all: Vec<String> = providers.iter().flat_map(|provider| names(provider.as_ref())).collect();
    assert_eq!(all, ["fake__echo", "double"]);
    for provider in &providers {
        assert!(provider.tool_handlers().into_keys().eq(names(provider.as_ref())));
    }
    let echo = providers[0].tool_handlers()["fake__echo"].clone();
    assert_eq!(within("a call", echo.call(arguments(json!({ "message": "hi" })))).await.unwrap(), "hi");
    let double = providers[1].tool_handlers()["double"].clone();
    assert_eq!(double.call(arguments(json!({ "n": 21 }))).await.unwrap(), 42);
    assert_eq!(double.call(Map::new()).await.unwrap_err(), ToolError::new("`n` is missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_provider_can_find_out_what_it_is() {
    let plain: Box<dyn ToolProvider> = Box::new(vec![tool("double")]);
    assert!(plain.as_dynamic().is_none() && plain.as_device().is_none() && plain.changes().is_none());
    let computer: Box<dyn ToolProvider> = Box::new(Computer::new(ComputerConfig::new()));
    assert!(computer.as_dynamic().is_some() && computer.as_device().is_some() && computer.changes().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_can_be_changed_through_the_provider() {
    let provider: Box<dyn ToolProvider> = Box::new(up([("a", server(["--tools", "1"]))]).await);
    let dynamic = provider.as_dynamic().unwrap();
    let entry = server(["--tools", "1"]).into();
    within("adding", dynamic.add_entry("b", entry, AddOptions { deferred: true })).await.unwrap();
    assert!(dynamic.has_entry("b") && !dynamic.has_entry("c"));
    let health = within("restarting", dynamic.restart_entry("b")).await.unwrap();
    assert_eq!((health.name.as_str(), health.state), ("b", "ready"));
    assert_eq!(names(provider.as_ref()), ["a__echo", "b__echo"]);
    within("removing", dynamic.remove_entry("a")).await;
    assert_eq!(names(provider.as_ref()), ["b__echo"]);
    assert!(within("restarting", dynamic.restart_entry("a")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_tells_how_it_is_and_can_be_mended() {
    let provider: Box<dyn ToolProvider> = Box::new(up([("a", server(["--tools", "1"]))]).await);
    let device = provider.as_device().unwrap();
    let health = within("health", device.health()).await;
    assert!(health.healthy && health.total_tools == 1);
    let ready = within("mending", device.ensure_ready()).await;
    assert!(ready.health.healthy && ready.recovered.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_written_as_an_agents_sdk_reads_it() {
    let fake = Fake::up([]).await;
    let schemas = serde_json::to_value(fake.computer.tool_schemas()).unwrap();
    let echo = schemas.as_array().unwrap().iter().find(|schema| schema["name"] == "fake__echo").unwrap();
    let properties = json!({ "message": {} });
    let input = json!({ "type": "object", "properties": properties });
    assert_eq!(*echo, json!({ "name": "fake__echo", "description": "echoes its message", "inputSchema": input }));
    let mut with_output = tool("double").schema;
    with_output.output_schema = Some(json!({ "type": "object" }));
    let written = serde_json::to_value(&with_output).unwrap();
    assert_eq!(written["outputSchema"], json!({ "type": "object" }));
    assert_eq!(serde_json::from_value::<ToolSchema>(written).unwrap(), with_output);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_entry_says_of_its_failure_can_be_tried_again_or_not() {
    let computer = up([("fake", server::<&str>([]))]).await;
    let handlers = computer.tool_handlers();
    let refused = within("a call", handlers["fake__error"].call(Map::new())).await.unwrap_err();
    assert_eq!((refused.message.as_str(), refused.retryable), ("told to fail", false));
    let failed = within("a call", handlers["fake__is_error"].call(Map::new())).await.unwrap();
    assert_eq!(failed, json!({ "error": "it went wrong" }), "a tool that failed has answered");
    let died = within("a call", handlers["fake__crash"].call(Map::new())).await.unwrap_err();
    assert!(died.retryable && died.message.contains("about to crash"), "{died:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_when_the_tools_differ() {
    let provider: Box<dyn ToolProvider> = Box::new(up([("a", server(["--tools", "1"]))]).await);
    let mut changes = provider.changes().unwrap();
    assert_eq!(changes.next().now_or_never(), None, "nothing has changed yet");
    let dynamic = provider.as_dynamic().unwrap();
    let entry = server(["--tools", "1"]).into();
    within("adding", dynamic.add_entry("b", entry, AddOptions::default())).await.unwrap();
    within("the change", changes.next()).await.unwrap();
    within("restarting", dynamic.restart_entry("b")).await.unwrap();
    within("removing", dynamic.remove_entry("b")).await;
    within("the change", changes.next()).await.unwrap();
    drop(provider);
    within("the end", async { while changes.next().await.is_some() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_typed_events() {
    let computer = up([("a", deferred(server(["--tools", "1"])))]).await;
    let mut events = computer.events();
    within("restarting", computer.restart_entry("a")).await.unwrap();
    within("removing", computer.remove_entry("a")).await;
    within("adding", computer.add_entry("b", server(["--tools", "1"]), AddOptions { deferred: true })).await.unwrap();
    drop(computer);
    let mut told = Vec::new();
    within("the end", async {
        while let Some(event) = events.next().await {
            told.push(event);
        }
    })
    .await;
    let ready = Event::StateChanged { namespace: "a".into(), state: "ready", tools: Some(1), error: None };
    let (removed, added) = (Event::EntryRemoved { namespace: "a".into() }, Event::EntryAdded { namespace: "b".into() });
    let places = [ready, removed, added].map(|event| told.iter().position(|told| *told == event));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told:?}");
    assert_eq!(
        serde_json::to_value(Event::ToolsChanged { tools: 3 }).unwrap(),
        json!({ "event": "toolsChanged", "tools": 3 })
    );
}
