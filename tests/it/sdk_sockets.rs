//! Turns that are asked for over a socket.

use std::sync::{Arc, Mutex};

use mcp_computer::{
    Promise,
    sdk::{AttachOptions, SocketHandlers, SocketMessage, StreamEvent},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{
    library::within,
    sdk::{finish, over, platform, session, told},
};

/// The other end of a socket, and what it was told.
#[derive(Clone, Default)]
struct Peer(Arc<Mutex<Vec<Value>>>, Arc<watch::Sender<usize>>);

impl Peer {
    fn note(&self, what: Value) {
        self.0.lock().unwrap().push(what);
        self.1.send_modify(|count| *count += 1);
    }

    fn told(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    async fn hears(&self, times: usize) {
        let _ = within("an event", self.1.subscribe().wait_for(|count| *count >= times)).await;
    }
}

impl SocketHandlers for Peer {
    fn on_event(&mut self, event: StreamEvent) {
        self.note(serde_json::to_value(event).unwrap());
    }

    fn on_finish(&mut self) -> Promise<'_, ()> {
        self.note(json!("finished"));
        Box::pin(std::future::ready(()))
    }
}

fn message(message: Value) -> SocketMessage {
    serde_json::from_value(message).unwrap()
}

fn trigger() -> SocketMessage {
    message(json!({ "type": "trigger", "triggerName": "go" }))
}

fn start(id: &str) -> Value {
    json!({ "type": "start", "messageId": id })
}

fn holds(id: &str) -> Value {
    json!({ "chunks": [{ "event": start(id) }, { "hold": true }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_told_in_order_and_then_it_is_finished_once() {
    let refused = json!({ "status": 401, "json": { "error": "who?" } });
    let platform = platform(json!([told(json!([start("m"), finish()])), refused, over()])).await;
    let session = session(&platform, AttachOptions::new());
    let mut peer = Peer::default();
    within("a turn", session.handle_socket_message(message(json!({ "type": "stop" })), &mut peer)).await;
    within("a turn", session.handle_socket_message(trigger(), &mut peer)).await;
    assert_eq!(peer.told(), [start("m"), finish(), json!("finished")]);
    within("a turn", session.handle_socket_message(trigger(), &mut peer)).await;
    assert_eq!(peer.told()[3]["errorType"], "authentication_error");
    assert_eq!(peer.told()[4], "finished", "a refusal is an answer");
    let go_on = json!({ "type": "continue", "executionId": "e", "toolResults": [{ "toolCallId": "1", "result": 1 }] });
    within("a turn", session.handle_socket_message(message(go_on), &mut peer)).await;
    let body = platform.requests()[2]["body"].clone();
    assert_eq!(body, json!({ "executionId": "e", "toolResults": [{ "toolCallId": "1", "result": 1 }] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_nothing_more_is_told() {
    let platform = platform(json!([holds("m")])).await;
    let session = session(&platform, AttachOptions::new());
    let (peer, mut ear) = (Peer::default(), Peer::default());
    let stop = async {
        peer.hears(1).await;
        session.handle_socket_message(SocketMessage::Stop, &mut ear).await;
    };
    let mut handlers = peer.clone();
    within("a turn", async { tokio::join!(session.handle_socket_message(trigger(), &mut handlers), stop) }).await;
    assert_eq!(peer.told(), [start("m")]);
    within("hanging up", platform.settled()).await;
    assert_eq!(platform.requests()[0]["peerClosedEarly"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_turn_stops_the_one_before() {
    let platform = platform(json!([holds("first"), over()])).await;
    let session = session(&platform, AttachOptions::new());
    let (first, second) = (Peer::default(), Peer::default());
    let next = async {
        first.hears(1).await;
        session.handle_socket_message(trigger(), &mut second.clone()).await;
    };
    let mut handlers = first.clone();
    within("both turns", async { tokio::join!(session.handle_socket_message(trigger(), &mut handlers), next) }).await;
    assert_eq!(first.told(), [start("first")]);
    assert_eq!(second.told(), [finish(), json!("finished")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_fails_is_told_as_one_error_and_is_not_finished() {
    let cut = json!({ "chunks": [{ "event": start("m") }, { "destroy": true }] });
    let platform = platform(json!([cut])).await;
    let mut peer = Peer::default();
    let session = session(&platform, AttachOptions::new());
    within("a turn", session.handle_socket_message(trigger(), &mut peer)).await;
    let told = peer.told();
    assert_eq!((told.len(), &told[0], &told[1]["errorType"]), (2, &start("m"), &json!("internal_error")));
}
