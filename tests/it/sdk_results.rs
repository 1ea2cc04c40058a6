//! What the platform is sent of each result that a tool of a Computer can give.

use mcp_computer::sdk::AttachOptions;
use serde_json::{Value, json};

use crate::support::{
    library::Fake,
    sdk::{asks, bodies, events, over, platform, session, turn},
};

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// Results as a server gives them, and what becomes of each.
fn shapes() -> Vec<(Value, Value)> {
    let image =
        json!({ "type": "image", "data": "AA==", "mimeType": "image/png", "annotations": { "audience": ["user"] } });
    let link = json!({ "type": "resource_link", "uri": "file:///x", "name": "x" });
    let later = json!({ "type": "hologram", "depth": 3 });
    vec![
        // An error is an answer: the call has not failed.
        (json!({ "isError": true, "content": [text("no"), image, text("way")] }), json!({ "error": "no\nway" })),
        (json!({ "isError": true, "content": [] }), json!({ "error": "Tool execution failed" })),
        (json!({ "isError": true, "content": [image] }), json!({ "error": "Tool execution failed" })),
        (
            json!({ "isError": true, "structuredContent": { "a": 1 }, "content": [text("no")] }),
            json!({ "error": "no" }),
        ),
        // What has a structure wins, unless it is none.
        (json!({ "structuredContent": { "a": [1] }, "content": [text("words")] }), json!({ "a": [1] })),
        (json!({ "structuredContent": {}, "content": [image] }), json!({})),
        (json!({ "structuredContent": null, "content": [text("words")] }), json!("words")),
        (json!({ "content": [] }), json!({ "success": true })),
        (json!({ "structuredContent": null, "content": [] }), json!({ "success": true })),
        // One text is read where that loses nothing.
        (json!({ "content": [text(r#"{ "a": 1 }"#)] }), json!({ "a": 1 })),
        (json!({ "content": [text("[1, \"x\"]")] }), json!([1, "x"])),
        (json!({ "content": [text("42")] }), json!(42)),
        (json!({ "content": [text("007")] }), json!("007")),
        (json!({ "content": [text("true")] }), json!("true")),
        (json!({ "content": [text("null")] }), json!("null")),
        (json!({ "content": [text("{ no JSON")] }), json!("{ no JSON")),
        (json!({ "content": [text("plain")] }), json!("plain")),
        (json!({ "content": [text("")] }), json!("")),
        // Several are lines.
        (json!({ "content": [text("1"), text("{}"), text("c")] }), json!("1\n{}\nc")),
        // Anything else is a list, its texts as they are.
        (json!({ "content": [text("{}"), image] }), json!(["{}", image])),
        (json!({ "content": [image] }), json!([image])),
        (json!({ "content": [link, text("see"), later] }), json!([link, "see", later])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_a_result_is_told_and_sent_as_an_agent_wants_it() {
    let fake = Fake::up([]).await;
    let (given, wanted): (Vec<Value>, Vec<Value>) = shapes().into_iter().unzip();
    let calls = given.iter().enumerate().map(|(id, result)| {
        json!({ "toolCallId": id.to_string(), "toolName": "fake__answer", "args": { "result": result } })
    });
    let platform = platform(json!([asks(calls.collect()), over()])).await;
    let session = session(&platform, AttachOptions::new());
    session.set_dynamic_tools(fake.computer.clone());
    let told = events(session.execute(turn())).await;
    let sent = bodies(&platform)[1]["toolResults"].clone();
    for (place, wanted) in wanted.iter().enumerate() {
        let (told, sent) = (&told[1 + place], &sent[place]);
        let (given, id) = (&given[place], place.to_string());
        assert_eq!(*told, json!({ "type": "tool-output-available", "toolCallId": id, "output": wanted }), "{given}");
        assert_eq!(*sent, json!({ "toolCallId": id, "toolName": "fake__answer", "result": wanted }), "{given}");
    }
}
