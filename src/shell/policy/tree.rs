//! What a command line is made of, once it is understood.
//!
//! Two trees are equal when they run the same: where something stood in the text does not count.

use std::{cell::OnceCell, rc::Rc};

/// A sequence of commands: a whole text, or what stands in a group, a loop, a substitution.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct List(pub(super) Vec<Item>);

/// Pipelines joined by `&&` and `||`, and whether they run in the background.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Junction, Pipeline)>,
    pub(super) background: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub(super) timed: Timed,
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// The reserved word `time` before a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timed {
    No,
    Yes,
    /// `time -p`.
    Portably,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Simple(Simple),
    Compound { kind: Compound, redirects: Vec<Redirect>, spot: Spot },
    Function { name: String, body: Box<Command>, spot: Spot },
}

/// A program, a builtin or a function with what it is given; or assignments alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Simple {
    pub(super) assignments: Vec<Assignment>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
    pub(super) spot: Spot,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Compound {
    Group(List),
    Subshell(List),
    If { arms: Vec<(List, List)>, otherwise: Option<List> },
    While { until: bool, condition: List, body: List },
    For { name: String, words: Option<Vec<Word>>, body: List },
    Case { word: Word, arms: Vec<Arm> },
    Test(Test),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    pub(super) patterns: Vec<Word>,
    pub(super) body: List,
    /// `;;`, `;&` or `;;&`.
    pub(super) end: &'static str,
}

/// What stands between `[[` and `]]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Word(Word),
    Unary(String, Word),
    Binary(Word, String, Word),
    Not(Box<Test>),
    Both(Box<Test>, Box<Test>),
    Either(Box<Test>, Box<Test>),
    Group(Box<Test>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) append: bool,
    pub(super) value: Word,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Redirect {
    pub(super) fd: Option<u32>,
    pub(super) kind: Direction,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Direction {
    /// `< > >> >| <> &> &>>` and what it names.
    File(&'static str, Word),
    /// `<&` or `>&` and a number or `-`.
    Copy(&'static str, String),
    /// `<<<`.
    Text(Word),
    Document(Document),
}

/// The body of a here-document. It is read when the line ends, after the command that names it.
pub(super) type Document = Rc<OnceCell<Vec<Part>>>;

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Word {
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// Text that means itself.
    Literal(String),
    /// Live pattern characters: `*`, `?`, `[a-z]`.
    Glob(String),
    /// `~`, `~name`, with the slash behind it when there is one.
    Tilde(String),
    Param(Param),
    /// `$(…)` and backticks.
    Output {
        list: List,
        quoted: bool,
    },
    /// `<(…)` and `>(…)`.
    Process {
        sign: char,
        list: List,
    },
    /// `$((…))` of literal numbers.
    Sum {
        text: String,
        quoted: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) quoted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Plain,
    /// `${#x}`.
    Length,
    /// `:-`, `-`, `:=`, `=`, `:?`, `?`, `:+`, `+`, and the word.
    Default(&'static str, Word),
    /// `#`, `##`, `%`, `%%`, and the pattern.
    Trim(&'static str, Word),
    /// `/`, `//`, `/#`, `/%`, the pattern and what takes its place.
    Replace(&'static str, Word, Option<Word>),
    /// `^`, `^^`, `,`, `,,`.
    Case(&'static str),
    /// `${x:1:2}` with literal numbers, as they stand.
    Slice(String),
}

/// Where something stood: its text, and its place in the whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Spot {
    pub(super) at: usize,
    pub(super) source: String,
}

impl PartialEq for Spot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl List {
    /// The same as one command. A shell goes on with the next command of a text when an error makes it abandon one, and
    /// what was set and defined in that one then is not: it abandons all of it, or nothing.
    pub(super) fn into_one(self) -> Self {
        if self.0.len() < 2 {
            return self;
        }
        let group = Command::Compound { kind: Compound::Group(self), redirects: Vec::new(), spot: Spot::default() };
        let first = Pipeline { timed: Timed::No, negated: false, commands: vec![group] };
        Self(vec![Item { first, rest: Vec::new(), background: false }])
    }
}

impl Word {
    pub(super) fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Literal(text.into())] }
    }

    /// The text of a word that is nothing but text.
    pub(super) fn text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends a part, in the one form that a word has.
    pub(super) fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(text)) | (Some(Part::Glob(before)), Part::Glob(text)) => {
                before.push_str(&text);
            }
            (_, part) => self.parts.push(part),
        }
    }
}

impl Part {
    /// The words in it.
    pub(super) fn operands(&self) -> Vec<&Word> {
        match self {
            Self::Param(Param { form: Form::Default(_, word) | Form::Trim(_, word), .. }) => vec![word],
            Self::Param(Param { form: Form::Replace(_, pattern, with), .. }) => {
                [pattern].into_iter().chain(with).collect()
            }
            _ => Vec::new(),
        }
    }
}
