//! Lines of output as they come, for a caller who wants to see them.

use std::time::{Duration, Instant};

use serde_json::{json, value::to_raw_value};

use crate::source::Sink;

/// How many lines are sent in a second; the others of that second are counted. Nobody reads faster.
const LINES: u32 = 50;
const WINDOW: Duration = Duration::from_secs(1);

/// How many characters of a line are sent.
const LONGEST: usize = 1000;

/// Tells each line once it is whole.
pub(super) struct Reporter {
    sink: Sink,
    /// What each stream has begun and not ended.
    begun: [Vec<u8>; 2],
    told: u64,
    window: Instant,
    in_window: u32,
    skipped: u64,
}

impl Reporter {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, begun: [Vec::new(), Vec::new()], told: 0, window: Instant::now(), in_window: 0, skipped: 0 }
    }

    /// Takes what came on stdout (0) or stderr (1).
    pub(super) fn push(&mut self, stream: usize, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let begun = &mut self.begun[stream];
            let room = (4 * LONGEST).saturating_sub(begun.len());
            begun.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(begun);
                self.line(&line);
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        if self.window.elapsed() >= WINDOW {
            (self.window, self.in_window) = (Instant::now(), 0);
        }
        self.in_window += 1;
        if self.in_window > LINES {
            self.skipped += 1;
            return;
        }
        if self.skipped > 0 {
            let skipped = std::mem::take(&mut self.skipped);
            self.tell(&format!("... {skipped} lines ..."));
        }
        let text = String::from_utf8_lossy(line);
        let line: String = text.trim_end_matches(['\n', '\r']).chars().take(LONGEST).collect();
        self.tell(&line);
    }

    fn tell(&mut self, message: &str) {
        self.told += 1;
        // The token is the front's business: it puts the caller's there.
        let params = json!({ "progressToken": "output", "progress": self.told, "message": message });
        if let Ok(params) = to_raw_value(&params) {
            (self.sink)(&params);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    fn told(chunks: &[(usize, &[u8])]) -> Vec<Value> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = told.clone();
        let mut reporter = Reporter::new(Arc::new(move |params: &serde_json::value::RawValue| {
            sink.lock().unwrap().push(serde_json::from_str(params.get()).unwrap());
        }));
        for (stream, bytes) in chunks {
            reporter.push(*stream, bytes);
        }
        let told = told.lock().unwrap();
        told.clone()
    }

    #[test]
    fn lines_are_told_whole_and_numbered() {
        let told = told(&[(0, b"one\ntw"), (1, b"err\n"), (0, b"o\r\nthree")]);
        let messages: Vec<_> = told.iter().map(|params| params["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["one", "err", "two"]);
        assert_eq!(told.iter().map(|params| params["progress"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_flood_is_told_in_part() {
        let flood = "line\n".repeat(10_000);
        assert!((50..200).contains(&told(&[(0, flood.as_bytes())]).len()));
    }
}
