//! When to leave.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time,
};

/// The signals that ask this process to leave.
#[derive(Debug)]
pub struct Shutdown {
    term: Signal,
    interrupt: Signal,
    /// None when it does not ask to leave: whoever started us wants it ignored, as `nohup` does, or it means a reload.
    hangup: Option<Signal>,
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
        let hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Self::with(hangup)
    }

    /// The same for a daemon: a hangup asks it to read its configuration again, even if it was ignored before.
    ///
    /// # Errors
    /// The system refused.
    pub fn listen_and_reload() -> io::Result<(Self, Reload)> {
        let reload = Reload { hangup: signal(SignalKind::hangup())?, last: None };
        Ok((Self::with(None)?, reload))
    }

    fn with(hangup: Option<Signal>) -> io::Result<Self> {
        let (term, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, interrupt, hangup, last: None })
    }

    /// Returns when this process is asked to leave, each time it is. Cancel safe.
    pub async fn requested(&mut self) -> Cause {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let cause = tokio::select! {
                _ = self.term.recv() => Cause::Terminate,
                _ = self.interrupt.recv() => Cause::Interrupt,
                _ = hangup => Cause::Hangup,
            };
            let echo = self.last.is_some_and(|last| last.elapsed() < ECHO);
            self.last = Some(Instant::now());
            if !echo {
                return cause;
            }
        }
    }
}

/// The signal that asks this process to read its configuration again.
#[derive(Debug)]
pub struct Reload {
    hangup: Signal,
    last: Option<Instant>,
}

impl Reload {
    /// Returns when a reload is asked for, each time it is. Cancel safe.
    pub async fn requested(&mut self) {
        loop {
            if self.hangup.recv().await.is_none() {
                // There is nothing more to come.
                return std::future::pending().await;
            }
            let echo = self.last.is_some_and(|last| last.elapsed() < ECHO);
            self.last = Some(Instant::now());
            if !echo {
                return;
            }
        }
    }
}

/// Whether the signal was ignored when we were started.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 != 0
}

/// The time that something gets to leave in order. It can be shortened while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Grace(watch::Receiver<time::Instant>);

impl Grace {
    /// So much from now.
    pub(crate) fn of(time: Duration) -> Self {
        Self(watch::Sender::new(time::Instant::now() + time).subscribe())
    }

    /// Until the time that `until` shows, which may come nearer.
    pub(crate) fn until(until: &watch::Sender<time::Instant>) -> Self {
        Self(until.subscribe())
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.0.borrow().saturating_duration_since(time::Instant::now())
    }

    /// Returns when it is over. Cancel safe.
    pub(crate) async fn over(&mut self) {
        loop {
            let until = *self.0.borrow_and_update();
            let nobody_shortens = tokio::select! {
                () = time::sleep_until(until) => return,
                changed = self.0.changed() => changed.is_err(),
            };
            if nobody_shortens {
                return time::sleep_until(until).await;
            }
        }
    }
}
