//! How much the bridge takes, who is thought to have gone, and clients that poll.

use std::time::Duration;

use mcp_computer::{
    bridge::BridgeOptions,
    front::http::{Limits, Options},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    bridge::{InProcess, Page, holds, platform, trigger},
    http_client::Ask,
    library::within,
    sdk::{finish, over, told},
};

fn start(id: &str) -> Value {
    json!({ "type": "start", "messageId": id, "executionId": "e" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_or_no_text_closes_its_connection_alone() {
    let platform = platform(json!([over()])).await;
    let limits = Limits { body: 1000, ..Limits::default() };
    let bridge = InProcess::start(&platform, Options { limits, ..Options::default() }, BridgeOptions::default()).await;
    let mut other = bridge.page().await;
    let padded = |bytes: usize| format!("{:<bytes$}", trigger().to_string());
    for (message, code) in
        [(Message::text(padded(1001)), 1009), (Message::text("x".repeat(1 << 20)), 1009), (Message::binary("{}"), 1003)]
    {
        let mut page = bridge.page().await;
        page.send(message).await;
        assert_eq!(page.closed().await, Some(code));
    }
    other.send(Message::text(padded(1000))).await;
    assert_eq!(other.hears().await, finish());
    bridge.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_clients_and_a_turn_without_one_counts_as_one() {
    let platform = platform(json!([holds(&start("m"))])).await;
    let limits = Limits { sessions: 2, ..Limits::default() };
    let bridge = InProcess::start(&platform, Options { limits, ..Options::default() }, BridgeOptions::default()).await;
    let open = || Page::open(bridge.address, "/octavus/websocket", &[]);
    let (mut one, two) = (bridge.page().await, bridge.page().await);
    assert_eq!(open().await.err(), Some(503));
    one.say(&trigger()).await;
    assert_eq!(one.hears().await, start("m"));
    drop(two);
    let mut three = loop {
        if let Ok(page) = open().await {
            break page;
        }
    };
    drop(one);
    three.send(Message::text("x")).await;
    assert_eq!(three.hears().await["type"], "error");
    assert_eq!(open().await.err(), Some(503));
    bridge.leave().await;
    within("the turn is ended", platform.settled()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_nobody_waits_for_does_not_go_on_for_ever() {
    let platform = platform(json!([holds(&start("m"))])).await;
    let how = BridgeOptions { abandoned: Duration::from_millis(50), ..BridgeOptions::default() };
    let bridge = InProcess::start(&platform, Options::default(), how).await;
    let mut page = bridge.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, start("m"));
    drop(page);
    within("the turn is ended", platform.settled()).await;
    assert_eq!(platform.requests()[1]["peerClosedEarly"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_and_others_are_served() {
    let text = json!({ "type": "text-delta", "id": "t", "delta": "x".repeat(256 << 10) });
    let flood: Vec<_> = std::iter::repeat_n(text, 128).chain([finish()]).collect();
    let platform = platform(json!([told(json!(flood)), over()])).await;
    let how = BridgeOptions { waiting: 512 << 10, ..BridgeOptions::default() };
    let bridge = InProcess::start(&platform, Options::default(), how).await;
    let mut slow = bridge.page().await;
    slow.say(&trigger()).await;
    // The turn goes on to its end, and nothing waits for who reads slowly.
    within("the flood", platform.asked(2)).await;
    within("the flood", platform.settled()).await;
    let mut other = bridge.page().await;
    other.say(&trigger()).await;
    assert_eq!(other.hears().await, finish());
    let mut heard = 0;
    while slow.frame().await.is_ok() {
        heard += 1;
    }
    assert!(heard < 128, "it was cut: {heard}");
    bridge.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_silent_has_gone_and_one_that_is_not_is_kept() {
    let platform = platform(json!([over()])).await;
    let how = BridgeOptions { heartbeat: Duration::from_millis(100), ..BridgeOptions::default() };
    let bridge = InProcess::start(&platform, Options::default(), how).await;
    let dead = Ask::new("GET", "/octavus/1/a/websocket")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let address = bridge.address;
    let dead = tokio::task::spawn_blocking(move || {
        let mut stream = dead.begin(address);
        let mut heard = Vec::new();
        // It answers no ping.
        std::io::Read::read_to_end(&mut stream, &mut heard).unwrap();
        heard
    });
    let mut page = Page::open(bridge.address, "/octavus/1/a/websocket", &[]).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 8 {
        heard.push(page.frame().await.unwrap());
    }
    assert_eq!(heard, ["o", "h", "h", "h", "h", "h", "h", "h"]);
    let dead = within("the end of who is silent", dead).await.unwrap();
    assert!(String::from_utf8_lossy(&dead).starts_with("HTTP/1.1 101 "));
    page.send(Message::text(json!([trigger().to_string()]).to_string())).await;
    while !page.frame().await.unwrap().contains("finish") {}
}

/// What a request of a client that polls comes to.
async fn post(bridge: &InProcess, path: &str, body: &str) -> (u16, String) {
    let (ask, address) = (Ask::post_text(&format!("/octavus/1/{path}"), body), bridge.address);
    let ask = ask.header("Content-Type", "text/plain");
    let asked = tokio::task::spawn_blocking(move || {
        let mut reply = ask.send(address);
        (reply.status, reply.body())
    });
    within(path, asked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_sockjs_without_a_websocket_polls() {
    let platform = platform(json!([told(json!([start("m"), finish()]))])).await;
    let how = BridgeOptions { heartbeat: Duration::from_millis(300), ..BridgeOptions::default() };
    let bridge = InProcess::start(&platform, Options::default(), how).await;
    let said = json!([trigger().to_string()]).to_string();
    assert_eq!(post(&bridge, "a/xhr_send", &said).await.0, 404, "there is no such client");
    assert_eq!(post(&bridge, "a/xhr", "").await, (200, "o\n".to_owned()));
    assert_eq!(post(&bridge, "a/xhr", "").await, (200, "h\n".to_owned()));
    assert_eq!(post(&bridge, "a/xhr_send", &said).await, (204, String::new()));
    let mut heard = String::new();
    while !heard.contains("finish") {
        let (status, body) = post(&bridge, "a/xhr", "").await;
        assert!(status == 200 && (body.starts_with("a[") || body == "h\n") && body.ends_with('\n'), "{body}");
        heard += &body;
    }
    assert!(heard.contains(r#"a["{\"type\":\"start\",\"messageId\":\"m\",\"executionId\":\"e\"}"]"#), "{heard}");
    for broken in ["", "[", "{}"] {
        assert_eq!(post(&bridge, "a/xhr_send", broken).await.0, 500, "{broken}");
    }
    bridge.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_polls_twice_at_once_is_told_and_who_polls_no_more_has_gone() {
    let platform = platform(json!([])).await;
    let limits = Limits { sessions: 1, ..Limits::default() };
    let bridge = InProcess::start(&platform, Options { limits, ..Options::default() }, BridgeOptions::default()).await;
    assert_eq!(post(&bridge, "a/xhr", "").await.1, "o\n");
    assert_eq!(post(&bridge, "b/xhr", "").await.0, 503);
    let poll = || Box::pin(post(&bridge, "a/xhr", ""));
    let ((_, first), _, other) = futures_util::future::select_all([poll(), poll()]).await;
    assert_eq!(first, "c[2010,\"Another connection still open\"]\n");
    assert_eq!(post(&bridge, "a/xhr_send", "[\"x\"]").await.0, 204);
    let [other] = other.try_into().ok().unwrap();
    assert!(other.await.1.contains("validation_error"));
    // Nobody listens any more: the place is free soon.
    while post(&bridge, "b/xhr", "").await.0 == 503 {}
    bridge.leave().await;
}
