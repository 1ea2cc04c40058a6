//! References in a recipe, and the secrets that they fill in (spec/config.md 4), in this process.

use std::{fs, path::PathBuf};

use mcp_computer::{CallContext, Computer, Error};
use serde_json::json;
use tempfile::TempDir;

use crate::support::library::{Fake, health_of, made_of, never_restarted, scripted, sent, server, until, up, within};

const SECRET: &str = "hunter2-hunter2";

/// A file with the secret in it, and the reference to it.
fn secret() -> (TempDir, PathBuf, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let reference = format!("${{file:{}}}", file.display());
    (dir, file, reference)
}

/// All that can be learnt of a Computer.
async fn everything(computer: &Computer) -> String {
    let health = serde_json::to_string(&within("health", computer.health()).await).unwrap();
    format!("{health} {:?} {:?}", computer.plan().await, computer.catalog())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_server_prints_is_not_shown() {
    let (_dir, _, reference) = secret();
    let flags = ["--stderr".to_owned(), format!("logged in with {reference}!")];
    let computer = up([("fake", server(flags).env("KEY", &reference))]).await;
    let env = within("a call", computer.call("fake__env", &json!({}))).await.unwrap();
    assert_eq!(env["KEY"], SECRET, "the server has it");
    assert_eq!(health_of(&computer, "fake").await.last_stderr.as_deref(), Some("logged in with ***!"));
    let all = everything(&computer).await;
    assert!(!all.contains(SECRET) && all.contains("***"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_in_the_error_of_a_start() {
    let (_dir, _, reference) = secret();
    let flags = ["--exit-at-once", "1", "--stderr", &format!("bad key {reference}")].map(str::to_owned);
    let computer = made_of([("fake", never_restarted(server(flags)))]);
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    assert!(error.contains("bad key ***"), "{error}");
    let all = everything(&computer).await;
    assert!(!all.contains(SECRET), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_in_the_errors_of_calls() {
    let (_dir, _, reference) = secret();
    let refuse =
        r#"call() { say "\"id\":$id,\"error\":{\"code\":-1,\"message\":\"not with $KEY\",\"data\":\"$KEY\"}"; }"#;
    let computer = up([("fake", scripted(refuse).env("KEY", &reference))]).await;
    let error = within("a call", computer.call("fake__act", &json!({}))).await.unwrap_err();
    let expected = Error::Server { code: -1, message: "not with ***".into(), data: Some(r#""***""#.into()) };
    assert_eq!(error, expected);
    let (_dir, _, reference) = secret();
    let die = scripted("call() { echo dying with $KEY >&2; exit 1; }").env("KEY", &reference);
    let computer = up([("fake", die)]).await;
    let error = within("a call", computer.call("fake__act", &json!({}))).await.unwrap_err();
    assert!(matches!(&error, Error::Ended { stderr, .. } if stderr.contains("dying with ***")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_noise_on_stdout_is_not_shown() {
    let (_dir, _, reference) = secret();
    let noisy = scripted("echo \"using $KEY\"").env("KEY", &reference);
    let computer = up([("fake", noisy)]).await;
    within("a call", computer.call("fake__act", &json!({}))).await.unwrap();
    let problems = health_of(&computer, "fake").await.problems.join("\n");
    assert!(problems.contains("using ***"), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_what_is_odd_about_a_tool_is_not_shown() {
    let (_dir, _, reference) = secret();
    let odd = scripted(r#"list() { answer "{\"tools\":[$(tool act),{\"key\":\"$KEY\"}]}"; }"#).env("KEY", &reference);
    let computer = up([("fake", odd)]).await;
    let health = health_of(&computer, "fake").await;
    let problems = health.problems.join(
        "
",
    );
    assert!(problems.contains("malformed") && !problems.contains(SECRET), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_name_that_a_server_gives_itself_is_not_shown() {
    let (_dir, _, reference) = secret();
    let entry = scripted(r#"answer() { say "\"id\":$id,\"result\":${1/script/$KEY}"; }"#).env("KEY", &reference);
    let computer = up([("fake", entry)]).await;
    let info = health_of(&computer, "fake").await.server_info.unwrap();
    assert_eq!(info["name"], "***");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_a_rotated_secret() {
    let (_dir, file, reference) = secret();
    let computer = up([("fake", server::<&str>([]).env("KEY", &reference))]).await;
    fs::write(&file, "another-secret").unwrap();
    within("restarting", computer.restart_entry("fake")).await.unwrap();
    let env = within("a call", computer.call("fake__env", &json!({}))).await.unwrap();
    assert_eq!(env["KEY"], "another-secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_value_costs_its_entry_alone() {
    let no_variable = server::<&str>([]).env("KEY", "${NO_SUCH_VARIABLE_ANYWHERE}");
    let no_file = server::<&str>([]).env("KEY", "${file:/no/such/file}");
    let good = server::<&str>([]).env("KEY", "${NO_SUCH_VARIABLE_ANYWHERE:-spare} and $${this}");
    let computer = made_of([("a", no_variable), ("b", no_file), ("good", good)]);
    let errors = within("the start", computer.start()).await.unwrap().errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("a: ") && errors[0].contains("${NO_SUCH_VARIABLE_ANYWHERE}"), "{errors:?}");
    assert!(errors[1].starts_with("b: ") && errors[1].contains("/no/such/file"), "{errors:?}");
    assert_eq!(health_of(&computer, "a").await.state, "failed");
    let env = within("a call", computer.call("good__env", &json!({}))).await.unwrap();
    assert_eq!(env["KEY"], "spare and ${this}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_to_be_is_taken_by_a_restart() {
    let (_dir, file, reference) = secret();
    fs::remove_file(&file).unwrap();
    let fake = Fake::begun([], |entry| entry.env("KEY", &reference));
    within("the start", fake.computer.start()).await.unwrap_err();
    fs::write(&file, SECRET).unwrap();
    let health = within("restarting", fake.computer.restart_entry("fake")).await.unwrap();
    assert!(health.healthy, "{health:?}");
    let answer = within("a call", sent(&fake.computer, "fake__env", CallContext::default())).await.unwrap();
    assert_eq!(answer.to_handler_value()["KEY"], SECRET, "results are the server's own words");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_not_run_for_values_unless_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let entry = server::<&str>([]).env("KEY", format!("${{cmd:touch {}}}", ran.display()));
    let computer = made_of([("fake", entry)]);
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    assert!(error.contains("${cmd:touch") && !ran.exists(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_stands_in_the_config_itself_is_not_shown_whatever_it_is_called() {
    let script = r#"echo "$SENTINEL_A $SENTINEL_B $AUTH $*" >&2"#;
    let mut config = scripted(script)
        .env("SENTINEL_A", "a-sentinel-value-0001")
        .env("SENTINEL_B", "postgres://me:a-pass-word@db/app")
        .env("AUTH", "auth-value");
    config.args.extend(["--token=token-value", "--api-key", "api-key-value"].map(str::to_owned));
    let computer = up([("fake", config)]).await;
    until("it has spoken", async || health_of(&computer, "fake").await.last_stderr.is_some()).await;
    let all = everything(&computer).await;
    for secret in ["sentinel-value", "a-pass-word", "auth-value", "token-value", "api-key-value"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    assert!(all.contains("postgres://***@db/app"), "{all}");
}
