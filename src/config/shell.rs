//! What a shell entry is made of.

use std::{fmt, path::PathBuf, time::Duration};

use super::{EntryConfig, EntryKind, PolicyConfig};

/// A shell entry. Texts may hold `${…}` references, which are filled in at each start.
#[derive(Clone, PartialEq)]
pub struct ShellConfig {
    /// Where commands run; the workspace when it is not given.
    pub cwd: Option<String>,
    /// Which commands run.
    pub mode: ShellMode,
    /// The shell to use instead of the user's.
    pub shell: Option<String>,
    /// How long a command may take unless the call says otherwise.
    pub timeout: Duration,
    /// The longest that a call may ask for.
    pub max_timeout: Duration,
    /// How many characters of each stream are kept.
    pub max_output: usize,
    /// Variables on top of the user's environment.
    pub env: Vec<(String, String)>,
    /// Whose environment commands run in.
    pub login: Login,
    /// Whether the whole output of a command is kept in a file when its result holds only a part.
    pub spill: bool,
    /// Programs, by name, that go on until the host ends when a command has left them running as daemons, such as
    /// `tmux`. All else that a command leaves ends with the entry.
    pub keep: Vec<String>,
}

/// Whose environment the commands of a shell run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// The user's, as their login and interactive shell told it last: commands do not pay for its start-up files.
    #[default]
    Snapshot,
    /// Each command runs in a login and interactive shell of its own, with the functions that its start-up files make.
    Always,
    /// The daemon's.
    Never,
}

impl ShellConfig {
    pub(crate) fn new(mode: ShellMode) -> Self {
        Self {
            cwd: None,
            mode,
            shell: None,
            timeout: Duration::from_secs(300),
            max_timeout: Duration::from_secs(30 * 60),
            max_output: 100_000,
            env: Vec::new(),
            login: Login::default(),
            spill: false,
            keep: Vec::new(),
        }
    }

    /// Sets where commands run.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into().to_string_lossy().into_owned());
        self
    }

    /// Sets which programs outlive the entry when a command has left them running as daemons.
    #[must_use]
    pub fn keep(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keep = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long a command may take unless the call says otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for ShellConfig {
    /// Without values of variables: see `StdioConfig`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&String> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("ShellConfig").field("mode", &self.mode).field("env", &variables).finish_non_exhaustive()
    }
}

impl From<ShellConfig> for EntryConfig {
    fn from(config: ShellConfig) -> Self {
        EntryKind::Shell(config).into()
    }
}

/// Which commands the shell runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShellMode {
    /// All of them.
    Unrestricted,
    /// Those that the patterns let pass.
    Patterns(PolicyConfig),
}
