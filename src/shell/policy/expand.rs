//! From the pieces of a word to words: braces, tildes and patterns.

use super::{
    lex::{BRACED_WORD, MAX_BRACED, MAX_WORDS, Parsed, Parser, Trouble},
    tree::{Form, Param, Part, Word},
    word::Piece,
};

/// What a word is for, which says what is live in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Braces, tilde, patterns.
    Argument,
    /// The same, but braces are an error.
    Command,
    /// What a variable is set to.
    Value,
    /// What a redirection names.
    Target,
    /// Of `case` and of `[[ == ]]`.
    Pattern,
    Plain,
}

/// A character that is not quoted, or a piece that stays whole.
#[derive(Debug, Clone)]
enum Atom {
    Bare(char),
    Whole(Piece),
}

impl Parser<'_> {
    /// The one word that these pieces are.
    pub(super) fn word(&mut self, pieces: Vec<Piece>, role: Role, at: usize) -> Parsed<Word> {
        let first = matches!(pieces.first(), Some(Piece::Bare(text)) if text.starts_with('~'));
        let empty = pieces.iter().any(|piece| matches!(piece, Piece::Quoted(text) if text.is_empty()));
        self.budget.word()?;
        let count = pieces.len();
        if !matches!(role, Role::Value | Role::Plain) && is_mixed_bracket(&pieces) {
            return self.no_at("pattern", at);
        }
        let mut word = Word { parts: Vec::with_capacity(count) };
        for (index, piece) in pieces.into_iter().enumerate() {
            match piece {
                Piece::Bare(text) if text.is_empty() => {}
                Piece::Bare(text) if index == 0 && first => {
                    let rest = tilde(&mut word, &text, count == 1);
                    self.bare_text(&mut word, rest, (role, at))?;
                }
                Piece::Bare(text) => self.bare_text(&mut word, &text, (role, at))?,
                Piece::Quoted(text) if text.is_empty() => {}
                Piece::Quoted(text) => word.push(Part::Literal(text)),
                Piece::Part(part) => word.push(part),
            }
        }
        let has_text = word.parts.iter().any(|part| matches!(part, Part::Literal(_)));
        if empty && !has_text {
            word.parts.insert(0, Part::Literal(String::new()));
        }
        Ok(word)
    }

    /// The words that these pieces become.
    pub(super) fn words(&mut self, pieces: Vec<Piece>, role: Role, at: usize) -> Parsed<Vec<Word>> {
        if !pieces.iter().any(|piece| matches!(piece, Piece::Bare(text) if text.contains('{'))) {
            return Ok(vec![self.word(pieces, role, at)?]);
        }
        let mut atoms = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Bare(text) => atoms.extend(text.chars().map(Atom::Bare)),
                other => atoms.push(Atom::Whole(other)),
            }
        }
        if atoms.iter().filter(|atom| is(atom, '{')).count() > 100 {
            return Err(Trouble::Limit("words"));
        }
        let dots = atoms.windows(2).any(|pair| is(&pair[0], '.') && is(&pair[1], '.'));
        if dots || atoms.iter().any(|atom| is(atom, ',')) {
            self.bash_only("brace")?;
        }
        let expanded = self.braces(&atoms, at)?;
        // Braces come first: `$x{1,2}` is `$x1` and `$x2`.
        if expanded.iter().any(|atoms| lengthens(atoms)) && ends_a_name(&atoms) {
            return self.no_at("brace behind a parameter", at);
        }
        self.budget.braced += expanded.len() * BRACED_WORD;
        if self.budget.braced > MAX_BRACED {
            return Err(Trouble::Limit("words"));
        }
        if role == Role::Command && expanded.len() > 1 {
            return self.no_at("brace in the name of a command", at);
        }
        let mut words = Vec::with_capacity(expanded.len());
        for atoms in expanded {
            let word = self.word(pieces_of(atoms), role, at)?;
            // `{a,}` gives a word with nothing in it, which is no word.
            if !word.parts.is_empty() {
                words.push(word);
            }
        }
        Ok(words)
    }

    /// Everything that a word with braces stands for.
    fn braces(&mut self, atoms: &[Atom], at: usize) -> Parsed<Vec<Vec<Atom>>> {
        self.budget.enter()?;
        let mut heads: Vec<Vec<Atom>> = vec![Vec::new()];
        let mut position = 0;
        while let Some(atom) = atoms.get(position) {
            let opened = if is(atom, '{') { self.alternatives(&atoms[position..], at)? } else { None };
            let (choices, length) = opened.unwrap_or_else(|| (vec![vec![atom.clone()]], 1));
            if heads.len() * choices.len() > MAX_WORDS {
                return Err(Trouble::Limit("words"));
            }
            if let [only] = choices.as_slice() {
                for head in &mut heads {
                    head.extend_from_slice(only);
                }
                self.budget.braced += heads.len() * only.len();
            } else {
                let joined =
                    heads.iter().flat_map(|head| choices.iter().map(move |choice| [&head[..], choice].concat()));
                heads = joined.collect();
                self.budget.braced += heads.iter().map(Vec::len).sum::<usize>();
            }
            if self.budget.braced > MAX_BRACED {
                return Err(Trouble::Limit("words"));
            }
            position += length;
        }
        self.budget.leave();
        Ok(heads)
    }

    /// What the brace that opens here stands for, and how long it is; `None` when it is but a character.
    fn alternatives(&mut self, atoms: &[Atom], at: usize) -> Parsed<Option<(Vec<Vec<Atom>>, usize)>> {
        let (mut depth, mut commas, mut close) = (0_usize, Vec::new(), None);
        for (index, atom) in atoms.iter().enumerate() {
            match atom {
                Atom::Bare('{') => depth += 1,
                Atom::Bare('}') => depth -= 1,
                Atom::Bare(',') if depth == 1 => commas.push(index),
                Atom::Bare(_) | Atom::Whole(_) => {}
            }
            if depth == 0 {
                close = Some(index);
                break;
            }
        }
        let Some(close) = close else { return Ok(None) };
        if commas.is_empty() {
            let texts = range(&atoms[1..close]).or_else(|what| self.no_at(what, at))?;
            return Ok(texts.map(|texts| {
                let choices = texts.into_iter().map(|text| text.chars().map(Atom::Bare).collect()).collect();
                (choices, close + 1)
            }));
        }
        let mut choices = Vec::new();
        let mut from = 1;
        for end in commas.into_iter().chain([close]) {
            choices.extend(self.braces(&atoms[from..end], at)?);
            from = end + 1;
        }
        Ok(Some((choices, close + 1)))
    }

    fn bare_text(&self, word: &mut Word, text: &str, (role, at): (Role, usize)) -> Parsed<()> {
        let assigns = match role {
            Role::Value => text.contains(":~"),
            Role::Argument | Role::Command => text.contains("=~") || text.contains(":~"),
            Role::Target | Role::Pattern | Role::Plain => false,
        };
        if assigns {
            return self.no_at("tilde in a word", at);
        }
        if text.is_empty() {
            return Ok(());
        }
        if matches!(role, Role::Value | Role::Plain) {
            word.push(Part::Literal(text.to_owned()));
            return Ok(());
        }
        let before = word.parts.len();
        self.globs(word, text, at)?;
        // It may have become a part of the last one.
        let found = word.parts[before.saturating_sub(1)..].iter().any(|part| matches!(part, Part::Glob(_)));
        if role == Role::Target && found { self.no_at("pattern in a redirection", at) } else { Ok(()) }
    }

    /// Tells the live characters of patterns from others.
    fn globs(&self, word: &mut Word, text: &str, at: usize) -> Parsed<()> {
        let mut rest = text;
        let closable = text.rfind(']').map_or(0, |last| text.len() - last);
        while let Some(live) = rest.find(['*', '?', '[']) {
            if live > 0 {
                word.push(Part::Literal(rest[..live].to_owned()));
            }
            rest = &rest[live..];
            let length = match rest.as_bytes()[0] {
                b'[' if rest.len() <= closable || closable == 0 => None,
                b'[' => bracket(rest).or_else(|what| self.no_at(what, at))?,
                _ => Some(1),
            };
            match length {
                Some(length) => word.push(Part::Glob(rest[..length].to_owned())),
                None => word.push(Part::Literal("[".to_owned())),
            }
            rest = &rest[length.unwrap_or(1)..];
        }
        if !rest.is_empty() {
            word.push(Part::Literal(rest.to_owned()));
        }
        Ok(())
    }
}

/// Whether a parameter has what could be more of its name behind it.
fn lengthens(atoms: &[Atom]) -> bool {
    atoms.windows(2).any(|pair| is_parameter(&pair[0]) && is_of_name(&pair[1]))
}

/// Whether there is a parameter without that, which may be written without braces.
fn ends_a_name(atoms: &[Atom]) -> bool {
    let behind = |at: usize| atoms.get(at + 1).is_some_and(is_of_name);
    atoms.iter().enumerate().any(|(at, atom)| is_parameter(atom) && !behind(at))
}

fn is_parameter(atom: &Atom) -> bool {
    matches!(atom, Atom::Whole(Piece::Part(Part::Param(Param { form: Form::Plain, quoted: false, .. }))))
}

fn is_of_name(atom: &Atom) -> bool {
    matches!(atom, Atom::Bare(c) if c.is_ascii_alphanumeric() || *c == '_')
}

fn is(atom: &Atom, wanted: char) -> bool {
    matches!(atom, Atom::Bare(c) if *c == wanted)
}

fn pieces_of(atoms: Vec<Atom>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for atom in atoms {
        match (pieces.last_mut(), atom) {
            (Some(Piece::Bare(text)), Atom::Bare(c)) => text.push(c),
            (_, Atom::Bare(c)) => pieces.push(Piece::Bare(c.to_string())),
            (_, Atom::Whole(piece)) => pieces.push(piece),
        }
    }
    pieces
}

/// Takes a tilde and its name off a text, and gives the rest. `whole`: the text is all of the word.
fn tilde<'t>(word: &mut Word, text: &'t str, whole: bool) -> &'t str {
    let end = text.find('/').map_or(text.len(), |slash| slash + 1);
    let name = text[1..end].trim_end_matches('/');
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte));
    if !plain || (end == text.len() && !text.ends_with('/') && !whole) {
        return text;
    }
    word.push(Part::Tilde(text[..end].to_owned()));
    &text[end..]
}

/// Whether a bracket opens in one piece and may close in another: what is quoted or expanded would stand in it.
fn is_mixed_bracket(pieces: &[Piece]) -> bool {
    let opens = |piece: &Piece| matches!(piece, Piece::Bare(text) if stays_open(text));
    let closes = |piece: &Piece| matches!(piece, Piece::Bare(text) if text.contains(']'));
    let opened = pieces.iter().position(opens);
    opened.is_some_and(|at| pieces[at + 1..].iter().any(closes))
}

/// Whether a bracket in it has no end in it.
fn stays_open(text: &str) -> bool {
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        rest = &rest[open..];
        match bracket(rest) {
            Ok(Some(length)) => rest = &rest[length..],
            _ => return true,
        }
    }
    false
}

/// The length of the bracket expression that begins here; `None` when it is none.
fn bracket(text: &str) -> Result<Option<usize>, &'static str> {
    let bytes = text.as_bytes();
    let mut at = 1;
    at += usize::from(matches!(bytes.get(at), Some(b'!' | b'^')));
    let first = at;
    loop {
        match bytes.get(at) {
            Some(b']') if at > first => return Ok(Some(at + 1)),
            Some(b'[') if bytes.get(at + 1) == Some(&b':') => {
                let Some(end) = text[at..].find(":]") else { return Err("pattern") };
                at += end + 2;
            }
            Some(byte) if byte.is_ascii_alphanumeric() || b"_-.,:+@%!^]".contains(byte) => at += 1,
            Some(_) => return Err("pattern"),
            None => return Ok(None),
        }
    }
}

/// `{1..5}`, `{a..e}`, with a step or without.
fn range(atoms: &[Atom]) -> Result<Option<Vec<String>>, &'static str> {
    let mut text = String::new();
    for atom in atoms {
        match atom {
            Atom::Bare(c) => text.push(*c),
            Atom::Whole(_) => return if text.contains("..") { Err("range") } else { Ok(None) },
        }
    }
    if !text.contains("..") {
        return Ok(None);
    }
    let parts: Vec<&str> = text.split("..").collect();
    let (from, to, step) = match parts.as_slice() {
        [from, to] => (*from, *to, 1),
        [from, to, step] => (*from, *to, whole(step).filter(|step| *step > 0).ok_or("range")?),
        _ => return Err("range"),
    };
    let step = usize::try_from(step).map_err(|_| "range")?;
    let span = |from: i64, to: i64| -> Vec<i64> {
        if from <= to { (from..=to).step_by(step).collect() } else { (to..=from).rev().step_by(step).collect() }
    };
    if let (Some(from), Some(to)) = (whole(from), whole(to)) {
        return Ok(Some(span(from, to).into_iter().map(|number| number.to_string()).collect()));
    }
    match (from.as_bytes(), to.as_bytes()) {
        ([from], [to]) if from.is_ascii_lowercase() && to.is_ascii_lowercase() => {
            let letters = span(i64::from(*from), i64::from(*to)).into_iter();
            Ok(Some(
                letters.filter_map(|letter| u8::try_from(letter).ok()).map(|b| char::from(b).to_string()).collect(),
            ))
        }
        _ => Err("range"),
    }
}

/// A number as a range may have it: short, and without leading zeros, which would ask for a width.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (digits == "0" || !digits.starts_with('0')) { text.parse().ok() } else { None }
}
