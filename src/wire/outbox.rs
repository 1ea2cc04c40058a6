//! Writing lines without waiting for whoever reads them.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Something to write to without blocking.
pub(crate) trait Output: Send + Sync + 'static {
    /// Writes what fits now.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Returns when more may fit. Cancel safe.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

/// [`Output`] as an object.
trait Sink: Send + Sync {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn writable(&self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>>;
}

impl<O: Output> Sink for O {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Output::try_write(self, bytes)
    }

    fn writable(&self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        Box::pin(Output::writable(self))
    }
}

/// Lines on their way out, in order.
///
/// A line is written at once by whoever sends it, as far as the reader has room: a task between them would cost more
/// than the write. What does not fit waits here for [`drain`](Self::drain).
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Something waits, or the box was closed.
    waiting: Notify,
    /// The box has become empty.
    emptied: Notify,
}

struct State {
    sink: Option<Arc<dyn Sink>>,
    queue: Vec<u8>,
    written: usize,
}

/// Why a line was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The reader has gone or the box was closed.
    Closed,
    /// So many bytes wait already.
    Full(usize),
}

/// How much may wait. One message more is always taken by an empty box, however large.
const LIMIT: usize = 32 << 20;

impl Outbox {
    pub(crate) fn new(output: impl Output) -> Self {
        let state = State { sink: Some(Arc::new(output)), queue: Vec::new(), written: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), waiting: Notify::new(), emptied: Notify::new() }))
    }

    /// Sends a line, which must end with a newline and hold no other.
    pub(crate) fn send(&self, line: &[u8]) -> Result<(), Refused> {
        let mut state = self.state();
        let Some(sink) = state.sink.clone() else { return Err(Refused::Closed) };
        let waiting = state.queue.len() - state.written;
        if waiting > LIMIT {
            return Err(Refused::Full(waiting));
        }
        let mut rest = line;
        if waiting == 0 {
            while !rest.is_empty() {
                match sink.try_write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        state.close();
                        self.0.waiting.notify_one();
                        return Err(Refused::Closed);
                    }
                }
            }
        }
        if !rest.is_empty() {
            state.queue.extend_from_slice(rest);
            self.0.waiting.notify_one();
        }
        Ok(())
    }

    /// Sends a line when not more than `limit` waits before it. A reader that has gone is no error: it cannot be told.
    pub(crate) async fn send_in_turn(&self, line: &[u8], limit: usize) {
        while self.holds_more_than(limit) {
            self.emptied().await;
        }
        let _ = self.send(line);
    }

    /// Writes what waits, until the box is closed or the reader has gone. Its owner runs it, once.
    pub(crate) async fn drain(&self) {
        loop {
            let waiting = self.0.waiting.notified();
            let (sink, empty) = {
                let mut state = self.state();
                let Some(sink) = state.sink.clone() else { return };
                if !state.write(sink.as_ref()) {
                    state.close();
                    self.0.emptied.notify_waiters();
                    return;
                }
                (sink, state.queue.is_empty())
            };
            if empty {
                self.0.emptied.notify_waiters();
                drop(sink);
                waiting.await;
            } else {
                tokio::select! {
                    ready = sink.writable() => if ready.is_err() { self.close() },
                    () = self.closed() => {}
                }
            }
        }
    }

    /// Closes the box: what waits is dropped, and the pipe is closed as soon as nobody writes to it.
    pub(crate) fn close(&self) {
        self.state().close();
        self.0.waiting.notify_one();
        self.0.emptied.notify_waiters();
    }

    /// Whether more than `bytes` wait.
    pub(crate) fn holds_more_than(&self, bytes: usize) -> bool {
        let state = self.state();
        state.queue.len() - state.written > bytes
    }

    /// Returns when nothing waits. Cancel safe.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if !self.holds_more_than(0) {
                return;
            }
            emptied.await;
        }
    }

    async fn closed(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.state().sink.is_none() {
                return;
            }
            emptied.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes what fits; false when the reader has gone.
    fn write(&mut self, sink: &dyn Sink) -> bool {
        while self.written < self.queue.len() {
            match sink.try_write(&self.queue[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A reader that is slow but steady never empties the box: what is written must go all the same.
                    if self.written > self.queue.len() / 2 {
                        self.queue.drain(..self.written);
                        self.written = 0;
                    }
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.queue = Vec::new();
        self.written = 0;
        true
    }

    fn close(&mut self) {
        self.sink = None;
        self.queue = Vec::new();
        self.written = 0;
    }
}
