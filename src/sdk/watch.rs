//! Resources of a session whose values somebody here wants to know.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde_json::Value;

/// What is called with a value, if there is one.
type OnUpdate = Arc<dyn Fn(Option<&Value>) + Send + Sync>;

/// Somebody who wants to know the values of a resource.
#[derive(Clone)]
pub struct Resource {
    name: String,
    on_update: OnUpdate,
}

impl Resource {
    /// Calls `on_update` with each value of the resource, if it has one, before the event is told. What takes time belongs elsewhere:
    /// the stream waits. A panic is noted in the log and changes nothing.
    pub fn new(name: impl Into<String>, on_update: impl Fn(Option<&Value>) + Send + Sync + 'static) -> Self {
        Self { name: name.into(), on_update: Arc::new(on_update) }
    }

    /// Tells a value to whoever watches the resource of that name; of several, the last.
    pub(super) fn tell(watched: &[Self], name: &str, value: Option<&Value>) {
        let Some(resource) = watched.iter().rev().find(|resource| resource.name == name) else { return };
        let told = catch_unwind(AssertUnwindSafe(|| (resource.on_update)(value)));
        if told.is_err() {
            tracing::warn!(resource = name, "whoever watches a resource has panicked");
        }
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("name", &self.name).finish_non_exhaustive()
    }
}
