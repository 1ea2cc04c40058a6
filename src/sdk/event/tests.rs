use serde_json::json;

use super::*;

/// What is told of an event, as JSON.
fn told(json: &Value) -> Option<Value> {
    StreamEvent::read(json).map(|event| serde_json::to_value(event).unwrap())
}

#[test]
fn fields_that_nobody_knows_are_left_out_at_every_level() {
    let event = json!({
        "type": "error", "errorType": "provider_error", "message": "m", "source": "provider", "retryable": true,
        "provider": { "name": "p", "details": 1, "statusCode": 429 }, "futureField": [],
    });
    let expected = json!({
        "type": "error", "errorType": "provider_error", "message": "m", "retryable": true, "source": "provider",
        "provider": { "name": "p", "statusCode": 429 },
    });
    assert_eq!(told(&event), Some(expected));
    let call = json!({ "toolCallId": "1", "toolName": "t", "args": {}, "providerMetadata": { "g": {} } });
    let told = told(&json!({ "type": "tool-request", "toolCalls": [call] })).unwrap();
    assert_eq!(told["toolCalls"], json!([{ "toolCallId": "1", "toolName": "t", "args": {} }]));
}

#[test]
fn null_is_no_value_where_one_may_only_be_missing() {
    assert_eq!(told(&json!({ "type": "text-end", "id": "t", "workerId": null })), None);
    let whole = json!({ "type": "tool-output-available", "toolCallId": "1", "output": null });
    assert_eq!(told(&whole), Some(whole));
    let without = json!({ "type": "tool-output-available", "toolCallId": "1" });
    assert_eq!(told(&without), Some(without));
}

#[test]
fn both_kinds_of_source_are_read() {
    for source in [
        json!({ "type": "source", "sourceType": "url", "id": "1", "url": "not checked", "title": "T" }),
        json!({ "type": "source", "sourceType": "document", "id": "2", "mediaType": "m", "title": "D" }),
    ] {
        assert_eq!(told(&source), Some(source));
    }
    assert_eq!(told(&json!({ "type": "source", "sourceType": "url", "id": "1" })), None);
}

#[test]
fn what_is_no_event_is_none() {
    for other in [
        json!({ "type": "no-such-event" }),
        json!({ "type": "finish", "finishReason": "paused" }),
        json!({ "type": "error", "errorType": "unsupported_error", "message": "", "retryable": false, "source": "tool" }),
        json!({ "type": "tool-request", "toolCalls": [{ "toolCallId": "1", "toolName": "t", "args": "text" }] }),
        json!({ "type": "block-start", "blockId": "b", "blockName": "n", "blockType": "t", "display": "title" }),
        json!(["text-start", "t1"]),
        json!("start"),
        json!(null),
    ] {
        assert_eq!(told(&other), None, "{other}");
    }
}

#[test]
fn events_of_workers_and_lists_are_read() {
    for event in [
        json!({ "type": "worker-start", "workerId": "w", "workerSlug": "s", "input": { "A": 1 } }),
        json!({ "type": "worker-result", "workerId": "w", "output": null }),
        json!({ "type": "worker-input-start", "workerId": "w", "workerSlug": "s" }),
        json!({ "type": "worker-input-delta", "workerId": "w", "delta": "{" }),
        json!({ "type": "worker-input-ready", "workerId": "w", "input": {} }),
        json!({ "type": "todo-update", "todos": [{ "id": "1", "content": "c", "status": "in_progress" }] }),
        json!({ "type": "file-available", "id": "f", "mediaType": "m", "url": "u", "size": 3 }),
    ] {
        assert_eq!(told(&event), Some(event));
    }
}
