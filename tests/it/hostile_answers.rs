//! Answers that are none, or not the right ones, or not only (spec/computer.md 22–24, 29): what the caller reads, and
//! that nobody else is harmed.

use std::time::Duration;

use mcp_computer::{Error, StdioConfig};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{
    hostile::{assert_says, beside_a_good_one, hostile, impatient},
    library::{cancelled_by, raw, until, within},
};

/// The answer of such a call, which must be a good one.
async fn answered(how: &str) {
    let hostile = hostile().await;
    assert_eq!(hostile.does(how).await.unwrap(), "done", "{how}");
    hostile.goes_on().await;
    hostile.has_stayed_up().await;
}

/// The call fails at once, and with these words; all else goes on.
async fn fails(how: &str, words: &[&str]) {
    let hostile = hostile().await;
    let error = hostile.does(how).await.unwrap_err();
    assert_says(&error.to_string(), words);
    assert!(!error.is_retryable() && error.to_string().len() < 500, "{error}");
    hostile.goes_on().await;
    hostile.has_stayed_up().await;
}

const TO_DO: &str = "look for a newer version";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_result_and_an_error_has_failed() {
    fails("result-and-error", &["it failed"]).await;
    fails("null-result-and-error", &["it failed"]).await;
    answered("result-and-null-error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_neither_a_result_nor_an_error_fails_its_call_at_once() {
    fails("neither", &["calling `misbehave`", "holds neither a result nor an error", TO_DO]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_no_object_fails_its_call() {
    fails("result-is-a-list", &["calling `misbehave`", "is a list and no object", TO_DO]).await;
    fails("result-is-a-text", &["is a text and no object"]).await;
    fails("result-is-null", &["is null and no object"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_is_malformed_is_shown_as_it_is() {
    fails("error-is-a-text", &["calling `misbehave`", "malformed, it is no object", "`\"it broke\"`", TO_DO]).await;
    fails(
        "error-of-long-nonsense",
        &["calling `misbehave`", "malformed, its `code` is no whole number", "no-no-no", TO_DO],
    )
    .await;
    fails("error-without-words", &["calling `misbehave` of entry `bad`", "without words", "-5"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_kinds_that_nobody_knows_is_passed_on() {
    let hostile = hostile().await;
    let parts = json!([{ "type": "hologram", "depth": 3 }, { "type": 7 }, null, "done"]);
    assert_eq!(hostile.does("unknown-content").await.unwrap(), parts);
    assert_eq!(hostile.does("nothing-at-all").await.unwrap(), json!({ "success": true }));
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_without_a_bottom_is_carried_and_harms_nobody() {
    let hostile = hostile().await;
    let answer = within("a call", hostile.begins("bottomless-result", 1)).await.unwrap();
    assert!(answer.get().contains(&"[".repeat(100_000)), "it passes as it is");
    assert_eq!(answer.to_handler_value(), json!({ "success": true }), "no value is as deep");
    assert_eq!(answer.to_value(), json!(null));
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_within_an_answer_that_are_no_utf_8_are_replaced_and_health_says_so() {
    let hostile = hostile().await;
    assert_eq!(hostile.does("no-utf-8").await.unwrap(), "caf\u{fffd}");
    assert_says(&hostile.problems().await, &["no UTF-8", "replaced"]);
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_zero_bytes_in_it_fails_its_call_at_once() {
    fails("zero-bytes", &["calling `misbehave`", "is no JSON", "control character", TO_DO]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_fails_its_call_at_once() {
    fails("cut-off", &["calling `misbehave`", "is no JSON", TO_DO]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_of_other_systems_are_white_space() {
    let hostile = hostile().await;
    let answer = within("a call", hostile.begins("carriage-returns", 1)).await.unwrap();
    assert_eq!(answer.to_handler_value(), "done");
    assert!(!answer.get().contains('\r'), "whoever passes it on must not find a line end in it");
    assert_eq!(hostile.problems().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_passed_over() {
    answered("byte-order-mark").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_byte_by_byte_is_one() {
    answered("byte-by-byte").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_answers_in_one_write_are_two() {
    let hostile = hostile().await;
    let (first, second) = (hostile.begins("two-in-one-write", 1), hostile.begins("two-in-one-write", 1));
    assert_eq!(within("the first", first).await.unwrap().to_handler_value(), "done");
    assert_eq!(within("the second", second).await.unwrap().to_handler_value(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_a_bundle_are_taken_one_by_one() {
    answered("in-a-bundle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blank_lines_are_nothing() {
    let hostile = hostile().await;
    assert_eq!(hostile.does("blank-lines-first").await.unwrap(), "done");
    assert_eq!(hostile.problems().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_to_the_same_call_goes_to_nobody() {
    answered("twice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_what_nobody_has_asked_go_to_nobody_and_are_counted() {
    let hostile = hostile().await;
    assert_eq!(hostile.does("to-others-first").await.unwrap(), "done");
    assert_says(&hostile.problems().await, &["8 answers to requests that nobody has made", "\"c-999999\""]);
    hostile.goes_on().await;
    hostile.has_stayed_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_an_id_of_another_type_is_to_nobody_and_its_call_is_given_up_by_its_clock() {
    let hostile = beside_a_good_one(impatient).await;
    let error = hostile.does("as-a-number").await.unwrap_err();
    assert!(matches!(error, Error::Timeout { silent: true, .. }), "{error}");
    assert_says(&hostile.problems().await, &["1 answer to requests that nobody has made"]);
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_when_its_call_was_given_up_goes_to_nobody() {
    let hostile = beside_a_good_one(impatient).await;
    let error = hostile.does("after-a-while").await.unwrap_err();
    assert_says(&error.to_string(), &["calling `misbehave`", "1500 ms", "callTimeout"]);
    let token = CancellationToken::new();
    let arguments = raw(&json!({ "how": "after-a-while" }));
    let call = hostile.0.call_raw("bad__misbehave", Some(&arguments), cancelled_by(&token));
    token.cancel();
    assert_eq!(within("a call", call).await.unwrap_err(), Error::Cancelled);
    until("both are answered late", async || hostile.seen().await["late"] == 2).await;
    hostile.goes_on().await;
    assert_eq!(hostile.problems().await, "", "to be late is no fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_drips_is_given_up_by_the_clock_of_its_call() {
    let hostile = beside_a_good_one(impatient).await;
    let error = hostile.does("drip").await.unwrap_err();
    assert_says(&error.to_string(), &["calling `misbehave`", "without a sign of life", "callTimeout"]);
    hostile.echoes("good").await;
    within("the stop", hostile.0.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_makes_progress_for_ever_is_given_up_by_the_clock_of_the_whole() {
    let hostile = beside_a_good_one(|entry| StdioConfig {
        call_timeout: Duration::from_millis(1500),
        max_call_time: Duration::from_secs(3),
        ..entry
    })
    .await;
    let error = hostile.does("progress-for-ever").await.unwrap_err();
    assert_says(&error.to_string(), &["calling `misbehave`", "3 s", "maxCallTime"]);
    hostile.goes_on().await;
}
