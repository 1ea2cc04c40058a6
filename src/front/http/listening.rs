//! What a session with a handshake is told unasked, over whichever stream listens.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{pipe::Pipe, session::Session};
use crate::front::{announce::Announcer, exchange::Work, outlet::Stream};

/// The listening streams of a session. The newest is told; the others wait until it has gone.
pub(super) struct Listening {
    state: Mutex<State>,
    /// The streams have changed, or something waits.
    changed: watch::Sender<()>,
}

struct State {
    /// Not here while somebody is told.
    announcer: Option<Announcer>,
    open: Vec<u64>,
    next: u64,
    /// What waits for somebody to listen.
    waiting: VecDeque<Vec<u8>>,
}

/// So many messages wait for somebody to listen, and so many bytes of them; the oldest go. The last is kept, however
/// large.
const WAITING: usize = 64;
const BYTES: usize = 1 << 20;

impl Listening {
    pub(super) fn new(announcer: Announcer) -> Self {
        let state = State { announcer: Some(announcer), open: Vec::new(), next: 0, waiting: VecDeque::new() };
        Self { state: Mutex::new(state), changed: watch::Sender::new(()) }
    }

    /// Whether somebody listens.
    pub(super) fn is_open(&self) -> bool {
        !self.state().open.is_empty()
    }

    /// Keeps messages for whoever listens, now or later.
    pub(super) fn keep(&self, messages: impl IntoIterator<Item = Vec<u8>>) {
        {
            let mut state = self.state();
            state.waiting.extend(messages);
            drop_oldest(&mut state.waiting);
        }
        self.changed.send_replace(());
    }

    /// Sends a message to whoever listens; false when nobody does.
    pub(super) fn tell(&self, message: &[u8]) -> bool {
        let open = self.is_open();
        if open {
            self.keep([message.to_owned()]);
        }
        open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops of what waits what is too much.
fn drop_oldest(waiting: &mut VecDeque<Vec<u8>>) {
    let mut bytes = 0;
    let fits = waiting.iter().rev().take(WAITING).take_while(|message| {
        bytes += message.len();
        bytes <= BYTES
    });
    let kept = fits.count().max(1).min(waiting.len());
    waiting.drain(..waiting.len() - kept);
}

/// What a listening stream does until its session ends: it tells what there is to tell.
pub(super) fn work(session: Arc<Session>, pipe: Arc<Pipe>) -> Work {
    // It counts from now on, not from when it is first read.
    let mut changed = session.listening.changed.subscribe();
    let listener = Listener::enter(session);
    Box::pin(async move {
        let session = listener.session.clone();
        loop {
            if let Some(mut told) = listener.take() {
                let taken = tokio::select! {
                    taken = told.tell(&listener, &pipe) => taken,
                    () = session.ended.cancelled() => return,
                };
                if !taken {
                    return;
                }
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = session.ended.cancelled() => return,
            }
        }
    })
}

/// One listening stream.
struct Listener {
    session: Arc<Session>,
    number: u64,
}

impl Listener {
    fn enter(session: Arc<Session>) -> Self {
        let number = {
            let mut state = session.listening.state();
            state.next += 1;
            let number = state.next;
            state.open.push(number);
            number
        };
        session.listening.changed.send_replace(());
        Self { session, number }
    }

    fn is_newest(&self) -> bool {
        self.session.listening.state().open.last() == Some(&self.number)
    }

    /// What there is to tell, if it is this one's turn.
    fn take(&self) -> Option<Told> {
        let mut state = self.session.listening.state();
        if state.open.last() != Some(&self.number) {
            return None;
        }
        let announcer = state.announcer.take()?;
        Some(Told { session: self.session.clone(), announcer: Some(announcer) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.session.listening.state().open.retain(|open| *open != self.number);
        self.session.listening.changed.send_replace(());
    }
}

/// What there is to tell, lent to a stream.
struct Told {
    session: Arc<Session>,
    announcer: Option<Announcer>,
}

impl Told {
    /// Tells until another stream is newer, or, which is false, this one takes no more.
    async fn tell(&mut self, listener: &Listener, pipe: &Pipe) -> bool {
        let mut changed = self.session.listening.changed.subscribe();
        while listener.is_newest() {
            let waiting = std::mem::take(&mut self.session.listening.state().waiting);
            if !waiting.iter().all(|message| pipe.tell(message)) {
                return false;
            }
            let Some(announcer) = &mut self.announcer else { return false };
            tokio::select! {
                messages = announcer.next() => {
                    if !messages.iter().all(|message| pipe.tell(message)) {
                        return false;
                    }
                }
                _ = changed.changed() => {}
            }
        }
        true
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.session.listening.state().announcer = self.announcer.take();
        self.session.listening.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes_but_for_the_last() {
        let left = |sizes: &[usize]| {
            let mut waiting = sizes.iter().map(|size| vec![0; *size]).collect();
            drop_oldest(&mut waiting);
            waiting.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(left(&[]), [0; 0]);
        assert_eq!(left(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(left(&[1; 100]), [1; WAITING]);
        assert_eq!(left(&[5, BYTES / 2, BYTES / 2]), [BYTES / 2, BYTES / 2]);
        assert_eq!(left(&[5, 2 * BYTES]), [2 * BYTES]);
    }
}
