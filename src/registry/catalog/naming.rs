//! Gives every tool a name that no other has.

use std::collections::HashMap;

use crate::{
    config::SchemaProfile,
    name::{self, Bearer, Namespace},
};

/// The rules for the names of one catalog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming {
    limit: usize,
    /// Whether a name has to begin with a letter or `_`, as Gemini asks. Namespaces may begin with others.
    lettered: bool,
}

impl Naming {
    pub(crate) fn new(limit: usize, profile: SchemaProfile) -> Self {
        Self { limit, lettered: matches!(profile, SchemaProfile::Safe | SchemaProfile::Gemini) }
    }

    /// Whether the names of this namespace get a `_` in front.
    pub(super) fn has_to_letter(self, namespace: &Namespace) -> bool {
        self.lettered && needs_letter(namespace.as_str())
    }

    /// The names of tools, in their order.
    ///
    /// All that collide get a hash. One may then collide with a tool that has the same name by chance or malice, so
    /// that this one gets a hash too: what comes out does not depend on the order.
    pub(crate) fn assign(self, tools: &[Bearer<'_>]) -> Vec<String> {
        let fitted: Vec<_> = tools.iter().map(|&tool| self.fitted(tool)).collect();
        let mut bearers: HashMap<&str, Vec<usize>> = HashMap::with_capacity(tools.len());
        for (tool, fitted) in fitted.iter().enumerate() {
            bearers.entry(&fitted.name).or_default().push(tool);
        }
        let mut hashed: Vec<Option<String>> = vec![None; tools.len()];
        let mut colliding: Vec<usize> = bearers.values().filter(|same| same.len() > 1).flatten().copied().collect();
        while let Some(tool) = colliding.pop() {
            // A name that was changed is the hashed one already.
            if fitted[tool].changed || hashed[tool].is_some() {
                continue;
            }
            let name = self.hashed(tools[tool]);
            colliding.extend(bearers.get(name.as_str()).into_iter().flatten());
            hashed[tool] = Some(name);
        }
        hashed.into_iter().zip(fitted).map(|(hashed, fitted)| hashed.unwrap_or(fitted.name)).collect()
    }

    fn fitted(self, tool: Bearer<'_>) -> name::Fitted {
        let mut fitted = tool.fit(self.room(tool.namespace));
        fitted.name = self.begun(tool.namespace, fitted.name);
        fitted
    }

    fn hashed(self, tool: Bearer<'_>) -> String {
        self.begun(tool.namespace, tool.hashed(self.room(tool.namespace)))
    }

    fn room(self, namespace: &Namespace) -> usize {
        if self.has_to_letter(namespace) { self.limit.saturating_sub(1) } else { self.limit }
    }

    fn begun(self, namespace: &Namespace, name: String) -> String {
        if self.has_to_letter(namespace) { lettered(&name) } else { name }
    }
}

/// The name with a `_` in front, so that it begins as Gemini wants. No namespace begins with one: it stays unmistakable.
pub(super) fn lettered(name: &str) -> String {
    format!("_{name}")
}

fn needs_letter(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
