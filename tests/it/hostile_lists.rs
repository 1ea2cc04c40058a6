//! Handshakes and lists that are not as they must be (spec/computer.md 20–21): what the user reads, and what comes up all
//! the same.

use mcp_computer::ToolProvider;
use serde_json::json;

use crate::support::{
    hostile::{Hostile, assert_says, misbehaving},
    library::{health_of, made_of, names, never_restarted, server, up, within},
};

/// What is said of an entry that does not come up because it misbehaves like that; another comes up beside it.
async fn failure(way: &str) -> String {
    let bad = never_restarted(server(["--misbehave", way]));
    let hostile = Hostile(made_of([("bad", bad), ("good", server::<&str>([]))]));
    let started = within("the start", hostile.0.start()).await.unwrap();
    hostile.echoes("good").await;
    let [error] = &started.errors[..] else { panic!("{:?}", started.errors) };
    let health = health_of(&hostile.0, "bad").await;
    assert_eq!(health.state, "failed");
    assert!(error.starts_with("bad: ") && error.ends_with(&health.error.unwrap()), "{error}");
    error.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_answered_twice_is_one() {
    let hostile = misbehaving(["handshake-answered-twice"]).await;
    hostile.goes_on().await;
    assert_says(&hostile.problems().await, &["1 answer to requests that nobody has made"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_answered_under_a_text_is_one() {
    misbehaving(["handshake-answered-under-a-text"]).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_before_its_handshake_comes_up() {
    let hostile = misbehaving(["chatter-before-the-handshake"]).await;
    hostile.goes_on().await;
    hostile.has_stayed_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_in_front_of_everything_is_passed_over() {
    misbehaving(["byte-order-mark-first"]).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_version_that_nobody_knows_is_told_and_tried() {
    let hostile = Hostile(up([("bad", server(["--version", "2031-01-01"])), ("good", server::<&str>([]))]).await);
    hostile.goes_on().await;
    assert_says(&hostile.problems().await, &["2031-01-01", "do not know"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_refused_is_told_in_the_servers_words() {
    let (act, to_do) = ("the handshake failed: the server refused `initialize`", "restart the entry");
    assert_says(&failure("handshake-refused").await, &[act, "error -32603: the license has run out", to_do]);
    assert_says(&failure("handshake-without-an-id").await, &[act, "error -32700: cannot read that", to_do]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_answered_with_something_else_is_told() {
    assert_says(
        &failure("handshake-without-a-result").await,
        &["the handshake failed", "is the program an MCP server?"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_another_shape_is_told() {
    let words = ["listing the tools failed", "is no list of tools", "look for a newer version"];
    for way in ["list-is-an-object", "list-is-missing", "list-under-a-number-as-cursor"] {
        assert_says(&failure(way).await, &words);
    }
    assert_says(&failure("list-is-a-list").await, &["is a list and no object"]);
    let words = ["listing the tools failed: the server refused `tools/list`", "-32603: the database is locked"];
    let error = failure("list-is-refused").await;
    assert_says(&error, &words);
    assert_says(&error, &["restart the entry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_under_ever_new_cursors_is_cut() {
    let hostile = misbehaving(["list-under-ever-new-cursors"]).await;
    assert_eq!(health_of(&hostile.0, "bad").await.tools, 100);
    assert_says(&hostile.problems().await, &["more than 100 pages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_larger_than_any_message_may_be_is_cut() {
    let mut bad = server(["--misbehave", "list-of-huge-pages"]);
    bad.max_message = 1 << 20;
    let hostile = Hostile(up([("bad", bad), ("good", server::<&str>([]))]).await);
    assert_eq!(health_of(&hostile.0, "bad").await.tools, 3, "of 300 kB each");
    assert_says(&hostile.problems().await, &["larger than 1048576 bytes", "maxMessage", "left out"]);
    hostile.echoes("good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_goes_on_under_a_huge_cursor_ends_there() {
    let hostile = misbehaving(["list-under-a-huge-cursor"]).await;
    assert_eq!(health_of(&hostile.0, "bad").await.tools, 1);
    assert_says(&hostile.problems().await, &["cursor of 1048576 bytes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_thousand_tools_ten_thousand_are_shown() {
    let hostile = misbehaving(["list-of-20000"]).await;
    assert_eq!(health_of(&hostile.0, "bad").await.tools, 10_000);
    let problems = hostile.problems().await;
    assert_says(&problems, &["more than 10000 tools"]);
    hostile.echoes("good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_ten_thousand_tools_is_told_in_a_few_words() {
    let hostile = misbehaving(["list-of-10000-that-are-none"]).await;
    let health = health_of(&hostile.0, "bad").await;
    assert_eq!((health.state, health.tools), ("ready", 0));
    assert!(health.problems.len() <= 50, "{}", health.problems.len());
    assert_says(&health.problems.join("\n"), &["missing field `name`", "9980 more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_any_name_are_called_by_the_names_under_which_they_are_shown() {
    let hostile = misbehaving(["odd-names"]).await;
    let names: Vec<String> = names(&hostile.0).into_iter().filter(|name| name.starts_with("bad__")).collect();
    let allowed = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    assert!(names.iter().all(|name| allowed(name) && name.len() <= 64), "{names:?}");
    assert_eq!(
        names.len(),
        15,
        "of 18, one has no name, one has a second's, and one has far too long a one: {names:?}"
    );
    let problems = hostile.problems().await;
    assert_says(&problems, &["it has no name", "`twice` is listed twice", "longer than 4096 bytes"]);
    for name in names {
        let error = within("a call", hostile.0.call(&name, &json!({}))).await.unwrap_err().to_string();
        // The server knows none of them: it says by which name it was asked.
        assert_says(&error, &["unknown tool: "]);
    }
    hostile.echoes("good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_are_none_are_mended_or_cost_their_tool_alone() {
    let hostile = misbehaving(["odd-schemas"]).await;
    let shown: Vec<(String, serde_json::Value)> = hostile
        .0
        .tool_schemas()
        .into_iter()
        .filter(|schema| schema.name.starts_with("bad__"))
        .map(|schema| (schema.name, schema.input_schema))
        .collect();
    let of = |tool: &str| shown.iter().find(|(name, _)| *name == format!("bad__{tool}")).map(|(_, schema)| schema);
    for tool in ["good", "true", "null", "list", "text", "number", "large", "of_itself", "root_of_itself", "missing"] {
        let schema = of(tool).unwrap_or_else(|| panic!("{tool} is missing"));
        assert!(schema["type"] == "object" && schema["properties"].is_object(), "{tool}: {schema}");
    }
    assert_eq!(of("deep"), None, "no reader goes so deep");
    assert_says(&hostile.problems().await, &["`deep` is left out", "nested deeper"]);
    hostile.echoes("good").await;
}
