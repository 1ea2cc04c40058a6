//! Lists, pipelines and simple commands.

use super::{
    expand::Role,
    lex::{Budget, Dialect, Parsed, Parser, is_name},
    tree::{Assignment, Command, Item, Junction, List, Pipeline, Redirect, Simple, Timed, Word},
    word::Piece,
};

/// Reads a whole text.
pub(super) fn parse(text: &str, dialect: Dialect, budget: Budget) -> Parsed<(List, Budget)> {
    let mut parser = Parser::new(text, dialect, budget);
    parser.whole().map(|list| (list, parser.budget))
}

/// Commands before which no other may stand.
const CLOSERS: [&str; 10] = ["then", "else", "elif", "fi", "do", "done", "esac", "}", "]]", "time"];

impl Parser<'_> {
    /// Everything up to the end.
    pub(super) fn whole(&mut self) -> Parsed<List> {
        if let Some(nul) = self.text.find('\0') {
            return self.no_at("NUL", nul);
        }
        let list = self.list(&[])?;
        match self.peek() {
            None if self.awaited.is_empty() => Ok(list),
            None => self.no("here-document without its end"),
            Some(_) => self.no("syntax"),
        }
    }

    /// Commands up to a closing parenthesis, the end of an arm, one of these words, or the end.
    pub(super) fn list(&mut self, ends: &[&str]) -> Parsed<List> {
        let mut items = Vec::new();
        loop {
            self.skip_lines()?;
            let ended = match self.peek() {
                None | Some(b')') => true,
                Some(b';') => self.looks_at(";;") || self.looks_at(";&"),
                Some(_) => self.keyword().is_some_and(|word| ends.contains(&word)),
            };
            if ended {
                return Ok(List(items));
            }
            items.push(self.item()?);
            let in_background = items.last().is_some_and(|item: &Item| item.background);
            if !in_background && !self.separator() {
                return self.no("syntax");
            }
        }
    }

    /// Commands, at least one.
    pub(super) fn some(&mut self, ends: &[&str]) -> Parsed<List> {
        let at = self.at;
        let list = self.list(ends)?;
        if list.0.is_empty() { self.no_at("syntax", at) } else { Ok(list) }
    }

    /// Whether a command has ended here. A line end is left for whoever reads its here-documents.
    fn separator(&mut self) -> bool {
        self.skip_blanks();
        match self.peek() {
            None | Some(b'\n' | b')') => true,
            Some(b';') => {
                if !self.looks_at(";;") && !self.looks_at(";&") {
                    self.at += 1;
                }
                true
            }
            Some(_) => false,
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let mut item = Item { first: self.pipeline()?, rest: Vec::new(), background: false };
        loop {
            self.skip_blanks();
            let junction = match self.peek() {
                Some(b'&') if self.take("&&") => Junction::And,
                Some(b'|') if self.take("||") => Junction::Or,
                Some(b'&') => {
                    self.take("&");
                    item.background = true;
                    return Ok(item);
                }
                _ => return Ok(item),
            };
            self.skip_lines()?;
            item.rest.push((junction, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut pipeline = Pipeline { timed: Timed::No, negated: false, commands: Vec::new() };
        loop {
            self.skip_blanks();
            if !pipeline.negated && self.take_keyword("!") {
                pipeline.negated = true;
            } else if pipeline.timed == Timed::No && self.take_keyword("time") {
                self.bash_only("time")?;
                self.skip_blanks();
                pipeline.timed = if self.take_keyword("-p") { Timed::Portably } else { Timed::Yes };
                self.skip_blanks();
                if self.peek() == Some(b'-') {
                    return self.no("option of time");
                }
            } else {
                break;
            }
        }
        loop {
            let command = self.command()?;
            pipeline.commands.push(command);
            self.skip_blanks();
            if self.looks_at("||") || !self.take("|") {
                return Ok(pipeline);
            }
            if self.take("&") {
                self.bash_only("|&")?;
                let both = Redirect { fd: Some(2), kind: super::tree::Direction::Copy(">&", "1".to_owned()) };
                self.redirects_of(&mut pipeline).push(both);
            }
            self.skip_lines()?;
        }
    }

    #[expect(clippy::unused_self, reason = "it belongs to the parser of pipelines")]
    fn redirects_of<'p>(&self, pipeline: &'p mut Pipeline) -> &'p mut Vec<Redirect> {
        match pipeline.commands.last_mut().expect("a command has just been read") {
            Command::Simple(simple) => &mut simple.redirects,
            Command::Compound { redirects, .. } => redirects,
            Command::Function { body, .. } => match body.as_mut() {
                Command::Compound { redirects, .. } => redirects,
                Command::Simple(_) | Command::Function { .. } => unreachable!("a function's body is compound"),
            },
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        self.skip_blanks();
        match self.keyword() {
            Some("in") => self.simple(),
            Some(word @ ("select" | "coproc" | "!")) => self.no(word),
            Some(word) if CLOSERS.contains(&word) => self.no("syntax"),
            Some(word) => self.compound(word),
            None if self.peek() == Some(b'(') => self.compound("("),
            None => self.simple(),
        }
    }

    fn simple(&mut self) -> Parsed<Command> {
        self.budget.command()?;
        let from = self.at;
        let mut simple = Simple {
            assignments: Vec::new(),
            words: Vec::new(),
            redirects: Vec::new(),
            spot: super::tree::Spot::default(),
        };
        // The one word before a parenthesis, as long as it may be the name of a function.
        let mut name = None;
        loop {
            self.skip_blanks();
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                name = None;
                continue;
            }
            match self.peek() {
                None | Some(b'\n' | b';' | b'&' | b'|' | b')') => break,
                Some(b'(') => match name {
                    Some(name) => return self.function_body(name, from),
                    None => return self.no("parenthesis"),
                },
                Some(_) => {}
            }
            let at = self.at;
            let pieces = self.pieces()?;
            if simple.words.is_empty() {
                if let Some(assignment) = self.assignment(&pieces, at)? {
                    simple.assignments.push(assignment);
                    continue;
                }
                name = bare(&pieces).filter(|_| simple.assignments.is_empty() && simple.redirects.is_empty());
                simple.words.push(self.command_word(pieces, at)?);
            } else {
                name = None;
                let words = self.words(pieces, Role::Argument, at)?;
                simple.words.extend(words);
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && simple.redirects.is_empty() {
            return self.no("syntax");
        }
        self.check_documents(&simple.redirects)?;
        simple.spot = self.spot(from);
        Ok(Command::Simple(simple))
    }

    /// The word that says what runs. Braces in it would make several.
    fn command_word(&mut self, pieces: Vec<Piece>, at: usize) -> Parsed<Word> {
        let mut words = self.words(pieces, Role::Command, at)?;
        words.pop().map_or_else(|| self.no_at("syntax", at), Ok)
    }

    /// `NAME=value` and `NAME+=value`.
    fn assignment(&mut self, pieces: &[Piece], at: usize) -> Parsed<Option<Assignment>> {
        let Some(Piece::Bare(first)) = pieces.first() else { return Ok(None) };
        let Some((left, right)) = first.split_once('=') else {
            return Ok(None);
        };
        let (name, append) = left.strip_suffix('+').map_or((left, false), |name| (name, true));
        if name.split_once('[').is_some_and(|(name, _)| is_name(name)) {
            return self.no_at("subscript", at);
        }
        if !is_name(name) {
            return Ok(None);
        }
        if append {
            self.bash_only("+=")?;
        }
        if right.is_empty() && pieces.len() == 1 && self.peek() == Some(b'(') {
            return self.no("array");
        }
        let mut value: Vec<Piece> = pieces.to_vec();
        value[0] = Piece::Bare(right.to_owned());
        let value = self.word(value, Role::Value, at)?;
        Ok(Some(Assignment { name: name.to_owned(), append, value }))
    }
}

/// A word that is written without any quoting.
pub(super) fn bare(pieces: &[Piece]) -> Option<String> {
    match pieces {
        [Piece::Bare(text)] => Some(text.clone()),
        _ => None,
    }
}
