//! Servers over HTTP that misbehave (spec/computer.md 12, 22, 30): what the user reads, in what state the entry is, and
//! that it is never given up.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcp_computer::{CallContext, Computer, Error, HttpConfig};
use serde_json::json;

use crate::{
    lib_http::{act, failure, on},
    support::{
        hostile::assert_says,
        http::{Reply, Request, Web, event, legacy, said},
        library::{comes_true, health_of, made_of, sent, timed, told, until, up, within},
    },
};

/// A server that answers its first call like this, and later ones as it should.
fn first_call(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Web {
    let first = AtomicBool::new(true);
    Web::legacy(move |request| (request.is_call() && first.swap(false, Ordering::SeqCst)).then(|| reply(request)))
}

/// The call fails soon, and with these words; the next one is answered, on the same connection of the entry.
async fn fails(web: &Web, words: &[&str]) {
    let computer = on(web).await;
    let (error, took) = timed(act(&computer)).await;
    let error = error.unwrap_err().to_string();
    assert!(took < Duration::from_secs(5), "{took:?}: {error}");
    assert_says(&error, words);
    assert!(error.contains("http://127.0.0.1") && error.len() < 600 && !error.contains('\n'), "{error}");
    assert_eq!(act(&computer).await.unwrap(), "done", "after {error}");
    let health = health_of(&computer, "web").await;
    assert_eq!((health.state, health.restarts), ("ready", 0), "{health:?}");
}

fn raw(text: impl Into<Vec<u8>>) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let text = text.into();
    move |_| Reply::Raw(text.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_speak_http_is_told_so() {
    let words = ["does not speak HTTP", "is its `url` right?"];
    for greeting in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x46", b"220 mail.test ESMTP\r\n"] {
        fails(&first_call(raw(greeting)), &words).await;
        let web = Web::serve(move |_| Reply::Raw(greeting.to_vec()));
        assert_says(&failure(Computer::http(web.url())).await, &words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_are_not_read_to_their_end() {
    let many = "X-Header: value\r\n".repeat(50_000);
    let long = format!("X-Header: {}\r\n", "v".repeat(4 << 20));
    for headers in [many, long] {
        let web = first_call(raw(format!("HTTP/1.1 200 OK\r\n{headers}\r\n")));
        fails(&web, &["headers", "have no end, or are far too many"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_in_its_middle_fails_its_call_as_one_to_try_again() {
    let words = ["the connection was lost before the answer", "call again"];
    for head in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let body = "20\r\n{\"jsonrpc\":\"2.0\",\"id\":";
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}\r\n\r\n{body}");
        let web = first_call(raw(answer));
        fails(&web, &words).await;
        assert_eq!(web.posted("tools/call").len(), 2, "what may have been done is not done again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_question_that_changes_nothing_is_asked_for_again_when_it_was_cut() {
    let first = AtomicBool::new(true);
    let web = Web::legacy(move |request| {
        if request.is("tools/list") {
            let hints = json!({ "readOnlyHint": true });
            let tool = json!({ "name": "act", "inputSchema": { "type": "object" }, "annotations": hints });
            return Some(request.result(&json!({ "tools": [tool] })));
        }
        let cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{".to_vec();
        (request.is_call() && first.swap(false, Ordering::SeqCst)).then(|| Reply::Raw(cut))
    });
    assert_eq!(act(&on(&web).await).await.unwrap(), "done");
    assert_eq!(web.posted("tools/call").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_without_an_end_is_read_no_further_than_it_is_shown() {
    let page = format!("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n\r\n{}", "<p>oops</p>".repeat(1 << 20));
    fails(&first_call(raw(page)), &["500 Internal Server Error", "<p>oops</p>", "…"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_only_shows_that_it_lives_ends_with_the_clock_of_its_call() {
    let feeds = Arc::new(Mutex::new(Vec::new()));
    let kept = feeds.clone();
    let web = first_call(move |_| {
        let (reply, feed) = Reply::stream();
        feed.try_send(": here\n\n: here\n\n".to_owned()).unwrap();
        kept.lock().unwrap().push(feed);
        reply
    });
    let entry = HttpConfig { call_timeout: Duration::from_millis(1500), ..Computer::http(web.url()) };
    let computer = up([("web", entry)]).await;
    let waiting = sent(&computer, "web__act", CallContext::default());
    comes_true("the first call is there", || web.posted("tools/call").len() == 1).await;
    assert_eq!(act(&computer).await.unwrap(), "done", "others go on meanwhile");
    let error = within("the call", waiting).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { silent: true, .. }), "{error}");
    assert_says(&error.to_string(), &["calling `act`", "1500 ms", "callTimeout"]);
    comes_true("its request is ended", || web.left().iter().any(Request::is_call)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_everything_with_500_for_a_while_is_back_when_it_is_well() {
    let ill = Arc::new(AtomicBool::new(false));
    let is_ill = ill.clone();
    let web = Web::legacy(move |_| is_ill.load(Ordering::SeqCst).then(|| Reply::of(500, "text/plain", "out of disk")));
    let computer = on(&web).await;
    ill.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        let error = act(&computer).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert_says(&error.to_string(), &["500 Internal Server Error", "`out of disk`", "call again later"]);
    }
    let health = health_of(&computer, "web").await;
    assert_eq!((health.state, health.healthy), ("ready", false));
    assert_says(&health.error.unwrap(), &["500 Internal Server Error", "out of disk"]);
    ill.store(false, Ordering::SeqCst);
    assert_eq!(act(&computer).await.unwrap(), "done");
    let health = health_of(&computer, "web").await;
    assert_eq!((health.healthy, health.restarts, health.error), (true, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_with_500_at_the_start_is_asked_until_it_is_well() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let web = Web::legacy(move |_| {
        (count.fetch_add(1, Ordering::SeqCst) < 6).then(|| Reply::of(503, "text/plain", "starting"))
    });
    let computer = made_of([("web", Computer::http(web.url()))]);
    let mut events = computer.events();
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    assert_says(&error, &["web: ", "503 Service Unavailable", "`starting`", "call again later"]);
    let told_of = told(&mut events, "web", "waiting").await;
    assert_says(&told_of.unwrap(), &["503 Service Unavailable"]);
    told(&mut events, "web", "ready").await;
    assert_eq!(act(&computer).await.unwrap(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_sent_elsewhere_goes_nowhere() {
    let other = Web::legacy(|_| None);
    let target = other.url();
    let web = first_call(move |_| Reply::status(307).with("location", &target));
    fails(&web, &["redirects to", "another origin", "set `url`"]).await;
    assert_eq!(other.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_nobody_has_asked_for_is_told_and_one_that_is_only_said_is_nothing() {
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00".to_vec();
    let web = first_call(move |_| {
        let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Reply::Whole { status: 200, headers, body: packed.clone() }
    });
    fails(&web, &["encoded as `gzip`", "nobody has asked for"]).await;
    let only_said =
        Web::legacy(|request| request.is_call().then(|| request.says("done").with("content-encoding", "gzip")));
    assert_eq!(act(&on(&only_said).await).await.unwrap(), "done");
}

/// A server that closes each connection after an answer, and says nothing of it.
fn fickle() -> Web {
    Web::serve(|request| Reply::ThenClosed(Box::new(legacy(&request))))
}

/// Whether somebody has a connection to an address that he has not closed himself.
fn is_connected_to(address: SocketAddr) -> bool {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    let theirs = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[2].ends_with(&theirs) && [ESTABLISHED, CLOSE_WAIT].contains(&fields[3])
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_while_nobody_called_fails_no_call() {
    let web = fickle();
    let computer = on(&web).await;
    for number in 0..200 {
        // On both sides: in the moment in between nobody can know whether a request is still read.
        comes_true("all are closed", || web.closed() == web.connections() && !is_connected_to(web.address)).await;
        assert_eq!(act(&computer).await.unwrap(), "done", "call {number}");
    }
    assert_eq!(web.posted("tools/call").len(), 200, "none was sent twice");
    assert_eq!(health_of(&computer, "web").await.restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_a_connection_under_a_call_is_given_no_second_chance_to() {
    let web = fickle();
    let computer = on(&web).await;
    let mut failed = Vec::new();
    for _ in 0..1000 {
        failed.extend(act(&computer).await.err());
    }
    // Nobody knows whether it was read, so that it is not sent again: but no other meets the same.
    assert!(failed.len() <= 1, "{failed:?}");
    assert!(failed.iter().all(Error::is_retryable), "{failed:?}");
    assert_eq!(health_of(&computer, "web").await.restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_on_the_stream_of_a_call_does_not_become_one_of_answers() {
    let web = first_call(|request| {
        let pings: String =
            (0..10_000).map(|n| event(&json!({ "jsonrpc": "2.0", "id": n, "method": "ping" }))).collect();
        Reply::events(&(pings + &request.event("done")))
    });
    let computer = on(&web).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    assert_eq!(act(&computer).await.unwrap(), "done");
    let problems = health_of(&computer, "web").await.problems.join("\n");
    assert_says(&problems, &["asks faster than it takes answers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_others_on_the_stream_of_a_call_are_counted_and_passed_over() {
    let web = first_call(|request| {
        let stranger = event(&json!({ "jsonrpc": "2.0", "id": "c-999999", "result": said("not yours") }));
        Reply::events(&(stranger.repeat(100) + &request.event("done")))
    });
    let computer = on(&web).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    let problems = health_of(&computer, "web").await.problems.join("\n");
    assert_says(&problems, &["100 answers to requests that nobody has made", "c-999999"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_to_hear_that_hands_were_shaken_comes_up() {
    let web = Web::legacy(|request| request.is("notifications/initialized").then(|| Reply::status(500)));
    let computer = on(&web).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    until("it is well", async || health_of(&computer, "web").await.healthy).await;
}
