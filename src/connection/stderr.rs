//! What a server writes on stderr: always read, the end of it kept.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{process::Reader, secret::Secrets, wire::Input};

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
    pub(super) async fn follow(self, mut stderr: Reader) {
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
        let text = String::from_utf8_lossy(&kept);
        // Masked before it is cut: half a secret is one too.
        let masked = self.0.secrets.mask(text.trim_end());
        let from = masked.len().saturating_sub(SHOWN_BYTES);
        let from = (from..=masked.len()).find(|at| masked.is_char_boundary(*at)).unwrap_or(masked.len());
        let lines: Vec<&str> = masked[from..].lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let tail = Tail::default();
        tail.keep(&vec![b'a'; 3 * KEPT]);
        tail.keep(b"\nlast\n");
        assert_eq!(tail.0.kept.lock().unwrap().len(), KEPT);
        assert!(tail.last_lines().ends_with("\nlast"), "{}", tail.last_lines());
    }
}
