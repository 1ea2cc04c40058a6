//! What an entry is made of.

use std::{fmt, path::PathBuf, time::Duration};

use super::ShellConfig;
use crate::{environment::InheritEnv, process::Limits};

/// One entry: how it is reached, and what holds for every kind.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryConfig {
    /// How it is reached.
    pub kind: EntryKind,
    /// Registered, but connected only when asked.
    pub deferred: bool,
    /// Registered, but never connected.
    pub disabled: bool,
    /// Whether an agent may bring the entry up through its status tool.
    pub agent_control: bool,
    /// Which of its tools are shown, and how.
    pub tools: ToolFilter,
    /// What its status tool tells an agent that needs it.
    pub diagnostics: Diagnostics,
    /// What the entry is for, in a line.
    pub description: Option<String>,
    /// The key in the file when it is no namespace by itself.
    pub display_name: Option<String>,
}

impl From<EntryKind> for EntryConfig {
    fn from(kind: EntryKind) -> Self {
        Self {
            kind,
            deferred: false,
            disabled: false,
            agent_control: true,
            tools: ToolFilter::default(),
            diagnostics: Diagnostics::default(),
            description: None,
            display_name: None,
        }
    }
}

/// The kinds of entries.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryKind {
    /// A program that speaks MCP on its stdin and stdout.
    Stdio(StdioConfig),
    /// A server that is reached over HTTP.
    Http(HttpConfig),
    /// The built-in shell.
    Shell(ShellConfig),
}

impl EntryKind {
    /// When it is up, and how much is asked of it at a time.
    pub fn demand(&self) -> Demand {
        match self {
            Self::Stdio(config) => config.demand,
            Self::Http(config) => config.demand,
            Self::Shell(_) => Demand::default(),
        }
    }
}

/// A stdio entry. Texts may hold `${…}` references, which are filled in at each start.
#[derive(Clone, PartialEq)]
pub struct StdioConfig {
    /// A path, a program on PATH, or a package.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables on top of the curated environment.
    pub env: Vec<(String, String)>,
    /// A file of further variables, `NAME=value` in each line, which is read at each start. Those in `env` win.
    pub env_file: Option<String>,
    /// Variables that it does not get, wherever they come from.
    pub unset: Vec<String>,
    /// Where it runs; the workspace when it is not given.
    pub cwd: Option<String>,
    /// What it inherits beyond the curated environment.
    pub inherit_env: InheritEnv,
    /// How long it may take to connect; 30 s, or 120 s where a package must be fetched, when it is not given.
    pub connect_timeout: Option<Duration>,
    /// How long a call may stay without progress.
    pub call_timeout: Duration,
    /// How long a call may last in all.
    pub max_call_time: Duration,
    /// After how much silence it is asked for a sign of life; one that stays silent is restarted.
    pub probe_interval: Duration,
    /// The largest message that is read from it, in bytes.
    pub max_message: usize,
    /// Whether it is brought back when it ends by itself.
    pub restart: Restart,
    /// When it is up, and how much is asked of it at a time.
    pub demand: Demand,
    /// What its processes may use.
    pub limits: Limits,
}

impl StdioConfig {
    pub(crate) fn new(command: impl Into<String>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            env_file: None,
            unset: Vec::new(),
            cwd: None,
            inherit_env: InheritEnv::default(),
            connect_timeout: None,
            call_timeout: Duration::from_secs(120),
            max_call_time: Duration::from_secs(30 * 60),
            probe_interval: Duration::from_secs(30),
            max_message: 16 << 20,
            restart: Restart::default(),
            demand: Demand::default(),
            limits: Limits::default(),
        }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets where it runs.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into().to_string_lossy().into_owned());
        self
    }

    /// Sets what its processes may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for StdioConfig {
    /// Without arguments and values of variables: they may be secrets, and what is printed for debugging ends in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&String> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("StdioConfig").field("command", &self.command).field("env", &variables).finish_non_exhaustive()
    }
}

impl From<StdioConfig> for EntryConfig {
    fn from(config: StdioConfig) -> Self {
        EntryKind::Stdio(config).into()
    }
}

/// An HTTP entry. Texts may hold `${…}` references, which are filled in at each connect.
#[derive(Clone, PartialEq)]
pub struct HttpConfig {
    /// Where the server is: `http://…` or `https://…`.
    pub url: String,
    /// What goes with every request to that origin, and to no other.
    pub headers: Vec<(String, String)>,
    /// A program and its arguments that prints a JSON object of further headers; run at connect and after a 401.
    pub headers_helper: Option<Vec<String>>,
    /// How it is spoken to.
    pub transport: HttpTransport,
    /// How long it may take to connect; 30 s when it is not given.
    pub connect_timeout: Option<Duration>,
    /// How long a call may stay without progress.
    pub call_timeout: Duration,
    /// How long a call may last in all.
    pub max_call_time: Duration,
    /// After how much silence it is asked for a sign of life; one that stays silent is restarted.
    pub probe_interval: Duration,
    /// The largest message that is read from it, in bytes.
    pub max_message: usize,
    /// Whether it is connected again when the connection is lost.
    pub restart: Restart,
    /// When it is up, and how much is asked of it at a time.
    pub demand: Demand,
}

/// How an HTTP entry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpTransport {
    /// Streamable HTTP, and the older HTTP+SSE when the server does not know that.
    #[default]
    Auto,
    /// The older HTTP+SSE alone.
    Sse,
}

impl HttpConfig {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            headers_helper: None,
            transport: HttpTransport::default(),
            connect_timeout: None,
            call_timeout: Duration::from_secs(120),
            max_call_time: Duration::from_secs(30 * 60),
            probe_interval: Duration::from_secs(30),
            max_message: 16 << 20,
            restart: Restart::default(),
            demand: Demand::default(),
        }
    }

    /// Sets a header that goes with every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for HttpConfig {
    /// Without the values of headers, and without what a URL may hold beside its place: see `StdioConfig`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        let place = self.url.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("HttpConfig").field("url", &place).field("headers", &headers).finish_non_exhaustive()
    }
}

impl From<HttpConfig> for EntryConfig {
    fn from(config: HttpConfig) -> Self {
        EntryKind::Http(config).into()
    }
}

/// When an entry is up, and how much is asked of it at a time. By default it is up all the time, and asked whatever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Started at its first call. Until then it shows the tools that it had last; it is started once to learn them when
    /// they are not known.
    pub lazy: bool,
    /// Ended after so long without a call, and started again by the next one. Its tools stay listed.
    pub idle_stop: Option<Duration>,
    /// How many calls are sent to it at a time. More wait for their turn, which the clients have one after the other.
    pub max_concurrent: Option<usize>,
}

/// Whether an entry is brought back when it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// With growing delays.
    #[default]
    Always,
    /// Not at all.
    Never,
}

/// Which of an entry's tools are shown, and how. Globs are over the server's own names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolFilter {
    /// Only these, when given.
    pub allow: Option<Vec<String>>,
    /// Not these; wins over `allow`.
    pub deny: Vec<String>,
    /// Own name to shown name.
    pub rename: Vec<(String, String)>,
    /// Own name to shown description.
    pub describe: Vec<(String, String)>,
}

/// What the status tool of an entry tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnostics {
    /// What must be there before the entry can work.
    pub prerequisites: Vec<String>,
    /// What to try when it does not.
    pub suggested_fixes: Vec<String>,
}
