//! What a Computer is made of, as plain comparable data, and the file it is written in.

mod address;
mod audit;
mod chrome;
mod derive;
pub mod dialect;
mod document;
mod duration;
mod entries;
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

use std::{path::PathBuf, time::Duration};

pub(crate) use self::pattern::Pattern;
pub use self::{
    address::{host_and_port, origin_mistake},
    audit::{AuditArguments, AuditConfig},
    chrome::ChromeLaunchOptions,
    dialect::Dialect,
    entries::{
        Demand, Diagnostics, EntryConfig, EntryKind, HttpConfig, HttpTransport, Restart, StdioConfig, ToolFilter,
    },
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
