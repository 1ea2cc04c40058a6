//! HTTP sessions and streams: lost and begun again, cut and opened again, and servers that go and come.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use mcp_computer::{CallContext, Computer, Error, config::HttpTransport};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    lib_http::{act, failure, on},
    support::{
        http::{Reply, Request, Sessions, Web, event, legacy},
        library::{comes_true, health_of, names, sent, timed, told, until, up, within},
    },
};

const LIST_CHANGED: &str = "notifications/tools/list_changed";

fn changed() -> String {
    event(&json!({ "jsonrpc": "2.0", "method": LIST_CHANGED }))
}

type Lose = fn() -> Reply;

/// How servers say that they do not know a session.
fn ways_to_lose() -> [(&'static str, Lose); 2] {
    [
        ("404", || Reply::status(404)),
        ("400", || {
            let error = json!({ "code": -32000, "message": "Bad Request: No valid session ID provided" });
            Reply::json(400, &json!({ "jsonrpc": "2.0", "error": error, "id": null }))
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_begun_again_once_however_many_calls_find_out() {
    for (way, lost) in ways_to_lose() {
        let sessions = Sessions::default();
        let known = sessions.clone();
        let web = Web::legacy(move |request| known.guard(request, lost));
        let computer = on(&web).await;
        sessions.forget();
        let calls: Vec<_> = (0..32).map(|_| sent(&computer, "web__act", CallContext::default())).collect();
        for answer in within("all of them", join_all(calls)).await {
            assert_eq!(answer.unwrap().to_handler_value(), "done", "{way}");
        }
        assert_eq!(web.posted("initialize").len(), 2, "{way}");
        let [first, second] = &web.posted("initialize")[..] else { panic!("there are two") };
        assert_eq!(second.header("mcp-session-id"), None);
        assert_ne!(first.message()["id"], second.message()["id"]);
        assert_eq!(first.message()["params"], second.message()["params"]);
        assert_eq!(web.posted("notifications/initialized").len(), 2, "{way}");
        comes_true("the tools are listed again", || {
            let lists = web.posted("tools/list");
            lists.last().is_some_and(|list| list.header("mcp-session-id") == Some("session-2"))
        })
        .await;
        assert_eq!(health_of(&computer, "web").await.restarts, 0, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_lost_at_once_again_fails_the_call() {
    let web = Web::legacy(|request| {
        if request.is("initialize") {
            return Some(legacy(request).with("mcp-session-id", "s"));
        }
        request.is_call().then(|| Reply::status(404))
    });
    let computer = on(&web).await;
    let error = act(&computer).await.unwrap_err();
    assert!(error.to_string().contains("lost its session again"), "{error}");
    assert_eq!(web.posted("tools/call").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_begun_again_ends_the_connection() {
    let (sessions, refuse) = (Sessions::default(), Arc::new(AtomicBool::new(false)));
    let (known, refusing) = (sessions.clone(), refuse.clone());
    let web = Web::legacy(move |request| {
        if refusing.load(Ordering::SeqCst) && request.method == "POST" && !request.is("tools/call") {
            return Some(Reply::of(500, "text/plain", "full"));
        }
        known.guard(request, || Reply::status(404))
    });
    let computer = on(&web).await;
    let mut events = computer.events();
    refuse.store(true, Ordering::SeqCst);
    sessions.forget();
    let error = act(&computer).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    told(&mut events, "web", "waiting").await;
    refuse.store(false, Ordering::SeqCst);
    told(&mut events, "web", "ready").await;
    assert_eq!(act(&computer).await.unwrap(), "done");
}

/// A server with streams: what opens one, and what it is fed with.
type Feeds = Arc<Mutex<Vec<(Request, mpsc::Sender<String>)>>>;

fn streaming() -> (Web, Feeds) {
    let feeds = Feeds::default();
    let open = feeds.clone();
    let web = Web::legacy(move |request| {
        if request.is("initialize") {
            return Some(legacy(request).with("mcp-session-id", "s"));
        }
        (request.method == "GET").then(|| {
            let (reply, feed) = Reply::stream();
            open.lock().unwrap().push((request.clone(), feed));
            reply
        })
    });
    (web, feeds)
}

async fn opened(feeds: &Feeds, count: usize) -> (Request, mpsc::Sender<String>) {
    comes_true("a stream is opened", || feeds.lock().unwrap().len() >= count).await;
    feeds.lock().unwrap()[count - 1].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_on_its_stream_is_heard() {
    let (web, feeds) = streaming();
    let _computer = on(&web).await;
    let (request, feed) = opened(&feeds, 1).await;
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!((request.header("mcp-session-id"), request.header("last-event-id")), (Some("s"), None));
    let lists = web.posted("tools/list").len();
    feed.send(": keep-alive\n\n".to_owned() + &changed()).await.unwrap();
    comes_true("the tools are listed again", || web.posted("tools/list").len() > lists).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_there_before_anything_is_asked() {
    let opened = Arc::new(AtomicBool::new(false));
    let (open, early) = (opened.clone(), Arc::new(AtomicUsize::new(0)));
    let too_early = early.clone();
    let web = Web::legacy(move |request| {
        if request.is("tools/list") && !opened.load(Ordering::SeqCst) {
            early.fetch_add(1, Ordering::SeqCst);
        }
        let open = open.clone();
        (request.method == "GET").then(|| {
            let opening = async move {
                tokio::time::sleep(Duration::from_millis(150)).await;
                open.store(true, Ordering::SeqCst);
                Reply::status(405)
            };
            Reply::Later(Box::pin(opening))
        })
    });
    let _computer = on(&web).await;
    assert_eq!(too_early.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_says_nothing_delays_hardly_anything() {
    let web = Web::legacy(|request| (request.method == "GET").then_some(Reply::Never));
    let (computer, took) = timed(on(&web)).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(act(&computer).await.unwrap(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_is_opened_again_where_it_was_and_when_the_server_wants() {
    let (web, feeds) = streaming();
    let computer = on(&web).await;
    let (_, feed) = opened(&feeds, 1).await;
    feed.send("id: e-7\nretry: 600\ndata: \n\n".to_owned()).await.unwrap();
    let begin = Instant::now();
    feeds.lock().unwrap()[0].1 = mpsc::channel(1).0;
    drop(feed);
    let (again, feed) = opened(&feeds, 2).await;
    assert!(begin.elapsed() >= Duration::from_millis(600), "{:?}", begin.elapsed());
    assert_eq!(again.header("last-event-id"), Some("e-7"));
    let lists = web.posted("tools/list").len();
    feed.send(changed()).await.unwrap();
    comes_true("it is heard", || web.posted("tools/list").len() > lists).await;
    let health = health_of(&computer, "web").await;
    assert_eq!((health.state, health.restarts, health.last_error), ("ready", 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_call_that_breaks_off_is_taken_up_where_it_was() {
    let call = Mutex::new(None);
    let web = Web::legacy(move |request| {
        if request.is_call() {
            *call.lock().unwrap() = Some(request.clone());
            return Some(Reply::events("id: c-1\nretry: 200\ndata: \n\n"));
        }
        let called = (request.method == "GET" && request.header("last-event-id") == Some("c-1"))
            .then(|| call.lock().unwrap().take())
            .flatten()?;
        Some(Reply::events(&called.event("done")))
    });
    let computer = on(&web).await;
    let (answer, took) = timed(act(&computer)).await;
    assert_eq!(answer.unwrap(), "done");
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert_eq!(web.posted("tools/call").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_connection_breaks_fails_at_once_and_the_entry_stays() {
    let cuts: [fn(&Request) -> Reply; 2] = [|_| Reply::Cut, |_| Reply::events(": nothing\n\n")];
    for (number, cut) in cuts.into_iter().enumerate() {
        let first = AtomicBool::new(true);
        let web = Web::legacy(move |request| {
            (request.is_call() && first.swap(false, Ordering::SeqCst)).then(|| cut(request))
        });
        let computer = on(&web).await;
        let (error, took) = timed(act(&computer)).await;
        let error = error.unwrap_err();
        assert!(
            matches!(&error, Error::Http { delivery: mcp_computer::Delivery::Unknown, .. }) && error.is_retryable(),
            "{number}: {error}"
        );
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(act(&computer).await.unwrap(), "done");
        assert_eq!(health_of(&computer, "web").await.restarts, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_noticed_without_a_call_and_taken_back_when_it_comes() {
    let (mut web, feeds) = streaming();
    let computer = on(&web).await;
    opened(&feeds, 1).await;
    let mut events = computer.events();
    web.down().await;
    let error = told(&mut events, "web", "waiting").await.unwrap();
    assert!(error.contains("refused"), "{error}");
    assert_eq!(names(&computer), ["web__act"], "its tools stay");
    // It waits for the server.
    let call = sent(&computer, "web__act", CallContext::default());
    web.up();
    assert_eq!(within("the call", call).await.unwrap().to_handler_value(), "done");
    assert_eq!(web.posted("tools/call").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_finds_nobody_is_sent_when_somebody_is_there() {
    // No connection is left over that a call could be lost on.
    let mut web = Web::serve(|request| legacy(&request).with("connection", "close"));
    let computer = on(&web).await;
    web.down().await;
    let calls: Vec<_> = (0..8).map(|_| sent(&computer, "web__act", CallContext::default())).collect();
    until("the entry is down", async || health_of(&computer, "web").await.state != "ready").await;
    web.up();
    for answer in within("all of them", join_all(calls)).await {
        assert_eq!(answer.unwrap().to_handler_value(), "done");
    }
    assert_eq!(web.posted("tools/call").len(), 8, "none is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_fail_at_once_when_the_server_dies() {
    let mut web = Web::legacy(|request| request.is_call().then_some(Reply::Never));
    let computer = on(&web).await;
    let calls: Vec<_> = (0..8).map(|_| sent(&computer, "web__act", CallContext::default())).collect();
    comes_true("they are there", || web.posted("tools/call").len() == 8).await;
    web.down().await;
    let (answers, took) = timed(within("all of them", join_all(calls))).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    for answer in answers {
        assert!(answer.is_err_and(|error| error.is_retryable()));
    }
    until("nobody is asked any more", async || health_of(&computer, "web").await.state != "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_the_question_for_the_newest_generation_amiss_is_asked_the_old_way() {
    let cues: [fn(&Request) -> Option<Reply>; 4] = [
        |request| request.is("server/discover").then(|| Reply::status(400)),
        |request| request.is("server/discover").then(|| Reply::of(404, "text/html", "<h1>no</h1>")),
        |request| request.is("server/discover").then(|| request.result(&json!({}))),
        |request| request.is("server/discover").then(|| Reply::of(500, "text/plain", "panic")),
    ];
    for cue in cues {
        let web = Web::legacy(cue);
        let computer = on(&web).await;
        assert_eq!(act(&computer).await.unwrap(), "done");
        assert_eq!(health_of(&computer, "web").await.protocol.as_deref(), Some("2025-11-25"));
    }
}

/// A server of the older transport: its stream says that messages go to `endpoint`.
fn older(endpoint: &'static str) -> Web {
    let stream = Mutex::new(None::<mpsc::Sender<String>>);
    Web::serve(move |request| {
        if request.method == "GET" {
            let (reply, feed) = Reply::stream();
            feed.try_send(format!("event: endpoint\ndata: {endpoint}\n\n")).unwrap();
            *stream.lock().unwrap() = Some(feed);
            return reply;
        }
        if request.target != "/messages?session=1" {
            return Reply::status(405);
        }
        if let (Reply::Whole { body, .. }, true) = (legacy(&request), request.message().get("id").is_some()) {
            let answer = format!("event: message\ndata: {}\n\n", String::from_utf8(body).unwrap());
            stream.lock().unwrap().as_ref().unwrap().try_send(answer).unwrap();
        }
        Reply::of(202, "text/plain", "Accepted")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_older_transport_is_spoken_to_as_it_speaks() {
    let web = older("/messages?session=1");
    let mut said_so = Computer::http(web.url());
    said_so.transport = HttpTransport::Sse;
    for entry in [Computer::http(web.url()), said_so] {
        let asked = web.posted("initialize").len();
        let computer = up([("web", entry)]).await;
        assert_eq!(act(&computer).await.unwrap(), "done");
        let problems = health_of(&computer, "web").await.problems;
        assert!(problems.iter().any(|problem| problem.contains("older HTTP+SSE")), "{problems:?}");
        // What worked is remembered.
        let before = web.posted("initialize").len();
        within("restarting", computer.restart_entry("web")).await.unwrap();
        assert_eq!(act(&computer).await.unwrap(), "done");
        assert_eq!(web.posted("initialize").len(), before + 1, "after {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_older_transport_cannot_send_our_messages_elsewhere() {
    let web = older("http://other.test/messages");
    let mut entry = Computer::http(web.url());
    entry.transport = HttpTransport::Sse;
    let error = failure(entry).await;
    assert!(error.contains("http://other.test/messages") && error.contains("another origin"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_of_the_newest_generation_is_kept_open_and_its_end_is_noticed() {
    let feeds = Arc::new(Mutex::new(Vec::new()));
    let (open, lists) = (feeds.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = lists.clone();
    let mut web = Web::modern(move |request| {
        if request.is("tools/list") {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        request.is("subscriptions/listen").then(|| {
            let (reply, feed) = Reply::stream();
            let id = &request.message()["id"];
            let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
            let asked = &request.message()["params"]["notifications"];
            let params = json!({ "_meta": meta, "notifications": asked });
            let acknowledged = "notifications/subscriptions/acknowledged";
            feed.try_send(event(&json!({ "jsonrpc": "2.0", "method": acknowledged, "params": params }))).unwrap();
            let changed = json!({ "jsonrpc": "2.0", "method": LIST_CHANGED, "params": { "_meta": meta } });
            open.lock().unwrap().push((feed, event(&changed)));
            reply
        })
    });
    let computer = on(&web).await;
    comes_true("it listens", || feeds.lock().unwrap().len() == 1).await;
    let before = lists.load(Ordering::SeqCst);
    let (feed, changed) = feeds.lock().unwrap()[0].clone();
    feed.send(changed).await.unwrap();
    comes_true("the tools are listed again", || lists.load(Ordering::SeqCst) > before).await;
    let mut events = computer.events();
    web.down().await;
    told(&mut events, "web", "waiting").await;
    web.up();
    told(&mut events, "web", "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_takes_no_longer_than_it_may_whatever_the_server_does() {
    let web = Web::legacy(|request| {
        if request.is("initialize") {
            return Some(legacy(request).with("mcp-session-id", "s"));
        }
        (request.method == "DELETE").then_some(Reply::Never)
    });
    let computer = on(&web).await;
    let ((), took) = timed(within("the stop", computer.stop())).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(web.seen().last().unwrap().method, "DELETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_server_refuses_is_not_made_again_even_where_it_could_be() {
    let web = Web::legacy(|request| {
        if request.is("tools/list") {
            let tool =
                json!({ "name": "act", "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true } });
            return Some(request.result(&json!({ "tools": [tool] })));
        }
        request.is_call().then(|| Reply::status(429).with("Retry-After", "17"))
    });
    let computer = on(&web).await;
    let error = act(&computer).await.unwrap_err();
    assert!(matches!(error, Error::Http { delivery: mcp_computer::Delivery::Refused, .. }), "{error:?}");
    assert_eq!(web.posted("tools/call").len(), 1);
}

#[test]
fn a_call_may_be_dropped_where_no_runtime_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Open for as long as this is kept.
    let (silent, _feed) = Reply::stream();
    let silent = Mutex::new(Some(silent));
    let web = runtime.block_on(async {
        Web::legacy(move |request| if request.is_call() { silent.lock().unwrap().take() } else { None })
    });
    let computer = runtime.block_on(on(&web));
    let call = {
        let _inside = runtime.enter();
        sent(&computer, "web__act", CallContext::default())
    };
    runtime.block_on(until("the server has it", async || web.posted("tools/call").len() == 1));
    drop(call);
    runtime.block_on(until("it is taken back", async || web.posted("notifications/cancelled").len() == 1));
}
