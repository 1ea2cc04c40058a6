//! Who is let in over the bridge, and how it is started.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    bridge::{Bridged, Page, platform, token, trigger},
    client::Client,
    fake::fake,
    http_client::Ask,
    procs::signal,
    program::Scratch,
    sdk::{finish, over},
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake(["--tools", "1"]) }))
}

/// A path, the headers beside it, and what comes of it.
type Shown<'a> = (&'a str, &'a [(&'static str, &'a str)], u16);

const SOCKETS: [&str; 2] = ["/octavus/websocket", "/octavus/1/a/websocket"];

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_opened_for_who_shows_the_token_from_a_page_that_is_known() {
    let platform = platform(json!([])).await;
    let scratch = scratch();
    let bridge = Bridged::start(&scratch, &platform, &["-vv", "--origin", "https://App.example"]);
    let (address, token) = (bridge.address(), token(&scratch));
    let own = format!("http://localhost:{}", address.port());
    let bearer = format!("Bearer {token}");
    for path in SOCKETS {
        let with = format!("{path}?token={token}");
        let shown: [Shown<'_>; 14] = [
            (path, &[], 401),
            (&format!("{path}?token=wrong"), &[], 401),
            (&format!("{with}x"), &[], 401),
            (&format!("{with}&token={token}"), &[], 401),
            (path, &[("authorization", "Bearer wrong")], 401),
            (path, &[("authorization", &bearer)], 101),
            (&with, &[], 101),
            (&with, &[("origin", &own)], 101),
            (&with, &[("origin", "https://app.example")], 101),
            (&with, &[("origin", "https://evil.example")], 403),
            (&with, &[("origin", "null")], 403),
            (&with, &[("origin", "http://127.0.0.1:1")], 403),
            (&with, &[("host", "evil.example")], 403),
            (path, &[("origin", "https://evil.example")], 403),
        ];
        for (path, headers, expected) in shown {
            let status = Page::open(address, path, headers).await.map_or_else(|status| status, |_| 101);
            assert_eq!(status, expected, "{path} {headers:?}");
        }
    }
    assert!(!bridge.stderr().contains(&token), "{}", bridge.stderr());
    assert_eq!(platform.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_is_guarded_and_a_page_that_is_known_may_read() {
    let platform = platform(json!([])).await;
    let scratch = scratch();
    let bridge = Bridged::start(&scratch, &platform, &["--origin", "https://app.example"]);
    let (address, token) = (bridge.address(), token(&scratch));
    for (method, path, with_token) in [
        ("GET", "/octavus", 200),
        ("GET", "/octavus/info", 200),
        ("OPTIONS", "/octavus/info", 204),
        ("POST", "/octavus/info", 405),
        ("HEAD", "/octavus/info", 405),
        ("GET", SOCKETS[0], 400),
        ("POST", SOCKETS[1], 405),
        ("GET", "/octavus/1/a/xhr", 405),
        ("OPTIONS", "/octavus/1/a/xhr", 204),
        ("POST", "/octavus/1/nobody/xhr_send", 404),
        ("POST", "/octavus/1/a/xhr_streaming", 404),
        ("GET", "/octavus/../octavus/info", 404),
        ("GET", "/octavusx", 404),
        ("GET", "/mcp", 404),
        ("GET", "/api/status", 404),
    ] {
        let ask = |path: &str| Ask::new(method, path);
        assert_eq!(ask(path).status(address), 401, "{method} {path}");
        let path = format!("{path}?token={token}");
        assert_eq!(ask(&path).header("Origin", "https://evil.example").status(address), 403, "{method} {path}");
        assert_eq!(ask(&path).header("Host", "evil.example").status(address), 403, "{method} {path}");
        let reply = ask(&path).header("Origin", "https://app.example").send(address);
        assert_eq!(reply.status, with_token, "{method} {path}");
        if reply.status < 300 {
            assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"), "{method} {path}");
            assert_eq!(reply.header("access-control-allow-credentials"), Some("true"), "{method} {path}");
            assert_eq!(reply.header("vary"), Some("Origin"), "{method} {path}");
        }
        assert_eq!(ask(&path).send(address).header("access-control-allow-origin"), None, "{method} {path}");
    }
    let large = format!("/octavus/info?{}", "x".repeat(33 << 10));
    assert_eq!(Ask::new("GET", &large).status(address), 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stands_alone_and_beside_the_others_as_one_daemon() {
    let platform = platform(json!([over(), over()])).await;
    let scratch = scratch();
    let alone = Bridged::start(&scratch, &platform, &["--no-token", "--socket-prefix", "/my/agent/"]);
    let mut page = Page::open(alone.address(), "/my/agent/websocket", &[]).await.unwrap();
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    scratch.run(["status"]).ok();
    let second = ["serve", "--socket", "127.0.0.1:0", "--agent", "a", "--platform", platform.origin()];
    let mut command = scratch.command(second);
    command.env("OCTAVUS_API_KEY", "k");
    crate::support::program::run(command, "").fails_with(1).says(["daemon"]);
    scratch.run(["shutdown"]).ok();
    assert_eq!(page.closed().await, Some(1001));
    drop(alone);
    let beside = Bridged::start(&scratch, &platform, &["--http", "127.0.0.1:0", "--local", "--no-token"]);
    let mut page = beside.page().await;
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    crate::support::procs::eventually("HTTP is served", || beside.stderr().contains("listening http://"));
    scratch.run(["status"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_on_stdio_and_a_page_have_the_same_machine() {
    let platform = platform(json!([over()])).await;
    let scratch = scratch().variable("OCTAVUS_API_KEY", "oct_secret");
    let at = ["--socket", "127.0.0.1:0", "--agent", "a", "--platform", platform.origin(), "--no-token"];
    let mut client = Client::start_with(&scratch, &at);
    client.initialize("2025-11-25");
    assert!(client.tools().contains(&"fake__echo".to_owned()));
    let stderr = client.stderr();
    let place = stderr.split_once("bridge http://").unwrap().1.split_once('/').unwrap().0;
    let mut page = Page::open(place.parse().unwrap(), SOCKETS[0], &[]).await.unwrap();
    page.say(&trigger()).await;
    assert_eq!(page.hears().await, finish());
    client.close();
    page.say(&trigger()).await;
    assert_eq!(page.hears().await["type"], "error", "the page is served on, though its platform has no more to say");
    signal(client.guard(), Signal::SIGTERM);
    assert_eq!(client.exited().code(), Some(143));
}

#[test]
fn what_is_missing_or_wrong_on_the_command_line_is_said() {
    let scratch = scratch().variable("OCTAVUS_API_KEY", "");
    let place = ["serve", "--socket", "127.0.0.1:0", "--agent", "a", "--platform", "http://127.0.0.1:9"];
    scratch.run(place).fails_with(2).says(["OCTAVUS_API_KEY", "is not set"]);
    let scratch = scratch.variable("OCTAVUS_API_KEY", "oct_secret");
    scratch.run(["serve", "--socket", "127.0.0.1:0"]).fails_with(2).says(["--platform", "--agent"]);
    scratch.run(["serve", "--agent", "a"]).fails_with(2).says(["--socket"]);
    for (flag, value, words) in [
        ("--origin", "*", "every page"),
        ("--origin", "null", "every page"),
        ("--origin", "app.example", "an origin such as"),
        ("--socket-prefix", "octavus", "no path"),
        ("--input", "[]", "no JSON object"),
    ] {
        scratch.run([&place[..], &[flag, value]].concat()).fails_with(2).says([words]);
    }
    let remote = ["serve", "--socket", "0.0.0.0:0", "--agent", "a", "--platform", "http://127.0.0.1:9"];
    scratch.run(remote).fails_with(2).says(["other machines", "--allow-remote"]);
    scratch.run([&remote[..], &["--no-token"]].concat()).fails_with(2).says(["other machines"]);
}
