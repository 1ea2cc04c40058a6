//! Words as they are written: what is bare, what is quoted, what is expanded.

use super::{
    lex::{Parsed, Parser, is_meta},
    tree::{Command, Direction, Item, List, Part, Pipeline, Timed},
};

/// A stretch of a word, before braces, tildes and patterns are looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Not quoted.
    Bare(String),
    /// Quoted, quotes taken off; may be empty.
    Quoted(String),
    Part(Part),
}

/// Where a word stands, which says what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Line,
    /// `${x:-word}`: up to the brace, or the slash of a replacement too.
    Braces {
        slash: bool,
    },
}

impl Parser<'_> {
    pub(super) fn pieces(&mut self) -> Parsed<Vec<Piece>> {
        self.pieces_within(Within::Line)
    }

    pub(super) fn pieces_within(&mut self, within: Within) -> Parsed<Vec<Piece>> {
        let mut pieces = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' => {
                    let text = self.single_quoted()?;
                    pieces.push(Piece::Quoted(text));
                }
                b'"' => {
                    self.at += 1;
                    self.double_quoted(&mut pieces)?;
                }
                b'\\' => {
                    let text = self.escaped()?;
                    pieces.push(Piece::Quoted(text));
                }
                b'$' => {
                    let piece = self.dollar(false)?;
                    pieces.push(piece);
                }
                b'`' => {
                    let part = self.backticks(false)?;
                    pieces.push(Piece::Part(part));
                }
                b'<' | b'>' if self.looks_at("<(") || self.looks_at(">(") => {
                    if within != Within::Line {
                        return self.no("process substitution in an expansion");
                    }
                    let part = self.process()?;
                    pieces.push(Piece::Part(part));
                }
                _ if within == Within::Line && is_meta(byte) => break,
                b'}' if within != Within::Line => break,
                b'/' if within == (Within::Braces { slash: true }) => break,
                _ => self.bare(within, &mut pieces),
            }
        }
        if within == Within::Line && pieces.is_empty() { self.no("syntax") } else { Ok(pieces) }
    }

    /// Everything up to what may mean something.
    fn bare(&mut self, within: Within, pieces: &mut Vec<Piece>) {
        let bytes = self.text.as_bytes();
        let from = self.at;
        // The byte that brought us here belongs to it in any case.
        self.at += 1;
        while let Some(&byte) = bytes.get(self.at) {
            let ends = match byte {
                b'\'' | b'"' | b'\\' | b'$' | b'`' | b'<' | b'>' => true,
                b'}' | b'/' => within != Within::Line,
                _ => within == Within::Line && is_meta(byte),
            };
            if ends {
                break;
            }
            self.at += 1;
        }
        let text = &self.text[from..self.at];
        match pieces.last_mut() {
            Some(Piece::Bare(before)) => before.push_str(text),
            _ => pieces.push(Piece::Bare(text.to_owned())),
        }
    }

    fn single_quoted(&mut self) -> Parsed<String> {
        let Some(length) = self.rest()[1..].find('\'') else { return self.no("quote without its end") };
        let text = self.rest()[1..=length].to_owned();
        self.at += length + 2;
        Ok(text)
    }

    /// A character behind a backslash.
    fn escaped(&mut self) -> Parsed<String> {
        let Some(escaped) = self.rest()[1..].chars().next() else { return self.no("backslash at the end") };
        self.at += 1 + escaped.len_utf8();
        Ok(escaped.to_string())
    }

    fn double_quoted(&mut self, pieces: &mut Vec<Piece>) -> Parsed<()> {
        let opened = self.at - 1;
        let before = pieces.len();
        loop {
            match self.peek() {
                None => return self.no_at("quote without its end", opened),
                Some(b'"') => {
                    self.at += 1;
                    if pieces.len() == before {
                        pieces.push(Piece::Quoted(String::new()));
                    }
                    return Ok(());
                }
                Some(_) => self.half_quoted(pieces, "$`\"\\")?,
            }
        }
    }

    /// A stretch of what is quoted but for expansions; a backslash escapes only these.
    pub(super) fn half_quoted(&mut self, pieces: &mut Vec<Piece>, escapes: &str) -> Parsed<()> {
        let piece = match self.peek() {
            Some(b'$') => self.dollar(true)?,
            Some(b'`') => Piece::Part(self.backticks(true)?),
            Some(b'\\') => {
                let next = self.rest()[1..].chars().next();
                if let Some(escaped) = next.filter(|next| escapes.contains(*next)) {
                    self.at += 2;
                    Piece::Quoted(escaped.to_string())
                } else {
                    self.at += 1;
                    Piece::Quoted("\\".to_owned())
                }
            }
            _ => {
                let special = |c: char| matches!(c, '$' | '`' | '\\') || (c == '"' && escapes.contains('"'));
                let length = self.rest().find(special).unwrap_or(self.rest().len());
                let text = self.rest()[..length].to_owned();
                self.at += length;
                Piece::Quoted(text)
            }
        };
        pieces.push(piece);
        Ok(())
    }

    /// `` `…` ``, whose text is unescaped and then read by itself.
    pub(super) fn backticks(&mut self, quoted: bool) -> Parsed<Part> {
        let from = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(plain) = rest.find(['`', '\\']) else { return self.no_at("quote without its end", from) };
            text.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest.as_bytes()[plain] == b'`' {
                break;
            }
            let escaped = self.rest().chars().next();
            match escaped {
                // Whether the lines are joined before the text is read, or in it, shells differ over.
                Some('\n') => return self.no("joined lines in backticks"),
                Some(c @ ('$' | '`' | '\\')) => text.push(c),
                // How shells differ here nobody remembers.
                Some('"') if quoted => return self.no("escaped quote in backticks"),
                Some(c) => text.extend(['\\', c]),
                None => return self.no_at("quote without its end", from),
            }
            self.at += escaped.map_or(0, char::len_utf8);
        }
        self.budget.enter()?;
        let before = self.budget.documents;
        let mut inner = self.inner(&text, from);
        let list = inner.whole()?;
        self.budget = inner.budget;
        self.budget.leave();
        self.check_substituted(&list, before)?;
        Ok(Part::Output { list, quoted })
    }

    fn process(&mut self) -> Parsed<Part> {
        self.bash_only("process substitution")?;
        let sign = if self.take("<") { '<' } else { '>' };
        self.at += usize::from(sign == '>');
        let list = self.parenthesized()?;
        Ok(Part::Process { sign, list })
    }

    /// `( … )` of a substitution.
    pub(super) fn parenthesized(&mut self) -> Parsed<super::tree::List> {
        self.budget.enter()?;
        self.expect("(", "syntax")?;
        let outer = std::mem::take(&mut self.awaited);
        let outer_waited = self.outer_waits;
        self.outer_waits |= !outer.is_empty();
        let before = self.budget.documents;
        let list = self.list(&[])?;
        if !self.awaited.is_empty() {
            return self.no("here-document without its end");
        }
        self.awaited = outer;
        self.outer_waits = outer_waited;
        self.check_substituted(&list, before)?;
        self.expect(")", "syntax")?;
        self.budget.leave();
        Ok(list)
    }

    /// Some versions of bash write a substitution anew before they run it, and put the bodies of several here-documents
    /// where they would be commands. One, at the end of the only command in there, stays what it is.
    fn check_substituted(&self, list: &List, before: usize) -> Parsed<()> {
        match self.budget.documents - before {
            0 => Ok(()),
            1 if ends_in_a_document(list) => Ok(()),
            _ => self.no("here-document in a substitution with more in it"),
        }
    }
}

/// Whether a list is one simple command, the last of whose redirections is a here-document.
fn ends_in_a_document(list: &List) -> bool {
    let [Item { first: Pipeline { timed: Timed::No, negated: false, commands }, rest, background: false }] =
        list.0.as_slice()
    else {
        return false;
    };
    match (commands.as_slice(), rest.as_slice()) {
        ([Command::Simple(simple)], []) => {
            simple.redirects.last().is_some_and(|redirect| matches!(redirect.kind, Direction::Document(_)))
        }
        _ => false,
    }
}
