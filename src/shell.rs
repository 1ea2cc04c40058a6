//! The built-in shell: a source in our own process, with one tool.

mod arguments;
mod output;
mod run;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{json, value::RawValue};
use tokio::{sync::watch, time::Instant};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    config::ShellConfig,
    environment::{self, LoginEnvironment},
    error::{Error, Result},
    shutdown::Grace,
    source::{About, Answer, CALL_TOOL, Call, CallContext, Source, Tool, ToolList, Waiting},
};

/// A shell's recipe with everything filled in.
pub(crate) struct Setting {
    pub(crate) directory: PathBuf,
    pub(crate) shell: Option<PathBuf>,
    /// The user's environment, less what is no business of a command's.
    pub(crate) environment: Vec<(String, String)>,
    /// What the entry sets on top.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) login: Arc<LoginEnvironment>,
    pub(crate) config: ShellConfig,
}

/// The shell while it is up: the owner of every command that it runs.
pub(crate) struct Shell {
    face: Arc<Commands>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

/// What others see of it.
pub(crate) struct Commands {
    program: PathBuf,
    directory: PathBuf,
    env: Vec<(OsString, OsString)>,
    config: ShellConfig,
    warning: Option<String>,
    tools: Arc<ToolList>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Once it stops: when what still runs is killed.
    leave_by: watch::Sender<Instant>,
    next_job: AtomicU64,
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
        let Setting { directory, shell, environment: mut env, variables, login, config } = setting;
        let program = match shell {
            Some(shell) => find(&shell, &login)?,
            None => environment::user_shell(),
        };
        let quiet = QUIET.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        for (name, value) in quiet.chain(variables) {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let face = Commands {
            tools: Arc::new(ToolList { tools: vec![definition(&program, &config)], problems: Vec::new() }),
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            warning: login.warning.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            leave_by: watch::Sender::new(Instant::now()),
            next_job: AtomicU64::new(1),
            program,
            directory,
            config,
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

fn definition(program: &std::path::Path, config: &ShellConfig) -> Tool {
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let definition = json!({
        "name": "run_command",
        "title": "Run a command",
        "description": format!(
            "Runs a command in {name} with the user's environment, and returns its exit code and output. \
             Output beyond {} characters a stream loses its middle.", config.max_output
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "command": { "type": "string", "description": "The command line" },
                "cwd": { "type": "string", "description": "The directory to run it in" },
                "timeout": {
                    "type": "number",
                    "description": format!(
                        "Milliseconds after which it is ended with all that it started (default {}, at most {})",
                        config.timeout.as_millis(), config.max_timeout.as_millis()
                    ),
                },
            },
            "required": ["command"],
        },
        "annotations": { "readOnlyHint": false, "destructiveHint": true, "openWorldHint": true },
    });
    Tool {
        name: "run_command".to_owned(),
        raw: RawValue::from_string(definition.to_string()).expect("our own definition is JSON").into(),
        repeatable: false,
    }
}

impl Commands {
    fn job_id(&self) -> u64 {
        self.next_job.fetch_add(1, Ordering::Relaxed)
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
        let tool = call.name.unwrap_or_default();
        if tool != "run_command" {
            let unknown = Error::UnknownTool { name: tool.to_owned(), nearest: vec!["run_command".to_owned()] };
            return Some(Box::pin(async move { Err(unknown) }));
        }
        Some(match arguments::read(call.arguments, &self.directory, &self.config) {
            Ok(order) => run::run(self, order, context),
            Err(refusal) => Box::pin(async move { Ok(refused(&refusal)) }),
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
            problems: self.warning.iter().cloned().collect(),
            ..About::default()
        }
    }
}

/// A command that does not run, and why.
fn refused(reason: &str) -> Answer {
    Answer::made(&json!({ "content": [{ "type": "text", "text": reason }], "isError": true }))
}
