//! `computer run`: one turn of a session on a platform, with the tools of this computer.

use serde_json::{Value, json};

use crate::support::{
    fake::fake,
    platform::Platform,
    program::{Run, Scratch, text},
    sdk::{asks, bodies, finish, over, platform, told},
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake(["--tools", "1"]) })).variable("OCTAVUS_API_KEY", "oct_secret")
}

/// The program with these arguments, beside the platform.
async fn run(scratch: Scratch, arguments: &[&str]) -> Run {
    let arguments: Vec<String> = [&["run"], arguments].concat().into_iter().map(ToOwned::to_owned).collect();
    tokio::task::spawn_blocking(move || scratch.run(arguments)).await.unwrap()
}

fn echoes() -> Value {
    let call = json!({ "toolCallId": "1", "toolName": "fake__echo", "args": { "message": "hi" } });
    let other = json!({ "toolCallId": "2", "toolName": "geo", "args": {} });
    asks(json!([call, other]))
}

fn says(words: &str) -> Value {
    let delta = json!({ "type": "text-delta", "id": "t", "delta": words });
    told(json!([{ "type": "text-start", "id": "t" }, delta, { "type": "text-end", "id": "t" }, finish()]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_runs_with_the_tools_of_this_computer_and_its_text_is_on_stdout() {
    let platform = platform(json!([echoes(), says("it is \u{1b}[31mdone")])).await;
    let input = r#"{"USER_MESSAGE":"hello"}"#;
    let place = ["--platform", platform.origin(), "--session", "s"];
    let ran = run(scratch(), &[&place[..], &["--trigger", "go", "--trigger-input", input]].concat()).await.ok();
    assert_eq!(ran.stdout, "it is \\u{1b}[31mdone\n");
    let [first, second] = bodies(&platform).try_into().unwrap();
    assert_eq!((&first["triggerName"], &first["input"]), (&json!("go"), &json!({ "USER_MESSAGE": "hello" })));
    assert_eq!(first["dynamicToolSchemas"][0]["name"], "fake__echo");
    assert_eq!(second["toolResults"][0]["result"], "hi");
    assert!(second["toolResults"][1]["error"].as_str().unwrap().contains("not available"), "nobody shows this session");
    assert_eq!(platform.requests()[0]["headers"]["authorization"], "Bearer oct_secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_made_of_an_agent_and_each_event_is_a_line_of_json() {
    let start = json!({ "type": "start", "messageId": "m", "futureField": 1 });
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions", "legs": [{ "json": { "sessionId": "s" } }] },
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": [told(json!([start, finish()]))] },
    ]);
    let platform = Platform::start(&json!({ "routes": routes })).await.unwrap();
    let place = ["--platform", platform.origin(), "--agent", "a", "--input", r#"{"X":1}"#];
    let ran = run(scratch(), &[&place[..], &["--trigger", "go", "--json"]].concat()).await.ok();
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [start, finish()]);
    assert_eq!(bodies(&platform)[0], json!({ "agentId": "a", "input": { "X": 1 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_said_and_the_status_tells_it() {
    let refused = json!({ "status": 401, "json": { "error": "Invalid API key" } });
    let silent = told(json!([{ "type": "start" }]));
    let platform = platform(json!([refused, silent])).await;
    let place = ["--platform", platform.origin(), "--session", "s", "--trigger", "go"];
    for words in ["Invalid API key", "without a word"] {
        let ran = run(scratch(), &place).await.fails_with(1);
        assert!(ran.stderr.contains(words) && !ran.stderr.contains("oct_secret"), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_the_platform_calls_failed_has_failed_and_one_that_waits_says_so() {
    let ended = |reason: &str| told(json!([{ "type": "finish", "finishReason": reason }]));
    let platform = platform(json!([ended("error"), ended("length")])).await;
    let place = ["--platform", platform.origin(), "--session", "s", "--trigger", "go"];
    let failed = run(scratch(), &place).await.fails_with(1);
    assert!(failed.stderr.contains("the turn is over: it has failed"), "{}", failed.stderr);
    let cut = run(scratch(), &place).await.ok();
    assert!(cut.stderr.contains("there was no more room"), "{}", cut.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_a_platform_nothing_is_asked() {
    let platform = platform(json!([over()])).await;
    let place = ["--session", "s", "--trigger", "go"];
    let at = [&["--platform", platform.origin()], &place[..]].concat();
    for key in ["", " ", "oct\nkey"] {
        let ran = run(scratch().variable("OCTAVUS_API_KEY", key), &at).await.fails_with(2);
        assert!(ran.stderr.contains("`$OCTAVUS_API_KEY` is"), "{}", ran.stderr);
    }
    for url in ["nowhere", "http://127.0.0.1:1/?a=b"] {
        let ran = run(scratch(), &[&["--platform", url], &place[..]].concat()).await.fails_with(2);
        assert!(ran.stderr.contains("platform"), "{}", ran.stderr);
    }
    assert_eq!(platform.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_with_other_namespaces_is_refused_before_anything_is_asked() {
    let platform = platform(json!([over()])).await;
    let place = ["--platform", platform.origin(), "--session", "s", "--trigger", "go", "--protocol"];
    for (servers, words) in [
        ("browser: { source: device }\n  fake: { source: device }", &["no entry `browser`"][..]),
        ("fake: { source: remote }\n  x: { source: device }", &["no entry `x`", "knows no `fake`"]),
        ("[", &["protocol.yaml:"]),
    ] {
        let scratch = scratch();
        let file = scratch.write("protocol.yaml", &format!("mcpServers:\n  {servers}\n"));
        let ran = run(scratch, &[&place[..], &[text(&file)]].concat()).await.fails_with(2);
        assert!(words.iter().all(|words| ran.stderr.contains(words)), "{}", ran.stderr);
    }
    assert_eq!(platform.count(), 0);
    let scratch = scratch();
    let file = scratch.write("protocol.yaml", "mcpServers:\n  figma: { source: remote }\n  fake: { source: device }\n");
    run(scratch, &[&place[..], &[text(&file)]].concat()).await.ok();
    assert_eq!(platform.count(), 1);
}
