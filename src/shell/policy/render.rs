//! A text for the shell, made from the tree that was judged.

use super::{
    lex::{Budget, Dialect, Parsed, Trouble},
    parse::parse,
    tree::{
        Arm, Assignment, Command, Compound, Direction, Form, Item, Junction, List, Param, Part, Pipeline, Redirect,
        Simple, Test, Timed, Word,
    },
};

/// The text of a list: each command in a line of its own, whatever is text in single quotes.
pub(super) fn render(list: &List) -> String {
    let mut out = Renderer::default();
    out.list(list);
    out.text
}

/// The same, when it would be read as this list again: what runs is what was judged.
pub(super) fn faithful(list: &List, dialect: Dialect) -> Parsed<String> {
    let rendered = render(list);
    match parse(&rendered, dialect, Budget::default()) {
        Ok((again, _)) if again == *list => Ok(rendered),
        Err(Trouble::Limit(which)) => Err(Trouble::Limit(which)),
        _ => Err(Trouble::Unsupported("text that cannot be written anew", 0)),
    }
}

/// What a part looks like, for people and for patterns.
pub(super) fn part(part: &Part) -> String {
    let mut out = Renderer::default();
    out.part(part);
    out.text
}

#[derive(Default)]
struct Renderer {
    text: String,
    /// Bodies that belong behind the next line end, with their ends.
    awaited: Vec<(String, String)>,
}

impl Renderer {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn line_end(&mut self) {
        self.put("\n");
        for (body, end) in std::mem::take(&mut self.awaited) {
            self.text.extend([&body, &end, "\n"]);
        }
    }

    fn list(&mut self, list: &List) {
        list.0.iter().for_each(|item| self.item(item));
    }

    fn item(&mut self, item: &Item) {
        self.pipeline(&item.first);
        for (junction, pipeline) in &item.rest {
            self.put(match junction {
                Junction::And => " &&",
                Junction::Or => " ||",
            });
            self.line_end();
            self.pipeline(pipeline);
        }
        if item.background {
            self.put(" &");
        }
        self.line_end();
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        self.put(match pipeline.timed {
            Timed::No => "",
            Timed::Yes => "time ",
            Timed::Portably => "time -p ",
        });
        if pipeline.negated {
            self.put("! ");
        }
        for (index, command) in pipeline.commands.iter().enumerate() {
            if index > 0 {
                self.put(" |");
                self.line_end();
            }
            self.command(command);
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound { kind, redirects, .. } => {
                self.compound(kind);
                self.redirects(redirects);
            }
            Command::Function { name, body, .. } => {
                self.text.extend([name, " () "]);
                self.command(body);
            }
        }
    }

    fn simple(&mut self, simple: &Simple) {
        let from = self.text.len();
        for Assignment { name, append, value } in &simple.assignments {
            self.blank(from);
            self.text.extend([name.as_str(), if *append { "+=" } else { "=" }]);
            self.word(value);
        }
        for word in &simple.words {
            self.blank(from);
            self.word(word);
        }
        for redirect in &simple.redirects {
            self.blank(from);
            self.redirect(redirect);
        }
    }

    fn blank(&mut self, from: usize) {
        if self.text.len() > from && !self.text.ends_with(' ') {
            self.put(" ");
        }
    }

    fn redirects(&mut self, redirects: &[Redirect]) {
        for redirect in redirects {
            self.put(" ");
            self.redirect(redirect);
        }
    }

    fn redirect(&mut self, redirect: &Redirect) {
        if let Some(fd) = redirect.fd {
            self.put(&fd.to_string());
        }
        match &redirect.kind {
            Direction::File(sign, word) => {
                self.text.extend([*sign, " "]);
                self.word(word);
            }
            Direction::Copy(sign, target) => self.text.extend([*sign, target.as_str()]),
            Direction::Text(word) => {
                self.put("<<< ");
                self.word(word);
            }
            Direction::Document(body) => self.document(body.get().map_or(&[], Vec::as_slice)),
        }
    }

    fn document(&mut self, parts: &[Part]) {
        let (body, live) = match parts {
            [] => (String::new(), false),
            [Part::Literal(text)] => (text.clone(), false),
            parts => (live_document(parts), true),
        };
        let mut end = "EOF".to_owned();
        while body.contains(&end) {
            end.push('_');
        }
        self.text.extend(["<<", &if live { end.clone() } else { format!("'{end}'") }]);
        self.awaited.push((body, end));
    }

    fn compound(&mut self, compound: &Compound) {
        match compound {
            Compound::Group(list) => self.enclosed("{", list, "}"),
            Compound::Subshell(list) => self.enclosed("(", list, ")"),
            Compound::If { arms, otherwise } => {
                for (index, (condition, body)) in arms.iter().enumerate() {
                    self.enclosed(if index == 0 { "if" } else { "elif" }, condition, "then\n");
                    self.list(body);
                }
                if let Some(list) = otherwise {
                    self.put("else\n");
                    self.list(list);
                }
                self.put("fi");
            }
            Compound::While { until, condition, body } => {
                self.enclosed(if *until { "until" } else { "while" }, condition, "");
                self.enclosed("do", body, "done");
            }
            Compound::For { name, words, body } => {
                self.text.extend(["for ", name]);
                if let Some(words) = words {
                    self.put(" in");
                    for word in words {
                        self.put(" ");
                        self.word(word);
                    }
                }
                self.put("\n");
                self.enclosed("do", body, "done");
            }
            Compound::Case { word, arms } => {
                self.put("case ");
                self.word(word);
                self.put(" in\n");
                for arm in arms {
                    self.arm(arm);
                }
                self.put("esac");
            }
            Compound::Test(test) => {
                self.put("[[ ");
                self.test(test);
                self.put(" ]]");
            }
        }
    }

    fn enclosed(&mut self, open: &str, list: &List, close: &str) {
        self.text.extend([open, "\n"]);
        self.list(list);
        self.put(close);
    }

    fn arm(&mut self, arm: &Arm) {
        for (index, pattern) in arm.patterns.iter().enumerate() {
            self.put(if index == 0 { "(" } else { "|" });
            self.word(pattern);
        }
        self.put(")\n");
        self.list(&arm.body);
        self.text.extend([arm.end, "\n"]);
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::Word(word) => self.word(word),
            Test::Unary(sign, word) => {
                self.text.extend([sign, " "]);
                self.word(word);
            }
            Test::Binary(left, sign, right) => {
                self.word(left);
                self.text.extend([" ", sign, " "]);
                self.word(right);
            }
            Test::Not(test) => {
                self.put("! ");
                self.test(test);
            }
            Test::Both(left, right) => self.tests(left, " && ", right),
            Test::Either(left, right) => self.tests(left, " || ", right),
            Test::Group(test) => {
                self.put("( ");
                self.test(test);
                self.put(" )");
            }
        }
    }

    fn tests(&mut self, left: &Test, sign: &str, right: &Test) {
        self.test(left);
        self.put(sign);
        self.test(right);
    }

    fn word(&mut self, word: &Word) {
        word.parts.iter().for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &Part) {
        let quoted = match part {
            Part::Literal(text) => return self.literal(text),
            Part::Param(Param { quoted, .. }) | Part::Output { quoted, .. } | Part::Sum { quoted, .. } => *quoted,
            Part::Glob(_) | Part::Tilde(_) | Part::Process { .. } => false,
        };
        if quoted {
            self.put("\"");
        }
        self.naked(part, quoted);
        if quoted {
            self.put("\"");
        }
    }

    fn literal(&mut self, text: &str) {
        self.text.extend(["'", &text.replace('\'', r"'\''"), "'"]);
    }

    /// A part without quotes of its own; `inside` of double quotes or of a here-document, text stands as it is.
    fn naked(&mut self, part: &Part, inside: bool) {
        match part {
            Part::Literal(text) | Part::Glob(text) | Part::Tilde(text) => self.put(text),
            Part::Param(param) => self.param(param, inside),
            Part::Output { list, .. } => self.substitution("$(", list),
            Part::Process { sign, list } => self.substitution(if *sign == '<' { "<(" } else { ">(" }, list),
            Part::Sum { text, .. } => self.text.extend(["$((", text, "))"]),
        }
    }

    fn substitution(&mut self, open: &str, list: &List) {
        // The here-documents of the line that this stands in come after it: nothing of them can be waiting yet.
        let outer = std::mem::take(&mut self.awaited);
        self.enclosed(open, list, ")");
        self.awaited = outer;
    }

    fn param(&mut self, param: &Param, inside: bool) {
        self.put("${");
        if param.form == Form::Length {
            self.put("#");
        }
        self.put(&param.name);
        match &param.form {
            Form::Plain | Form::Length => {}
            Form::Default(sign, word) | Form::Trim(sign, word) => {
                self.put(sign);
                self.operand(word, inside);
            }
            Form::Replace(sign, pattern, with) => {
                self.put(sign);
                self.operand(pattern, inside);
                if let Some(with) = with {
                    self.put("/");
                    self.operand(with, inside);
                }
            }
            Form::Case(sign) => self.put(sign),
            Form::Slice(text) => self.text.extend([":", text]),
        }
        self.put("}");
    }

    fn operand(&mut self, word: &Word, inside: bool) {
        for part in &word.parts {
            if inside {
                self.naked(part, true);
            } else {
                self.part(part);
            }
        }
    }
}

/// The body of a here-document in which something is expanded.
fn live_document(parts: &[Part]) -> String {
    let mut out = Renderer::default();
    for part in parts {
        match part {
            Part::Literal(text) => {
                for c in text.chars() {
                    if matches!(c, '\\' | '$' | '`') {
                        out.put("\\");
                    }
                    out.text.push(c);
                }
            }
            part => out.naked(part, true),
        }
    }
    out.text
}
