//! Reading a parsed text step by step: each wrong value is reported where it stands, and reading goes on.

use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

use super::{
    duration,
    keys::{self, Shape},
    problem::Report,
    template::{self, Reference},
    value::{Data, Property, Value},
};

/// A value with what it is called in messages.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) name: String,
    pub(super) value: &'a Value,
}

/// A key and its value.
pub(super) struct Member<'a> {
    pub(super) key: &'a str,
    pub(super) at: usize,
    pub(super) node: Node<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn at(&self) -> usize {
        self.value.at
    }

    pub(super) fn mistake(&self, message: &str) {
        self.report.mistake(self.at(), format!("`{}`: {message}", self.name));
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.mistake(&format!("expected {what}, found {}", self.value.kind()));
        None
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.value.data {
            Data::Text(text) => Some(text),
            Data::Number(number) => self.expected_quotes(number),
            Data::Flag(flag) => self.expected_quotes(if *flag { "true" } else { "false" }),
            Data::Null | Data::List(_) | Data::Object(_) => self.expected("a text"),
        }
    }

    fn expected_quotes<T>(&self, bare: &str) -> Option<T> {
        self.mistake(&format!("expected a text, found {}; put it in quotes: \"{bare}\"", self.value.kind()));
        None
    }

    /// A text with something in it.
    pub(super) fn filled_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.mistake("it is empty");
            return None;
        }
        Some(text)
    }

    /// A text that may hold references.
    pub(super) fn template(&self) -> Option<String> {
        let text = self.text()?;
        if text.contains('\0') {
            self.mistake("it holds a zero character, which no program can be given");
        }
        if let Err(reason) = template::parse(text) {
            self.mistake(&reason);
        }
        for reference in template::references(text) {
            match &reference {
                Reference::Input(_) => self.mistake(&format!(
                    "`{reference}`: inputs belong to VS Code's files, which `--dialect vscode` reads; use `${{NAME}}` here"
                )),
                Reference::Browser { program, .. } => self.check_browser(&reference, program),
                _ => {}
            }
        }
        Some(text.to_owned())
    }

    fn check_browser(&self, reference: &Reference, program: &str) {
        let known = self.report.browsers();
        if known.iter().any(|name| name == program) {
            return;
        }
        let cure = match (known.is_empty(), program.strip_prefix("chromes.")) {
            (false, _) => format!("there is {}", known.join(", ")),
            (true, Some(name)) => format!("add \"chromes\": {{ \"{name}\": {{}} }}"),
            (true, None) => format!("add \"{program}\": {{}}"),
        };
        self.mistake(&format!("`{reference}`: there is no `{program}` in this config; {cure}"));
    }

    /// A text that may hold references, with something in it.
    pub(super) fn filled_template(&self) -> Option<String> {
        self.filled_text()?;
        self.template()
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value.data {
            Data::Flag(flag) => Some(flag),
            _ => self.expected("true or false"),
        }
    }

    pub(super) fn whole(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let found = match &self.value.data {
            Data::Number(number) => match number.parse() {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => number,
            },
            _ => self.value.kind(),
        };
        self.mistake(&format!("expected a whole number from {} to {}, found {found}", range.start(), range.end()));
        None
    }

    /// A duration that may be zero.
    pub(super) fn duration_or_zero(&self) -> Option<Duration> {
        let (read, found) = match &self.value.data {
            Data::Number(number) => (duration::from_number(number), number.clone()),
            Data::Text(text) => (duration::from_text(text), format!("\"{text}\"")),
            _ => return self.expected(duration::EXPECTED),
        };
        read.map_err(|reason| self.mistake(&format!("expected {}, found {found}: {reason}", duration::EXPECTED))).ok()
    }

    /// A duration above zero.
    pub(super) fn duration(&self) -> Option<Duration> {
        let duration = self.duration_or_zero()?;
        if duration.is_zero() {
            self.mistake("expected a duration above zero");
            return None;
        }
        Some(duration)
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let found = match self.value.text() {
            Some(text) => {
                if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
                    return Some(*value);
                }
                format!("\"{text}\"")
            }
            None => self.value.kind().to_owned(),
        };
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.mistake(&format!("expected {}, found {found}", known.join(" or ")));
        None
    }

    /// The elements of a list; `what` says what it is a list of.
    pub(super) fn list(&self, what: &str) -> Option<Vec<Self>> {
        let Data::List(elements) = &self.value.data else { return self.expected(&format!("a list of {what}")) };
        let elements = elements.iter().enumerate();
        Some(elements.map(|(i, value)| self.part(format!("{}[{i}]", self.name), value)).collect())
    }

    /// A list of texts that are not empty.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        Some(self.list("texts")?.iter().filter_map(Node::filled_text).map(str::to_owned).collect())
    }

    /// The members of an object whose keys are free; `what` says what it is.
    pub(super) fn map(&self, what: &str) -> Option<Vec<Member<'a>>> {
        match &self.value.data {
            Data::Object(properties) => Some(self.members(properties)),
            _ => self.expected(what),
        }
    }

    /// The members of an object whose keys are given.
    pub(super) fn fields(&self, shape: Shape, at: usize) -> Option<Fields<'a>> {
        let members = self.map("an object")?;
        Some(Fields { report: self.report, shape, at, members, known: Vec::new() })
    }

    fn members(&self, properties: &'a [Property]) -> Vec<Member<'a>> {
        let mut first = HashMap::new();
        let mut members = Vec::with_capacity(properties.len());
        for property in properties {
            let (key, at) = (property.key.as_str(), property.at);
            if let Some(line) = first.get(key) {
                self.report.mistake(at, format!("`{key}` is given twice; the first one is in line {line}"));
                continue;
            }
            first.insert(key, self.report.line(at));
            members.push(self.member(property));
        }
        members
    }

    /// The member of that key, in an object whose other keys are none of our business.
    pub(super) fn only(&self, key: &str) -> Option<Member<'a>> {
        let Data::Object(properties) = &self.value.data else { return None };
        let mut found = properties.iter().filter(|property| property.key == key);
        let first = found.next()?;
        for second in found {
            let line = self.report.line(first.at);
            self.report.mistake(second.at, format!("`{key}` is given twice; the first one is in line {line}"));
        }
        Some(self.member(first))
    }

    fn member(&self, property: &'a Property) -> Member<'a> {
        let key = property.key.as_str();
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        Member { key, at: property.at, node: self.part(name, &property.value) }
    }

    fn part(&self, name: String, value: &'a Value) -> Self {
        Self { report: self.report, name, value }
    }
}

/// The members of an object of ours. What nobody has asked for by the end is a mistake.
pub(super) struct Fields<'a> {
    pub(super) report: &'a Report<'a>,
    /// Where to point for what is missing.
    pub(super) at: usize,
    shape: Shape,
    members: Vec<Member<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// An object without members: what is asked of it are the keys that there are.
    pub(super) fn empty(report: &'a Report<'a>, shape: Shape) -> Self {
        Self { report, at: 0, shape, members: Vec::new(), known: Vec::new() }
    }

    /// The value of a key, which is known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.take_member(key).map(|member| member.node)
    }

    pub(super) fn take_member(&mut self, key: &'static str) -> Option<Member<'a>> {
        self.known.push(key);
        let index = self.members.iter().position(|member| member.key == key)?;
        Some(self.members.remove(index))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.members.iter().any(|member| member.key == key)
    }

    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Takes out what `explain` has a reason against, and reports it.
    pub(super) fn refuse(&mut self, explain: impl Fn(&str) -> Option<String>) {
        let report = self.report;
        self.members.retain(|member| {
            let reason = explain(member.key);
            if let Some(reason) = &reason {
                report.mistake(member.at, reason.as_str());
            }
            reason.is_none()
        });
    }

    /// Reports every key that is left.
    pub(super) fn finish(mut self) {
        let (shape, known) = (self.shape, std::mem::take(&mut self.known));
        self.refuse(|key| keys::explain(shape, key));
        self.refuse(|key| {
            let cure = match keys::nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here are {}", known.join(", ")),
            };
            Some(format!("unknown key `{key}`; {cure}"))
        });
    }
}
