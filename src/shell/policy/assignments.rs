//! What stands before a command and sets variables for it: each is judged, and none speaks for the command.

use std::collections::BTreeSet;

use super::{
    Policy, Rule,
    judge::Judge,
    names,
    program::joined,
    tree::{Assignment, Simple, Spot},
    values::{self, Arg},
};
use crate::config::Pattern;

/// The assignments before a command.
#[derive(Default)]
pub(super) struct Prefix {
    /// As they are written, quotes taken off, with a space behind each. Empty too where a pattern would not see what is set:
    /// one is appended to, has several values, or has a value with spaces, which would be taken for words.
    pub(super) text: String,
    /// The variables that they set.
    pub(super) names: Vec<String>,
    /// Those that may be made only where a pattern has seen them before the command: where they end, and what is to be
    /// said otherwise.
    pub(super) held: Vec<(usize, Rule)>,
}

impl Policy {
    /// How much of a text one of the allowed patterns has spoken about, of those that spell these names.
    fn reach(&self, text: &str, names: &[String]) -> usize {
        let spaced = format!("{text} ");
        let spells = |pattern: &&Pattern| names.iter().all(|name| pattern.spells(name));
        let of = |pattern: &Pattern| pattern.reach(text).max(pattern.reach(&spaced));
        self.allowed.iter().flatten().filter(spells).filter_map(of).max().unwrap_or(0)
    }

    /// Whether a pattern that spells this name matches all of `NAME=value`. One for a command with what is set before it
    /// would match a value with spaces too.
    pub(super) fn lets_be_set(&self, name: &str, text: &str) -> bool {
        let lets = |pattern: &Pattern| pattern.spells(name) && pattern.is_all_of(text);
        !text.contains(char::is_whitespace) && self.allowed.iter().flatten().any(lets)
    }
}

/// A command as it is written, and with another guess at what is not known.
pub(super) fn guesses(args: &[Arg]) -> Vec<String> {
    let unknown = args.iter().any(|arg| arg.leads || arg.loose);
    let mut guesses = vec![joined(args.iter().map(|arg| &*arg.text))];
    guesses.extend(unknown.then(|| joined(args.iter().map(|arg| &*arg.probe))));
    guesses
}

impl Judge<'_> {
    pub(super) fn assignments(&mut self, simple: &mut Simple) -> Prefix {
        let Simple { assignments, words, spot, .. } = simple;
        let mut prefix = Prefix::default();
        let mut unclear = false;
        let is_read = words.first().is_some_and(|word| word.text() == Some("read"));
        for assignment in assignments {
            // For one `read` alone, where it splits is what it says.
            let is_known = self.scope.variables.values(&assignment.value).is_some();
            let splits = is_read && assignment.name == "IFS" && is_known;
            let (texts, found) = self.assignment(assignment, words.is_empty(), spot);
            unclear |=
                assignment.append || texts.len() > 1 || texts.iter().any(|text| text.contains(char::is_whitespace));
            prefix.names.push(assignment.name.clone());
            prefix.text.push_str(texts.first().map_or("", String::as_str));
            prefix.held.extend(found.err().filter(|_| !splits).map(|rule| (prefix.text.len(), rule)));
            prefix.text.push(' ');
        }
        if unclear {
            prefix.text.clear();
        }
        prefix
    }

    /// Gives it with each value that it may have, and whether it may be made whatever stands behind it.
    fn assignment(
        &mut self,
        assignment: &mut Assignment,
        lasting: bool,
        spot: &Spot,
    ) -> (Vec<String>, Result<(), Rule>) {
        let Assignment { name, append, value } = assignment;
        self.word(value, spot);
        let values = self.scope.variables.values(value);
        let variants = self.scope.variables.variants(std::slice::from_ref(value));
        let spent: Result<(), Rule> = variants.iter().try_for_each(|args| self.spend(args));
        if let Err(rule) = spent {
            self.problem(&spot.source, rule);
        }
        let shown = |args: &Vec<Arg>| joined(args.iter().map(|arg| arg.text.as_str()));
        let known = values.as_ref().map(|values| values.iter().cloned().collect());
        let shown: Vec<String> = known.unwrap_or_else(|| variants.iter().map(shown).collect());
        let texts: Vec<String> = shown.iter().map(|shown| format!("{name}={shown}")).collect();
        let mut found = Ok(());
        for text in &texts {
            if let Some(pattern) = self.policy.blocks(text) {
                self.problem(&spot.source, Rule::Blocked(pattern));
            }
            let text = if *append { &names::to_anything(name) } else { text };
            found = found.and(self.settable(name, text));
        }
        self.scope.variables.forget(&BTreeSet::from([name.clone()]));
        if lasting
            && !*append
            && !self.unsteady.contains(name.as_str())
            && let Some(values) = values
        {
            self.scope.variables.set(name, values);
        }
        (texts, found)
    }

    /// How far a pattern that matches a command with what is set before it goes. One that ends before the command has
    /// said nothing of it.
    pub(super) fn reach(&self, (prefix, names): (&str, &[String]), args: &[Arg]) -> usize {
        if prefix.is_empty() {
            return 0;
        }
        let reaches = guesses(args).into_iter().map(|text| self.policy.reach(&format!("{prefix}{text}"), names));
        reaches.min().unwrap_or(0)
    }

    /// The first of them that no pattern has seen before this command.
    pub(super) fn held_back(&self, prefix: &Prefix, args: &[Arg]) -> Option<Rule> {
        let (_, first) = prefix.held.first()?;
        let reach = self.reach((&prefix.text, &prefix.names), args);
        if prefix.text.is_empty() {
            return Some(first.clone());
        }
        prefix.held.iter().find(|(end, _)| *end > reach).map(|(_, rule)| rule.clone())
    }

    pub(super) fn forget_what_is_set(&mut self, simple: &Simple) {
        let mut sets = BTreeSet::new();
        values::by_simple(simple, &mut sets);
        self.scope.variables.forget(&sets);
    }
}
