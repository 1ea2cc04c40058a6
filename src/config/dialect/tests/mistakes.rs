//! Mistakes in the files of other programs, and keys that belong to others still.

use std::fmt::Write;

use super::*;

#[test]
fn mistakes_have_their_places_in_every_syntax() {
    let toml = "[mcp_servers.a]\ncommand = 7\nargs = [\"ok\", 1]\n\n[mcp_servers.b]\ntool_timeout_sec = \"soon\"\nurl = \"ftp://x\"\n";
    assert_eq!(
        mistakes(Dialect::Codex, toml),
        [
            "2:11: `mcp_servers.a.command`: expected a text, found a number; put it in quotes: \"7\"",
            "3:15: `mcp_servers.a.args[1]`: expected a text, found a number; put it in quotes: \"1\"",
            "6:20: `mcp_servers.b.tool_timeout_sec`: expected a number of seconds, found a text",
            "7:7: `mcp_servers.b.url`: expected a URL that begins with http:// or https://",
        ]
    );
    let yaml = "# Grüße\nextensions:\n  a:\n    type: stdio\n    cmd: [x]\n    args: {}\n    timeout: -1\n";
    assert_eq!(
        mistakes(Dialect::Goose, yaml),
        [
            "6:11: `extensions.a.args`: expected a list of texts, found an object",
            "7:14: `extensions.a.timeout`: expected a number of seconds above zero and below a year, found -1",
        ]
    );
    let json = r#"{ "mcpServers": { "a": { "command": "x", "env": { "A": 1, "B": null }, "disabled": "no" } } }"#;
    assert_eq!(
        mistakes(Dialect::Cursor, json),
        [
            "1:56: `mcpServers.a.env.A`: expected a text, found a number; put it in quotes: \"1\"",
            "1:64: `mcpServers.a.env.B`: expected a text, found null",
            "1:84: `mcpServers.a.disabled`: expected true or false, found a text",
        ]
    );
}

#[test]
fn text_of_another_syntax_is_told_with_its_place() {
    assert!(mistakes(Dialect::Codex, "a = 1\nb = \nc = [").iter().all(|said| said.contains("no valid TOML: ")));
    assert!(mistakes(Dialect::Codex, "a = 1\nb = \n")[0].starts_with("2:"));
    assert!(mistakes(Dialect::Codex, "a = 1\na = 2")[0].starts_with("2:1: no valid TOML: duplicate key"));
    assert!(mistakes(Dialect::Goose, "a: 1\nb: [1")[0].contains("no valid YAML: "));
    assert!(mistakes(Dialect::Goose, "a: 1\n---\nb: 1")[0].contains("a second document begins here"));
    assert!(mistakes(Dialect::Goose, "- a")[0].starts_with("1:1: expected an object such as"));
    assert!(mistakes(Dialect::Cursor, "{ 'a': 1 }")[0].contains("no valid JSON: "));
}

#[test]
fn yaml_knows_aliases_and_does_not_let_them_multiply_without_end() {
    let text = "extensions:\n  a: &a\n    type: stdio\n    cmd: x\n    envs: {PORT: \"80\", ON: 'true'}\n  b: *a\n";
    let (config, _) = whole(Dialect::Goose, text);
    assert_eq!(names(&config), ["a", "b"]);
    assert_eq!(stdio(&config, "a"), stdio(&config, "b"));
    assert_eq!(stdio(&config, "b").env, pairs(&[("PORT", "80"), ("ON", "true")]));
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        let elements = [before.as_str(); 10].join(",");
        writeln!(bomb, "a{level}: &a{level} [{elements}]").unwrap();
    }
    assert!(mistakes(Dialect::Goose, &bomb)[0].contains("more than 100000 values"));
    let deep = |depth: usize| {
        let lines: Vec<String> = (0..depth).map(|level| format!("{}a:", " ".repeat(level))).collect();
        lines.join("\n")
    };
    assert_eq!(mistakes(Dialect::Goose, &deep(90)), [""; 0]);
    assert!(mistakes(Dialect::Goose, &deep(200))[0].contains("nested more than 100 deep"));
    assert!(mistakes(Dialect::Goose, &"[".repeat(50_000))[0].contains("no valid YAML: "));
    assert!(mistakes(Dialect::Cursor, &"[".repeat(50_000))[0].contains("no valid JSON: "));
    assert!(mistakes(Dialect::Codex, &format!("a = {}", "[".repeat(50_000)))[0].contains("no valid TOML: "));
}

#[test]
fn of_two_names_that_become_one_namespace_the_second_is_left_out_and_the_rest_is_there() {
    let json =
        r#"{ "mcpServers": { "a b": { "command": "x" }, "a-b": { "command": "y" }, "a_b": { "command": "z" } } }"#;
    let (config, findings) = whole(Dialect::Cursor, json);
    assert_eq!(names(&config), ["a_b", "a-b"]);
    assert_eq!(stdio(&config, "a_b").command, "x");
    assert_eq!(mistakes(Dialect::Cursor, json), [""; 0]);
    let warned: Vec<String> = findings.warnings.iter().map(ToString::to_string).collect();
    let warned = warned.join("\n");
    assert!(warned.contains("`a b` and `a_b` both become the namespace `a_b`"), "{warned}");
    assert!(warned.contains("the entry is left out"), "{warned}");
}

#[test]
fn keys_that_are_given_twice_are_mistakes_where_they_are_read() {
    let yaml = "extensions:\n  a: {type: stdio, cmd: x}\n  a: {type: stdio, cmd: y}\n";
    assert_eq!(mistakes(Dialect::Goose, yaml), ["3:3: `a` is given twice; the first one is in line 2"]);
    let json = "{ \"theme\": 1, \"theme\": 2, \"mcpServers\": {},\n \"mcpServers\": {} }";
    assert_eq!(mistakes(Dialect::Gemini, json), ["2:2: `mcpServers` is given twice; the first one is in line 1"]);
}

#[test]
fn a_file_of_one_program_that_is_read_as_anothers_says_whose_it_is() {
    for (dialect, text, said) in [
        (
            Dialect::Cursor,
            r#"{ "servers": { "a": { "command": "x" } } }"#,
            "1:3: `servers` belongs to VS Code's files, and this one is read as one of Cursor's; `--dialect vscode` reads it so",
        ),
        (
            Dialect::Zed,
            r#"{ "theme": 1, "mcp": {} }"#,
            "1:15: `mcp` belongs to the files of VS Code and OpenCode, and this one is read as one of Zed's; `--dialect vscode` reads it so",
        ),
        (
            Dialect::OpenCode,
            r#"{ "context_servers": {} }"#,
            "1:3: `context_servers` belongs to Zed's files, and this one is read as one of OpenCode's; `--dialect zed` reads it so",
        ),
    ] {
        assert_eq!(mistakes(dialect, text), [said]);
    }
    let said = mistakes(Dialect::VsCode, r#"{ "mcpServers": {} }"#);
    assert!(said[0].contains("`mcpServers` belongs to the files of Claude Desktop, Claude Code, Cursor, "), "{said:?}");
}

#[test]
fn keys_of_others_beside_its_own_are_listed_with_their_owners() {
    let text = r#"{ "mcpServers": { "a": { "command": "x", "serverUrl": "y", "tool_timeout_sec": 1, "callTimeout": 1,
                      "disabledTools": [], "colour": 1 } },
                    "servers": {}, "statusTools": "never" }"#;
    let (_, found) = whole(Dialect::Cursor, text);
    assert_eq!(
        unused(&found),
        [
            "`mcpServers.a.serverUrl` belongs to Windsurf's files and is not used",
            "`mcpServers.a.tool_timeout_sec` belongs to Codex's files and is not used",
            "`mcpServers.a.callTimeout` belongs to the files of `computer` itself and is not used",
            "`mcpServers.a.disabledTools` belongs to the files of Windsurf and Roo and is not used",
            "`mcpServers.a.colour` is not used",
            "`servers` belongs to VS Code's files and is not used",
            "`statusTools` belongs to the files of `computer` itself and is not used in Cursor's",
        ]
    );
}

#[test]
fn a_file_without_entries_says_where_they_would_be() {
    let (config, found) = whole(Dialect::VsCode, r#"{ "editor.fontSize": 14, "extensions": {} }"#);
    assert_eq!(config.entries, []);
    assert!(found.warnings[0].message.starts_with("no entries: VS Code keeps them under `servers` or `mcp.servers`"));
    assert_eq!(whole(Dialect::Goose, "").0.entries, []);
    assert_eq!(whole(Dialect::Codex, "").0.entries, []);
    assert_eq!(whole(Dialect::Goose, "extensions:\n").0.entries, []);
}

#[test]
fn every_word_for_a_type_is_understood_and_others_are_refused() {
    let kind = |dialect: Dialect, kind: &str| {
        let text =
            format!(r#"{{ "mcpServers": {{ "a": {{ "type": "{kind}", "command": "x", "url": "https://x" }} }} }}"#);
        whole(dialect, &text).0.entries.remove(0).1.kind
    };
    for word in ["stdio", "local"] {
        assert!(matches!(kind(Dialect::Cline, word), EntryKind::Stdio(_)), "{word}");
    }
    for word in ["http", "streamable-http", "streamableHttp", "streamable_http", "remote"] {
        let EntryKind::Http(http) = kind(Dialect::Cline, word) else { panic!("{word}") };
        assert_eq!(http.transport, HttpTransport::Auto, "{word}");
    }
    let EntryKind::Http(sse) = kind(Dialect::Cursor, "sse") else { panic!("no HTTP entry") };
    assert_eq!(sse.transport, HttpTransport::Sse);
    let text = |entry: &str| format!(r#"{{ "mcpServers": {{ "a": {entry} }} }}"#);
    let refused = |entry: &str| mistakes(Dialect::ClaudeCode, &text(entry));
    assert!(refused(r#"{ "type": "ws", "url": "wss://x" }"#)[0].contains("WebSocket is no transport of MCP"));
    let off = whole(Dialect::ClaudeCode, &text(r#"{ "type": "ws", "url": "wss://x", "disabled": true }"#));
    assert_eq!(off.0.entries, []);
    assert!(refused(r#"{ "type": "htp", "url": "https://x" }"#)[0].ends_with("found \"htp\""));
    assert_eq!(refused(r#"{ "type": "stdio" }"#), ["1:19: `mcpServers.a`: a stdio entry needs `command`"]);
    assert_eq!(refused(r#"{ "type": "http" }"#), ["1:19: `mcpServers.a`: an HTTP entry needs `url`"]);
    assert_eq!(refused("{}"), ["1:19: `mcpServers.a`: an entry needs `command` or `url`"]);
}

#[test]
fn names_of_variables_that_can_be_none_are_refused() {
    let toml = "[mcp_servers.a]\nurl = \"https://x\"\nbearer_token_env_var = \"sk-1234\"\n\n[mcp_servers.b]\ncommand = \"x\"\nenv_vars = [\"A B\"]\n";
    assert_eq!(
        mistakes(Dialect::Codex, toml),
        [
            "3:24: `mcp_servers.a.bearer_token_env_var`: expected the name of a variable",
            "7:13: `mcp_servers.b.env_vars[0]`: expected the name of a variable",
        ]
    );
}

#[test]
fn no_file_that_breaks_off_somewhere_causes_a_panic() {
    for (dialect, text) in [
        (Dialect::VsCode, include_str!("../../../../tests/fixtures/vscode/.vscode/mcp.json")),
        (Dialect::Codex, include_str!("../../../../tests/fixtures/codex/.codex/config.toml")),
        (Dialect::Goose, include_str!("../../../../tests/fixtures/goose/goose/config.yaml")),
    ] {
        for (cut, _) in text.char_indices() {
            let (_, found) = read_as(dialect, &text[..cut]);
            let after = text[..cut].matches('\n').count() + 1;
            assert!(found.mistakes.iter().all(|mistake| mistake.line <= after), "{dialect} cut at {cut}");
        }
    }
}
