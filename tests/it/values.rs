//! What a handler makes of a result (spec/computer.md 23), seen through `call --json`.

use serde_json::{Value, json};

use crate::support::{fake::fake, program::Scratch};

#[track_caller]
fn value_of(result: &Value) -> Value {
    Scratch::entries(json!({ "fake": fake::<&str>([]) })).call("fake__answer", &json!({ "result": result }))
}

fn texts(texts: &[&str]) -> Value {
    let parts: Vec<Value> = texts.iter().map(|text| json!({ "type": "text", "text": text })).collect();
    json!({ "content": parts })
}

#[test]
fn structured_content_is_the_value() {
    let value = value_of(&json!({ "content": [{ "type": "text", "text": "x" }], "structuredContent": { "a": [1] } }));
    assert_eq!(value, json!({ "a": [1] }));
}

#[test]
fn structured_content_that_is_null_does_not_count() {
    let value = value_of(&json!({ "content": [{ "type": "text", "text": "x" }], "structuredContent": null }));
    assert_eq!(value, json!("x"));
}

#[test]
fn no_content_is_success() {
    assert_eq!(value_of(&json!({ "content": [] })), json!({ "success": true }));
}

#[test]
fn one_text_that_is_an_object_or_a_list_is_its_json() {
    assert_eq!(value_of(&texts(&[r#"{"a":1}"#])), json!({ "a": 1 }));
    assert_eq!(value_of(&texts(&["[1, 2]"])), json!([1, 2]));
}

#[test]
fn one_text_is_a_number_only_when_it_prints_back_the_same() {
    assert_eq!(value_of(&texts(&["42"])), json!(42));
    for text in ["007", "1.0e2", "12345678901234567890123", "+1"] {
        assert_eq!(value_of(&texts(&[text])), json!(text));
    }
}

#[test]
fn true_null_and_quoted_text_stay_text() {
    for text in ["true", "null", "\"quoted\"", "{ no json"] {
        assert_eq!(value_of(&texts(&[text])), json!(text));
    }
}

#[test]
fn several_texts_are_joined_by_newline() {
    assert_eq!(value_of(&texts(&["1", "{}", "c"])), json!("1\n{}\nc"));
}

#[test]
fn mixed_content_is_a_list_with_plain_texts() {
    let image = json!({ "type": "image", "data": "AA==", "mimeType": "image/png" });
    let value = value_of(&json!({ "content": [{ "type": "text", "text": "see" }, image] }));
    assert_eq!(value, json!(["see", image]));
}

#[test]
fn an_error_result_is_an_error_object() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let failed = |result: Value| {
        let arguments = json!({ "result": result }).to_string();
        scratch.run(["call", "fake__answer", &arguments, "--json"]).exits_with(1).json()
    };
    let two = json!({ "isError": true, "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] });
    assert_eq!(failed(two), json!({ "error": "a\nb" }));
    assert_eq!(failed(json!({ "isError": true, "content": [] })), json!({ "error": "Tool execution failed" }));
}
