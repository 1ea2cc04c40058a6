//! One truth (spec/computer.md 14–15, 25): `computer status`, the status tool and the log of the program say the same.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{
    client::Client,
    fake::fake,
    http::{Reply, Web},
    procs::eventually,
    program::Scratch,
    with,
};

/// An entry in each state that lasts, and that a config of ours alone can bring about.
fn entries(web: &Web) -> Value {
    let later = json!({ "deferred": true });
    json!({
        "up": fake(["--tools", "1"]),
        "later": with(fake(["--tools", "1"]), &later),
        "off": with(fake(["--tools", "1"]), &json!({ "disabled": true })),
        "bad": with(fake(["--exit-at-once", "7", "--stderr", "no licence"]), &json!({ "restart": "never" })),
        "lost": { "command": "no-such-program-7d" },
        "shut": { "type": "http", "url": web.url() },
    })
}

const STATES: [(&str, &str); 6] = [
    ("up", "ready"),
    ("later", "deferred"),
    ("off", "disabled"),
    ("bad", "failed"),
    ("lost", "failed"),
    ("shut", "needsAuth"),
];

fn scratch(runtime: &Runtime) -> (Scratch, Web) {
    let web = runtime.block_on(async { Web::serve(|_| Reply::status(401).with("www-authenticate", "Bearer")) });
    (Scratch::entries(entries(&web)), web)
}

#[test]
fn status_says_in_both_ways_the_state_and_the_error_of_each_entry() {
    let runtime = Runtime::new().unwrap();
    let (scratch, _web) = scratch(&runtime);
    let health = scratch.run(["status", "--json"]).exits_with(1).json();
    let table = scratch.run(["status"]).exits_with(1).stdout;
    for (entry, (name, state)) in health["entries"].as_array().unwrap().iter().zip(STATES) {
        assert_eq!((&entry["name"], &entry["state"]), (&json!(name), &json!(state)), "{entry}");
        assert_eq!(
            (entry["healthy"] == true, entry["error"].is_null()),
            (state == "ready", state == "ready"),
            "{entry}"
        );
        let row = table.lines().position(|line| line.split_whitespace().nth(1) == Some(name)).unwrap();
        let row = table.lines().skip(row).collect::<Vec<_>>().join("\n");
        assert_eq!(row.split_whitespace().nth(2), Some(state), "{table}");
        for line in entry["error"].as_str().unwrap_or_default().lines() {
            assert!(row.contains(line), "`{line}`: {table}");
        }
    }
}

#[test]
fn the_status_tool_and_the_log_say_what_status_says() {
    let runtime = Runtime::new().unwrap();
    let (scratch, _web) = scratch(&runtime);
    let health = scratch.run(["status", "--json"]).json();
    let mut client = Client::connect(&scratch);
    let health = health["entries"].as_array().unwrap().iter().zip(STATES);
    for (entry, (name, state)) in health.filter(|(_, (_, state))| !["ready", "disabled"].contains(state)) {
        let told: Value = serde_json::from_str(&client.call_text(&format!("{name}__status"), &json!({}))).unwrap();
        assert_eq!((&told["status"], &told["error"]), (&entry["state"], &entry["error"]), "{name}");
        if state != "deferred" {
            let error = entry["error"].as_str().unwrap().replace('\n', " | ");
            let line = format!("an entry is down state={state:?} error={error:?}");
            let logged = || client.stderr().lines().any(|logged| logged.contains(name) && logged.contains(&line));
            eventually(&format!("the log says `{line}`: {}", client.stderr()), logged);
        }
    }
}
