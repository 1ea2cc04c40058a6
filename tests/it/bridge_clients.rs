//! Clients that others wrote, over the bridge: a real Chromium, `ws` and `sockjs-client`.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::support::{
    bridge::{Bridged, holds, platform, token},
    chrome::{self, Answering},
    fake::fake,
    library::within,
    program::{Scratch, run},
    real,
    sdk::{asks, bodies, finish, told},
    tab::Tab,
};

fn scratch() -> Scratch {
    Scratch::entries(json!({ "fake": fake(["--tools", "1"]) }))
}

fn start() -> Value {
    json!({ "type": "start", "messageId": "m" })
}

fn says(words: &str) -> Value {
    let delta = json!({ "type": "text-delta", "id": "t", "delta": words });
    told(json!([start(), { "type": "text-start", "id": "t" }, delta, { "type": "text-end", "id": "t" }, finish()]))
}

fn echoes() -> Value {
    asks(json!([{ "toolCallId": "1", "toolName": "fake__echo", "args": { "message": "hi" } }]))
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_node_trigger_hear_and_stop() {
    let Some(modules) = real::modules() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/bridge.mjs");
    for client in ["ws", "sockjs-client", "polling"] {
        let legs = json!([echoes(), says("hello"), holds(&start()), told(json!([start(), finish()]))]);
        let platform = platform(legs).await;
        let scratch = scratch();
        let bridge = Bridged::start(&scratch, &platform, &[]);
        let mut command = Command::new("node");
        command.arg(script).arg(&modules).args([&bridge.url, &token(&scratch), client]);
        let ran = tokio::task::spawn_blocking(|| run(command, "").ok()).await.unwrap();
        let mut lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let heard = lines.next().unwrap();
        let kinds: Vec<_> = heard["first"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
        let expected = ["start", "tool-output-available", "start", "text-start", "text-delta", "text-end", "finish"]
            .map(Value::from);
        assert_eq!(kinds, expected, "{client}");
        assert_eq!((&heard["second"], &heard["third"]), (&json!([start()]), &json!([start(), finish()])), "{client}");
        assert!(lines.next().unwrap()["code"].is_u64(), "{client}");
        within("the turns end", platform.settled()).await;
        assert_eq!(bodies(&platform)[2]["toolResults"][0]["result"], "hi", "{client}");
        assert_eq!(platform.requests()[3]["peerClosedEarly"], true, "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_triggers_streams_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = chrome::options(&dir.path().join("profile")) else { return };
    let html = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bridge/index.html")).unwrap();
    let page = Answering::with("text/html", &html);
    let platform = platform(json!([echoes(), says("Hello, person"), holds(&start())])).await;
    let scratch = scratch();
    let bridge = Bridged::start(&scratch, &platform, &["--origin", page.url().trim_end_matches('/')]);
    let socket = format!("{}/websocket?token={}", bridge.url.replacen("http", "ws", 1), token(&scratch));
    let chrome = chrome::launched(options).await;
    let mut tab = Tab::open(&chrome, &format!("{}#socket={socket}", page.url())).await;
    let state = |words: &str| format!("document.getElementById('state')?.textContent === '{words}'");
    tab.until(&state("ready")).await;
    let send = "document.getElementById('message').value = 'hey'; document.getElementById('send').click()";
    tab.evaluate(send).await;
    tab.until("document.getElementById('said').textContent.includes('Hello, person')").await;
    tab.until(&state("ready")).await;
    let said = tab.evaluate("document.getElementById('said').textContent").await;
    assert!(said.as_str().unwrap().contains("✓ \"hi\""), "{said}");
    let all = bodies(&platform);
    assert_eq!(all[1]["input"], json!({ "USER_MESSAGE": "hey" }));
    assert_eq!(all[2]["toolResults"][0]["result"], "hi", "a tool of the computer has run");
    tab.evaluate(send).await;
    tab.until(&state("working")).await;
    tab.evaluate("document.getElementById('stop').click()").await;
    within("the turn is ended", platform.settled()).await;
    assert_eq!(platform.requests()[3]["peerClosedEarly"], true);
    within("the end of Chrome", chrome.close()).await;
}

/// What becomes of a connection of a page: what it is told first, or how it is closed.
const TRY: &str = "(make => new Promise(done => { const socket = make(); socket.onopen = () => done('open'); \
                   socket.onclose = ({ code }) => done(code); }))";

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused_and_sockjs_works_from_those_that_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(options), Some(modules)) = (chrome::options(&dir.path().join("profile")), real::modules()) else {
        return;
    };
    let sockjs = fs::read_to_string(modules.join("sockjs-client/dist/sockjs.min.js")).unwrap();
    let (known, foreign) = (Answering::page("known"), Answering::page("foreign"));
    let platform = platform(json!([says("Hello")])).await;
    let scratch = scratch();
    let bridge = Bridged::start(&scratch, &platform, &["--origin", known.url().trim_end_matches('/')]);
    let (url, token) = (&bridge.url, token(&scratch));
    let socket = format!("{}/websocket?token={token}", url.replacen("http", "ws", 1));
    let raw = format!("{TRY}(() => new WebSocket('{socket}'))");
    let chrome = chrome::launched(options).await;
    let mut tab = Tab::open(&chrome, &foreign.url()).await;
    tab.until("document.body?.textContent === 'foreign'").await;
    assert_eq!(tab.evaluate(&raw).await, 1006);
    let info = format!("fetch('{url}/info?token={token}').then(() => 'read', () => 'refused')");
    assert_eq!(tab.evaluate(&info).await, "refused");
    let mut tab = Tab::open(&chrome, &known.url()).await;
    tab.until("document.body?.textContent === 'known'").await;
    assert_eq!(tab.evaluate(&raw).await, "open");
    assert_eq!(tab.evaluate(&raw.replace("token=", "token=x")).await, 1006);
    assert_eq!(tab.evaluate(&info).await, "read");
    tab.evaluate(&format!("{sockjs}; window.SockJS = SockJS; 0")).await;
    let turn = format!(
        "new Promise((done, failed) => {{ const told = []; const sock = new SockJS('{url}?token={token}'); \
         sock.onopen = () => sock.send(JSON.stringify({{ type: 'trigger', triggerName: 'go' }})); \
         sock.onclose = ({{ code }}) => failed(new Error(code)); \
         sock.onmessage = ({{ data }}) => {{ told.push(JSON.parse(data)); \
         if (told.at(-1).type === 'finish') done([sock.transport, told.length]); }}; }})"
    );
    assert_eq!(tab.evaluate(&turn).await, json!(["websocket", 5]));
    within("the end of Chrome", chrome.close()).await;
}
