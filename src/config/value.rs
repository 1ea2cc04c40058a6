//! The text of a config file as a tree of values, each with its place, whatever syntax it is written in.

mod jsonc;
mod toml;
mod yaml;

use super::problem::Report;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// JSON with comments and trailing commas.
    Jsonc,
    Toml,
    Yaml,
}

/// A value where it stands: `at` is a byte offset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Null,
    Flag(bool),
    /// As it is written: how large and how exact it may be is the reader's business.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// In the order of the text; a key may be there twice.
    Object(Vec<Property>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) at: usize,
    pub(super) value: Value,
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.data, Data::Object(_))
    }

    /// What it is, without saying it: it may be a secret.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Text(_) => "a text",
            Data::Number(_) => "a number",
            Data::Flag(true) => "true",
            Data::Flag(false) => "false",
            Data::Object(_) => "an object",
            Data::List(_) => "a list",
            Data::Null => "null",
        }
    }
}

/// Reads a text; `None` when it is none of that syntax, which has been reported, or when nothing is in it.
pub(super) fn read(text: &str, syntax: Syntax, report: &Report<'_>) -> Option<Value> {
    match syntax {
        Syntax::Jsonc => jsonc::read(text, report),
        Syntax::Toml => toml::read(text, report),
        Syntax::Yaml => yaml::read(text, report),
    }
}
