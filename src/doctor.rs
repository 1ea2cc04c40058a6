//! What a Computer needs of this machine and of this user: looked at, with a cure for what is missing.

mod browser;
mod place;
mod programs;
mod written;

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::{
    config::{LoadError, Loaded},
    control::Daemon,
    environment::{self, LoginEnvironment},
    process::{self, guard, open_files},
    state::State,
};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It stands in the way of something that nobody may ever want.
    Warning,
    /// It stands in the way of what the config asks for.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at; the same word each time.
    pub check: String,
    /// How it stands.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Ok, found: found.into(), cure: None }
    }

    fn warning(check: impl Into<String>, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Warning, found: found.into(), cure: Some(cure.into()) }
    }

    fn problem(check: impl Into<String>, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::warning(check, found, cure) }
    }

    /// Not as it should be: how bad that is depends on whether it is needed.
    fn amiss(needed: Need, check: impl Into<String>, found: impl Into<String>, cure: impl Into<String>) -> Self {
        let level = match needed {
            Need::Needed => Level::Problem,
            Need::Unneeded => Level::Warning,
        };
        Self { level, ..Self::warning(check, found, cure) }
    }
}

/// Whether what the config asks for goes without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Needed,
    Unneeded,
}

impl Need {
    fn of(needed: bool) -> Self {
        if needed { Self::Needed } else { Self::Unneeded }
    }
}

/// Looks at everything. Starts no entry and writes nothing; programs are asked for their versions, the user's shell for
/// its environment, and `${cmd:…}` references are run where that is allowed. It takes half a minute at most. Cancel safe.
///
/// Meant for a process that does nothing else: it keeps no record of itself, by which a later run would find what it has
/// left when it is killed.
pub async fn examine(config: &Result<Loaded, LoadError>) -> Vec<Finding> {
    process::runs::keep_nothing();
    let loaded = config.as_ref().ok();
    let state = loaded.and_then(|loaded| State::of(&loaded.config, loaded.path.as_deref()).ok());
    let mut findings = vec![program(), guarded(), open_files()];
    findings.extend(place::findings(state.as_ref()));
    findings.extend(daemon(state.as_ref()).await);
    findings.extend(written::config(config));
    let login = environment::login().await;
    findings.extend(environment_of(&login));
    let plan = written::plan(loaded).await;
    findings.extend(programs::findings(&login, &plan).await);
    findings.extend(browser::findings(&login, loaded).await);
    findings.extend(written::findings(&plan));
    findings
}

/// Whether a daemon runs for this config, and can be asked.
async fn daemon(state: Option<&State>) -> Vec<Finding> {
    let Some(state) = state else { return Vec::new() };
    let found = match timeout(PATIENCE, Daemon::find(state)).await {
        Ok(Ok(Some(daemon))) => running(&daemon),
        Ok(Ok(None)) => Finding::ok("daemon", "none runs for this config"),
        Ok(Err(error)) => Finding::problem("daemon", error.to_string(), STUCK),
        Err(_) => Finding::problem("daemon", format!("it did not answer within {PATIENCE:?}"), STUCK),
    };
    vec![found]
}

/// What a daemon gets to answer: as much as one that begins.
const PATIENCE: Duration = Duration::from_secs(6);

const STUCK: &str = "end it (`computer shutdown`, or its process), and start it anew";

fn running(daemon: &Daemon) -> Finding {
    let notice = daemon.notice();
    let found = format!("process {}, version {}, answers", notice.pid, notice.version);
    match daemon.check_version() {
        Ok(()) => Finding::ok("daemon", found),
        Err(error) => Finding::warning("daemon", error.to_string(), "start it anew, by this program"),
    }
}

fn program() -> Finding {
    let path = environment::program().map_or_else(|_| "a place unknown".to_owned(), |path| path.display().to_string());
    Finding::ok("program", format!("mcp-computer {} at {path}", env!("CARGO_PKG_VERSION")))
}

fn guarded() -> Finding {
    match guard::pid() {
        Some(pid) => Finding::ok("guard", format!("process {pid} ends what we would leave behind")),
        None if !cfg!(target_os = "linux") => {
            Finding::ok("guard", "none on this system: what a killed daemon has started may stay")
        }
        None => Finding::warning(
            "guard",
            "none: this process could not fork one, and what a killed daemon has started may stay",
            "see that /proc is mounted, and that the number of processes is not at its limit (`ulimit -u`)",
        ),
    }
}

/// Each entry takes some files for its pipes, and each client one.
const FEW_FILES: u64 = 4096;
const TOO_FEW_FILES: u64 = 256;

fn open_files() -> Finding {
    let cure = "raise it: `ulimit -Hn`, `LimitNOFILE=` in the unit, or limits.conf";
    let Some(limit) = open_files::limit() else {
        return Finding::warning("open files", "the system does not tell how many there may be", cure);
    };
    let found = if limit == u64::MAX { "no limit".to_owned() } else { format!("{limit} at most") };
    if limit < TOO_FEW_FILES {
        Finding::problem("open files", found, cure)
    } else if limit < FEW_FILES {
        Finding::warning("open files", found, cure)
    } else {
        Finding::ok("open files", found)
    }
}

/// What entries are started with.
fn environment_of(login: &LoginEnvironment) -> [Finding; 2] {
    let captured = match (&login.warning, &login.asked) {
        (Some(warning), _) => {
            let (found, cure) =
                warning.split_once("; ").unwrap_or((warning, "look at the start-up files of your shell"));
            Finding::warning("environment", found, cure)
        }
        (None, Some(asked)) => {
            Finding::ok("environment", format!("{} variables, as `{asked}` has them", login.variables.len()))
        }
        (None, None) => Finding::ok("environment", "the one that this program was started with"),
    };
    let path = environment::search_path(login);
    let there = path.iter().filter(|directory| directory.is_dir()).count();
    let listed: Vec<String> = path.iter().map(|directory| directory.display().to_string()).collect();
    let found = format!("{there} of {} directories are there: {}", path.len(), listed.join(":"));
    let searched = if there == 0 {
        Finding::problem("PATH", found, "set PATH in the start-up files of your shell")
    } else {
        Finding::ok("PATH", found)
    };
    [captured, searched]
}
