//! What a program writes on stderr: always read, the end of it kept.

use std::{
    collections::VecDeque,
    fmt,
    iter::Peekable,
    str::Chars,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::Reader;
use crate::{secret::Secrets, wire::Input};

/// The last of what a server wrote on stderr. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kept: Mutex<VecDeque<u8>>,
    ended: CancellationToken,
    secrets: Secrets,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tail").field(&self.last_lines()).finish()
    }
}

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

    /// Returns when the server has closed its stderr. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Reads until the end. A server whose stderr is not read stands still when the pipe is full.
    pub(crate) async fn follow(self, mut stderr: Reader) {
        let mut buffer = Vec::new();
        while let Ok(read) = stderr.read_into(&mut buffer).await {
            if read == 0 {
                break;
            }
            self.keep(&buffer);
            buffer.clear();
        }
        self.0.ended.cancel();
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&bytes[bytes.len().saturating_sub(KEPT)..]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
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
    fn only_the_end_is_kept() {
        let tail = Tail::default();
        tail.keep(&vec![b'a'; 3 * KEPT]);
        tail.keep(b"\nlast\n");
        assert_eq!(tail.0.kept.lock().unwrap().len(), KEPT);
        assert!(tail.last_lines().ends_with("\nlast"), "{}", tail.last_lines());
    }
}
