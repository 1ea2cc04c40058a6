//! What can go wrong, in words that name the act, the thing and the cure.

mod chrome;

use std::time::Duration;

pub use chrome::ChromeError;

/// The result of whatever this library does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of the library.
///
/// An error is plain data and can be cloned: the state of an entry carries the error that put it there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that can be no namespace.
    #[error(
        "`{text}` is no namespace: {reason}; use 1 to 32 letters, digits, `-` or single `_`, with no `_` at either end"
    )]
    InvalidNamespace {
        /// What was given.
        text: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// `add_entry` with a namespace that is in use.
    #[error("cannot add entry `{0}`: the namespace exists already; remove it first or choose another name")]
    NamespaceTaken(String),
    /// An entry that is not there.
    #[error("no entry is named `{name}`; {}", known_entries(.known))]
    UnknownNamespace {
        /// What was asked for.
        name: String,
        /// The namespaces that exist.
        known: Vec<String>,
    },
    /// A tool that is not in the catalog.
    #[error("unknown tool `{name}`{}", did_you_mean(.nearest))]
    UnknownTool {
        /// What was asked for.
        name: String,
        /// Names in the catalog that are close to it, the nearest first.
        nearest: Vec<String>,
    },
    /// A tool that its server has and that is not offered.
    #[error(
        "cannot call `{name}`: the server of entry `{namespace}` has the tool `{tool}`, but it is left out: {reason}"
    )]
    ToolLeftOut {
        /// What was asked for.
        name: String,
        /// The entry.
        namespace: String,
        /// The server's own name for the tool.
        tool: String,
        /// Why it is left out, with the cure.
        reason: String,
    },
    /// A configuration that cannot be used: every mistake in it.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// Arguments that the tool cannot be called with.
    #[error("cannot call `{tool}`: {reason}")]
    Arguments {
        /// The tool.
        tool: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The program of an entry was not found anywhere.
    #[error("`{command}` was not found; {hint} (looked in {searched})")]
    CommandNotFound {
        /// The command as it was written.
        command: String,
        /// What to do about it.
        hint: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The operating system refused to start a program.
    #[error("cannot start `{command}`: {reason}")]
    Spawn {
        /// The program.
        command: String,
        /// The system's reason, with the cure where there is one.
        reason: String,
    },
    /// A variable or file that the configuration of the entry refers to is missing.
    #[error("cannot fill in `{reference}`: {reason}")]
    Template {
        /// The reference as written.
        reference: String,
        /// Why it has no value.
        reason: String,
    },
    /// The server ended before it could be used, or while a call was in flight.
    #[error("the server {how}{}{}", what_is_next(*.outlook), last_lines(.stderr))]
    Ended {
        /// How it ended: `exited with status 7`, `closed its output`, …
        how: String,
        /// The last lines of its stderr.
        stderr: String,
        /// What becomes of it, for those whose calls it takes along.
        outlook: Outlook,
    },
    /// The server, or what it started, used more than the `limits` of the entry allow, and was ended for that.
    #[error("the server was ended: {}", excess(*.limit, *.used, *.allowed))]
    LimitExceeded {
        /// Which limit.
        limit: Limit,
        /// How much was used, in the unit of the limit.
        used: u64,
        /// How much the limit allows.
        allowed: u64,
    },
    /// The server does not speak the protocol as it must.
    #[error("{act} failed: {reason}{}", last_lines(.stderr))]
    Protocol {
        /// What was being done.
        act: String,
        /// What the server did instead.
        reason: String,
        /// The last lines of its stderr.
        stderr: String,
    },
    /// Something did not happen in time.
    #[error("{act} took longer than {}{}; {cure}{}", seconds(.after), silently(*.silent), last_lines(.stderr))]
    Timeout {
        /// What was being done.
        act: String,
        /// The clock that ran out.
        after: Duration,
        /// Whether the clock is one that progress resets.
        silent: bool,
        /// What to do about it.
        cure: String,
        /// The last lines of its stderr.
        stderr: String,
    },
    /// The entry is not up, so that it cannot be called. Calling again later may work.
    #[error("entry `{namespace}` is {state}{}{}", aside(.cure.as_ref()), because(.reason.as_ref()))]
    NotReady {
        /// The entry.
        namespace: String,
        /// Its state.
        state: String,
        /// What keeps it from being up, in the words of its health.
        reason: Option<String>,
        /// How long the call has waited for it, when it is tried again, what to do.
        cure: Option<String>,
    },
    /// The server of an HTTP entry cannot be reached, or the connection was lost.
    #[error("{act} {url} failed: {reason}")]
    Http {
        /// What was being done: `connecting to`, `calling`, …
        act: String,
        /// The address without what may be secret in it.
        url: String,
        /// What happened, with the cure where there is one.
        reason: String,
        /// What is known of the request.
        delivery: Delivery,
    },
    /// The server wants credentials that it was not given.
    #[error("{url} wants credentials: {cure}")]
    NeedsAuth {
        /// The address without what may be secret in it.
        url: String,
        /// What to do.
        cure: String,
    },
    /// A value that the configuration asks for is not there.
    #[error("it needs `{input}`: {cure}")]
    NeedsInput {
        /// What is asked for.
        input: String,
        /// What to do.
        cure: String,
    },
    /// The server answered a request with a JSON-RPC error.
    #[error("{message}")]
    Server {
        /// The JSON-RPC error code.
        code: i64,
        /// The server's words.
        message: String,
        /// The server's data, as JSON text.
        data: Option<String>,
    },
    /// The server's message was larger than the entry allows.
    #[error("the answer is larger than {limit} bytes, the `maxMessage` of this entry; ask for less or raise it")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The server has stopped reading what it is sent.
    #[error("the server does not read its input: {queued} bytes wait to be read; restart the entry")]
    NotReading {
        /// What waits.
        queued: usize,
    },
    /// It could not be written down that the call begins, and calls that are not written down are not to be made.
    #[error(
        "the call was not made: the audit log cannot be written ({reason}), and the configuration requires it \
         (`serve.audit`)"
    )]
    Unrecorded {
        /// What keeps it from being written.
        reason: String,
    },
    /// The caller took the call back.
    #[error("the call was cancelled")]
    Cancelled,
    /// No entry could be started.
    #[error("no entry could be started:\n{}", .0.join("\n"))]
    AllFailed(Vec<String>),
    /// A Chrome cannot be launched, or has ended.
    #[error(transparent)]
    Chrome(#[from] ChromeError),
    /// A managed program ended, before it was ready or later.
    #[error("the program {how}{}", last_lines(.output))]
    ProgramEnded {
        /// How it ended: `exited with status 7`, …
        how: String,
        /// The last lines that it printed.
        output: String,
    },
    /// A name for a managed program that is none, or is in use.
    #[error("cannot manage a program as `{name}`: {reason}")]
    ProgramName {
        /// What was given.
        name: String,
        /// What is wrong with it, and the cure.
        reason: String,
    },
    /// The unit's own code panicked. The daemon lives on.
    #[error("internal error while serving this entry: {0}; please report it")]
    Panicked(String),
}

/// What becomes of a server that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Outlook {
    /// It is said elsewhere: by the state of the entry.
    #[default]
    Unsaid,
    /// It is started again by itself after that time.
    Again(Duration),
    /// It has failed so often that it is tried again after that time only.
    Rarely(Duration),
    /// Its configuration keeps it from being started again by itself.
    Never,
    /// Somebody has stopped, restarted or removed its entry.
    Asked,
}

/// A limit on what the processes of an entry use, by its key in `limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The memory of all of them together, in MiB.
    MemoryMb,
    /// How many they are.
    Processes,
    /// The processor time of one of them, in seconds.
    CpuSeconds,
}

/// What is known of a request over HTTP that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It certainly has not reached the server.
    Unsent,
    /// It may have reached the server, and the server may have done what it asks.
    Unknown,
    /// The server has refused it.
    Refused,
}

impl Error {
    /// A server has ended.
    pub(crate) fn ended(how: impl Into<String>, stderr: impl Into<String>) -> Self {
        Self::Ended { how: how.into(), stderr: stderr.into(), outlook: Outlook::Unsaid }
    }

    /// A server was ended because somebody wanted it so.
    pub(crate) fn ended_as_asked(how: &str) -> Self {
        Self::ended(how, "").with_outlook(Outlook::Asked)
    }

    /// The same, for those whose calls a server takes along: they want to know what becomes of it.
    pub(crate) fn with_outlook(self, outlook: Outlook) -> Self {
        match self {
            Self::Ended { how, stderr, .. } => Self::Ended { how, stderr, outlook },
            other => other,
        }
    }

    /// Whether the same call may well succeed a little later: the entry was down or died, nothing is wrong with the call.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Ended { .. }
                | Self::LimitExceeded { .. }
                | Self::Http { .. }
                | Self::NotReady { .. }
                | Self::NotReading { .. }
        )
    }

    /// Whether it is about an entry, and neither names it nor is in the server's own words.
    pub(crate) fn is_of_entry(&self) -> bool {
        !matches!(
            self,
            Self::Server { .. }
                | Self::UnknownTool { .. }
                | Self::ToolLeftOut { .. }
                | Self::UnknownNamespace { .. }
                | Self::Arguments { .. }
                | Self::NotReady { .. }
                | Self::Cancelled
        )
    }

    /// What is told to whoever called a tool by that name.
    pub(crate) fn of_call(&self, tool: &str) -> String {
        if self.is_of_entry() { format!("cannot call `{tool}`: {self}") } else { self.to_string() }
    }

    /// Whether trying again cannot help until the configuration or the machine changes.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Chrome(error) => error.is_permanent(),
            _ => matches!(self, Self::CommandNotFound { .. } | Self::Template { .. } | Self::Config(_)),
        }
    }
}

fn known_entries(known: &[String]) -> String {
    if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) }
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!("; did you mean {}?", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")),
    }
}

fn last_lines(stderr: &str) -> String {
    if stderr.trim().is_empty() { String::new() } else { format!("; its last words on stderr:\n{}", stderr.trim_end()) }
}

fn excess(limit: Limit, used: u64, allowed: u64) -> String {
    let (key, what) = match limit {
        // The system itself has let it have no more.
        Limit::MemoryMb if used <= allowed => {
            ("memoryMb", format!("it and what it started used {used} MiB of memory and asked for more"))
        }
        Limit::MemoryMb => ("memoryMb", format!("it and what it started used {used} MiB of memory")),
        Limit::Processes => ("processes", format!("it and what it started were {used} processes")),
        Limit::CpuSeconds => ("cpuSeconds", format!("it, or what it started, used {used} s of processor time")),
    };
    format!("{what}, and `limits.{key}` allows {allowed}; raise it if the server needs more")
}

fn because(reason: Option<&String>) -> String {
    reason.map(|r| format!(": {r}")).unwrap_or_default()
}

// Not at the end: a reason may end with what a server said.
fn aside(cure: Option<&String>) -> String {
    cure.map(|cure| format!(" ({cure})")).unwrap_or_default()
}

/// What becomes of a server that has ended, and what to do.
fn what_is_next(outlook: Outlook) -> String {
    match outlook {
        Outlook::Unsaid => String::new(),
        Outlook::Again(after) => format!(
            "; it is started again by itself in {}: see what the call has done before you call again, and should it go \
            on ending, run its command by hand (`computer check` shows it)",
            seconds(&after)
        ),
        Outlook::Rarely(after) => format!(
            "; it has failed too often in a row and is tried again in {} only: mend the cause and restart the entry",
            seconds(&after)
        ),
        Outlook::Never => {
            "; it is not started again by itself (`restart` is `never`): mend the cause and restart the entry"
                .to_owned()
        }
        Outlook::Asked => "; its entry was stopped, restarted or removed: call again if it is to be up".to_owned(),
    }
}

fn seconds(after: &Duration) -> String {
    if after.subsec_millis() == 0 { format!("{} s", after.as_secs()) } else { format!("{} ms", after.as_millis()) }
}

fn silently(silent: bool) -> &'static str {
    if silent { " without a sign of life" } else { "" }
}
