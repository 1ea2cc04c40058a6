//! When to leave.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this process to leave.
#[derive(Debug)]
pub struct Shutdown {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
    last: Option<Instant>,
}

/// Who asked to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A service manager or `kill`.
    Terminate,
    /// Ctrl-C.
    Interrupt,
    /// The terminal has gone.
    Hangup,
}

impl Cause {
    /// The exit status by which a shell tells this cause.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
            Self::Hangup => 129,
        }
    }
}

/// A service manager that signals every process of a service reaches us twice: itself and through the guard. That is
/// one wish, not two.
const ECHO: Duration = Duration::from_millis(100);

impl Shutdown {
    /// Begins to listen. From now on the signals do nothing by themselves.
    ///
    /// # Errors
    /// The system refused.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            last: None,
        })
    }

    /// Returns when this process is asked to leave, each time it is. Cancel safe.
    pub async fn requested(&mut self) -> Cause {
        loop {
            let cause = tokio::select! {
                _ = self.term.recv() => Cause::Terminate,
                _ = self.interrupt.recv() => Cause::Interrupt,
                _ = self.hangup.recv() => Cause::Hangup,
            };
            let echo = self.last.is_some_and(|last| last.elapsed() < ECHO);
            self.last = Some(Instant::now());
            if !echo {
                return cause;
            }
        }
    }
}
