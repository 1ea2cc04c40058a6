//! The Computer as a provider of tools.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{AddOptions, Computer, ComputerHealth, EnsureReady, EntryHealth};
use crate::{
    config::EntryConfig,
    error::Result,
    provider::{
        Changes, DeviceProvider, DynamicMcpProvider, Promise, ToolError, ToolHandler, ToolProvider, ToolSchema,
    },
};

impl ToolProvider for Computer {
    fn tool_schemas(&self) -> Vec<ToolSchema> {
        let registry = self.board().registry();
        registry.own().listed().iter().filter_map(|listed| serde_json::from_str(listed.definition.get()).ok()).collect()
    }

    fn tool_handlers(&self) -> BTreeMap<String, ToolHandler> {
        let registry = self.board().registry();
        registry.own().listed().iter().map(|listed| (listed.name.clone(), self.handler(&listed.name))).collect()
    }

    fn changes(&self) -> Option<Changes> {
        Some(self.changes())
    }

    fn as_dynamic(&self) -> Option<&dyn DynamicMcpProvider> {
        Some(self)
    }

    fn as_device(&self) -> Option<&dyn DeviceProvider> {
        Some(self)
    }
}

impl Computer {
    /// A handler knows its tool by name alone: whichever connection is there when it is called gets the call.
    fn handler(&self, name: &str) -> ToolHandler {
        let (computer, name) = (self.clone(), name.to_owned());
        ToolHandler::new(move |arguments: Map<String, Value>| {
            let (computer, name) = (computer.clone(), name.clone());
            async move {
                let called = computer.call(&name, &Value::Object(arguments)).await;
                called.map_err(|error| ToolError { message: error.of_call(&name), retryable: error.is_retryable() })
            }
        })
    }
}

impl DeviceProvider for Computer {
    fn health(&self) -> Promise<'_, ComputerHealth> {
        Box::pin(self.health())
    }

    fn ensure_ready(&self) -> Promise<'_, EnsureReady> {
        Box::pin(self.ensure_ready())
    }
}

impl DynamicMcpProvider for Computer {
    fn add_entry(&self, namespace: &str, entry: EntryConfig, options: AddOptions) -> Promise<'_, Result<()>> {
        let namespace = namespace.to_owned();
        Box::pin(async move { self.add_entry(&namespace, entry, options).await })
    }

    fn remove_entry(&self, namespace: &str) -> Promise<'_, ()> {
        let namespace = namespace.to_owned();
        Box::pin(async move { self.remove_entry(&namespace).await })
    }

    fn restart_entry(&self, namespace: &str) -> Promise<'_, Result<EntryHealth>> {
        let namespace = namespace.to_owned();
        Box::pin(async move { self.restart_entry(&namespace).await })
    }

    fn has_entry(&self, namespace: &str) -> bool {
        self.has_entry(namespace)
    }
}
