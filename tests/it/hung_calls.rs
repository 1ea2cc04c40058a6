//! Calls that hang: they cost no thread, hinder nobody, and are gone when they are taken back (spec/computer.md 22).

use std::{
    fs,
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
};

use futures_util::future::join_all;
use mcp_computer::{CallContext, Error};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::support::{
    client::{Client, MODERN},
    fake::fake,
    http_client::{Caller, listening},
    library::{AT_ONCE, Fake, again_with, cancelled_by, comes_true, sent, server, within},
    procs::eventually,
    program::Scratch,
};

/// A pool of threads may make one or two for its own reasons; a thread for each call would be a hundred.
const FEW: usize = 4;

fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").count()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_that_hang_cost_no_thread_and_no_task_and_others_go_on() {
    // Threads and tasks are counted: in a process of its own.
    if again_with(&[], "hung_calls::a_hundred_calls_that_hang_cost_no_thread_and_no_task_and_others_go_on") {
        return;
    }
    let fake = Fake::up([]).await;
    within("adding", fake.computer.add_entry("other", server::<&str>([]), AT_ONCE)).await.unwrap();
    fake.health().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (threads_before, tasks_before) = (threads(std::process::id()), tasks());
    let token = CancellationToken::new();
    let hanging: Vec<_> = (0..100).map(|_| sent(&fake.computer, "fake__hang", cancelled_by(&token))).collect();
    for n in 0..50 {
        assert_eq!(fake.call("echo", json!({ "message": format!("m{n}") })).await.unwrap(), format!("m{n}"));
    }
    let other = sent(&fake.computer, "other__echo", CallContext::default());
    assert!(within("another entry", other).await.is_ok());
    let health = fake.health().await;
    assert!(health.healthy && health.restarts == 0, "{health:?}");
    within("control", fake.computer.restart_entry("other")).await.unwrap();
    assert!(threads(std::process::id()) <= threads_before + FEW, "{threads_before} threads before");
    comes_true("no task is more", || tasks() <= tasks_before).await;
    token.cancel();
    for outcome in within("they are taken back", join_all(hanging)).await {
        assert_eq!(outcome.unwrap_err(), Error::Cancelled);
    }
    fake.has_seen_cancelled(100).await;
    assert_eq!(fake.pids().len(), 1);
}

/// A call over a connection of its own, whose answer is not waited for.
fn hung(address: SocketAddr, caller: &mut Caller) -> TcpStream {
    let (ask, _) = caller.ask("tools/call", json!({ "name": "fake__hang", "arguments": {} }));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(ask.text(address).as_bytes()).unwrap();
    stream
}

#[test]
fn a_hundred_calls_that_hang_over_both_fronts_cost_no_thread_and_others_go_on() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]), "other": fake::<&str>([]) }));
    let mut client = Client::start_with(&scratch, &["--http", "127.0.0.1:0", "--no-token"]);
    client.initialize("2025-11-25");
    client.tools();
    let address = listening(|| client.stderr());
    let mut caller = Caller::new(address, "/mcp", MODERN);
    let echo = json!({ "message": "on" });
    assert_eq!(caller.call_text("fake__echo", &echo), "on");
    let daemon = client.daemon().cast_unsigned();
    let (threads_before, descriptors_before) = (threads(daemon), descriptors(daemon));

    // A client has no more than 64 under way with an entry.
    let on_stdio: Vec<Value> = (0..50).map(|_| client.ask_tool("fake__hang", &json!({}))).collect();
    let on_http: Vec<TcpStream> = (0..50).map(|_| hung(address, &mut caller)).collect();
    let has_seen = |client: &mut Client, what: &str, count: usize| {
        let seen: Value = serde_json::from_str(&client.call_text(&format!("fake__{what}"), &json!({}))).unwrap();
        seen.as_array().map(Vec::len).or_else(|| usize::try_from(seen["methods"]["tools/call"].as_u64()?).ok())
            >= Some(count)
    };
    eventually("all of them are with the server", || has_seen(&mut client, "seen", 100));
    for name in ["fake__echo", "other__echo"] {
        for _ in 0..10 {
            assert_eq!(client.call_text(name, &echo), "on");
            assert_eq!(caller.call_text(name, &echo), "on");
        }
    }
    assert!(threads(daemon) <= threads_before + FEW, "{threads_before} threads before");

    for id in &on_stdio {
        client.notify("notifications/cancelled", &json!({ "requestId": id }));
    }
    for stream in on_http {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    eventually("the server is told of all of them", || has_seen(&mut client, "cancelled", 100));
    eventually("no connection is kept", || descriptors(daemon) <= descriptors_before);
    let answered = client.lines().iter().filter(|line| on_stdio.contains(&line.json["id"])).count();
    assert_eq!(answered, 0, "what was taken back is not answered");
}

#[test]
fn a_client_whose_calls_to_one_entry_all_hang_calls_the_others_and_asks_how_that_one_is() {
    let entries = json!({ "fake": fake::<&str>([]), "other": fake::<&str>([]) });
    let scratch = Scratch::new().config(&json!({ "mcpServers": entries, "statusTools": "always" }));
    let mut client = Client::start_with(&scratch, &["--http", "127.0.0.1:0", "--no-token"]);
    client.initialize("2025-11-25");
    client.tools();
    let address = listening(|| client.stderr());
    let mut caller = Caller::new(address, "/mcp", MODERN);
    for _ in 0..200 {
        client.ask_tool("fake__hang", &json!({}));
    }
    let streams: Vec<TcpStream> = (0..100).map(|_| hung(address, &mut caller)).collect();
    let echo = json!({ "message": "on" });
    for _ in 0..10 {
        assert_eq!(client.call_text("other__echo", &echo), "on");
        assert_eq!(caller.call_text("other__echo", &echo), "on");
        assert!(client.call_text("fake__status", &json!({})).contains("ready"));
    }
    drop(streams);
}
