//! A stdio entry: its process, and the session over its pipes.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Company, Recipe,
    command::{self, Resolved},
};
use crate::{
    config::{
        StdioConfig,
        template::{self, Reference},
    },
    connection::{Happening, Lifecycle, Link, Options, Session},
    environment,
    error::{Error, Result},
    fill::Filler,
    process::{self, Found, Process, Spawn, Stdin, Tail, Watch},
    secret::Secrets,
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
}

/// The command line that a start would run, secrets masked.
pub(crate) struct CommandLine {
    resolved: Resolved,
    args: Vec<String>,
    secrets: Secrets,
}

impl CommandLine {
    /// As a shell would take it.
    pub(crate) fn line(&self) -> String {
        self.secrets.mask(&self.resolved.line(&self.args)).into_owned()
    }

    /// Word by word.
    pub(crate) fn words(&self) -> Vec<String> {
        let program = self.resolved.program.to_string_lossy().into_owned();
        let words = std::iter::once(&program).chain(&self.resolved.args).chain(&self.args);
        words.map(|word| self.secrets.mask(word).into_owned()).collect()
    }
}

/// What a start would run.
pub(super) async fn resolve(recipe: &Recipe, config: &StdioConfig) -> Result<CommandLine> {
    let Prepared { resolved, args, secrets, .. } = Prepared::new(recipe, config).await?;
    Ok(CommandLine { resolved, args, secrets })
}

/// Whether its command is found now; nothing when a program would have to be run to know.
pub(super) async fn finds(recipe: &Recipe, config: &StdioConfig) -> Option<bool> {
    let texts = recipe.config.kind.texts();
    let mut references = texts.into_iter().flat_map(template::references);
    if references.any(|reference| matches!(reference, Reference::Command(_))) {
        return None;
    }
    Some(!matches!(Prepared::new(recipe, config).await, Err(Error::CommandNotFound { .. })))
}

/// A recipe with everything filled in.
struct Prepared {
    resolved: Resolved,
    args: Vec<String>,
    spawn: Spawn,
    secrets: Secrets,
    company: Company,
}

impl Prepared {
    async fn new(recipe: &Recipe, config: &StdioConfig) -> Result<Self> {
        let mut filler = Filler::new(&recipe.around).await;
        let cwd = filler.directory(config.cwd.as_ref(), &config.command).await?;
        let command = filler.text(&config.command).await?;
        let args = filler.texts(&config.args).await?;
        let mut own = filler.variables(&config.env).await?;
        if let Some(file) = &config.env_file {
            let file = filler.text(file).await?;
            let further = filler.env_file(&file)?;
            own.splice(0..0, further.into_iter().filter(|(name, _)| config.env.iter().all(|(set, _)| set != name)));
        }
        let mut env = environment::curated(&filler.login, &config.inherit_env);
        env.retain(|(name, _)| own.iter().all(|(set, _)| set != name));
        env.extend(own);
        env.retain(|(name, _)| !config.unset.contains(name));
        // A PATH that the entry sets is meant for finding its program too.
        let set = env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| environment::split_path(path));
        let path = set.unwrap_or_else(|| environment::search_path(&filler.login));
        let secrets = filler.secrets();
        let (found_in, wanted) = (cwd.clone(), command.clone());
        let resolved = process::blocking(move || command::resolve(&wanted, &found_in, &path)).await;
        let resolved = resolved.unwrap_or_else(|| Err(Error::Panicked("looking for a command".into())));
        let resolved = resolved.map_err(|error| secrets.mask_error(error))?;
        let all = resolved.args.iter().chain(&args).map(Into::into).collect();
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let (program, limits) = (resolved.program.clone(), config.limits);
        let spawn = Spawn { program, args: all, env, cwd, stdin: Stdin::Pipe, limits };
        Ok(Self { resolved, args, spawn, secrets, company: recipe.company() })
    }

    fn options(&self, config: &StdioConfig) -> Options {
        let default = if self.resolved.may_fetch(&self.args) { FETCH } else { CONNECT };
        Options {
            connect_timeout: config.connect_timeout.unwrap_or(default),
            call_timeout: config.call_timeout,
            max_call_time: config.max_call_time,
            probe_interval: config.probe_interval,
            max_message: config.max_message,
            tail: Tail::new(self.secrets.clone()),
            secrets: self.secrets.clone(),
            namespace: self.company.namespace.clone(),
            notices: self.company.notices.clone(),
            subscribed: self.company.subscribed.clone(),
            unattended: self.company.unattended,
        }
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
        prepared = Prepared::new(recipe, config) => prepared?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let deadline = Instant::now() + prepared.options(config).connect_timeout;
    let ask = |lifecycle| attempt(&prepared, config, lifecycle, (&cancel, deadline));
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
    prepared: &Prepared,
    config: &StdioConfig,
    lifecycle: Lifecycle,
    (cancel, deadline): (&CancellationToken, Instant),
) -> Result<Server> {
    let line = prepared.secrets.mask(&prepared.resolved.line(&prepared.args)).into_owned();
    let spawned = Process::spawn(prepared.spawn.clone()).await;
    let (mut process, pipes) = spawned.map_err(|error| refused(&line, &prepared.spawn, &error))?;
    let mut watch = process.watch();
    let mut session = Session::open(pipes, prepared.options(config));
    let link = session.link().clone();
    prepared.company.said.by(link.tail());
    link.describe(|about| {
        about.pid = Some(process.pid());
        about.command = Some(line);
    });
    config.limits.problems().into_iter().for_each(|problem| link.note(problem));
    let outcome = tokio::select! {
        outcome = session.connect(lifecycle, deadline) => outcome,
        _ = process.exited() => Err(Error::ended("", "")),
        error = exceeded(&mut watch, &link) => Err(error),
        () = cancel.cancelled() => Err(Error::Cancelled),
    };
    match outcome {
        Ok(()) => Ok(Server { process, session, watch }),
        Err(error) => {
            let error = with_status(error, &mut process, &link).await;
            let error = prepared.secrets.mask_error(error);
            session.close(error.clone()).await;
            process.end(Grace::of(Duration::ZERO)).await;
            Err(error)
        }
    }
}

/// Says how the process ended, if it did: that tells more than what the protocol saw of it.
async fn with_status(error: Error, process: &mut Process, link: &Link) -> Error {
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

fn refused(command: &str, spawn: &Spawn, error: &std::io::Error) -> Error {
    let (program, cwd) = (&spawn.program, &spawn.cwd);
    let reason = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "{} may not be executed; make it executable (`chmod +x`) or name another command",
                program.display()
            )
        }
        std::io::ErrorKind::NotFound if !cwd.is_dir() => format!("its `cwd` {} does not exist any more", cwd.display()),
        std::io::ErrorKind::NotFound => format!(
            "{} or the interpreter that its first line names does not exist; install it or name another command",
            program.display()
        ),
        _ => error.to_string(),
    };
    Error::Spawn { command: command.to_owned(), reason }
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
        tokio::join!(self.session.close(stopped), self.process.end(grace));
    }
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
        fill::Surroundings,
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
