//! How much is taken over HTTP: what is just allowed, and one more.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use mcp_computer::front::http::Limits;
use serde_json::{Value, json};

use crate::support::{
    PATIENCE,
    client::MODERN,
    http_client::{Ask, Caller, InProcess, Reply, raw},
    procs::eventually,
};

const HEAD: usize = 32 << 10;
const BODY: usize = 4 << 20;

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

/// A ping in so many bytes.
fn padded(bytes: usize) -> String {
    let message = ping().to_string();
    let padding = " ".repeat(bytes - message.len());
    message + &padding
}

#[test]
fn a_head_may_have_32_kib() {
    let served = InProcess::limited(Limits::default());
    let ask = |padding: usize| Ask::post("/mcp", &ping()).header("X-Padding", &"x".repeat(padding));
    let fixed = ask(0).text(served.address).split_once("\r\n\r\n").unwrap().0.len() + "\r\n\r\n".len();
    assert_eq!(ask(HEAD - fixed).status(served.address), 400, "it lacks a session, nothing else");
    assert_eq!(ask(HEAD - fixed + 1).status(served.address), 431);
    assert_eq!(ask(40 * HEAD).status(served.address), 431);
    let many = (0..200).fold(Ask::post("/mcp", &ping()), |ask, number| ask.another(&format!("x-{number}"), "x"));
    assert_eq!(many.status(served.address), 431);
    assert_eq!(Ask::post(&format!("/mcp?{}", "x".repeat(HEAD)), &ping()).status(served.address), 431);
}

#[test]
fn a_body_may_have_4_mib_however_it_is_sent() {
    let served = InProcess::limited(Limits::default());
    let caller = Caller::legacy(served.address);
    let ask = |text: &str| Ask::post_text("/mcp", text).header("Mcp-Session-Id", caller.session.as_deref().unwrap());
    assert_eq!(ask(&padded(BODY)).status(served.address), 200);
    assert_eq!(ask(&padded(BODY + 1)).status(served.address), 413);
    let chunked = |bytes: usize| {
        let text = padded(bytes);
        let (one, two) = text.split_at(bytes / 2);
        let body = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
        ask(&body).header("Transfer-Encoding", "chunked").status(served.address)
    };
    assert_eq!(chunked(BODY), 200);
    assert_eq!(chunked(BODY + 1), 413);
}

#[test]
fn what_is_announced_too_large_is_not_waited_for() {
    let served = InProcess::limited(Limits::default());
    let ask = Ask::post_text("/mcp", "").header("Content-Type", "application/json").text(served.address);
    let announced = ask.replace("Content-Length: 0", "Content-Length: 99999999999");
    let mut reply = raw(served.address, announced.as_bytes());
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("4194304"));
}

#[test]
fn a_body_without_end_is_read_no_further() {
    let served = InProcess::limited(Limits::default());
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = Ask::post_text("/mcp", "").header("Transfer-Encoding", "chunked").text(served.address);
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    let mut sender = stream.try_clone().unwrap();
    // It ends when nobody takes more, far before it is through.
    let sent = std::thread::spawn(move || (0..10_000).take_while(|_| sender.write_all(&chunk).is_ok()).count());
    assert_eq!(Reply::read(stream).status, 413);
    let sent = sent.join().unwrap() * 0x10000;
    assert!(sent < 64 << 20, "{sent} bytes were taken");
}

#[test]
fn who_sends_too_slowly_is_told_so_and_holds_nobody() {
    let served = InProcess::limited(Limits {
        head_time: Duration::from_millis(300),
        body_time: Duration::from_millis(300),
        ..Limits::default()
    });
    let mut half_a_body = TcpStream::connect(served.address).unwrap();
    let text = Ask::post("/mcp", &ping()).text(served.address);
    half_a_body.write_all(&text.as_bytes()[..text.len() - 5]).unwrap();
    let mut half_a_head = TcpStream::connect(served.address).unwrap();
    half_a_head.write_all(b"POST /mcp HTT").unwrap();
    assert!(Caller::legacy(served.address).tools().contains(&"fake__echo".to_owned()));
    assert_eq!(Reply::read(half_a_body).status, 408);
    half_a_head.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    half_a_head.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "the connection is closed");
}

#[test]
fn there_may_be_256_sessions() {
    let served = InProcess::limited(Limits::default());
    let sessions: Vec<Caller> = (0..256).map(|_| Caller::legacy(served.address)).collect();
    let mut one_more = Caller::new(served.address, "/mcp", "2025-11-25");
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} });
    let mut refused = one_more.open("initialize", params);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["code"], -32029);
    assert_eq!(sessions[7].end(), 204);
    one_more.initialize();
}

#[test]
fn a_session_may_listen_16_times() {
    let served = InProcess::limited(Limits::default());
    let caller = Caller::legacy(served.address);
    let mut streams: Vec<Reply> = (0..16).map(|_| caller.listen()).collect();
    let mut refused = caller.get().send(served.address);
    assert_eq!((refused.status, refused.json()["error"]["code"].clone()), (429, json!(-32029)));
    drop(streams.pop());
    eventually("there is room again", || caller.get().status(served.address) == 200);
}

#[test]
fn clients_without_sessions_listen_256_times_together_wherever_they_do() {
    let served = InProcess::limited(Limits::default());
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let listen = |path: &str| Caller::new(served.address, path, MODERN).open("subscriptions/listen", wanted.clone());
    let mut streams: Vec<Reply> = (0..256).map(|i| listen(if i % 2 == 0 { "/mcp" } else { "/mcp/fake" })).collect();
    assert!(streams.iter().all(|reply| reply.status == 200 && reply.is_stream()));
    let mut refused = listen("/mcp");
    assert_eq!((refused.status, refused.json()["error"]["code"].clone()), (429, json!(-32029)));
    drop(streams.pop());
    eventually("there is room again", || listen("/mcp").status == 200);
}

#[test]
fn a_client_may_have_64_calls_under_way_and_1024_that_wait() {
    let served = InProcess::limited(Limits { patience: Duration::from_millis(1), ..Limits::default() });
    let mut caller = Caller::legacy(served.address);
    for number in 0..64 + 1024 {
        // The call goes on when its connection is closed.
        let reply = caller.open_tool("fake__hang", &json!({}));
        assert!(reply.status == 200 && reply.is_stream(), "{number}: {}", reply.status);
    }
    let mut refused = caller.open_tool("fake__hang", &json!({}));
    assert_eq!((refused.status, refused.json()["error"]["code"].clone()), (429, json!(-32029)));
    // Others have their own room, and so has what does not go to an entry.
    assert_eq!(caller.result("ping", json!({})), json!({}));
    assert_eq!(Caller::legacy(served.address).call_text("fake__echo", &json!({ "message": "hi" })), "hi");
}

#[test]
fn a_client_without_a_session_whose_calls_hang_leaves_others_without_one_their_room() {
    let served = InProcess::limited(Limits::default());
    let client = || Caller::new(served.address, "/mcp", MODERN);
    let mut hanging = client();
    let hang = json!({ "name": "fake__hang", "arguments": {} });
    let _hung: Vec<_> = (0..65).map(|_| hanging.ask("tools/call", hang.clone()).0.begin(served.address)).collect();
    let mut with_session = Caller::legacy(served.address);
    eventually("all of them hang", || {
        let seen: Value = serde_json::from_str(&with_session.call_text("fake__seen", &json!({}))).unwrap();
        seen["methods"]["tools/call"].as_u64().is_some_and(|calls| calls > 65)
    });
    assert_eq!(client().call_text("fake__echo", &json!({ "message": "hi" })), "hi");
}

#[test]
fn a_session_ends_that_does_nothing_but_not_one_that_waits_or_listens() {
    let served = InProcess::limited(Limits { session_idle: Duration::from_millis(300), ..Limits::default() });
    let idle = Caller::legacy(served.address);
    let listening = Caller::legacy(served.address);
    let _stream = listening.listen();
    let mut waiting = Caller::legacy(served.address);
    assert_eq!(waiting.call_text("fake__sleep", &json!({ "ms": 1500 })), "slept");
    let alive = |caller: &Caller| caller.notify("notifications/initialized", &json!({})) == 202;
    assert!(alive(&waiting) && alive(&listening) && !alive(&idle));
}
