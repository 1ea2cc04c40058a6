//! The states of entries and what keeps them from being up, in the words that everybody gets to see: health, the status
//! tool, events, the log, errors of calls.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    source::Face,
    supervisor::{Reason, State, Status},
};

/// A state as people and programs see it.
pub(super) fn state_name<F>(state: &State<F>) -> &'static str {
    match state {
        // That nobody uses it is all that keeps one that is unused from being up.
        State::Idle | State::Held(Reason::Unused) => "idle",
        State::Starting { .. } => "starting",
        State::Ready(_) => "ready",
        State::Waiting { .. } => "waiting",
        State::Failed(_) => "failed",
        State::Stopped => "stopped",
        State::Held(Reason::Deferred) => "deferred",
        State::Held(Reason::Disabled) => "disabled",
        State::Held(Reason::NeedsAuth { .. }) => "needsAuth",
        State::Held(Reason::NeedsInput) => "needsInput",
    }
}

/// What keeps a program from being up.
pub(super) fn reason_of_program<F: Clone>(status: &Status<F>) -> Option<String> {
    let held = "It is launched when an entry that refers to it is connected";
    status.ready().is_none().then(|| reason_of_unit(status, "Stopped", held))
}

/// What keeps an entry from being up; what one that is up did when it was asked for a sign of life, if it gave none.
pub(super) fn reason(status: &Status<Face>) -> Option<String> {
    if let Some(face) = status.ready() {
        return face.silence();
    }
    if status.is_unused() {
        return None;
    }
    let (stopped, held) = ("Stopped - connect via restart_entry()", "Deferred - connect via restart_entry()");
    Some(reason_of_unit(status, stopped, held))
}

/// What keeps a unit from being up that is not: its error, or these words.
fn reason_of_unit<F: Clone>(status: &Status<F>, stopped: &str, deferred: &str) -> String {
    let words = match &status.state {
        State::Idle => NOT_STARTED,
        State::Stopped => stopped,
        State::Held(Reason::Deferred) => deferred,
        State::Held(Reason::Disabled) => DISABLED,
        State::Starting { .. } => "It is being started",
        State::Ready(_)
        | State::Waiting { .. }
        | State::Failed(_)
        | State::Held(Reason::Unused | Reason::NeedsAuth { .. } | Reason::NeedsInput) => "",
    };
    status.error().map_or_else(|| words.to_owned(), ToString::to_string)
}

/// What is said to a caller of an entry that is not up, beyond the reason.
pub(super) fn cure(status: &Status<Face>, waited: Option<Duration>) -> Option<String> {
    let waited = waited.map(|waited| format!("the call has waited {} s for it", waited.as_secs()));
    let next = match &status.state {
        State::Waiting { retry_at, .. } => Some(format!("it is tried again {}: call again then", moment(*retry_at))),
        State::Starting { .. } => Some("it is being started still: call again".to_owned()),
        State::Held(Reason::NeedsAuth { retry_at }) => {
            Some(format!("it is tried again {}, and by the next call", moment(*retry_at)))
        }
        State::Failed(_) => Some("mend what keeps it down and restart the entry".to_owned()),
        State::Held(Reason::Disabled) => Some("take `disabled` out of its configuration to use it".to_owned()),
        // The reason says it.
        State::Idle
        | State::Ready(_)
        | State::Stopped
        | State::Held(Reason::Deferred | Reason::Unused | Reason::NeedsInput) => None,
    };
    let said: Vec<String> = waited.into_iter().chain(next).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn moment(at: Instant) -> String {
    format!("in {:.1} s", at.saturating_duration_since(Instant::now()).as_secs_f64())
}

/// Why an entry is idle.
pub(super) const NOT_STARTED: &str = "the Computer has not been started";
/// Why an entry is disabled.
pub(super) const DISABLED: &str = "Disabled by the configuration";
