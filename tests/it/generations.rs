//! Servers of every protocol generation connect, list and call; whichever side is older.

use serde_json::{Value, json};

use crate::support::{
    client::{Client, LEGACY, MODERN},
    fake::fake,
    procs::eventually,
    program::Scratch,
};

fn generations() -> impl Iterator<Item = &'static str> {
    LEGACY.into_iter().chain([MODERN])
}

#[test]
fn a_server_of_each_generation_lists_and_calls() {
    for version in generations() {
        let scratch = Scratch::entries(json!({ "fake": fake(["--version", version]) }));
        assert!(scratch.run(["tools", "--json"]).ok().tool_names().contains(&"fake__echo".to_owned()), "{version}");
        assert_eq!(scratch.call("fake__echo", &json!({ "message": version })), version);
    }
}

#[test]
fn a_server_of_each_generation_answers_the_probe_of_health() {
    for version in generations() {
        let scratch = Scratch::entries(json!({ "fake": fake(["--version", version]) }));
        let health = scratch.run(["status", "--json"]).ok().json();
        assert_eq!(health["healthy"], true, "{version}: {health}");
        assert_eq!(health["entries"][0]["serverInfo"]["name"], "fake", "{version}: {health}");
    }
}

#[test]
fn clients_of_both_generations_reach_servers_of_both() {
    for version in generations() {
        let scratch = Scratch::entries(json!({ "fake": fake(["--version", version]) }));
        for mut client in [Client::connect(&scratch), Client::modern(&scratch)] {
            assert!(client.tools().contains(&"fake__echo".to_owned()), "{version}");
            assert_eq!(client.call_text("fake__echo", &json!({ "message": version })), version);
        }
    }
}

#[test]
fn a_tool_added_by_a_server_of_each_generation_is_noticed() {
    for version in generations() {
        let scratch = Scratch::entries(json!({ "fake": fake(["--version", version]) }));
        let mut client = Client::connect(&scratch);
        client.call("fake__add_tool", &json!({ "name": "fresh" }));
        eventually("the new tool is there", || client.tools().contains(&"fake__fresh".to_owned()));
        client.wait_for_notifications("notifications/tools/list_changed", 1);
    }
}

#[test]
fn a_legacy_server_is_called_with_nothing_of_the_new_generation() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let mut client = Client::modern(&scratch);
    let params: Value = serde_json::from_str(&client.call_text("fake__params", &json!({ "a": 1 }))).unwrap();
    assert_eq!((&params["name"], &params["arguments"]), (&json!("params"), &json!({ "a": 1 })), "{params}");
    assert!(!params["_meta"].to_string().contains("io.modelcontextprotocol/protocolVersion"), "{params}");
}

#[test]
fn a_modern_server_gets_its_meta_from_a_legacy_client_too() {
    let scratch = Scratch::entries(json!({ "fake": fake(["--version", MODERN]) }));
    let mut client = Client::connect(&scratch);
    let params: Value = serde_json::from_str(&client.call_text("fake__params", &json!({}))).unwrap();
    assert_eq!(params["_meta"]["io.modelcontextprotocol/protocolVersion"], MODERN, "{params}");
    assert!(params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_object(), "{params}");
}
