//! Who gets in over HTTP: route by route, what is answered to whom.

use std::{fs, os::unix::fs::PermissionsExt};

use mcp_computer::front::http::{Access, Options, Token};
use serde_json::{Value, json};

use crate::support::{
    fake::fake,
    http_client::{Ask, Caller, Daemon, InProcess, NOT_AT_ALL},
    program::Scratch,
};

const TOKEN: &str = "the-token-of-this-test";

fn guarded() -> InProcess {
    InProcess::start(Options { access: Access::Bearer(Token::new(TOKEN)), ..Options::default() })
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

/// Every route and trick: method, path, and what somebody with the token gets who shows no session.
const ROUTES: [(&str, &str, u16); 24] = [
    ("POST", "/mcp", 400),
    ("POST", "/mcp/fake", 400),
    ("POST", "/mcp/none", 404),
    ("GET", "/mcp", 400),
    ("GET", "/mcp/fake", 400),
    ("GET", "/mcp/none", 404),
    ("DELETE", "/mcp", 400),
    ("DELETE", "/mcp/fake", 400),
    ("PUT", "/mcp", 405),
    ("PATCH", "/mcp/fake", 405),
    ("OPTIONS", "/mcp", 405),
    ("GET", "/mcp?method=tools/call&name=fake__echo", 400),
    ("GET", "/", 404),
    ("GET", "/favicon.ico", 404),
    ("POST", "/mcp/", 404),
    ("POST", "//mcp", 404),
    ("POST", "/mcp//fake", 404),
    ("POST", "/mcp/fake/", 404),
    ("POST", "/mcp/a/b", 404),
    ("POST", "/mcp/../mcp", 404),
    ("POST", "/./mcp", 404),
    ("POST", "/mcp/%2e%2e/mcp", 404),
    ("POST", "/%6dcp", 404),
    ("POST", "/mcp/fake%2f", 404),
];

/// What is shown, and what comes of it; nothing where the route decides.
type Shown<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<u16>);

#[test]
fn every_route_is_guarded_in_the_same_order() {
    let served = guarded();
    let bearer = format!("Bearer {TOKEN}");
    let own = format!("http://{}", served.address);
    let port = served.address.port();
    let shown: [Shown<'_>; 17] = [
        ("no token", &[], Some(401)),
        ("a wrong token", &[("Authorization", "Bearer wrong")], Some(401)),
        ("half a token", &[("Authorization", "Bearer the-token")], Some(401)),
        ("another scheme", &[("Authorization", "Basic the-token-of-this-test")], Some(401)),
        ("a foreign host", &[("Authorization", &bearer), ("Host", "evil.example")], Some(403)),
        ("a foreign host without a token", &[("Host", "evil.example")], Some(403)),
        ("a host that begins as ours", &[("Authorization", &bearer), ("Host", "localhost.evil.example")], Some(403)),
        ("a user before the host", &[("Authorization", &bearer), ("Host", "evil@localhost")], Some(403)),
        ("no host", &[("Authorization", &bearer), ("Host", NOT_AT_ALL)], Some(400)),
        ("a foreign origin", &[("Authorization", &bearer), ("Origin", "http://evil.example")], Some(403)),
        ("a foreign origin without a token", &[("Origin", "http://evil.example")], Some(403)),
        ("no origin's origin", &[("Authorization", &bearer), ("Origin", "null")], Some(403)),
        ("another port of this machine", &[("Authorization", &bearer), ("Origin", "http://127.0.0.1:1")], Some(403)),
        ("host and origin foreign", &[("Host", "evil.example"), ("Origin", "http://evil.example")], Some(403)),
        ("the token", &[("Authorization", &bearer)], None),
        ("the token from our own page", &[("Authorization", &bearer), ("Origin", &own)], None),
        ("the token at another name", &[("Authorization", &bearer), ("Host", &format!("localhost:{port}"))], None),
    ];
    for (method, path, with_token) in ROUTES {
        for (what, headers, expected) in &shown {
            let mut ask = if method == "POST" { Ask::post(path, &ping()) } else { Ask::new(method, path) };
            for (name, value) in *headers {
                ask = ask.another(name, value);
            }
            let mut reply = ask.send(served.address);
            assert_eq!(reply.status, expected.unwrap_or(with_token), "{method} {path} with {what}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{method} {path} with {what}");
            if reply.status == 401 {
                assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{method} {path}");
            }
            let body = reply.body();
            assert!(!body.contains(TOKEN), "{method} {path} with {what}: {body}");
            let tells = body.contains("fake") && !(path == "/mcp/none" && reply.status == 404);
            assert!(!tells, "what there is, is told to who is let in: {method} {path} with {what}: {body}");
        }
    }
}

#[test]
fn a_host_in_the_first_line_counts_as_well() {
    let served = InProcess::start(Options::default());
    let ask = |path: &str| Ask::post(path, &ping()).status(served.address);
    assert_eq!(ask("http://evil.example/mcp"), 403);
    assert_eq!(ask(&format!("http://{}/mcp", served.address)), 400);
    let twice = Ask::post("/mcp", &ping()).another("Host", "localhost").another("Host", "localhost");
    assert_eq!(twice.status(served.address), 400);
}

#[test]
fn hosts_and_origins_in_the_lists_are_let_in() {
    let served = InProcess::start(Options {
        allowed_hosts: vec!["box.local".to_owned()],
        allowed_origins: vec!["https://app.example".to_owned()],
        ..Options::default()
    });
    let port = served.address.port();
    let ask = |name: &str, value: &str| Ask::post("/mcp", &ping()).header(name, value).status(served.address);
    assert_eq!(ask("Host", "box.local:80"), 400);
    assert_eq!(ask("Origin", "https://app.example"), 400);
    assert_eq!(ask("Origin", &format!("http://box.local:{port}")), 400);
    assert_eq!(ask("Origin", "http://box.local:1"), 403);
    assert_eq!(ask("Origin", "http://app.example"), 403);
}

#[test]
fn what_a_page_can_send_without_asking_first_is_not_taken() {
    let served = InProcess::start(Options::default());
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", NOT_AT_ALL] {
        assert_eq!(Ask::post("/mcp", &ping()).header("Content-Type", kind).status(served.address), 415, "{kind}");
    }
}

#[test]
fn a_session_belongs_to_its_path_and_its_id_alone_grants_nothing() {
    let served = guarded();
    let mut caller = Caller::new(served.address, "/mcp", "2025-11-25").with_token(TOKEN);
    caller.initialize();
    let session = caller.session.clone().unwrap();
    assert!(session.len() == 32 && session.chars().all(|c| c.is_ascii_hexdigit()), "128 random bits: {session}");
    let ask = |path: &str| Ask::post(path, &ping()).header("Mcp-Session-Id", &session);
    let known = |ask: Ask| ask.header("Authorization", &format!("Bearer {TOKEN}"));
    assert_eq!(known(ask("/mcp")).status(served.address), 200);
    assert_eq!(ask("/mcp").status(served.address), 401);
    assert_eq!(known(ask("/mcp/fake")).status(served.address), 404);
    assert_eq!(known(ask("/mcp").header("Mcp-Session-Id", &session[1..])).status(served.address), 404);
}

#[test]
fn the_token_is_made_once_kept_to_the_user_and_said_nowhere() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let daemon = Daemon::start_with(&scratch, &["-vv"]);
    let connect = scratch.run(["connect", "vscode", "--http", &daemon.address().to_string(), "--json"]).ok().json();
    let bearer = connect["vscode"]["http"]["servers"]["computer"]["headers"]["Authorization"].as_str().unwrap();
    let token = bearer.strip_prefix("Bearer ").unwrap();
    assert!(token.len() >= 40, "{token}");
    assert_eq!(Ask::post("/mcp", &ping()).status(daemon.address()), 401);
    let mut caller = Caller::new(daemon.address(), "/mcp", "2025-11-25").with_token(token);
    caller.initialize();
    assert_eq!(caller.call_text("fake__echo", &json!({ "message": "in" })), "in");
    assert!(!daemon.stderr().contains(token), "{}", daemon.stderr());
    let seen = caller.call_text("fake__env", &json!({}));
    assert!(!seen.contains(token), "no server sees it: {seen}");
    let mut found = Vec::new();
    for state in fs::read_dir(scratch.home().join(".local/state/computer")).unwrap() {
        for file in fs::read_dir(state.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if fs::read_to_string(&path).is_ok_and(|text| text.trim() == token) {
                found.push(fs::metadata(&path).unwrap().permissions().mode() & 0o777);
            }
        }
    }
    assert_eq!(found, [0o600]);
}

#[test]
fn only_loopback_is_listened_on_unless_that_is_allowed_and_guarded() {
    let scratch = Scratch::entries(json!({}));
    let remote = ["serve", "--http", "0.0.0.0:0"];
    scratch.run(remote).fails_with(2).says(["other machines", "--allow-remote"]);
    scratch.run([&remote[..], &["--no-token"]].concat()).fails_with(2).says(["other machines"]);
    scratch.run([&remote[..], &["--no-token", "--allow-remote"]].concat()).fails_with(2);
    scratch.run(["serve", "--stdio", "--no-token"]).fails_with(2).says(["--http"]);
    let daemon = Daemon::start_with(&scratch, &["--allow-remote"]);
    assert!(!daemon.stderr().contains("other machines"), "loopback it is: {}", daemon.stderr());
    drop(daemon);
    let daemon = Daemon::start_at(&scratch, "0.0.0.0:0", &["--allow-remote"]);
    assert!(daemon.stderr().contains("other machines"), "{}", daemon.stderr());
    assert_eq!(Ask::post("/mcp", &ping()).header("Host", "127.0.0.1").status(daemon.address()), 401);
}

#[test]
fn an_address_that_cannot_be_had_is_said() {
    let scratch = Scratch::entries(json!({}));
    let other = Scratch::entries(json!({}));
    let daemon = Daemon::start(&other);
    let taken = daemon.address().to_string();
    scratch.run(["serve", "--no-token", "--http", &taken]).fails_with(1).says([&taken, "another program"]);
    scratch
        .run(["serve", "--no-token", "--http", "no-such-host.invalid:1"])
        .fails_with(1)
        .says(["no-such-host.invalid"]);
    for none in ["7331", "localhost", ":7331", "localhost:x"] {
        scratch.run(["serve", "--no-token", "--http", none]).fails_with(2).says(["host and port"]);
    }
}
