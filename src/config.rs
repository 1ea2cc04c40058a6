//! What a Computer is made of, as plain comparable data, and the file it is written in.

mod address;
mod audit;
mod chrome;
mod derive;
pub mod dialect;
mod document;
mod duration;
mod entry;
mod fields;
pub mod file;
mod flags;
mod keys;
mod kinds;
mod limits;
mod mode;
mod ownership;
mod pattern;
mod policy;
mod problem;
mod program;
#[cfg(feature = "sdk")]
pub mod protocol;
pub mod schema;
mod search;
mod shell;
pub mod template;
mod texts;
pub mod trust;
mod value;
pub mod watch;
mod windows;

use std::{fmt, path::PathBuf, time::Duration};

pub(crate) use self::pattern::Pattern;
pub use self::{
    address::{host_and_port, origin_mistake},
    audit::{AuditArguments, AuditConfig},
    chrome::ChromeLaunchOptions,
    dialect::Dialect,
    file::{LoadError, Loaded, Problem},
    policy::{PatternConfig, PolicyConfig},
    program::{CommandConfig, ProgramConfig, Ready},
    shell::{Login, ShellConfig, ShellMode},
};
pub(crate) use self::{
    flags::{check as check_flag, is_headless, is_no_sandbox},
    program::is_name as is_program_name,
};
pub use crate::{environment::InheritEnv, process::Limits};

use crate::{error::Result, name::Namespace};

/// Everything that a [`Computer`](crate::Computer) is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct ComputerConfig {
    /// The entries in the order in which they were written.
    pub entries: Vec<(Namespace, EntryConfig)>,
    /// The programs that are started and kept beside the entries, by the names that references use: `chrome`,
    /// `chromes.NAME`, and the name itself of any other.
    pub programs: Vec<(String, ProgramConfig)>,
    /// When an entry offers a status tool.
    pub status_tools: StatusTools,
    /// Which rules of model providers the schemas are made to obey.
    pub schema_profile: SchemaProfile,
    /// The longest name of a tool, in characters.
    pub name_limit: usize,
    /// How the daemon offers it.
    pub serve: ServeConfig,
    /// The directory that relative paths and `${workspaceFolder}` mean; the current one when it is not given.
    pub workspace: Option<PathBuf>,
    /// Whether the file may run programs to get values (`${cmd:…}`): the user owns it and named it.
    pub may_run_commands: bool,
}

impl Default for ComputerConfig {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            programs: Vec::new(),
            status_tools: StatusTools::default(),
            schema_profile: SchemaProfile::default(),
            name_limit: 64,
            serve: ServeConfig::default(),
            workspace: None,
            may_run_commands: false,
        }
    }
}

impl ComputerConfig {
    /// A configuration without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`InvalidNamespace`](crate::Error::InvalidNamespace) and [`NamespaceTaken`](crate::Error::NamespaceTaken).
    pub fn with(mut self, namespace: &str, entry: impl Into<EntryConfig>) -> Result<Self> {
        let namespace: Namespace = namespace.parse()?;
        if self.entries.iter().any(|(known, _)| *known == namespace) {
            return Err(crate::Error::NamespaceTaken(namespace.to_string()));
        }
        self.entries.push((namespace, entry.into()));
        Ok(self)
    }

    /// Adds a program that is started before the entries that use it, kept, and stopped after them. A Chrome that is
    /// called `chrome` is what `${chrome.port}` stands for, one that is called `chromes.work` what
    /// `${chromes.work.port}` does.
    ///
    /// # Errors
    /// [`ProgramName`](crate::Error::ProgramName): the name is in use, or is none.
    pub fn with_program(mut self, name: &str, program: impl Into<ProgramConfig>) -> Result<Self> {
        let program = program.into();
        check_program_name(name, matches!(program, ProgramConfig::Chrome(_)))?;
        if self.programs.iter().any(|(known, _)| known == name) {
            return Err(program_name(name, "a program has that name already"));
        }
        self.programs.push((name.to_owned(), program));
        Ok(self)
    }
}

/// Whether a managed program can be called that.
///
/// # Errors
/// [`ProgramName`](crate::Error::ProgramName).
pub(crate) fn check_program_name(name: &str, is_chrome: bool) -> Result<()> {
    let own = if is_chrome { name.strip_prefix("chromes.").unwrap_or(name) } else { name };
    if !is_program_name(own) {
        return Err(program_name(name, "use 1 to 32 letters, digits, `_` or `-`"));
    }
    if is_chrome == (name == "chrome" || own.len() < name.len()) {
        return Ok(());
    }
    let reason = if is_chrome { "call a Chrome `chrome` or `chromes.NAME`" } else { "that is the name of a Chrome" };
    Err(program_name(name, reason))
}

pub(crate) fn program_name(name: &str, reason: &str) -> crate::Error {
    crate::Error::ProgramName { name: name.to_owned(), reason: reason.to_owned() }
}

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

/// When an entry offers a status tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusTools {
    /// While the entry is not up.
    #[default]
    Degraded,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Which rules of model providers the schemas of tools are made to obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaProfile {
    /// Those of all three.
    #[default]
    Safe,
    /// Anthropic's.
    Anthropic,
    /// `OpenAI`'s.
    OpenAi,
    /// Gemini's.
    Gemini,
    /// None: schemas stay as they are.
    None,
}

/// How the daemon offers a Computer.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeConfig {
    /// The longest name of a tool on the MCP fronts, in characters.
    pub name_limit: usize,
    /// How long a first `tools/list` waits for entries that are starting.
    pub list_wait: Duration,
    /// Where it listens for clients over HTTP, as `host:port`; nowhere when it is not given.
    pub http: Option<String>,
    /// What `Host` a request may name, beside the loopback names and the address that it listens on.
    pub allowed_hosts: Vec<String>,
    /// What `Origin` a request may come from, beside our own.
    pub allowed_origins: Vec<String>,
    /// What happens to a server's question when no client is there to be asked.
    pub unattended: Unattended,
    /// What is written down of calls, where records are kept.
    pub audit: AuditConfig,
}

/// What happens to a server's question when no client is there to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unattended {
    /// It is declined.
    #[default]
    Decline,
    /// Forms are accepted with the defaults that they carry, where every required field has one; else declined.
    Defaults,
}

impl Default for ServeConfig {
    fn default() -> Self {
        // Clients prefix names again (`mcp__computer__…`), so that the fronts leave them room.
        Self {
            name_limit: 48,
            list_wait: Duration::from_secs(5),
            http: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            unattended: Unattended::default(),
            audit: AuditConfig::default(),
        }
    }
}
