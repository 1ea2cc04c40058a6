//! The daemon that runs, for the verbs that ask it.

use std::path::Path;

use mcp_computer::{
    control::{Code, Daemon, DaemonError, Refusal},
    state::{State, StateError},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{ConfigArg, Usage, machine, paint};

/// The daemon that runs for a config, if one does.
pub(super) async fn find(arg: &ConfigArg) -> anyhow::Result<Option<Daemon>> {
    let loaded = machine::read(arg);
    let (mut places, path) = match &loaded {
        Ok(loaded) => {
            (State::of(&loaded.config, loaded.path.as_deref()).ok().into_iter().collect(), loaded.path.clone())
        }
        // It runs whatever has been written since.
        Err(_) => (Vec::new(), arg.config.clone()),
    };
    match State::of_file(path.as_deref()) {
        Ok(either) => places.extend(either),
        // Where there is no place for daemons, none runs.
        Err(StateError::Homeless) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    for place in &places {
        if let Some(daemon) = Daemon::find(place).await? {
            daemon.check_version()?;
            return Ok(Some(daemon));
        }
    }
    // What is wrong with the config is the answer, where nobody else gives one.
    loaded.map(|_| None)
}

/// The daemon that runs, where nothing can be done without.
pub(super) async fn needed(arg: &ConfigArg) -> anyhow::Result<Daemon> {
    find(arg).await?.ok_or_else(|| nobody(machine::read(arg).ok().and_then(|loaded| loaded.path).as_deref()))
}

/// Says that none runs, and for which config.
pub(super) fn nobody(config: Option<&Path>) -> anyhow::Error {
    let config = config.map_or("the built-in one".to_owned(), |path| paint::brief(&path.display().to_string()));
    anyhow::anyhow!("no daemon runs for this config ({config}) in this directory; `computer serve --http` starts one")
}

/// Asks for something, and reads the answer.
pub(super) async fn ask<T: DeserializeOwned>(
    daemon: &mut Daemon,
    verb: &str,
    args: &(impl Serialize + Sync),
) -> anyhow::Result<T> {
    let result = daemon.ask(verb, args).await.map_err(as_said)?;
    Ok(serde_json::from_str(result.get())?)
}

/// The error with the exit status that it is to have.
pub(super) fn as_said(error: DaemonError) -> anyhow::Error {
    match &error {
        DaemonError::Refused(Refusal {
            code:
                Code::Invalid
                | Code::UnknownTool
                | Code::UnknownNamespace
                | Code::Config
                | Code::Conflict
                | Code::UnknownVerb,
            ..
        }) => Usage::because(error),
        _ => error.into(),
    }
}
