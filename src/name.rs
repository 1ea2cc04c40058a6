//! Names of namespaces and tools: the only place that knows how they are joined.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

pub(crate) const SEPARATOR: &str = "__";
const MAX_NAMESPACE: usize = 32;
/// Five bytes are eight characters of base32: enough to tell a few thousand tools apart, short enough to be copied.
const HASHED_BYTES: usize = 5;
const HASH_LENGTH: usize = 8;
/// What an entry's status tool is called behind the namespace.
pub(crate) const STATUS: &str = "status";

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

impl Borrow<str> for Namespace {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The name of a tool for those who see more than one namespace: `namespace__tool`.
///
/// Characters of the tool's name that may not stand in a name become `_`. How long it is, is up to the caller.
pub fn join(namespace: &Namespace, tool: &str) -> String {
    let clean = tool.chars().map(|c| if is_plain(c) { c } else { '_' });
    namespace.as_str().chars().chain(SEPARATOR.chars()).chain(clean).collect()
}

/// A joined name that keeps to a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fitted {
    /// The name.
    pub(crate) name: String,
    /// Whether it had to become another one than `namespace__tool`, so that it ends in a hash.
    pub(crate) changed: bool,
}

/// A tool that is to get a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer<'a> {
    pub(crate) namespace: &'a Namespace,
    /// What it is to be called.
    pub(crate) shown: &'a str,
    /// What its server calls it, which no other tool of the server is called.
    pub(crate) own: &'a str,
}

impl Bearer<'_> {
    /// The joined name if it is one as it stands and within `limit` characters, else the [`hashed`](Self::hashed) one.
    pub(crate) fn fit(self, limit: usize) -> Fitted {
        let name = join(self.namespace, self.shown);
        // Joined names are ASCII, so that bytes are characters.
        if name.len() <= limit && self.shown.chars().all(is_plain) {
            Fitted { name, changed: false }
        } else {
            Fitted { name: self.hashed(limit), changed: true }
        }
    }

    /// The joined name cut to make room for a hash of namespace and own tool name, so that it depends on nothing else.
    ///
    /// A `limit` under nine characters cannot be kept: the hash with its `_` is all that is left then.
    pub(crate) fn hashed(self, limit: usize) -> String {
        let mut digest = Sha256::new();
        digest.update(self.namespace.as_str());
        digest.update([0]);
        digest.update(self.own);
        let hash = data_encoding::BASE32_NOPAD.encode(&digest.finalize()[..HASHED_BYTES]);

        let mut name = join(self.namespace, self.shown);
        name.truncate(limit.saturating_sub(HASH_LENGTH + 1));
        name.push('_');
        name.push_str(&hash.to_ascii_lowercase());
        name
    }
}

/// The name that a tool which is shown as its server calls it fits in.
#[cfg(test)]
pub(crate) fn fit(namespace: &Namespace, tool: &str, limit: usize) -> Fitted {
    Bearer { namespace, shown: tool, own: tool }.fit(limit)
}

/// The hashed name of a tool that is shown as its server calls it.
#[cfg(test)]
pub(crate) fn hashed(namespace: &Namespace, tool: &str, limit: usize) -> String {
    Bearer { namespace, shown: tool, own: tool }.hashed(limit)
}

/// The name of an entry's status tool.
pub fn status_tool(namespace: &Namespace) -> String {
    join(namespace, STATUS)
}

/// The name with `-` and `_` made equal, because models confuse them.
pub(crate) fn loosened(name: &str) -> String {
    name.replace('-', "_")
}

/// What somebody who wrote this name may have meant by it: a namespace, if there seems to be one, and a tool.
///
/// For suggestions only. The way back from a name to its tool is the catalog, never a split.
pub(crate) fn guess(name: &str) -> (Option<&str>, &str) {
    name.split_once(SEPARATOR).map_or((None, name), |(namespace, tool)| (Some(namespace), tool))
}

/// Whether a character may stand in a name as it is.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Which of the known namespaces a tool's name belongs to, by its beginning.
pub fn namespace_of(name: &str, known: &[Namespace]) -> Option<Namespace> {
    // A name that had to be made to fit begins with `_` before a digit.
    let matches = |namespace: &&Namespace| {
        [name, name.strip_prefix('_').unwrap_or(name)].iter().any(|name| {
            loosened(name).strip_prefix(&loosened(namespace.as_str())).is_some_and(|rest| rest.starts_with(SEPARATOR))
        })
    };
    known.iter().filter(matches).max_by_key(|namespace| namespace.as_str().len()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(text: &str) -> Namespace {
        text.parse().unwrap()
    }

    #[test]
    fn a_plain_name_is_joined_as_it_is_even_when_it_holds_the_separator() {
        assert_eq!(join(&namespace("files"), "read-file"), "files__read-file");
        assert_eq!(join(&namespace("a"), "b__c"), "a__b__c");
        assert_eq!(fit(&namespace("a"), "b__c", 64), Fitted { name: "a__b__c".to_owned(), changed: false });
    }

    #[test]
    fn other_characters_become_underscores_and_earn_a_hash() {
        let files = namespace("files");
        assert_eq!(join(&files, "read file/ä"), "files__read_file__");
        // printf 'files\0read.file' | openssl dgst -sha256 -binary | base32 | head -c 8
        assert_eq!(
            fit(&files, "read.file", 64),
            Fitted { name: "files__read_file_s6dvffwl".to_owned(), changed: true }
        );
    }

    #[test]
    fn a_name_at_the_limit_stays_and_one_beyond_it_is_cut() {
        let files = namespace("files");
        let fits = "t".repeat(41);
        assert_eq!(fit(&files, &fits, 48).name, format!("files__{fits}"));
        let long = "t".repeat(42);
        let fitted = fit(&files, &long, 48);
        assert_eq!(fitted, Fitted { name: format!("files__{}_u7ca23qk", "t".repeat(32)), changed: true });
        assert_eq!(fitted.name.len(), 48);
    }

    #[test]
    fn a_hash_depends_on_namespace_and_tool_alone() {
        let hash = |ns: &str, tool: &str, limit| {
            let name = hashed(&namespace(ns), tool, limit);
            name[name.len() - HASH_LENGTH..].to_owned()
        };
        assert_eq!(hash("a", &"x".repeat(80), 48), hash("a", &"x".repeat(80), 64));
        assert_ne!(hash("a", &"x".repeat(80), 48), hash("b", &"x".repeat(80), 48));
        assert_ne!(hash("a", &"x".repeat(80), 48), hash("a", &"x".repeat(81), 48));
        assert_ne!(fit(&namespace("a"), "x y", 64).name, fit(&namespace("a"), "x.y", 64).name);
    }

    #[test]
    fn every_fitted_name_is_one_that_providers_take() {
        let odd = [
            "",
            " ",
            "a",
            "read file",
            "日本語の道具",
            "__",
            "-",
            "\u{0}",
            "a\"b",
            "x__y",
            &"ü".repeat(500),
            &"z".repeat(500),
        ];
        for ns in ["a", "-", "9", "files", &"n".repeat(32)] {
            for tool in odd {
                for limit in [9, 16, 40, 48, 64, 128] {
                    let name = fit(&namespace(ns), tool, limit).name;
                    assert!((1..=limit).contains(&name.len()), "{name} for {limit}");
                    assert!(name.chars().all(is_plain), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_status_tool_is_named_after_its_namespace() {
        assert_eq!(status_tool(&namespace("web-search")), "web-search__status");
    }

    #[test]
    fn dashes_and_underscores_are_the_same_when_loosened() {
        assert_eq!(loosened("web-search__read-page"), loosened("web_search__read_page"));
    }

    #[test]
    fn a_guess_takes_the_first_separator() {
        assert_eq!(guess("a__b__c"), (Some("a"), "b__c"));
        assert_eq!(guess("echo"), (None, "echo"));
    }
}
