//! The stdio front for clients that begin with `initialize`: what goes in and out, byte for byte.

use serde_json::{Value, json};

use crate::support::{
    client::{Client, LEGACY, MODERN},
    fake::{UNKNOWN_FIELDS, fake},
    procs::{assert_gone, eventually, pids_in},
    program::{Scratch, text},
    with,
};

fn one_fake() -> Scratch {
    Scratch::entries(json!({ "fake": fake::<&str>([]) }))
}

#[test]
fn initialize_is_answered_before_the_entries_are_up() {
    // It never comes up: whoever waited for it would wait longer than we do.
    let entry = with(fake(["--silent"]), &json!({ "connectTimeout": 120_000 }));
    let mut client = Client::start(&Scratch::entries(json!({ "silent": entry })));
    let result = client.initialize("2025-11-25");
    assert_eq!(result["protocolVersion"], "2025-11-25");
    assert!(result["capabilities"]["tools"].is_object() && result["serverInfo"]["name"].is_string(), "{result}");
    client.result("ping", json!({}));
    client.leave();
}

#[test]
fn each_generation_is_answered_in_its_own() {
    let scratch = one_fake();
    for version in LEGACY {
        assert_eq!(Client::start(&scratch).initialize(version)["protocolVersion"], version);
    }
}

#[test]
fn an_unknown_generation_is_answered_with_one_that_we_speak() {
    let version = Client::start(&one_fake()).initialize("1999-01-01")["protocolVersion"].clone();
    assert!(LEGACY.iter().any(|known| version == *known), "{version}");
}

#[test]
fn the_first_list_waits_for_entries_that_are_starting() {
    let scratch = Scratch::entries(json!({
        "quick": fake(["--tools", "1"]),
        "slow": fake(["--tools", "1", "--delay-ms", "2000"]),
    }));
    let mut client = Client::start(&scratch);
    client.initialize("2025-11-25");
    assert_eq!(client.tools(), ["quick__echo", "slow__echo"]);
}

#[test]
fn a_call_that_comes_before_its_entry_is_up_waits_for_it() {
    let slow = fake(["--delay-ms", "1000"]);
    let mut client = Client::start(&Scratch::entries(json!({ "slow": slow })));
    client.initialize("2025-11-25");
    assert_eq!(client.call_text("slow__echo", &json!({ "message": "worth it" })), "worth it");
}

#[test]
fn an_entry_that_comes_up_after_the_wait_is_announced() {
    let slow = fake(["--tools", "1", "--delay-ms", "2500"]);
    let config =
        json!({ "mcpServers": { "quick": fake(["--tools", "1"]), "slow": slow }, "serve": { "listWait": 300 } });
    let mut client = Client::start(&Scratch::new().config(&config));
    client.initialize("2025-11-25");
    assert_eq!(client.tools(), ["quick__echo"]);
    client.wait_for_notifications("notifications/tools/list_changed", 1);
    eventually("the tools are there", || client.tools() == ["quick__echo", "slow__echo"]);
}

#[test]
fn an_unchanged_catalog_is_not_announced() {
    let mut client = Client::connect(&one_fake());
    // The server says that its list has changed; but the name is there already, and the first counts.
    for _ in 0..3 {
        client.call("fake__add_tool", &json!({ "name": "echo" }));
        client.tools();
    }
    client.call("fake__add_tool", &json!({ "name": "fresh" }));
    eventually("the new tool is there", || client.tools().contains(&"fake__fresh".to_owned()));
    client.wait_for_notifications("notifications/tools/list_changed", 1);
    // One for the new tool, and at most one for the entry that came up after the handshake.
    assert!(client.notifications("notifications/tools/list_changed").len() <= 2);
}

#[test]
fn a_call_reaches_its_server_under_the_servers_own_name() {
    let mut client = Client::connect(&one_fake());
    let params: Value =
        serde_json::from_str(&client.call_text("fake__params", &json!({ "b": 1, "a": [1.5] }))).unwrap();
    assert_eq!(params["name"], "params");
    assert_eq!(params["arguments"].to_string(), r#"{"b":1,"a":[1.5]}"#);
}

#[test]
fn the_meta_of_a_caller_reaches_the_server() {
    let mut client = Client::connect(&one_fake());
    let meta = json!({ "example.com/trace": "abc" });
    let result = client.result("tools/call", json!({ "name": "fake__params", "arguments": {}, "_meta": meta }));
    assert!(result.to_string().contains("example.com/trace"), "{result}");
}

#[test]
fn a_result_goes_through_byte_for_byte() {
    let mut client = Client::connect(&one_fake());
    let id = client.ask_tool("fake__unknown_fields", &json!({}));
    let line = client.answer(&id).text;
    assert!(line.contains(&format!("\"result\":{UNKNOWN_FIELDS}")), "{line}");
}

#[test]
fn a_legacy_client_gets_results_untouched_and_lists_without_a_result_type() {
    for version in ["2024-11-05", MODERN] {
        let mut client = Client::connect(&Scratch::entries(json!({ "fake": fake(["--version", version]) })));
        let id = client.ask_tool("fake__unknown_fields", &json!({}));
        let line = client.answer(&id).text;
        assert!(line.contains(&UNKNOWN_FIELDS[1..UNKNOWN_FIELDS.len() - 1]), "{version}: {line}");
        assert_eq!(line.contains("resultType"), version == MODERN, "only what the server says is passed on: {line}");
        let id = client.ask("tools/list", json!({}));
        assert!(!client.answer(&id).text.contains("resultType"), "{version}");
    }
}

#[test]
fn an_error_of_the_server_goes_through_as_it_is() {
    let mut client = Client::connect(&one_fake());
    let answer = client.request("tools/call", json!({ "name": "fake__error", "arguments": {} }));
    assert_eq!(answer["error"], json!({ "code": -32050, "message": "told to fail", "data": { "from": "fake" } }));
}

#[test]
fn an_error_result_goes_through_as_a_result() {
    let params = json!({ "name": "fake__is_error", "arguments": {} });
    let result = Client::connect(&one_fake()).result("tools/call", params);
    assert_eq!((&result["isError"], &result["content"][0]["text"]), (&json!(true), &json!("it went wrong")));
}

#[test]
fn progress_comes_in_order_before_the_answer_with_the_clients_own_token() {
    let mut client = Client::connect(&one_fake());
    for token in [json!("my token"), json!(42), json!("42")] {
        let before = client.notifications("notifications/progress").len();
        let params =
            json!({ "name": "fake__progress", "arguments": { "steps": 50 }, "_meta": { "progressToken": token } });
        let id = client.ask("tools/call", params);
        client.answer(&id);
        // All of it is there at the moment of the answer: nothing is waited for.
        let sent = client.notifications("notifications/progress").split_off(before);
        let steps: Vec<_> = sent.iter().map(|params| params["progress"].as_u64().unwrap()).collect();
        assert_eq!(steps, (1..=50).collect::<Vec<_>>());
        assert!(sent.iter().all(|params| params["progressToken"] == token && params["x-own"] == true), "{sent:?}");
    }
}

#[test]
fn progress_of_calls_at_the_same_time_is_not_mixed_up() {
    let mut client = Client::connect(&one_fake());
    let ids: Vec<Value> = (0..20)
        .map(|i| {
            let meta = json!({ "progressToken": format!("t{i}") });
            client.ask("tools/call", json!({ "name": "fake__progress", "arguments": { "steps": i }, "_meta": meta }))
        })
        .collect();
    for id in &ids {
        client.answer(id);
    }
    for i in 0..20 {
        let token = format!("t{i}");
        let sent = client.notifications("notifications/progress");
        assert_eq!(sent.iter().filter(|params| params["progressToken"] == token).count(), i);
    }
}

#[test]
fn without_a_token_no_progress_is_sent() {
    let mut client = Client::connect(&one_fake());
    client.call("fake__progress", &json!({ "steps": 5 }));
    client.result("ping", json!({}));
    assert!(client.notifications("notifications/progress").is_empty());
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server_and_never_answered() {
    let mut client = Client::connect(&one_fake());
    let id = client.ask_tool("fake__hang", &json!({}));
    client.notify("notifications/cancelled", &json!({ "requestId": id, "reason": "changed my mind" }));
    eventually("the server is told", || {
        let cancelled: Value = serde_json::from_str(&client.call_text("fake__cancelled", &json!({}))).unwrap();
        cancelled.as_array().unwrap().len() == 1
    });
    client.result("ping", json!({}));
    assert!(client.lines().iter().all(|line| line.json["id"] != id), "it is not answered");
}

#[test]
fn the_late_answer_to_a_cancelled_call_is_dropped() {
    let mut client = Client::connect(&one_fake());
    let cancelled = client.ask_tool("fake__sleep", &json!({ "ms": 300 }));
    client.notify("notifications/cancelled", &json!({ "requestId": cancelled }));
    client.call("fake__sleep", &json!({ "ms": 600 }));
    assert!(client.lines().iter().all(|line| line.json["id"] != cancelled), "it is not answered");
}

#[test]
fn cancelling_what_is_over_or_never_was_does_no_harm() {
    let mut client = Client::connect(&one_fake());
    client.call("fake__echo", &json!({ "message": "x" }));
    for id in [json!(1), json!(2), json!("nobody"), json!(null)] {
        client.notify("notifications/cancelled", &json!({ "requestId": id }));
    }
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "still here" })), "still here");
}

#[test]
fn ids_come_back_as_they_were_sent() {
    let mut client = Client::connect(&one_fake());
    for id in ["\"a-b\"", "\"7\"", "700", "-1", "0", "9007199254740993", "\"é\\\"\"", "\"\""] {
        client.send_line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"fake__echo","arguments":{{"message":"x"}}}}}}"#
        ));
        let line = client.answer(&serde_json::from_str(id).unwrap());
        assert!(line.text.contains(&format!("\"id\":{id}")) && line.json["result"].is_object(), "{id}: {}", line.text);
    }
}

#[test]
fn a_line_may_hold_its_keys_in_any_order() {
    let mut client = Client::connect(&one_fake());
    client.send_line(
        r#" { "params" : {"_meta":{}, "arguments":{"message":"odd"}, "name":"fake__echo"} , "method":"tools\/call", "id": "odd", "jsonrpc":"2.0" } "#,
    );
    assert_eq!(client.answer(&json!("odd")).json["result"]["content"][0]["text"], "odd");
}

#[test]
fn a_line_that_cannot_be_parsed_is_answered_and_the_next_one_served() {
    let mut client = Client::connect(&one_fake());
    for line in ["{ no json", "tools/list", "{\"jsonrpc\":\"2.0\",\"id\":9"] {
        let before = client.lines().len();
        client.send_line(line);
        client.wait_for("the parse error", |lines| {
            lines[before..].iter().find(|l| l.json["error"]["code"] == -32700).cloned()
        });
    }
    client.send_line("");
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "alive" })), "alive");
}

#[test]
fn an_unknown_method_is_answered_with_its_error() {
    let mut client = Client::connect(&one_fake());
    assert_eq!(client.request("no/such/method", json!({}))["error"]["code"], -32601);
    client.notify("notifications/no/such", &json!({}));
    client.result("ping", json!({}));
}

#[test]
fn an_unknown_tool_is_answered_with_the_nearest() {
    let mut client = Client::connect(&one_fake());
    let answer = client.request("tools/call", json!({ "name": "fake__ecko", "arguments": {} }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(answer["error"]["message"].to_string().contains("fake__echo"), "{answer}");
}

#[test]
fn arguments_that_are_no_object_are_refused_without_asking_the_server() {
    let mut client = Client::connect(&one_fake());
    for arguments in [json!([1]), json!("x"), json!(7)] {
        let answer = client.request("tools/call", json!({ "name": "fake__echo", "arguments": arguments }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    assert_eq!(client.call_text("fake__seen", &json!({})).matches("\"tools/call\":1").count(), 1);
}

#[test]
fn slow_calls_do_not_hold_quick_ones() {
    let mut client = Client::connect(&one_fake());
    let hanging = client.ask_tool("fake__hang", &json!({}));
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "quick" })), "quick");
    assert!(client.lines().iter().all(|line| line.json["id"] != hanging));
}

#[test]
fn many_calls_at_once_get_each_its_own_answer() {
    let mut client = Client::connect(&one_fake());
    let asked: Vec<_> =
        (0..200).map(|i| (client.ask_tool("fake__echo", &json!({ "message": format!("m{i}") })), i)).collect();
    for (id, i) in asked {
        assert_eq!(client.answer(&id).json["result"]["content"][0]["text"], format!("m{i}"));
    }
}

#[test]
fn a_large_answer_goes_through_whole() {
    let mut client = Client::connect(&one_fake());
    assert_eq!(client.call_text("fake__big", &json!({ "bytes": 5_000_000 })).len(), 5_000_000);
}

#[test]
fn stdout_carries_the_protocol_alone_however_noisy_the_servers() {
    let noisy = fake(["--junk", "6", "--stderr", "noise"]);
    let scratch = Scratch::entries(json!({ "noisy": noisy, "gone": { "command": "no-such-program-3f" } }));
    let mut client = Client::connect(&scratch);
    assert!(client.tools().contains(&"noisy__echo".to_owned()));
    assert_eq!(client.call_text("noisy__echo", &json!({ "message": "x" })), "x");
    client.leave(); // that each line was JSON-RPC is looked at when a client goes
}

#[test]
fn it_leaves_when_stdin_closes_and_takes_its_servers_along() {
    let scratch = Scratch::new();
    let file = scratch.path("pids");
    let stubborn = fake(["--pid-file", text(&file), "--ignore-term", "--ignore-eof"]);
    let config = json!({ "mcpServers": { "meek": fake(["--pid-file", text(&file)]), "stubborn": stubborn } });
    let scratch = scratch.config(&config);
    let mut client = Client::connect(&scratch);
    client.ask_tool("meek__hang", &json!({}));
    client.leave();
    let pids = pids_in(&file);
    assert_eq!(pids.len(), 2);
    assert_gone(&pids);
}

#[test]
fn it_leaves_when_stdin_closes_before_anything_was_said() {
    let scratch = Scratch::new();
    let file = scratch.path("pids");
    let entry = fake(["--pid-file", text(&file), "--delay-ms", "60000"]);
    let scratch = scratch.config(&json!({ "mcpServers": { "slow": entry } }));
    let client = Client::start(&scratch);
    eventually("the entry is being started", || pids_in(&file).len() == 1);
    client.leave();
    assert_gone(&pids_in(&file));
}

#[test]
fn it_serves_although_no_entry_can_be_started() {
    let mut client = Client::connect(&Scratch::entries(json!({ "gone": { "command": "no-such-program-3f" } })));
    assert_eq!(client.tools(), ["gone__status"]);
    let status: Value = serde_json::from_str(&client.call_text("gone__status", &json!({}))).unwrap();
    assert!(status["error"].to_string().contains("no-such-program-3f"), "{status}");
    client.leave();
}

#[test]
fn an_agent_can_wake_a_deferred_entry() {
    let entry = with(fake(["--tools", "2"]), &json!({ "deferred": true }));
    let mut client = Client::connect(&Scratch::entries(json!({ "later": entry })));
    assert_eq!(client.tools(), ["later__status"]);
    let woken = client.call("later__status", &json!({ "connect": true }));
    assert!(woken.to_string().contains("later__tool_1"), "{woken}");
    assert_eq!(client.tools(), ["later__echo", "later__tool_1"]);
    client.wait_for_notifications("notifications/tools/list_changed", 1);
}
