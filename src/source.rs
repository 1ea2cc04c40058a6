//! The one face of whatever stands behind a namespace.

mod value;

use std::{fmt, future::Future, ops::Range, pin::Pin, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::error::Result;

/// Something that has tools: an MCP session, the shell.
///
/// A face has no power over the life of what it shows: when that has ended, every method fails with a typed error.
pub(crate) trait Source: Send + Sync + 'static {
    /// The tools as they are now.
    fn tools(&self) -> Arc<ToolList>;

    /// Sends a call, and returns a future of its answer.
    ///
    /// The call has been handed over when this method returns; the future only waits. Dropping it takes the call
    /// back (the server is told, a command's process tree is ended). `None` when there is nobody any more to take the
    /// call: it may be given to whoever comes next. [`is_open`](Self::is_open) is false from then on.
    fn call(self: Arc<Self>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>>;

    /// Asks for a sign of life. Cancel safe.
    fn probe(self: Arc<Self>) -> Waiting<()>;

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

/// A call on its way: what only passes by is not parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The source's own name for the tool.
    pub(crate) tool: &'a str,
    /// A JSON object.
    pub(crate) arguments: Option<&'a RawValue>,
    /// The `_meta` of the caller's request, a JSON object.
    pub(crate) meta: Option<&'a RawValue>,
    /// Every other parameter of the caller's request, as it was given.
    pub(crate) rest: &'a [(&'a str, &'a RawValue)],
}

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
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("progress", &self.progress.is_some())
            .field("log", &self.log.is_some())
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
    /// The protocol generation that was agreed on.
    pub(crate) protocol: Option<String>,
    /// The command line as it was resolved.
    pub(crate) command: Option<String>,
    /// The last lines of its stderr.
    pub(crate) last_stderr: Option<String>,
    /// What is odd about it: noise on stdout, messages skipped.
    pub(crate) problems: Vec<String>,
}
