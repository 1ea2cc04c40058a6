//! A request and the stream of its messages, which may outlive the connection that it came by.

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use super::{
    pipe::{Message, Pipe},
    session::Session,
};
use crate::front::exchange::Work;

/// A request and the stream of its messages.
pub(super) struct Flow {
    /// What its events are numbered under.
    pub(super) stream: u64,
    pipe: Arc<Pipe>,
    /// What is left to be done. Whoever reads does it.
    work: Mutex<Option<Work>>,
    readers: AtomicU64,
}

impl Flow {
    pub(super) fn new(stream: u64, pipe: Arc<Pipe>, work: Work) -> Arc<Self> {
        Arc::new(Self { stream, pipe, work: Mutex::new(Some(work)), readers: AtomicU64::new(0) })
    }

    /// Reads it from now on; whoever did before does not any more.
    pub(super) fn read(self: &Arc<Self>, keeper: Keeper) -> Reader {
        let turn = self.take_over();
        self.pipe.attach();
        Reader { flow: self.clone(), turn, keeper }
    }

    /// What nobody has read of it.
    pub(super) fn take_rest(&self) -> Vec<Message> {
        self.pipe.take_rest()
    }

    fn take_over(&self) -> u64 {
        self.readers.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn is_read_by(&self, turn: u64) -> bool {
        self.readers.load(Ordering::Acquire) == turn
    }

    /// Goes on with what is left to be done; true when nothing is.
    fn poll_work(&self, context: &mut Context<'_>) -> bool {
        let mut work = self.work();
        let done = work.as_mut().is_none_or(|work| work.as_mut().poll(context).is_ready());
        if done && work.take().is_some() {
            self.pipe.close();
        }
        done
    }

    /// Goes on while nobody reads, until somebody does; true when nothing is left to be done.
    ///
    /// It is taken over when this is called: who comes to read before it is polled is not overtaken.
    pub(super) fn go_on_unread(self: Arc<Self>) -> impl Future<Output = bool> + Send {
        let turn = self.take_over();
        self.pipe.detach();
        poll_fn(move |context| {
            if !self.is_read_by(turn) {
                return Poll::Ready(false);
            }
            self.pipe.watch(context);
            if self.poll_work(context) { Poll::Ready(true) } else { Poll::Pending }
        })
    }

    /// Takes back what is left to be done.
    pub(super) fn give_up(&self) {
        let work = self.work().take();
        self.pipe.close();
        drop(work);
    }

    pub(super) fn is_done(&self) -> bool {
        self.work().is_none()
    }

    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a stream that is not read to its end.
pub(super) enum Keeper {
    /// Its request is taken back.
    Nobody,
    /// The session goes on with it, and keeps what comes for when the client is back.
    Request(Arc<Session>),
    /// It has no end. What nobody has read goes to the next that listens.
    Listening(Arc<Session>),
}

/// Who reads a stream and does its work.
pub(super) struct Reader {
    flow: Arc<Flow>,
    turn: u64,
    keeper: Keeper,
}

impl Reader {
    pub(super) fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// The next message; nothing after the last, or when somebody else reads now.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        if !self.flow.is_read_by(self.turn) {
            return Poll::Ready(None);
        }
        self.flow.poll_work(context);
        self.flow.pipe.poll(context)
    }

    /// [`poll_next`](Self::poll_next) as a future. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.flow.is_read_by(self.turn) {
            return;
        }
        match &self.keeper {
            Keeper::Nobody => self.flow.give_up(),
            Keeper::Request(session) => session.keep(&self.flow),
            Keeper::Listening(session) => {
                self.flow.give_up();
                session.listening.keep(self.flow.take_rest().into_iter().map(|message| message.text));
            }
        }
    }
}
