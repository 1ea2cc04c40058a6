//! Any command as a managed program.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{About, Recipe, Up, What, ended, ready::Check};
use crate::{
    command::{Prepared, Wanted},
    config::CommandConfig,
    error::{Error, Result},
    process::{Found, Process, Running, Stdin, Tail, Watch},
    shutdown::Grace,
};

/// A command that is up.
pub(super) struct Command {
    running: Running,
    watch: Watch,
}

/// Starts the command and waits until it can be used. Cancel safe: one that is given up is killed.
pub(super) async fn start(recipe: &Recipe, config: &CommandConfig) -> Result<Up> {
    let around = &recipe.around;
    around.browsers_settled(config.texts()).await;
    let prepared = Prepared::new(around, wanted(config)).await?;
    let check = match &config.ready {
        Some(ready) => Some(Check::new(ready, around, &prepared.spawn).await?),
        None => None,
    };
    if let Some(check) = &check {
        check.nobody_is_there().await.map_err(|reason| Error::Spawn { command: prepared.line(), reason })?;
    }
    let tail = Tail::logged(prepared.secrets.clone(), recipe.log.clone());
    let line = check.as_ref().and_then(|check| check.listen(&tail));
    let spawned = Process::spawn(prepared.spawn.clone()).await;
    let (process, pipes) = spawned.map_err(|error| prepared.refused(&error))?;
    let mut command = Command { watch: process.watch(), running: Running::new(process, pipes, tail) };
    if let Some(check) = &check {
        let outcome = tokio::select! {
            passed = timeout(config.ready_timeout, check.passes(line)) => passed.map_err(|_| Error::Timeout {
                act: format!("waiting until {check}"),
                after: config.ready_timeout,
                silent: false,
                cure: "see what it waits for, or give it longer (`readyTimeout`)".to_owned(),
                stderr: command.running.tail().last_lines(),
            }),
            error = command.ended() => Err(error),
        };
        if let Err(error) = outcome {
            command.stop(Grace::of(Duration::ZERO)).await;
            return Err(prepared.secrets.mask_error(error));
        }
    }
    let about =
        About { command: Some(prepared.line()), problems: config.limits.problems(), ..About::of(&command.running) };
    Ok(Up { what: What::Command(Box::new(command)), face: Arc::new(about) })
}

/// What is wanted of the system to start it.
pub(super) fn wanted(config: &CommandConfig) -> Wanted<'_> {
    Wanted {
        command: &config.command,
        args: &config.args,
        env: &config.env,
        env_file: None,
        unset: &[],
        cwd: config.cwd.as_ref(),
        inherit_env: &config.inherit_env,
        limits: config.limits,
        stdin: Stdin::Null,
    }
}

impl Command {
    /// Returns when it has ended or uses more than it may, and why. Cancel safe.
    pub(super) async fn ended(&mut self) -> Error {
        loop {
            tokio::select! {
                error = ended(&self.running) => return error,
                found = self.watch.next() => match found {
                    Found::Exceeded(error) => return error,
                    Found::Full(words) => tracing::warn!(pid = self.running.process().pid(), "{words}"),
                },
            }
        }
    }

    pub(super) async fn stop(self, grace: Grace) -> Option<ExitStatus> {
        self.running.leave(grace).await
    }
}
