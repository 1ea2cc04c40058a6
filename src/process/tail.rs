//! What a program writes on stderr: always read, the end of it kept.

mod feed;

use std::{
    collections::VecDeque,
    fmt,
    iter::Peekable,
    str::Chars,
    sync::{Arc, Mutex, PoisonError},
};

use regex::Regex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use feed::Feed;

use super::Reader;
use crate::{
    records::{EntryLog, Origin},
    secret::Secrets,
    wire::Input,
};

/// The last of what a server wrote on stderr. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kept: Mutex<VecDeque<u8>>,
    ended: CancellationToken,
    /// For the one who waits for something to be said.
    grown: Notify,
    awaited: Mutex<Option<Awaited>>,
    secrets: Secrets,
    /// Where each line is noted.
    log: Option<EntryLog>,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tail").field(&self.last_lines()).finish()
    }
}

/// A line that somebody waits for.
struct Awaited {
    line: Regex,
    is_there: CancellationToken,
}

/// The longest line that is looked at while one is waited for, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// How much is kept, in bytes.
const KEPT: usize = 64 << 10;
/// How much an error shows: enough for a stack trace's end, short enough to be read.
const SHOWN_LINES: usize = 12;
const SHOWN_BYTES: usize = 4 << 10;

impl Tail {
    /// An empty one that shows none of the secrets.
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self(Arc::new(Inner { secrets, ..Inner::default() }))
    }

    /// An empty one that shows none of the secrets, each line of which is noted in a log.
    pub(crate) fn logged(secrets: Secrets, log: EntryLog) -> Self {
        Self(Arc::new(Inner { secrets, log: Some(log), ..Inner::default() }))
    }

    /// Returns when the server has closed its stderr. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Reads until the end. A server whose stderr is not read stands still when the pipe is full.
    pub(crate) async fn follow(self, stderr: Reader) {
        self.read(stderr, Origin::Stderr).await;
        self.0.ended.cancel();
    }

    /// Reads something beside it until the end, such as stdout: the same tail, in the order in which it came.
    pub(crate) async fn follow_too(self, other: Reader) {
        self.read(other, Origin::Stdout).await;
    }

    async fn read(&self, mut other: Reader, origin: Origin) {
        let (mut buffer, mut line) = (Vec::new(), Vec::new());
        let mut feed = self.0.log.clone().map(|log| Feed::new(log, origin, self.0.secrets.clone()));
        while let Ok(read) = other.read_into(&mut buffer).await {
            if read == 0 {
                break;
            }
            self.keep(&buffer);
            self.compare(&mut line, &buffer);
            if let Some(feed) = &mut feed {
                feed.take(&buffer);
            }
            buffer.clear();
        }
        self.compare(&mut line, b"\n");
        if let Some(mut feed) = feed {
            feed.end();
        }
    }

    /// From now on it is noticed when a line is said that the expression matches; what is returned is cancelled then.
    pub(crate) fn wait_for(&self, line: Regex) -> CancellationToken {
        let is_there = CancellationToken::new();
        *self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Awaited { line, is_there: is_there.clone() });
        is_there
    }

    /// Looks at what one stream says for the line that is waited for; `begun` is the line that is not at its end yet.
    fn compare(&self, begun: &mut Vec<u8>, bytes: &[u8]) {
        let mut awaited = self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Awaited { line, is_there }) = &*awaited else { return };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            begun.extend(&part[..part.len().min(LONGEST_LINE.saturating_sub(begun.len()))]);
            if part.ends_with(b"\n") {
                if line.is_match(plain(&String::from_utf8_lossy(begun)).trim_end()) {
                    is_there.cancel();
                    *awaited = None;
                    begun.clear();
                    return;
                }
                begun.clear();
            }
        }
    }

    fn keep(&self, bytes: &[u8]) {
        {
            let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&bytes[bytes.len().saturating_sub(KEPT)..]);
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
        self.0.grown.notify_one();
    }

    /// All that is kept, secrets included: not for showing.
    pub(crate) fn heard(&self) -> String {
        let kept: Vec<u8> = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// Returns when more was said since this returned last. For one who waits alone. Cancel safe.
    pub(crate) async fn says_more(&self) {
        self.0.grown.notified().await;
    }

    /// The last lines, for an error or for health.
    pub(crate) fn last_lines(&self) -> String {
        let kept: Vec<u8> = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = plain(&String::from_utf8_lossy(&kept));
        // Masked before it is cut: half a secret is one too.
        let masked = self.0.secrets.mask(text.trim_end());
        let from = masked.len().saturating_sub(SHOWN_BYTES);
        let from = (from..=masked.len()).find(|at| masked.is_char_boundary(*at)).unwrap_or(masked.len());
        let lines: Vec<&str> = masked[from..].lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

/// Text without what only a terminal has a use for: colours, titles, and what was written over on the same line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut line = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_sequence(&mut chars),
            '\n' => {
                plain.push(c);
                line = plain.len();
            }
            '\r' if chars.peek().is_some_and(|next| *next != '\n') => plain.truncate(line),
            c if c.is_control() && c != '\t' => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Passes over the rest of a sequence that began with an escape.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        // Parameters up to a letter.
        Some('[') => {
            chars.by_ref().find(|c| ('\x40'..='\x7e').contains(c));
        }
        // A text up to a bell or another escape, of which a backslash is left; never beyond the line.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                match c {
                    '\x07' => return,
                    '\x1b' => {
                        chars.next_if(|c| *c == '\\');
                        return;
                    }
                    _ => {}
                }
            }
        }
        // One character more or less.
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_terminal_has_a_use_for_is_left_out() {
        for (said, shown) in [
            ("\x1b[1;31merror\x1b[0m: no\tkey", "error: no\tkey"),
            ("\x1b]0;title\x07a\x1b]8;;x\x1b\\b", "ab"),
            ("1 %\r50 %\r100 %\r\ndone\x07\x00", "100 %\ndone"),
            ("a\x1b]never ends\nb\x1b", "a\nb"),
            ("a\x1bMb", "ab"),
        ] {
            assert_eq!(plain(said), shown, "{said:?}");
        }
    }

    #[test]
    fn a_line_that_is_waited_for_is_noticed_in_however_many_parts_it_comes() {
        let tail = Tail::default();
        let there = tail.wait_for(Regex::new("^listening on [0-9]+$").unwrap());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        tail.compare(&mut out, b"not listening on 1\nliste");
        tail.compare(&mut err, b"a warning\n");
        tail.compare(&mut out, b"ning \x1b[1mon\x1b[0m 80");
        assert!(!there.is_cancelled(), "it is not whole yet");
        tail.compare(&mut out, b"80\r\nmore");
        assert!(there.is_cancelled());
    }

    #[test]
    fn only_the_end_is_kept() {
        let tail = Tail::default();
        tail.keep(&vec![b'a'; 3 * KEPT]);
        tail.keep(b"\nlast\n");
        assert_eq!(tail.0.kept.lock().unwrap().len(), KEPT);
        assert!(tail.last_lines().ends_with("\nlast"), "{}", tail.last_lines());
    }
}
