//! What stands between `[[` and `]]`.

use super::{
    expand::Role,
    lex::{Parsed, Parser},
    parse::bare,
    tree::{Test, Word},
    word::Piece,
};

const UNARY: &str = "abcdefghknoprstuwxzGLNOS";
const BINARY: [&str; 12] = ["==", "=", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];

impl Parser<'_> {
    /// Everything up to `]]`, and that too.
    pub(super) fn tests(&mut self) -> Parsed<Test> {
        let test = self.either()?;
        self.skip_lines()?;
        self.expect_keyword("]]")?;
        Ok(test)
    }

    fn either(&mut self) -> Parsed<Test> {
        let mut test = self.both()?;
        loop {
            self.skip_lines()?;
            if !self.take("||") {
                return Ok(test);
            }
            self.budget.command()?;
            test = Test::Either(Box::new(test), Box::new(self.both()?));
            Self::chain(&test)?;
        }
    }

    fn both(&mut self) -> Parsed<Test> {
        let mut test = self.one()?;
        loop {
            self.skip_lines()?;
            if !self.take("&&") {
                return Ok(test);
            }
            self.budget.command()?;
            test = Test::Both(Box::new(test), Box::new(self.one()?));
            Self::chain(&test)?;
        }
    }

    /// A chain of conditions is a tree as deep as it is long.
    fn chain(test: &Test) -> Parsed<()> {
        let mut depth = 0;
        let mut test = test;
        while let Test::Both(left, _) | Test::Either(left, _) = test {
            depth += 1;
            test = left;
        }
        if depth > super::lex::MAX_DEPTH { Err(super::lex::Trouble::Limit("nesting")) } else { Ok(()) }
    }

    fn one(&mut self) -> Parsed<Test> {
        self.skip_lines()?;
        self.budget.enter()?;
        let test = if self.take_keyword("!") {
            Test::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let test = self.either()?;
            self.skip_lines()?;
            self.expect(")", "syntax")?;
            Test::Group(Box::new(test))
        } else {
            self.primary()?
        };
        self.budget.leave();
        Ok(test)
    }

    fn primary(&mut self) -> Parsed<Test> {
        let at = self.at;
        if self.keyword() == Some("]]") {
            return self.no("syntax");
        }
        let pieces = self.pieces()?;
        if let Some(sign) = bare(&pieces).filter(|text| text.len() == 2 && text.starts_with('-')) {
            self.skip_blanks();
            let alone = self.looks_at("]]") || self.looks_at("&&") || self.looks_at("||") || self.looks_at(")");
            if !UNARY.contains(&sign[1..]) {
                return self.no_at("operator of [[", at);
            }
            if alone {
                return self.no("syntax");
            }
            return Ok(Test::Unary(sign, self.operand_of_test(Role::Plain)?));
        }
        let left = self.word(pieces, Role::Plain, at)?;
        self.skip_blanks();
        let at = self.at;
        for sign in ["<", ">"] {
            if self.looks_at(sign) && !self.looks_at("<(") && !self.looks_at(">(") {
                self.take(sign);
                return Ok(Test::Binary(left, sign.to_owned(), self.operand_of_test(Role::Plain)?));
            }
        }
        match self.peek() {
            Some(b')' | b'&' | b'|' | b'\n') => return Ok(Test::Word(left)),
            _ if self.keyword() == Some("]]") => return Ok(Test::Word(left)),
            _ => {}
        }
        let sign = bare(&self.pieces()?).filter(|sign| BINARY.contains(&sign.as_str()));
        let Some(sign) = sign else { return self.no_at("operator of [[", at) };
        let role = if matches!(sign.as_str(), "==" | "=" | "!=") { Role::Pattern } else { Role::Plain };
        Ok(Test::Binary(left, sign, self.operand_of_test(role)?))
    }

    fn operand_of_test(&mut self, role: Role) -> Parsed<Word> {
        self.skip_blanks();
        let at = self.at;
        if self.keyword() == Some("]]") {
            return self.no("syntax");
        }
        let pieces: Vec<Piece> = self.pieces()?;
        // Extended patterns are always on here.
        if self.peek() == Some(b'(') {
            return self.no("pattern");
        }
        self.word(pieces, role, at)
    }
}
