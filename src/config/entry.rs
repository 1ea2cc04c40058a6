//! An entry of `mcpServers`: of which kind it is, and what holds for every kind.

use super::{
    Diagnostics, EntryConfig, EntryKind, HttpTransport, Restart, ShellConfig, ToolFilter,
    fields::{Fields, Member, Node},
    keys::Shape,
    kinds,
    problem::Report,
};

/// What an entry's keys say it is.
#[derive(Clone, Copy)]
enum Tag {
    Stdio,
    Http,
    /// The older transport, HTTP+SSE.
    Sse,
    Shell,
    /// It was said already what is wrong with it; the rest is read as if it were a program.
    Unclear,
}

const TYPES: &[(&str, Tag)] = &[("stdio", Tag::Stdio), ("http", Tag::Http), ("sse", Tag::Sse), ("shell", Tag::Shell)];

/// What a word for a type means, in whatever program's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Stdio,
    Http,
    Sse,
    WebSocket,
}

pub(super) fn way(word: &str) -> Option<Way> {
    match word {
        "stdio" | "local" => Some(Way::Stdio),
        "http" | "streamable-http" | "streamableHttp" | "streamable_http" | "remote" => Some(Way::Http),
        "sse" => Some(Way::Sse),
        "ws" | "websocket" => Some(Way::WebSocket),
        _ => None,
    }
}

pub(super) const NO_TRANSPORT: &str = "WebSocket is no transport of MCP; ask the server's makers for stdio or HTTP";

/// Keys that tell how an entry is reached and are refused by themselves: no second complaint about a missing command.
const REACHED_OTHERWISE: &[&str] = &["httpUrl", "serverUrl", "uri", "cmd"];

pub(super) const RESTARTS: &[(&str, Restart)] = &[("always", Restart::Always), ("never", Restart::Never)];

pub(super) fn entry(member: &Member<'_>) -> Option<EntryConfig> {
    let mut fields = member.node.fields(Shape::Entry, member.at)?;
    let tag = tag(&mut fields);
    let (has_command, has_url) = (fields.has("command"), fields.has("url"));
    let kind = match tag {
        Tag::Shell => kinds::shell(&mut fields).map(EntryKind::Shell),
        Tag::Http => kinds::http(&mut fields).map(EntryKind::Http),
        Tag::Sse => kinds::http(&mut fields)
            .map(|http| EntryKind::Http(super::HttpConfig { transport: HttpTransport::Sse, ..http })),
        Tag::Stdio | Tag::Unclear => kinds::stdio(&mut fields).map(EntryKind::Stdio),
    };
    if matches!(tag, Tag::Http | Tag::Sse) && !has_url {
        fields.report.mistake(fields.at, "an HTTP entry needs a `url`");
    }
    if matches!(tag, Tag::Stdio) && !has_command {
        fields.report.mistake(fields.at, "a stdio entry needs a `command`");
    }
    // A shell stands in for what is no kind at all, so that the mistakes in the rest are found as well.
    let stand_in = || EntryKind::Shell(ShellConfig::new(super::ShellMode::Unrestricted));
    let mut config = EntryConfig::from(kind.unwrap_or_else(stand_in));
    common(&mut fields, &mut config);
    fields.refuse(|key| of_other_kind(tag, key));
    fields.finish();
    Some(config)
}

fn tag(fields: &mut Fields<'_>) -> Tag {
    let Some(node) = fields.take("type") else {
        if fields.has("command") {
            return Tag::Stdio;
        }
        if fields.has("url") {
            return Tag::Http;
        }
        if !REACHED_OTHERWISE.iter().any(|key| fields.has(key)) {
            let needed = r#"an entry needs a `command` (a program that speaks MCP on stdin and stdout), a `url`, or "type": "shell""#;
            fields.report.mistake(fields.at, needed);
        }
        return Tag::Unclear;
    };
    match node.value.text().and_then(way) {
        Some(Way::Stdio) => Tag::Stdio,
        Some(Way::Http) => Tag::Http,
        Some(Way::Sse) => Tag::Sse,
        Some(Way::WebSocket) => {
            node.mistake(NO_TRANSPORT);
            Tag::Unclear
        }
        None => node.one_of(TYPES).unwrap_or(Tag::Unclear),
    }
}

/// Why a key of the other kind cannot stand in this one.
fn of_other_kind(tag: Tag, key: &str) -> Option<String> {
    let others = match tag {
        Tag::Stdio | Tag::Unclear => [(shell_keys(), "shell entries"), (http_keys(), "HTTP entries")],
        Tag::Http | Tag::Sse => [(stdio_keys(), "stdio entries"), (shell_keys(), "shell entries")],
        Tag::Shell => [(stdio_keys(), "stdio entries"), (http_keys(), "HTTP entries")],
    };
    let (_, kind) = others.iter().find(|(keys, _)| keys.contains(&key))?;
    let cure = if key == "timeout" { "; the clocks of this one are `callTimeout` and `maxCallTime`" } else { "" };
    Some(format!("`{key}` is for {kind}{cure}"))
}

/// The keys of a stdio entry: those that reading one asks for.
pub(super) fn stdio_keys() -> Vec<&'static str> {
    keys(|fields| {
        kinds::stdio(fields);
    })
}

/// The keys of an HTTP entry.
pub(super) fn http_keys() -> Vec<&'static str> {
    keys(|fields| {
        kinds::http(fields);
    })
}

/// The keys of a shell entry.
pub(super) fn shell_keys() -> Vec<&'static str> {
    keys(|fields| {
        kinds::shell(fields);
    })
}

/// The keys of all kinds.
pub(super) fn own_keys() -> Vec<&'static str> {
    [stdio_keys(), http_keys(), shell_keys()].concat()
}

fn keys(read: impl Fn(&mut Fields<'_>)) -> Vec<&'static str> {
    let report = Report::new("", "");
    let mut fields = Fields::empty(&report, Shape::Entry);
    read(&mut fields);
    tag(&mut fields);
    common(&mut fields, &mut ShellConfig::new(super::ShellMode::Unrestricted).into());
    fields.known().to_vec()
}

fn common(fields: &mut Fields<'_>, config: &mut EntryConfig) {
    set(&mut config.deferred, fields.take("deferred").and_then(|node| node.flag()));
    set(&mut config.disabled, fields.take("disabled").and_then(|node| node.flag()));
    set(&mut config.agent_control, fields.take("agentControl").and_then(|node| node.flag()));
    config.description = fields.take("description").and_then(|node| node.text()).map(str::to_owned);
    if let Some(mut fields) = fields.take("tools").and_then(|node| node.fields(Shape::Tools, node.at())) {
        config.tools = tools(&mut fields);
        fields.finish();
    }
    if let Some(mut fields) = fields.take("diagnostics").and_then(|node| node.fields(Shape::Diagnostics, node.at())) {
        config.diagnostics = diagnostics(&mut fields);
        fields.finish();
    }
}

pub(super) fn tools(fields: &mut Fields<'_>) -> ToolFilter {
    ToolFilter {
        allow: fields.take("allow").and_then(|node| node.texts()),
        deny: fields.take("deny").and_then(|node| node.texts()).unwrap_or_default(),
        rename: fields.take("rename").map(|node| rename(&node)).unwrap_or_default(),
        describe: fields.take("describe").map(|node| pairs(&node, Node::text)).unwrap_or_default(),
    }
}

pub(super) fn diagnostics(fields: &mut Fields<'_>) -> Diagnostics {
    Diagnostics {
        prerequisites: fields.take("prerequisites").and_then(|node| node.texts()).unwrap_or_default(),
        suggested_fixes: fields.take("suggestedFixes").and_then(|node| node.texts()).unwrap_or_default(),
    }
}

fn rename(node: &Node<'_>) -> Vec<(String, String)> {
    let mut taken: Vec<(&str, &str)> = Vec::new();
    for member in node.map("an object of names").unwrap_or_default() {
        let Some(new) = member.node.filled_text() else { continue };
        if let Some((own, _)) = taken.iter().find(|(_, known)| *known == new) {
            member.node.mistake(&format!("\"{new}\" is the new name of `{own}` already"));
        }
        taken.push((member.key, new));
    }
    taken.into_iter().map(|(own, new)| (own.to_owned(), new.to_owned())).collect()
}

fn pairs<'a>(node: &Node<'a>, read: impl Fn(&Node<'a>) -> Option<&'a str>) -> Vec<(String, String)> {
    let members = node.map("an object of texts").unwrap_or_default();
    members.iter().filter_map(|member| Some((member.key.to_owned(), read(&member.node)?.to_owned()))).collect()
}

/// Keeps the default when the file says nothing.
pub(super) fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{HttpConfig, file::parse},
        *,
    };

    /// The mistakes of one entry as `column: message`, in a text of one line.
    fn mistakes(entry: &str) -> Vec<String> {
        let problems = parse(&format!("{{\"mcpServers\":{{\"e\":\n{entry}}}}}"), "t").expect_err("it has mistakes");
        problems.iter().map(|problem| format!("{}: {}", problem.column, problem.message)).collect()
    }

    fn entry(entry: &str) -> EntryConfig {
        let (config, _) = parse(&format!("{{\"mcpServers\":{{\"e\":{entry}}}}}"), "t").expect("it has no mistakes");
        config.entries.into_iter().next().expect("there is one").1
    }

    #[test]
    fn what_holds_for_every_kind_is_read() {
        let config = entry(
            r#"{ "command": "x", "deferred": true, "disabled": true, "agentControl": false, "description": "d",
                 "tools": { "allow": ["a*"], "deny": ["ab"], "rename": { "a": "z" }, "describe": { "a": "Does" } },
                 "diagnostics": { "prerequisites": ["p"], "suggestedFixes": ["f"] } }"#,
        );
        assert!(config.deferred && config.disabled && !config.agent_control);
        assert_eq!(config.description.as_deref(), Some("d"));
        assert_eq!(
            config.tools,
            ToolFilter {
                allow: Some(vec!["a*".into()]),
                deny: vec!["ab".into()],
                rename: vec![("a".into(), "z".into())],
                describe: vec![("a".into(), "Does".into())],
            }
        );
        let (prerequisites, suggested_fixes) = (vec!["p".into()], vec!["f".into()]);
        assert_eq!(config.diagnostics, Diagnostics { prerequisites, suggested_fixes });
    }

    #[test]
    fn the_type_may_be_absent_stdio_or_local_with_a_command() {
        let expected = entry(r#"{ "command": "x" }"#);
        assert_eq!(entry(r#"{ "type": "stdio", "command": "x" }"#), expected);
        assert_eq!(entry(r#"{ "type": "local", "command": "x" }"#), expected);
        assert_eq!(mistakes(r#"{ "type": "stdio" }"#), ["1: a stdio entry needs a `command`"].map(at_entry));
    }

    /// What an entry lacks is reported where its key stands, in the line above.
    fn at_entry(message: &str) -> String {
        message.replacen("1: ", "16: ", 1)
    }

    #[test]
    fn an_entry_without_command_and_type_says_what_it_needs() {
        let needed = "an entry needs a `command` (a program that speaks MCP on stdin and stdout), a `url`, or \"type\": \"shell\"";
        assert_eq!(mistakes("{}"), [format!("16: {needed}")]);
    }

    fn http(text: &str) -> HttpConfig {
        match entry(text).kind {
            EntryKind::Http(http) => http,
            other => panic!("no HTTP entry: {other:?}"),
        }
    }

    #[test]
    fn a_url_makes_an_http_entry_and_the_type_may_be_spelt_in_every_way() {
        let expected = HttpConfig::new("https://x/mcp");
        assert_eq!(http(r#"{ "url": "https://x/mcp" }"#), expected);
        for kind in ["http", "streamable-http", "streamableHttp", "streamable_http", "remote"] {
            assert_eq!(http(&format!(r#"{{ "type": "{kind}", "url": "https://x/mcp" }}"#)), expected, "{kind}");
        }
        let sse = HttpConfig { transport: HttpTransport::Sse, ..expected };
        assert_eq!(http(r#"{ "type": "sse", "url": "https://x/mcp" }"#), sse);
    }

    #[test]
    fn an_http_entry_needs_a_url_and_a_type_that_there_is() {
        assert_eq!(mistakes(r#"{ "type": "http" }"#), ["16: an HTTP entry needs a `url`"]);
        assert!(mistakes(r#"{ "type": "ws", "url": "ws://x" }"#)[0].contains("WebSocket is no transport of MCP"));
        assert_eq!(
            mistakes(r#"{ "type": "sheel" }"#),
            [r#"11: `mcpServers.e.type`: expected "stdio" or "http" or "sse" or "shell", found "sheel""#]
        );
    }

    #[test]
    fn keys_of_other_programs_name_them_and_the_way_to_read_them() {
        for (key, programs, dialect) in [
            ("autoApprove", "Cline's files", "cline"),
            ("alwaysAllow", "Roo's files", "roo"),
            ("trust", "Gemini CLI's files", "gemini"),
            ("serverUrl", "Windsurf's files", "windsurf"),
            ("envFile", "the files of Cursor and VS Code", "cursor"),
            ("environment", "OpenCode's files", "opencode"),
            ("env_vars", "Codex's files", "codex"),
            ("cmd", "Goose's files", "goose"),
        ] {
            let found = mistakes(&format!(r#"{{ "command": "x", "{key}": 1 }}"#));
            assert_eq!(found, [format!("19: `{key}` belongs to {programs}; `--dialect {dialect}` reads it so")]);
        }
    }

    #[test]
    fn keys_of_the_other_kind_say_where_they_belong() {
        assert_eq!(
            mistakes(r#"{ "command": "x", "mode": "unrestricted", "timeout": 1 }"#),
            [
                "19: `mode` is for shell entries",
                "43: `timeout` is for shell entries; the clocks of this one are `callTimeout` and `maxCallTime`",
            ]
        );
        assert_eq!(
            mistakes(r#"{ "type": "shell", "mode": "unrestricted", "args": [] }"#),
            ["44: `args` is for stdio entries"]
        );
        assert_eq!(
            mistakes(r#"{ "command": "x", "headers": {}, "headersHelper": ["y"] }"#),
            ["19: `headers` is for HTTP entries", "34: `headersHelper` is for HTTP entries"]
        );
        assert_eq!(mistakes(r#"{ "url": "http://x", "args": [] }"#), ["22: `args` is for stdio entries"]);
    }

    #[test]
    fn when_it_is_up_is_no_business_of_a_shell_and_must_make_sense() {
        for key in ["lazy", "idleStop", "maxConcurrent"] {
            let found = mistakes(&format!(r#"{{ "type": "shell", "mode": "unrestricted", "{key}": 1 }}"#));
            assert_eq!(found, [format!("44: `{key}` is for stdio entries")]);
        }
        let found = mistakes(r#"{ "command": "x", "lazy": 1, "idleStop": 0, "maxConcurrent": 0 }"#);
        assert_eq!(
            found,
            [
                "27: `mcpServers.e.lazy`: expected true or false, found a number",
                "42: `mcpServers.e.idleStop`: expected a duration above zero",
                "62: `mcpServers.e.maxConcurrent`: expected a whole number from 1 to 10000, found 0",
            ]
        );
    }

    #[test]
    fn two_tools_cannot_be_renamed_to_the_same_name() {
        let found = mistakes(r#"{ "command": "x", "tools": { "rename": { "a": "c", "b": "c", "d": 1, "e": "" } } }"#);
        assert_eq!(
            found,
            [
                "57: `mcpServers.e.tools.rename.b`: \"c\" is the new name of `a` already",
                "67: `mcpServers.e.tools.rename.d`: expected a text, found a number; put it in quotes: \"1\"",
                "75: `mcpServers.e.tools.rename.e`: it is empty",
            ]
        );
    }

    #[test]
    fn unknown_keys_inside_an_entry_offer_what_is_near() {
        assert_eq!(
            mistakes(r#"{ "command": "x", "tools": { "allowed": [] }, "diagnostics": { "x": [] } }"#),
            [
                "30: unknown key `allowed`; did you mean `allow`?",
                "64: unknown key `x`; known here are prerequisites, suggestedFixes",
            ]
        );
    }
}
