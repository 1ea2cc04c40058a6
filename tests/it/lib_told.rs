//! What the caller of an entry that is down, or of a tool that is not offered, reads: the entry, what happened, what to do
//! (spec/computer.md 12–13, 21–22).

use mcp_computer::{CallContext, Computer, EntryConfig, Error};
use serde_json::json;

use crate::support::{
    hostile::{assert_says, misbehaving},
    http::{Reply, Web},
    library::{Fake, deferred, health_of, names, never_restarted, sent, server, up, within},
    program::Scratch,
};

/// The error of a call that was in flight when its server ended.
async fn in_flight(fake: &Fake) -> String {
    let error = fake.call("crash", json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_crash_takes_along_is_told_what_becomes_of_the_server() {
    let error = in_flight(&Fake::up([]).await).await;
    assert_says(&error, &["SIGABRT", "started again by itself in", "call again", "`computer check`", "about to crash"]);
    let error = in_flight(&Fake::of([], never_restarted).await).await;
    assert_says(&error, &["not started again by itself", "`restart` is `never`", "restart the entry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_entry_is_stopped_under_it_is_told_so() {
    let fake = Fake::up([]).await;
    let hanging = fake.hanging(CallContext::default()).await;
    within("a stop", fake.computer.stop_entry("fake")).await.unwrap();
    let error = within("the call", hanging).await.unwrap_err().to_string();
    assert_says(&error, &["the server was stopped", "its entry was stopped, restarted or removed"]);
}

/// What is said of a call of the entry `fake`.
async fn refused(computer: &Computer) -> String {
    let error = within("a call", computer.call("fake__echo", &json!({ "message": "x" }))).await.unwrap_err();
    assert!(matches!(error, Error::NotReady { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_entry_that_nobody_wants_up_says_how_it_comes_up() {
    let fake = Fake::up([]).await;
    within("a stop", fake.computer.stop_entry("fake")).await.unwrap();
    assert_says(&refused(&fake.computer).await, &["entry `fake` is stopped", "restart_entry()"]);
    let computer = up([("fake", deferred(server(["--tools", "1"])))]).await;
    assert_says(&refused(&computer).await, &["entry `fake` is deferred", "restart_entry()"]);
    let off = EntryConfig { disabled: true, ..server(["--tools", "1"]).into() };
    let computer = up([("fake", off)]).await;
    assert_says(
        &refused(&computer).await,
        &["entry `fake` is disabled", "by the configuration", "take `disabled` out"],
    );
    let fake = Fake::of([], never_restarted).await;
    in_flight(&fake).await;
    assert_says(&refused(&fake.computer).await, &["entry `fake` is failed", "SIGABRT", "restart the entry"]);
}

/// What is said of a call of a tool that the server has and that is not offered.
async fn left_out(computer: &Computer, name: &str) -> String {
    assert!(!names(computer).contains(&name.to_owned()));
    let error = within("a call", computer.call(name, &json!({}))).await.unwrap_err();
    assert!(matches!(error, Error::ToolLeftOut { .. }), "{error:?}");
    assert_says(&error.to_string(), &[&format!("`{name}`"), "has the tool", "left out"]);
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_the_configuration_hides_is_told_with_what_hides_it() {
    let mut entry = EntryConfig::from(server::<&str>([]));
    entry.tools.deny = vec!["cra*".to_owned()];
    let computer = up([("fake", entry)]).await;
    let error = left_out(&computer, "fake__crash").await;
    assert_says(&error, &["entry `fake`", "`crash`", "`cra*` in `tools.deny`", "take that out"]);
    let error = within("a call", computer.call("fake__no_such_tool", &json!({}))).await.unwrap_err();
    assert!(matches!(error, Error::UnknownTool { .. }), "the server has none of that name: {error:?}");

    let mut entry = EntryConfig::from(server::<&str>([]));
    entry.tools.allow = Some(vec!["echo".to_owned()]);
    let error = left_out(&up([("fake", entry)]).await, "fake__crash").await;
    assert_says(&error, &["`tools.allow`", "write `crash` there"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_nobody_could_take_is_told_with_what_is_wrong_with_it() {
    let hostile = misbehaving(["odd-schemas"]).await;
    let error = left_out(&hostile.0, "bad__deep").await;
    assert_says(&error, &["entry `bad`", "nested deeper", "newer version"]);

    let wrong = json!({ "type": "object", "properties": { "a": { "type": "object", "x-mcp-header": "A" } } });
    let tools = json!({ "tools": [{ "name": "act", "inputSchema": {} }, { "name": "bad", "inputSchema": wrong }] });
    let web = Web::modern(move |request| request.is("tools/list").then(|| request.result(&tools)));
    let error = left_out(&up([("web", Computer::http(web.url()))]).await, "web__bad").await;
    assert_says(&error, &["entry `web`", "x-mcp-header", "newer version"]);
}

#[test]
fn the_command_line_says_too_why_a_tool_is_left_out() {
    let entry = json!({ "command": crate::support::fake::path(), "tools": { "deny": ["crash"] } });
    let run = Scratch::entries(json!({ "fake": entry })).run(["call", "fake__crash"]);
    run.fails_with(2).says(["entry `fake`", "has the tool `crash`", "`tools.deny`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_whose_tools_none_can_be_used_says_so_before_all_else() {
    let first = async |computer: &Computer, name: &str| {
        let health = health_of(computer, name).await;
        assert_eq!((health.state, health.healthy, health.tools), ("ready", true, 0), "{health:?}");
        health.problems[0].clone()
    };
    let hostile = misbehaving(["list-of-10000-that-are-none"]).await;
    assert_says(&first(&hostile.0, "bad").await, &["no tool of it can be used", "each of the 10000", "told below"]);
    assert!(health_of(&hostile.0, "good").await.problems.is_empty());

    let mut entry = EntryConfig::from(server(["--tools", "2"]));
    entry.tools.deny = vec!["*".to_owned()];
    let computer = up([("fake", entry)]).await;
    assert_says(&first(&computer, "fake").await, &["no tool of it can be used", "`tools.deny`", "none of the 2"]);

    let nothing = Web::legacy(|request| request.is("tools/list").then(|| request.result(&json!({ "tools": [] }))));
    let computer = up([("web", Computer::http(nothing.url()))]).await;
    assert_eq!(health_of(&computer, "web").await.problems, Vec::<String>::new(), "it never had any");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_comes_with_a_status_is_told_with_it_and_with_what_to_do() {
    for (status, words) in [(500, "500 Internal Server Error"), (429, "429 Too Many Requests"), (503, "503 Service")] {
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -1, "message": "the pool is full" } });
        let web = Web::legacy(move |request| request.is_call().then(|| Reply::json(status, &error)));
        let computer = up([("web", Computer::http(web.url()))]).await;
        let error = within("a call", sent(&computer, "web__act", CallContext::default())).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert_says(&error.to_string(), &[&web.url(), words, "the error -1: `the pool is full`", "call again later"]);
        assert_eq!(health_of(&computer, "web").await.state, "ready");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_whatever_its_status_is_a_sign_of_life() {
    let web = Web::legacy(|request| {
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32601, "message": "what is a ping?" } });
        request.is("ping").then(|| Reply::json(500, &error))
    });
    let computer = up([("web", Computer::http(web.url()))]).await;
    let health = health_of(&computer, "web").await;
    assert_eq!((health.healthy, health.error), (true, None));
    assert_eq!(web.posted("ping").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_names_its_request_is_the_servers_own_word_whatever_the_status() {
    let web = Web::legacy(|request| {
        let error = json!({ "code": -32042, "message": "first log in", "data": { "url": "https://x.test" } });
        let answer = json!({ "jsonrpc": "2.0", "id": request.message()["id"], "error": error });
        request.is_call().then(|| Reply::json(500, &answer))
    });
    let computer = up([("web", Computer::http(web.url()))]).await;
    let error = within("a call", computer.call("web__act", &json!({}))).await.unwrap_err();
    assert!(matches!(&error, Error::Server { code: -32042, data: Some(_), .. }), "{error:?}");
}
