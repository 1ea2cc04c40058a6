//! What is odd about a server, for health.

use super::{Link, lock};
use crate::source::Source;

/// What is odd about the server.
#[derive(Debug, Default)]
pub(super) struct Notes {
    noise: u64,
    samples: Vec<String>,
    others: Vec<String>,
}

/// How many lines of noise, and how many other oddities, health shows.
const SAMPLES: usize = 3;
const OTHERS: usize = 8;

impl Link {
    /// Counts a line that is no JSON-RPC.
    pub(in crate::connection) fn note_noise(&self, line: &str) {
        let mut notes = lock(&self.notes);
        notes.noise += 1;
        if notes.samples.len() < SAMPLES && !line.trim().is_empty() {
            notes.samples.push(line.chars().take(120).collect());
        }
    }

    /// Notes another oddity.
    pub(crate) fn note(&self, words: String) {
        let mut notes = lock(&self.notes);
        if notes.others.len() < OTHERS && !notes.others.contains(&words) {
            notes.others.push(words);
        }
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
        problems.extend(self.tools().problems.iter().cloned());
        problems.extend(self.listings().problems.iter().cloned());
        problems.into_iter().map(|problem| self.options.secrets.mask(&problem).into_owned()).collect()
    }
}
