//! What is known of entries from earlier runs: lists are answered with it while the entries start.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake,
    http_client::{Caller, Daemon, Reply},
    procs::eventually,
    program::{Scratch, text},
    real, with,
};

/// A server that is told by files what to do: it does not begin while there is `hold`, and has the flags of `flags`.
struct Told(Scratch);

impl Told {
    fn new(flags: &str) -> Self {
        Self::with(flags, &json!({}))
    }

    /// With more keys for its entry.
    fn with(flags: &str, keys: &Value) -> Self {
        let scratch = Scratch::new();
        let (hold, file) = (scratch.path("hold"), scratch.write("flags", flags));
        let wait = format!("while [ -e '{}' ]; do sleep 0.02; done", hold.display());
        let script = format!("{wait}; exec \"$0\" $(cat '{}')", file.display());
        let entry = json!({ "command": "bash", "args": ["-c", script, text(&fake::path())] });
        // Long enough that a list which waits for its entry never comes.
        let config = json!({ "mcpServers": { "fake": with(entry, keys) }, "serve": { "listWait": "10m" } });
        Self(scratch.config(&config))
    }

    /// From now on it does not begin.
    fn hold(&self) {
        self.0.write("hold", "");
    }

    fn let_go(&self) {
        fs::remove_file(self.0.path("hold")).unwrap();
    }

    fn flags(&self, flags: &str) {
        self.0.write("flags", flags);
    }

    /// Runs once, until what it lists is kept.
    fn learnt(self) -> Self {
        let client = Client::connect(&self.0);
        kept_one(&self.0);
        client.leave();
        self
    }
}

/// The files that are kept.
fn kept(scratch: &Scratch) -> Vec<PathBuf> {
    let states = fs::read_dir(scratch.home().join(".local/state/computer")).into_iter().flatten().flatten();
    let files = states.filter_map(|state| fs::read_dir(state.path().join("catalogs")).ok()).flatten().flatten();
    files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
}

/// The only file that is kept, once it is there.
#[track_caller]
fn kept_one(scratch: &Scratch) -> PathBuf {
    eventually("what it lists is kept", || kept(scratch).len() == 1);
    kept(scratch).remove(0)
}

fn started(scratch: &Scratch) -> Client {
    let mut client = Client::start(scratch);
    client.initialize("2025-11-25");
    client
}

const CHANGED: &str = "notifications/tools/list_changed";

#[test]
fn a_list_is_answered_with_what_is_known_while_the_entry_starts_and_a_call_waits_for_it() {
    let told = Told::new("--tools 2").learnt();
    told.hold();
    let mut client = started(&told.0);
    let known = client.tools();
    assert_eq!(known, ["fake__echo", "fake__tool_1"]);
    let call = client.ask_tool("fake__echo", &json!({ "message": "hi" }));
    // It is not up: a second list is the known one, too.
    assert_eq!(client.tools(), known);
    told.let_go();
    assert_eq!(client.answer(&call).json["result"]["content"][0]["text"], "hi");
    assert_eq!(client.tools(), known);
    assert!(client.notifications(CHANGED).is_empty(), "nothing has changed");
}

#[test]
fn a_list_that_differs_from_the_known_one_is_announced_once_and_known_the_next_time() {
    let told = Told::new("--tools 2").learnt();
    told.hold();
    told.flags("--tools 3");
    let mut client = started(&told.0);
    assert_eq!(client.tools().len(), 2);
    told.let_go();
    client.wait_for_notifications(CHANGED, 1);
    assert_eq!(client.tools().len(), 3);
    let file = kept_one(&told.0);
    eventually("the new list is kept", || fs::read_to_string(&file).unwrap().contains("tool_2"));
    assert_eq!(client.notifications(CHANGED).len(), 1);
    client.leave();

    told.hold();
    assert_eq!(started(&told.0).tools().len(), 3);
}

#[test]
fn prompts_and_resources_are_known_as_well_and_so_is_what_the_server_can_do() {
    let told = Told::new("--wide").learnt();
    let mut client = Client::connect(&told.0);
    let lists = ["prompts/list", "resources/list", "resources/templates/list"];
    let before = lists.map(|list| client.result(list, json!({})));
    assert_ne!(before[0]["prompts"], json!([]));
    client.leave();
    told.hold();
    let mut client = started(&told.0);
    assert_eq!(lists.map(|list| client.result(list, json!({}))), before);
}

#[test]
fn clients_over_http_get_what_is_known_at_both_paths() {
    let told = Told::new("--tools 2").learnt();
    told.hold();
    let daemon = Daemon::start(&told.0);
    let mut whole = Caller::legacy(daemon.address());
    assert_eq!(whole.tools(), ["fake__echo", "fake__tool_1"]);
    let mut alone = Caller::new(daemon.address(), "/mcp/fake", "2025-11-25");
    let hello = alone.initialize();
    assert_eq!(hello["serverInfo"]["name"], "fake", "it is known who that is: {hello}");
    assert_eq!(alone.tools(), ["echo", "tool_1"]);
    let (ask, _) = alone.ask("tools/call", json!({ "name": "echo", "arguments": { "message": "hi" } }));
    let stream = ask.begin(daemon.address());
    told.let_go();
    let answer = Reply::read(stream).messages().pop().unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "hi");
}

#[test]
fn an_entry_that_fails_loses_the_tools_that_were_only_known() {
    let told = Told::with("--tools 2", &json!({ "restart": "never" })).learnt();
    told.hold();
    told.flags("--exit-at-once 3");
    let mut client = started(&told.0);
    assert_eq!(client.tools().len(), 2);
    let call = client.ask_tool("fake__echo", &json!({ "message": "hi" }));
    told.let_go();
    let answer = client.answer(&call).json.to_string();
    assert!(answer.contains("exited with status 3"), "{answer}");
    client.wait_for_notifications(CHANGED, 1);
    assert_eq!(client.tools(), ["fake__status"]);
}

#[test]
fn a_file_that_is_damaged_or_may_be_somebody_elses_is_said_and_done_without() {
    for spoil in [
        (|file| fs::write(file, "{\"version\":1").unwrap()) as fn(&PathBuf),
        |file| fs::write(file, fs::read_to_string(file).unwrap().replace("\"version\":1", "\"version\":9")).unwrap(),
        |file| fs::File::options().write(true).open(file).unwrap().set_len(5 << 20).unwrap(),
        |file| fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap(),
    ] {
        let told = Told::new("--tools 2").learnt();
        let file = kept_one(&told.0);
        spoil(&file);
        let mut client = started(&told.0);
        assert_eq!(client.tools().len(), 2, "it waits for its entry");
        client.says("will not use `");
        eventually("a good one is there again", || {
            let metadata = fs::metadata(&file).unwrap();
            let text = fs::read_to_string(&file).unwrap_or_default();
            metadata.permissions().mode() & 0o777 == 0o600 && text.ends_with("\"templates\":[]}")
        });
        assert_eq!(client.stderr().matches("will not use `").count(), 1, "{}", client.stderr());
    }
}

#[test]
fn where_nothing_can_be_kept_that_is_said_and_done_without() {
    let told = Told::new("--tools 2").learnt();
    let directory = kept_one(&told.0).parent().unwrap().to_owned();
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    let mut client = started(&told.0);
    assert_eq!(client.tools().len(), 2);
    client.says("cannot keep the tools of an entry in `");
    assert_eq!(client.call_text("fake__echo", &json!({ "message": "hi" })), "hi");
}

#[test]
fn what_a_reference_stands_for_is_neither_kept_nor_part_of_a_name() {
    let secret = "sentinel-4711";
    let told = Told::with("--tools 2", &json!({ "env": { "API_TOKEN": "${env:SENTINEL}" } }));
    let told = Told(told.0.variable("SENTINEL", secret)).learnt();
    let file = kept_one(&told.0);
    assert!(!fs::read_to_string(&file).unwrap().contains(secret));
    // The same entry with another value is the same entry.
    told.hold();
    let scratch = told.0.variable("SENTINEL", "another");
    assert_eq!(started(&scratch).tools().len(), 2);
}

/// A server that has a title, and one tool, whose description is the value of a variable.
fn titled(env: &Value) -> Value {
    let script = r#"
        while IFS= read -r line; do
            [[ $line =~ \"id\":(\"[^\"]*\"|[0-9]+) ]] || continue
            case $line in
                *initialize*) said='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","title":"A Title","version":"1"}}' ;;
                *) said="{\"tools\":[{\"name\":\"act\",\"description\":\"$API_TOKEN\",\"inputSchema\":{\"type\":\"object\"}}]}" ;;
            esac
            echo "{\"jsonrpc\":\"2.0\",\"id\":${BASH_REMATCH[1]},\"result\":$said}"
        done"#;
    json!({ "titled": { "command": "bash", "args": ["-c", script.replace("${", "$${")], "env": env } })
}

#[test]
fn lists_in_which_a_server_repeats_a_secret_are_not_kept() {
    let env = json!({ "API_TOKEN": "${env:SENTINEL}" });
    let scratch = Scratch::entries(titled(&env)).variable("SENTINEL", "sentinel-4711");
    let client = Client::connect(&scratch);
    client.says("its server repeats a secret of its configuration");
    assert_eq!(kept(&scratch), Vec::<PathBuf>::new());
}

#[test]
fn the_instructions_say_what_a_server_is_called_once_that_is_known() {
    let scratch = Scratch::entries(titled(&json!({})));
    let client = Client::connect(&scratch);
    kept_one(&scratch);
    client.leave();
    let hello = Client::start(&scratch).initialize("2025-11-25");
    assert!(hello["instructions"].as_str().unwrap().ends_with("\n- titled: A Title"), "{hello}");
}

#[test]
fn another_configuration_of_an_entry_is_another_entry_and_verbs_show_what_is() {
    let told = Told::new("--tools 2").learnt();
    told.flags("--tools 3");
    let shown = told.0.run(["tools", "--json"]).ok().stdout;
    assert!(shown.contains("fake__tool_2"), "{shown}");
    let entry = json!({ "fake": { "command": text(&fake::path()), "args": ["--tools", "4"] } });
    let scratch = Scratch::in_the_home_of(&told.0).config(&json!({ "mcpServers": entry }));
    assert_eq!(started(&scratch).tools().len(), 4);
}

#[test]
fn a_server_of_npm_is_known_the_next_time() {
    let Some(entry) = real::node("server-everything", &[]) else { return };
    let scratch = Scratch::entries(json!({ "all": with(entry, &json!({ "lazy": true })) }));
    let mut client = Client::connect(&scratch);
    let tools = client.tools();
    assert!(tools.contains(&"all__echo".to_owned()), "{tools:?}");
    kept_one(&scratch);
    client.leave();
    let mut client = started(&scratch);
    assert_eq!(client.tools(), tools);
    assert!(client.notifications(CHANGED).is_empty());
    assert_eq!(client.call_text("all__echo", &json!({ "message": "hi" })), "Echo: hi");
}
