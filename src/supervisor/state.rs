//! The state of a unit, and what is remembered beside it.

use tokio::time::Instant;

use crate::error::Error;

/// Where a unit is. `F` is what it shows while it is up.
#[derive(Debug, Clone)]
pub(crate) enum State<F> {
    /// Not begun, or over.
    Idle,
    /// Being started, for the so many-eth time in a row.
    Starting {
        /// 1 at first.
        attempt: u32,
    },
    /// Up.
    Ready(F),
    /// Down, and started again at that time.
    Waiting {
        /// How many starts or lives in a row have failed.
        attempt: u32,
        /// When it is tried again.
        retry_at: Instant,
        /// What went wrong last.
        error: Error,
    },
    /// Given up, but for a rare try.
    Failed(Error),
    /// Stopped by hand.
    Stopped,
    /// Not to be up until somebody asks for it.
    Held(Reason),
}

/// Why a unit is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is brought up when it is needed.
    Deferred,
    /// Nobody uses it: whoever does starts it, and what it shows is shown on.
    Unused,
    /// The configuration switches it off.
    Disabled,
    /// It wants credentials that it was not given. They may be renewed without anybody telling us: it is tried again.
    NeedsAuth {
        /// When it is tried again.
        retry_at: Instant,
    },
    /// A value that the configuration asks for is not there.
    NeedsInput,
}

impl Reason {
    /// Whether somebody chose that it is not up.
    pub(crate) fn is_chosen(self) -> bool {
        match self {
            Self::Deferred | Self::Unused | Self::Disabled => true,
            Self::NeedsAuth { .. } | Self::NeedsInput => false,
        }
    }
}

/// A state and its history.
#[derive(Debug, Clone)]
pub(crate) struct Status<F> {
    pub(crate) state: State<F>,
    /// Since when it has been in this state.
    pub(crate) since: Instant,
    /// How often it was started again, after the first time: brought back or restarted.
    pub(crate) restarts: u32,
    /// Whether it was up since it was last stopped, held, or given up.
    pub(crate) was_up: bool,
    /// What it showed when it was up last, unless it was stopped or held since.
    pub(crate) last_face: Option<F>,
    /// What it shows before it is up: what it had in an earlier run, or before it was ended because nobody used it.
    pub(crate) known: Option<F>,
    /// What went wrong last, even if it is up again.
    pub(crate) last_error: Option<Error>,
    /// Whether that was after it was up last.
    pub(crate) is_failing: bool,
}

impl<F: Clone> Status<F> {
    pub(super) fn new(state: State<F>) -> Self {
        Self {
            state,
            since: Instant::now(),
            restarts: 0,
            was_up: false,
            last_face: None,
            known: None,
            last_error: None,
            is_failing: false,
        }
    }

    /// Passes into a state, and forgets what does not count in it.
    pub(super) fn pass_into(&mut self, state: State<F>) {
        match &state {
            State::Ready(face) => {
                (self.was_up, self.is_failing) = (true, false);
                (self.last_face, self.known) = (Some(face.clone()), None);
            }
            State::Held(Reason::Unused) => {
                self.known = self.last_face.clone().filter(|_| self.was_up).or(self.known.take());
                (self.was_up, self.is_failing) = (false, false);
            }
            State::Idle | State::Stopped | State::Held(Reason::Deferred | Reason::Disabled | Reason::NeedsInput) => {
                self.forget();
            }
            // Rare tries must not show for their moment what it had once.
            State::Failed(_) => (self.was_up, self.known) = (false, None),
            State::Starting { .. } | State::Waiting { .. } | State::Held(Reason::NeedsAuth { .. }) => {}
        }
        (self.state, self.since) = (state, Instant::now());
    }

    /// What it showed counts for nothing any more.
    pub(super) fn forget(&mut self) {
        self.was_up = false;
        (self.last_face, self.known) = (None, None);
    }

    /// What it shows: while it is being brought back, what it had; before it is up, what is known of it.
    pub(crate) fn shown(&self) -> Option<&F> {
        match &self.state {
            State::Ready(face) => Some(face),
            State::Starting { .. } | State::Waiting { .. } | State::Held(Reason::NeedsAuth { .. } | Reason::Unused) => {
                self.last_face.as_ref().filter(|_| self.was_up).or(self.known.as_ref())
            }
            // Not begun yet: what is over is not known any more.
            State::Idle => self.known.as_ref(),
            State::Failed(_)
            | State::Stopped
            | State::Held(Reason::Deferred | Reason::Disabled | Reason::NeedsInput) => None,
        }
    }

    /// When it is tried again, where that is soon.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { retry_at, .. } | State::Held(Reason::NeedsAuth { retry_at }) => Some(retry_at),
            State::Idle
            | State::Starting { .. }
            | State::Ready(_)
            | State::Failed(_)
            | State::Stopped
            | State::Held(Reason::Deferred | Reason::Unused | Reason::Disabled | Reason::NeedsInput) => None,
        }
    }

    /// The face, when it is up.
    pub(crate) fn ready(&self) -> Option<&F> {
        match &self.state {
            State::Ready(face) => Some(face),
            State::Idle
            | State::Starting { .. }
            | State::Waiting { .. }
            | State::Failed(_)
            | State::Stopped
            | State::Held(_) => None,
        }
    }

    /// Whether it is neither up nor about to be: waiting for it is in vain.
    pub(crate) fn is_settled_down(&self) -> bool {
        matches!(self.state, State::Failed(_) | State::Stopped | State::Held(_))
    }

    /// Whether it is up, or the last attempt to bring it up has had its outcome.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.state, State::Ready(_) | State::Waiting { .. }) || self.is_settled_down()
    }

    /// Whether it is as it should be without being up: it is started when it is used.
    pub(crate) fn is_unused(&self) -> bool {
        matches!(self.state, State::Held(Reason::Unused))
    }

    /// Whether it is on its way up for the first time, or because somebody uses it again, and nothing has gone wrong.
    pub(crate) fn is_awaited(&self) -> bool {
        let coming = matches!(self.state, State::Idle | State::Starting { .. }) || self.is_unused();
        coming && self.known.is_some() && !self.is_failing
    }

    /// Whether it should be up, or may be at any moment.
    pub(crate) fn is_wanted(&self) -> bool {
        match self.state {
            State::Stopped => false,
            State::Held(reason) => reason == Reason::Unused || !reason.is_chosen(),
            State::Idle | State::Starting { .. } | State::Ready(_) | State::Waiting { .. } | State::Failed(_) => true,
        }
    }

    /// What keeps it from being up.
    pub(crate) fn error(&self) -> Option<&Error> {
        match &self.state {
            State::Waiting { error, .. } | State::Failed(error) => Some(error),
            State::Starting { .. } => self.last_error.as_ref().filter(|_| self.is_failing),
            State::Held(reason) if !reason.is_chosen() => self.last_error.as_ref(),
            State::Idle | State::Ready(_) | State::Stopped | State::Held(_) => None,
        }
    }
}
