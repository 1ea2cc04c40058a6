//! HTTP entries: what goes out, what comes back, and what is said of answers that are none (spec/computer.md 30).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use mcp_computer::{CallContext, Computer, Error, HttpConfig, config::Restart};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::{
    http::{Reply, Request, Web, event, said},
    library::{cancelled_by, comes_true, health_of, made_of, names, sent, timed, up, within},
};

/// A Computer whose one entry `web` is that server.
pub(crate) async fn on(web: &Web) -> Computer {
    up([("web", Computer::http(web.url()))]).await
}

pub(crate) async fn act(computer: &Computer) -> Result<Value, Error> {
    within("a call", computer.call("web__act", &json!({}))).await
}

/// What a start says of an entry that does not come up.
pub(crate) async fn failure(entry: HttpConfig) -> String {
    let computer = made_of([("web", HttpConfig { restart: Restart::Never, ..entry })]);
    within("the start", computer.start()).await.unwrap_err().to_string()
}

/// A server whose calls are answered by `reply`.
fn calls(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Web {
    Web::legacy(move |request| request.is_call().then(|| reply(request)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_older_generation_is_asked_as_it_must_be() {
    let web = Web::legacy(|request| {
        request.is("initialize").then(|| crate::support::http::legacy(request).with("Mcp-Session-Id", "s-1"))
    });
    let computer = on(&web).await;
    assert_eq!(names(&computer), ["web__act"]);
    assert_eq!(act(&computer).await.unwrap(), "done");
    let call = &web.posted("tools/call")[0];
    for (name, value) in [
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-session-id", "s-1"),
        ("mcp-protocol-version", "2025-11-25"),
    ] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }
    let hello = &web.posted("initialize")[0];
    assert_eq!((hello.header("mcp-session-id"), hello.header("mcp-protocol-version")), (None, None));
    let health = health_of(&computer, "web").await;
    assert_eq!((health.kind, health.protocol.as_deref(), health.command), ("http", Some("2025-11-25"), None));
    within("the stop", computer.stop()).await;
    let last = web.seen().pop().unwrap();
    assert_eq!((last.method.as_str(), last.header("mcp-session-id")), ("DELETE", Some("s-1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_newest_generation_is_told_in_headers_what_it_is_asked() {
    let schema =
        json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } });
    let wrong = json!({ "type": "object", "properties": { "a": { "type": "object", "x-mcp-header": "A" } } });
    let tools = json!({ "tools": [{ "name": "act", "inputSchema": schema }, { "name": "bad", "inputSchema": wrong }] });
    let web = Web::modern(move |request| request.is("tools/list").then(|| request.result(&tools)));
    let computer = on(&web).await;
    assert_eq!(names(&computer), ["web__act"]);
    within("a call", computer.call("web__act", &json!({ "region": "zürich" }))).await.unwrap();
    let call = &web.posted("tools/call")[0];
    for (name, value) in [
        ("mcp-method", "tools/call"),
        ("mcp-name", "act"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-param-region", "=?base64?esO8cmljaA==?="),
    ] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }
    let discover = &web.posted("server/discover")[0];
    assert_eq!(discover.header("mcp-method"), Some("server/discover"));
    assert_eq!(discover.header("mcp-protocol-version"), Some("2026-07-28"));
    assert!(web.posted("initialize").is_empty());
    let problems = health_of(&computer, "web").await.problems;
    assert!(problems.iter().any(|problem| problem.contains("`bad`")), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_passes_untouched_on_one_line() {
    let web = calls(|request| {
        let id = &request.message()["id"];
        let body =
            format!("{{\n \"jsonrpc\": \"2.0\", \"id\": {id},\r\n\"result\": {{\"content\":[],\n\"x\": 1.0}} }}\n");
        Reply::of(200, "application/json; charset=utf-8", &body)
    });
    let computer = on(&web).await;
    let answer = within("a call", sent(&computer, "web__act", CallContext::default())).await.unwrap();
    assert_eq!(answer.get(), "{\"content\":[], \"x\": 1.0}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_of_a_call_comes_in_order_and_before_its_answer() {
    let web = calls(|request| {
        let token = &request.message()["params"]["_meta"]["progressToken"];
        let progress = |n: u32| {
            let params = json!({ "progressToken": token, "progress": n });
            event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }))
        };
        Reply::events(&(": hello\n\n".to_owned() + &(0..50).map(progress).collect::<String>() + &request.event("done")))
    });
    let computer = on(&web).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let progress = Arc::new(move |params: &RawValue| {
        let params: Value = serde_json::from_str(params.get()).unwrap();
        sink.lock().unwrap().push(params["progress"].as_u64().unwrap());
    });
    let context = CallContext { progress: Some(progress), ..CallContext::default() };
    within("a call", sent(&computer, "web__act", context)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), (0..50).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_on_the_stream_of_a_call_is_answered_while_the_call_waits() {
    let open = Mutex::new(None::<(mpsc::Sender<String>, String)>);
    let web = Web::legacy(move |request| {
        if request.is_call() {
            let (reply, feed) = Reply::stream();
            let asked =
                json!({ "jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": { "message": "?" } });
            feed.try_send(event(&asked)).unwrap();
            *open.lock().unwrap() = Some((feed, request.event("thanks")));
            return Some(reply);
        }
        let message = request.message();
        if message["id"] == 7 && message["result"]["action"] == "decline" {
            let (feed, answer) = open.lock().unwrap().take().unwrap();
            feed.try_send(answer).unwrap();
        }
        None
    });
    assert_eq!(act(&on(&web).await).await.unwrap(), "thanks");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_names_no_request_belongs_to_the_one_that_was_posted() {
    for (status, id) in
        [(400, None), (400, Some(json!(null))), (200, Some(json!(null))), (400, Some(json!("server-error")))]
    {
        let web = calls(move |_| {
            let mut error = json!({ "jsonrpc": "2.0", "error": { "code": -32000, "message": "not like that" } });
            if let Some(id) = &id {
                error["id"] = id.clone();
            }
            Reply::json(status, &error)
        });
        let computer = on(&web).await;
        let error = act(&computer).await.unwrap_err();
        assert!(matches!(&error, Error::Server { code: -32000, message, .. } if message == "not like that"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_told_and_harms_nobody_else() {
    let html = "<!doctype html>\n<title>Login\x1b[31m</title>";
    let cases: [(Reply, &[&str]); 8] = [
        (
            Reply::of(200, "text/html", html),
            &["200 OK", "`<!doctype html> <title>Login\\u{1b}[31m</title>`", "text/html", "url"],
        ),
        (Reply::status(200), &["200 OK", "nothing else"]),
        (Reply::status(202), &["202 Accepted", "nothing else"]),
        (Reply::of(200, "application/json", "{\"oops\": 1}"), &["{\"oops\": 1}"]),
        (Reply::of(200, "application/json", "[]"), &["`[]`"]),
        (Reply::of(500, "text/plain", "it broke"), &["500 Internal Server Error", "`it broke`"]),
        (Reply::status(429).with("Retry-After", "17"), &["429 Too Many Requests", "Retry-After: 17"]),
        (Reply::of(418, "text/plain", &"x".repeat(9999)), &["418", "xxx…"]),
    ];
    for (reply, words) in cases {
        let reply = Mutex::new(Some(reply));
        let web = calls(move |request| reply.lock().unwrap().take().unwrap_or_else(|| request.says("done")));
        let computer = on(&web).await;
        let (error, took) = timed(act(&computer)).await;
        let error = error.unwrap_err().to_string();
        assert!(took < Duration::from_secs(5), "{took:?}: {error}");
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
        assert!(error.len() < 600 && error.contains("/mcp") && !error.contains('\n'), "{error}");
        assert_eq!(act(&computer).await.unwrap(), "done", "after {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_with_no_mcp_server_at_it_is_told_at_the_start() {
    let html = Web::serve(|_| Reply::of(200, "text/html", "<h1>Welcome</h1>"));
    let error = failure(Computer::http(html.url())).await;
    assert!(error.contains("<h1>Welcome</h1>") && error.contains("/mcp"), "{error}");
    let nothing = Web::serve(|_| Reply::of(404, "text/plain", "no such page"));
    let error = failure(Computer::http(nothing.url())).await;
    assert!(error.contains("404 Not Found") && error.contains("no such page") && error.contains("HTTP+SSE"), "{error}");
    let refused = {
        let web = Web::serve(|_| Reply::Cut);
        web.url()
    };
    let error = failure(Computer::http(refused)).await;
    assert!(error.contains("refused") && error.contains("running"), "{error}");
    let error = failure(Computer::http("http://no-such-host.invalid/mcp?key=hunter2-hunter2")).await;
    assert!(error.contains("http://no-such-host.invalid/mcp failed") && !error.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_ends_with_its_clock_and_holds_nobody() {
    let first = AtomicUsize::new(0);
    let web = calls(move |request| {
        if first.fetch_add(1, Ordering::SeqCst) > 0 {
            return request.says("done");
        }
        let (parts, feed) = mpsc::channel(1);
        parts.try_send("{\"jsonrpc\":".to_owned()).unwrap();
        std::mem::forget(parts);
        Reply::Parts { headers: vec![("content-type".into(), "application/json".into())], parts: feed }
    });
    let entry = HttpConfig { call_timeout: Duration::from_millis(400), ..Computer::http(web.url()) };
    let computer = up([("web", entry)]).await;
    let stalled = sent(&computer, "web__act", CallContext::default());
    comes_true("the first call is there", || web.posted("tools/call").len() == 1).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    let error = within("the stalled call", stalled).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { silent: true, .. }), "{error}");
    comes_true("its request is ended", || web.left().iter().any(Request::is_call)).await;
    comes_true("the server is told", || web.posted("notifications/cancelled").len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_taken_back_ends_its_request() {
    for modern in [false, true] {
        let cue = |request: &Request| request.is_call().then_some(Reply::Never);
        let web = if modern { Web::modern(cue) } else { Web::legacy(cue) };
        let computer = on(&web).await;
        let token = CancellationToken::new();
        let call = sent(&computer, "web__act", cancelled_by(&token));
        comes_true("the call is there", || !web.posted("tools/call").is_empty()).await;
        token.cancel();
        assert_eq!(within("the call", call).await.unwrap_err(), Error::Cancelled);
        comes_true("its request is ended", || web.left().iter().any(Request::is_call)).await;
        let told = web.posted("notifications/cancelled");
        if modern {
            assert!(told.is_empty(), "closing the request says it");
        } else {
            assert_eq!(told[0].message()["params"]["requestId"], web.posted("tools/call")[0].message()["id"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_beyond_the_limit_fails_its_call_alone() {
    for events in [false, true] {
        let calls_seen = AtomicUsize::new(0);
        let web = calls(move |request| {
            if calls_seen.fetch_add(1, Ordering::SeqCst) > 0 {
                return request.says("done");
            }
            let kind = if events { "text/event-stream" } else { "application/json" };
            Reply::Endless { kind, first: "data: {\"a\":\"", part: "x" }
        });
        let entry = HttpConfig { max_message: 100_000, ..Computer::http(web.url()) };
        let computer = up([("web", entry)]).await;
        assert_eq!(act(&computer).await.unwrap_err(), Error::TooLarge { limit: 100_000 });
        comes_true("nobody reads on", || web.left().iter().any(Request::is_call)).await;
        assert_eq!(act(&computer).await.unwrap(), "done");
        let problems = health_of(&computer, "web").await.problems;
        assert!(problems.iter().any(|problem| problem.contains("maxMessage")), "{problems:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_delivered_before_those_after_it_go_out() {
    let web = Web::legacy(|request| {
        let slow = request.is("notifications/initialized");
        slow.then(|| crate::support::http::after(Duration::from_millis(300), Reply::status(202)))
    });
    let began = Instant::now();
    let _computer = on(&web).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "the list waited: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_few_connections() {
    let web = calls(|request| {
        if request.message()["id"].as_str().unwrap().ends_with('7') {
            Reply::events(&request.event("done"))
        } else {
            request.says("done")
        }
    });
    let computer = on(&web).await;
    let caller = async || {
        for _ in 0..625 {
            assert_eq!(act(&computer).await.unwrap(), "done");
        }
    };
    join_all((0..16).map(|_| caller())).await;
    assert_eq!(web.posted("tools/call").len(), 10_000);
    assert!(web.connections() <= 40, "{} connections", web.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_call_holds_no_other() {
    let web = calls(|request| match request.message()["params"]["arguments"]["slow"].as_bool() {
        Some(true) => Reply::Never,
        _ => request.says("done"),
    });
    let computer = on(&web).await;
    let slow = crate::support::library::raw(&json!({ "slow": true }));
    let hung: Vec<_> = (0..64).map(|_| computer.call_raw("web__act", Some(&slow), CallContext::default())).collect();
    comes_true("they are there", || web.posted("tools/call").len() == 64).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    let ((), took) = timed(within("the stop", computer.stop())).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    for call in within("all of them", join_all(hung)).await {
        assert!(call.is_err_and(|error| error.is_retryable()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_messages_is_taken_apart() {
    let web = calls(|request| {
        let id = &request.message()["id"];
        let note =
            json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": 1 } });
        Reply::json(200, &json!([note, { "jsonrpc": "2.0", "id": id, "result": said("done") }]))
    });
    assert_eq!(act(&on(&web).await).await.unwrap(), "done");
}
