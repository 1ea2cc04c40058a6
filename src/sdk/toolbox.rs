//! The tools of one session, as they are at the moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::{
    error::{Result, SdkError},
    group::ToolGroup,
};
use crate::provider::{ToolHandler, ToolProvider, ToolSchema};

/// Handlers by the names of their tools.
pub type ToolHandlers = BTreeMap<String, ToolHandler>;

/// The tools of one session. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Toolbox(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// What was given when the session was attached: static tools, and those of groups.
    fixed: ToolHandlers,
    /// What the platform is told of the fixed ones; nothing when there is nothing to tell it.
    told: Option<Vec<ToolSchema>>,
    /// What was given since. It is asked at each request, so that it may change.
    dynamic: Mutex<Option<Arc<dyn ToolProvider>>>,
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox").field("fixed", &self.0.fixed.keys()).finish_non_exhaustive()
    }
}

impl Toolbox {
    /// Static tools, schemas of tools that somebody else runs, and groups; each name may be there once.
    pub(super) fn new(tools: ToolHandlers, given: Option<Vec<ToolSchema>>, groups: Vec<ToolGroup>) -> Result<Self> {
        let told = (given.is_some() || !groups.is_empty()).then(|| given.unwrap_or_default());
        let mut inner = Inner { fixed: tools, told, dynamic: Mutex::default() };
        let mut namespaces = BTreeSet::new();
        for group in groups {
            if !namespaces.insert(group.namespace().to_owned()) {
                let reason = format!("two groups have the namespace `{}`; each needs its own", group.namespace());
                return Err(SdkError::Tools(reason));
            }
            for (schema, handler) in group.into_tools() {
                inner.add(schema, handler)?;
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Takes these tools in the place of those that were given so before.
    pub(super) fn set_dynamic(&self, provider: Arc<dyn ToolProvider>) {
        let old = self.lock().replace(provider);
        // What it drops with it may take a while, or want the lock.
        drop(old);
    }

    /// What the platform is told, in its words: nothing when there never was anything to tell.
    pub(super) fn schemas(&self) -> Option<Vec<Value>> {
        let dynamic = self.dynamic();
        if dynamic.is_none() && self.0.told.is_none() {
            return None;
        }
        let dynamic = dynamic.map(|provider| usable(provider.as_ref()).0).unwrap_or_default();
        let all = self.0.told.iter().flatten().chain(&dynamic);
        Some(all.filter_map(|schema| serde_json::to_value(schema).ok()).collect())
    }

    /// What runs each tool now.
    pub(super) fn handlers(&self) -> ToolHandlers {
        let mut all = self.0.fixed.clone();
        if let Some(provider) = self.dynamic() {
            all.extend(usable(provider.as_ref()).1);
        }
        all
    }

    fn dynamic(&self) -> Option<Arc<dyn ToolProvider>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn ToolProvider>>> {
        self.0.dynamic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, schema: ToolSchema, handler: ToolHandler) -> Result<()> {
        let taken =
            |kind: &str| SdkError::Tools(format!("there is {kind} `{}` already; rename one of them", schema.name));
        if self.fixed.contains_key(&schema.name) {
            return Err(taken("a tool"));
        }
        let told = self.told.get_or_insert_default();
        if told.iter().any(|known| known.name == schema.name) {
            return Err(taken("a schema of a tool"));
        }
        self.fixed.insert(schema.name.clone(), handler);
        told.push(schema);
        Ok(())
    }
}

/// The tools of a provider that have both a schema and a handler.
fn usable(provider: &dyn ToolProvider) -> (Vec<ToolSchema>, ToolHandlers) {
    let (mut schemas, mut handlers) = (provider.tool_schemas(), provider.tool_handlers());
    schemas.retain(|schema| handlers.contains_key(&schema.name));
    let names: BTreeSet<&str> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    handlers.retain(|name, _| names.contains(name.as_str()));
    (schemas, handlers)
}
