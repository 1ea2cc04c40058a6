//! The HTTP front: sessions and what needs none, streams and how they are come back to.

use std::{
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use mcp_computer::front::http::Limits;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::{Client, LEGACY, MODERN},
    fake::{UNKNOWN_FIELDS, fake},
    http_client::{Ask, Caller, Daemon, InProcess, Reply, listening},
    procs::{alive, eventually, signal},
    program::Scratch,
};

const ABLE: &str = r#"{ "sampling": {}, "roots": {}, "elicitation": { "form": {}, "url": {} } }"#;

fn served() -> InProcess {
    InProcess::limited(Limits::default())
}

/// What takes its time becomes a stream at once.
fn impatient() -> InProcess {
    InProcess::limited(Limits { patience: Duration::from_millis(10), ..Limits::default() })
}

fn able(served: &InProcess, version: &str) -> Caller {
    let mut caller = Caller::new(served.address, "/mcp", version).able(serde_json::from_str(ABLE).unwrap());
    if version != MODERN {
        caller.initialize();
    }
    caller
}

fn every_generation(served: &InProcess, path: &str) -> Vec<Caller> {
    let mut callers: Vec<Caller> =
        LEGACY.iter().chain([&MODERN]).map(|version| Caller::new(served.address, path, version)).collect();
    callers[..LEGACY.len()].iter_mut().for_each(|caller| drop(caller.initialize()));
    callers
}

/// The ids of the calls that were cancelled at the server.
fn cancelled(caller: &mut Caller) -> usize {
    let ids: Value = serde_json::from_str(&caller.call_text("fake__cancelled", &json!({}))).unwrap();
    ids.as_array().unwrap().len()
}

#[test]
fn clients_of_every_generation_list_and_call_at_both_paths() {
    let served = served();
    for (path, prefix) in [("/mcp", "fake__"), ("/mcp/fake", "")] {
        for mut caller in every_generation(&served, path) {
            assert!(caller.tools().contains(&format!("{prefix}echo")));
            assert_eq!(caller.call_text(&format!("{prefix}echo"), &json!({ "message": "hi" })), "hi");
            let mut reply = caller.open_tool(&format!("{prefix}unknown_fields"), &json!({}));
            assert_eq!(reply.header("content-type"), Some("application/json"), "an answer alone is no stream");
            let body = reply.body();
            assert!(body.contains(UNKNOWN_FIELDS.trim().trim_start_matches('{')), "byte for byte: {body}");
        }
    }
}

#[test]
fn an_answer_comes_in_the_shape_that_the_client_takes() {
    let served = served();
    for version in ["2025-11-25", MODERN] {
        let mut caller = able(&served, version);
        let params =
            json!({ "name": "fake__progress", "arguments": { "steps": 2 }, "_meta": { "progressToken": "t" } });
        let (ask, _) = caller.ask("tools/call", params);
        let mut both = ask.send(served.address);
        assert!(both.is_stream());
        let messages = both.messages();
        let methods: Vec<_> = messages.iter().map(|message| message["method"].as_str().unwrap_or("answer")).collect();
        assert_eq!(methods, ["notifications/progress", "notifications/progress", "answer"]);
        assert_eq!(messages[0]["params"]["progressToken"], "t");
        let mut json = ask.clone().header("Accept", "application/json").send(served.address);
        assert_eq!(json.header("content-type"), Some("application/json"));
        assert_eq!(json.json()["result"]["content"][0]["text"], "done");
        let (ask, _) = caller.ask("tools/call", json!({ "name": "fake__echo", "arguments": { "message": "x" } }));
        let mut events = ask.clone().header("Accept", "text/event-stream").send(served.address);
        assert!(events.is_stream() && events.messages().len() == 1);
        assert_eq!(ask.header("Accept", "text/html").status(served.address), 406);
    }
}

#[test]
fn a_call_that_takes_its_time_becomes_a_stream_that_can_be_come_back_to() {
    let served = impatient();
    for (version, primed) in [("2025-06-18", false), ("2025-11-25", true)] {
        let mut reply = able(&served, version).open_tool("fake__sleep", &json!({ "ms": 200 }));
        assert!(reply.is_stream());
        let first = reply.event().unwrap();
        assert_eq!((first.data.is_null(), first.retry.is_some()), (primed, primed), "{version}: {first:?}");
        assert!(first.id.is_some());
        if primed {
            assert_eq!(reply.event().unwrap().data["result"]["content"][0]["text"], "slept");
        }
        assert!(reply.event().is_none(), "the answer is the last");
    }
}

/// The id of the first request after the handshake.
const FIRST: u64 = 2;

/// Opens a call that becomes a stream and reads its first event, from whose id on it can be come back to.
fn begun(caller: &mut Caller, ms: u64) -> (Reply, String) {
    let mut reply = caller.open_tool("fake__sleep", &json!({ "ms": ms }));
    let id = reply.event().unwrap().id.unwrap();
    (reply, id)
}

#[test]
fn a_broken_stream_is_come_back_to_and_its_answer_is_not_lost() {
    let served = impatient();
    let mut caller = able(&served, "2025-11-25");
    let (reply, id) = begun(&mut caller, 400);
    reply.cut();
    // Meanwhile there are others, whose messages must not come here.
    let (other, _) = begun(&mut caller, 100);
    let mut resumed = caller.get().header("Last-Event-ID", &id).send(served.address);
    assert!(resumed.status == 200 && resumed.is_stream());
    let answer = resumed.event().unwrap();
    assert_eq!((&answer.data["id"], &answer.data["result"]["content"][0]["text"]), (&json!(FIRST), &json!("slept")));
    assert!(resumed.event().is_none());
    // Once more: what was sent may have been lost on its way.
    let mut again = caller.get().header("Last-Event-ID", &id).send(served.address);
    assert_eq!(again.event().unwrap().id, answer.id);
    assert!(again.event().is_none());
    drop(other);
}

#[test]
fn an_answer_that_came_while_nobody_read_is_kept() {
    let served = impatient();
    let mut caller = able(&served, "2025-11-25");
    let (reply, id) = begun(&mut caller, 100);
    reply.cut();
    // The server answers one after the other: that one has been answered by then.
    assert_eq!(caller.call_text("fake__sleep", &json!({ "ms": 500 })), "slept");
    let mut resumed = caller.get().header("Last-Event-ID", &id).send(served.address);
    assert_eq!(resumed.event().unwrap().data["id"], FIRST);
    assert!(resumed.event().is_none());
}

#[test]
fn who_comes_back_takes_a_stream_over() {
    let served = impatient();
    let mut caller = able(&served, "2025-11-25");
    let (mut old, id) = begun(&mut caller, 300);
    let mut new = caller.get().header("Last-Event-ID", &id).send(served.address);
    assert!(old.event().is_none(), "nobody gets a message twice");
    assert_eq!(new.event().unwrap().data["id"], FIRST);
    for bad in ["x", "7", "1-2-3"] {
        assert_eq!(caller.get().header("Last-Event-ID", bad).status(served.address), 400, "{bad}");
    }
}

#[test]
fn a_broken_connection_is_no_cancellation_in_a_session_and_is_one_without() {
    let served = impatient();
    let mut caller = able(&served, "2025-11-25");
    caller.open_tool("fake__hang", &json!({})).cut();
    let mut modern = able(&served, MODERN);
    let params = json!({ "name": "fake__hang", "arguments": {} });
    let (ask, _) = modern.ask("tools/call", params);
    let stream = TcpStream::connect(served.address).unwrap();
    (&stream).write_all(ask.text(served.address).as_bytes()).unwrap();
    eventually("both calls have arrived", || {
        let seen: Value = serde_json::from_str(&modern.call_text("fake__seen", &json!({}))).unwrap();
        // The two, and all that asked.
        seen["methods"]["tools/call"].as_u64().unwrap() >= 3
    });
    drop(stream);
    eventually("the one without a session is cancelled", || cancelled(&mut modern) == 1);
    assert_eq!(caller.notify("notifications/cancelled", &json!({ "requestId": FIRST })), 202);
    eventually("the other when it is said", || cancelled(&mut modern) == 2);
}

#[test]
fn a_session_that_is_ended_takes_everything_back() {
    let served = impatient();
    let mut caller = able(&served, "2025-11-25");
    let mut listening = caller.listen();
    let mut call = caller.open_tool("fake__hang", &json!({}));
    assert_eq!(caller.end(), 204);
    assert!(listening.event().is_none());
    let error = call.messages().pop().unwrap()["error"]["message"].clone();
    assert_eq!(error, "the session has ended; begin another with `initialize`");
    let mut reply = caller.open("tools/list", json!({}));
    assert_eq!((reply.status, &reply.json()["id"]), (404, &json!(FIRST + 1)));
    assert_eq!((caller.get().status(served.address), caller.end()), (404, 404));
    eventually("the server is told", || cancelled(&mut able(&served, MODERN)) == 1);
}

#[test]
fn a_session_that_listens_is_told_once_and_what_it_missed_waits() {
    let served = served();
    let mut caller = able(&served, "2025-11-25");
    caller.tools();
    let (mut old, mut new) = (caller.listen(), caller.listen());
    caller.call_text("fake__add_tool", &json!({ "name": "first" }));
    let told = new.event().unwrap();
    assert_eq!(told.data["method"], "notifications/tools/list_changed");
    drop(new);
    eventually("the older stream is told now", || {
        caller.call_text("fake__add_tool", &json!({ "name": "second" }));
        caller.tools().contains(&"fake__second".to_owned())
    });
    assert_eq!(old.told("notifications/tools/list_changed")["params"], Value::Null);
    old.cut();
    caller.call_text("fake__add_tool", &json!({ "name": "third" }));
    eventually("the tool is there", || caller.tools().contains(&"fake__third".to_owned()));
    caller.listen().told("notifications/tools/list_changed");
    // What was sent may have been lost on its way.
    let mut resumed = caller.get().header("Last-Event-ID", &told.id.unwrap()).send(served.address);
    resumed.told("notifications/tools/list_changed");
}

#[test]
fn what_an_entry_asks_goes_over_the_stream_of_its_call() {
    let served = impatient();
    let answer = json!({ "roots": [{ "uri": "file:///here" }] });
    let mut caller = able(&served, "2025-11-25");
    let mut call = caller.open_tool("fake__ask", &json!({ "method": "roots/list", "params": {} }));
    let question = call.told("roots/list");
    assert_eq!(caller.reply(&question["id"], &answer), 202);
    let told = call.messages().pop().unwrap();
    assert_eq!(told["result"]["content"][0]["text"], answer.to_string());
}

#[test]
fn what_an_entry_asks_goes_to_who_listens_when_the_stream_has_gone() {
    let served = impatient();
    let answer = json!({ "roots": [] });
    let mut caller = able(&served, "2025-11-25");
    let mut listening = caller.listen();
    // This one asks only after its connection has gone.
    let arguments = json!({ "method": "roots/list", "params": {}, "ms": 300 });
    let mut call = caller.open_tool("fake__ask", &arguments);
    let id = call.event().unwrap().id.unwrap();
    call.cut();
    let question = listening.told("roots/list");
    assert_eq!(caller.reply(&question["id"], &answer), 202);
    let mut resumed = caller.get().header("Last-Event-ID", &id).send(served.address);
    let told = resumed.messages().pop().unwrap();
    assert_eq!(told["result"]["content"][0]["text"], answer.to_string());
}

#[test]
fn a_client_without_a_session_calls_again_with_what_is_wanted() {
    let served = served();
    let mut caller = able(&served, MODERN);
    let arguments = json!({ "method": "roots/list", "params": {} });
    let wanted = caller.result("tools/call", json!({ "name": "fake__ask", "arguments": arguments }));
    assert_eq!(wanted["resultType"], "input_required", "{wanted}");
    let (key, request) = wanted["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(request["method"], "roots/list");
    let answer = json!({ "roots": [{ "uri": "file:///here" }] });
    let again =
        json!({ "arguments": arguments, "requestState": wanted["requestState"], "inputResponses": { key: answer } });
    let with = |name: &str| {
        let mut params = again.clone();
        params["name"] = name.into();
        params
    };
    let mut elsewhere = Caller::new(served.address, "/mcp/fake", MODERN).able(serde_json::from_str(ABLE).unwrap());
    let refused = elsewhere.request("tools/call", with("ask"));
    assert_eq!(refused["error"]["code"], -32602, "a state belongs to its path: {refused}");
    let result = caller.result("tools/call", with("fake__ask"));
    assert_eq!(result["content"][0]["text"], answer.to_string());
}

#[test]
fn a_listener_without_a_session_is_told_what_it_wants_to_hear_and_is_never_asked() {
    let served = served();
    let mut caller = able(&served, MODERN);
    let mut listening = caller.open("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let subscription = |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    let acknowledged = listening.event().unwrap().data;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(subscription(&acknowledged), json!(1));
    caller.call_text("fake__change", &json!({ "what": "prompts", "name": "new" }));
    caller.call_text("fake__add_tool", &json!({ "name": "fresh" }));
    let event = listening.event().unwrap();
    assert_eq!((&event.data["method"], &event.id), (&json!("notifications/tools/list_changed"), &None));
    assert_eq!(subscription(&event.data), json!(1));
}

#[test]
fn the_status_says_what_is_wrong_with_a_request_without_a_session() {
    let served = served();
    let mut caller = able(&served, MODERN);
    let call = json!({ "name": "fake__echo", "arguments": {} });
    let mut asked = |method: &str, params: &Value, change: fn(Ask) -> Ask| {
        let mut reply = change(caller.ask(method, params.clone()).0).send(served.address);
        let answer = reply.json();
        assert!(answer["id"].is_u64(), "each error says to what: {answer}");
        (reply.status, answer["error"]["code"].as_i64().unwrap_or_default())
    };
    let none = json!({});
    assert_eq!(asked("tools/call", &call, |ask| ask), (200, 0));
    for method in ["nothing/known", "initialize", "ping", "logging/setLevel", "resources/unsubscribe"] {
        assert_eq!(asked(method, &none, |ask| ask), (404, -32601), "{method}");
    }
    assert_eq!(asked("tools/call", &call, |ask| ask.without("Mcp-Method")), (400, -32020));
    assert_eq!(asked("tools/call", &call, |ask| ask.header("Mcp-Method", "TOOLS/CALL")), (400, -32020));
    assert_eq!(asked("tools/call", &call, |ask| ask.without("Mcp-Name")), (400, -32020));
    assert_eq!(asked("tools/call", &call, |ask| ask.header("Mcp-Name", "other")), (400, -32020));
    assert_eq!(asked("tools/call", &call, |ask| ask.header("Mcp-Name", "=?base64?ZmFrZV9fZWNobw==?=")), (200, 0));
    assert_eq!(asked("tools/call", &call, |ask| ask.without("MCP-Protocol-Version")), (400, -32020));
    assert_eq!(asked("tools/call", &call, |ask| ask.header("MCP-Protocol-Version", "2025-11-25")), (400, -32020));
    assert_eq!(asked("prompts/get", &json!({ "name": "x" }), |ask| ask), (200, -32602));
    let version = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "v9" } });
    assert_eq!(asked("server/discover", &version, |ask| ask), (400, -32020));
    assert_eq!(asked("server/discover", &version, |ask| ask.header("MCP-Protocol-Version", "v9")), (400, -32022));
    let lacking = json!({ "_meta": { "io.modelcontextprotocol/clientCapabilities": null } });
    assert_eq!(asked("server/discover", &lacking, |ask| ask), (400, -32602));
    let failing = json!({ "name": "fake__error", "arguments": {} });
    assert_eq!(asked("tools/call", &failing, |ask| ask), (200, -32050));
    assert_eq!(able(&served, MODERN).notify("notifications/cancelled", &json!({ "requestId": 1 })), 202);
    let get = |method: &str| Ask::new(method, "/mcp").header("MCP-Protocol-Version", MODERN).send(served.address);
    for method in ["GET", "DELETE"] {
        assert_eq!((get(method).status, get(method).header("allow")), (405, Some("POST")), "{method}");
    }
}

#[test]
fn a_message_that_is_none_is_refused() {
    let served = served();
    let caller = able(&served, "2025-11-25");
    let session = caller.session.clone().unwrap();
    let asked = |text: &str| {
        let mut reply = Ask::post_text("/mcp", text).header("Mcp-Session-Id", &session).send(served.address);
        (reply.status, reply.json()["error"]["code"].as_i64().unwrap_or_default())
    };
    assert_eq!(asked("{"), (400, -32700));
    assert_eq!(asked(r#"{"level":"info"}"#), (400, -32600));
    assert_eq!(asked(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), (400, -32600), "batches are not supported");
    assert_eq!(asked(r#"{"jsonrpc":"2.0","id":1,"method":"nothing/known"}"#), (200, -32601));
    for id in ["null", "true", "{}", "[1]"] {
        assert_eq!(asked(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)), (400, -32600), "{id}");
    }
    let plain = |text: &str| Ask::post_text("/mcp", text);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(plain(ping).status(served.address), 400, "a session is needed");
    assert_eq!(plain(ping).header("Mcp-Session-Id", "0123").status(served.address), 404);
    assert_eq!(plain(ping).header("MCP-Protocol-Version", "1999-01-01").status(served.address), 400);
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}}"#;
    assert_eq!(asked(twice), (200, -32600), "hands are shaken once");
    assert_eq!(plain(twice).header("MCP-Protocol-Version", "2025-06-18").status(served.address), 400);
    let bad = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let mut reply = plain(bad).send(served.address);
    assert_eq!((reply.status, reply.header("mcp-session-id").is_none()), (200, true));
    assert_eq!(reply.json()["error"]["code"], -32602);
}

#[test]
fn a_silent_stream_shows_that_it_lives() {
    let served = InProcess::limited(Limits {
        silence: Duration::from_millis(50),
        patience: Duration::from_millis(10),
        ..Limits::default()
    });
    let mut caller = able(&served, "2025-06-18");
    assert!(caller.listen().comment());
    assert!(caller.open_tool("fake__hang", &json!({})).comment());
    assert!(able(&served, MODERN).open_tool("fake__hang", &json!({})).comment());
}

#[test]
fn many_clients_are_served_at_the_same_time() {
    let served = served();
    thread::scope(|scope| {
        for number in 0..24 {
            let mut caller = able(&served, if number % 2 == 0 { "2025-11-25" } else { MODERN });
            scope.spawn(move || {
                for turn in 0..20 {
                    let message = format!("{number}-{turn}");
                    assert_eq!(caller.call_text("fake__echo", &json!({ "message": message })), message);
                }
            });
        }
    });
}

/// More than a connection takes that nobody reads from.
const BIG: usize = 12 << 20;

#[test]
fn who_does_not_read_holds_nobody() {
    let served = served();
    let mut lazy: Vec<Reply> = Vec::new();
    for version in ["2025-11-25", MODERN] {
        let mut caller = able(&served, version);
        for _ in 0..2 {
            lazy.push(caller.open_tool("fake__big", &json!({ "bytes": BIG })));
        }
        lazy.push(caller.open(
            "tools/call",
            json!({
                "name": "fake__progress", "arguments": { "steps": 5000 }, "_meta": { "progressToken": 1 },
            }),
        ));
        for version in ["2025-11-25", MODERN] {
            assert_eq!(able(&served, version).call_text("fake__echo", &json!({ "message": "hi" })), "hi");
        }
    }
    // Late, but whole.
    let body = lazy[0].body();
    assert!(body.len() > BIG, "{} bytes: {}", body.len(), &body[..200.min(body.len())]);
}

#[test]
fn an_unknown_entry_is_named_with_those_that_there_are() {
    let served = served();
    let mut reply = Caller::new(served.address, "/mcp/none", MODERN).open("server/discover", json!({}));
    let told = reply.json().to_string();
    assert!(reply.status == 404 && told.contains("`none`") && told.contains("fake"), "{told}");
}

#[test]
fn leaving_lets_calls_end_and_no_stream_holds_it() {
    let served = InProcess::limited(Limits { drain: Duration::from_secs(20), ..Limits::default() });
    let mut caller = able(&served, "2025-11-25");
    let mut modern = able(&served, MODERN);
    let mut listening = [
        caller.listen(),
        modern.open("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })),
    ];
    listening[1].told("notifications/subscriptions/acknowledged");
    let begun = Instant::now();
    thread::scope(|scope| {
        let call = scope.spawn(|| caller.call_text("fake__sleep", &json!({ "ms": 1500 })));
        eventually("the call is under way", || {
            modern.call_text("fake__seen", &json!({})).contains("tools/call")
                && begun.elapsed() > Duration::from_millis(300)
        });
        served.leave();
        assert_eq!(call.join().unwrap(), "slept");
    });
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(listening.iter_mut().all(|stream| stream.event().is_none()));
    assert!(TcpStream::connect(served.address).is_err(), "nobody is accepted any more");
}

#[test]
fn what_does_not_end_is_cut() {
    let served = InProcess::limited(Limits {
        drain: Duration::from_millis(100),
        patience: Duration::from_millis(10),
        ..Limits::default()
    });
    let mut caller = able(&served, "2025-11-25");
    let (_one, two) = (caller.open_tool("fake__hang", &json!({})), caller.open_tool("fake__hang", &json!({})));
    two.cut();
    let begun = Instant::now();
    served.leave();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_daemon_leaves_in_order_when_it_is_asked_to() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let mut daemon = Daemon::start(&scratch);
    let mut caller = Caller::legacy(daemon.address());
    let _listening = caller.listen();
    let server: i32 = caller.call_text("fake__pid", &json!({})).parse().unwrap();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.exited().code(), Some(143));
    assert!(!alive(server));
}

#[test]
fn the_end_of_stdin_ends_that_client_alone() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let mut client = Client::start_with(&scratch, &["--http", "127.0.0.1:0", "--no-token"]);
    client.initialize("2025-11-25");
    let mut caller = Caller::legacy(listening(|| client.stderr()));
    let pid = client.call_text("fake__pid", &json!({}));
    assert_eq!(caller.call_text("fake__pid", &json!({})), pid, "both have the same machine");
    client.close();
    // It takes longer than the program has for leaving a client that closed our stdin.
    assert_eq!(caller.call_text("fake__sleep", &json!({ "ms": 2000 })), "slept");
    assert_eq!(caller.call_text("fake__pid", &json!({})), pid);
    signal(client.guard(), Signal::SIGTERM);
    assert_eq!(client.exited().code(), Some(143));
}

#[test]
fn a_config_may_say_where_to_listen() {
    let scratch = Scratch::new()
        .config(&json!({ "mcpServers": { "fake": fake::<&str>([]) }, "serve": { "http": "127.0.0.1:0" } }));
    let daemon = Daemon::from_config(&scratch, &["--no-token"]);
    assert!(Caller::legacy(daemon.address()).tools().contains(&"fake__echo".to_owned()));
    // Many clients may start one of their own.
    let mut client = Client::connect(&scratch);
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "hi" })), "hi");
    client.leave();
}

#[test]
fn a_question_is_put_to_the_next_client_when_the_one_that_was_asked_ends_its_session() {
    let served = impatient();
    let mut stays = able(&served, "2025-11-25");
    let mut call = stays.open_tool("fake__ask", &json!({ "method": "roots/list", "params": {}, "ms": 500 }));
    let mut leaves = able(&served, "2025-11-25");
    let mut newest = leaves.open_tool("fake__hang", &json!({}));
    newest.told("roots/list");
    assert_eq!(leaves.end(), 204);
    let question = call.told("roots/list");
    let answer = json!({ "roots": [{ "uri": "file:///stays" }] });
    assert_eq!(stays.reply(&question["id"], &answer), 202);
    assert_eq!(call.messages().pop().unwrap()["result"]["content"][0]["text"], answer.to_string());
}

#[test]
fn a_question_is_put_to_who_can_be_asked_whoever_called_last() {
    let served = impatient();
    let answer = json!({ "roots": [] });
    let arguments = json!({ "method": "roots/list", "params": {}, "ms": 500 });
    for version in ["2025-11-25", MODERN] {
        let mut asked = able(&served, "2025-11-25");
        let mut call = asked.open_tool("fake__ask", &arguments);
        // A later call of somebody who cannot be asked, and one of somebody who was asked and never comes back.
        let mut deaf = Caller::new(served.address, "/mcp", version);
        if version != MODERN {
            deaf.initialize();
        }
        let _deaf = deaf.open_tool("fake__sleep", &json!({ "ms": 3000 }));
        let mut gone = able(&served, MODERN);
        let wanted = gone.result(
            "tools/call",
            json!({ "name": "fake__ask", "arguments": { "method": "roots/list", "params": {} } }),
        );
        assert_eq!(wanted["resultType"], "input_required", "{wanted}");
        let question = call.told("roots/list");
        assert_eq!(asked.reply(&question["id"], &answer), 202);
        let told = call.messages().pop().unwrap();
        assert_eq!(told["result"]["content"][0]["text"], answer.to_string());
    }
}

#[test]
fn a_session_that_never_listed_is_told_of_changes_too() {
    let served = impatient();
    // Everything is up by now.
    able(&served, "2025-11-25").tools();
    let mut caller = able(&served, "2025-11-25");
    let mut listening = caller.listen();
    caller.call_text("fake__add_tool", &json!({ "name": "fresh" }));
    listening.told("notifications/tools/list_changed");
}

#[test]
fn how_a_task_goes_is_told_to_the_client_that_had_it_made_and_to_nobody_else() {
    let served = served();
    let (mut maker, mut other) = (able(&served, "2025-11-25"), able(&served, "2025-11-25"));
    other.tools();
    let (mut told, mut untold) = (maker.listen(), other.listen());
    let made = json!({ "task": { "taskId": "t-1", "status": "working" } });
    maker.result("tools/call", json!({ "name": "fake__answer", "arguments": { "result": made } }));
    let status = json!({ "taskId": "t-1", "status": "completed" });
    let announced = json!({ "method": "notifications/tasks/status", "params": status });
    maker.call_text("fake__announce", &announced);
    assert_eq!(told.told("notifications/tasks/status")["params"], status);
    other.call_text("fake__add_tool", &json!({ "name": "later" }));
    assert_eq!(untold.event().unwrap().data["method"], "notifications/tools/list_changed");
}

#[test]
fn the_first_list_has_all_that_is_up_however_soon_it_is_asked_for() {
    for round in 0..5 {
        let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
        let daemon = Daemon::start(&scratch);
        let tools = Caller::legacy(daemon.address()).tools();
        assert!(tools.contains(&"fake__echo".to_owned()), "round {round}: {tools:?}");
    }
}
