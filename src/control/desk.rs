//! The daemon's side: what each verb does.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    protocol::{Code, Refusal, VERSION},
    save,
    verbs::{Add, Call, LogsOf, Nothing, Remove, Verb, Which, read},
};
use crate::{
    computer::{AddOptions, Computer, Event, Events},
    config::{Dialect, file, watch::Origin},
    process,
    records::{LogLine, Logs},
    source::{CallContext, Caller},
};

/// What can be asked of a daemon, and asking it. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

struct Inner {
    computer: Computer,
    origin: Option<Origin>,
    /// The file that `save` writes to, or why there is none.
    own_file: Result<PathBuf, String>,
    identity: Option<String>,
    begun: Instant,
    leave: CancellationToken,
    /// The turn of whoever writes to the file.
    saving: Semaphore,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// Tells those who ask apart.
    number: u64,
    name: Arc<str>,
}

impl Who {
    /// Somebody else than everybody before. No client of MCP has such a number.
    pub(crate) fn new(name: &str) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1 << 48);
        Self { number: NUMBERS.fetch_add(1, Ordering::Relaxed), name: name.into() }
    }
}

/// The outcome of a verb: JSON.
pub(crate) type Outcome = Result<Box<RawValue>, Refusal>;

/// Tools as they are offered.
#[derive(Serialize)]
struct Tools<'a> {
    tools: &'a [Box<RawValue>],
}

/// What a daemon says of itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hello<'a> {
    version: &'static str,
    protocol: u32,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<PathBuf>,
    uptime_ms: u64,
    entries: Vec<String>,
}

impl Control {
    /// Control of a Computer. It goes by no file, and nothing is saved.
    pub fn new(computer: &Computer) -> Self {
        Self(Arc::new(Inner {
            computer: computer.clone(),
            origin: None,
            own_file: Err("the built-in config is in no file; `computer init` writes one".to_owned()),
            identity: None,
            begun: Instant::now(),
            leave: CancellationToken::new(),
            saving: Semaphore::new(1),
        }))
    }

    /// Control of a Computer that goes by a file: `reload` reads it again, and what is to be saved is written there if it
    /// is a file of our own.
    pub fn of_file(computer: &Computer, origin: Option<Origin>, dialect: Dialect, identity: &str) -> Self {
        let new = Self::new(computer);
        let own_file = match &origin {
            Some(origin) if dialect == Dialect::Computer => Ok(origin.path().to_owned()),
            Some(origin) => Err(format!(
                "`{}` is a file of {}, which is never written to; one of our own can be (`computer init` writes one)",
                origin.path().display(),
                dialect.program()
            )),
            None => new.0.own_file.clone(),
        };
        let inner = Inner {
            computer: computer.clone(),
            origin,
            own_file,
            identity: Some(identity.to_owned()),
            begun: Instant::now(),
            leave: CancellationToken::new(),
            saving: Semaphore::new(1),
        };
        Self(Arc::new(inner))
    }

    /// Returns when somebody has asked the daemon to leave. Cancel safe.
    pub async fn left(&self) {
        self.0.leave.cancelled().await;
    }

    pub(crate) fn computer(&self) -> &Computer {
        &self.0.computer
    }

    /// Does what is asked by `who`. Dropping the future takes a call back; what changes the Computer is done all the same.
    pub(crate) async fn answer(&self, who: &Who, verb: &str, args: Option<&RawValue>) -> Outcome {
        let asked = Verb::read(verb, args)?;
        let (changes, target) = (asked.changes(), asked.target());
        let outcome = self.done(who, asked).await;
        if changes {
            let noted = outcome.as_ref().map(drop).map_err(|refusal| refusal.message.as_str());
            self.computer().audit_control(&who.name, (verb, target.as_deref()), noted);
        }
        outcome
    }

    async fn done(&self, who: &Who, verb: Verb) -> Outcome {
        match verb {
            Verb::Hello => made(&self.hello()),
            Verb::Status => made(&self.computer().health().await),
            Verb::Tools(tools) => self.tools(tools.namespace.as_deref()),
            Verb::Call(call) => self.call(who, &call).await,
            Verb::Add(add) => self.add(add).await,
            Verb::Remove(remove) => self.remove(remove).await,
            Verb::Restart(one) => made(&self.computer().restart_entry(&one.namespace).await?),
            Verb::StopEntry(one) => {
                self.computer().stop_entry(&one.namespace).await?;
                made(&self.computer().entry_health(&one.namespace)?)
            }
            Verb::Retry(Which { namespace: None }) => made(&self.computer().retry_degraded().await),
            Verb::Ready(Which { namespace: None }) => made(&self.computer().ensure_ready().await),
            Verb::Retry(Which { namespace: Some(one) }) | Verb::Ready(Which { namespace: Some(one) }) => {
                self.bring_up(&one).await
            }
            Verb::Reload => self.reload().await,
            Verb::Shutdown => {
                self.0.leave.cancel();
                made(&serde_json::json!({}))
            }
        }
    }

    /// What a verb follows; nothing when it is one that follows nothing.
    pub(crate) fn follow(&self, verb: &str, args: Option<&RawValue>) -> Result<Option<Follow>, Refusal> {
        match verb {
            "events" => {
                let Nothing {} = read(verb, args)?;
                Ok(Some(Follow::Events(self.computer().events())))
            }
            "logs" => {
                let LogsOf { namespace, lines, follow } = read(verb, args)?;
                let logs = self.computer().logs(&namespace)?;
                let mut recent: VecDeque<LogLine> = logs.recent().into();
                let most = lines.unwrap_or(usize::MAX);
                recent.drain(..recent.len().saturating_sub(most));
                Ok(Some(Follow::Logs { recent, logs: follow.then_some(logs) }))
            }
            _ => Ok(None),
        }
    }

    fn hello(&self) -> Hello<'_> {
        Hello {
            version: env!("CARGO_PKG_VERSION"),
            protocol: VERSION,
            pid: std::process::id(),
            identity: self.0.identity.as_deref(),
            config: self.0.origin.as_ref().map(|origin| origin.path().to_owned()),
            uptime_ms: u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            entries: self.computer().entries(),
        }
    }

    /// As they are: nothing of them goes through a parser that might change it.
    fn tools(&self, namespace: Option<&str>) -> Outcome {
        let tools = match namespace {
            Some(namespace) => self.computer().catalog_of(namespace)?,
            None => self.computer().catalog(),
        };
        made(&Tools { tools: &tools })
    }

    async fn call(&self, who: &Who, call: &Call) -> Outcome {
        if call.start
            && let Some(namespace) = self.computer().entry_of(&call.name)
            && self.computer().entry_health(&namespace)?.state == "deferred"
            && namespace.parse().is_ok_and(|namespace| call.name != crate::status_tool(&namespace))
        {
            self.computer().restart_entry(&namespace).await?;
        }
        let arguments = call.arguments.as_deref().filter(|arguments| arguments.get() != "null");
        let caller = Caller { number: who.number, name: who.name.clone(), front: "control" };
        let context = CallContext { caller: Some(caller), client: Some(who.number), ..CallContext::default() };
        let answer = self.computer().call_raw(&call.name, arguments, context).await?;
        if call.value {
            return made(&answer.to_handler_value());
        }
        RawValue::from_string(answer.get().to_owned()).map_err(|error| Refusal::new(Code::Failed, error.to_string()))
    }

    /// Brings one entry up that is not, whatever keeps it down.
    async fn bring_up(&self, namespace: &str) -> Outcome {
        let health = self.computer().entry_health(namespace)?;
        if health.healthy {
            return made(&health);
        }
        made(&self.computer().restart_entry(namespace).await?)
    }

    async fn add(&self, add: Add) -> Outcome {
        let Add { namespace, entry, deferred, save } = add;
        let text = serde_json::json!({ "mcpServers": { &namespace: entry } }).to_string();
        let (config, _) = file::parse(&text, "entry").map_err(|problems| {
            let problems: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
            Refusal::new(Code::Config, format!("the entry has mistakes: {}", problems.join("; ")))
        })?;
        let taken = || Refusal::new(Code::Config, "an entry is needed".to_owned());
        let (derived, parsed) = config.entries.into_iter().next().ok_or_else(taken)?;
        if derived.as_str() != namespace {
            let words = format!("`{namespace}` is no namespace; write it as `{derived}`");
            return Err(Refusal::new(Code::Invalid, words));
        }
        let file = if save { Some(self.own_file()?) } else { None };
        if self.computer().has_entry(&namespace) {
            return Err(crate::error::Error::NamespaceTaken(namespace).into());
        }
        if let Some(file) = file {
            let mut written = entry;
            if deferred && let Some(entry) = written.as_object_mut() {
                entry.insert("deferred".to_owned(), true.into());
            }
            self.save(save::Change::Add(namespace.clone(), written), file).await?;
            // As the file has it: it belongs to that from now on.
            self.reload().await?;
        } else {
            self.computer().add_entry(&namespace, parsed, AddOptions { deferred }).await?;
        }
        made(&self.computer().entry_health(&namespace)?)
    }

    async fn remove(&self, remove: Remove) -> Outcome {
        let Remove { namespace, save } = remove;
        let file = if save { Some(self.own_file()?) } else { None };
        // It may be in the file alone, removed by hand before.
        let is_there = self.computer().entry_health(&namespace);
        if file.is_none() {
            is_there?;
        }
        if let Some(file) = file {
            self.save(save::Change::Remove(namespace.clone()), file).await?;
            self.reload().await?;
        }
        self.computer().remove_entry(&namespace).await;
        made(&serde_json::json!({}))
    }

    fn own_file(&self) -> Result<PathBuf, Refusal> {
        self.0.own_file.clone().map_err(|reason| Refusal::new(Code::Config, format!("cannot save: {reason}")))
    }

    async fn save(&self, change: save::Change, file: PathBuf) -> Result<(), Refusal> {
        // One after the other: each changes what the one before has written.
        let _turn = self.0.saving.acquire().await;
        let saved = process::blocking(move || save::save(&file, &change)).await;
        saved.unwrap_or_else(|| Err(Refusal::new(Code::Failed, "saving failed")))
    }

    async fn reload(&self) -> Outcome {
        match &self.0.origin {
            Some(origin) => {
                let refused = |error: file::LoadError| {
                    Refusal::new(Code::Config, format!("the config is not applied, what held before holds:\n{error}"))
                };
                made(&self.computer().reload(origin).await.map_err(refused)?)
            }
            // No file, but it may refer to values that have changed.
            None => made(&self.computer().apply(self.computer().config().as_ref().clone()).await),
        }
    }
}
fn made(value: &impl Serialize) -> Outcome {
    to_raw_value(value).map_err(|error| Refusal::new(Code::Failed, error.to_string()))
}

/// Something that is followed.
pub(crate) enum Follow {
    Events(Events),
    Logs {
        /// What was said before.
        recent: VecDeque<LogLine>,
        /// What is said from now on, if that is wanted.
        logs: Option<Logs>,
    },
}

impl Follow {
    /// The next of it as JSON; nothing at its end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Box<RawValue>> {
        match self {
            Self::Events(events) => {
                let event: Event = events.next().await?;
                to_raw_value(&event).ok()
            }
            Self::Logs { recent, logs } => {
                let line = match recent.pop_front() {
                    Some(line) => line,
                    None => logs.as_mut()?.next().await?,
                };
                to_raw_value(&line).ok()
            }
        }
    }
}
