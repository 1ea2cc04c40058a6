//! The bytes of a command line: where the parser stands in them, and how much it may still take.

use super::tree::{Document, Spot};

/// Why a text is not understood, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A construct outside the subset, and where it stands.
    Unsupported(&'static str, usize),
    Limit(&'static str),
}

pub(super) type Parsed<T> = Result<T, Trouble>;

/// The longest text.
pub(super) const MAX_TEXT: usize = 128 << 10;
/// How many commands a text may hold, those in the texts of `sh -c` counted too.
pub(super) const MAX_COMMANDS: usize = 1_000;
/// How deep constructs may stand in each other.
pub(super) const MAX_DEPTH: usize = 50;
/// How many words one may become by its braces, and how many bytes all of a text may by theirs, a word costing so many
/// beside what stands in it.
pub(super) const MAX_WORDS: usize = 1_000;
pub(super) const MAX_BRACED: usize = 1 << 18;
pub(super) const BRACED_WORD: usize = 16;

/// How many words a text may hold before anything becomes several.
pub(super) const MAX_ALL_WORDS: usize = 1 << 15;

/// For whom the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Bash,
    /// `sh` may be any shell: only what all of them read alike.
    Posix,
}

/// How much a text has taken. It goes on through the texts that stand in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) depth: usize,
    pub(super) commands: usize,
    pub(super) braced: usize,
    pub(super) words: usize,
    /// Here-documents, so that what stands between two points may be counted.
    pub(super) documents: usize,
}

impl Budget {
    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Trouble::Limit("nesting")) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn word(&mut self) -> Parsed<()> {
        self.words += 1;
        if self.words > MAX_ALL_WORDS { Err(Trouble::Limit("words")) } else { Ok(()) }
    }

    pub(super) fn command(&mut self) -> Parsed<()> {
        self.commands += 1;
        if self.commands > MAX_COMMANDS { Err(Trouble::Limit("commands")) } else { Ok(()) }
    }
}

/// A here-document whose body has not come yet.
pub(super) struct Awaited {
    pub(super) end: String,
    pub(super) live: bool,
    pub(super) stripped: bool,
    pub(super) body: Document,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Where this text stands in the whole, when it is a text in a text.
    pub(super) base: Option<usize>,
    pub(super) dialect: Dialect,
    pub(super) budget: Budget,
    pub(super) awaited: Vec<Awaited>,
    /// A here-document of an outer command waits for the end of the line that we are in.
    pub(super) outer_waits: bool,
}

/// What ends a word that is not quoted.
pub(super) fn is_meta(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
}

pub(super) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect, budget: Budget) -> Self {
        Self { text, at: 0, base: None, dialect, budget, awaited: Vec::new(), outer_waits: false }
    }

    /// A parser for a text in this one, told to stand at `at`.
    pub(super) fn inner<'b>(&self, text: &'b str, at: usize) -> Parser<'b> {
        let base = Some(self.base.unwrap_or(at));
        Parser { base, ..Parser::new(text, self.dialect, self.budget) }
    }

    pub(super) fn no<T>(&self, what: &'static str) -> Parsed<T> {
        self.no_at(what, self.at)
    }

    pub(super) fn no_at<T>(&self, what: &'static str, at: usize) -> Parsed<T> {
        Err(Trouble::Unsupported(what, self.base.unwrap_or(at)))
    }

    /// Bash alone reads this so.
    pub(super) fn bash_only(&self, what: &'static str) -> Parsed<()> {
        if self.dialect == Dialect::Posix { self.no(what) } else { Ok(()) }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn spot(&self, from: usize) -> Spot {
        let source = self.text[from..self.at].trim_end().to_owned();
        Spot { at: self.base.unwrap_or(from), source }
    }

    /// The next byte. A backslash before a line end joins the lines, as if neither were there.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes[self.at..].starts_with(b"\\\n") {
            self.at += 2;
        }
        bytes.get(self.at).copied()
    }

    /// Whether these bytes come next, lines joined.
    pub(super) fn looks_at(&self, wanted: &str) -> bool {
        self.after(wanted).is_some()
    }

    /// Takes these bytes when they come next.
    pub(super) fn take(&mut self, wanted: &str) -> bool {
        let after = self.after(wanted);
        self.at = after.unwrap_or(self.at);
        after.is_some()
    }

    fn after(&self, wanted: &str) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        for byte in wanted.bytes() {
            while bytes[at..].starts_with(b"\\\n") {
                at += 2;
            }
            if bytes.get(at) != Some(&byte) {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    pub(super) fn expect(&mut self, wanted: &str, what: &'static str) -> Parsed<()> {
        if self.take(wanted) { Ok(()) } else { self.no(what) }
    }

    /// Takes bytes while they are of a kind.
    pub(super) fn take_while(&mut self, of_kind: impl Fn(u8) -> bool) -> String {
        let mut taken = String::new();
        while let Some(byte) = self.peek().filter(|byte| byte.is_ascii() && of_kind(*byte)) {
            taken.push(char::from(byte));
            self.at += 1;
        }
        taken
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.peek() == Some(b'#') {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// Takes blanks, comments and line ends, and the here-documents that begin behind those.
    pub(super) fn skip_lines(&mut self) -> Parsed<()> {
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'\n') {
                return Ok(());
            }
            self.line_end()?;
        }
    }

    /// Takes a line end, and the here-documents that wait for it.
    pub(super) fn line_end(&mut self) -> Parsed<()> {
        if self.outer_waits {
            return self.no("substitution over several lines behind a here-document");
        }
        self.at += 1;
        for awaited in std::mem::take(&mut self.awaited) {
            self.document(&awaited)?;
        }
        Ok(())
    }

    /// The reserved word that stands here, if one does.
    pub(super) fn keyword(&mut self) -> Option<&'static str> {
        const KEYWORDS: [&str; 22] = [
            "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "select",
            "function", "time", "coproc", "{", "}", "!", "[[", "in", "]]",
        ];
        if !b"itefdcwus{}![]".contains(&self.peek()?) {
            return None;
        }
        KEYWORDS.into_iter().find(|word| self.after(word).is_some_and(|after| self.ends_at(after)))
    }

    /// Whether a word ends there.
    fn ends_at(&self, mut at: usize) -> bool {
        let bytes = self.text.as_bytes();
        while bytes[at..].starts_with(b"\\\n") {
            at += 2;
        }
        bytes.get(at).copied().is_none_or(is_meta)
    }

    pub(super) fn take_keyword(&mut self, word: &str) -> bool {
        self.peek();
        match self.after(word).filter(|after| self.ends_at(*after)) {
            Some(after) => {
                self.at = after;
                true
            }
            None => false,
        }
    }

    pub(super) fn expect_keyword(&mut self, word: &'static str) -> Parsed<()> {
        if self.take_keyword(word) { Ok(()) } else { self.no("syntax") }
    }
}
