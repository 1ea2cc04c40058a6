//! Control of the daemon that runs: over its socket, over HTTP, by the verbs of the program.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener, net::UnixStream, process::CommandExt},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::{Client, MODERN},
    control::{Socket, notice, place},
    fake::{self, fake},
    http_client::{Ask, Caller, Daemon, Reply},
    procs::{assert_gone, children, eventually, signal},
    program::{Scratch, run, text},
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake(["--wide"]), "later": { "deferred": true, "command": fake::path() } }))
}

/// The daemon of a scratch place, its entries up.
fn up(scratch: &Scratch) -> Daemon {
    let daemon = Daemon::start(scratch);
    eventually("everything is up", || scratch.run(["status", "--json"]).json()["healthy"] == true);
    daemon
}

fn entry() -> String {
    fake::<&str>([]).to_string()
}

#[test]
fn without_a_daemon_the_verbs_that_need_one_say_that_none_runs() {
    let scratch = scratch();
    let entry = entry();
    for verb in [
        &["restart", "fake"][..],
        &["stop-entry", "fake"],
        &["remove", "fake"],
        &["add", "--entry", &entry, "more"],
        &["retry"],
        &["ready"],
        &["events"],
        &["reload"],
        &["shutdown"],
    ] {
        let ran = scratch.run(verb).fails_with(1);
        ran.says([
            "no daemon runs for this config (",
            "config.json) in this directory; `computer serve --http` starts one",
        ]);
    }
}

#[test]
fn verbs_ask_the_daemon_that_runs_unless_told_otherwise() {
    let scratch = scratch();
    let daemon = up(&scratch);
    let server = Caller::legacy(daemon.address()).call_text("fake__pid", &json!({}));
    let pid = |flags: &[&str]| scratch.run([&["call", "fake__pid"], flags].concat()).ok().json().to_string();
    assert_eq!(pid(&[]), server);
    assert_ne!(pid(&["--no-daemon"]), server);
    let health = scratch.run(["status", "--json"]).ok().json();
    assert_eq!(health["entries"][0]["pid"].to_string(), server);
    assert!(scratch.run(["tools", "--json"]).ok().tool_names().contains(&"fake__echo".to_owned()));
    // A deferred one is brought up by who calls it, and listed by who asks for it.
    assert_eq!(health["entries"][1]["state"], "deferred");
    scratch.run(["call", &mcp_computer::status_tool(&"later".parse().unwrap())]).ok();
    assert_eq!(scratch.run(["status", "--json"]).ok().json()["entries"][1]["state"], "deferred");
    scratch.run(["call", "later__echo", r#"{"message":"now"}"#]).ok().prints(["now"]);
    assert_eq!(scratch.run(["status", "--json"]).ok().json()["entries"][1]["state"], "ready");
}

#[test]
fn exit_statuses_are_the_same_with_a_daemon() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    scratch.run(["call", "fake__is_error"]).exits_with(1).prints(["it went wrong"]);
    scratch.run(["call", "fake__nothing"]).fails_with(2).says(["fake__nothing"]);
    scratch.run(["call", "nobody__x"]).fails_with(2);
    scratch.run(["call", "fake__echo", "[1]"]).fails_with(2);
    scratch.run(["restart", "nobody"]).fails_with(2).says(["no entry is named `nobody`", "fake, later"]);
    scratch.run(["tools", "nobody"]).fails_with(2);
    scratch.run(["stop-entry", "fake"]).ok().prints(["fake: stopped"]);
    scratch.run(["call", "fake__echo"]).fails_with(1).says(["cannot call `fake__echo`", "stopped"]);
    scratch.run(["ready", "fake"]).ok().prints(["fake: ready"]);
    scratch.run(["retry"]).ok().prints(["everything that should be up is"]);
}

#[test]
fn an_entry_that_is_added_or_removed_shows_in_all_clients_at_once() {
    let scratch = scratch();
    let daemon = up(&scratch);
    let mut on_stdio = Client::connect(&scratch);
    let mut on_http = Caller::new(daemon.address(), "/mcp", "2025-11-25");
    on_http.initialize();
    on_http.tools();
    let mut told = on_http.listen();
    scratch.run(["add", "more", "--entry", &entry()]).ok().prints(["more: ready, "]);
    on_stdio.wait_for_notifications("notifications/tools/list_changed", 1);
    told.told("notifications/tools/list_changed");
    assert!(on_stdio.tools().contains(&"more__echo".to_owned()));
    assert!(on_http.tools().contains(&"more__echo".to_owned()));
    scratch.run(["add", "more", "--entry", &entry()]).fails_with(2).says(["`more`"]);
    scratch.run(["remove", "more"]).ok();
    on_stdio.wait_for_notifications("notifications/tools/list_changed", 2);
    assert!(!on_stdio.tools().iter().any(|name| name.starts_with("more__")));
}

#[test]
fn a_command_line_is_an_entry_and_its_flags_are_its_own() {
    let scratch = scratch();
    let scratch = scratch.variable("COMPUTER_CONFIG", "config.json");
    let _daemon = up(&scratch);
    let mut command = scratch.other(env!("CARGO_BIN_EXE_computer").as_ref());
    let place = scratch.path("");
    command.args([
        "add",
        "--env",
        "MARK=here",
        "--deferred",
        "more",
        "--",
        text(&fake::path()),
        "--version",
        "2025-03-26",
    ]);
    run(command, "").ok().prints(["more: deferred"]);
    scratch.run(["restart", "more"]).ok();
    let health = scratch.run(["status", "--json"]).ok().json();
    assert_eq!(health["entries"][2]["protocol"], "2025-03-26", "{health}");
    let env = scratch.run(["call", "more__env"]).ok().json();
    assert_eq!(env["MARK"], "here", "{} {env}", place.display());
}

#[test]
fn a_wrong_entry_is_refused_with_every_mistake_and_nothing_changes() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let wrong = r#"{ "comand": "x", "callTimeout": "soon" }"#;
    scratch.run(["add", "more", "--entry", wrong]).fails_with(2).says(["comand", "callTimeout"]);
    scratch.run(["add", "a__b", "--entry", &entry()]).fails_with(2).says(["a__b"]);
    scratch.run(["add", "more"]).fails_with(2).says(["say what the entry is"]);
    assert_eq!(scratch.run(["status", "--json"]).json()["entries"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_saved_is_in_the_file_with_all_its_comments_and_outlives_the_daemon() {
    let fake = fake::<&str>([]);
    let config = format!("// mine\n{{\n  \"mcpServers\": {{\n    \"fake\": {fake}, // the first\n  }},\n}}\n");
    let scratch = Scratch::new().config_text(&config);
    let mut daemon = up(&scratch);
    scratch.run(["add", "more", "--save", "--entry", &entry()]).ok().prints(["more: ready"]);
    let saved = fs::read_to_string(scratch.path("config.json")).unwrap();
    assert!(saved.starts_with("// mine\n") && saved.contains("// the first") && saved.contains("\"more\""), "{saved}");
    scratch.run(["add", "more", "--save", "--entry", &entry()]).fails_with(2);
    scratch.run(["shutdown"]).ok().prints(["has left"]);
    assert!(daemon.exited().success());
    let _daemon = up(&scratch);
    scratch.run(["call", "more__echo", r#"{"message":"still"}"#]).ok().prints(["still"]);
    scratch.run(["remove", "more", "--save"]).ok();
    let saved = fs::read_to_string(scratch.path("config.json")).unwrap();
    assert!(saved.contains("// the first") && !saved.contains("\"more\""), "{saved}");
    scratch.run(["call", "more__echo"]).fails_with(2);
}

#[test]
fn a_file_of_another_program_is_never_written() {
    let scratch = Scratch::new();
    let text_ = format!("{{ \"mcpServers\": {{ \"fake\": {} }} }}", entry());
    let file = scratch.write(".cursor/mcp.json", &text_);
    let scratch = scratch.variable("COMPUTER_CONFIG", text(&file));
    let _daemon = up(&scratch);
    let ran = scratch.run(["add", "more", "--save", "--entry", &entry()]).fails_with(2);
    ran.says(["is a file of Cursor", "never written"]);
    assert_eq!(fs::read_to_string(file).unwrap(), text_);
    assert!(!scratch.run(["tools", "--json"]).ok().tool_names().iter().any(|name| name.starts_with("more__")));
}

#[test]
fn what_is_in_the_file_as_it_was_added_by_hand_belongs_to_the_file_from_then_on() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    scratch.run(["add", "more", "--entry", &entry()]).ok();
    let pid = scratch.run(["call", "more__pid"]).ok().json();
    let with = json!({ "mcpServers": { "fake": fake(["--wide"]), "more": fake::<&str>([]) } });
    scratch.write("config.json", &with.to_string());
    scratch.run(["reload"]).ok();
    assert_eq!(scratch.run(["call", "more__pid"]).ok().json(), pid, "it is not touched");
    scratch.write("config.json", &json!({ "mcpServers": { "fake": fake(["--wide"]) } }).to_string());
    scratch.run(["reload"]).ok();
    scratch.run(["call", "more__pid"]).fails_with(2);
}

#[test]
fn a_config_with_mistakes_is_refused_and_the_daemon_still_answers() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    scratch.write("config.json", r#"{ "mcpServers": { "fake": { "comand": 1 } } }"#);
    scratch.run(["reload"]).fails_with(2).says(["is not applied", "comand"]);
    scratch.run(["call", "fake__echo", r#"{"message":"on"}"#]).ok().prints(["on"]);
    let health = scratch.run(["status", "--json"]).ok().json();
    assert!(health["configProblems"].to_string().contains("comand"), "{health}");
    scratch.run(["shutdown"]).ok();
    scratch.run(["status"]).fails_with(2).says(["comand"]);
}

#[test]
fn events_are_lines_of_json_until_the_daemon_leaves() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let mut events =
        scratch.command(["events", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    // It follows from when it is connected: the verb is asked again until it was heard.
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let restarting = std::thread::scope(|scope| {
        let heard = scope.spawn(&mut next);
        eventually("an event is heard", || {
            scratch.run(["restart", "fake"]).ok();
            heard.is_finished()
        });
        heard.join().unwrap()
    });
    assert_eq!(restarting["event"], "stateChanged");
    assert_eq!(restarting["namespace"], "fake");
    scratch.run(["shutdown"]).ok();
    assert!(events.wait().unwrap().success());
    let mut said = String::new();
    events.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the daemon leaves"), "{said}");
}

#[test]
fn a_shutdown_is_over_when_everything_is_gone() {
    // Whatever it takes.
    let scratch = Scratch::entries(json!({ "fake": fake(["--ignore-term", "--ignore-eof"]) }));
    let mut daemon = up(&scratch);
    let server: i32 = scratch.run(["call", "fake__pid"]).ok().json().to_string().parse().unwrap();
    let socket = place(&scratch);
    scratch.run(["shutdown"]).ok();
    assert!(!socket.exists());
    assert!(daemon.exited().success());
    assert_gone(&[server]);
    scratch.run(["shutdown"]).fails_with(1);
}

#[test]
fn one_connection_has_many_requests_under_way_and_each_gets_its_own_answer() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let mut socket = Socket::connect(&scratch);
    let slow = socket.begin("call", &json!({ "name": "fake__sleep", "arguments": { "ms": 500 } }));
    let quick = socket.begin("hello", &json!({}));
    assert_eq!(socket.line().unwrap()["id"], quick);
    let hung = socket.begin("call", &json!({ "name": "fake__hang", "arguments": {} }));
    assert_eq!(socket.line().unwrap()["id"], slow);
    let taken = socket.begin("cancel", &json!({ "id": hung }));
    let refused = socket.line().unwrap();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(hung), &json!("cancelled")));
    assert_eq!(socket.line().unwrap()["id"], taken);
    let cancelled = socket.ask("call", &json!({ "name": "fake__cancelled" }));
    assert_ne!(cancelled["content"][0]["text"], "[]", "the server was told");
    let ids: BTreeSet<u64> = (0..64).map(|_| socket.begin("call", &json!({ "name": "fake__pid" }))).collect();
    let answered: BTreeSet<u64> = (0..64).map(|_| socket.line().unwrap()["id"].as_u64().unwrap()).collect();
    assert_eq!(answered, ids);
}

#[test]
fn what_is_no_request_is_refused_by_its_code_and_the_connection_lives() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let mut socket = Socket::connect(&scratch);
    for (line, id) in [
        ("{", json!(null)),
        ("[]", json!(null)),
        ("7", json!(null)),
        ("{\"id\":1}", json!(1)),
        ("\u{7}", json!(null)),
        (r#"{"id":"a","verb":7}"#, json!("a")),
        (r#"{"id":2,"verb":"status","args":[]}"#, json!(2)),
    ] {
        socket.write(line);
        let refused = socket.line().unwrap();
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&id, &json!("invalid")), "{line}");
    }
    assert_eq!(socket.refused("dance", &json!({})), "unknownVerb");
    assert_eq!(socket.refused("restart", &json!({})), "invalid");
    assert_eq!(socket.refused("restart", &json!({ "namespace": "fake", "more": 1 })), "invalid");
    assert_eq!(socket.refused("restart", &json!({ "namespace": "nobody" })), "unknownNamespace");
    assert_eq!(socket.refused("call", &json!({ "name": "nobody__x" })), "unknownTool");
    assert_eq!(socket.refused("call", &json!({ "name": "fake__echo", "arguments": [1] })), "invalid");
    assert_eq!(socket.refused("add", &json!({ "namespace": "fake", "entry": fake::<&str>([]) })), "conflict");
    assert_eq!(socket.refused("add", &json!({ "namespace": "x", "entry": { "comand": 1 } })), "config");
    assert_eq!(socket.refused("attach", &json!({ "version": env!("CARGO_PKG_VERSION") })), "invalid", "no ends came");
    assert_eq!(socket.ask("hello", &json!({}))["protocol"], 1);
    // Beyond what is read, it is over for that line alone.
    socket.write(&"x".repeat(65 << 20));
    assert_eq!(socket.line().unwrap()["error"]["code"], "invalid");
    assert_eq!(socket.ask("hello", &json!({}))["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn who_follows_events_and_reads_nothing_holds_nobody_and_is_told_how_much_it_missed() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let mut slow = Socket::connect(&scratch);
    slow.begin("events", &json!({}));
    let mut socket = Socket::connect(&scratch);
    // Each of these events says all that is wrong.
    let wrong: serde_json::Map<String, Value> = (0..1000).map(|number| (format!("k{number}"), json!({}))).collect();
    scratch.write("config.json", &json!({ "mcpServers": wrong }).to_string());
    for _ in 0..20 {
        assert_eq!(socket.refused("reload", &json!({})), "config");
    }
    assert_eq!(socket.ask("hello", &json!({}))["protocol"], 1);
    let missed = loop {
        let line = slow.line().unwrap();
        if line["event"]["event"] == "missed" {
            break line;
        }
    };
    assert!(missed["event"]["count"].as_u64().unwrap() > 0, "{missed}");
}

#[test]
fn the_socket_is_for_this_user_alone() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let path = place(&scratch);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can come as another user");
        return;
    }
    // Even where the rights of the directories have been given away.
    let mut directory = path.as_path();
    while directory.starts_with(scratch.keep().path()) {
        let rights = if directory == path { 0o666 } else { 0o755 };
        fs::set_permissions(directory, fs::Permissions::from_mode(rights)).unwrap();
        directory = directory.parent().unwrap();
    }
    let asks = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                s.sendall(b'{\"id\":1,\"verb\":\"hello\"}\\n')\nsys.stdout.write(s.recv(100).decode())";
    let asked = |uid: u32| {
        let output = Command::new("python3").args(["-c", asks, text(&path)]).uid(uid).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (answer, why) = asked(0);
    assert!(answer.contains("\"result\""), "{answer}{why}");
    let (answer, why) = asked(65534);
    assert_eq!(answer, "");
    assert!(!why.contains("PermissionError"), "it is refused by the daemon and not by the rights: {why}");
}

#[test]
fn the_sockets_of_this_user_lie_where_the_system_has_a_place_for_them() {
    let scratch = scratch();
    let runtime = scratch.path("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
    let scratch = scratch.variable("XDG_RUNTIME_DIR", text(&runtime));
    let daemon = up(&scratch);
    assert!(place(&scratch).starts_with(runtime.join("computer")));
    assert_eq!(notice(&scratch)["http"][0], format!("http://{}/mcp", daemon.address()));
    // Whoever has no such variable finds it all the same.
    let other = scratch.variable("XDG_RUNTIME_DIR", "");
    other.run(["status"]).ok();
}

#[test]
fn what_a_killed_daemon_has_left_is_in_nobodys_way() {
    let scratch = scratch();
    let mut killed = up(&scratch);
    let socket = place(&scratch);
    signal(killed.daemon(), Signal::SIGKILL);
    killed.exited();
    assert!(socket.exists());
    scratch.run(["restart", "fake"]).fails_with(1).says(["no daemon runs"]);
    let _daemon = up(&scratch);
    scratch.run(["restart", "fake"]).ok();
}

#[test]
fn what_is_no_stale_socket_is_left_alone_and_said() {
    for what in ["a link", "a file", "somebody"] {
        let scratch = scratch();
        let mut before = Daemon::start(&scratch);
        let socket = place(&scratch);
        before.signal(Signal::SIGTERM);
        before.exited();
        let _listener = match what {
            "a link" => std::os::unix::fs::symlink("/dev/null", &socket).map(|()| None).unwrap(),
            "a file" => fs::write(&socket, "").map(|()| None).unwrap(),
            _ => Some(UnixListener::bind(&socket).unwrap()),
        };
        let daemon = up(&scratch);
        assert!(daemon.stderr().contains("the verbs that ask a daemon will not find this one"), "{}", daemon.stderr());
        assert!(fs::symlink_metadata(&socket).is_ok());
        // It serves all the same.
        assert!(Caller::legacy(daemon.address()).tools().contains(&"fake__echo".to_owned()));
    }
}

#[test]
fn of_two_daemons_that_begin_at_the_same_moment_one_serves_and_the_other_says_who_does() {
    let scratch = scratch();
    let begin = || {
        let mut command = scratch.command(["serve", "--http", "127.0.0.1:0", "--no-token"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut all: Vec<_> = (0..6).map(|_| begin()).collect();
    eventually("all but one have left", || {
        all.iter_mut().map(|child| usize::from(child.try_wait().unwrap().is_none())).sum::<usize>() == 1
    });
    for child in &mut all {
        let Some(status) = child.try_wait().unwrap() else { continue };
        assert_eq!(status.code(), Some(1));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("a daemon for this config"), "{said}");
    }
    scratch.run(["call", "fake__echo", r#"{"message":"one"}"#]).ok().prints(["one"]);
    scratch.run(["shutdown"]).ok();
    for child in &mut all {
        child.wait().unwrap();
    }
}

#[test]
fn a_daemon_that_listens_nowhere_is_there_for_this_user() {
    let scratch = scratch();
    let mut command = scratch.command(["serve", "--local"]);
    let mut daemon = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(daemon.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "serving this user\n");
    let mut client = Client::start_with(&scratch, &["--attach", "only"]);
    client.initialize("2025-11-25");
    let pid = client.call_text("fake__pid", &json!({}));
    assert_eq!(scratch.run(["call", "fake__pid"]).ok().json().to_string(), pid);
    assert_eq!(children(daemon.id().cast_signed()).len(), 1);
    client.leave();
    scratch.run(["shutdown"]).ok();
    assert!(daemon.wait().unwrap().success());
}

/// A daemon that wants its token, and the token.
fn guarded() -> (Scratch, Daemon, String) {
    let scratch = scratch();
    let daemon = Daemon::start_with(&scratch, &[]);
    let printed = scratch.run(["connect", "cursor", "--http", &daemon.address().to_string()]).ok().json();
    let bearer = printed["mcpServers"]["computer"]["headers"]["Authorization"].as_str().unwrap().to_owned();
    (scratch, daemon, bearer)
}

#[test]
fn the_same_is_there_over_http_with_the_token() {
    let (_scratch, daemon, bearer) = guarded();
    let get = |path: &str| Ask::new("GET", path).header("Authorization", &bearer);
    let post = |path: &str, body: &Value| Ask::post_text(path, &body.to_string()).header("Authorization", &bearer);
    let json_ = |ask: Ask| {
        let mut reply = ask.send(daemon.address());
        (reply.status, reply.json())
    };
    let (status, health) = json_(get("/api/status"));
    assert_eq!((status, &health["entries"][0]["name"]), (200, &json!("fake")), "{health}");
    assert_eq!(json_(post("/api/ready", &json!({}))).0, 200);
    assert!(json_(get("/api/tools")).1["tools"].as_array().unwrap().len() > 10);
    assert!(json_(get("/api/tools/fake")).1["tools"].as_array().unwrap().len() > 10);
    assert_eq!(json_(get("/api/hello")).1["protocol"], 1);
    let call = json!({ "name": "fake__echo", "arguments": { "message": "hi" } });
    assert_eq!(json_(post("/api/call", &call)), (200, json!({ "content": [{ "type": "text", "text": "hi" }] })));
    let mut events = get("/api/events").send(daemon.address());
    assert!(events.is_stream());
    let (status, restarted) = json_(post("/api/entries/fake/restart", &json!({})));
    assert_eq!((status, &restarted["state"]), (200, &json!("ready")), "{restarted}");
    let mut log = get("/api/logs/fake").send(daemon.address());
    assert!(log.is_stream());
    assert!(log.event().unwrap().data["text"].is_string());
    let mut ends = get("/api/logs/fake?follow=false&lines=1").send(daemon.address());
    assert!(ends.event().unwrap().data["text"].is_string() && ends.event().is_none(), "one line, and no more");
    let event = events.event().unwrap().data;
    assert_eq!((&event["event"], &event["namespace"]), (&json!("stateChanged"), &json!("fake")));
    let added = json_(post("/api/entries/more/add", &json!({ "entry": fake::<&str>([]) })));
    assert_eq!((added.0, &added.1["state"]), (200, &json!("ready")), "{}", added.1);
    assert_eq!(json_(post("/api/entries/more/remove", &json!({}))).0, 200);
    assert_eq!(json_(post("/api/entries/fake/stop", &json!({}))).1["state"], "stopped");
    assert_eq!(json_(post("/api/entries/fake/ready", &json!({}))).1["state"], "ready");
    for (status, code, ask) in [
        (404, "unknownNamespace", post("/api/entries/nobody/restart", &json!({}))),
        (404, "unknownTool", post("/api/call", &json!({ "name": "nobody__x" }))),
        (404, "unknownVerb", post("/api/entries/fake/dance", &json!({}))),
        (404, "unknownVerb", get("/api/dance")),
        (404, "unknownNamespace", get("/api/logs/nobody")),
        (400, "invalid", get("/api/logs/fake?lines=all")),
        (400, "invalid", get("/api/events?follow=false")),
        (400, "invalid", post("/api/call", &json!({ "nam": "x" }))),
        (400, "invalid", post("/api/call", &json!([1]))),
        (409, "conflict", post("/api/entries/fake/add", &json!({ "entry": fake::<&str>([]) }))),
        (422, "config", post("/api/entries/x/add", &json!({ "entry": { "comand": 1 } }))),
    ] {
        let (got, body) = json_(ask);
        assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{body}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(json_(post("/api/shutdown", &json!({}))).0, 200);
}

#[test]
fn nobody_without_the_token_or_from_elsewhere_is_let_in_to_control() {
    let (_scratch, daemon, bearer) = guarded();
    let status = |ask: Ask| ask.status(daemon.address());
    for path in ["/api/status", "/api/tools", "/api/events", "/api/nothing"] {
        let get = || Ask::new("GET", path);
        assert_eq!(status(get()), 401, "{path}");
        assert_eq!(status(get().header("Authorization", "Bearer wrong")), 401, "{path}");
        let told = || get().header("Authorization", &bearer);
        assert_eq!(status(told().header("Origin", "http://evil.test")), 403, "{path}");
        assert_eq!(status(told().header("Origin", "null")), 403, "{path}");
        assert_eq!(status(told().without("Host").header("Host", "evil.test")), 403, "{path}");
    }
    for path in ["/api/call", "/api/reload", "/api/shutdown", "/api/entries/fake/restart", "/api/entries"] {
        assert_eq!(status(Ask::new("GET", path).header("Authorization", &bearer)), 405, "no change by GET: {path}");
        assert_eq!(status(Ask::post_text(path, "{}")), 401, "{path}");
        let plain = Ask::post_text(path, "{}").header("Authorization", &bearer);
        let plain = plain.without("Content-Type").header("Content-Type", "text/plain");
        assert_eq!(status(plain), 415, "what a page can send by itself: {path}");
    }
    for path in ["/api", "/api/", "/api/../api/status", "/api//status", "/api/%73tatus", "/API/status", "/apistatus"] {
        assert_eq!(status(Ask::new("GET", path).header("Authorization", &bearer)), 404, "{path}");
    }
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(4 << 20));
    assert_eq!(status(Ask::post_text("/api/call", &large).header("Authorization", &bearer)), 413);
}

#[test]
fn where_everybody_may_call_nobody_may_change_what_runs_over_http() {
    let scratch = scratch();
    let daemon = up(&scratch);
    let status = |path: &str, body: &str| Ask::post_text(path, body).status(daemon.address());
    assert_eq!(status("/api/call", r#"{"name":"fake__pid"}"#), 200);
    for path in
        ["/api/entries/x/add", "/api/entries/fake/remove", "/api/entries/fake/restart", "/api/reload", "/api/shutdown"]
    {
        assert_eq!(status(path, "{}"), 403, "{path}");
    }
    scratch.run(["restart", "fake"]).ok();
}

#[test]
fn streams_over_http_are_counted() {
    let (_scratch, daemon, bearer) = guarded();
    let events = || Ask::new("GET", "/api/events").header("Authorization", &bearer).send(daemon.address());
    let mut open: Vec<_> = (0..16).map(|_| events()).collect();
    assert_eq!(events().status, 429);
    open.pop().unwrap().cut();
    eventually("there is room again", || events().status == 200);
}

#[test]
fn a_connection_that_says_nothing_or_half_a_line_holds_nobody() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let path = place(&scratch);
    let open = |half: bool| {
        let mut stream = UnixStream::connect(&path).unwrap();
        if half {
            stream.write_all(b"{\"id\":1,").unwrap();
        }
        stream
    };
    let _open: Vec<_> = (0..100).map(|number| open(number % 2 == 0)).collect();
    scratch.run(["restart", "fake"]).ok();
}

#[test]
fn the_clients_in_python_and_node_do_what_they_say() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/control");
    let call = r#"{"name":"fake__echo","arguments":{"message":"hi"}}"#;
    for (program, script) in [("python3", "control.py"), ("node", "control.mjs")] {
        let client = |arguments: &[&str]| {
            let mut command = scratch.other(program.as_ref());
            command.arg(examples.join(script)).args(arguments);
            run(command, "")
        };
        assert_eq!(client(&["call", call]).ok().json()["content"][0]["text"], "hi", "{program}");
        client(&["restart", r#"{"namespace":"nobody"}"#]).fails_with(1).says(["unknownNamespace: "]);
        assert_eq!(client(&["status"]).ok().json()["healthy"], true, "{program}");
    }
    scratch.run(["shutdown"]).ok();
    let silent = |says: &str| {
        for (program, script) in [("python3", "control.py"), ("node", "control.mjs")] {
            let mut command = scratch.other(program.as_ref());
            command.arg(examples.join(script));
            run(command, "").fails_with(1).says([says]);
        }
    };
    silent("no daemon runs");
    // One that was killed leaves its notice behind.
    let killed = up(&scratch);
    signal(killed.daemon(), Signal::SIGKILL);
    drop(killed);
    assert!(notice(&scratch)["pid"].is_number());
    silent("no daemon runs");
}

#[test]
fn who_follows_ends_when_nobody_reads_it_any_more() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let _daemon = up(&scratch);
    for verb in [&["events"][..], &["logs", "fake", "-f"]] {
        let mut command = scratch.command(verb);
        let mut follows = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut read = BufReader::new(follows.stdout.take().unwrap());
        eventually("something is said", || {
            scratch.run(["restart", "fake"]).ok();
            !read.buffer().is_empty() || read.fill_buf().is_ok_and(|buffer| !buffer.is_empty())
        });
        drop(read);
        eventually("it ends", || {
            scratch.run(["restart", "fake"]).ok();
            follows.try_wait().unwrap().is_some_and(|status| status.success())
        });
    }
}

#[test]
fn a_call_over_http_that_is_under_way_when_the_daemon_leaves_is_told_so() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let daemon = Daemon::start(&scratch);
    let (mut old, mut looks) = (Caller::legacy(daemon.address()), Caller::legacy(daemon.address()));
    let mut new = Caller::new(daemon.address(), "/mcp", MODERN);
    let mut calls = || -> u64 {
        let seen: Value = serde_json::from_str(&looks.call_text("fake__seen", &json!({}))).unwrap();
        seen["methods"]["tools/call"].as_u64().unwrap()
    };
    assert_eq!(calls(), 1);
    let hang = json!({ "name": "fake__hang", "arguments": {} });
    let asked =
        [old.ask("tools/call", hang.clone()).0, new.ask("tools/call", hang.clone()).0, Ask::post("/api/call", &hang)];
    let streams = asked.map(|ask| ask.begin(daemon.address()));
    let mut looked = 1;
    eventually("all are under way", || {
        looked += 1;
        calls() == looked + 3
    });
    daemon.signal(Signal::SIGTERM);
    let words = "the host is about to end; ask again when it runs again";
    let [mut old, mut new, mut api] = streams.map(Reply::read);
    assert_eq!(old.messages().pop().unwrap()["error"]["message"], words);
    assert_eq!(new.messages().pop().unwrap()["error"]["message"], words);
    assert_eq!((api.status, api.json()), (503, json!({ "error": { "code": "notReady", "message": words } })));
}

#[test]
fn the_log_of_an_entry_is_shown_and_followed() {
    let scratch = Scratch::entries(json!({ "fake": fake(["--stderr", "hello there"]) }));
    let _daemon = up(&scratch);
    let logged = || scratch.run(["logs", "fake"]).ok();
    eventually("what it has said is in its log", || logged().stdout.contains("stderr: hello there"));
    assert_eq!(scratch.run(["logs", "fake", "-n", "1"]).ok().stdout.lines().count(), 1);
    scratch.run(["logs", "nobody"]).fails_with(2).says(["nobody"]);
    let mut following = scratch
        .command(["logs", "fake", "-f", "-n", "0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let heard = std::thread::scope(|scope| {
        let hears = scope.spawn(|| serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap());
        eventually("a line is heard", || {
            scratch.run(["restart", "fake"]).ok();
            hears.is_finished()
        });
        hears.join().unwrap()
    });
    assert!(heard["time"].as_str().unwrap().ends_with('Z'), "{heard}");
    scratch.run(["shutdown"]).ok();
    assert!(following.wait().unwrap().success());
}

#[test]
fn what_is_asked_of_the_daemon_and_by_whom_is_in_its_audit_log() {
    let (scratch, daemon, bearer) = guarded();
    scratch.run(["restart", "fake"]).ok();
    scratch.run(["restart", "nobody"]).fails_with(2);
    scratch.run(["call", "fake__pid"]).ok();
    assert_eq!(
        Ask::post_text("/api/entries/fake/stop", "{}").header("Authorization", &bearer).status(daemon.address()),
        200
    );
    scratch.run(["shutdown"]).ok();
    let states = fs::read_dir(scratch.home().join(".local/state/computer")).unwrap();
    let audit = states.map(|state| state.unwrap().path().join("audit/audit.jsonl")).find(|path| path.exists()).unwrap();
    let text = fs::read_to_string(audit).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let control: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "control").collect();
    let told: Vec<String> =
        control.iter().map(|line| format!("{} {} {}", line["verb"], line["target"], line["verdict"])).collect();
    assert_eq!(
        told,
        [
            r#""restart" "fake" "done""#,
            r#""restart" "nobody" "failed""#,
            r#""stop-entry" "fake" "done""#,
            r#""shutdown" null "done""#
        ]
    );
    assert!(control[0]["client"].to_string().contains("socket: user "), "{}", control[0]);
    assert!(control[2]["client"].to_string().contains("http"), "{}", control[2]);
    let call = lines.iter().find(|line| line["kind"] == "call").expect("the call is there");
    assert!(call["client"].to_string().contains("socket: user "), "{call}");
    assert!(!text.contains(bearer.trim_start_matches("Bearer ")));
}

#[test]
fn what_is_filled_in_from_the_environment_shows_nowhere_whatever_it_was_meant_for() {
    const SECRET: &str = "SENTINEL-of-the-environment";
    let config = json!({ "mcpServers": {
        "place": { "command": fake::path(), "cwd": "/nowhere/${env:HIDDEN}" },
        "program": { "command": "/nowhere/${env:HIDDEN}/x" },
        "package": { "command": "${env:HIDDEN}" },
    } });
    let scratch = Scratch::new().config(&config).variable("HIDDEN", SECRET);
    let daemon = Daemon::start(&scratch);
    let mut answers = Vec::new();
    eventually("all of it is tried", || {
        answers = vec![scratch.run(["status", "--json"]), scratch.run(["status"])];
        answers[0].json()["entries"].as_array().unwrap().iter().all(|entry| entry["lastError"].is_string())
    });
    for verb in [
        &["check"][..],
        &["doctor"],
        &["restart", "place"],
        &["restart", "program"],
        &["tools"],
        &["tools", "--no-daemon"],
    ] {
        answers.push(scratch.run(verb));
    }
    for name in ["place", "program", "package"] {
        answers.push(scratch.run(["logs", name]));
    }
    for answer in answers {
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(!said.contains(SECRET), "{said}");
    }
    assert!(!daemon.stderr().contains(SECRET), "{}", daemon.stderr());
}

#[test]
fn descriptors_that_nobody_has_asked_for_are_closed() {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::{io::IoSlice, os::fd::AsRawFd};
    let scratch = scratch();
    let daemon = up(&scratch);
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", daemon.daemon())).unwrap().count();
    let before = descriptors();
    let null = fs::File::open("/dev/null").unwrap();
    for (count, line) in
        [(1, "{"), (8, "{\"id\":1,\"verb\":\"hello\"}\n"), (253, "\n"), (64, "{\"id\":1,\"verb\":\"attach\"}\n")]
    {
        let stream = UnixStream::connect(place(&scratch)).unwrap();
        let raw = vec![null.as_raw_fd(); count];
        let rights = [ControlMessage::ScmRights(&raw)];
        sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(line.as_bytes())], &rights, MsgFlags::empty(), None).unwrap();
        // It is read before the next is asked.
        Socket::connect(&scratch).ask("hello", &json!({}));
    }
    eventually("all of them are closed", || descriptors() <= before);
}

#[test]
fn who_asks_for_no_more_still_gets_its_answers() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    let mut stream = UnixStream::connect(place(&scratch)).unwrap();
    let call = json!({ "id": 1, "verb": "call", "args": { "name": "fake__sleep", "arguments": { "ms": 300 } } });
    stream.write_all(format!("{call}\n").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("slept"), "{answer}");
}

#[test]
fn those_who_save_at_the_same_time_take_turns() {
    let scratch = Scratch::new().config_text("// mine\n{ \"mcpServers\": {} }\n");
    let _daemon = Daemon::start(&scratch);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (scratch, name) = (&scratch, format!("e{number}"));
            scope.spawn(move || scratch.run(["add", &name, "--save", "--deferred", "--entry", &entry()]).ok());
        }
    });
    let saved = fs::read_to_string(scratch.path("config.json")).unwrap();
    assert!(saved.starts_with("// mine"), "{saved}");
    let checked = scratch.run(["check", "--json"]).ok().json();
    assert_eq!(checked["entries"].as_array().unwrap().len(), 8, "{checked}");
}

#[test]
fn a_socket_that_was_tidied_away_is_made_anew() {
    let scratch = scratch();
    let _daemon = up(&scratch);
    fs::remove_file(place(&scratch)).unwrap();
    eventually("it answers again", || scratch.run(["status", "--json"]).code == Some(0));
}

#[test]
fn a_daemon_that_does_not_answer_is_told_and_nobody_waits_for_it_for_ever() {
    let scratch = scratch();
    let daemon = up(&scratch);
    signal(daemon.daemon(), Signal::SIGSTOP);
    scratch.run(["status"]).fails_with(1).says(["does not answer", "kill"]);
    signal(daemon.daemon(), Signal::SIGCONT);
    eventually("it answers again", || scratch.run(["status", "--json"]).code == Some(0));
}

#[test]
fn too_many_connections_are_refused_with_a_word_and_the_others_go_on() {
    let scratch = scratch();
    let mut command = scratch.other("sh".as_ref());
    let program = scratch.command(["serve", "--local"]);
    command.args(["-c", "ulimit -n 320; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
    let mut daemon = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("it is there", || scratch.run(["status", "--json"]).json()["healthy"] == true);
    let mut first = Socket::connect(&scratch);
    first.ask("hello", &json!({}));
    let crowd: Vec<Socket> = (0..60).map(|_| Socket::connect(&scratch)).collect();
    scratch.run(["restart", "fake"]).fails_with(1).says(["too many connections"]);
    assert_eq!(first.ask("hello", &json!({}))["protocol"], 1);
    drop(crowd);
    eventually("there is room again", || scratch.run(["restart", "fake"]).code == Some(0));
    scratch.run(["shutdown"]).ok();
    daemon.wait().unwrap();
}

#[test]
fn what_is_no_file_where_the_daemon_is_noted_is_waited_for_by_nobody() {
    let scratch = scratch();
    let mut before = Daemon::start(&scratch);
    before.signal(Signal::SIGTERM);
    before.exited();
    let states = scratch.home().join(".local/state/computer");
    let notices = fs::read_dir(states).unwrap().map(|state| state.unwrap().path().join("daemon.json"));
    let notice = notices.into_iter().find(|path| path.exists()).unwrap();
    fs::remove_file(&notice).unwrap();
    nix::unistd::mkfifo(&notice, nix::sys::stat::Mode::S_IRWXU).unwrap();
    scratch.run(["status"]).ok();
}
