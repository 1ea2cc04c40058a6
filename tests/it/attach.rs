//! Clients on stdio that join the daemon that runs: one machine for all of them.

use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::{Client, MODERN},
    control::{Socket, notice},
    fake::fake,
    http_client::{Caller, Daemon, listening},
    procs::{alive, eventually, signal},
    program::{Scratch, run, text},
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake(["--wide"]) }))
}

fn pid(client: &mut Client) -> String {
    client.call_text("fake__pid", &json!({}))
}

#[test]
fn all_clients_of_one_config_have_the_same_machine() {
    let scratch = scratch();
    let daemon = Daemon::start(&scratch);
    let server = Caller::legacy(daemon.address()).call_text("fake__pid", &json!({}));
    let (mut one, mut other) = (Client::connect(&scratch), Client::modern(&scratch));
    assert_eq!((pid(&mut one), pid(&mut other)), (server.clone(), server.clone()));
    let mut only = Client::start_with(&scratch, &["--attach", "only"]);
    only.initialize("2025-03-26");
    assert_eq!(pid(&mut only), server);
    for client in [one, other, only] {
        client.leave();
    }
    assert_eq!(Caller::legacy(daemon.address()).call_text("fake__pid", &json!({})), server, "the daemon goes on");
}

#[test]
fn who_is_not_to_join_serves_by_itself_and_who_must_says_that_nobody_is_there() {
    let scratch = scratch();
    scratch.run(["serve", "--stdio", "--attach", "only"]).fails_with(1).says(["no daemon runs for this config"]);
    let daemon = Daemon::start(&scratch);
    let mut never = Client::start_with(&scratch, &["--attach", "never"]);
    never.initialize("2025-11-25");
    assert_ne!(pid(&mut never), Caller::legacy(daemon.address()).call_text("fake__pid", &json!({})));
    never.leave();
}

#[test]
fn a_daemon_of_another_config_or_place_is_another() {
    let first = scratch();
    let _daemon = Daemon::start(&first);
    let file = first.write("other.json", &json!({ "mcpServers": { "fake": fake(["--wide"]) } }).to_string());
    let other = Scratch::in_the_home_of(&first).variable("COMPUTER_CONFIG", text(&file));
    other.run(["serve", "--stdio", "--attach", "only"]).fails_with(1);
    // What means something in its directory is another daemon in another.
    let relative =
        Scratch::new().config(&json!({ "mcpServers": { "sh": { "type": "shell", "mode": "unrestricted" } } }));
    let _daemon = Daemon::start(&relative);
    relative.run(["serve", "--stdio", "--attach", "only"]).ok();
    let mut elsewhere = relative.command(["serve", "--stdio", "--attach", "only"]);
    elsewhere.current_dir("/");
    run(elsewhere, "").fails_with(1);
}

#[test]
fn when_the_daemon_is_killed_its_clients_say_so_and_leave() {
    let scratch = scratch();
    let daemon = Daemon::start(&scratch);
    let mut client = Client::connect(&scratch);
    signal(daemon.daemon(), Signal::SIGKILL);
    assert_eq!(client.exited().code(), Some(1));
    client.says("the daemon has ended, and this client's session with it");
}

#[test]
fn when_the_daemon_leaves_in_order_its_clients_are_told_and_leave() {
    let scratch = scratch();
    let mut daemon = Daemon::start(&scratch);
    let mut client = Client::connect(&scratch);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(client.exited().code(), Some(1));
    client.says("the daemon leaves, and this client's session with it");
    assert_eq!(daemon.exited().code(), Some(143));
}

/// A call that takes a second, another that takes for ever, and a stream that is listened on are under way, and `end`
/// asks the host to leave.
fn leaves_in_order(client: &mut Client, end: impl FnOnce(&Client)) {
    let listening = client.ask("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    client.wait_for_notifications("notifications/subscriptions/acknowledged", 1);
    let call = client.ask_tool("fake__sleep", &json!({ "ms": 1000 }));
    let hangs = client.ask_tool("fake__hang", &json!({}));
    pid(client);
    end(client);
    assert_eq!(client.answer(&call).json["result"]["content"][0]["text"], "slept");
    client.exited();
    for waits in [hangs, listening] {
        let words = "the host is about to end; ask again when it runs again";
        assert_eq!(client.answer(&waits).json["error"]["message"], words);
    }
}

#[test]
fn a_call_that_is_under_way_when_the_host_leaves_is_answered_still() {
    let scratch = scratch();
    let mut alone = Client::modern(&scratch);
    leaves_in_order(&mut alone, |client| signal(client.guard(), Signal::SIGTERM));
    let daemon = Daemon::start(&scratch);
    let mut joined = Client::modern(&scratch);
    leaves_in_order(&mut joined, |_| daemon.signal(Signal::SIGTERM));
    joined.says("the daemon leaves, and this client's session with it");
}

#[test]
fn what_is_asked_while_the_host_leaves_is_refused_with_words() {
    let scratch = scratch();
    let mut client = Client::connect(&scratch);
    let call = client.ask_tool("fake__sleep", &json!({ "ms": 1000 }));
    pid(&mut client);
    signal(client.guard(), Signal::SIGTERM);
    let words = "the host is about to end; ask again when it runs again";
    eventually("a request is refused", || {
        let refused = client.ask("ping", json!({}));
        client.answer(&refused).json["error"]["message"] == words
    });
    assert_eq!(client.answer(&call).json["result"]["content"][0]["text"], "slept");
    assert_eq!(client.exited().code(), Some(143));
}

#[test]
fn what_a_client_has_under_way_is_taken_back_when_it_is_killed() {
    let scratch = scratch();
    let daemon = Daemon::start(&scratch);
    let mut client = Client::connect(&scratch);
    client.ask_tool("fake__hang", &json!({}));
    let mut caller = Caller::legacy(daemon.address());
    // The server notes whose calls it was told to forget.
    assert_eq!(caller.call_text("fake__cancelled", &json!({})), "[]");
    signal(client.daemon(), Signal::SIGKILL);
    eventually("the call is taken back", || caller.call_text("fake__cancelled", &json!({})) != "[]");
}

#[test]
fn what_a_server_asks_reaches_the_client_that_joined_and_whose_call_it_is_about() {
    let scratch = scratch();
    let _daemon = Daemon::start(&scratch);
    let _other = Client::able(&scratch, "2025-11-25", json!({ "roots": {} }));
    let mut client = Client::able(&scratch, "2025-11-25", json!({ "roots": {} }));
    let call = client.ask_tool("fake__ask", &json!({ "method": "roots/list", "params": {} }));
    let (id, _) = client.asked("roots/list");
    let roots = json!({ "roots": [{ "uri": "file:///mine" }] });
    client.reply(&id, &roots);
    assert_eq!(client.answer(&call).json["result"]["content"][0]["text"], roots.to_string());
}

#[test]
fn a_client_that_reads_nothing_holds_nobody_and_costs_no_memory_without_end() {
    let scratch = scratch();
    let daemon = Daemon::start(&scratch);
    let mut command = scratch.command(["serve", "--stdio"]);
    let mut deaf = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = deaf.stdin.take().unwrap();
    let meta =
        json!({ "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {} });
    let flood = thread::spawn(move || {
        for id in 0..200 {
            let arguments = json!({ "bytes": 1 << 20 });
            let params = json!({ "name": "fake__big", "arguments": arguments, "_meta": meta });
            let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
            if std::io::Write::write_all(&mut stdin, format!("{call}\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut client = Client::connect(&scratch);
    for _ in 0..20 {
        assert_eq!(client.call_text("fake__echo", &json!({ "message": "hi" })), "hi");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.daemon())).unwrap();
    let peak: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok()).unwrap();
    assert!(peak < 300 << 10, "{peak} kB");
    deaf.kill().unwrap();
    deaf.wait().unwrap();
    flood.join().unwrap();
}

#[test]
fn what_may_block_is_copied_and_arrives_whole() {
    let scratch = scratch();
    let daemon = Daemon::start(&scratch);
    // At the end of its input the program has no time for a server that is still starting.
    Caller::legacy(daemon.address()).call_text("fake__pid", &json!({}));
    let meta =
        json!({ "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {} });
    let call = |id: u64, bytes: usize| {
        let params = json!({ "name": "fake__big", "arguments": { "bytes": bytes }, "_meta": meta });
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
    };
    let input = scratch.write("input", &(call(1, 200 << 10) + &call(2, 10)));
    let output = scratch.path("output");
    let mut command: Command = scratch.command(["serve", "--stdio", "--attach", "only"]);
    command.stdin(File::open(input).unwrap()).stdout(File::create(&output).unwrap());
    assert!(command.status().unwrap().success());
    let mut text = String::new();
    File::open(output).unwrap().read_to_string(&mut text).unwrap();
    let mut sizes: Vec<usize> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["result"]["content"][0]["text"].as_str().unwrap().len()
        })
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 200 << 10]);
}

#[test]
fn of_two_that_serve_stdio_and_http_the_second_joins_the_first() {
    let scratch = scratch();
    let mut first = Client::start_with(&scratch, &["--http", "127.0.0.1:0", "--no-token"]);
    first.initialize("2025-11-25");
    listening(|| first.stderr());
    let mut second = Client::start_with(&scratch, &["--http", "127.0.0.1:0", "--no-token"]);
    second.initialize("2025-11-25");
    assert_eq!(pid(&mut second), pid(&mut first));
    second.says("a daemon runs already, at http://127.0.0.1:");
    second.leave();
    signal(first.guard(), Signal::SIGTERM);
    first.exited();
}

#[test]
fn a_daemon_of_another_version_is_not_joined() {
    let scratch = scratch();
    let _daemon = Daemon::start(&scratch);
    // What an older program would have noted.
    let mut noted = notice(&scratch);
    noted["version"] = "99.0.0".into();
    let states = scratch.home().join(".local/state/computer");
    let notices = std::fs::read_dir(states).unwrap().map(|entry| entry.unwrap().path().join("daemon.json"));
    let path = notices.into_iter().find(|path| path.exists()).unwrap();
    std::fs::write(path, noted.to_string()).unwrap();
    let said = ["is of version 99.0.0", "computer shutdown"];
    scratch.run(["serve", "--stdio", "--attach", "only"]).fails_with(1).says(said);
    scratch.run(["status"]).fails_with(1).says(said);
    let mut alone = Client::connect(&scratch);
    alone.says("this process serves its client by itself");
    assert!(alive(pid(&mut alone).parse().unwrap()));
    alone.leave();
    assert!(Socket::connect(&scratch).refused("attach", &json!({ "version": "99.0.0" })) == "invalid");
}
