//! The built-in shell: a source in our own process.

mod arguments;
mod escapes;
mod guarded;
mod job;
mod jobs;
mod log;
mod output;
pub mod policy;
mod progress;
mod result;
mod run;
mod spill;
mod stream;
mod tools;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::watch, time::Instant};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use arguments::Arguments;
use guarded::Guarded;
use jobs::Jobs;
use result::refused;

use crate::{
    config::{Login, ShellConfig, ShellMode},
    environment::{self, LoginEnvironment},
    error::{Error, Result},
    process::Keeper,
    shutdown::Grace,
    source::{About, Answer, CALL_TOOL, Call, CallContext, Source, ToolList, Waiting},
};

/// A shell's recipe with everything filled in.
pub(crate) struct Setting {
    pub(crate) directory: PathBuf,
    pub(crate) shell: Option<PathBuf>,
    /// The user's environment, less what is no business of a command's.
    pub(crate) environment: Users,
    /// What the entry sets on top.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) login: Arc<LoginEnvironment>,
    pub(crate) config: ShellConfig,
    /// Who gets the programs that outlive it.
    pub(crate) keeper: Keeper,
}

/// What commands get of the environment that a login shell told.
pub(crate) type Users = Box<dyn Fn(&LoginEnvironment) -> Vec<(String, String)> + Send + Sync>;

/// The shell while it is up: the owner of every command that it runs.
pub(crate) struct Shell {
    face: Arc<Commands>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

/// What others see of it.
pub(crate) struct Commands {
    program: PathBuf,
    /// What stands before the command line.
    flags: &'static [&'static str],
    directory: PathBuf,
    environment: Users,
    /// What is set on top.
    variables: Vec<(String, String)>,
    /// What was known of the user when it started.
    login: Arc<LoginEnvironment>,
    config: ShellConfig,
    keeper: Keeper,
    /// With patterns.
    guarded: Option<Guarded>,
    tools: Arc<ToolList>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Once it stops: when what still runs is killed.
    leave_by: watch::Sender<Instant>,
    next_job: AtomicU64,
    jobs: Jobs,
    /// Where the whole of long outputs is kept.
    spill: Option<Arc<spill::Place>>,
}

/// Quiet by default: nobody is there to leave a pager or to type a password.
const QUIET: [(&str, &str); 6] = [
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("TERM", "dumb"),
    ("NO_COLOR", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

impl Shell {
    pub(crate) fn start(setting: Setting) -> Result<Self> {
        let Setting { directory, shell, environment, variables, login, config, keeper } = setting;
        let program = match shell {
            Some(shell) => find(&shell, &login)?,
            None => environment::user_shell(),
        };
        let guarded = match &config.mode {
            ShellMode::Patterns(policy) => Some(Guarded::new(policy, &directory, &login)?),
            ShellMode::Unrestricted => None,
        };
        let (program, flags) = match &guarded {
            Some(guarded) => (guarded.program().to_owned(), guarded.arguments()),
            None if config.login == Login::Always => (program, ["-l", "-i", "-c"].as_slice()),
            None => (program, ["-c"].as_slice()),
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let home = environment::state_home().filter(|_| config.spill);
        let face = Commands {
            tools: Arc::new(tools::list(&program, &config)),
            flags,
            environment,
            variables,
            login,
            tasks: tasks.clone(),
            stop: stop.clone(),
            leave_by: watch::Sender::new(Instant::now()),
            next_job: AtomicU64::new(1),
            jobs: Jobs::default(),
            spill: home.map(|home| spill::Place::new(&home)),
            guarded,
            program,
            directory,
            config,
            keeper,
        };
        Ok(Self { face: Arc::new(face), tasks, _stop: stop.drop_guard() })
    }

    pub(crate) fn face(&self) -> Arc<dyn Source> {
        self.face.clone()
    }

    /// Ends every command, and returns when nothing of them is left.
    pub(crate) async fn stop(self, mut grace: Grace) {
        self.face.leave_by.send_replace(Instant::now() + grace.left().min(run::GRACE));
        self.face.stop.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => return,
            () = grace.over() => {}
        }
        self.face.leave_by.send_replace(Instant::now());
        self.tasks.wait().await;
    }
}

fn find(shell: &std::path::Path, login: &LoginEnvironment) -> Result<PathBuf> {
    let path = environment::join_path(&environment::search_path(login));
    which::which_in(shell, Some(path), "/").map_err(|_| Error::CommandNotFound {
        command: shell.to_string_lossy().into_owned(),
        hint: "set the entry's `shell` to the full path of a shell, or leave it out".to_owned(),
        searched: "PATH".to_owned(),
    })
}

impl Commands {
    fn job_id(&self) -> u64 {
        self.next_job.fetch_add(1, Ordering::Relaxed)
    }

    /// The environment of a command that begins now.
    fn env(&self) -> Vec<(OsString, OsString)> {
        let mut env = match self.config.login {
            // No command waits for a shell: what was told last serves until there is something newer.
            Login::Snapshot => (self.environment)(&environment::latest_login().unwrap_or_else(|| self.login.clone())),
            Login::Always | Login::Never => (self.environment)(&LoginEnvironment::default()),
        };
        let quiet = QUIET.iter().map(|(name, value)| (*name, *value));
        let own = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in quiet.chain(own) {
            env.retain(|(known, _)| known != name);
            env.push((name.to_owned(), value.to_owned()));
        }
        if self.guarded.is_some() {
            env = guarded::environment(env);
        }
        env.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// Whether the entry itself sets a variable.
    fn sets(&self, name: &str) -> bool {
        self.variables.iter().any(|(known, _)| known == name)
    }

    /// Why the user's environment is not known.
    fn warning(&self) -> Option<String> {
        match self.config.login {
            Login::Snapshot => environment::latest_login().unwrap_or_else(|| self.login.clone()).warning.clone(),
            Login::Always | Login::Never => None,
        }
    }
}

impl Source for Commands {
    fn tools(&self) -> Arc<ToolList> {
        self.tools.clone()
    }

    fn call(self: Arc<Self>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>> {
        if self.stop.is_cancelled() {
            return None;
        }
        if call.method != CALL_TOOL {
            let message = format!("the shell knows no method `{}`", call.method);
            return Some(Box::pin(async { Err(Error::Server { code: -32601, message, data: None }) }));
        }
        let tool = call.name.unwrap_or_default().to_owned();
        if self.tools.tools.iter().all(|known| known.name != tool) {
            let unknown = Error::UnknownTool { name: tool, nearest: vec![tools::RUN.to_owned()] };
            return Some(Box::pin(async move { Err(unknown) }));
        }
        let arguments = match Arguments::of(call.arguments) {
            Ok(arguments) => arguments,
            Err(refusal) => return Some(Box::pin(async move { Ok(refused(&refusal)) })),
        };
        if tool != tools::RUN {
            return Some(Box::pin(async move {
                let answer = self.jobs.call(&tool, &arguments, self.config.max_output).await;
                answer.ok_or(Error::UnknownTool { name: tool, nearest: Vec::new() })
            }));
        }
        let mut order = match arguments.order(&self.directory, &self.config) {
            Ok(order) => order,
            Err(refusal) => return Some(Box::pin(async move { Ok(refused(&refusal)) })),
        };
        Some(match self.guarded.as_ref().map_or(Ok(()), |guarded| guarded.judge(&mut order)) {
            Ok(()) => run::run(self, order, context),
            Err(denied) => Box::pin(async move { Ok(refused(&denied.words).denied_by(&denied.rule)) }),
        })
    }

    fn is_open(&self) -> bool {
        !self.stop.is_cancelled()
    }

    fn probe(self: Arc<Self>) -> Waiting<()> {
        Box::pin(async { Ok(()) })
    }

    fn about(&self) -> About {
        About {
            command: Some(self.program.to_string_lossy().into_owned()),
            problems: self.warning().into_iter().collect(),
            ..About::default()
        }
    }
}
