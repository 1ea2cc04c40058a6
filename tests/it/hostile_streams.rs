//! Floods, and pipes that are closed, cut or not read (spec/computer.md 12, 29): what the caller reads, and that nobody
//! else is harmed.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_computer::{CallContext, Error, ToolProvider};
use serde_json::json;

use crate::support::{
    hostile::{assert_says, beside_a_good_one, hostile, impatient, misbehaving},
    library::{brought_back, health_of, raw, timed, told_so_far, until, within},
    procs::{all_gone, assert_gone, children, descendants, eventually},
};

/// A flood, so large, that the server goes on after: its call is answered, and nobody is harmed.
async fn passes(how: &str, count: u64) -> String {
    let hostile = hostile().await;
    assert_eq!(hostile.does_so_often(how, count).await.unwrap(), "done", "{how}");
    hostile.goes_on().await;
    hostile.has_stayed_up().await;
    hostile.problems().await
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_no_json_rpc_are_skipped_and_counted_whatever_they_are() {
    let problems = passes("noise", 100).await;
    assert_says(&problems, &["1000 lines on stdout that are no JSON-RPC", "`starting up...`", "`17`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_nested_a_hundred_thousand_levels_deep_is_noise() {
    let problems = passes("deep-noise", 1).await;
    assert_says(&problems, &["1 line on stdout", "`[[[["]);
    assert!(problems.len() < 400, "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_hundred_megabytes_is_skipped() {
    assert_says(&passes("large-line", 100 << 20).await, &["maxMessage", "skipped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_line_without_an_end_calls_are_given_up_by_their_clocks() {
    let hostile = beside_a_good_one(impatient).await;
    let error = hostile.does("endless-line").await.unwrap_err();
    assert_says(&error.to_string(), &["calling `misbehave`", "callTimeout"]);
    hostile.echoes("good").await;
    let ((), took) = timed(within("the stop", hostile.0.stop())).await;
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_of_calls_that_nobody_has_made_is_nothing() {
    assert_eq!(passes("strange-progress", 100_000).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_that_nobody_knows_are_nothing() {
    assert_eq!(passes("unknown-notifications", 50_000).await, "");
    assert_eq!(passes("large-notices", 64).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_messages_reaches_whoever_calls_and_holds_up_nobody() {
    assert_eq!(passes("logs", 50_000).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_answers_to_nobody_is_counted() {
    assert_says(&passes("strange-answers", 50_000).await, &["50000 answers to requests that nobody has made"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_from_a_server_that_takes_no_answers_holds_up_nobody() {
    for (how, words) in [("pings", "\"result\":{}"), ("questions", "-1"), ("unknown-questions", "-32601")] {
        let hostile = hostile().await;
        assert_eq!(hostile.does_so_often(how, 20_000).await.unwrap(), "done", "{how}");
        hostile.goes_on().await;
        // Each was answered all the same.
        until("it has taken the answers", async || {
            hostile.seen().await["unexpected"].as_array().is_some_and(|answers| answers.len() == 20_000)
        })
        .await;
        let answers = hostile.seen().await["unexpected"].clone();
        assert!(answers.as_array().unwrap().iter().all(|answer| answer.as_str().unwrap().contains(words)), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_reads_gets_so_much_and_no_more_and_the_caller_is_told() {
    let hostile = beside_a_good_one(impatient).await;
    let stuck = hostile.begins("read-nothing", 1);
    let large = raw(&json!({ "message": "x".repeat(12 << 20) }));
    let calls: Vec<_> = (0..6).map(|_| hostile.0.call_raw("bad__echo", Some(&large), CallContext::default())).collect();
    let outcomes = within("all of them", join_all(calls)).await;
    let errors: Vec<Error> = outcomes.into_iter().map(Result::unwrap_err).collect();
    let refused: Vec<&Error> = errors.iter().filter(|error| matches!(error, Error::NotReading { .. })).collect();
    assert!(!refused.is_empty() && refused.len() < 6, "{errors:?}");
    assert_says(&refused[0].to_string(), &["does not read its input", "restart the entry"]);
    assert!(refused[0].is_retryable());
    assert!(matches!(within("the first", stuck).await, Err(Error::Timeout { .. })));
    hostile.echoes("good").await;
    let health = within("a restart", hostile.0.restart_entry("bad")).await.unwrap();
    assert_eq!(health.state, "ready");
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_change_a_thousand_times_a_second_are_asked_for_a_few_times() {
    let hostile = hostile().await;
    let (mut changes, mut events) = (hostile.0.changes(), hostile.0.events());
    assert_eq!(hostile.does_so_often("changes", 3000).await.unwrap(), "done");
    let last = "bad__at_2999".to_owned();
    until("the last of them is seen", async || hostile.0.tool_schemas().iter().any(|schema| schema.name == last)).await;
    let asked = hostile.seen().await["methods"]["tools/list"].as_u64().unwrap();
    assert!((2..20).contains(&asked), "{asked} lists");
    let told = told_so_far(&mut events).len();
    assert!(told < 20, "it is told {told} times");
    within("a change", changes.next()).await.unwrap();
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_exits_in_the_middle_of_a_line_has_ended_and_comes_back() {
    let hostile = hostile().await;
    let mut events = hostile.0.events();
    let error = hostile.does("exit-in-mid-line").await.unwrap_err();
    assert_says(&error.to_string(), &["exited with status 3", "out of memory"]);
    assert!(error.is_retryable());
    brought_back(&mut events, "bad").await;
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_line_needs_no_end_to_be_an_answer() {
    let hostile = hostile().await;
    assert_eq!(hostile.does("exit-after-a-whole-line-without-end").await.unwrap(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_its_stdout_and_lives_on_has_ended_and_comes_back() {
    let hostile = hostile().await;
    let mut events = hostile.0.events();
    let error = hostile.does("close-stdout").await.unwrap_err();
    assert_says(&error.to_string(), &["the server closed its output"]);
    brought_back(&mut events, "bad").await;
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_its_stdin_is_started_anew_for_the_next_call() {
    let hostile = hostile().await;
    assert_eq!(hostile.does("close-stdin").await.unwrap(), "done");
    hostile.goes_on().await;
    assert_eq!(health_of(&hostile.0, "bad").await.restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_stderr_goes_on() {
    let hostile = hostile().await;
    assert_eq!(hostile.does("close-stderr").await.unwrap(), "done");
    hostile.goes_on().await;
    hostile.has_stayed_up().await;
    misbehaving(["no-stderr"]).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stderr_of_any_volume_holds_up_nobody() {
    passes("stderr", 200 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_on_stderr_without_an_end_holds_up_nobody_and_is_shown_short() {
    let hostile = misbehaving(["stderr-without-a-line-end"]).await;
    hostile.goes_on().await;
    let shown = health_of(&hostile.0, "bad").await.last_stderr.unwrap();
    assert!(shown.len() <= 4096 && shown.contains("eee"), "{} bytes", shown.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stderr_says_to_a_terminal_is_not_shown() {
    let hostile = misbehaving(["stderr-with-escapes"]).await;
    until("it is read", async || health_of(&hostile.0, "bad").await.last_stderr.is_some()).await;
    assert_eq!(health_of(&hostile.0, "bad").await.last_stderr.unwrap(), "the key is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_itself_in_the_middle_of_a_call_is_given_up_and_can_be_ended() {
    let hostile = beside_a_good_one(impatient).await;
    let error = hostile.does("stop").await.unwrap_err();
    assert_says(&error.to_string(), &["calling `misbehave`", "stopped by a signal", "kill -CONT"]);
    hostile.echoes("good").await;
    let pid = i32::try_from(health_of(&hostile.0, "bad").await.pid.unwrap()).unwrap();
    within("a restart", hostile.0.restart_entry("bad")).await.unwrap();
    assert_gone(&[pid]);
    hostile.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_goes_on_writing_for_a_dead_server_neither_hides_the_death_nor_lives_on() {
    let hostile = hostile().await;
    let mut events = hostile.0.events();
    let before = descendants(std::process::id().cast_signed());
    let error = hostile.does("leave-a-noisy-child").await.unwrap_err();
    assert_says(&error.to_string(), &["SIGABRT", "about to leave a child"]);
    brought_back(&mut events, "bad").await;
    hostile.goes_on().await;
    // The dead server was among them, and so, later, was its child.
    let ours = children(std::process::id().cast_signed());
    assert!(ours.iter().any(|pid| before.contains(pid)), "the good one still runs");
    eventually("no shell is left", || shells_below().is_empty());
    assert!(all_gone(&before.into_iter().filter(|pid| !ours.contains(pid)).collect::<Vec<_>>()));
}

/// The shells that were started below this process.
fn shells_below() -> Vec<i32> {
    let is_shell = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("noise of a child"))
    };
    descendants(std::process::id().cast_signed()).into_iter().filter(is_shell).collect()
}
