//! The environment that a terminal of the user's has, asked of their own shell.

mod keeper;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use keeper::KEPT;
use memchr::memmem;

use super::{Variables, base_name, home, is_private, own, shell::login_shell, startup, users};
use crate::process::{self, Spawn};

/// How long the user's start-up files may take in all. Slow ones (conda, nvm) take two or three seconds.
const DEADLINE: Duration = Duration::from_secs(9);

/// The user's environment, as a login and interactive shell of theirs has it.
#[derive(Clone, Default, PartialEq)]
pub struct LoginEnvironment {
    /// The variables; those that are no UTF-8 are left out.
    pub variables: std::collections::BTreeMap<String, String>,
    /// The command by which the user's shell told it, such as `/bin/bash -l -i`; none where this is the daemon's own.
    pub asked: Option<String>,
    /// Why this is the daemon's own environment instead.
    pub warning: Option<String>,
}

impl LoginEnvironment {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

impl fmt::Debug for LoginEnvironment {
    /// Names only: values may be secrets, and what is printed for debugging ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.variables.keys().collect();
        f.debug_struct("LoginEnvironment")
            .field("variables", &names)
            .field("asked", &self.asked)
            .field("warning", &self.warning)
            .finish()
    }
}

/// The user's login environment.
///
/// The shell is started once, however many ask at the same time, and again only after a start-up file has changed.
/// It takes 10 s at most and never fails: at worst it is the daemon's own environment, with a warning. Cancel safe.
pub async fn login() -> Arc<LoginEnvironment> {
    process::runs::keep_in(super::state_home());
    KEPT.get(Asked::this_user).await
}

/// The user's login environment as far as it is known, for who cannot wait: it may be about to be another.
pub(crate) fn latest() -> Option<Arc<LoginEnvironment>> {
    KEPT.latest(Asked::this_user)
}

/// Makes the next who asks get a new answer, whatever the start-up files look like.
pub(crate) fn outdate() {
    KEPT.outdate();
}

/// Whom to ask, and with what.
struct Asked {
    shell: PathBuf,
    base: Variables,
    deadline: Duration,
}

impl Asked {
    fn this_user() -> Self {
        let mut base: Variables = own().into_iter().filter(|(name, _)| !is_private(name)).collect();
        if let Some(home) = home().and_then(|home| home.into_os_string().into_string().ok()) {
            // A service manager may have set none, and no start-up file is found without it.
            base.entry("HOME".to_owned()).or_insert(home);
        }
        Self { shell: login_shell(), base, deadline: DEADLINE }
    }

    async fn environment(&self) -> LoginEnvironment {
        if !cfg!(unix) {
            return LoginEnvironment { variables: users(self.base.clone()), asked: None, warning: None };
        }
        let started = Instant::now();
        // An interactive part that hangs must leave time for asking without it.
        let interactive = match self.ask(Kind::Interactive, self.deadline.mul_f32(0.7)).await {
            Ok(variables) => return self.told(variables, "-l -i"),
            Err(reason) => reason,
        };
        tracing::warn!(
            shell = %self.shell.display(),
            reason = interactive,
            "the user's interactive shell did not tell its environment; its start-up files keep it, and every start, waiting"
        );
        match self.ask(Kind::Login, self.deadline.saturating_sub(started.elapsed())).await {
            Ok(variables) => self.told(variables, "-l"),
            Err(login) => LoginEnvironment {
                variables: users(self.base.clone()),
                asked: None,
                warning: Some(self.warning(&interactive, &login)),
            },
        }
    }

    fn told(&self, variables: Variables, flags: &str) -> LoginEnvironment {
        let asked = Some(format!("{} {flags}", self.shell.display()));
        LoginEnvironment { variables, asked, warning: None }
    }

    fn warning(&self, interactive: &str, login: &str) -> String {
        let shell = self.shell.display();
        format!(
            "the user's environment is unknown, the daemon's own is used instead: `{shell} -l -i` {interactive}, \
             `{shell} -l` {login}; look for what waits, exits or replaces the shell in its start-up files"
        )
    }

    async fn ask(&self, kind: Kind, deadline: Duration) -> Result<Variables, String> {
        let markers = Markers::new();
        let script = self.script(kind, &markers);
        let args: &[&str] = match kind {
            Kind::Interactive => &["-l", "-i", "-c", &script],
            Kind::Login => &["-l", "-c", &script],
        };
        let base = self.base.iter().map(|(name, value)| (name.clone(), value.clone()));
        match process::capture(Spawn::new(&self.shell, args, base), deadline).await {
            Ok(output) => {
                markers.between(&output.printed).map(parse).ok_or_else(|| "ended without an answer".to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(format!("gave no answer within {:.1} s", deadline.as_secs_f32()))
            }
            Err(error) => Err(format!("could not be started ({error})")),
        }
    }

    /// What the shell is to run once it has read its start-up files.
    ///
    /// Programs by full path, because start-up files make aliases and functions; plain words, because fish must read
    /// it too; and `exec` at the end, because what a shell does when it leaves is not wanted.
    fn script(&self, kind: Kind, markers: &Markers) -> String {
        let shell = base_name(&self.shell);
        let mut script = String::new();
        if kind == Kind::Interactive && shell == "bash" && self.home().is_some_and(startup::login_skips_bashrc) {
            script.push_str(". ~/.bashrc; ");
        }
        if matches!(shell, "bash" | "zsh") {
            // It would print between the markers.
            script.push_str("trap - DEBUG; ");
        }
        let Markers { stem, id } = markers;
        script
            + &format!(
                "/bin/sh -c 'printf %s%s {stem}begin_ {id}'; /usr/bin/env -0; exec /bin/sh -c 'printf %s%s {stem}end_ {id}'"
            )
    }

    fn home(&self) -> Option<&Path> {
        self.base.get("HOME").map(Path::new)
    }
}

/// How much of the start-up files a shell reads.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Interactive,
    Login,
}

/// What stands before and after the environment in the output, which start-up files print banners into.
///
/// In the script a marker is in two parts, so that a shell which echoes the script does not print one.
struct Markers {
    stem: &'static str,
    id: String,
}

impl Markers {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { stem: "__login_environment_", id: format!("{}_{count}__", std::process::id()) }
    }

    fn between<'a>(&self, output: &'a [u8]) -> Option<&'a [u8]> {
        let Self { stem, id } = self;
        let (begin, end) = (format!("{stem}begin_{id}"), format!("{stem}end_{id}"));
        let start = memmem::find(output, begin.as_bytes())? + begin.len();
        let length = memmem::find(&output[start..], end.as_bytes())?;
        Some(&output[start..start + length])
    }
}

fn parse(environment: &[u8]) -> Variables {
    let complete = memchr::memrchr(0, environment).unwrap_or(0);
    users(environment[..complete].split(|byte| *byte == 0).filter_map(variable))
}

fn variable(text: &[u8]) -> Option<(String, String)> {
    let (name, value) = std::str::from_utf8(text).ok()?.split_once('=')?;
    // What a hook of the shell printed stands before the first name, in lines of its own.
    let name = name.rsplit('\n').next().unwrap_or(name);
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
