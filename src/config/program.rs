//! Programs that are started and kept beside the entries, as plain data, and as they are written.

use std::{fmt, time::Duration};

use super::{
    ChromeLaunchOptions, InheritEnv, Limits, Restart, chrome,
    entry::{RESTARTS, set},
    fields::{Fields, Member, Node},
    keys::Shape,
    kinds, limits,
};

/// A program that is started and kept beside the entries.
#[derive(Debug, Clone, PartialEq)]
pub enum ProgramConfig {
    /// A Chrome.
    Chrome(ChromeLaunchOptions),
    /// Any other.
    Command(CommandConfig),
}

/// Any program. Texts may hold `${…}` references, which are filled in at each start.
#[derive(Clone, PartialEq)]
pub struct CommandConfig {
    /// A path, a program on PATH, or a package.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables on top of the curated environment.
    pub env: Vec<(String, String)>,
    /// Where it runs; the workspace when it is not given.
    pub cwd: Option<String>,
    /// What it inherits beyond the curated environment.
    pub inherit_env: InheritEnv,
    /// Whether it is brought back when it ends by itself.
    pub restart: Restart,
    /// What its processes may use.
    pub limits: Limits,
    /// How it is known that it can be used; at once when it is not given.
    pub ready: Option<Ready>,
    /// How long that may take.
    pub ready_timeout: Duration,
}

/// How it is known that a program can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It takes connections on that port of 127.0.0.1.
    Port(u16),
    /// It answers a request to that URL, with a status below 400.
    Url(String),
    /// It prints a line, on stdout or stderr, that the regular expression matches.
    Line(String),
    /// A program and its arguments, run again and again until its exit status is 0.
    Command(Vec<String>),
}

impl CommandConfig {
    /// A program that is ready at once.
    pub fn new(command: impl Into<String>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: None,
            inherit_env: InheritEnv::default(),
            restart: Restart::default(),
            limits: Limits::default(),
            ready: None,
            ready_timeout: Duration::from_secs(30),
        }
    }

    /// Every text that is filled in when it is started.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let given = [&self.command].into_iter().chain(&self.args).chain(&self.cwd);
        let check = match &self.ready {
            Some(Ready::Url(url)) => std::slice::from_ref(url),
            Some(Ready::Command(words)) => words.as_slice(),
            Some(Ready::Port(_) | Ready::Line(_)) | None => &[],
        };
        let values = self.env.iter().map(|(_, value)| value);
        given.chain(check).chain(values).map(String::as_str).collect()
    }

    /// Sets how it is known that it can be used.
    #[must_use]
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = Some(ready);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

impl ProgramConfig {
    /// Every text that is filled in when it is started.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Chrome(chrome) => chrome.texts(),
            Self::Command(command) => command.texts(),
        }
    }
}

impl From<ChromeLaunchOptions> for ProgramConfig {
    fn from(chrome: ChromeLaunchOptions) -> Self {
        Self::Chrome(chrome)
    }
}

impl From<CommandConfig> for ProgramConfig {
    fn from(command: CommandConfig) -> Self {
        Self::Command(command)
    }
}

impl fmt::Debug for CommandConfig {
    /// Without arguments and values of variables: see `StdioConfig`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandConfig").field("command", &self.command).finish_non_exhaustive()
    }
}

/// What one program is called among all of them, as references name it.
pub(super) const CHROME: &str = "chrome";

/// Reads the three keys of the root that name programs.
pub(super) fn programs(root: &mut Fields<'_>) -> Vec<(String, ProgramConfig)> {
    let mut programs = Vec::new();
    if let Some(node) = root.take("chrome") {
        programs.extend(read_chrome(&node, node.at()).map(|chrome| (CHROME.to_owned(), chrome.into())));
    }
    let chromes = root.take("chromes").and_then(|node| node.map("an object of Chromes")).unwrap_or_default();
    for member in chromes {
        check_name(&member);
        let chrome = read_chrome(&member.node, member.at);
        programs.extend(chrome.map(|chrome| (format!("chromes.{}", member.key), chrome.into())));
    }
    for (name, _) in &programs {
        root.report.browser(name);
    }
    let others = root.take("managedProcesses").and_then(|node| node.map("an object of programs")).unwrap_or_default();
    for member in others {
        check_name(&member);
        if member.key == CHROME {
            member.node.report.mistake(member.at, "`chrome` is the name of a Chrome; name the program otherwise");
        }
        let Some(mut fields) = member.node.fields(Shape::Program, member.at) else { continue };
        let has_command = fields.has("command");
        let config = command(&mut fields);
        if !has_command {
            fields.report.mistake(member.at, "a managed program needs a `command`");
        }
        fields.finish();
        programs.push((member.key.to_owned(), config.into()));
    }
    programs
}

fn check_name(member: &Member<'_>) {
    if !is_name(member.key) {
        let said = format!("`{}` cannot be the name of a program; use 1 to 32 letters, digits, `_` or `-`", member.key);
        member.node.report.mistake(member.at, said);
    }
}

/// Whether a text can be the name of a managed program: it stands in references and in the names of directories.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=32).contains(&name.len()) && name.chars().all(fits)
}

fn read_chrome(node: &Node<'_>, at: usize) -> Option<ChromeLaunchOptions> {
    let mut fields = node.fields(Shape::Chrome, at)?;
    let chrome = chrome::chrome(&mut fields);
    fields.finish();
    Some(chrome)
}

/// Every key is asked for in any case.
pub(super) fn command(fields: &mut Fields<'_>) -> CommandConfig {
    let given = fields.take("command").and_then(|node| node.filled_template());
    let mut config = CommandConfig::new(given.unwrap_or_default(), Vec::<String>::new());
    if let Some(args) = fields.take("args").and_then(|node| node.list("texts")) {
        config.args = args.iter().filter_map(Node::template).collect();
    }
    config.env = fields.take("env").map(|node| kinds::env(&node)).unwrap_or_default();
    config.cwd = fields.take("cwd").and_then(|node| node.filled_template());
    set(&mut config.inherit_env, fields.take("inheritEnv").and_then(|node| kinds::inherit_env(&node)));
    set(&mut config.restart, fields.take("restart").and_then(|node| node.one_of(RESTARTS)));
    set(&mut config.limits, fields.take("limits").and_then(|node| limits::limits(&node)));
    config.ready = fields.take("ready").and_then(|node| self::ready(&node));
    set(&mut config.ready_timeout, fields.take("readyTimeout").and_then(|node| node.duration()));
    config
}

fn ready(node: &Node<'_>) -> Option<Ready> {
    let mut fields = node.fields(Shape::Ready, node.at())?;
    let found = checks(&mut fields);
    fields.finish();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(check), None) => Some(check),
        (None, _) => {
            node.mistake("it needs one of `port`, `url`, `line` and `command`");
            None
        }
        (Some(_), Some(_)) => {
            node.mistake("it takes one of `port`, `url`, `line` and `command`, not several");
            None
        }
    }
}

/// Every key is asked for in any case.
pub(super) fn checks(fields: &mut Fields<'_>) -> Vec<Ready> {
    let port = fields.take("port").and_then(|node| chrome::port(&node)).map(Ready::Port);
    let url = fields.take("url").and_then(|node| kinds::url(&node)).map(Ready::Url);
    let line = fields.take("line").and_then(|node| line(&node)).map(Ready::Line);
    let command = fields.take("command").and_then(|node| words(&node)).map(Ready::Command);
    [port, url, line, command].into_iter().flatten().collect()
}

fn line(node: &Node<'_>) -> Option<String> {
    let pattern = node.filled_text()?;
    if let Err(error) = regex::Regex::new(pattern) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        node.mistake(&format!("it is no regular expression that can be used: {reason}"));
    }
    Some(pattern.to_owned())
}

/// A program and its arguments, or a line for the shell.
fn words(node: &Node<'_>) -> Option<Vec<String>> {
    if node.value.text().is_some() {
        return node.filled_template().map(|line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line]);
    }
    kinds::argv(node)
}

#[cfg(test)]
mod tests {
    use super::{super::file::parse, *};

    fn programs(text: &str) -> Result<Vec<(String, ProgramConfig)>, Vec<String>> {
        let parsed = parse(text, "t");
        parsed
            .map(|(config, _)| config.programs)
            .map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn programs_have_the_names_that_references_use() {
        let read = programs(
            r#"{ "managedProcesses": { "db": { "command": "x" } }, "chromes": { "b": {}, "a": {} }, "chrome": {},
                 "mcpServers": { "e": { "command": "y", "args": ["${chrome.port}", "${chromes.a.url}"] } } }"#,
        );
        let names: Vec<String> = read.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["chrome", "chromes.b", "chromes.a", "db"]);
    }

    #[test]
    fn every_key_of_a_program_is_read() {
        let read = programs(
            r#"{ "managedProcesses": { "db": { "command": "${userHome}/x", "args": ["a"], "env": { "B": "c" }, "cwd": "/d",
                 "inheritEnv": true, "restart": "never", "limits": { "processes": 7 }, "ready": { "port": 5432 },
                 "readyTimeout": "5s" } } }"#,
        );
        let expected = CommandConfig {
            command: "${userHome}/x".into(),
            args: vec!["a".into()],
            env: vec![("B".into(), "c".into())],
            cwd: Some("/d".into()),
            inherit_env: InheritEnv::All,
            restart: Restart::Never,
            limits: Limits { processes: Some(7), ..Limits::default() },
            ready: Some(Ready::Port(5432)),
            ready_timeout: Duration::from_secs(5),
        };
        assert_eq!(read, Ok(vec![("db".to_owned(), expected.into())]));
    }

    fn ready(ready: &str) -> Result<Option<Ready>, Vec<String>> {
        let text = format!(r#"{{ "managedProcesses": {{ "p": {{ "command": "x", "ready": {ready} }} }} }}"#);
        programs(&text).map(|mut programs| match programs.remove(0).1 {
            ProgramConfig::Command(config) => config.ready,
            other @ ProgramConfig::Chrome(_) => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_program_is_ready_by_a_port_a_url_a_line_or_a_command() {
        assert_eq!(ready(r#"{ "url": "http://127.0.0.1:1/" }"#), Ok(Some(Ready::Url("http://127.0.0.1:1/".into()))));
        assert_eq!(ready(r#"{ "line": "ready\\b" }"#), Ok(Some(Ready::Line("ready\\b".into()))));
        let words = |words: &[&str]| Ok(Some(Ready::Command(words.iter().map(ToString::to_string).collect())));
        assert_eq!(ready(r#"{ "command": ["a", "b c"] }"#), words(&["a", "b c"]));
        assert_eq!(ready(r#"{ "command": "a b" }"#), words(&["/bin/sh", "-c", "a b"]));
    }

    #[test]
    fn mistakes_in_programs_are_told_where_they_stand() {
        let one = |text: &str| ready(text).unwrap_err().join("|");
        let at = "`managedProcesses.p.ready";
        assert_eq!(one("{}"), format!("{at}`: it needs one of `port`, `url`, `line` and `command`"));
        let said = format!("{at}`: it takes one of `port`, `url`, `line` and `command`, not several");
        assert_eq!(one(r#"{ "port": 1, "line": "x" }"#), said);
        assert!(one(r#"{ "line": "(" }"#).starts_with(&format!("{at}.line`: it is no regular expression")));
        assert!(one(r#"{ "url": "ftp://x" }"#).starts_with(&format!("{at}.url`: expected a URL")));
        let found = programs(
            r#"{ "managedProcesses": { "a.b": { "command": "x" }, "chrome": { "command": "x" }, "c": { "args": [] } } }"#,
        );
        let found = found.unwrap_err();
        assert!(found[0].starts_with("`a.b` cannot be the name of a program; "), "{found:?}");
        assert_eq!(
            found[1..],
            [
                "`chrome` is the name of a Chrome; name the program otherwise".to_owned(),
                "a managed program needs a `command`".to_owned(),
            ]
        );
    }

    #[test]
    fn a_reference_to_a_chrome_that_is_not_there_is_a_mistake_where_it_stands() {
        let found = programs(
            r#"{ "chromes": { "work": {} }, "mcpServers": { "e": { "command": "x", "args": ["${chrome.port}"] } } }"#,
        );
        let said =
            "`mcpServers.e.args[0]`: `${chrome.port}`: there is no `chrome` in this config; there is chromes.work";
        assert_eq!(found, Err(vec![said.to_owned()]));
        let found = programs(r#"{ "mcpServers": { "e": { "command": "x", "args": ["${chromes.a.port}"] } } }"#);
        let said = "`mcpServers.e.args[0]`: `${chromes.a.port}`: there is no `chromes.a` in this config; add \
                    \"chromes\": { \"a\": {} }";
        assert_eq!(found, Err(vec![said.to_owned()]));
    }
}
