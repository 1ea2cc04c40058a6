//! What goes through beside tools, in both directions, whichever generations the client and the entry are of.

use serde_json::{Value, json};

use crate::support::{
    client::{Client, MODERN},
    fake::fake,
    http_client::{Caller, Daemon},
    procs::eventually,
    program::Scratch,
};

const LEGACY: &str = "2025-11-25";

/// Every pairing of a client and an entry.
const PAIRS: [(&str, &str); 4] = [(LEGACY, LEGACY), (LEGACY, MODERN), (MODERN, LEGACY), (MODERN, MODERN)];

const ABLE: &str = r#"{ "sampling": {}, "roots": {}, "elicitation": { "form": {}, "url": {} } }"#;

fn wide(version: &str) -> Value {
    fake(["--wide", "--version", version])
}

fn one(version: &str) -> Scratch {
    Scratch::entries(json!({ "fake": wide(version) }))
}

fn able(scratch: &Scratch, version: &str) -> Client {
    Client::able(scratch, version, serde_json::from_str(ABLE).unwrap())
}

/// The text of a line's result, without what the newest generation adds in front.
fn result_text(client: &mut Client, method: &str, params: Value) -> String {
    let id = client.ask(method, params);
    let line = client.answer(&id);
    assert!(line.json["error"].is_null(), "{}", line.text);
    line.text
}

#[test]
fn prompts_are_named_as_tools_are_and_pass_untouched() {
    for (client, server) in PAIRS {
        let mut client = able(&one(server), client);
        let list = result_text(&mut client, "prompts/list", json!({}));
        let expected = r#"{"x-own":1.0,"name":"fake__greet","arguments":[{"name":"who","required":true}]}"#;
        assert!(list.contains(expected), "{list}");
        let params = json!({ "name": "fake__greet", "arguments": { "who": "Bob" } });
        let got = result_text(&mut client, "prompts/get", params);
        assert!(got.contains(r#""x-own":1.0"#) && got.contains("greet Bob"), "{got}");
        let unknown = client.request("prompts/get", json!({ "name": "fake__gone" }));
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    }
}

#[test]
fn resources_and_templates_keep_their_uris_and_are_read_where_they_are() {
    for (version, server) in PAIRS {
        let mut client = able(&one(server), version);
        let list = result_text(&mut client, "resources/list", json!({}));
        assert!(list.contains(r#"[{"x-own":1.0,"uri":"fake://plain","name":"plain"}]"#), "{list}");
        let templates = result_text(&mut client, "resources/templates/list", json!({}));
        assert!(templates.contains(r#"{"uriTemplate":"fake://made/{id}","name":"made","x-own":1.0}"#), "{templates}");
        for uri in ["fake://plain", "fake://made/7", "fake://unlisted"] {
            let read = result_text(&mut client, "resources/read", json!({ "uri": uri }));
            assert!(read.contains(&format!(r#"[{{"uri":"{uri}","#)) && read.contains(r#""x-own":true"#), "{read}");
        }
        let unknown = client.request("resources/read", json!({ "uri": "other://x" }));
        let own = if server == LEGACY && version == LEGACY { -32002 } else { -32602 };
        assert_eq!(unknown["error"]["code"], own, "{unknown}");
        assert_eq!(unknown["error"]["message"], "not found: other://x", "the entry's own words");
    }
}

#[test]
fn what_nobody_has_is_an_error_of_the_clients_generation() {
    for (version, code) in [(LEGACY, -32002), (MODERN, -32602)] {
        let mut client = able(&Scratch::entries(json!({ "fake": fake::<&str>([]) })), version);
        let answer = client.request("resources/read", json!({ "uri": "fake://plain" }));
        assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["uri"]), (&json!(code), &json!("fake://plain")));
        for (method, member) in [
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
            ("prompts/list", "prompts"),
        ] {
            assert_eq!(client.result(method, json!({}))[member], json!([]));
        }
    }
}

#[test]
fn a_uri_that_two_entries_have_gets_a_namespace_in_front_and_leads_to_each() {
    let mut client = able(&Scratch::entries(json!({ "a": wide(LEGACY), "b_2": wide(MODERN) })), LEGACY);
    let list = client.result("resources/list", json!({}));
    assert_eq!(
        (&list["resources"][0]["uri"], &list["resources"][1]["uri"]),
        (&json!("fake://plain"), &json!("b_2+fake://plain"))
    );
    for (namespace, prefix) in [("a", ""), ("b_2", "b_2+")] {
        let pid = client.call_text(&format!("{namespace}__pid"), &json!({}));
        for uri in ["fake://plain", "fake://made/1"] {
            let known = format!("{prefix}{uri}");
            let read = client.result("resources/read", json!({ "uri": known }));
            assert_eq!((&read["contents"][0]["text"], &read["contents"][0]["uri"]), (&json!(pid), &json!(known)));
        }
    }
}

#[test]
fn completion_reaches_the_entry_under_its_own_names() {
    for (client, server) in PAIRS {
        let mut client = able(&one(server), client);
        let argument = json!({ "name": "who", "value": "B" });
        for (reference, own) in [
            (json!({ "type": "ref/prompt", "name": "fake__greet" }), json!({ "type": "ref/prompt", "name": "greet" })),
            (
                json!({ "type": "ref/resource", "uri": "fake://made/{id}" }),
                json!({ "type": "ref/resource", "uri": "fake://made/{id}" }),
            ),
        ] {
            let result = client.result("completion/complete", json!({ "ref": reference, "argument": argument }));
            let told: Value = serde_json::from_str(result["completion"]["values"][0].as_str().unwrap()).unwrap();
            assert_eq!((&told["ref"], &told["argument"]), (&own, &argument));
        }
        let answer = client.request(
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "x__y" }, "argument": argument }),
        );
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

/// Touches resources until the client has heard of one: an entry may not have been told yet that somebody listens.
fn touched(client: &mut Client, uri: &str) -> Value {
    let mut heard = Value::Null;
    eventually("the client hears of the resource", || {
        client.call("fake__touch", &json!({ "uri": uri }));
        let updated = client.notifications("notifications/resources/updated");
        heard = updated.into_iter().find(|params| params["uri"] == uri).unwrap_or_default();
        !heard.is_null()
    });
    heard
}

#[test]
fn a_client_with_a_handshake_hears_of_what_it_subscribed_to_until_it_does_no_more() {
    for server in [LEGACY, MODERN] {
        let mut client = able(&one(server), LEGACY);
        client.result("resources/list", json!({}));
        client.result("resources/subscribe", json!({ "uri": "fake://plain" }));
        client.result("resources/subscribe", json!({ "uri": "fake://made/1" }));
        let heard = touched(&mut client, "fake://plain");
        assert!(server == MODERN || heard["x-own"] == 1.0, "{heard}");
        assert!(heard["_meta"].is_null(), "what belongs to our own subscription stays here: {heard}");
        client.result("resources/unsubscribe", json!({ "uri": "fake://plain" }));
        let before = client.notifications("notifications/resources/updated").len();
        client.call("fake__touch", &json!({ "uri": "fake://plain" }));
        touched(&mut client, "fake://made/1");
        let after = client.notifications("notifications/resources/updated");
        assert!(after[before..].iter().all(|params| params["uri"] == "fake://made/1"), "{after:?}");
    }
}

#[test]
fn a_client_without_a_handshake_listens_to_resources() {
    for server in [LEGACY, MODERN] {
        let mut client = able(&one(server), MODERN);
        let wanted = json!({ "resourceSubscriptions": ["fake://plain", "fake://made/1"] });
        let id = client.ask("subscriptions/listen", json!({ "notifications": wanted }));
        let acknowledged = client.wait_for_notifications("notifications/subscriptions/acknowledged", 1);
        assert_eq!(acknowledged[0]["notifications"], wanted);
        let heard = touched(&mut client, "fake://made/1");
        assert_eq!(heard["_meta"]["io.modelcontextprotocol/subscriptionId"], id, "{heard}");
    }
}

#[test]
fn a_subscription_that_the_entry_refuses_is_refused() {
    let mut client = able(&one(LEGACY), LEGACY);
    let answer = client.request("resources/subscribe", json!({ "uri": "fake://made/refused" }));
    assert_eq!(answer["error"]["code"], -32051, "{answer}");
}

#[test]
fn what_clients_want_to_hear_survives_a_crash_of_the_entry() {
    let mut client = able(&one(LEGACY), LEGACY);
    client.result("logging/setLevel", json!({ "level": "warning" }));
    client.result("resources/subscribe", json!({ "uri": "fake://plain" }));
    client.request("tools/call", json!({ "name": "fake__crash", "arguments": {} }));
    eventually("the entry is told again", || {
        let answer = client.request("tools/call", json!({ "name": "fake__level", "arguments": {} }));
        let told = answer["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        serde_json::from_str::<Value>(&told).ok() == Some(json!({ "level": "warning", "subscribed": ["fake://plain"] }))
    });
}

#[test]
fn a_client_is_told_once_that_prompts_or_resources_have_changed() {
    for (version, server) in PAIRS {
        let mut client = able(&one(server), version);
        client.result("prompts/list", json!({}));
        client.result("resources/list", json!({}));
        if version == MODERN {
            let wanted = json!({ "promptsListChanged": true, "resourcesListChanged": true });
            client.ask("subscriptions/listen", json!({ "notifications": wanted }));
            client.wait_for_notifications("notifications/subscriptions/acknowledged", 1);
        }
        for (what, name, shown) in [("prompts", "more", "fake__more"), ("resources", "fake://more", "fake://more")] {
            let method = format!("notifications/{what}/list_changed");
            client.call("fake__change", &json!({ "what": what, "name": name }));
            client.wait_for_notifications(&method, 1);
            let list = client.result(&format!("{what}/list"), json!({})).to_string();
            assert!(list.contains(shown), "{list}");
            assert_eq!(client.notifications(&method).len(), 1);
        }
        assert_eq!(client.notifications("notifications/tools/list_changed").len(), 0);
    }
}

#[test]
fn log_messages_reach_the_client_whose_call_they_come_with_from_its_level_on() {
    for server in [LEGACY, MODERN] {
        let mut client = able(&one(server), LEGACY);
        client.result("logging/setLevel", json!({ "level": "info" }));
        client.call("fake__log", &json!({ "count": 2 }));
        assert_eq!(client.notifications("notifications/message").len(), 2, "from {server}");
        client.result("logging/setLevel", json!({ "level": "error" }));
        client.call("fake__log", &json!({ "count": 2 }));
        assert_eq!(client.notifications("notifications/message").len(), 2, "from {server}");
        let answer = client.request("logging/setLevel", json!({ "level": "loud" }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let mut client = able(&one(MODERN), MODERN);
    client.call("fake__log", &json!({}));
    assert_eq!(client.notifications("notifications/message").len(), 0, "nobody asked for them");
    let meta = json!({ "io.modelcontextprotocol/logLevel": "info" });
    client.result("tools/call", json!({ "name": "fake__log", "arguments": {}, "_meta": meta }));
    assert_eq!(client.notifications("notifications/message").len(), 1);
}

const QUESTIONS: [(&str, &str, &str); 3] = [
    (
        "sampling/createMessage",
        r#"{"messages":[],"maxTokens":3,"x-own":1}"#,
        r#"{"model":"m","role":"assistant","content":{"type":"text","text":"hi"},"x-own":1}"#,
    ),
    (
        "elicitation/create",
        r#"{"message":"who?","requestedSchema":{"type":"object","properties":{}}}"#,
        r#"{"action":"accept","content":{"a":1}}"#,
    ),
    ("roots/list", "{}", r#"{"roots":[{"uri":"file:///here"}]}"#),
];

#[test]
fn what_an_entry_asks_reaches_the_client_whose_call_it_is_about_and_the_answer_comes_back() {
    for (version, server) in PAIRS {
        for (method, params, answer) in QUESTIONS {
            let (params, answer): (Value, Value) =
                (serde_json::from_str(params).unwrap(), serde_json::from_str(answer).unwrap());
            let mut client = able(&one(server), version);
            let arguments = json!({ "method": method, "params": params });
            let id = client.ask_tool("fake__ask", &arguments);
            let result = if version == MODERN {
                let wanted = client.answer(&id).json["result"].clone();
                assert_eq!(wanted["resultType"], "input_required", "{wanted}");
                let requests = wanted["inputRequests"].as_object().unwrap();
                let (key, request) = requests.iter().next().unwrap();
                assert_eq!((requests.len(), &request["method"], &request["params"]), (1, &json!(method), &params));
                client.result(
                    "tools/call",
                    json!({ "name": "fake__ask", "arguments": arguments, "requestState": wanted["requestState"],
                            "inputResponses": { key: answer } }),
                )
            } else {
                let (question, asked) = client.asked(method);
                assert_eq!(asked, params, "{method} from {server}");
                client.reply(&question, &answer);
                client.answer(&id).json["result"].clone()
            };
            let told: Value =
                serde_json::from_str(result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")))
                    .unwrap();
            assert_eq!(told, answer, "{version} to {server}: {method}");
        }
    }
}

#[test]
fn a_client_that_cannot_be_asked_is_not_and_the_entry_gets_an_answer_all_the_same() {
    let form = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": { "a": { "type": "string", "default": "b" } } } });
    let asked = |scratch: &Scratch, version: &str, method: &str, params: &Value| {
        let mut client = Client::able(scratch, version, json!({}));
        client.call_text("fake__ask", &json!({ "method": method, "params": params }))
    };
    for version in [LEGACY, MODERN] {
        let scratch = one(LEGACY);
        assert_eq!(asked(&scratch, version, "elicitation/create", &form), r#"{"action":"decline"}"#);
        assert_eq!(asked(&scratch, version, "roots/list", &json!({})), r#"{"roots":[]}"#);
        let refused = asked(&scratch, version, "sampling/createMessage", &json!({ "messages": [] }));
        assert!(refused.contains(r#""code":-1"#), "{refused}");
    }
    let scratch = Scratch::new()
        .config(&json!({ "mcpServers": { "fake": wide(LEGACY) }, "serve": { "unattended": "defaults" } }));
    assert_eq!(asked(&scratch, LEGACY, "elicitation/create", &form), r#"{"action":"accept","content":{"a":"b"}}"#);
}

#[test]
fn a_question_is_taken_back_when_its_call_is_over() {
    let mut client = able(&one(LEGACY), LEGACY);
    let id = client.ask_tool("fake__ask", &json!({ "method": "roots/list", "params": {} }));
    let (question, _) = client.asked("roots/list");
    client.notify("notifications/cancelled", &json!({ "requestId": id }));
    let taken_back = client.wait_for_notifications("notifications/cancelled", 1);
    assert_eq!(taken_back[0]["requestId"], question);
    eventually("the entry has an answer all the same", || {
        client.call_text("fake__seen", &json!({})).contains(r#""asked":0"#)
    });
    // An answer that comes too late harms nobody.
    client.reply(&question, &json!({ "roots": [] }));
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "alive" })), "alive");
}

/// A call that asks for the roots after a while, and one that is newer when it does and answers later: on one line nobody
/// can tell which of them the question is about.
fn two_calls(client: &mut Client) -> (Value, Value) {
    let asks = client.ask_tool("fake__ask", &json!({ "method": "roots/list", "params": {}, "ms": 200 }));
    (asks, client.ask_tool("fake__sleep", &json!({ "ms": 700 })))
}

fn told(answer: &Value) -> Value {
    serde_json::from_str(answer["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))).unwrap()
}

#[test]
fn a_question_outlives_the_end_of_a_call_that_it_may_not_have_been_about() {
    let mut client = able(&one(LEGACY), LEGACY);
    let (asks, other) = two_calls(&mut client);
    let (question, _) = client.asked("roots/list");
    client.answer(&other);
    let roots = json!({ "roots": [{ "uri": "file:///late" }] });
    client.reply(&question, &roots);
    assert_eq!(told(&client.answer(&asks).json["result"]), roots);
    assert_eq!(client.notifications("notifications/cancelled").len(), 0, "it was never taken back");
}

#[test]
fn a_question_is_asked_anew_for_another_call_when_the_one_it_came_with_is_taken_back() {
    let mut client = able(&one(LEGACY), LEGACY);
    let asks = client.ask_tool("fake__ask", &json!({ "method": "roots/list", "params": {}, "ms": 200 }));
    let other = client.ask_tool("fake__hang", &json!({}));
    let (first, _) = client.asked("roots/list");
    client.notify("notifications/cancelled", &json!({ "requestId": other }));
    let taken_back = client.wait_for_notifications("notifications/cancelled", 1);
    assert_eq!(taken_back[0]["requestId"], first);
    let second = client.wait_for("the question again", |lines| {
        let asked = lines.iter().filter(|line| line.json["method"] == "roots/list");
        asked.map(|line| line.json["id"].clone()).find(|id| *id != first)
    });
    let roots = json!({ "roots": [{ "uri": "file:///again" }] });
    client.reply(&second, &roots);
    assert_eq!(told(&client.answer(&asks).json["result"]), roots);
}

#[test]
fn a_client_of_the_newest_generation_answers_for_whichever_of_its_calls_the_question_came_with() {
    let mut client = able(&one(LEGACY), MODERN);
    let (asks, other) = two_calls(&mut client);
    let wanted = client.answer(&other).json["result"].clone();
    assert_eq!(wanted["resultType"], "input_required", "{wanted}");
    let key = wanted["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let roots = json!({ "roots": [{ "uri": "file:///back" }] });
    let back = json!({ "name": "fake__sleep", "arguments": { "ms": 700 }, "requestState": wanted["requestState"],
                       "inputResponses": { key: roots } });
    assert_eq!(client.result("tools/call", back)["resultType"], "complete");
    assert_eq!(told(&client.answer(&asks).json["result"]), roots);
}

#[test]
fn a_state_that_nobody_waits_for_is_refused() {
    let mut client = able(&one(LEGACY), MODERN);
    let params =
        json!({ "name": "fake__ask", "arguments": {}, "requestState": "computer-call:0123", "inputResponses": {} });
    let answer = client.request("tools/call", params);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn questions_about_a_task_go_to_the_entry_that_made_it() {
    let mut client = able(&Scratch::entries(json!({ "a": wide(MODERN), "b": wide(MODERN) })), MODERN);
    let task = json!({ "resultType": "task", "taskId": "t-1", "status": "working" });
    client.result("tools/call", json!({ "name": "b__answer", "arguments": { "result": task } }));
    assert_eq!(client.result("tasks/get", json!({ "taskId": "t-1" }))["status"], "working");
    let seen = |client: &mut Client, name: &str| client.call_text(name, &json!({}));
    assert!(seen(&mut client, "b__seen").contains(r#""tasks/get":1"#));
    assert!(!seen(&mut client, "a__seen").contains("tasks/get"));
    let unknown = client.request("tasks/get", json!({ "taskId": "t-2" }));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
}

#[test]
fn what_cannot_be_carried_is_answered_with_an_error() {
    for (version, methods) in [
        (LEGACY, &["example/custom", "server/discover", "subscriptions/listen", "tasks/nothing"][..]),
        (MODERN, &["example/custom", "ping", "logging/setLevel", "resources/subscribe"][..]),
    ] {
        let mut client = able(&one(LEGACY), version);
        for method in methods {
            let answer = client.request(method, json!({}));
            assert!(
                answer["error"]["code"] == -32601 || *method == "tasks/nothing" && answer["error"]["code"] == -32602,
                "{answer}"
            );
        }
    }
}

#[test]
fn changed_roots_of_a_client_are_told_to_the_entries() {
    let mut client = able(&one(LEGACY), LEGACY);
    client.notify("notifications/roots/list_changed", &json!({}));
    eventually("the entry hears of it", || {
        client.call_text("fake__seen", &json!({})).contains(r#""notifications/roots/list_changed":1"#)
    });
}

#[test]
fn the_capabilities_are_all_that_can_be_carried_and_the_extensions_of_the_entries() {
    let mut client = able(&one(LEGACY), MODERN);
    let capabilities = client.result("server/discover", json!({}))["capabilities"].clone();
    for expected in ["tools", "prompts", "resources", "completions", "logging"] {
        assert!(capabilities[expected].is_object(), "{capabilities}");
    }
    assert_eq!(capabilities["extensions"]["example.org/fake"]["since"], 1, "{capabilities}");
}

#[test]
fn a_list_that_never_comes_keeps_nobody_from_the_tools() {
    for (method, works) in [("resources/list", "prompts"), ("prompts/list", "resources")] {
        let scratch = Scratch::entries(json!({ "fake": fake(["--wide", "--hang-on", method]) }));
        let mut client = able(&scratch, LEGACY);
        assert_eq!(client.call_text("fake__echo", &json!({ "message": "up" })), "up");
        assert_eq!(client.result(&format!("{works}/list"), json!({}))[works], json!([]), "it is listed when all is");
    }
}

#[test]
fn a_state_is_good_for_its_own_call_and_nothing_else() {
    let mut client = able(&one(LEGACY), MODERN);
    let arguments = json!({ "method": "roots/list", "params": {} });
    let wanted = client.result("tools/call", json!({ "name": "fake__ask", "arguments": arguments }));
    let (key, _) = wanted["inputRequests"].as_object().unwrap().iter().next().unwrap();
    let back = |name: &str| {
        json!({ "name": name, "arguments": arguments, "requestState": wanted["requestState"],
                "inputResponses": { key: { "roots": [] } } })
    };
    let other = client.request("tools/call", back("fake__echo"));
    assert_eq!(other["error"]["code"], -32602, "{other}");
    let own = client.result("tools/call", back("fake__ask"));
    assert_eq!(own["content"][0]["text"], r#"{"roots":[]}"#);
}

#[test]
fn a_question_reaches_a_client_without_a_session_as_it_was_asked() {
    let mut client = able(&one(LEGACY), MODERN);
    let params = r#"{"zeta":[],"alpha":1.0,"messages":[]}"#;
    let line = format!(r#"{{"method":"sampling/createMessage","params":{params}}}"#);
    let arguments: Box<serde_json::value::RawValue> = serde_json::from_str(&line).unwrap();
    let id = client.ask_raw("fake__ask", &arguments);
    assert!(client.answer(&id).text.contains(params), "{}", client.answer(&id).text);
}

#[test]
fn a_request_whose_id_is_null_is_refused() {
    let mut client = able(&one(LEGACY), LEGACY);
    client.send_line(r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#);
    let answer = client.wait_for("an error", |lines| lines.iter().find(|line| !line.json["error"].is_null()).cloned());
    assert_eq!(answer.json["error"]["code"], -32600, "{}", answer.text);
}

#[test]
fn a_subscription_that_was_taken_back_half_way_is_made_anew() {
    let scratch = Scratch::entries(json!({ "fake": fake(["--wide", "--hang-on", "resources/subscribe"]) }));
    let mut client = able(&scratch, LEGACY);
    for round in 1..=2 {
        let id = client.ask("resources/subscribe", json!({ "uri": "fake://plain" }));
        eventually("the entry is asked", || {
            client.call_text("fake__seen", &json!({})).contains(&format!(r#""resources/subscribe":{round}"#))
        });
        client.notify("notifications/cancelled", &json!({ "requestId": id }));
    }
}

#[test]
fn tasks_are_declared_where_the_generation_knows_them_and_their_list_is_nobodys() {
    for (version, declared) in [("2025-11-25", true), ("2025-06-18", false)] {
        let scratch = one("2025-11-25");
        let mut client = Client::start(&scratch);
        let tasks = client.initialize(version)["capabilities"]["tasks"].clone();
        assert_eq!(tasks["requests"]["tools"]["call"].is_object(), declared, "{version}: {tasks}");
        assert_eq!(tasks["list"], Value::Null, "{version}");
        assert_eq!(client.request("tasks/list", json!({}))["error"]["code"], -32601);
    }
}

/// The names of all tools, and how many are on each page.
fn paged(mut request: impl FnMut(Value) -> Value) -> (Vec<String>, Vec<usize>) {
    let (mut names, mut sizes, mut params) = (Vec::new(), Vec::new(), json!({}));
    loop {
        let answer = request(params);
        let page = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        names.extend(page.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        sizes.push(page.len());
        match &answer["result"]["nextCursor"] {
            Value::Null => return (names, sizes),
            cursor => params = json!({ "cursor": cursor }),
        }
    }
}

#[test]
fn a_long_list_comes_page_by_page_and_whole() {
    let scratch = Scratch::entries(json!({ "many": fake(["--tools", "2500"]) }));
    let mut expected: Vec<String> = Vec::new();
    for version in [LEGACY, MODERN] {
        let mut client = able(&scratch, version);
        let (mut names, sizes) = paged(|params| client.request("tools/list", params));
        assert_eq!(sizes, [1_000, 1_000, 500]);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 2_500);
        assert!(expected.is_empty() || expected == names);
        expected = names;
        for cursor in [json!("1000"), json!(7), json!("1000-not a mark")] {
            let refused = client.request("tools/list", json!({ "cursor": cursor }));
            assert_eq!(refused["error"]["code"], -32602, "{refused}");
            assert!(refused["error"]["message"].as_str().unwrap().contains("nextCursor"), "{refused}");
        }
        client.leave();
    }
}

#[test]
fn one_entry_alone_is_paged_too() {
    let scratch = Scratch::entries(json!({ "many": fake(["--tools", "1001"]) }));
    let daemon = Daemon::start(&scratch);
    let mut caller = Caller::new(daemon.address(), "/mcp/many", LEGACY);
    caller.initialize();
    let (_, sizes) = paged(|params| caller.request("tools/list", params));
    assert_eq!(sizes, [1_000, 1]);
}
