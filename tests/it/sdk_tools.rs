//! Tools of a session: static ones, groups, those of a Computer; and who looks at their results.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use mcp_computer::{
    AddOptions, Computer, DynamicTool, EntryConfig, ShellMode, ToolError, ToolHandler, ToolProvider, ToolSchema,
    sdk::{AttachOptions, FileReference, Resource, SdkError, ToolGroup, WorkerOptions},
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    library::{Fake, server, up, within},
    program::text,
    real,
    sdk::{asks, bodies, call, client, events, fails, finish, gives, over, platform, session, told, turn},
};

fn tool(name: &str, input_schema: Value, handler: ToolHandler) -> DynamicTool {
    let description = format!("does {name}");
    DynamicTool {
        schema: ToolSchema { name: name.to_owned(), description, input_schema, output_schema: None },
        handler,
    }
}

fn echo() -> ToolHandler {
    ToolHandler::new(|arguments: Map<String, Value>| async move { Ok(arguments.into()) })
}

fn named_calls(calls: &Value) -> Value {
    calls.as_array().unwrap().iter().map(|call| call["name"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_a_computer_are_called_and_followed() {
    let fake = Fake::up([]).await;
    let asked = asks(json!([
        { "toolCallId": "1", "toolName": "fake__echo", "args": { "message": "hi" } },
        call("2", "fake__is_error"),
        call("3", "fake__error"),
    ]));
    let platform = platform(json!([asked, over(), over(), over()])).await;
    let session = session(&platform, AttachOptions::new());
    session.set_dynamic_tools(fake.computer.clone());
    let told = events(session.execute(turn())).await;
    assert_eq!(told[1], json!({ "type": "tool-output-available", "toolCallId": "1", "output": "hi" }));
    assert_eq!(told[2]["output"], json!({ "error": "it went wrong" }), "a tool that failed has answered");
    assert_eq!(told[3], json!({ "type": "tool-output-error", "toolCallId": "3", "error": "told to fail" }));
    let names = |body: &Value| named_calls(&body["dynamicToolSchemas"]);
    assert!(names(&bodies(&platform)[1]).as_array().unwrap().contains(&json!("fake__echo")), "on every leg");
    within("adding", fake.computer.add_entry("more", server(["--tools", "1"]), AddOptions::default())).await.unwrap();
    events(session.execute(turn())).await;
    assert!(names(&bodies(&platform)[2]).as_array().unwrap().contains(&json!("more__echo")), "what has come is there");
    within("removing", fake.computer.remove_entry("fake")).await;
    events(session.execute(turn())).await;
    assert_eq!(names(&bodies(&platform)[3]), json!(["more__echo"]), "what has gone is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_turn_ends_the_tools_that_run_for_it() {
    struct Ends(Arc<AtomicBool>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let platform = platform(json!([asks(json!([call("1", "slow")])), asks(json!([call("1", "slow")]))])).await;
    let (ended, cancel) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
    let (guard, stop) = (ended.clone(), cancel.clone());
    let slow = ToolHandler::new(move |_| {
        let (guard, stop) = (Ends(guard.clone()), stop.clone());
        async move {
            let _guard = guard;
            stop.cancel();
            std::future::pending().await
        }
    });
    let session = session(&platform, AttachOptions::new().tool("slow", slow));
    let told = events(session.execute_until(turn(), cancel)).await;
    assert_eq!(told, [json!({ "type": "start", "executionId": "e" }), finish()]);
    assert!(ended.load(Ordering::SeqCst));
    assert_eq!(platform.count(), 1, "nothing is sent back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_computer_runs_is_taken_back_with_its_turn() {
    let fake = Fake::up([]).await;
    let platform = platform(json!([asks(json!([call("1", "fake__hang")]))])).await;
    let session = session(&platform, AttachOptions::new());
    session.set_dynamic_tools(fake.computer.clone());
    let cancel = CancellationToken::new();
    let stop = async {
        platform.asked(1).await;
        platform.settled().await;
        cancel.cancel();
    };
    let (told, ()) = tokio::join!(events(session.execute_until(turn(), cancel.clone())), stop);
    assert_eq!(told.last(), Some(&finish()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_has_failed_and_hurts_nobody() {
    let panics = ToolHandler::new(|_| async { panic!("a mistake in a handler") });
    let platform = platform(json!([asks(json!([call("1", "panics"), call("2", "fine")])), over()])).await;
    let options = AttachOptions::new().tool("panics", panics).tool("fine", gives(json!(1)));
    let told = events(session(&platform, options).execute(turn())).await;
    assert_eq!(told[1], json!({ "type": "tool-output-error", "toolCallId": "1", "error": "Tool execution failed" }));
    assert_eq!(told[2]["output"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_nobody_here_runs_can_be_rejected() {
    let mut other = call("1", "geo");
    other["thread"] = json!("t");
    other["outputVariable"] = json!("V");
    let platform = platform(json!([asks(json!([other, call("2", "ours")])), over()])).await;
    let options = AttachOptions::new().tool("ours", gives(json!(2))).reject_client_tool_calls();
    let told = events(session(&platform, options).execute(turn())).await;
    let error = "Tool \"geo\" is not available. No handler is registered for this tool.";
    assert_eq!(told[1]["toolCallId"], "2", "results of tools that are there come first");
    assert_eq!(told[2], json!({ "type": "tool-output-error", "toolCallId": "1", "error": error }));
    assert_eq!(
        bodies(&platform)[1]["toolResults"],
        json!([
            { "toolCallId": "2", "toolName": "ours", "result": 2 },
            { "toolCallId": "1", "toolName": "geo", "error": error, "outputVariable": "V", "thread": "t" },
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_looked_at_before_they_are_told_and_sent() {
    let seen = Arc::new(AtomicUsize::new(0));
    let looks = seen.clone();
    let calls = json!([call("1", "a"), call("2", "b")]);
    let platform = platform(json!([asks(calls), asks(json!([call("3", "geo")]))])).await;
    let options = AttachOptions::new().tool("a", gives(json!("long"))).tool("b", fails("no")).on_tool_results(
        move |mut results| {
            looks.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_eq!(results[1].error.as_deref(), Some("no"));
                results[0].result = Some(json!("short"));
                let (id, media_type, url) = ("f".to_owned(), "image/png".to_owned(), "http://x/f".to_owned());
                results[0].files = Some(vec![FileReference { id, media_type, url, filename: None, size: None }]);
                Ok(results)
            }
        },
    );
    let told = events(session(&platform, options).execute(turn())).await;
    assert_eq!(told[1]["output"], "short");
    let files = json!([{ "id": "f", "mediaType": "image/png", "url": "http://x/f" }]);
    let first = json!({ "toolCallId": "1", "toolName": "a", "result": "short", "files": files });
    assert_eq!(bodies(&platform)[1]["toolResults"][0], first);
    assert_eq!(seen.load(Ordering::SeqCst), 1, "nobody looks at no results");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_stay_as_they_are_when_looking_at_them_fails() {
    let platform = platform(json!([asks(json!([call("1", "a")])), over()])).await;
    let options = AttachOptions::new().tool("a", gives(json!("as it was"))).on_tool_results(|mut results| async move {
        results.clear();
        Err(ToolError::new("the storage is down"))
    });
    let told = events(session(&platform, options).execute(turn())).await;
    assert_eq!((&told[1]["output"], told.last()), (&json!("as it was"), Some(&finish())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_told_to_its_watcher_alone_and_always_as_an_event() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let update = |name: &str, value: Value| json!({ "type": "resource-update", "name": name, "value": value });
    let updates = json!([update("A", json!(1)), update("B", json!(2)), update("C", json!(null)), finish()]);
    let platform = platform(json!([told(updates.clone())])).await;
    let options = AttachOptions::new()
        .resource(Resource::new("A", move |value| notes.lock().unwrap().push(value.cloned().unwrap_or_default())))
        .resource(Resource::new("B", |_| panic!("a mistake in a watcher")));
    assert_eq!(json!(events(session(&platform, options).execute(turn())).await), updates);
    assert_eq!(*seen.lock().unwrap(), [json!(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_in_a_group_are_named_checked_and_outlive_other_tools() {
    let schema = json!({
        "type": "object", "properties": { "n": { "type": "number" }, "deep": { "type": "object", "properties": { "s": { "type": "string" } } } },
        "required": ["n"],
    });
    let group = ToolGroup::new("git-hub").unwrap().with(tool("get_it", schema, echo())).unwrap();
    let calls = json!([
        { "toolCallId": "1", "toolName": "git-hub__get_it", "args": { "n": 1, "more": 2 } },
        { "toolCallId": "2", "toolName": "git-hub__get_it", "args": { "deep": { "s": 3 } } },
    ]);
    let platform = platform(json!([asks(calls.clone()), over()])).await;
    let session = session(&platform, AttachOptions::new().tool("t", gives(json!(0))).group(group));
    session.set_dynamic_tools(vec![tool("x", json!({ "type": "object" }), echo())]);
    session.set_dynamic_tools(Vec::<DynamicTool>::new());
    session.set_dynamic_tools(vec![tool("y", json!({ "type": "object" }), echo())]);
    let told = events(session.execute(turn())).await;
    assert_eq!(told[1]["output"], json!({ "n": 1 }));
    let problems = "n: Invalid input: expected number, received undefined; deep.s: Invalid input: expected string, received number";
    assert_eq!(told[2]["error"], format!("Invalid arguments for \"git-hub__get_it\": {problems}"));
    let schemas = bodies(&platform)[1]["dynamicToolSchemas"].clone();
    assert_eq!(named_calls(&schemas), json!(["git-hub__get_it", "y"]), "groups come first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_in_a_group_gives_is_checked_where_it_says_what_it_gives() {
    let mut right = tool("right", json!({ "type": "object" }), gives(json!({ "n": 1, "more": 2 })));
    let output = json!({ "type": "object", "properties": { "n": { "type": "number" } }, "required": ["n"] });
    right.schema.output_schema = Some(output.clone());
    let mut wrong = tool("wrong", json!({ "type": "object" }), gives(json!({})));
    wrong.schema.output_schema = Some(output.clone());
    let group = ToolGroup::new("g").unwrap().with(right).unwrap().with(wrong).unwrap();
    let platform = platform(json!([asks(json!([call("1", "g__right"), call("2", "g__wrong")])), over()])).await;
    let told = events(session(&platform, AttachOptions::new().group(group)).execute(turn())).await;
    assert_eq!(told[1]["output"], json!({ "n": 1 }));
    let reason = "Invalid output from \"g__wrong\": n: Invalid input: expected number, received undefined";
    assert_eq!(told[2]["error"], reason);
    assert_eq!(bodies(&platform)[0]["dynamicToolSchemas"][0]["outputSchema"], output);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_clash_are_refused_when_a_session_is_attached() {
    let platform = platform(json!([])).await;
    let group =
        |name: &str| ToolGroup::new(name).unwrap().with(tool("t", json!({ "type": "object" }), echo())).unwrap();
    let attach = |options| client(&platform).agent_sessions().attach("s", options);
    for options in [
        AttachOptions::new().group(group("g")).group(group("g")),
        AttachOptions::new().tool("g__t", echo()).group(group("g")),
    ] {
        assert!(matches!(attach(options), Err(SdkError::Tools(_))));
    }
    for namespace in ["", "G", "1a", "a_b", "a b", "-a"] {
        assert!(ToolGroup::new(namespace).is_err(), "{namespace}");
    }
    assert!(group("g").with(tool("t", json!({}), echo())).is_err(), "twice the same");
    assert!(group("g").with(tool("No", json!({}), echo())).is_err(), "no name");
    let schema = tool("g__t", json!({}), echo()).schema;
    let options = WorkerOptions::new().schemas(vec![schema]).group(group("g"));
    let (told, error) = crate::support::sdk::all(client(&platform).workers().execute("w", Map::new(), options)).await;
    assert!(told.is_empty() && matches!(error, Some(SdkError::Tools(_))), "{error:?}");
    assert_eq!(platform.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_be_shared() {
    let provider: Arc<dyn ToolProvider> = Arc::new(up([("a", server(["--tools", "1"]))]).await);
    let platform = platform(json!([over()])).await;
    let session = session(&platform, AttachOptions::new());
    session.set_dynamic_tools(provider.clone());
    events(session.execute(turn())).await;
    assert_eq!(named_calls(&bodies(&platform)[0]["dynamicToolSchemas"]), json!(["a__echo"]));
    assert!(provider.as_dynamic().is_some() && provider.changes().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_of_files_and_a_shell_work_for_one_turn() {
    let Some(modules) = real::modules() else { return };
    let kept = tempfile::tempdir().unwrap();
    // The server names what it was given by its real path.
    let dir = kept.path().canonicalize().unwrap();
    let script = modules.join("@modelcontextprotocol/server-filesystem/dist/index.js");
    let files = EntryConfig::from(Computer::stdio("node", [text(&script), text(&dir)]));
    let shell = EntryConfig::from(Computer::shell(ShellMode::Unrestricted).cwd(&dir));
    let computer = up([("filesystem", files), ("shell", shell)]).await;
    let write = json!({ "path": dir.join("note.txt"), "content": "from the agent" });
    let platform = platform(json!([
        asks(json!([{ "toolCallId": "1", "toolName": "filesystem__write_file", "args": write }])),
        asks(json!([{ "toolCallId": "2", "toolName": "shell__run_command", "args": { "command": "cat note.txt" } }])),
        over(),
    ]))
    .await;
    let session = session(&platform, AttachOptions::new());
    session.set_dynamic_tools(computer.clone());
    let told = events(session.execute(turn())).await;
    assert!(told.iter().all(|event| event["type"] != "tool-output-error"), "{told:?}");
    assert!(told[3]["output"].to_string().contains("from the agent"), "{told:?}");
    assert_eq!(told.last(), Some(&finish()));
    within("stopping", computer.stop()).await;
}
