//! Each program's file as that program writes it, and what becomes of it.

use std::time::Duration;

use super::{super::problem::Findings, *};
use crate::config::{ComputerConfig, EntryConfig, EntryKind, HttpConfig, HttpTransport, InheritEnv, StdioConfig};

/// A file of the fixtures, read where it would lie.
macro_rules! fixture {
    ($path:literal) => {
        whole(Dialect::of_path(Path::new($path)), include_str!(concat!("../../../tests/fixtures/", $path)))
    };
}

fn read_as(dialect: Dialect, text: &str) -> (ComputerConfig, Findings) {
    let setting = Setting { directory: "/etc/files".into(), workspace: "/home/ada/project".into() };
    read(text, "f", (dialect, &setting))
}

/// What a text without mistakes holds.
#[track_caller]
fn whole(dialect: Dialect, text: &str) -> (ComputerConfig, Findings) {
    let (config, found) = read_as(dialect, text);
    assert_eq!(found.mistakes, [], "{dialect}");
    (config, found)
}

/// The mistakes of a text as `line:column: message`.
#[track_caller]
fn mistakes(dialect: Dialect, text: &str) -> Vec<String> {
    read_as(dialect, text).1.mistakes.iter().map(|problem| problem.to_string()[2..].to_owned()).collect()
}

fn unused(found: &Findings) -> Vec<&str> {
    found.unused.iter().map(|problem| problem.message.as_str()).collect()
}

fn names(config: &ComputerConfig) -> Vec<&str> {
    config.entries.iter().map(|(name, _)| name.as_str()).collect()
}

#[track_caller]
fn entry<'c>(config: &'c ComputerConfig, name: &str) -> &'c EntryConfig {
    let entry = config.entries.iter().find(|(namespace, _)| namespace.as_str() == name);
    &entry.unwrap_or_else(|| panic!("no entry {name}: {:?}", names(config))).1
}

#[track_caller]
fn stdio<'c>(config: &'c ComputerConfig, name: &str) -> &'c StdioConfig {
    match &entry(config, name).kind {
        EntryKind::Stdio(stdio) => stdio,
        other => panic!("no stdio entry: {other:?}"),
    }
}

#[track_caller]
fn http<'c>(config: &'c ComputerConfig, name: &str) -> &'c HttpConfig {
    match &entry(config, name).kind {
        EntryKind::Http(http) => http,
        other => panic!("no HTTP entry: {other:?}"),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A program as all of them start it: with all of the environment.
fn program(command: &str, args: &[&str]) -> StdioConfig {
    StdioConfig { inherit_env: InheritEnv::All, ..StdioConfig::new(command, args.iter().copied()) }
}

#[test]
fn claude_desktop_has_no_variables() {
    let (config, found) = fixture!("claude-desktop/claude_desktop_config.json");
    assert_eq!(names(&config), ["filesystem", "on_windows", "shop"]);
    let filesystem = program("npx", &["-y", "@modelcontextprotocol/server-filesystem", "/Users/ada/Desktop"]);
    assert_eq!(*stdio(&config, "filesystem"), filesystem);
    if !cfg!(windows) {
        let unwrapped = program("npx", &["-y", "mcp-remote", "https://mcp.example.com/mcp"]);
        assert_eq!(*stdio(&config, "on_windows"), unwrapped);
    }
    let shop = program("/opt/shop/bin/server", &["--price", "5$ $${each}"]).env("SHOP_MODE", "$plain");
    assert_eq!(*stdio(&config, "shop"), shop);
    assert_eq!(unused(&found), ["1 other key at the root is Claude Desktop's own and is not used"]);
}

#[test]
fn claude_code_fills_in_variables_with_defaults_and_passes_over_what_lives_inside_it() {
    let (config, found) = fixture!("claude-code/.mcp.json");
    assert_eq!(names(&config), ["database", "tracker", "events", "signed"]);
    let database = program("npx", &["-y", "@example/mcp-database", "${DB_URL:-postgres://localhost/dev}"])
        .env("DB_PASSWORD", "${DB_PASSWORD}")
        .env("DB_NOTE", "$5 $${not a name}");
    assert_eq!(*stdio(&config, "database"), database);
    let tracker = HttpConfig {
        call_timeout: Duration::from_secs(600),
        ..HttpConfig::new("${TRACKER_URL:-https://mcp.example.com}/mcp")
            .header("Authorization", "Bearer ${TRACKER_TOKEN}")
    };
    assert_eq!(*http(&config, "tracker"), tracker);
    assert_eq!(http(&config, "events").transport, HttpTransport::Sse);
    let helper = http(&config, "signed").headers_helper.as_ref().and_then(|helper| helper.last());
    assert_eq!(helper.map(String::as_str), Some("/opt/bin/sign --for \"$${USER}\""));
    assert_eq!(
        unused(&found),
        [
            "`mcpServers.editor` is passed over: `sdk` is a kind that lives inside Claude Code",
            "`mcpServers.editor.name` is not used",
        ]
    );
}

#[test]
fn the_entries_of_the_project_win_over_those_of_the_user() {
    let (config, found) = fixture!("claude-code/.claude.json");
    assert_eq!(names(&config), ["search", "notes"]);
    assert_eq!(stdio(&config, "notes").command, "notes-of-the-project");
    assert!(entry(&config, "search").disabled, "the project has switched it off");
    assert_eq!(unused(&found), ["6 other keys at the root are Claude Code's own and are not used"]);
}

#[test]
fn cursor_has_its_variables_and_a_file_of_them() {
    let (config, found) = fixture!("cursor/.cursor/mcp.json");
    let args = ["--home", "${userHome}", "--project", "project", "-c", "echo $${HOME}"];
    let local = StdioConfig {
        env_file: Some("${workspaceFolder}/.env".into()),
        ..program("${workspaceFolder}/bin/server", &args).env("API_KEY", "${env:SERVICE_API_KEY}")
    };
    assert_eq!(*stdio(&config, "local"), local);
    let remote = HttpConfig::new("https://mcp.example.com/mcp").header("Authorization", "Bearer ${env:REMOTE_TOKEN}");
    assert_eq!(*http(&config, "remote"), remote);
    assert_eq!(unused(&found), ["the header `Accept` is set by the protocol", "`mcpServers.remote.auth` is not used"]);
}

#[test]
fn vs_code_asks_for_inputs_and_takes_variables_away() {
    let (config, found) = fixture!("vscode/.vscode/mcp.json");
    assert_eq!(names(&config), ["perplexity", "github", "untyped"]);
    let perplexity = StdioConfig {
        env_file: Some("${workspaceFolder}/.env".into()),
        unset: vec!["NODE_OPTIONS".into()],
        cwd: Some("${workspaceFolder}".into()),
        ..program("npx", &["-y", "server-perplexity-ask"])
            .env("PERPLEXITY_API_KEY", "${input:perplexity-key}")
            .env("PORT", "8080")
    };
    assert_eq!(*stdio(&config, "perplexity"), perplexity);
    assert_eq!(http(&config, "github").headers, pairs(&[("X-Tenant", "${input:config:github.tenant}")]));
    assert_eq!(*http(&config, "untyped"), HttpConfig::new("https://mcp.example.com/mcp"));
    assert_eq!(unused(&found), ["`servers.perplexity.dev` is not used"]);
}

#[test]
fn the_settings_of_vs_code_may_hold_entries_as_well() {
    let (config, found) = fixture!("vscode/Code/User/settings.json");
    assert_eq!(*stdio(&config, "time"), program("uvx", &["mcp-server-time"]));
    assert_eq!(unused(&found), ["3 other keys at the root are VS Code's own and are not used"]);
    let dotted = r#"{ "mcp.servers": { "a": { "command": "x" } }, "extensions": {} }"#;
    assert_eq!(names(&whole(Dialect::VsCode, dotted).0), ["a"]);
    let workspace = r#"{ "folders": [], "settings": { "mcp": { "servers": { "a": { "command": "x" } } } } }"#;
    assert_eq!(names(&whole(Dialect::VsCode, workspace).0), ["a"]);
}

#[test]
fn windsurf_has_server_urls_and_hidden_tools() {
    let (config, found) = fixture!("windsurf/.codeium/windsurf/mcp_config.json");
    let figma = HttpConfig::new("https://mcp.example.com/mcp").header("Authorization", "Bearer ${env:FIGMA_TOKEN}");
    assert_eq!(*http(&config, "figma"), figma);
    let github = entry(&config, "github");
    assert!(github.disabled);
    assert_eq!(github.tools.deny, ["create_issue", "delete_file"]);
    let expected = [("GITHUB_PERSONAL_ACCESS_TOKEN", "${env:GITHUB_TOKEN}"), ("NOTE", "$${GITHUB_TOKEN}")];
    assert_eq!(stdio(&config, "github").env, pairs(&expected));
    assert_eq!(unused(&found), [""; 0]);
}

#[test]
fn cline_counts_seconds_and_means_the_older_transport() {
    let (config, found) = fixture!("cline/cline_mcp_settings.json");
    let weather = StdioConfig {
        call_timeout: Duration::from_secs(60),
        ..program("node", &["/home/ada/Cline/MCP/weather/build/index.js"])
            .env("OPENWEATHER_KEY", "$${env:NOT_FILLED_IN}")
    };
    assert_eq!(*stdio(&config, "weather"), weather);
    let older = entry(&config, "older");
    assert!(older.disabled);
    assert_eq!(http(&config, "older").transport, HttpTransport::Sse);
    let newer = HttpConfig {
        call_timeout: Duration::from_secs(3600),
        max_call_time: Duration::from_secs(3600),
        ..HttpConfig::new("https://mcp.example.com/mcp")
    };
    assert_eq!(*http(&config, "newer"), newer);
    let grants = "grants nothing here: whether a call is allowed is asked by whoever makes it";
    assert_eq!(
        unused(&found),
        [
            format!("`mcpServers.weather.autoApprove` {grants} (it names get_forecast, get_alerts)"),
            format!("`mcpServers.older.autoApprove` {grants}"),
        ]
    );
}

#[test]
fn roo_counts_seconds_and_wants_a_type_beside_a_url() {
    let (config, found) = fixture!("roo/.roo/mcp.json");
    let local = entry(&config, "local");
    assert_eq!((&local.tools.allow, &local.tools.deny), (&None, &vec!["write_file".to_owned()]));
    let expected = StdioConfig {
        call_timeout: Duration::from_secs(15),
        cwd: Some("/home/ada/project".into()),
        ..program("node", &["server.js", "${env:ROO_FLAG}"])
    };
    assert_eq!(*stdio(&config, "local"), expected);
    assert_eq!(http(&config, "remote").transport, HttpTransport::Auto);
    assert_eq!(http(&config, "older").transport, HttpTransport::Sse);
    assert_eq!(found.unused.len(), 2);
    assert!(found.unused[0].message.ends_with("(it names read_file)"), "{:?}", found.unused[0]);
    assert_eq!(found.unused[1].message, "`mcpServers.local.watchPaths` is not used");
    assert_eq!(
        mistakes(Dialect::Roo, r#"{ "mcpServers": { "a": { "url": "https://x" } } }"#),
        ["1:19: `mcpServers.a`: Roo wants a `type` beside a `url`: \"streamable-http\", or \"sse\" for the older \
             transport"]
    );
}

#[test]
fn gemini_tells_transports_by_the_name_of_the_address() {
    let (config, found) = fixture!("gemini/.gemini/settings.json");
    let python = entry(&config, "python");
    assert_eq!(python.tools.allow, Some(vec!["safe_tool".to_owned(), "read_file".to_owned()]));
    assert_eq!(python.tools.deny, ["unsafe_tool"]);
    assert_eq!(python.description.as_deref(), Some("Tools in Python"));
    let expected = StdioConfig {
        cwd: Some("./server".into()),
        call_timeout: Duration::from_secs(15),
        ..program("python", &["-m", "my_server", "--port", "${PORT}"])
            .env("DATABASE_URL", "${DB_URL}")
            .env("API_KEY", "${API_KEY}")
    };
    assert_eq!(*stdio(&config, "python"), expected);
    let newer = HttpConfig {
        call_timeout: Duration::from_secs(5),
        ..HttpConfig::new("https://mcp.example.com/mcp").header("Authorization", "Bearer ${TOKEN}")
    };
    assert_eq!(*http(&config, "newer"), newer);
    assert_eq!(http(&config, "older").transport, HttpTransport::Sse);
    assert_eq!(http(&config, "typed").transport, HttpTransport::Auto);
    assert!(entry(&config, "experimental").disabled && !python.disabled);
    assert_eq!(found.unused.len(), 2, "{:?}", unused(&found));
    assert_eq!(found.unused[0].message, "4 other keys at the root are Gemini CLI's own and are not used");
    assert!(found.unused[1].message.starts_with("`mcpServers.python.trust` grants nothing here"));
    let allowed =
        r#"{ "mcp": { "allowed": ["a"] }, "mcpServers": { "a": { "command": "x" }, "b": { "command": "x" } } }"#;
    let (config, _) = whole(Dialect::Gemini, allowed);
    assert!(!entry(&config, "a").disabled && entry(&config, "b").disabled);
}

#[test]
fn codex_is_toml_with_seconds_and_names_of_variables() {
    let (config, found) = fixture!("codex/.codex/config.toml");
    assert_eq!(names(&config), ["docs", "figma"]);
    let docs = StdioConfig {
        cwd: Some("/home/ada/project".into()),
        connect_timeout: Some(Duration::from_millis(20_500)),
        call_timeout: Duration::from_secs(45),
        ..program("npx", &["-y", "@example/docs-mcp", "$${NOT_FILLED_IN}"]).env("MY_ENV_VAR", "MY_ENV_VALUE")
    };
    assert_eq!(*stdio(&config, "docs"), docs);
    let tools = &entry(&config, "docs").tools;
    assert_eq!(tools.allow, Some(vec!["open".to_owned(), "screenshot".to_owned()]));
    assert_eq!(tools.deny, ["screenshot"]);
    let figma = HttpConfig::new("https://mcp.example.com/mcp")
        .header("X-Figma-Region", "us-east-1")
        .header("X-Team", "${env:FIGMA_TEAM}")
        .header("Authorization", "Bearer ${env:FIGMA_OAUTH_TOKEN}");
    assert_eq!(*http(&config, "figma"), figma);
    assert!(entry(&config, "figma").disabled);
    assert_eq!(
        unused(&found),
        ["4 other keys at the root are Codex's own and are not used", "`mcp_servers.docs.required` is not used",]
    );
}

#[test]
fn zed_may_write_a_command_as_an_object_and_keeps_its_extensions_for_itself() {
    let (config, found) = fixture!("zed/zed/settings.json");
    assert_eq!(names(&config), ["local", "older", "remote"]);
    let local = StdioConfig { call_timeout: Duration::from_secs(30), ..program("some-command", &["arg-1", "$HOME"]) };
    assert_eq!(*stdio(&config, "local"), local);
    assert_eq!(*stdio(&config, "older"), program("/opt/older/server", &["--stdio"]).env("LEVEL", "debug"));
    assert_eq!(http(&config, "remote").headers, pairs(&[("Authorization", "Bearer 0")]));
    assert_eq!(found.secrets.len(), 1);
    assert_eq!(
        unused(&found),
        [
            "2 other keys at the root are Zed's own and are not used",
            "`context_servers.older.settings` is not used",
            "`context_servers.mcp-server-postgres` is passed over: an extension of Zed brings its program, and Zed \
             alone knows it",
            "`context_servers.mcp-server-postgres.settings` is not used",
        ]
    );
}

#[test]
fn opencode_has_a_list_for_a_command_and_braces_for_variables() {
    let (config, found) = fixture!("opencode/opencode.jsonc");
    assert_eq!(names(&config), ["everything", "context7"]);
    let everything = StdioConfig {
        connect_timeout: Some(Duration::from_secs(8)),
        ..program("npx", &["-y", "@modelcontextprotocol/server-everything"])
            .env("KEY", "${env:EVERYTHING_KEY}")
            .env("PLAIN", "$${NOT_FILLED_IN}")
    };
    assert_eq!(*stdio(&config, "everything"), everything);
    assert_eq!(http(&config, "context7").headers, pairs(&[("CONTEXT7_API_KEY", "${file:/etc/files/./key}")]));
    assert!(entry(&config, "context7").disabled);
    assert_eq!(
        unused(&found),
        [
            "2 other keys at the root are OpenCode's own and are not used",
            "`mcp.context7.oauth` is not used",
            "`mcp.from-the-organization` is passed over: it is switched on or off and says no more",
        ]
    );
}

#[test]
fn the_second_generation_of_opencode_has_its_entries_one_level_down() {
    let (config, _) = fixture!("opencode/second/opencode.json");
    let local = StdioConfig {
        cwd: Some(".".into()),
        connect_timeout: Some(Duration::from_secs(20)),
        call_timeout: Duration::from_secs(90),
        ..program("bun", &["x", "my-server"])
    };
    assert_eq!(*stdio(&config, "local"), local);
    assert!(entry(&config, "local").disabled);
    let named_servers = r#"{ "mcp": { "servers": { "type": "remote", "url": "https://x" } } }"#;
    assert_eq!(names(&whole(Dialect::OpenCode, named_servers).0), ["servers"]);
}

#[test]
fn goose_is_yaml_and_keeps_secrets_elsewhere() {
    let (config, found) = fixture!("goose/goose/config.yaml");
    assert_eq!(names(&config), ["github", "remote"]);
    let github = StdioConfig {
        call_timeout: Duration::from_secs(300),
        ..program("npx", &["-y", "@modelcontextprotocol/server-github"])
            .env("GITHUB_HOST", "https://github.com")
            .env("GITHUB_PERSONAL_ACCESS_TOKEN", "${input:GITHUB_PERSONAL_ACCESS_TOKEN}")
    };
    assert_eq!(*stdio(&config, "github"), github);
    assert_eq!(entry(&config, "github").tools.allow, Some(vec!["search_code".to_owned()]));
    assert_eq!(entry(&config, "github").description.as_deref(), Some("Issues and pull requests"));
    let remote = http(&config, "remote");
    assert_eq!((remote.transport, remote.call_timeout), (HttpTransport::Auto, Duration::from_secs(60)));
    assert_eq!(remote.headers, pairs(&[("X-Plan", "$free")]));
    assert!(entry(&config, "remote").disabled);
    let said = unused(&found);
    assert!(
        said.contains(&"`extensions.developer` is passed over: `builtin` is a kind that lives inside Goose"),
        "{said:?}"
    );
}

mod mistakes;
