//! What is told about each mistake, and that the other entries are unharmed.

use serde_json::json;

use crate::support::{
    client::Client,
    fake::fake,
    program::{Run, Scratch},
    with,
};

/// Lists the tools of `bad` beside those of a good entry, which must be there; returns the error of `bad`.
#[track_caller]
fn error_of(bad: &serde_json::Value) -> String {
    let scratch = Scratch::entries(json!({ "bad": bad, "good": fake(["--tools", "1"]) }));
    let run = scratch.run(["tools", "--json"]).ok();
    assert!(run.tool_names().contains(&"good__echo".to_owned()), "{run:?}");
    let errors = run.json()["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{run:?}");
    errors[0].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn a_missing_program_is_named_with_the_spellings_that_would_fetch_a_package() {
    assert_holds(
        &error_of(&json!({ "command": "no-such-program-3f" })),
        &["bad: ", "no-such-program-3f", "npm:", "pypi:"],
    );
}

#[test]
fn a_missing_path_is_named() {
    assert_holds(&error_of(&json!({ "command": "/no/such/program" })), &["bad: ", "/no/such/program"]);
}

#[test]
fn a_working_directory_that_is_not_there_is_named() {
    let entry = with(fake::<&str>([]), &json!({ "cwd": "/no/such/dir" }));
    assert_holds(&error_of(&entry), &["bad: ", "/no/such/dir"]);
}

#[test]
fn a_server_that_exits_at_once_is_quoted() {
    let error = error_of(&fake(["--exit-at-once", "7", "--stderr", "cannot find my key"]));
    assert_holds(&error, &["bad: ", "7", "cannot find my key"]);
}

#[test]
fn a_server_that_exits_at_once_with_success_is_an_error_too() {
    assert_holds(&error_of(&fake(["--exit-at-once", "0", "--stderr", "usage: x"])), &["bad: ", "usage: x"]);
}

#[test]
fn a_server_that_never_answers_is_given_up_after_connect_timeout() {
    let entry = with(fake(["--silent", "--stderr", "thinking"]), &json!({ "connectTimeout": 400 }));
    assert_holds(&error_of(&entry), &["bad: ", "400 ms"]);
}

#[test]
fn a_program_that_is_no_server_is_an_error() {
    let entry = json!({ "command": "cat", "connectTimeout": 2000 });
    assert_holds(&error_of(&entry), &["bad: "]);
    assert_holds(&error_of(&json!({ "command": "echo", "args": ["hello"] })), &["bad: "]);
}

#[track_caller]
fn call(arguments: &[&str]) -> Run {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    scratch.run([&["call"], arguments].concat())
}

#[test]
fn an_unknown_tool_suggests_the_nearest() {
    call(&["fake__ecko", "{}"]).fails_with(2).says(["fake__ecko", "fake__echo"]);
}

#[test]
fn an_unknown_namespace_in_a_call_is_an_unknown_tool() {
    call(&["fade__echo", "{}"]).fails_with(2).says(["fade__echo"]);
    call(&["echo", "{}"]).fails_with(2).says(["echo"]);
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    for arguments in ["[1]", "7", "null", "\"text\"", "{", "{\"a\":1} x"] {
        call(&["fake__echo", arguments]).fails_with(2).says(["object"]);
    }
}

#[test]
fn a_namespace_that_is_no_name_is_refused() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    for namespace in ["a b", "_a", "a__b", "ä", ""] {
        scratch.run(["tools", namespace]).fails_with(2).says(["namespace"]);
    }
}

#[test]
fn an_unknown_namespace_lists_the_known_ones() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    scratch.run(["tools", "nope"]).fails_with(2).says(["nope", "fake"]);
}

#[test]
fn wrong_usage_exits_2() {
    let scratch = Scratch::new();
    scratch.run(["no-such-verb"]).fails_with(2);
    scratch.run(["tools", "--no-such-flag"]).fails_with(2);
    scratch.run(["call"]).fails_with(2);
}

#[test]
fn a_config_that_is_not_there_is_named() {
    for verb in [&["tools"][..], &["status"], &["check"], &["call", "a__b"]] {
        let arguments = [verb, &["--config", "nowhere.json"]].concat();
        Scratch::new().run(arguments).fails_with(2).says(["nowhere.json"]);
    }
}

#[test]
fn every_verb_refuses_a_broken_config_before_it_starts_anything() {
    let scratch = Scratch::new();
    let started = scratch.path("started");
    let entry = fake(["--pid-file", started.to_str().unwrap()]);
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": entry, "bad": { "comand": "x" } } }));
    for verb in [&["tools"][..], &["status"], &["call", "fake__echo"], &["serve", "--stdio"]] {
        scratch.run(verb).fails_with(2).says(["comand", "command"]);
    }
    assert!(!started.exists(), "nothing was started");
}

#[test]
fn a_value_that_would_be_read_from_a_pipe_harms_its_entry_alone() {
    let scratch = Scratch::new();
    let pipe = scratch.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut stuck = fake::<&str>([]);
    stuck["env"] = json!({ "K": "${file:pipe}" });
    let mut client =
        Client::connect(&scratch.config(&json!({ "mcpServers": { "stuck": stuck, "fine": fake::<&str>([]) } })));
    assert_eq!(client.call_text("fine__echo", &json!({ "message": "here" })), "here");
    assert!(client.call_text("stuck__status", &json!({})).contains("no regular file"));
}

#[test]
fn check_says_what_keeps_an_entry_over_http_from_connecting() {
    let entry = json!({ "url": "http://127.0.0.1:1/mcp", "headers": { "Authorization": "Bearer ${env:NOT_THERE}" } });
    let run = Scratch::entries(json!({ "web": entry })).run(["check", "--json"]);
    let problem = run.json()["entries"][0]["problem"].to_string();
    assert!(problem.contains("NOT_THERE"), "{problem}");
}
