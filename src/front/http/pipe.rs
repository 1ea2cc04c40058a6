//! Messages that belong to one request, on their way to whoever reads them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use super::session::Session;
use crate::front::{message, outlet::Stream};

/// Messages that belong to one request, on their way to whoever reads them.
pub(super) struct Pipe {
    state: Mutex<State>,
    wants: Wants,
    /// Whose client can be asked on another stream when nobody reads this one.
    session: Weak<Session>,
}

/// What the reader can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// All that belongs to the request.
    All,
    /// The answer alone.
    Answer,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    bytes: usize,
    stage: Stage,
    reader: Reading,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The answer has been given, or there will be none.
    Over,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Somebody,
    Nobody,
}

/// A message, ending with a newline.
pub(super) struct Message {
    pub(super) text: Vec<u8>,
    pub(super) is_answer: bool,
}

/// When so much waits, what may be left out is.
const CROWDED: usize = 256 << 10;

/// When so much waits, nothing more is taken but the answer.
const FULL: usize = 4 << 20;

impl Pipe {
    pub(super) fn new(wants: Wants, session: Weak<Session>) -> Self {
        Self { state: Mutex::default(), wants, session }
    }

    /// The next message; nothing when there will be none any more.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.state();
        if let Some(message) = state.queue.pop_front() {
            state.bytes -= message.text.len();
            return Poll::Ready(Some(message));
        }
        if state.stage == Stage::Over {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Wakes this one when the reader changes.
    pub(super) fn watch(&self, context: &Context<'_>) {
        self.state().waker = Some(context.waker().clone());
    }

    /// Somebody reads from now on; who read before is woken to see it.
    pub(super) fn attach(&self) {
        let waker = {
            let mut state = self.state();
            state.reader = Reading::Somebody;
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Nobody reads any more, for now.
    pub(super) fn detach(&self) {
        self.state().reader = Reading::Nobody;
    }

    /// There will be no answer, if there was none.
    pub(super) fn close(&self) {
        self.state().stage = Stage::Over;
    }

    /// All that nobody has read.
    pub(super) fn take_rest(&self) -> Vec<Message> {
        let mut state = self.state();
        state.bytes = 0;
        state.queue.drain(..).collect()
    }

    fn push(&self, message: Message) {
        let waker = {
            let mut state = self.state();
            if message.is_answer {
                state.stage = Stage::Over;
            }
            state.bytes += message.text.len();
            state.queue.push_back(message);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Pipe {
    fn tell(&self, message: &[u8]) -> bool {
        if self.wants == Wants::Answer {
            // What a client does not want to hear has been told; what it must answer has not.
            return !message::is_question(message);
        }
        let (open, reader) = {
            let state = self.state();
            (state.stage == Stage::Open && state.bytes <= FULL, state.reader)
        };
        if reader == Reading::Nobody
            && message::is_question(message)
            && self.session.upgrade().is_some_and(|session| session.ask_elsewhere(message))
        {
            return true;
        }
        if open {
            self.push(Message { text: message.to_owned(), is_answer: false });
        }
        open
    }

    fn answer(&self, message: Vec<u8>) {
        self.push(Message { text: message, is_answer: true });
    }

    fn can_ask(&self) -> bool {
        if self.wants == Wants::Answer {
            return false;
        }
        let (open, reader) = {
            let state = self.state();
            (state.stage == Stage::Open && state.bytes <= FULL, state.reader)
        };
        match reader {
            Reading::Somebody => open,
            Reading::Nobody => self.session.upgrade().is_some_and(|session| session.listens()),
        }
    }

    fn is_crowded(&self) -> bool {
        self.state().bytes > CROWDED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> Pipe {
        Pipe::new(Wants::All, Weak::new())
    }

    fn next(pipe: &Pipe) -> Poll<Option<Vec<u8>>> {
        pipe.poll(&mut Context::from_waker(Waker::noop())).map(|message| message.map(|message| message.text))
    }

    #[test]
    fn messages_come_in_order_and_the_answer_ends_it() {
        let pipe = pipe();
        assert!(pipe.tell(b"one\n"));
        pipe.answer(b"two\n".to_vec());
        assert!(!pipe.tell(b"three\n"));
        assert_eq!(next(&pipe), Poll::Ready(Some(b"one\n".to_vec())));
        assert_eq!(next(&pipe), Poll::Ready(Some(b"two\n".to_vec())));
        assert_eq!(next(&pipe), Poll::Ready(None));
    }

    #[test]
    fn what_nobody_reads_is_bounded_but_for_the_answer() {
        let pipe = pipe();
        let message = vec![b'x'; CROWDED];
        assert!(pipe.tell(&message) && !pipe.is_crowded());
        assert!(pipe.tell(&message) && pipe.is_crowded());
        while pipe.tell(&message) {}
        assert!(pipe.state().bytes <= FULL + CROWDED);
        pipe.answer(b"answer\n".to_vec());
        assert!(pipe.take_rest().last().is_some_and(|message| message.is_answer));
    }

    #[test]
    fn who_takes_the_answer_alone_is_told_nothing_and_cannot_be_asked() {
        let pipe = Pipe::new(Wants::Answer, Weak::new());
        assert!(pipe.tell(&message::notification("notifications/message", None)));
        assert!(!pipe.tell(&message::request("\"s-1\"", "roots/list", None)));
        assert_eq!(next(&pipe), Poll::Pending);
    }
}
