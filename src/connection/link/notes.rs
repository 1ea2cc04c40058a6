//! What is odd about a server, for health.

use std::sync::atomic::Ordering;

use serde_json::{Value, value::RawValue};

use super::{Link, lock};
use crate::{raw::RawObject, records::Origin, source::Source};

/// What is odd about the server.
#[derive(Debug, Default)]
pub(super) struct Notes {
    noise: u64,
    samples: Vec<String>,
    /// Answers to what nobody has asked, and the id of the first.
    strays: u64,
    stray: String,
    others: Vec<String>,
}

/// Log messages that are larger are only told by their size, in bytes.
const MESSAGE: usize = 32 << 10;
/// How many lines of noise, and how many other oddities, health shows, and how much of each.
const SAMPLES: usize = 3;
const OTHERS: usize = 8;
const SHOWN: usize = 120;
const WORDS: usize = 500;

impl Link {
    /// Counts a line that is no JSON-RPC.
    pub(in crate::connection) fn note_noise(&self, line: &str) {
        let mut notes = lock(&self.notes);
        notes.noise += 1;
        if notes.samples.len() < SAMPLES && !line.trim().is_empty() {
            notes.samples.push(self.shown(line, SHOWN));
        }
    }

    /// Counts an answer to what nobody has asked.
    pub(in crate::connection) fn note_stray(&self, id: Option<&RawValue>) {
        let mut notes = lock(&self.notes);
        notes.strays += 1;
        if notes.strays == 1 {
            notes.stray = id.map_or("null", RawValue::get).chars().take(SHOWN).collect();
        }
    }

    /// Whether a request of ours had that number.
    pub(in crate::connection) fn has_asked(&self, id: u64) -> bool {
        id < self.next_id.load(Ordering::Relaxed)
    }

    /// Notes another oddity.
    pub(crate) fn note(&self, words: impl AsRef<str>) {
        let words = self.shown(words.as_ref(), WORDS);
        let mut notes = lock(&self.notes);
        if notes.others.len() < OTHERS && !notes.others.contains(&words) {
            notes.others.push(words);
        }
    }

    /// Notes a log message in the log of the entry.
    pub(in crate::connection) fn log_message(&self, params: &RawValue) {
        let Some(params) = RawObject::parse(params) else { return };
        let data = params.get("data").map(RawValue::get).unwrap_or_default();
        // Read, whatever it is: there is more than one way to write the same secret in JSON.
        let read = if data.len() <= MESSAGE { serde_json::from_str(data).unwrap_or_default() } else { Value::Null };
        let text = match read {
            Value::Null => format!("({} bytes)", data.len()),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let logger = params.text("logger").filter(|logger| !logger.is_empty());
        let text = logger.map_or(text.clone(), |logger| format!("{logger}: {text}"));
        let text = self.options.secrets.mask(&text);
        self.options.log.say(Origin::Message, params.text("level").as_deref(), &text);
    }

    /// So many characters of a text, and no secrets. It is masked before it is cut, since half a secret is one too, but
    /// not whole: what a server says may be very long.
    fn shown(&self, text: &str, most: usize) -> String {
        let beginning: String = text.chars().take(8 * most).collect();
        self.options.secrets.mask(&beginning).chars().take(most).collect()
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let notes = lock(&self.notes);
        let mut problems = notes.others.clone();
        if notes.noise > 0 {
            let samples: Vec<String> = notes.samples.iter().map(|line| format!("`{line}`")).collect();
            let place = if self.http().is_some() { "from the server" } else { "on stdout" };
            let lines = if notes.noise == 1 { "line" } else { "lines" };
            problems.push(format!(
                "{} {lines} {place} that are no JSON-RPC, skipped: {}",
                notes.noise,
                samples.join(", ")
            ));
        }
        if notes.strays > 0 {
            let answers = if notes.strays == 1 { "answer" } else { "answers" };
            problems.push(format!(
                "{} {answers} to requests that nobody has made, the first to the id {}",
                notes.strays, notes.stray
            ));
        }
        drop(notes);
        problems.extend(self.tools().problems.iter().cloned());
        problems.extend(self.listings().problems.iter().cloned());
        problems.into_iter().map(|problem| self.options.secrets.mask(&problem).into_owned()).collect()
    }
}
