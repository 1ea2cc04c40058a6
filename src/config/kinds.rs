//! The kinds of entries as they are written.

use super::{
    Demand, HttpConfig, InheritEnv, Login, ShellConfig, ShellMode, StdioConfig,
    entry::{RESTARTS, set},
    fields::{Fields, Member, Node},
    limits, mode, template,
    value::Data,
    windows,
};

/// Below it no answer fits; above it a single message fills the memory.
pub(super) const MAX_MESSAGE: std::ops::RangeInclusive<usize> = 1024..=1 << 30;
/// More than any server is good at.
const MAX_CONCURRENT: std::ops::RangeInclusive<usize> = 1..=10_000;
pub(super) const MAX_OUTPUT: std::ops::RangeInclusive<usize> = 1..=100_000_000;

/// `None` without a usable command. Every key is asked for in any case.
pub(super) fn stdio(fields: &mut Fields<'_>) -> Option<StdioConfig> {
    let command = fields.take("command").and_then(|node| node.filled_template());
    let mut config = StdioConfig::new(command.clone().unwrap_or_default(), Vec::<String>::new());
    if let Some(args) = fields.take("args").and_then(|node| node.list("texts")) {
        config.args = args.iter().filter_map(Node::template).collect();
    }
    config.env = fields.take("env").map(|node| env(&node)).unwrap_or_default();
    config.cwd = fields.take("cwd").and_then(|node| node.filled_template());
    set(&mut config.inherit_env, fields.take("inheritEnv").and_then(|node| inherit_env(&node)));
    config.connect_timeout = fields.take("connectTimeout").and_then(|node| node.duration());
    set(&mut config.call_timeout, fields.take("callTimeout").and_then(|node| node.duration()));
    set(&mut config.max_call_time, fields.take("maxCallTime").and_then(|node| node.duration()));
    set(&mut config.probe_interval, fields.take("probeInterval").and_then(|node| node.duration()));
    set(&mut config.max_message, fields.take("maxMessage").and_then(|node| node.whole(MAX_MESSAGE)));
    set(&mut config.restart, fields.take("restart").and_then(|node| node.one_of(RESTARTS)));
    config.demand = demand(fields);
    set(&mut config.limits, fields.take("limits").and_then(|node| limits::limits(&node)));
    windows::unwrap(&mut config);
    command.map(|_| config)
}

/// `None` without a usable URL. Every key is asked for in any case.
pub(super) fn http(fields: &mut Fields<'_>) -> Option<HttpConfig> {
    let url = fields.take("url").and_then(|node| url(&node));
    let mut config = HttpConfig::new(url.clone().unwrap_or_default());
    config.headers = fields.take("headers").map(|node| headers(&node)).unwrap_or_default();
    config.headers_helper = fields.take("headersHelper").and_then(|node| argv(&node));
    config.connect_timeout = fields.take("connectTimeout").and_then(|node| node.duration());
    set(&mut config.call_timeout, fields.take("callTimeout").and_then(|node| node.duration()));
    set(&mut config.max_call_time, fields.take("maxCallTime").and_then(|node| node.duration()));
    set(&mut config.probe_interval, fields.take("probeInterval").and_then(|node| node.duration()));
    set(&mut config.max_message, fields.take("maxMessage").and_then(|node| node.whole(MAX_MESSAGE)));
    set(&mut config.restart, fields.take("restart").and_then(|node| node.one_of(RESTARTS)));
    config.demand = demand(fields);
    url.map(|_| config)
}

/// When it is up, and how much is asked of it at a time.
fn demand(fields: &mut Fields<'_>) -> Demand {
    Demand {
        lazy: fields.take("lazy").and_then(|node| node.flag()).unwrap_or_default(),
        idle_stop: fields.take("idleStop").and_then(|node| node.duration()),
        max_concurrent: fields.take("maxConcurrent").and_then(|node| node.whole(MAX_CONCURRENT)),
    }
}

pub(super) fn url(node: &Node<'_>) -> Option<String> {
    let url = node.filled_template()?;
    check_url(node, &url);
    Some(url)
}

/// Says when it is no address of a server.
pub(super) fn check_url(node: &Node<'_>, url: &str) {
    let known = ["http://", "https://", "${"].iter().any(|start| url.to_ascii_lowercase().starts_with(start));
    if !known {
        node.mistake("expected a URL that begins with http:// or https://");
    }
}

pub(super) fn argv(node: &Node<'_>) -> Option<Vec<String>> {
    let elements = node.list("texts, a program and its arguments")?;
    if elements.is_empty() {
        node.mistake("it needs at least a program");
        return None;
    }
    Some(elements.iter().filter_map(Node::template).collect())
}

/// Headers that the protocol or HTTP itself sets: a value of the file's would break the conversation.
const OURS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

fn headers(node: &Node<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for member in node.map("an object of headers").unwrap_or_default() {
        if is_ours(member.key) {
            node.report.mistake(member.at, format!("the header `{}` is set by the protocol; take it out", member.key));
        }
        let Some(value) = member.node.template() else { continue };
        headers.push(header(&member, value));
    }
    headers
}

/// Whether a header is one that only we can set.
pub(super) fn is_ours(header: &str) -> bool {
    OURS.contains(&header.to_ascii_lowercase().as_str())
}

/// A header of a file. Says what no header can be.
pub(super) fn header(member: &Member<'_>, value: String) -> (String, String) {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let report = member.node.report;
    if member.key.is_empty() || !member.key.chars().all(token) {
        report.mistake(member.at, format!("`{}` cannot be the name of a header", member.key));
    }
    if value.contains(['\r', '\n']) {
        member.node.mistake("it holds a line end, which no header can carry");
    }
    let secret = crate::secret::looks_secret(member.key) || member.key.eq_ignore_ascii_case("authorization");
    if secret && is_literal(&value) {
        report.secret(member.node.at(), member.key);
    }
    (member.key.to_owned(), value)
}

/// Whether a value stands in the file itself.
fn is_literal(value: &str) -> bool {
    !value.is_empty() && template::references(value).is_empty()
}

/// `None` without a usable mode. Every key is asked for in any case.
pub(super) fn shell(fields: &mut Fields<'_>) -> Option<ShellConfig> {
    let given = fields.take("mode");
    if given.is_none() {
        fields.report.mistake(fields.at, r#"a shell entry needs a "mode": "unrestricted", which runs every command, or an object with "allowedPatterns""#);
    }
    let mode = mode::read(given, fields);
    let mut config = ShellConfig::new(mode.clone().unwrap_or(ShellMode::Unrestricted));
    config.cwd = fields.take("cwd").and_then(|node| node.filled_template());
    config.shell = fields.take("shell").and_then(|node| node.filled_template());
    let timeout = fields.take("timeout");
    let given = timeout.as_ref().and_then(Node::duration);
    set(&mut config.timeout, given);
    set(&mut config.max_timeout, fields.take("maxTimeout").and_then(|node| node.duration()));
    if let (Some(node), Some(_), true) = (&timeout, given, config.timeout > config.max_timeout) {
        let longest = config.max_timeout.as_secs_f64();
        node.mistake(&format!("it is longer than `maxTimeout`, which is {longest} s"));
    }
    config.timeout = config.timeout.min(config.max_timeout);
    set(&mut config.max_output, fields.take("maxOutput").and_then(|node| node.whole(MAX_OUTPUT)));
    config.env = fields.take("env").map(|node| env(&node)).unwrap_or_default();
    let login = fields.take("login");
    set(&mut config.login, login.as_ref().and_then(|node| node.one_of(LOGINS)));
    if let (Some(node), Login::Always, Some(ShellMode::Patterns(_))) = (&login, config.login, &mode) {
        node.mistake(
            "start-up files make aliases and functions that no pattern judges; with patterns take \"snapshot\"",
        );
    }
    set(&mut config.spill, fields.take("spill").and_then(|node| node.flag()));
    config.keep = fields.take("keep").map(|node| names(&node)).unwrap_or_default();
    mode.map(|_| config)
}

/// Names of programs.
fn names(node: &Node<'_>) -> Vec<String> {
    let names = node.texts().unwrap_or_default();
    for name in names.iter().filter(|name| name.contains('/')) {
        node.mistake(&format!("`{name}` is no name of a program; give it without a directory, such as \"tmux\""));
    }
    names
}

const LOGINS: &[(&str, Login)] = &[("snapshot", Login::Snapshot), ("always", Login::Always), ("never", Login::Never)];

pub(super) fn inherit_env(node: &Node<'_>) -> Option<InheritEnv> {
    match node.value.data {
        Data::Flag(true) => Some(InheritEnv::All),
        Data::Flag(false) => Some(InheritEnv::Curated),
        Data::List(_) => node.texts().map(InheritEnv::Matching),
        _ => {
            node.mistake("expected true, false, or a list of names such as [\"PG*\"]");
            None
        }
    }
}

pub(super) fn env(node: &Node<'_>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for member in node.map("an object of variables").unwrap_or_default() {
        check_variable(&member);
        let Some(value) = member.node.template() else { continue };
        variables.push(variable(&member, value));
    }
    variables
}

/// Says when a key can be no variable.
pub(super) fn check_variable(member: &Member<'_>) {
    if member.key.is_empty() || member.key.contains(['=', '\0']) {
        member.node.report.mistake(member.at, format!("`{}` cannot be the name of a variable", member.key));
    }
}

/// A variable of a file.
pub(super) fn variable(member: &Member<'_>, value: String) -> (String, String) {
    if crate::secret::looks_secret(member.key) && is_literal(&value) {
        member.node.report.secret(member.node.at(), member.key);
    }
    (member.key.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{EntryKind, HttpTransport, Limits, Restart, file::parse},
        *,
    };

    fn kind(entry: &str) -> EntryKind {
        let (config, _) = parse(&format!("{{\"mcpServers\":{{\"e\":{entry}}}}}"), "t").expect("it has no mistakes");
        config.entries.into_iter().next().expect("there is one").1.kind
    }

    fn mistakes(entry: &str) -> Vec<String> {
        let problems = parse(&format!("{{\"mcpServers\":{{\"e\":{entry}}}}}"), "t").expect_err("it has mistakes");
        problems.into_iter().map(|problem| problem.message.replacen("mcpServers.e.", "", 1)).collect()
    }

    #[test]
    fn every_key_of_a_stdio_entry_is_read() {
        let read = kind(
            r#"{ "command": "${userHome}/x", "args": ["a", "${B:-c}"], "env": { "D": "$${e}" }, "cwd": "/f",
                 "inheritEnv": ["PG*"], "connectTimeout": 1500, "callTimeout": "30s", "maxCallTime": "1h",
                 "probeInterval": 5000, "maxMessage": 2048, "restart": "never", "limits": { "processes": 7 },
                 "lazy": true, "idleStop": "10m", "maxConcurrent": 1 }"#,
        );
        let expected = StdioConfig {
            command: "${userHome}/x".into(),
            args: vec!["a".into(), "${B:-c}".into()],
            env: vec![("D".into(), "$${e}".into())],
            env_file: None,
            unset: Vec::new(),
            cwd: Some("/f".into()),
            inherit_env: InheritEnv::Matching(vec!["PG*".into()]),
            connect_timeout: Some(Duration::from_millis(1500)),
            call_timeout: Duration::from_secs(30),
            max_call_time: Duration::from_secs(3600),
            probe_interval: Duration::from_secs(5),
            max_message: 2048,
            restart: Restart::Never,
            demand: Demand { lazy: true, idle_stop: Some(Duration::from_secs(600)), max_concurrent: Some(1) },
            limits: Limits { processes: Some(7), ..Limits::default() },
        };
        assert_eq!(read, EntryKind::Stdio(expected));
    }

    #[test]
    fn what_a_stdio_entry_leaves_out_keeps_its_default() {
        let expected = StdioConfig::new("x", ["y"]);
        assert_eq!(
            kind(r#"{ "command": "x", "args": ["y"], "inheritEnv": false }"#),
            EntryKind::Stdio(expected.clone())
        );
        let all = StdioConfig { inherit_env: InheritEnv::All, ..expected };
        assert_eq!(kind(r#"{ "command": "x", "args": ["y"], "inheritEnv": true }"#), EntryKind::Stdio(all));
    }

    #[test]
    fn every_key_of_an_http_entry_is_read() {
        let read = kind(
            r#"{ "type": "sse", "url": "${BASE}/sse", "headers": { "Authorization": "Bearer ${env:T}" },
                 "headersHelper": ["get", "${userHome}"], "connectTimeout": 1500, "callTimeout": "30s",
                 "maxCallTime": "1h", "probeInterval": "5s", "maxMessage": 2048, "restart": "never",
                 "lazy": true, "idleStop": 1000, "maxConcurrent": 8 }"#,
        );
        let expected = HttpConfig {
            url: "${BASE}/sse".into(),
            headers: vec![("Authorization".into(), "Bearer ${env:T}".into())],
            headers_helper: Some(vec!["get".into(), "${userHome}".into()]),
            transport: HttpTransport::Sse,
            connect_timeout: Some(Duration::from_millis(1500)),
            call_timeout: Duration::from_secs(30),
            max_call_time: Duration::from_secs(3600),
            probe_interval: Duration::from_secs(5),
            max_message: 2048,
            restart: Restart::Never,
            demand: Demand { lazy: true, idle_stop: Some(Duration::from_secs(1)), max_concurrent: Some(8) },
        };
        assert_eq!(read, EntryKind::Http(expected));
    }

    #[test]
    fn what_no_request_could_carry_is_refused() {
        assert_eq!(
            mistakes(
                r#"{ "url": "ftp://x", "headers": { "A b": "c", "HOST": "d", "E": "f\ng" }, "headersHelper": [] }"#
            ),
            [
                "`url`: expected a URL that begins with http:// or https://",
                "`A b` cannot be the name of a header",
                "the header `HOST` is set by the protocol; take it out",
                "`headers.E`: it holds a line end, which no header can carry",
                "`headersHelper`: it needs at least a program",
            ]
        );
    }

    #[test]
    fn a_command_for_windows_loses_its_shell_elsewhere() {
        let expected = StdioConfig::new(if cfg!(windows) { "cmd" } else { "npx" }, ["-y", "x"]);
        let EntryKind::Stdio(read) = kind(r#"{ "command": "cmd", "args": ["/c", "npx", "-y", "x"] }"#) else {
            panic!("no stdio entry");
        };
        assert_eq!((read.command, read.args.ends_with(&expected.args)), (expected.command, true));
    }

    #[test]
    fn every_key_of_a_shell_entry_is_read() {
        let read = kind(
            r#"{ "type": "shell", "mode": "unrestricted", "cwd": "${workspaceFolder}", "shell": "/bin/bash",
                 "timeout": "1m", "maxTimeout": "2m", "maxOutput": 500, "env": { "A": "b" }, "login": "never",
                 "spill": true, "keep": ["tmux", "ssh-agent"] }"#,
        );
        let expected = ShellConfig {
            cwd: Some("${workspaceFolder}".into()),
            mode: ShellMode::Unrestricted,
            shell: Some("/bin/bash".into()),
            timeout: Duration::from_secs(60),
            max_timeout: Duration::from_secs(120),
            max_output: 500,
            env: vec![("A".into(), "b".into())],
            login: Login::Never,
            spill: true,
            keep: vec!["tmux".into(), "ssh-agent".into()],
        };
        assert_eq!(read, EntryKind::Shell(expected));
    }

    #[test]
    fn a_program_is_kept_by_its_name() {
        let found = mistakes(r#"{ "type": "shell", "mode": "unrestricted", "keep": ["/usr/bin/tmux"] }"#);
        let expected = "`keep`: `/usr/bin/tmux` is no name of a program; give it without a directory, such as \"tmux\"";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_shell_needs_a_mode() {
        assert!(mistakes(r#"{ "type": "shell" }"#)[0].starts_with("a shell entry needs a \"mode\": \"unrestricted\""));
        assert_eq!(
            mistakes(r#"{ "type": "shell", "mode": "safe" }"#),
            [
                "`mode`: expected \"unrestricted\", or an object with \"allowedPatterns\" or \"blockedPatterns\", found \"safe\""
            ]
        );
    }

    #[test]
    fn a_login_shell_for_each_command_cannot_be_judged() {
        let entry = r#"{ "type": "shell", "login": "always", "mode": { "allowedPatterns": ["^ls"] } }"#;
        let found = mistakes(entry);
        assert!(found.len() == 1 && found[0].starts_with("`login`: start-up files make"), "{found:?}");
    }

    #[test]
    fn the_clocks_of_a_shell_fit_each_other() {
        assert_eq!(
            mistakes(r#"{ "type": "shell", "mode": "unrestricted", "timeout": "2m", "maxTimeout": "1m" }"#),
            ["`timeout`: it is longer than `maxTimeout`, which is 60 s"]
        );
        let EntryKind::Shell(shell) = kind(r#"{ "type": "shell", "mode": "unrestricted", "maxTimeout": "1m" }"#) else {
            panic!("no shell");
        };
        assert_eq!(shell.timeout, Duration::from_secs(60));
    }

    #[test]
    fn durations_of_nothing_and_nonsense_are_refused() {
        let found = mistakes(r#"{ "command": "x", "connectTimeout": 0, "callTimeout": "soon", "maxCallTime": true }"#);
        let expected =
            "expected a duration: a whole number of milliseconds, or text such as \"30s\" or \"500ms\", found";
        assert_eq!(
            found,
            [
                "`connectTimeout`: expected a duration above zero".to_owned(),
                format!("`callTimeout`: {expected} \"soon\": it is not a number followed by ms, s, m or h"),
                format!("`maxCallTime`: {expected} true"),
            ]
        );
    }

    #[test]
    fn values_of_variables_are_texts_and_their_names_can_be_names() {
        assert_eq!(
            mistakes(r#"{ "command": "x", "env": { "A": 80, "B": false, "C": null, "D=": "", "E": "${" } }"#),
            [
                "`env.A`: expected a text, found a number; put it in quotes: \"80\"",
                "`env.B`: expected a text, found false; put it in quotes: \"false\"",
                "`env.C`: expected a text, found null",
                "`D=` cannot be the name of a variable",
                "`env.E`: a `${` is not closed; close it with `}`, or write `$${` for a literal `${`",
            ]
        );
    }

    #[test]
    fn commands_and_directories_have_something_in_them_and_no_zero_characters() {
        assert_eq!(
            mistakes(r#"{ "command": " ", "cwd": "", "args": ["", "a\u0000"] }"#),
            [
                "`command`: it is empty",
                "`cwd`: it is empty",
                "`args[1]`: it holds a zero character, which no program can be given",
            ]
        );
    }

    #[test]
    fn the_rest_of_a_stdio_entry_is_checked_as_well() {
        assert_eq!(
            mistakes(r#"{ "command": ["x"], "inheritEnv": "PATH", "maxMessage": 1.5, "restart": true }"#),
            [
                "`command`: expected a text, found a list",
                "`inheritEnv`: expected true, false, or a list of names such as [\"PG*\"]",
                "`maxMessage`: expected a whole number from 1024 to 1073741824, found 1.5",
                "`restart`: expected \"always\" or \"never\", found true",
            ]
        );
    }
}
