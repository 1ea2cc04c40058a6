//! Where it is written down what happens.

use mcp_computer::{Computer, Records, config::Loaded};

use super::{say, serve::state};

/// Where it is written; nowhere, and that is said, when there is no place that may be used.
///
/// # Errors
/// There is no such place, and the config requires that calls are written down.
pub(super) fn wanted(loaded: &Loaded) -> anyhow::Result<Option<Records>> {
    let place = state(loaded).and_then(|state| Ok(Records::new(state.directory()?)));
    excused(place, loaded.config.serve.audit.require)
}

/// Begins to write.
///
/// # Errors
/// It cannot be begun, and the config requires that calls are written down.
pub(super) fn keep(computer: &Computer, records: Option<Records>) -> anyhow::Result<()> {
    let Some(records) = records else { return Ok(()) };
    let kept = computer.keep_records(records).map_err(Into::into);
    excused(kept, computer.config().serve.audit.require).map(drop)
}

fn excused<T>(outcome: anyhow::Result<T>, is_required: bool) -> anyhow::Result<Option<T>> {
    match outcome {
        Ok(outcome) => Ok(Some(outcome)),
        Err(error) if is_required => Err(error.context("calls cannot be written down, which `serve.audit` requires")),
        Err(error) => {
            say(&format!("warning: logs and the audit log are not written: {error}"));
            Ok(None)
        }
    }
}
