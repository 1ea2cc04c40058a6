//! The definitions of tools as they were seen last, so that one that is another is noticed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use super::{AuditLine, audit};
use crate::name::Namespace;

/// The definitions that were seen, by entry and name.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<Namespace, HashMap<String, String>>>);

impl Known {
    /// Tells of what has changed in the list of an entry that was seen before. One that shows nothing is down, and what
    /// it showed is remembered for when it is back.
    pub(super) fn look<'a>(
        &self,
        listed: impl Iterator<Item = (&'a Namespace, &'a str, &'a str)>,
        mut tell: impl FnMut(AuditLine),
    ) {
        let mut now: HashMap<&Namespace, HashMap<String, String>> = HashMap::new();
        for (namespace, tool, definition) in listed {
            now.entry(namespace).or_default().insert(tool.to_owned(), audit::hash(definition));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (namespace, tools) in now {
            if let Some(before) = known.get(namespace) {
                differences(before, &tools).for_each(|difference| tell(line(namespace, difference)));
            }
            known.insert(namespace.clone(), tools);
        }
    }
}

/// A tool, and the hashes of what it was and is.
type Difference<'a> = (&'a str, Option<&'a String>, Option<&'a String>);

fn differences<'a>(
    before: &'a HashMap<String, String>,
    now: &'a HashMap<String, String>,
) -> impl Iterator<Item = Difference<'a>> {
    let all: HashSet<&String> = before.keys().chain(now.keys()).collect();
    let mut all: Vec<&String> = all.into_iter().collect();
    all.sort();
    let both = all.into_iter().map(|tool| (tool.as_str(), before.get(tool), now.get(tool)));
    both.filter(|(_, before, now)| before != now)
}

fn line(namespace: &Namespace, (tool, before, now): Difference<'_>) -> AuditLine {
    let verdict = match (before, now) {
        (None, _) => "added",
        (Some(_), None) => "removed",
        (Some(_), Some(_)) => "changed",
    };
    let mut line = AuditLine::new("definition").text("entry", namespace.as_str()).text("tool", tool);
    line = line.text("verdict", verdict);
    for (key, hash) in [("before", before), ("now", now)] {
        line = match hash {
            Some(hash) => line.text(key, hash),
            None => line,
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_is_another_is_told_and_one_that_only_was_away_is_not() {
        let (known, a): (Known, Namespace) = (Known::default(), "a".parse().unwrap());
        let told = |list: &[(&str, &str)]| {
            let mut told = Vec::new();
            known.look(list.iter().map(|(tool, definition)| (&a, *tool, *definition)), |line| told.push(line.finish()));
            let read = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
            told.iter().map(|line| format!("{} {}", read(line)["tool"], read(line)["verdict"])).collect::<Vec<_>>()
        };
        assert_eq!(told(&[("x", "1"), ("y", "1")]), [""; 0], "the first list is no change");
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&[("x", "2"), ("z", "1")]), [r#""x" "changed""#, r#""y" "removed""#, r#""z" "added""#]);
    }
}
