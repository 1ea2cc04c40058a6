//! How tools are found and named (spec/computer.md 18–21), in this process.

use futures_util::FutureExt;
use mcp_computer::{Event, Events, ToolProvider};
use serde_json::json;

use crate::support::library::{Fake, comes_true, health_of, names, scripted, server, until, up, within};

/// A server whose list is in a file, one name a line. A call adds the name in `add`, if there is one, and says twenty
/// times that the list has changed.
fn listing(file: &std::path::Path) -> mcp_computer::StdioConfig {
    scripted(&format!(
        r#"
list() {{
  local tools= name; echo list >> '{0}.asked'
  while read -r name; do tools+=${{tools:+,}}$(tool "$name"); done < '{0}'
  answer "{{\"tools\":[$tools]}}"
}}
call() {{
  if [[ $line =~ \"add\":\"([a-z]+)\" ]]; then echo "${{BASH_REMATCH[1]}}" >> '{0}'; fi
  for _ in {{1..20}}; do notify tools/list_changed '{{}}'; done
  succeed
}}
"#,
        file.display()
    ))
}

/// How many tools there are when it is told next that they have changed.
async fn next_change(events: &mut Events) -> usize {
    within("a change", async {
        loop {
            if let Some(Event::ToolsChanged { tools }) = events.next().await {
                return tools;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_read_and_sorted_by_name() {
    let computer = up([("fake", server(["--tools", "50", "--pages", "7"]))]).await;
    let names = names(&computer);
    assert!(names.len() == 50 && names.is_sorted(), "{names:?}");
    assert_eq!(names[0], "fake__echo");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tools_give_the_same_bytes() {
    let fake = Fake::up(["--bad-tool"]).await;
    let catalog = || fake.computer.catalog().iter().map(ToString::to_string).collect::<Vec<_>>();
    let before = catalog();
    within("restarting", fake.computer.restart_entry("fake")).await.unwrap();
    assert!(before.len() > 20);
    assert_eq!(catalog(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_comes_again_ends_the_list_and_health_says_so() {
    let computer = up([("fake", server(["--tools", "3", "--same-cursor"]))]).await;
    assert!(names(&computer).iter().any(|name| name == "fake__tool_2"));
    let health = health_of(&computer, "fake").await;
    assert!(health.healthy && health.problems.join("\n").contains("cursor"), "{:?}", health.problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_end_is_cut() {
    let endless = r#"n=0; list() { n=$((n + 1)); answer "{\"tools\":[$(tool "t$n")],\"nextCursor\":\"c$n\"}"; }"#;
    let computer = up([("fake", scripted(endless))]).await;
    assert_eq!(names(&computer).len(), 100);
    let problems = health_of(&computer, "fake").await.problems.join("\n");
    assert!(problems.contains("100 pages"), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tools_are_enough() {
    let many = r#"list() { local t; printf -v t '{"name":"t%s","inputSchema":{}},' {1..10050}; answer "{\"tools\":[${t%,}]}"; }"#;
    let computer = up([("fake", scripted(many))]).await;
    assert_eq!(names(&computer).len(), 10_000);
    let problems = health_of(&computer, "fake").await.problems.join("\n");
    assert!(problems.contains("10000 tools"), "{}", &problems[..problems.len().min(500)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_tool_costs_itself_alone() {
    let computer = up([("fake", server(["--tools", "2", "--bad-tool"]))]).await;
    let names = names(&computer);
    for name in ["echo", "tool_1", "string_schema", "no_schema", "twice"] {
        assert!(names.contains(&format!("fake__{name}")), "{name}: {names:?}");
    }
    assert_eq!(names.len(), 9, "of the ten odd ones two are no tools and one is there twice: {names:?}");
    for schema in computer.tool_schemas() {
        assert!(schema.input_schema["properties"].is_object() && !schema.description.is_empty(), "{schema:?}");
    }
    let twice = computer.tool_schemas().into_iter().find(|schema| schema.name == "fake__twice").unwrap();
    assert_eq!(twice.description, "the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_had_to_change_are_callable_as_they_are_shown() {
    let computer = up([("fake", server(["--tools", "1", "--bad-tool"]))]).await;
    let names = names(&computer);
    let long = "x".repeat(300);
    for (part, own) in [("with_space", "with space"), ("with_dot", "with.dot"), ("crab", "crab_🦀"), ("xxx", &long)] {
        let name = names.iter().find(|name| name.contains(part)).unwrap_or_else(|| panic!("{part}: {names:?}"));
        assert!(name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{name}");
        let value = within("a call", computer.call(name, &json!({}))).await.unwrap();
        assert_eq!(value, format!("called {own}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashes_and_underscores_are_taken_for_each_other() {
    let computer = up([("my-fake", server(["--tools", "2"]))]).await;
    for name in ["my-fake__tool_1", "my_fake__tool_1", "my-fake__tool-1"] {
        assert_eq!(within("a call", computer.call(name, &json!({}))).await.unwrap(), "called tool_1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_added_is_announced_and_callable() {
    for version in ["2025-11-25", "2026-07-28"] {
        let fake = Fake::up(["--version", version]).await;
        let mut changes = fake.computer.changes();
        // A subscription of the newest generation may still be on its way.
        let heard = within("the change is told", async {
            for n in 0.. {
                fake.call("add_tool", json!({ "name": format!("new_{n}") })).await.unwrap();
                if tokio::time::timeout(std::time::Duration::from_secs(2), changes.next()).await.is_ok() {
                    break;
                }
            }
        });
        heard.await;
        assert!(names(&fake.computer).contains(&"fake__new_0".to_owned()), "{version}");
        assert_eq!(fake.call("new_0", json!({})).await.unwrap(), "called new_0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_together_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("list");
    std::fs::write(&file, "act\n").unwrap();
    let computer = up([("fake", listing(&file))]).await;
    let (mut changes, mut events) = (computer.changes(), computer.events());
    for (add, count) in [("b", 2), ("c", 3)] {
        within("a call", computer.call("fake__act", &json!({ "add": add }))).await.unwrap();
        within("the change", changes.next()).await.unwrap();
        assert_eq!(names(&computer).len(), count);
    }
    let told = [next_change(&mut events).await, next_change(&mut events).await];
    assert_eq!(told, [2, 3]);
    assert_eq!(changes.next().now_or_never(), None);
    let asked = std::fs::read_to_string(dir.path().join("list.asked")).unwrap().lines().count();
    assert!(asked < 20, "forty notifications are no forty questions: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_the_same_is_not_announced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("list");
    std::fs::write(&file, "act\n").unwrap();
    let computer = up([("fake", listing(&file))]).await;
    let mut events = computer.events();
    let asked = || std::fs::read_to_string(dir.path().join("list.asked")).unwrap().lines().count();
    let before = asked();
    within("a call", computer.call("fake__act", &json!({}))).await.unwrap();
    comes_true("it is listed again", || asked() > before).await;
    // A change after it is the first that is told.
    within("a call", computer.call("fake__act", &json!({ "add": "b" }))).await.unwrap();
    assert_eq!(next_change(&mut events).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_lists_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("list");
    std::fs::write(&file, "act\nold\n").unwrap();
    let computer = up([("fake", listing(&file))]).await;
    let mut changes = computer.changes();
    std::fs::write(&file, "act\nnew\n").unwrap();
    within("restarting", computer.restart_entry("fake")).await.unwrap();
    assert_eq!(names(&computer), ["fake__act", "fake__new"]);
    within("the change", changes.next()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_later_leaves_the_tools_that_were_there() {
    let fails = r#"
n=0
list() {
  n=$((n + 1))
  if ((n > 1)); then say "\"id\":$id,\"error\":{\"code\":-32603,\"message\":\"not today\"}"
  else answer "{\"tools\":[$(tool act)]}"; fi
}
call() { notify tools/list_changed '{}'; succeed; }
"#;
    let computer = up([("fake", scripted(fails))]).await;
    within("a call", computer.call("fake__act", &json!({}))).await.unwrap();
    until("health says so", async || health_of(&computer, "fake").await.problems.join("\n").contains("not today"))
        .await;
    assert_eq!(within("a call", computer.call("fake__act", &json!({}))).await.unwrap(), "done");
    assert_eq!(names(&computer), ["fake__act"]);
}
