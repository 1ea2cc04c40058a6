//! A mistake in a config file with its place, and the report that collects them.

use std::{cell::RefCell, fmt};

use serde::Serialize;

/// A mistake in a config file, or something about it that is worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, what was expected, and the cure where there is one.
    pub message: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(super) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 1, column: 1, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Collects what is found while a text is read. Places are byte offsets until somebody asks for them.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    findings: RefCell<Vec<(Grade, usize, String)>>,
    /// The Chromes that texts may refer to.
    browsers: RefCell<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    Mistake,
    Warning,
    Secret,
    Unused,
    /// A mistake in an entry that is left out: it harms no other.
    LeftOut,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str, file: &'a str) -> Self {
        Self { file, text, findings: RefCell::default(), browsers: RefCell::default() }
    }

    /// Notes a Chrome that texts may refer to.
    pub(super) fn browser(&self, name: &str) {
        self.browsers.borrow_mut().push(name.to_owned());
    }

    /// The Chromes that texts may refer to.
    pub(super) fn browsers(&self) -> Vec<String> {
        self.browsers.borrow().clone()
    }

    pub(super) fn mistake(&self, at: usize, message: impl Into<String>) {
        self.add(Grade::Mistake, at, message.into());
    }

    pub(super) fn warning(&self, at: usize, message: impl Into<String>) {
        self.add(Grade::Warning, at, message.into());
    }

    /// Notes a secret that stands in the text itself; whether that matters depends on who may read the file.
    pub(super) fn secret(&self, at: usize, name: &str) {
        self.add(Grade::Secret, at, name.to_owned());
    }

    /// Notes what another program's file holds and we do not use.
    pub(super) fn unused(&self, at: usize, message: impl Into<String>) {
        self.add(Grade::Unused, at, message.into());
    }

    /// Reads an entry of another program's file. With mistakes in it, it is left out, and nothing comes of it.
    pub(super) fn or_leave_out<T>(&self, read: impl FnOnce() -> Option<T>) -> Option<T> {
        let before = self.findings.borrow().len();
        let entry = read();
        let mut findings = self.findings.borrow_mut();
        let mut left_out = false;
        for (grade, ..) in findings[before..].iter_mut().filter(|(grade, ..)| *grade == Grade::Mistake) {
            *grade = Grade::LeftOut;
            left_out = true;
        }
        if left_out { None } else { entry }
    }

    /// What was left out is worth a warning where something is left, and a mistake where nothing is.
    pub(super) fn settle(&self, anything_left: bool) {
        for (grade, _, message) in self.findings.borrow_mut().iter_mut().filter(|(grade, ..)| *grade == Grade::LeftOut)
        {
            if anything_left {
                *grade = Grade::Warning;
                message.push_str("; the entry is left out");
            } else {
                *grade = Grade::Mistake;
            }
        }
    }

    fn add(&self, grade: Grade, at: usize, message: String) {
        self.findings.borrow_mut().push((grade, at, message));
    }

    /// The line of an offset, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        place(self.text, at).0
    }

    /// Everything that was found, each kind in the order of the text.
    pub(super) fn into_findings(self) -> Findings {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|(_, at, _)| *at);
        let of = |wanted: Grade| {
            findings
                .iter()
                .filter(|(grade, _, _)| *grade == wanted)
                .map(|(_, at, message)| {
                    let (line, column) = place(self.text, *at);
                    Problem { file: self.file.to_owned(), line, column, message: message.clone() }
                })
                .collect()
        };
        Findings {
            mistakes: of(Grade::Mistake),
            warnings: of(Grade::Warning),
            secrets: of(Grade::Secret),
            unused: of(Grade::Unused),
        }
    }
}

/// What a report holds at the end.
pub(super) struct Findings {
    pub(super) mistakes: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// The message of each is the name of the variable.
    pub(super) secrets: Vec<Problem>,
    pub(super) unused: Vec<Problem>,
}

/// Line and column in characters of a byte offset, both from 1.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "{\r\n  \"ä\": \"€\", x";
        assert_eq!(place(text, text.len() - 1), (2, 13));
        assert_eq!(place(text, 0), (1, 1));
    }

    #[test]
    fn a_problem_prints_as_compilers_do_and_serializes_in_camel_case() {
        let problem = Problem { file: "a.json".into(), line: 3, column: 7, message: "no".into() };
        assert_eq!(problem.to_string(), "a.json:3:7: no");
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(json, r#"{"file":"a.json","line":3,"column":7,"message":"no"}"#);
    }
}
