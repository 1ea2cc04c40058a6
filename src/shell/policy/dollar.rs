//! What a dollar sign begins.

use super::{
    expand::Role,
    lex::{Parsed, Parser, is_name},
    sum,
    tree::{Form, Param, Part, Word},
    word::{Piece, Within},
};

impl Parser<'_> {
    pub(super) fn dollar(&mut self, quoted: bool) -> Parsed<Piece> {
        let from = self.at;
        self.at += 1;
        let Some(next) = self.peek() else { return Ok(Piece::Quoted("$".to_owned())) };
        let part = match next {
            b'(' if self.looks_at("((") => self.sum(quoted)?,
            b'(' => Part::Output { list: self.parenthesized()?, quoted },
            b'{' => Part::Param(self.braced(quoted)?),
            b'[' => return self.no_at("arithmetic", from),
            b'\'' if !quoted => {
                self.bash_only("$'…'")?;
                return self.ansi().map(Piece::Quoted);
            }
            b'"' if !quoted => return self.no_at("translated text", from),
            _ => match self.name() {
                Some(name) => Part::Param(Param { name, form: Form::Plain, quoted }),
                None => return Ok(Piece::Quoted("$".to_owned())),
            },
        };
        Ok(Piece::Part(part))
    }

    /// The name of a parameter that needs no braces.
    fn name(&mut self) -> Option<String> {
        match self.peek()? {
            byte @ (b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.at += 1;
                Some(char::from(byte).to_string())
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                Some(self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
            }
            _ => None,
        }
    }

    /// `$((…))`: nothing but numbers, since a name in it would be evaluated, and nothing that fails.
    fn sum(&mut self, quoted: bool) -> Parsed<Part> {
        let from = self.at - 1;
        self.expect("((", "arithmetic")?;
        let rest = self.rest();
        let Some(length) = rest.find("))") else { return self.no_at("arithmetic", from) };
        let text = &rest[..length];
        if sum::value(text).is_none() {
            return self.no_at("arithmetic", from);
        }
        self.at += length + 2;
        Ok(Part::Sum { text: text.to_owned(), quoted })
    }

    /// `${…}`.
    fn braced(&mut self, quoted: bool) -> Parsed<Param> {
        let from = self.at - 1;
        self.at += 1;
        if self.looks_at("#") && !self.looks_at("#}") {
            self.at += 1;
            let Some(name) = self.long_name() else { return self.no_at("expansion", from) };
            self.expect("}", "expansion")?;
            return Ok(Param { name, form: Form::Length, quoted });
        }
        if self.looks_at("!") && !self.looks_at("!}") {
            return self.no_at("indirect expansion", from);
        }
        let Some(name) = self.long_name() else { return self.no_at("expansion", from) };
        self.budget.enter()?;
        let form = self.form(quoted, from)?;
        self.budget.leave();
        self.expect("}", "expansion")?;
        // An argument cannot be set.
        if matches!(form, Form::Default(":=" | "=", _)) && !is_name(&name) {
            return self.no_at("expansion", from);
        }
        Ok(Param { name, form, quoted })
    }

    fn long_name(&mut self) -> Option<String> {
        match self.peek()? {
            b'0'..=b'9' => Some(self.take_while(|byte| byte.is_ascii_digit())),
            _ => self.name(),
        }
    }

    fn form(&mut self, quoted: bool, from: usize) -> Parsed<Form> {
        const DEFAULTS: [&str; 8] = [":-", ":=", ":?", ":+", "-", "=", "?", "+"];
        const TRIMS: [&str; 4] = ["##", "#", "%%", "%"];
        const REPLACEMENTS: [&str; 4] = ["//", "/#", "/%", "/"];
        const CASES: [&str; 4] = ["^^", "^", ",,", ","];
        self.peek();
        if self.looks_at("}") {
            return Ok(Form::Plain);
        }
        if let Some(sign) = DEFAULTS.into_iter().find(|sign| self.take(sign)) {
            return Ok(Form::Default(sign, self.operand(quoted, Role::Plain, false)?));
        }
        if let Some(sign) = TRIMS.into_iter().find(|sign| self.take(sign)) {
            return Ok(Form::Trim(sign, self.operand(quoted, Role::Pattern, false)?));
        }
        self.bash_only("expansion")?;
        if let Some(sign) = REPLACEMENTS.into_iter().find(|sign| self.take(sign)) {
            let pattern = self.operand(quoted, Role::Pattern, true)?;
            let with = if self.take("/") { Some(self.operand(quoted, Role::Plain, false)?) } else { None };
            // In newer versions of bash it stands for what was found, unless it is quoted.
            let ampersand = |part: &Part| matches!(part, Part::Literal(text) if text.contains('&'));
            if with.as_ref().is_some_and(|word| word.parts.iter().any(ampersand)) {
                return self.no_at("& in a replacement", from);
            }
            return Ok(Form::Replace(sign, pattern, with));
        }
        if let Some(sign) = CASES.into_iter().find(|sign| self.take(sign)) {
            return Ok(Form::Case(sign));
        }
        if self.take(":") {
            let text = self.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b':'));
            // It is arithmetic, which may fail, and so may a length from the end.
            let is_number = |part: &str| part.len() < 10 && sum::value(part).is_some();
            let parts: Vec<&str> = text.split(':').collect();
            let ends_before_it = parts.get(1).is_some_and(|length| length.contains('-'));
            if parts.len() <= 2 && parts.iter().all(|part| is_number(part)) && !ends_before_it {
                return Ok(Form::Slice(text));
            }
        }
        self.no_at("expansion", from)
    }

    /// The word in an expansion.
    fn operand(&mut self, quoted: bool, role: Role, slash: bool) -> Parsed<Word> {
        let at = self.at;
        let pieces = if quoted { self.quoted_operand(slash)? } else { self.pieces_within(Within::Braces { slash })? };
        for piece in &pieces {
            let Piece::Bare(text) = piece else { continue };
            // What is not quoted here is split, and matched with names of files, after it was put in.
            let loose = |c: char| c.is_ascii_whitespace() || "*?[]".contains(c);
            if !quoted && role == Role::Plain && text.contains(loose) {
                return self.no_at("loose word in an expansion", at);
            }
            if text.contains(['{', '~']) {
                return self.no_at("word in an expansion", at);
            }
        }
        self.word(pieces, role, at)
    }

    /// Within double quotes: how quotes in it would be read differs from shell to shell.
    fn quoted_operand(&mut self, slash: bool) -> Parsed<Vec<Piece>> {
        let mut pieces = Vec::new();
        loop {
            match self.peek() {
                None => return self.no("expansion"),
                Some(b'}') => return Ok(pieces),
                Some(b'/') if slash => return Ok(pieces),
                Some(b'\'' | b'"' | b'\\') => return self.no("quote in a quoted expansion"),
                Some(b'$') => {
                    let piece = self.dollar(true)?;
                    // Rendered in its place, a dollar sign alone could begin something.
                    if !matches!(piece, Piece::Part(_)) {
                        return self.no("dollar sign in an expansion");
                    }
                    pieces.push(piece);
                }
                Some(b'`') => pieces.push(Piece::Part(self.backticks(true)?)),
                Some(_) => {
                    let ends = |c: char| matches!(c, '}' | '\'' | '"' | '\\' | '$' | '`') || (slash && c == '/');
                    let length = self.rest().find(ends).unwrap_or(self.rest().len());
                    let text = &self.rest()[..length];
                    // Some encodings make one character of it and of the sign behind it.
                    if text.ends_with(|c: char| !c.is_ascii()) {
                        return self.no("letter at the end of a quoted expansion");
                    }
                    pieces.push(Piece::Bare(text.to_owned()));
                    self.at += length;
                }
            }
        }
    }

    /// `$'…'`.
    fn ansi(&mut self) -> Parsed<String> {
        let from = self.at - 1;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else { return self.no_at("quote without its end", from) };
            self.at += c.len_utf8();
            match c {
                '\'' => return Ok(text),
                '\\' => match self.ansi_escape() {
                    Some(c) => text.push(c),
                    None => return self.no_at("escape in $'…'", from),
                },
                c => text.push(c),
            }
        }
    }

    fn ansi_escape(&mut self) -> Option<char> {
        let escape = self.rest().chars().next()?;
        self.at += escape.len_utf8();
        let simple = match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'e' | 'E' => '\x1b',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '\'' | '"' | '?' => escape,
            'x' => return self.numeric(16, 2).filter(char::is_ascii),
            'u' => return self.numeric(16, 4),
            'U' => return self.numeric(16, 8),
            '0'..='7' => {
                self.at -= 1;
                return self.numeric(8, 3).filter(char::is_ascii);
            }
            _ => return None,
        };
        Some(simple)
    }

    fn numeric(&mut self, radix: u32, most: usize) -> Option<char> {
        let digits = self.rest().bytes().take(most).take_while(|byte| char::from(*byte).is_digit(radix)).count();
        let value = u32::from_str_radix(&self.rest()[..digits], radix).ok()?;
        self.at += digits;
        char::from_u32(value).filter(|c| *c != '\0')
    }
}
