//! The stdio front for clients of 2026-07-28: no handshake, `_meta` on every request, `resultType` on every result.

use serde_json::{Value, json};

use crate::support::{
    client::{Client, LEGACY, MODERN},
    fake::{UNKNOWN_FIELDS, fake},
    procs::eventually,
    program::Scratch,
};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn one_fake() -> Scratch {
    Scratch::entries(json!({ "fake": fake::<&str>([]) }))
}

#[test]
fn discover_tells_what_we_speak_and_who_we_are() {
    let result = Client::start_modern(&one_fake()).result("server/discover", json!({}));
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{result}");
    assert!(result["capabilities"]["tools"].is_object(), "{result}");
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string(), "{result}");
    assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{result}");
}

#[test]
fn discover_may_come_before_initialize_too() {
    let scratch = one_fake();
    let mut client = Client::start_modern(&scratch);
    client.result("server/discover", json!({}));
    let result = client.initialize("2025-11-25");
    assert_eq!(result["protocolVersion"], "2025-11-25");
}

#[test]
fn a_request_without_its_meta_is_refused() {
    let mut client = Client::start(&one_fake());
    let answer = client.request("tools/list", json!({}));
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    let answer = client.request("server/discover", json!({}));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn an_unknown_generation_in_the_meta_is_refused_with_those_that_we_speak() {
    let mut client = Client::start_modern(&one_fake());
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2031-01-01" });
    let answer = client.request("tools/list", json!({ "_meta": meta }));
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert!(answer["error"]["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)), "{answer}");
}

#[test]
fn lists_and_results_carry_their_type_exactly_once_whoever_answers() {
    for version in LEGACY.into_iter().chain([MODERN]) {
        let mut client = Client::modern(&Scratch::entries(json!({ "fake": fake(["--version", version]) })));
        let id = client.ask("tools/list", json!({}));
        let list = client.answer(&id);
        assert_eq!(list.json["result"]["resultType"], "complete", "{version}: {}", list.text);
        assert!(
            list.json["result"]["ttlMs"].is_u64() && list.json["result"]["cacheScope"].is_string(),
            "{}",
            list.text
        );
        let id = client.ask_tool("fake__unknown_fields", &json!({}));
        let line = client.answer(&id);
        assert_eq!(line.json["result"]["resultType"], "complete", "{version}: {}", line.text);
        assert_eq!(line.text.matches("resultType").count(), 1, "{version}: {}", line.text);
        assert!(line.text.contains(&UNKNOWN_FIELDS[1..UNKNOWN_FIELDS.len() - 1]), "{version}: {}", line.text);
    }
}

#[test]
fn a_listener_is_acknowledged_and_told_of_changes() {
    let mut client = Client::modern(&one_fake());
    let id = client.ask("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let acknowledged = client.wait_for_notifications("notifications/subscriptions/acknowledged", 1);
    assert_eq!(acknowledged[0]["_meta"][SUBSCRIPTION], id);
    assert_eq!(acknowledged[0]["notifications"]["toolsListChanged"], true);
    client.call("fake__add_tool", &json!({ "name": "fresh" }));
    let changed = client.wait_for_notifications("notifications/tools/list_changed", 1);
    assert_eq!(changed[0]["_meta"][SUBSCRIPTION], id);
    eventually("the new tool is there", || client.tools().contains(&"fake__fresh".to_owned()));
    assert!(client.lines().iter().all(|line| line.json["id"] != id), "a subscription stays open");
}

#[test]
fn who_does_not_listen_is_not_told() {
    let mut client = Client::modern(&one_fake());
    client.call("fake__add_tool", &json!({ "name": "fresh" }));
    eventually("the new tool is there", || client.tools().contains(&"fake__fresh".to_owned()));
    assert!(client.notifications("notifications/tools/list_changed").is_empty());
}

#[test]
fn a_listener_that_cancels_is_told_no_more() {
    let mut client = Client::modern(&one_fake());
    let id = client.ask("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    client.wait_for_notifications("notifications/subscriptions/acknowledged", 1);
    client.notify("notifications/cancelled", &json!({ "requestId": id }));
    client.call("fake__add_tool", &json!({ "name": "fresh" }));
    eventually("the new tool is there", || client.tools().contains(&"fake__fresh".to_owned()));
    assert!(client.notifications("notifications/tools/list_changed").is_empty());
}

#[test]
fn progress_comes_with_the_clients_own_token() {
    let mut client = Client::modern(&one_fake());
    let params = json!({ "name": "fake__progress", "arguments": { "steps": 3 }, "_meta": { "progressToken": 7 } });
    let id = client.ask("tools/call", params);
    client.answer(&id);
    let sent = client.notifications("notifications/progress");
    let steps: Vec<_> = sent.iter().map(|params| (&params["progressToken"], &params["progress"])).collect();
    assert_eq!(steps, [(&json!(7), &json!(1)), (&json!(7), &json!(2)), (&json!(7), &json!(3))]);
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server() {
    for version in ["2025-11-25", MODERN] {
        let mut client = Client::modern(&Scratch::entries(json!({ "fake": fake(["--version", version]) })));
        let id = client.ask_tool("fake__hang", &json!({}));
        client.notify("notifications/cancelled", &json!({ "requestId": id }));
        eventually("the server is told", || {
            let cancelled: Value = serde_json::from_str(&client.call_text("fake__cancelled", &json!({}))).unwrap();
            cancelled.as_array().unwrap().len() == 1
        });
        assert!(client.lines().iter().all(|line| line.json["id"] != id), "{version}: it is not answered");
    }
}
