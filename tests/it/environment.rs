//! What a server's process gets to see (spec/computer.md 26–28).

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::support::{
    fake::{self, fake},
    program::Scratch,
    with,
};

#[track_caller]
fn environment(keys: &Value, variables: &[(&str, &str)]) -> Value {
    let mut scratch = Scratch::entries(json!({ "fake": with(fake::<&str>([]), keys) }));
    for (name, value) in variables {
        scratch = scratch.variable(name, value);
    }
    scratch.call("fake__env", &json!({}))
}

#[test]
fn secrets_of_the_daemon_do_not_leak() {
    let seen =
        environment(&json!({}), &[("AWS_SECRET_ACCESS_KEY", "x"), ("COMPUTER_LOG", "error"), ("HTTPS_PROXY", "p")]);
    assert_eq!((&seen["AWS_SECRET_ACCESS_KEY"], &seen["COMPUTER_LOG"]), (&Value::Null, &Value::Null));
    assert!(seen["PATH"].is_string() && seen["HOME"].is_string(), "{seen}");
    assert_eq!(seen["HTTPS_PROXY"], "p");
}

#[test]
fn the_entry_sets_its_own_variables() {
    let seen = environment(&json!({ "env": { "KEY": "value", "LANG": "own" } }), &[]);
    assert_eq!((&seen["KEY"], &seen["LANG"]), (&json!("value"), &json!("own")));
}

#[test]
fn what_is_inherited_can_be_widened() {
    let variables = [("ACME_ONE", "1"), ("ACME_TWO", "2"), ("OTHER", "3")];
    let some = environment(&json!({ "inheritEnv": ["ACME_*"] }), &variables);
    assert_eq!((&some["ACME_ONE"], &some["ACME_TWO"], &some["OTHER"]), (&json!("1"), &json!("2"), &Value::Null));
    let all = environment(&json!({ "inheritEnv": true }), &variables);
    assert_eq!((&all["ACME_ONE"], &all["OTHER"]), (&json!("1"), &json!("3")));
}

#[test]
fn a_server_runs_where_its_entry_says() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("there")).unwrap();
    let config = json!({ "mcpServers": {
        "here": fake::<&str>([]),
        "there": with(fake::<&str>([]), &json!({ "cwd": "there" })),
    }});
    let scratch = scratch.config(&config);
    let cwd = |name: &str| fs::canonicalize(scratch.call(name, &json!({})).as_str().unwrap()).unwrap();
    assert_eq!(cwd("here__cwd"), scratch.path("").canonicalize().unwrap());
    assert_eq!(cwd("there__cwd"), scratch.path("there").canonicalize().unwrap());
}

#[test]
fn a_command_is_found_where_the_profile_of_the_user_puts_it() {
    let scratch = Scratch::new();
    let program = scratch.path("../home/own bin/my-server");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, format!("#!/bin/sh\nexec '{}' \"$@\"\n", fake::path().display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // A noisy profile does no harm.
    scratch.write("../home/.bash_profile", "echo welcome\necho oops >&2\nexport PATH=\"$HOME/own bin:$PATH\"\n");
    let scratch =
        scratch.config(&json!({ "mcpServers": { "mine": { "command": "my-server", "args": ["--tools", "1"] } } }));
    assert_eq!(scratch.run(["tools", "--json"]).ok().tool_names(), ["mine__echo"]);
}

#[test]
fn a_package_is_found_in_the_node_modules_of_the_directory() {
    let scratch = Scratch::new();
    let package = "node_modules/@acme/server";
    scratch.write(
        &format!("{package}/package.json"),
        r#"{ "name": "@acme/server", "version": "1.0.0", "bin": "run.js" }"#,
    );
    let script = format!("#!/bin/sh\nexec '{}' --tools 1\n", fake::path().display());
    let program = scratch.write(&format!("{package}/run.js"), &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(scratch.path("node_modules/.bin")).unwrap();
    std::os::unix::fs::symlink("../@acme/server/run.js", scratch.path("node_modules/.bin/server")).unwrap();
    let scratch = scratch.config(&json!({ "mcpServers": { "acme": { "command": "@acme/server" } } }));
    assert_eq!(scratch.run(["tools", "--json"]).ok().tool_names(), ["acme__echo"]);
}
