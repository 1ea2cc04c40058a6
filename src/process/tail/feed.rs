//! From what a program writes to the lines of its log.

use std::time::{Duration, Instant};

use super::plain;
use crate::{
    records::{EntryLog, Origin},
    secret::Secrets,
};

/// Takes what comes on one stream apart, and notes each line.
pub(super) struct Feed {
    log: EntryLog,
    origin: Origin,
    secrets: Secrets,
    /// The line that is not at its end yet, as far as it is shown.
    begun: Vec<u8>,
    /// How much more of it there was.
    over: usize,
    /// The beginning of the line was left out: so is the rest.
    is_broken: bool,
    budget: Budget,
}

/// How much of a line is looked at, in bytes: less than a log takes, so that it is cut once.
const LONGEST: usize = 7 << 10;

/// How much may be noted in a second, in bytes. Looking at each line costs time, and who floods its stderr must not be
/// slowed down by it.
const A_SECOND: usize = 1 << 20;
/// What a line costs beyond its bytes.
const LINE: usize = 64;

/// What is left of what may be noted now.
struct Budget {
    since: Instant,
    spent: usize,
    /// How many lines were left out since something was noted.
    left_out: usize,
}

impl Feed {
    pub(super) fn new(log: EntryLog, origin: Origin, secrets: Secrets) -> Self {
        let budget = Budget { since: Instant::now(), spent: 0, left_out: 0 };
        Self { log, origin, secrets, begun: Vec::new(), over: 0, is_broken: false, budget }
    }

    /// Takes what came.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if !self.budget.allows() {
                return self.leave_out(bytes);
            }
            let end = memchr::memchr(b'\n', bytes);
            self.extend(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { return };
            self.note();
            bytes = &bytes[end + 1..];
        }
    }

    /// Notes what was said last, without the end of a line.
    pub(super) fn end(&mut self) {
        self.note();
        self.tell_left_out();
    }

    fn extend(&mut self, part: &[u8]) {
        let room = LONGEST.saturating_sub(self.begun.len()).min(part.len());
        self.budget.spent += part.len();
        if !self.is_broken {
            self.begun.extend(&part[..room]);
            self.over += part.len() - room;
        }
    }

    /// Passes over what comes. The line that is under way is of it.
    fn leave_out(&mut self, bytes: &[u8]) {
        self.budget.left_out += memchr::memchr_iter(b'\n', bytes).count();
        self.begun.clear();
        self.over = 0;
        // Where a line was cut anybody's secret may begin with its second half.
        self.is_broken = !bytes.ends_with(b"\n");
    }

    fn note(&mut self) {
        self.budget.spent += LINE;
        if std::mem::take(&mut self.is_broken) {
            self.budget.left_out += 1;
        }
        if self.begun.is_empty() {
            return;
        }
        self.tell_left_out();
        let text = String::from_utf8_lossy(&self.begun);
        let text = plain(&text);
        let text = text.trim_end();
        let shown = match self.over {
            0 => self.secrets.mask(text).into_owned(),
            more => format!("{}… ({more} bytes more)", self.secrets.mask_cut(text)),
        };
        if !shown.is_empty() {
            self.log.say(self.origin, None, &shown);
        }
        self.begun.clear();
        self.over = 0;
    }

    fn tell_left_out(&mut self) {
        let left_out = std::mem::take(&mut self.budget.left_out);
        if left_out > 0 {
            self.log.event("warning", &format!("{left_out} lines were left out here: there are too many"));
        }
    }
}

impl Budget {
    fn allows(&mut self) -> bool {
        if self.spent < A_SECOND {
            return true;
        }
        if self.since.elapsed() < Duration::from_secs(1) {
            return false;
        }
        (self.since, self.spent) = (Instant::now(), 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// The texts that come of these parts.
    fn noted(parts: &[&[u8]]) -> Vec<String> {
        let log = EntryLog::default();
        let mut logs = log.follow();
        let mut feed = Feed::new(log.clone(), Origin::Stderr, Secrets::new(["hunter2-hunter2".into()]));
        for part in parts {
            feed.take(part);
        }
        feed.end();
        log.close();
        std::iter::from_fn(|| logs.next().now_or_never().flatten().map(|line| line.text)).collect()
    }

    #[test]
    fn lines_are_noted_whole_in_however_many_parts_they_come() {
        let parts: [&[u8]; 4] = [b"one\ntw", b"o\r\n\x1b[31mthree\x1b[0m\n", b"\n\nbad \xff\n", b"last"];
        assert_eq!(noted(&parts), ["one", "two", "three", "bad \u{fffd}", "last"]);
    }

    #[test]
    fn a_secret_shows_in_no_line_however_it_is_cut() {
        assert_eq!(noted(&[b"key hunter2-", b"hunter2!\n"]), ["key ***!"]);
        let long = [&vec![b'x'; LONGEST - 10][..], b"hunter2-hunter2 and more\n"].concat();
        let texts = noted(&[&long]);
        assert!(texts[0].ends_with("x***… (14 bytes more)"), "{}", &texts[0][LONGEST - 20..]);
    }

    #[test]
    fn a_flood_is_left_out_and_counted_but_for_its_beginning() {
        let flood = "a line of a flood\n".repeat(200_000);
        let texts = noted(&[flood.as_bytes(), b"more\n"]);
        let last = texts.last().unwrap();
        assert!(last.ends_with(" lines were left out here: there are too many"), "{last}");
    }
}
