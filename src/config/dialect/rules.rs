//! What a dialect fixes: where its entries lie, what its keys are called, how its texts refer to variables.

use super::{Dialect, variables::Variables};
use crate::config::value::Syntax;

/// The rules of one dialect.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) dialect: Dialect,
    pub(super) syntax: Syntax,
    /// Where the entries lie, key by key from the root.
    pub(super) roots: &'static [&'static [&'static str]],
    /// Keys at the root that are about the entries as well.
    pub(super) beside: &'static [&'static str],
    /// Keys at the root that hold the entries of another program, and mean something else here.
    pub(super) homonyms: &'static [&'static str],
    pub(super) variables: Variables,
    /// What an address means whose entry has no type.
    pub(super) untyped: Untyped,
    /// What the keys of an entry mean.
    pub(super) keys: &'static [(&'static str, Key)],
    /// Types of what runs inside that program, and nowhere else.
    pub(super) inside: &'static [&'static str],
    /// Whether values of variables may be numbers, or null to take a variable away.
    pub(super) loose_env: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untyped {
    Http,
    Sse,
    /// The program itself refuses it.
    Ask,
}

/// What a key of an entry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Type,
    /// A program, or a program with its arguments as a list or an object.
    Command,
    Args,
    Env,
    EnvFile,
    /// Names of variables that it inherits.
    EnvNames,
    /// Names of variables that it needs.
    EnvNeeded,
    Cwd,
    /// An address, reached as the type or the dialect says.
    Url,
    /// An address that is always reached over Streamable HTTP.
    HttpUrl,
    Headers,
    /// Names of headers to names of variables.
    EnvHeaders,
    /// The variable that holds a bearer token.
    BearerVariable,
    /// A command line for a shell that prints headers.
    HeadersHelper,
    Enabled,
    Disabled,
    AllowTools,
    DenyTools,
    /// What it grants is for that program's user; nothing is granted by it here.
    Grants,
    ConnectTimeout(Unit),
    CallTimeout(Unit),
    Description,
    /// Says nothing that we would have to know.
    Silent,
    /// Belongs to that program and is not used here.
    Unused,
}

/// What a number without a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Seconds,
}

impl Rules {
    /// What a key of an entry means here, when it means anything.
    pub(super) fn key(&self, name: &str) -> Option<Key> {
        self.keys.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
    }

    /// What a key is called here.
    pub(super) fn name_of(&self, wanted: Key) -> &'static str {
        self.keys.iter().find(|(_, key)| *key == wanted).map_or("type", |(name, _)| *name)
    }

    /// Whether a key at the root is about entries here.
    pub(super) fn has_root(&self, name: &str) -> bool {
        self.roots.iter().filter_map(|path| path.first()).chain(self.beside).any(|known| *known == name)
    }
}
