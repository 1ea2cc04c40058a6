//! A config file that changes while `computer serve` goes by it (spec/config.md 7, spec/daemon.md 21).

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake::fake,
    procs::{eventually, signal},
    program::Scratch,
};

const LIST_CHANGED: &str = "notifications/tools/list_changed";

/// The text of a config in which each of these entries has one tool.
fn config(entries: &[&str]) -> String {
    let entries: serde_json::Map<String, Value> =
        entries.iter().map(|name| ((*name).to_owned(), fake(["--tools", "1"]))).collect();
    json!({ "mcpServers": entries }).to_string()
}

#[test]
fn entries_that_come_up_one_after_the_other_are_told_of_once() {
    let scratch = Scratch::new().config_text(&config(&["a"]));
    let mut client = Client::connect(&scratch);
    let slow = |ms: &str| fake(["--tools", "1", "--delay-ms", ms]);
    let entries = json!({ "b": slow("0"), "c": slow("700"), "d": slow("1500") });
    scratch.write("config.json", &json!({ "mcpServers": entries }).to_string());
    eventually("the last of them is there", || client.tools().contains(&"d__echo".to_owned()));
    client.wait_for_notifications(LIST_CHANGED, 1);
    scratch.write("config.json", &config(&["b"]));
    eventually("the next change has come", || client.tools() == ["b__echo"]);
    client.wait_for_notifications(LIST_CHANGED, 2);
    assert_eq!(client.notifications(LIST_CHANGED).len(), 2);
}

/// Waits for the change that must be told next, and sees that the tools are these.
#[track_caller]
fn changes_to(client: &mut Client, count: usize, entries: &[&str]) {
    let told = client.wait_for_notifications(LIST_CHANGED, count).len();
    let tools: Vec<String> = entries.iter().map(|name| format!("{name}__echo")).collect();
    assert_eq!((told, client.tools()), (count, tools));
}

/// `serve` without `--stdio` in a session without a terminal, as a service manager starts it.
fn as_a_service(scratch: &Scratch, before: &[&str], arguments: &[&str]) -> Client {
    let plain = scratch.command(arguments);
    let mut command = Command::new("setsid");
    command.args(before).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(scratch.path("")).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut client = Client::of(scratch, command);
    client.initialize("2025-11-25");
    client.tools();
    client
}

/// A scratch with an entry whose server has the content of a file in its variable `K`; the file.
fn with_key() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let key = scratch.write("key", "one");
    let mut entry = fake::<&str>([]);
    entry["env"] = json!({ "K": "${file:key}" });
    (scratch.config(&json!({ "mcpServers": { "a": entry } })), key)
}

fn key_of(client: &mut Client) -> String {
    let env: Value = serde_json::from_str(&client.call_text("a__env", &json!({}))).unwrap();
    env["K"].as_str().expect("K is set").to_owned()
}

#[test]
fn however_the_file_is_changed_its_tools_are_there_and_each_change_is_told_once() {
    let scratch = Scratch::new().config_text(&config(&["a"]));
    let mut client = Client::connect(&scratch);
    let file = scratch.path("config.json");

    fs::write(&file, config(&["a", "b"])).unwrap();
    changes_to(&mut client, 1, &["a", "b"]);

    fs::rename(scratch.write("draft", &config(&["b", "c"])), &file).unwrap();
    changes_to(&mut client, 2, &["b", "c"]);

    // As some editors do: what was there is moved away, and another file is written.
    fs::rename(&file, scratch.path("config.json~")).unwrap();
    fs::write(&file, config(&["c"])).unwrap();
    changes_to(&mut client, 3, &["c"]);
    client.leave();
}

#[test]
fn a_link_that_leads_to_another_file_is_a_change() {
    // As a container's config is mounted: the file is a link through a link that is swapped.
    let scratch = Scratch::new();
    scratch.write("1/config.json", &config(&["a"]));
    scratch.write("2/config.json", &config(&["b"]));
    symlink("1", scratch.path("data")).unwrap();
    symlink("data/config.json", scratch.path("config.json")).unwrap();
    let mut serve = scratch.command(["serve", "--stdio", "--config"]);
    serve.arg(scratch.path("config.json"));
    let mut client = Client::of(&scratch, serve);
    client.initialize("2025-11-25");
    assert_eq!(client.tools(), ["a__echo"]);
    swap(&scratch, "2");
    changes_to(&mut client, 1, &["b"]);
    swap(&scratch, "1");
    changes_to(&mut client, 2, &["a"]);
    client.leave();
}

fn swap(scratch: &Scratch, to: &str) {
    symlink(to, scratch.path("draft")).unwrap();
    fs::rename(scratch.path("draft"), scratch.path("data")).unwrap();
}

#[test]
fn a_bad_file_is_said_with_its_place_and_changes_nothing() {
    let scratch = Scratch::entries(json!({ "a": fake::<&str>([]) }));
    let mut client = Client::connect(&scratch);
    let pid = client.call_text("a__pid", &json!({}));
    let file = scratch.path("config.json");
    let good = fs::read_to_string(&file).unwrap();

    fs::write(&file, "{\n  \"mcpServers\": { \"a\": { \"command\": 7 } }\n}").unwrap();
    client.says("config.json:2:37: `mcpServers.a.command`");
    fs::remove_file(&file).unwrap();
    client.says("there is no config file");
    assert_eq!(client.call_text("a__pid", &json!({})), pid);

    fs::write(&file, &good).unwrap();
    client.says("the config can be used again");
    assert_eq!(client.call_text("a__pid", &json!({})), pid);
    assert_eq!(client.notifications(LIST_CHANGED), Vec::<Value>::new());
    client.leave();
}

#[test]
fn a_changed_file_of_the_current_directory_has_to_be_trusted_again() {
    let scratch = Scratch::new();
    let file = scratch.write("computer.json", &config(&["a"]));
    scratch.run(["trust"]).ok();
    let mut client = Client::connect(&scratch);
    fs::write(&file, config(&["a", "b"])).unwrap();
    client.says("`computer trust` uses it as it is now");
    assert_eq!(client.tools(), ["a__echo"]);
    scratch.run(["trust"]).ok();
    changes_to(&mut client, 1, &["a", "b"]);
    client.leave();
}

#[test]
fn a_hangup_makes_a_daemon_read_its_values_again() {
    for before in [&[][..], &["env", "--ignore-signal=HUP"]] {
        let (scratch, key) = with_key();
        let mut client = as_a_service(&scratch, before, &["serve"]);
        assert_eq!(key_of(&mut client), "one");
        fs::write(&key, "two").unwrap();
        signal(client.guard(), Signal::SIGHUP);
        let call = json!({ "name": "a__env", "arguments": {} });
        // One that is under way when the server is replaced fails.
        eventually("the value is read again", || {
            client.request("tools/call", call.clone())["result"].to_string().contains(r#"\"K\":\"two\""#)
        });
        assert_eq!(key_of(&mut client), "two");
        client.leave();
    }
}

#[test]
fn a_hangup_makes_the_server_of_one_client_leave() {
    let (scratch, _) = with_key();
    let mut client = as_a_service(&scratch, &[], &["serve", "--stdio"]);
    signal(client.guard(), Signal::SIGHUP);
    assert_eq!(client.exited().code(), Some(129));
}

#[test]
fn without_a_file_there_is_nothing_to_follow_and_a_hangup_does_no_harm() {
    let scratch = Scratch::new();
    let mut client = as_a_service(&scratch, &[], &["serve"]);
    let tools = client.tools();
    signal(client.guard(), Signal::SIGHUP);
    client.result("ping", json!({}));
    assert_eq!(client.tools(), tools);
    client.leave();
}

#[test]
fn the_file_that_was_found_is_the_one_that_is_followed() {
    let scratch = Scratch::new();
    let own = scratch.home().join(".config/computer/computer.json");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, config(&["a"])).unwrap();
    let mut client = Client::connect(&scratch);
    scratch.write("computer.json", &config(&["nearer"]));
    scratch.run(["trust"]).ok();

    let mut entry = fake(["--tools", "1"]);
    entry["env"] = json!({ "K": "${cmd:echo no}" });
    fs::write(&own, json!({ "mcpServers": { "a": fake(["--tools", "1"]), "b": entry } }).to_string()).unwrap();
    client.wait_for_notifications(LIST_CHANGED, 1);
    assert_eq!(client.tools(), ["a__echo", "b__status"], "it was found and not named, so that it runs no programs");
    client.leave();
}
