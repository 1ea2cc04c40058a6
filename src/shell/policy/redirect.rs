//! Redirections, and the here-documents that they wait for.

use std::{cell::OnceCell, rc::Rc};

use super::{
    expand::Role,
    lex::{Awaited, Dialect, Parsed, Parser},
    parse::bare,
    tree::{Direction, Part, Redirect, Word},
    word::Piece,
};

impl Parser<'_> {
    /// The redirection that stands here, if one does.
    pub(super) fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        let before = self.at;
        if self.looks_at("{") && self.is_named_descriptor() {
            return self.no("named descriptor");
        }
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let sign = self.peek();
        let redirects = match sign {
            Some(b'<' | b'>') => !self.looks_at("<(") && !self.looks_at(">("),
            Some(b'&') => digits.is_empty() && self.looks_at("&>"),
            _ => false,
        };
        if !redirects {
            self.at = before;
            return Ok(None);
        }
        let fd = if digits.is_empty() {
            None
        } else {
            // Shells that read no more than one digit take it for an argument.
            let limit = if self.dialect == Dialect::Posix { 10 } else { 256 };
            match digits.parse().ok().filter(|fd| *fd < limit) {
                Some(fd) => Some(fd),
                None => return self.no("descriptor"),
            }
        };
        let direction = self.direction()?;
        let one_stream = !matches!(direction, Direction::File("&>" | "&>>", _));
        if !one_stream && fd.is_some() {
            return self.no("redirection");
        }
        Ok(Some(Redirect { fd, kind: direction }))
    }

    /// `{name}>`, which sets a variable.
    fn is_named_descriptor(&self) -> bool {
        let rest = &self.rest()[1..];
        let name = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let behind = &rest[name..];
        name > 0 && (behind.starts_with("}<") || behind.starts_with("}>"))
    }

    fn direction(&mut self) -> Parsed<Direction> {
        const SIGNS: [&str; 12] = ["<<<", "<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">", "&>>", "&>"];
        let Some(sign) = SIGNS.into_iter().find(|sign| self.take(sign)) else { return self.no("redirection") };
        if matches!(sign, "<<<" | "&>>" | "&>") {
            self.bash_only("redirection")?;
        }
        self.skip_blanks();
        let at = self.at;
        let pieces = self.pieces()?;
        let digits = bare(&pieces).is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        // In `<2>&1` the number is no name of a file. In `2>&1>x` it is what it looks like,
        // to bash.
        let copies = matches!(sign, "<&" | ">&") && self.dialect == Dialect::Bash;
        if digits && !copies && matches!(self.peek(), Some(b'<' | b'>')) {
            return self.no_at("redirection", at);
        }
        match sign {
            "<<" | "<<-" => self.announce(&pieces, sign == "<<-"),
            "<<<" => Ok(Direction::Text(self.word(pieces, Role::Plain, at)?)),
            "<&" | ">&" => {
                let word = self.word(pieces, Role::Target, at)?;
                let Some(text) = word.text() else { return self.no_at("redirection", at) };
                if self.dialect == Dialect::Posix && text.len() > 1 {
                    return self.no_at("descriptor", at);
                }
                if text == "-" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())) {
                    return Ok(Direction::Copy(sign, text.to_owned()));
                }
                let moves = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                if sign == "<&" || moves || text.is_empty() {
                    return self.no_at("redirection", at);
                }
                self.bash_only("redirection")?;
                Ok(Direction::File("&>", word))
            }
            _ => {
                let word = self.word(pieces, Role::Target, at)?;
                Ok(Direction::File(sign, word))
            }
        }
    }

    /// A here-document: its body comes when the line ends.
    fn announce(&mut self, pieces: &[Piece], stripped: bool) -> Parsed<Direction> {
        let mut end = String::new();
        let mut live = true;
        for piece in pieces {
            match piece {
                Piece::Bare(text) => end.push_str(text),
                Piece::Quoted(text) => {
                    live = false;
                    end.push_str(text);
                }
                Piece::Part(_) => return self.no("expansion in the end of a here-document"),
            }
        }
        if end.is_empty() || end.contains(|c: char| c.is_control()) {
            return self.no("end of a here-document");
        }
        let body = Rc::new(OnceCell::new());
        self.budget.documents += 1;
        self.awaited.push(Awaited { end, live, stripped, body: Rc::clone(&body) });
        Ok(Direction::Document(body))
    }

    /// Reads a body, which begins here.
    pub(super) fn document(&mut self, awaited: &Awaited) -> Parsed<()> {
        let from = self.at;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return self.no_at("here-document without its end", from);
            }
            let end = rest.find('\n');
            let line = &rest[..end.unwrap_or(rest.len())];
            self.at += line.len() + usize::from(end.is_some());
            let line = if awaited.stripped { line.trim_start_matches('\t') } else { line };
            if line == awaited.end {
                break;
            }
            // Some versions of bash let it end here, inside of a substitution.
            if line.strip_prefix(&awaited.end).is_some_and(|behind| behind.starts_with(')')) {
                return self.no_at("end of a here-document", from);
            }
            text.push_str(line);
            text.push('\n');
        }
        let parts = if awaited.live { self.live_document(&text, from)? } else { literal(text) };
        // It is read once: it is taken off the queue before.
        let _ = awaited.body.set(parts);
        Ok(())
    }

    fn live_document(&mut self, text: &str, from: usize) -> Parsed<Vec<Part>> {
        if text.contains("\\\n") {
            return self.no_at("joined lines in a here-document", from);
        }
        if swallows(text) {
            return self.no_at("letter before an escape in a here-document", from);
        }
        self.budget.enter()?;
        let mut inner = self.inner(text, from);
        let mut pieces = Vec::new();
        while inner.peek().is_some() {
            inner.half_quoted(&mut pieces, "$`\\")?;
        }
        self.budget = inner.budget;
        self.budget.leave();
        let mut word = Word::default();
        for piece in pieces {
            match piece {
                Piece::Bare(text) | Piece::Quoted(text) => word.push(Part::Literal(text)),
                Piece::Part(part) => word.push(part),
            }
        }
        Ok(word.parts)
    }
}

/// Whether a character that is not ASCII stands right before one that is live. In some encodings the last byte of the one
/// and the first of what is written for the other are one character.
fn swallows(text: &str) -> bool {
    text.match_indices(['\\', '$', '`']).any(|(at, _)| text[..at].ends_with(|c: char| !c.is_ascii()))
}

fn literal(text: String) -> Vec<Part> {
    if text.is_empty() { Vec::new() } else { vec![Part::Literal(text)] }
}
