//! What came of the calls.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use super::{
    cast::{NAMES, SHELL},
    dice::Dice,
};

/// How long a call may take. It may wait for its entry, be sent, and, when it is of a kind that is sent once more, both
/// again: 10 s and 3 s each time; and before all that for an entry whose tools are not known yet.
pub(super) const BOUND: Duration = Duration::from_secs(45);

/// A call: which tool, and what it is given.
pub(super) struct Call {
    pub(super) token: String,
    /// The entry's own name for the tool.
    pub(super) tool: &'static str,
    /// So many milliseconds pass before the answer.
    pub(super) ms: Option<u64>,
    /// Its server ends instead of answering.
    pub(super) die: bool,
}

/// The tool that must not be executed twice.
const ONCE: &str = "do";

impl Call {
    /// The next call of a caller. Its token is like no other, and none is part of another.
    fn next(dice: &mut Dice, (caller, number): (usize, usize)) -> Self {
        let tool = *dice.pick(&[ONCE, ONCE, "look", "set"]).unwrap();
        let ms = dice.one_in(8).then(|| dice.below(200));
        Self { token: format!("{tool}-{caller}-{number}."), tool, ms, die: dice.one_in(150) }
    }

    /// The same with whom it is for, and when it is taken back if it is.
    pub(super) fn drawn(dice: &mut Dice, turn: (usize, usize)) -> (&'static str, Self, Option<Duration>) {
        let name = loop {
            let name = *dice.pick(&NAMES).unwrap();
            // A command is dear: let others have a turn too.
            if name != SHELL || dice.one_in(4) {
                break name;
            }
        };
        let call = Self::next(dice, turn);
        (name, call, dice.one_in(12).then(|| dice.millis(0..60)))
    }

    /// What does the same in a shell, where nothing dies.
    pub(super) fn command(&self) -> String {
        let sleep = self.ms.map(|ms| format!("sleep 0.{ms:03}; ")).unwrap_or_default();
        format!("echo '{0}' >> ledger; {sleep}echo '{0}'", self.token)
    }
}

/// What came of calls.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How many were answered, by entry.
    pub(super) answers: BTreeMap<&'static str, usize>,
    /// How many failed in a way in which they may, by kind.
    pub(super) errors: BTreeMap<String, usize>,
    pub(super) longest: Duration,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    /// The tokens of those that were answered.
    tokens: Vec<String>,
}

impl Tally {
    /// A call of an entry was answered with this text.
    pub(super) fn answered(&mut self, name: &'static str, token: String, text: &str) {
        if !text.contains(&token) {
            self.wrong.push(format!("{name}: the call {token} got the answer {text}"));
        }
        *self.answers.entry(name).or_default() += 1;
        self.tokens.push(token);
    }

    /// A call failed as it may.
    pub(super) fn failed(&mut self, kind: impl Into<String>) {
        *self.errors.entry(kind.into()).or_default() += 1;
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.longest = self.longest.max(time);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (name, count) in other.answers {
            *self.answers.entry(name).or_default() += count;
        }
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.longest = self.longest.max(other.longest);
        self.wrong.extend(other.wrong);
        self.tokens.extend(other.tokens);
    }

    /// Looks what the servers say of it, by token; what has been looked at is forgotten.
    pub(super) fn compare(&mut self, executed: &HashMap<String, usize>) {
        for (token, times) in executed {
            let most = if token.starts_with(&format!("{ONCE}-")) { 1 } else { 2 };
            if *times > most {
                self.wrong.push(format!("{token} was executed {times} times"));
            }
        }
        let made_up = self.tokens.iter().filter(|token| !executed.contains_key(*token));
        self.wrong.extend(made_up.map(|token| format!("{token} was answered and never executed")));
        self.tokens = Vec::new();
    }

    pub(super) fn calls(&self) -> usize {
        self.answers.values().chain(self.errors.values()).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered: usize = self.answers.values().sum();
        write!(f, "{} calls, {answered} answered, longest {:.1} s", self.calls(), self.longest.as_secs_f64())?;
        for (kind, count) in &self.errors {
            write!(f, ", {kind} {count}")?;
        }
        Ok(())
    }
}
