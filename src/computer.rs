//! The machine: entries, started and kept, and their tools.

mod apply;
mod board;
mod control;
pub(crate) mod dispatch;
mod event;
mod health;
mod known;
mod memory;
mod plan;
mod problems;
mod programs;
mod provide;
mod records;
pub(crate) mod relay;
mod reload;
mod states;
mod status_tool;
mod wake;
mod words;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, value::RawValue};
use tokio::{
    runtime::Handle as Runtime,
    sync::{Semaphore, broadcast},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use apply::Applied;
pub(crate) use board::Board;
use board::Owner;
pub(crate) use dispatch::Params;
pub use event::{Event, Events};
pub use health::{ComputerHealth, EnsureReady, EntryHealth, ProgramHealth, RetryDegraded};
pub use plan::{EntryPlan, ProgramPlan};

use crate::{
    chrome::{self, ChromeInstance},
    config::{ChromeLaunchOptions, ComputerConfig, HttpConfig, ShellConfig, ShellMode, StdioConfig},
    environment,
    error::Result,
    process::{self, runs::Hold},
    provider::Changes,
    records::EntryLog,
    secret::Secrets,
    source::{Answer, CallContext, Waiting},
};

/// A machine for an agent: entries behind namespaces, started, watched and brought back.
///
/// Cheap to clone: all clones are one machine. When the last one is dropped, everything that it started is ended in
/// the background; [`stop`](Self::stop) waits for it.
///
/// ```no_run
/// # async fn example() -> mcp_computer::Result<()> {
/// use mcp_computer::{Computer, ComputerConfig, ShellMode};
///
/// let config = ComputerConfig::new()
///     .with("files", Computer::stdio("@modelcontextprotocol/server-filesystem", ["."]))?
///     .with("shell", Computer::shell(ShellMode::Unrestricted))?;
/// let computer = Computer::new(config);
/// for error in computer.start().await?.errors {
///     eprintln!("{error}");
/// }
/// let files = computer.call("files__list_directory", &serde_json::json!({ "path": "." })).await?;
/// println!("{files}");
/// computer.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Computer {
    inner: Arc<Inner>,
}

struct Inner {
    board: Arc<Board>,
    programs: programs::Programs,
    settings: Mutex<Arc<ComputerConfig>>,
    /// Why the configuration as it is written now was not applied.
    refused: Mutex<Vec<String>>,
    /// The turn of whoever changes the configuration. Nobody else waits for it.
    applying: Semaphore,
    /// The tasks of the current run; none before `start` and after `stop`.
    run: Mutex<Option<Run>>,
    /// The tasks of the run that was stopped last, and those of its programs: whoever stops meanwhile waits for them
    /// too.
    ending: Mutex<Option<[TaskTracker; 2]>>,
    /// Entries that were removed and may not be gone yet: whoever stops is in a hurry for them too.
    leaving: Mutex<Vec<crate::supervisor::Handle<crate::source::Face>>>,
    meter: health::Meter,
    /// What processes use, as it was measured last.
    used: records::Used,
    /// What several callers want at the same time is done once.
    ready: health::Once<EnsureReady>,
    retry: health::Once<RetryDegraded>,
}

/// One life of a Computer, from `start` to `stop`.
#[derive(Clone)]
struct Run {
    tasks: TaskTracker,
    /// Those of the programs, which leave when the others are done.
    programs: TaskTracker,
    stop: CancellationToken,
    begun: Instant,
    /// Something may be dropped where no runtime is.
    runtime: Runtime,
    _guard: Arc<DropGuard>,
    /// Between two processes there is a record of this process, too.
    _hold: Arc<Hold>,
}

/// What came of a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// `"<namespace>: <message>"` for each entry that could not be connected. They are tried again by themselves.
    pub errors: Vec<String>,
}

/// How an entry is added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// Only registers it; `restart_entry` connects it.
    pub deferred: bool,
}

impl Computer {
    /// A Computer that is made of `config`. Does no I/O.
    pub fn new(config: ComputerConfig) -> Self {
        let board = Arc::new(Board::new(&config));
        board.book().set_audit(config.serve.audit);
        for (namespace, entry) in &config.entries {
            board.register(namespace, entry.clone(), Owner::Config);
        }
        let inner = Inner {
            programs: programs::Programs::new(&board, &config),
            board,
            settings: Mutex::new(Arc::new(config)),
            refused: Mutex::default(),
            applying: Semaphore::new(1),
            run: Mutex::default(),
            ending: Mutex::default(),
            leaving: Mutex::default(),
            meter: Arc::default(),
            used: records::Used::default(),
            ready: health::Once::default(),
            retry: health::Once::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// An entry for a program that speaks MCP on its stdin and stdout: a path, a program on PATH, or a package.
    pub fn stdio(command: impl Into<String>, args: impl IntoIterator<Item = impl Into<String>>) -> StdioConfig {
        StdioConfig::new(command, args)
    }

    /// An entry for a server that is reached over HTTP.
    pub fn http(url: impl Into<String>) -> HttpConfig {
        HttpConfig::new(url)
    }

    /// An entry for the built-in shell.
    pub fn shell(mode: ShellMode) -> ShellConfig {
        ShellConfig::new(mode)
    }

    /// Launches a Chrome with its debugging protocol on a port of 127.0.0.1, and returns when it can be controlled.
    ///
    /// Nobody keeps it until it is given to a Computer with [`managed`](Self::managed). Cancel safe: one that is given up
    /// is killed.
    ///
    /// # Errors
    /// [`Error::Chrome`](crate::Error::Chrome) for each of the things that can be wrong, with its cure.
    pub async fn launch_chrome(options: ChromeLaunchOptions) -> Result<ChromeInstance> {
        process::runs::keep_in(environment::state_home());
        chrome::launch(&options, "launched", (&Secrets::default(), &EntryLog::default())).await
    }

    /// Calls a tool by its whole name, and returns what an agent gets.
    ///
    /// That is the structured content of the result if there is one, else its text (parsed when it is a JSON object,
    /// list or number), else its parts; `{ "error": … }` for a result that says that the tool failed. Dropping the
    /// future takes the call back.
    ///
    /// # Errors
    /// The tool is unknown, the arguments are no object, the entry is not up or died, or the server refused.
    pub async fn call(&self, name: &str, arguments: &Value) -> Result<Value> {
        self.call_with(name, arguments, CallContext::default()).await
    }

    /// [`call`](Self::call), with progress, log messages and cancellation.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`Cancelled`](crate::Error::Cancelled).
    pub async fn call_with(&self, name: &str, arguments: &Value, context: CallContext) -> Result<Value> {
        let arguments = dispatch::checked(name, arguments)?;
        let answer = self.call_raw(name, Some(&arguments), context).await?;
        Ok(answer.to_handler_value())
    }

    /// Calls a tool and returns the server's whole `CallToolResult`, untouched.
    ///
    /// `arguments` is the JSON text of an object; it goes to the server as it is. When this returns the call is on its
    /// way; the future only waits, and dropping it takes the call back.
    pub fn call_raw(&self, name: &str, arguments: Option<&RawValue>, context: CallContext) -> Waiting<Answer> {
        let registry = self.inner.board.registry();
        dispatch::call(&registry, &self.inner.board, name, (dispatch::Params::only(arguments), context))
    }

    /// The definition of each tool as it is offered, sorted by name: all that the server said of it, repaired where
    /// model providers would refuse it.
    pub fn catalog(&self) -> Vec<Box<RawValue>> {
        let registry = self.inner.board.registry();
        registry.own().listed().iter().map(|listed| listed.definition.as_ref().to_owned()).collect()
    }

    /// The definitions of the tools of one entry, as [`catalog`](Self::catalog) has them.
    ///
    /// # Errors
    /// [`UnknownNamespace`](crate::Error::UnknownNamespace).
    pub fn catalog_of(&self, namespace: &str) -> Result<Vec<Box<RawValue>>> {
        self.entry_health(namespace)?;
        let registry = self.inner.board.registry();
        let own = registry.own().listed().iter().filter(|listed| listed.route.namespace.as_str() == namespace);
        Ok(own.map(|listed| listed.definition.as_ref().to_owned()).collect())
    }

    /// The namespace of the entry that a tool's whole name leads to, if there is one.
    pub fn entry_of(&self, tool: &str) -> Option<String> {
        let board = &self.inner.board;
        let listed = board.registry().route(tool).map(|(_, listed)| listed.route.namespace.clone());
        listed.or_else(|| crate::name::namespace_of(tool, &board.namespaces())).map(|namespace| namespace.to_string())
    }

    /// Tells when the set of tools has changed.
    pub fn changes(&self) -> Changes {
        Changes(self.inner.board.generation())
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events::new(self.inner.board.events())
    }

    /// What it is made of: what it was made with, or what was applied last.
    pub fn config(&self) -> Arc<ComputerConfig> {
        self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.inner.board
    }

    /// For how long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.run().map(|run| run.begun.elapsed()).unwrap_or_default()
    }

    fn run(&self) -> Option<Run> {
        self.inner.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Computer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Computer").field("entries", &self.entries()).finish_non_exhaustive()
    }
}

/// How many events a slow listener may lag behind before it loses some.
const EVENTS: usize = 256;

fn event_channel() -> broadcast::Sender<Event> {
    broadcast::Sender::new(EVENTS)
}
