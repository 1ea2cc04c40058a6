//! The flags.

use std::{path::PathBuf, str::FromStr};

/// The generation that has no `initialize`.
pub(crate) const MODERN: &str = "2026-07-28";

/// What the command line asked for.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, set alone or with others")]
pub(crate) struct Options {
    /// List `echo`, `tool_1` … `tool_N-1` instead of the tools with behaviours.
    pub(crate) tools: Option<usize>,
    /// Wait before reading anything.
    pub(crate) delay_ms: u64,
    /// Exit with this status before reading anything.
    pub(crate) exit_at_once: Option<u8>,
    /// Written to stderr first.
    pub(crate) stderr: String,
    /// So many bytes are written to stderr before anything is read.
    pub(crate) stderr_flood: usize,
    /// Never answer.
    pub(crate) silent: bool,
    /// The generation that it speaks.
    pub(crate) version: String,
    /// Exit on a method that it does not know.
    pub(crate) exit_on_unknown: bool,
    /// Answer a method that it does not know with `{}`.
    pub(crate) empty_object_to_all: bool,
    /// So many lines that are no JSON-RPC, at the start and before each answer.
    pub(crate) junk: usize,
    /// Give the same `nextCursor` for ever.
    pub(crate) same_cursor: bool,
    /// Spread the list of tools over so many pages.
    pub(crate) pages: usize,
    /// Put malformed tools among the good ones.
    pub(crate) bad_tool: bool,
    /// Answer the first handshake request again and again.
    pub(crate) late_handshake: bool,
    /// List the tool `big`, which answers with so many bytes.
    pub(crate) big: Option<usize>,
    /// Have prompts, resources, completion and questions too.
    pub(crate) wide: bool,
    /// Never answer this method.
    pub(crate) hang_on: Option<String>,
    /// Append the own pid to this file at the start.
    pub(crate) pid_file: Option<PathBuf>,
    /// Do not end on SIGTERM.
    pub(crate) ignore_term: bool,
    /// Do not end when stdin ends.
    pub(crate) ignore_eof: bool,
    /// What no server should do, by name; with any of it there is the tool `misbehave`.
    pub(crate) misbehave: Vec<String>,
}

impl Options {
    /// Reads the flags; an unknown one is a mistake in the test, so that it panics.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        while let Some(flag) = args.next() {
            let args = &mut args;
            match flag.as_str() {
                "--tools" => options.tools = Some(value(&flag, args)),
                "--delay-ms" => options.delay_ms = value(&flag, args),
                "--exit-at-once" => options.exit_at_once = Some(value(&flag, args)),
                "--stderr" => options.stderr = value::<String>(&flag, args) + "\n",
                "--stderr-flood" => options.stderr_flood = value(&flag, args),
                "--silent" => options.silent = true,
                "--version" => options.version = value(&flag, args),
                "--exit-on-unknown" => options.exit_on_unknown = true,
                "--empty-object-to-all" => options.empty_object_to_all = true,
                "--junk" => options.junk = value(&flag, args),
                "--same-cursor" => options.same_cursor = true,
                "--pages" => options.pages = value(&flag, args),
                "--bad-tool" => options.bad_tool = true,
                "--late-handshake" => options.late_handshake = true,
                "--big" => options.big = Some(value(&flag, args)),
                "--wide" => options.wide = true,
                "--hang-on" => options.hang_on = Some(value(&flag, args)),
                "--pid-file" => options.pid_file = Some(value(&flag, args)),
                "--ignore-term" => options.ignore_term = true,
                "--ignore-eof" => options.ignore_eof = true,
                "--misbehave" => options.misbehave.push(value(&flag, args)),
                _ => panic!("unknown flag {flag}"),
            }
        }
        options
    }

    /// Whether it speaks the generation without `initialize`.
    pub(crate) fn modern(&self) -> bool {
        self.version == MODERN
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tools: None,
            delay_ms: 0,
            exit_at_once: None,
            stderr: String::new(),
            stderr_flood: 0,
            silent: false,
            version: "2025-11-25".to_owned(),
            exit_on_unknown: false,
            empty_object_to_all: false,
            junk: 0,
            same_cursor: false,
            pages: 1,
            bad_tool: false,
            late_handshake: false,
            big: None,
            wide: false,
            hang_on: None,
            pid_file: None,
            ignore_term: false,
            ignore_eof: false,
            misbehave: Vec::new(),
        }
    }
}

fn value<T: FromStr>(flag: &str, args: &mut impl Iterator<Item = String>) -> T {
    let text = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
    text.parse().unwrap_or_else(|_| panic!("{flag}: `{text}` is no such value"))
}
