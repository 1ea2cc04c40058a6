//! The states of all entries, and nothing else of them.

use super::{Computer, words::state_name};
use crate::supervisor::State;

impl Computer {
    /// Each entry and its state as health shows it. Cheap, and nobody is told of anything by it: what is published, and
    /// when, stays as it is.
    pub fn states(&self) -> Vec<(String, &'static str)> {
        let board = &self.inner.board;
        let state = |name: &str| match board.handle(name) {
            Some(handle) => state_name(&handle.status().state),
            None => state_name::<()>(&State::Idle),
        };
        board.namespaces().iter().map(|name| (name.to_string(), state(name.as_str()))).collect()
    }
}
