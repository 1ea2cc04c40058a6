//! Names of namespaces and tools: the only place that knows how they are joined.

use std::{fmt, str::FromStr, sync::Arc};

use crate::error::{Error, Result};

const SEPARATOR: &str = "__";
const MAX_NAMESPACE: usize = 32;

/// The name of an entry: `[A-Za-z0-9_-]`, 1–32 characters, no `__`, no `_` at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if !text.chars().all(is_plain) {
            "it holds other characters"
        } else if text.chars().count() > MAX_NAMESPACE {
            "it is too long"
        } else if text.contains(SEPARATOR) {
            "it holds `__`, which separates namespace and tool"
        } else if text.starts_with('_') || text.ends_with('_') {
            "it begins or ends with `_`"
        } else {
            return Ok(Self(text.into()));
        };
        Err(Error::InvalidNamespace { text: text.to_owned(), reason: reason.to_owned() })
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Whether a character may stand in a name as it is.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
