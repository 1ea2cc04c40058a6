//! A stdio entry: its process, and the session over its pipes.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Recipe;
use crate::{
    command::{Prepared, Wanted},
    config::{
        StdioConfig,
        template::{self, Reference},
    },
    connection::{Happening, Lifecycle, Link, Options, Session},
    error::{Error, Result},
    fill::Surroundings,
    process::{self, Found, Process, Stdin, Tail, Watch},
    records::EntryLog,
    shutdown::Grace,
    source::Face,
    supervisor::Event,
};

/// What was learnt from earlier starts.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// How this server wants hands to be shaken.
    lifecycle: Lifecycle,
}

/// How long the pipes of a process that has ended may take to give what is in them.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// How long a server that closed its output may take to end, so that its exit status can be told.
const FAREWELL: Duration = Duration::from_millis(200);

const CONNECT: Duration = Duration::from_secs(30);
/// A package may have to be fetched first.
const FETCH: Duration = Duration::from_secs(120);

/// A server that is up: the owner of its process and of the session with it.
pub(crate) struct Server {
    process: Process,
    session: Session,
    watch: Watch,
    log: EntryLog,
}

/// What a start would run.
pub(super) async fn resolve(around: &Surroundings, config: &StdioConfig) -> Result<Prepared> {
    Prepared::new(around, wanted(config)).await
}

/// Whether its command is found now; nothing when a program would have to be run to know.
pub(super) async fn finds(recipe: &Recipe, config: &StdioConfig) -> Option<bool> {
    let texts = recipe.config.kind.texts();
    let mut references = texts.into_iter().flat_map(template::references);
    if references.any(|reference| matches!(reference, Reference::Command(_))) {
        return None;
    }
    Some(!matches!(resolve(&recipe.around, config).await, Err(Error::CommandNotFound { .. })))
}

fn wanted(config: &StdioConfig) -> Wanted<'_> {
    Wanted {
        command: &config.command,
        args: &config.args,
        env: &config.env,
        env_file: config.env_file.as_ref(),
        unset: &config.unset,
        cwd: config.cwd.as_ref(),
        inherit_env: &config.inherit_env,
        limits: config.limits,
        stdin: Stdin::Pipe,
    }
}

fn options((recipe, config): (&Recipe, &StdioConfig), prepared: &Prepared) -> Options {
    let default = if prepared.resolved.may_fetch(&prepared.args) { FETCH } else { CONNECT };
    Options {
        connect_timeout: config.connect_timeout.unwrap_or(default),
        call_timeout: config.call_timeout,
        max_call_time: config.max_call_time,
        probe_interval: config.probe_interval,
        max_message: config.max_message,
        tail: Tail::logged(prepared.secrets.clone(), recipe.log.clone()),
        secrets: prepared.secrets.clone(),
        log: recipe.log.clone(),
        namespace: recipe.namespace.clone(),
        notices: recipe.notices.clone(),
        subscribed: recipe.subscribed.clone(),
        unattended: recipe.unattended,
    }
}

/// Starts the server and connects to it.
///
/// A server that does not survive being asked for the newest generation is started once more and asked the old way;
/// that is remembered.
pub(super) async fn start(
    recipe: &Recipe,
    config: &StdioConfig,
    learnt: &mut Learnt,
    cancel: CancellationToken,
) -> Result<Server> {
    let prepared = tokio::select! {
        prepared = resolve(&recipe.around, config) => prepared?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let deadline = Instant::now() + options((recipe, config), &prepared).connect_timeout;
    let ask = |lifecycle| attempt((recipe, config), &prepared, lifecycle, (&cancel, deadline));
    let first = match ask(learnt.lifecycle).await {
        Ok(server) => return Ok(server),
        Err(error) => error,
    };
    if learnt.lifecycle == Lifecycle::Initialize || cancel.is_cancelled() || !is_refusal(&first) {
        return Err(first);
    }
    let server = ask(Lifecycle::Initialize).await?;
    learnt.lifecycle = Lifecycle::Initialize;
    Ok(server)
}

/// Whether the server may just have disliked the question.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Protocol { .. } | Error::Ended { .. })
}

async fn attempt(
    (recipe, config): (&Recipe, &StdioConfig),
    prepared: &Prepared,
    lifecycle: Lifecycle,
    (cancel, deadline): (&CancellationToken, Instant),
) -> Result<Server> {
    let spawned = Process::spawn(prepared.spawn.clone()).await;
    let (process, pipes) = spawned.map_err(|error| prepared.refused(&error))?;
    recipe.log.spawned(process.pid(), &prepared.line());
    let mut watch = process.watch();
    let mut session = Session::open(pipes, options((recipe, config), prepared));
    let link = session.link().clone();
    recipe.said.by(link.tail());
    link.describe(|about| {
        about.pid = Some(process.pid());
        about.command = Some(prepared.line());
    });
    config.limits.problems().into_iter().for_each(|problem| link.note(problem));
    let outcome = tokio::select! {
        outcome = session.connect(lifecycle, deadline) => outcome,
        _ = process.exited() => Err(Error::ended("", "")),
        error = exceeded(&mut watch, &link) => Err(error),
        () = cancel.cancelled() => Err(Error::Cancelled),
    };
    match outcome {
        Ok(()) => Ok(Server { process, session, watch, log: recipe.log.clone() }),
        Err(error) => {
            let error = with_status(error, &process, &link).await;
            let error = prepared.secrets.mask_error(error);
            session.close(error.clone()).await;
            ended(process, Grace::of(Duration::ZERO), &recipe.log).await;
            Err(error)
        }
    }
}

/// Says how the process ended, if it did: that tells more than what the protocol saw of it.
async fn with_status(error: Error, process: &Process, link: &Link) -> Error {
    if matches!(error, Error::Timeout { .. } | Error::LimitExceeded { .. } | Error::Cancelled) {
        return error;
    }
    match timeout(FAREWELL, process.exited()).await {
        Ok(status) => {
            let tail = link.tail();
            let _ = timeout(LEFTOVERS, tail.ended()).await;
            let ended = || Error::ended(process::describe(status), tail.last_lines());
            process.limit_behind(status).unwrap_or_else(ended)
        }
        Err(_) => error,
    }
}

/// Returns when the server and what it started use more than they may. Cancel safe.
async fn exceeded(watch: &mut Watch, link: &Link) -> Error {
    loop {
        match watch.next().await {
            Found::Exceeded(error) => return error,
            Found::Full(words) => link.note(words),
        }
    }
}

impl Server {
    pub(super) fn face(&self) -> Face {
        Arc::clone(self.session.link()) as Face
    }

    /// What happens next. Cancel safe.
    pub(super) async fn next(&mut self) -> Event {
        let link = self.session.link().clone();
        let reason = tokio::select! {
            happening = self.session.next() => match happening {
                Happening::Changed => return Event::Changed,
                Happening::Closed(reason) => Some(reason),
            },
            // The leader's death is the server's, whoever else still holds the pipe.
            _ = self.process.exited() => None,
            // Whoever hears that it has ended kills what is left of it.
            error = exceeded(&mut self.watch, &link) => return Event::Ended(error),
        };
        Event::Ended(self.ended(reason).await)
    }

    /// Fails the calls in flight.
    pub(super) fn let_down(&self, error: &Error) {
        self.session.link().fail_all(error);
    }

    async fn ended(&mut self, reason: Option<String>) -> Error {
        let link = self.session.link().clone();
        let status = timeout(FAREWELL, self.process.exited()).await.ok();
        let limit = status.and_then(|status| self.process.limit_behind(status));
        let how = status.map_or_else(|| reason.unwrap_or_else(|| "ended".to_owned()), process::describe);
        // Answers that it gave before it ended still count.
        let _ = timeout(LEFTOVERS, async { tokio::join!(link.ended(), link.tail().ended()) }).await;
        limit.unwrap_or_else(|| Error::ended(how, link.tail().last_lines()))
    }

    pub(super) async fn stop(self, grace: Grace) {
        let stopped = Error::ended_as_asked("was stopped");
        tokio::join!(self.session.close(stopped), ended(self.process, grace, &self.log));
    }
}

/// Ends a process, and notes how it did.
async fn ended(process: Process, grace: Grace, log: &EntryLog) {
    let pid = process.pid();
    let status = process.end(grace).await;
    log.exited(pid, &process::describe(status));
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;
    use crate::{
        config::{EntryConfig, Unattended},
        connection::Subscribed,
        entry::Said,
    };

    /// An entry whose command is looked for in that directory alone.
    fn recipe(directory: &Path, args: &[&str]) -> (Recipe, StdioConfig) {
        let path = directory.to_str().unwrap();
        let config = StdioConfig::new("late-program", args.iter().copied()).env("PATH", path);
        let recipe = Recipe {
            namespace: "late".parse().unwrap(),
            config: EntryConfig::from(config.clone()),
            around: Surroundings { workspace: directory.to_owned(), may_run_commands: true, ..Surroundings::default() },
            keeper: crate::process::Keeper::default(),
            notices: crate::source::Notices::default(),
            subscribed: Subscribed::default(),
            unattended: Unattended::default(),
            said: Said::default(),
            log: crate::records::EntryLog::default(),
        };
        (recipe, config)
    }

    #[tokio::test]
    async fn a_command_that_was_missing_is_seen_when_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (recipe, config) = recipe(dir.path(), &[]);
        assert_eq!(finds(&recipe, &config).await, Some(false));
        let program = dir.path().join("late-program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        assert_eq!(finds(&recipe, &config).await, Some(false), "it is not executable yet");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(finds(&recipe, &config).await, Some(true));
    }

    #[tokio::test]
    async fn no_program_is_run_to_look_for_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let (recipe, config) = recipe(dir.path(), &[&format!("${{cmd:touch {}}}", mark.display())]);
        assert_eq!(finds(&recipe, &config).await, None);
        assert!(!mark.exists());
    }
}
