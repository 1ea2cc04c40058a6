//! The one face of whatever stands behind a namespace.

mod notices;
mod turns;
mod value;

use std::{fmt, future::Future, ops::Range, pin::Pin, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
pub(crate) use notices::{Heard, Listener, Notice, Notices};
pub(crate) use turns::{Place, TOO_MANY, Turns};

/// Something that has tools, and may have more: an MCP session, the shell.
///
/// A face has no power over the life of what it shows: when that has ended, every method fails with a typed error.
pub(crate) trait Source: Send + Sync + 'static {
    /// The tools as they are now.
    fn tools(&self) -> Arc<ToolList>;

    /// What else it lists, as it is now.
    fn listings(&self) -> Arc<Listings> {
        Arc::default()
    }

    /// What the server says that it can do: the JSON object of its capabilities.
    fn capabilities(&self) -> Option<Arc<RawValue>> {
        None
    }

    /// Sends a call, and returns a future of its answer.
    ///
    /// The call has been handed over when this method returns; the future only waits. Dropping it takes the call
    /// back (the server is told, a command's process tree is ended). `None` when there is nobody any more to take the
    /// call: it may be given to whoever comes next. [`is_open`](Self::is_open) is false from then on.
    fn call(self: Arc<Self>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>>;

    /// Whether a call that was taken may turn out to have reached nobody, so that it should be kept for whoever comes
    /// next.
    fn may_miss(&self) -> bool {
        false
    }

    /// Whether a text holds a value that must not be seen, and so must not be kept.
    fn has_secret_in(&self, _text: &str) -> bool {
        false
    }

    /// How its calls take turns, where not all are sent at once.
    fn turns(&self) -> Option<&Turns> {
        None
    }

    /// Passes a notification of a client on.
    fn notify(&self, _method: &str, _params: Option<&RawValue>) {}

    /// Asks for a sign of life, and waits 3 s for it at most. Cancel safe.
    fn probe(self: Arc<Self>) -> Waiting<()>;

    /// What it did when it was asked for a sign of life, if it gave none and has said nothing since.
    fn silence(&self) -> Option<String> {
        None
    }

    /// Whether it can still be called. It may have ended a moment before its state says so.
    fn is_open(&self) -> bool {
        true
    }

    /// What health says of it.
    fn about(&self) -> About;
}

/// What everybody but its owner sees of a source that is up.
pub(crate) type Face = Arc<dyn Source>;

/// A boxed future that borrows nothing.
pub type Waiting<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// One list of tools as a source gave it, with what had to be left out.
#[derive(Debug, Default)]
pub(crate) struct ToolList {
    /// The usable tools, in the order of the source.
    pub(crate) tools: Vec<Tool>,
    /// Tools that could not be used and why, in words for health.
    pub(crate) problems: Vec<String>,
    /// How many those are.
    pub(crate) lost: usize,
    /// Those of them whose names are known.
    pub(crate) left_out: Vec<LeftOut>,
}

/// A tool that its source has and that cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct LeftOut {
    /// The source's own name for it.
    pub(crate) tool: String,
    pub(crate) reason: String,
}

/// A tool: its raw definition and the few fields that routing needs.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    /// The source's own name for it.
    pub(crate) name: String,
    /// The whole definition as the source gave it, unknown fields and key order included.
    pub(crate) raw: Arc<RawValue>,
    /// Whether calling it twice is the same as calling it once: it declares `readOnlyHint` or `idempotentHint`.
    pub(crate) repeatable: bool,
}

/// What a source lists beside its tools.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    pub(crate) prompts: Vec<Item>,
    pub(crate) resources: Vec<Item>,
    pub(crate) templates: Vec<Item>,
    /// What had to be left out and why, in words for health.
    pub(crate) problems: Vec<String>,
}

/// Something that a source lists: its raw definition and what it is known by.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The name of a prompt, the URI of a resource, the URI template of a template.
    pub(crate) key: String,
    /// The whole definition as the source gave it.
    pub(crate) raw: Arc<RawValue>,
}

/// A request on its way, most often a call of a tool: what only passes by is not parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The method of the protocol.
    pub(crate) method: &'a str,
    /// The source's own name for the tool or prompt, for a method that has one.
    pub(crate) name: Option<&'a str>,
    /// A JSON object.
    pub(crate) arguments: Option<&'a RawValue>,
    /// The `_meta` of the caller's request, a JSON object.
    pub(crate) meta: Option<&'a RawValue>,
    /// Every other parameter of the caller's request, as it was given.
    pub(crate) rest: &'a [(&'a str, &'a RawValue)],
}

/// The method that calls a tool.
pub(crate) const CALL_TOOL: &str = "tools/call";

/// A request that is kept, because it cannot go out now or may go out twice.
#[derive(Debug, Clone)]
pub(crate) struct KeptCall {
    method: String,
    name: Option<String>,
    arguments: Option<Box<RawValue>>,
    meta: Option<Box<RawValue>>,
    rest: Vec<(String, Box<RawValue>)>,
}

impl<'a> Call<'a> {
    /// A request without parameters.
    pub(crate) fn of(method: &'a str) -> Self {
        Self { method, name: None, arguments: None, meta: None, rest: &[] }
    }

    pub(crate) fn keep(self) -> KeptCall {
        KeptCall {
            method: self.method.to_owned(),
            name: self.name.map(ToOwned::to_owned),
            arguments: self.arguments.map(ToOwned::to_owned),
            meta: self.meta.map(ToOwned::to_owned),
            rest: self.rest.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }
}

impl KeptCall {
    /// Whether it has the entry work, so that it waits for its turn: what is only told, or asked about work under way,
    /// does not.
    pub(crate) fn is_work(&self) -> bool {
        matches!(self.method.as_str(), CALL_TOOL | "prompts/get" | "resources/read" | "completion/complete")
    }

    /// Does something with it as it was, and with further parameters.
    pub(crate) fn with<T>(&self, more: &[(&str, &RawValue)], use_it: impl FnOnce(Call<'_>) -> T) -> T {
        let known = self.rest.iter().filter(|(name, _)| more.iter().all(|(new, _)| new != name));
        let rest: Vec<(&str, &RawValue)> =
            known.map(|(name, value)| (name.as_str(), &**value)).chain(more.iter().copied()).collect();
        use_it(Call {
            method: &self.method,
            name: self.name.as_deref(),
            arguments: self.arguments.as_deref(),
            meta: self.meta.as_deref(),
            rest: &rest,
        })
    }
}

/// Something that a server wants to know from whoever made a call: an elicitation, a sampling, the roots.
#[derive(Debug, Clone)]
pub struct Question {
    /// The method, such as `elicitation/create`.
    pub method: String,
    /// Its parameters, a JSON object; none when the server gave none.
    pub params: Option<Box<RawValue>>,
}

/// Answers the questions of servers about a call. A function from a [`Question`] to a future is one.
pub trait Respond: Send + Sync {
    /// Whether it can be asked this just now. Over stdio a server does not say which call it means: then only calls
    /// whose callers can be asked come into question.
    fn can(&self, _question: &Question) -> bool {
        true
    }

    /// Asks it. Dropping the future takes the question back. An [`Error::Server`](crate::Error::Server) reaches the
    /// server as it is.
    fn ask(&self, question: Question) -> Waiting<Answer>;
}

impl<F: Fn(Question) -> Waiting<Answer> + Send + Sync> Respond for F {
    fn ask(&self, question: Question) -> Waiting<Answer> {
        self(question)
    }
}

/// Whoever answers the questions of servers.
pub type Ask = Arc<dyn Respond>;

/// Receives the raw `params` of a notification that belongs to a call.
///
/// It is called where the server's messages are read, in wire order and before the answer is delivered: it must not block.
pub type Sink = Arc<dyn Fn(&RawValue) + Send + Sync>;

/// What goes beside a call: where its progress goes, and how it is taken back. The default goes nowhere.
#[derive(Clone, Default)]
pub struct CallContext {
    /// Takes the call back when it is cancelled.
    pub cancel: Option<CancellationToken>,
    /// Gets the `params` of each `notifications/progress`. The token in it is ours, not the caller's.
    pub progress: Option<Sink>,
    /// Gets the `params` of each `notifications/message` that the server sends while the call is in flight.
    pub log: Option<Sink>,
    /// Answers what the server wants to know meanwhile. Without it the configuration's `serve.unattended` decides.
    pub ask: Option<Ask>,
    /// What `ask` can answer, as an MCP client declares its capabilities: a JSON object.
    pub capabilities: Option<Arc<RawValue>>,
    /// From which level on the caller wants to see log messages, such as `info`.
    pub log_level: Option<Arc<str>>,
    /// Whether the caller deals with `input_required` results itself instead of being asked through `ask`.
    pub input_required: bool,
    /// Tells the client apart for which the call is made: clients have their turns one after the other where an entry
    /// takes only so many calls at a time. Calls without it are those of one client.
    pub client: Option<u64>,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("progress", &self.progress.is_some())
            .field("log", &self.log.is_some())
            .field("ask", &self.ask.is_some())
            .finish_non_exhaustive()
    }
}

/// The `CallToolResult` of a call as the server sent it, byte for byte.
#[derive(Clone)]
pub struct Answer {
    line: Arc<str>,
    result: Range<usize>,
    typed: bool,
}

impl Answer {
    /// An answer inside a longer text, which is kept instead of copied.
    ///
    /// `typed` says whether the server speaks a generation in which a result says its own `resultType`.
    pub(crate) fn within(line: Arc<str>, result: Range<usize>, typed: bool) -> Self {
        Self { line, result, typed }
    }

    /// An answer that is this JSON.
    pub fn raw(result: &RawValue) -> Self {
        let line: Arc<str> = result.get().into();
        Self { result: 0..line.len(), line, typed: false }
    }

    /// An answer that we made.
    pub(crate) fn made(result: &impl Serialize) -> Self {
        let line: Arc<str> = serde_json::to_string(result).expect("our own results are plain JSON").into();
        Self { result: 0..line.len(), line, typed: false }
    }

    /// The JSON text of the result.
    pub fn get(&self) -> &str {
        &self.line[self.result.clone()]
    }

    /// Whether the result comes from a server of 2026-07-28 or later, so that it may hold a `resultType`.
    pub fn is_typed(&self) -> bool {
        self.typed
    }

    /// What an agent gets: the structured content, else the text, else the parts; `{ "error": … }` for a tool that
    /// says that it failed.
    pub fn to_handler_value(&self) -> serde_json::Value {
        value::handler_value(self.get())
    }

    /// The result as a JSON value; null where a number in it is larger than a `Value` can hold.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(self.get()).unwrap_or_default()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.get()).finish()
    }
}

/// What health says of a source beyond its state.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct About {
    /// The process at the root of it.
    pub(crate) pid: Option<u32>,
    /// The name and version that the server gave, as JSON.
    pub(crate) server_info: Option<serde_json::Value>,
    /// What the server says about using it.
    pub(crate) instructions: Option<String>,
    /// The protocol generation that was agreed on.
    pub(crate) protocol: Option<String>,
    /// The command line as it was resolved.
    pub(crate) command: Option<String>,
    /// What is odd about it: noise on stdout, messages skipped.
    pub(crate) problems: Vec<String>,
}
