//! What a host plugs into a server SDK: tools with their schemas and handlers.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::{
    computer::{AddOptions, ComputerHealth, EnsureReady, EntryHealth},
    config::EntryConfig,
    error::Result,
};

/// Something that has tools for an agent.
pub trait ToolProvider: Send + Sync {
    /// The tools as they are now, sorted by name.
    fn tool_schemas(&self) -> Vec<ToolSchema>;

    /// What runs each tool. A handler reaches its tool by name at each call, so that it outlives a restart.
    fn tool_handlers(&self) -> BTreeMap<String, ToolHandler>;

    /// Tells when the set of tools has changed; `None` when it never does.
    fn changes(&self) -> Option<Changes> {
        None
    }

    /// The provider as one whose entries can be changed, if it is one.
    fn as_dynamic(&self) -> Option<&dyn DynamicMcpProvider> {
        None
    }

    /// The provider as one that knows its health, if it is one.
    fn as_device(&self) -> Option<&dyn DeviceProvider> {
        None
    }
}

/// A boxed future that may borrow its provider.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A provider that knows how its entries are.
pub trait DeviceProvider: ToolProvider {
    /// How everything is, probed now.
    fn health(&self) -> Promise<'_, ComputerHealth>;

    /// Brings up what should be up and is not.
    fn ensure_ready(&self) -> Promise<'_, EnsureReady>;
}

/// A provider whose entries can be changed while it runs.
pub trait DynamicMcpProvider: ToolProvider {
    /// Adds an entry; see [`Computer::add_entry`](crate::Computer::add_entry).
    fn add_entry(&self, namespace: &str, entry: EntryConfig, options: AddOptions) -> Promise<'_, Result<()>>;

    /// Removes an entry; nothing happens when there is none.
    fn remove_entry(&self, namespace: &str) -> Promise<'_, ()>;

    /// Closes an entry and connects it anew.
    fn restart_entry(&self, namespace: &str) -> Promise<'_, Result<EntryHealth>>;

    /// Whether there is an entry of that name.
    fn has_entry(&self, namespace: &str) -> bool;
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSchema {
    /// Its name, with its namespace.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub input_schema: Value,
    /// The JSON Schema of its structured result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

/// Why a tool gave no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// What went wrong.
    pub message: String,
    /// Whether the same call may succeed a little later.
    pub retryable: bool,
}

impl ToolError {
    /// An error that calling again will not mend.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false }
    }
}

impl From<crate::Error> for ToolError {
    fn from(error: crate::Error) -> Self {
        Self { retryable: error.is_retryable(), message: error.to_string() }
    }
}

/// Runs a tool. Cheap to clone.
#[derive(Clone)]
pub struct ToolHandler(Arc<Run>);

type Run = dyn Fn(Map<String, Value>) -> Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send>> + Send + Sync;

impl ToolHandler {
    /// A handler from an async function.
    pub fn new<F, R>(run: F) -> Self
    where
        F: Fn(Map<String, Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        Self(Arc::new(move |arguments| Box::pin(run(arguments))))
    }

    /// Runs the tool. Dropping the future takes the call back.
    ///
    /// # Errors
    /// What kept the tool from giving a result. A result that says that the tool failed is none: see
    /// [`Computer::call`](crate::Computer::call).
    pub async fn call(&self, arguments: Map<String, Value>) -> Result<Value, ToolError> {
        (self.0)(arguments).await
    }
}

impl fmt::Debug for ToolHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToolHandler(..)")
    }
}

/// A tool with its handler.
#[derive(Debug, Clone)]
pub struct DynamicTool {
    /// What a model sees.
    pub schema: ToolSchema,
    /// What runs it.
    pub handler: ToolHandler,
}

impl ToolProvider for Vec<DynamicTool> {
    fn tool_schemas(&self) -> Vec<ToolSchema> {
        self.iter().map(|tool| tool.schema.clone()).collect()
    }

    fn tool_handlers(&self) -> BTreeMap<String, ToolHandler> {
        self.iter().map(|tool| (tool.schema.name.clone(), tool.handler.clone())).collect()
    }
}

impl<T: ToolProvider + ?Sized> ToolProvider for Arc<T> {
    fn tool_schemas(&self) -> Vec<ToolSchema> {
        (**self).tool_schemas()
    }

    fn tool_handlers(&self) -> BTreeMap<String, ToolHandler> {
        (**self).tool_handlers()
    }

    fn changes(&self) -> Option<Changes> {
        (**self).changes()
    }

    fn as_dynamic(&self) -> Option<&dyn DynamicMcpProvider> {
        (**self).as_dynamic()
    }

    fn as_device(&self) -> Option<&dyn DeviceProvider> {
        (**self).as_device()
    }
}

/// Tells when a set of tools has changed.
#[derive(Debug, Clone)]
pub struct Changes(pub(crate) watch::Receiver<u64>);

impl Changes {
    /// Returns when the tools differ from when it was asked last; `None` when they never will again. Changes in
    /// between are told once. Cancel safe.
    pub async fn next(&mut self) -> Option<()> {
        self.0.changed().await.ok()
    }
}
