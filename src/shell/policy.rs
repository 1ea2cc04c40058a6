//! What a shell with patterns may run: a command line is parsed, and judged as the shell will run it.
//!
//! This is a guard rail for an honest but misled agent, not a sandbox: a program that is allowed can do what it likes.

mod assignments;
mod builtins;
mod compound;
mod cond;
mod conditions;
mod dollar;
mod expand;
mod filters;
mod find;
mod input;
mod interpreters;
mod judge;
mod lex;
mod names;
mod options;
mod parse;
mod place;
mod program;
mod redirect;
mod render;
mod sum;
mod tree;
mod values;
mod walk;
mod warnings;
mod word;
mod wrappers;
mod writes;

use std::{borrow::Cow, fmt};

use self::lex::{Budget, Dialect, MAX_TEXT, Trouble};
pub use self::{place::Place, warnings::warnings};
use crate::config::{Pattern, PatternConfig, PolicyConfig};

/// The patterns of a shell entry, compiled once.
#[derive(Debug)]
pub struct Policy {
    /// `None` when only blocked ones were given.
    allowed: Option<Vec<Pattern>>,
    blocked: Vec<Pattern>,
    builtins: bool,
    filters: bool,
    writes: Vec<String>,
    dialect: Dialect,
}

/// What is thought of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may run.
    pub allowed: bool,
    /// Why not.
    pub rule: Option<Rule>,
    /// The part of it that the rule is about.
    pub culprit: Option<String>,
    /// Every simple command in it, in each way in which it may run, with those that wrappers and `sh -c` run.
    pub commands: Vec<Judged>,
    /// The text to run in its place, when it may run.
    pub rendered: Option<String>,
}

/// A simple command, and what is thought of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// As it was written.
    pub text: String,
    /// Its words without quotes, values of variables put in where they are known.
    pub words: Vec<String>,
    /// Why it may not run.
    pub rule: Option<Rule>,
}

/// Why a command line may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// This pattern blocks it.
    Blocked(String),
    /// No pattern allows it.
    NotAllowed,
    /// A construct that is not understood well enough, and the byte where it stands.
    Unsupported(&'static str, usize),
    /// It sets a variable that may change what runs.
    Assignment(String),
    /// It writes where nothing says that it may.
    Write(String),
    /// It leaves the entry's directory.
    Directory(String),
    /// It is longer, or nested deeper, than anything that is judged.
    Limit(&'static str),
}

impl Rule {
    fn unsupported(what: &'static str, at: usize) -> Self {
        Self::Unsupported(what, at)
    }

    /// What it is called, without anything of the command.
    pub(super) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Blocked(pattern) => format!("blocked:{pattern}").into(),
            Self::NotAllowed => "not-allowed".into(),
            Self::Unsupported(what, _) => format!("unsupported:{what}").into(),
            Self::Assignment(_) => "assignment".into(),
            Self::Write(_) => "write".into(),
            Self::Directory(_) => "directory".into(),
            Self::Limit(which) => format!("limit:{which}").into(),
        }
    }
}

impl From<Trouble> for Rule {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unsupported(what, at) => Self::Unsupported(what, at),
            Trouble::Limit(which) => Self::Limit(which),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(pattern) => write!(f, "blocked:{pattern}"),
            Self::NotAllowed => write!(f, "not-allowed"),
            Self::Unsupported(what, at) => write!(f, "unsupported:{what}@{at}"),
            Self::Assignment(name) => write!(f, "assignment:{name}"),
            Self::Write(target) => write!(f, "write:{target}"),
            Self::Directory(path) => write!(f, "directory:{path}"),
            Self::Limit(which) => write!(f, "limit:{which}"),
        }
    }
}

impl Policy {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// Every pattern that cannot be used, or that does not keep to its examples, with the reason.
    pub fn new(config: &PolicyConfig) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut compile = |key: &str, patterns: &[PatternConfig], anchored| {
            let mut compiled = Vec::new();
            for (index, pattern) in patterns.iter().enumerate() {
                match Pattern::new(pattern, anchored) {
                    Ok(pattern) => compiled.push(pattern),
                    Err(reason) => mistakes.push(format!("`{key}[{index}]` {reason}")),
                }
            }
            compiled
        };
        let allowed = config.allowed.as_ref().map(|patterns| compile("allowedPatterns", patterns, true));
        let blocked = compile("blockedPatterns", &config.blocked, false);
        let writes = config.allow_writes.clone();
        if mistakes.is_empty() {
            let (builtins, filters) = (config.builtins, config.filters);
            Ok(Self { allowed, blocked, builtins, filters, writes, dialect: Dialect::Bash })
        } else {
            Err(mistakes)
        }
    }

    /// The same for a shell that need not be bash: nothing passes but what every shell reads alike.
    #[must_use]
    pub fn for_any_shell(self) -> Self {
        Self { dialect: Dialect::Posix, ..self }
    }

    /// Judges a command line. Nothing is started; only paths are looked up.
    pub fn judge(&self, command: &str, place: &Place) -> Verdict {
        let refused = |rule: Rule| Verdict {
            allowed: false,
            culprit: Some(judge::shortened(command)),
            rule: Some(rule),
            commands: Vec::new(),
            rendered: None,
        };
        if command.len() > MAX_TEXT {
            return refused(Rule::Limit("text"));
        }
        if let Some(pattern) = self.blocks(command) {
            return refused(Rule::Blocked(pattern));
        }
        if !place.holds(place.start()) {
            return refused(Rule::Directory(place.start().to_string_lossy().into_owned()));
        }
        let (mut list, budget) = match parse::parse(command, self.dialect, Budget::default()) {
            Ok(parsed) => parsed,
            Err(trouble) => return refused(trouble.into()),
        };
        let mut judge = judge::Judge::new(self, place, budget);
        judge.unsettle(&list);
        judge.list(&mut list);
        let (commands, problems) = judge.into_findings();
        let worst = problems.iter().find(|(_, rule)| matches!(rule, Rule::Blocked(_))).or(problems.first());
        if let Some((culprit, rule)) = worst {
            let (culprit, rule) = (Some(culprit.clone()), Some(rule.clone()));
            return Verdict { allowed: false, rule, culprit, commands, rendered: None };
        }
        match render::faithful(&list.into_one(), self.dialect) {
            Ok(rendered) => Verdict { allowed: true, rule: None, culprit: None, commands, rendered: Some(rendered) },
            Err(trouble) => Verdict { commands, ..refused(trouble.into()) },
        }
    }

    /// The first blocked pattern that occurs in a text.
    fn blocks(&self, text: &str) -> Option<String> {
        self.blocked.iter().find(|pattern| pattern.occurs(text)).map(|pattern| pattern.source.clone())
    }
}

/// A command line that was understood, as the one command that it runs as.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    list: tree::List,
}

impl Reading {
    /// Reads a command line, whatever it runs.
    ///
    /// # Errors
    /// What is not understood in it.
    pub fn of(command: &str) -> Result<Self, Rule> {
        if command.len() > MAX_TEXT {
            return Err(Rule::Limit("text"));
        }
        parse::parse(command, Dialect::Bash, Budget::default())
            .map(|(list, _)| Self { list: list.into_one() })
            .map_err(Rule::from)
    }

    /// The same in other words, as it would be handed to a shell.
    pub fn rendered(&self) -> String {
        render::render(&self.list)
    }
}
