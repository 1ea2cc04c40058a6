//! What is said on stderr, as lines of JSON.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{fake::fake, http_client::Daemon, procs::eventually, program::Scratch};

fn lines(stderr: &str) -> Vec<Value> {
    stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_daemon_says_everything_as_lines_of_json_when_it_is_asked_to() {
    let scratch = Scratch::entries(json!({ "bad": fake(["--exit-at-once", "7", "--stderr", "one\ntwo"]) }));
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = scratch.command(["serve", "--http", &address, "--log-format", "json"]);
    let log = scratch.path("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let said = || std::fs::read_to_string(&log).unwrap();
    eventually("it has told of the entry", || said().contains("is down"));
    crate::support::procs::signal(child.id().cast_signed(), nix::sys::signal::Signal::SIGTERM);
    eventually("it has left", || child.try_wait().unwrap().is_some());
    let lines = lines(&said());
    let of =
        |words: &str| lines.iter().find(|line| line.to_string().contains(words)).unwrap_or_else(|| panic!("{words}"));
    let listening = of("listening http://");
    assert_eq!((&listening["level"], &listening["target"]), (&json!("INFO"), &json!("computer")), "{listening}");
    let down = of("is down");
    assert_eq!(down["level"], "WARN", "{down}");
    assert!(down["timestamp"].is_string() && down["target"].as_str().unwrap().starts_with("mcp_computer"), "{down}");
}

#[test]
fn the_variable_says_it_too_and_the_flag_wins() {
    let scratch = Scratch::new().variable("COMPUTER_LOG_FORMAT", "json");
    let run = scratch.run(["check", "--config", "no.json"]).fails_with(2);
    let lines = lines(&run.stderr);
    assert_eq!((lines.len(), &lines[0]["level"]), (1, &json!("ERROR")), "{run:?}");
    assert!(lines[0]["fields"]["message"].as_str().unwrap().contains("no.json"), "{run:?}");
    let run = scratch.run(["check", "--config", "no.json", "--log-format", "text"]).fails_with(2);
    assert!(run.stderr.starts_with("computer: "), "{run:?}");
}

#[test]
fn a_form_that_is_none_is_said_and_not_used() {
    let scratch = Scratch::new().variable("COMPUTER_LOG_FORMAT", "xml");
    scratch.run(["check"]).says(["warning: COMPUTER_LOG_FORMAT", "`xml`"]);
    Scratch::new().run(["check", "--log-format", "xml"]).fails_with(2);
}

#[test]
fn people_read_text_as_before() {
    let daemon = Daemon::start(&Scratch::entries(json!({})));
    assert!(daemon.stderr().starts_with("listening http://"), "{}", daemon.stderr());
}
