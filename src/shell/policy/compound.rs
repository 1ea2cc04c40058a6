//! Groups, conditions, loops and functions.

use super::{
    expand::Role,
    lex::{Parsed, Parser, is_name},
    parse::bare,
    tree::{Arm, Command, Compound, Direction, List, Part, Redirect},
};

impl Parser<'_> {
    /// The compound command that this word opens.
    pub(super) fn compound(&mut self, opener: &'static str) -> Parsed<Command> {
        let from = self.at;
        self.budget.enter()?;
        let kind = match opener {
            "(" => self.subshell()?,
            "{" => self.group()?,
            "if" => self.condition()?,
            "while" | "until" => self.repetition(opener)?,
            "for" => self.iteration()?,
            "case" => self.choice()?,
            "[[" => {
                self.bash_only("[[")?;
                self.expect_keyword("[[")?;
                Compound::Test(self.tests()?)
            }
            "function" => {
                self.bash_only("function")?;
                let function = self.function(from);
                self.budget.leave();
                return function;
            }
            _ => return self.no("syntax"),
        };
        self.budget.leave();
        let mut redirects = Vec::new();
        loop {
            self.skip_blanks();
            match self.redirect()? {
                Some(redirect) => redirects.push(redirect),
                None => break,
            }
        }
        self.check_documents(&redirects)?;
        Ok(Command::Compound { kind, redirects, spot: self.spot(from) })
    }

    fn subshell(&mut self) -> Parsed<Compound> {
        if self.looks_at("((") {
            return self.no("arithmetic");
        }
        self.expect("(", "syntax")?;
        let list = self.some(&[])?;
        self.expect(")", "syntax")?;
        Ok(Compound::Subshell(list))
    }

    fn group(&mut self) -> Parsed<Compound> {
        self.expect_keyword("{")?;
        let list = self.some(&["}"])?;
        self.expect_keyword("}")?;
        Ok(Compound::Group(list))
    }

    fn condition(&mut self) -> Parsed<Compound> {
        self.expect_keyword("if")?;
        let (mut arms, mut otherwise) = (Vec::new(), None);
        loop {
            let condition = self.some(&["then"])?;
            self.expect_keyword("then")?;
            arms.push((condition, self.some(&["elif", "else", "fi"])?));
            if self.take_keyword("elif") {
                continue;
            }
            if self.take_keyword("else") {
                otherwise = Some(self.some(&["fi"])?);
            }
            self.expect_keyword("fi")?;
            return Ok(Compound::If { arms, otherwise });
        }
    }

    fn repetition(&mut self, word: &'static str) -> Parsed<Compound> {
        self.expect_keyword(word)?;
        let condition = self.some(&["do"])?;
        Ok(Compound::While { until: word == "until", condition, body: self.body()? })
    }

    /// `do …; done`.
    fn body(&mut self) -> Parsed<List> {
        self.expect_keyword("do")?;
        let list = self.some(&["done"])?;
        self.expect_keyword("done")?;
        Ok(list)
    }

    fn iteration(&mut self) -> Parsed<Compound> {
        self.expect_keyword("for")?;
        self.skip_blanks();
        if self.looks_at("((") {
            return self.no("arithmetic");
        }
        let at = self.at;
        let name = bare(&self.pieces()?).filter(|name| is_name(name));
        let Some(name) = name else { return self.no_at("syntax", at) };
        self.skip_lines()?;
        let mut words = None;
        if self.take_keyword("in") {
            words = Some(self.loop_words()?);
        }
        self.skip_blanks();
        if !self.looks_at(";;") {
            self.take(";");
        }
        self.skip_lines()?;
        Ok(Compound::For { name, words, body: self.body()? })
    }

    fn loop_words(&mut self) -> Parsed<Vec<super::tree::Word>> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'\n' | b';') => return Ok(words),
                Some(b'<' | b'>') if self.looks_at("<(") || self.looks_at(">(") => {}
                None | Some(b'&' | b'|' | b'(' | b')' | b'<' | b'>') => return self.no("syntax"),
                Some(_) => {}
            }
            let at = self.at;
            let pieces = self.pieces()?;
            words.extend(self.words(pieces, Role::Argument, at)?);
        }
    }

    fn choice(&mut self) -> Parsed<Compound> {
        self.expect_keyword("case")?;
        self.skip_blanks();
        let at = self.at;
        let pieces = self.pieces()?;
        let word = self.word(pieces, Role::Plain, at)?;
        self.skip_lines()?;
        self.expect_keyword("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_lines()?;
            if self.take_keyword("esac") {
                return Ok(Compound::Case { word, arms });
            }
            let (arm, last) = self.arm()?;
            arms.push(arm);
            if last {
                self.skip_lines()?;
                self.expect_keyword("esac")?;
                return Ok(Compound::Case { word, arms });
            }
        }
    }

    /// An arm, and whether it ended without `;;`.
    fn arm(&mut self) -> Parsed<(Arm, bool)> {
        self.take("(");
        let mut patterns = Vec::new();
        loop {
            self.skip_blanks();
            let at = self.at;
            let pieces = self.pieces()?;
            patterns.push(self.word(pieces, Role::Pattern, at)?);
            self.skip_blanks();
            if self.take(")") {
                break;
            }
            self.expect("|", "syntax")?;
        }
        let body = self.list(&["esac"])?;
        let (end, last) = if self.take(";;&") {
            (";;&", false)
        } else if self.take(";;") {
            (";;", false)
        } else if self.take(";&") {
            (";&", false)
        } else {
            (";;", true)
        };
        if end != ";;" {
            self.bash_only("end of an arm")?;
        }
        Ok((Arm { patterns, body, end }, last))
    }

    /// `function name`, with or without parentheses.
    fn function(&mut self, from: usize) -> Parsed<Command> {
        self.expect_keyword("function")?;
        self.skip_blanks();
        let at = self.at;
        let Some(name) = bare(&self.pieces()?) else { return self.no_at("syntax", at) };
        self.skip_blanks();
        if self.peek() == Some(b'(') {
            return self.function_body(name, from);
        }
        self.function_after(name, from)
    }

    /// `() compound`, behind the name.
    pub(super) fn function_body(&mut self, name: String, from: usize) -> Parsed<Command> {
        self.expect("(", "syntax")?;
        self.skip_blanks();
        self.expect(")", "parenthesis")?;
        self.function_after(name, from)
    }

    fn function_after(&mut self, name: String, from: usize) -> Parsed<Command> {
        let simple = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !simple || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return self.no_at("name of a function", from);
        }
        self.skip_lines()?;
        let opener = match self.keyword() {
            Some(word @ ("{" | "if" | "while" | "until" | "for" | "case" | "[[")) => word,
            None if self.peek() == Some(b'(') => "(",
            _ => return self.no("syntax"),
        };
        self.budget.enter()?;
        let body = Box::new(self.compound(opener)?);
        self.budget.leave();
        Ok(Command::Function { name, body, spot: self.spot(from) })
    }

    /// What stands behind a here-document in the rendered line must fit into that line.
    pub(super) fn check_documents(&self, redirects: &[Redirect]) -> Parsed<()> {
        let is_document = |redirect: &&Redirect| matches!(redirect.kind, Direction::Document(_));
        let behind = redirects.iter().skip_while(|redirect| !is_document(redirect));
        let in_a_line = |part: &Part| match part {
            Part::Literal(text) => !text.contains('\n'),
            Part::Glob(_) | Part::Tilde(_) | Part::Sum { .. } => true,
            Part::Param(param) => param.form == super::tree::Form::Plain,
            Part::Output { .. } | Part::Process { .. } => false,
        };
        let fits = |redirect: &Redirect| match &redirect.kind {
            Direction::File(_, word) | Direction::Text(word) => word.parts.iter().all(in_a_line),
            Direction::Copy(..) | Direction::Document(_) => true,
        };
        if behind.into_iter().all(fits) { Ok(()) } else { self.no("redirection behind a here-document") }
    }
}
