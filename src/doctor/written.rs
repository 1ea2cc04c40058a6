//! The config, and whether what it names can be found.

use std::time::Duration;

use tokio::time::timeout;

use super::{Finding, Level};
use crate::{
    Computer, EntryPlan, ProgramPlan,
    config::{Dialect, LoadError, Loaded},
};

/// What is waited for who prints a value that a config refers to.
const PATIENCE: Duration = Duration::from_secs(15);

/// What would be run.
#[derive(Default)]
pub(super) struct Plan {
    entries: Vec<EntryPlan>,
    programs: Vec<ProgramPlan>,
    /// It was not found out in time.
    late: bool,
}

impl Plan {
    /// Whether an entry or a program that is to be up is started by one of these.
    pub(super) fn uses(&self, names: &[&str]) -> bool {
        let entries = self.entries.iter().filter(|entry| !entry.disabled).filter_map(|entry| entry.command.as_ref());
        let programs = self.programs.iter().filter_map(|program| program.command.as_ref());
        entries.chain(programs).any(|words| words.first().is_some_and(|word| names.contains(&base_name(word))))
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Which config holds, and whether it can be used.
pub(super) fn config(config: &Result<Loaded, LoadError>) -> Vec<Finding> {
    match config {
        Ok(loaded) => {
            let warned = loaded.warnings.iter().map(|warning| parted("config", Level::Warning, &warning.to_string()));
            std::iter::once(used(loaded)).chain(warned).collect()
        }
        Err(LoadError::Problems(problems)) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            let count =
                if problems.len() == 1 { "one mistake".to_owned() } else { format!("{} mistakes", problems.len()) };
            let cure = "correct it; `computer check` tells each with its place";
            vec![Finding::problem("config", format!("{count}: {first}"), cure)]
        }
        Err(other) => vec![parted("config", Level::Problem, &other.to_string())],
    }
}

fn used(loaded: &Loaded) -> Finding {
    let Some(path) = &loaded.path else {
        return Finding::ok("config", "the built-in one: no other was found (`computer init` writes one)");
    };
    let whose = match loaded.dialect {
        Dialect::Computer => String::new(),
        other => format!(", read as a file of {}", other.program()),
    };
    Finding::ok("config", format!("{}{}{whose}", path.display(), mode(path)))
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or_else(|_| String::new(), |found| format!(" (mode {:o})", found.mode() & 0o777))
}

#[cfg(not(unix))]
fn mode(_: &std::path::Path) -> String {
    String::new()
}

/// What would be run by this config.
pub(super) async fn plan(loaded: Option<&Loaded>) -> Plan {
    let Some(loaded) = loaded else { return Plan::default() };
    let computer = Computer::new(loaded.config.clone());
    let plans = async { tokio::join!(computer.plan(), computer.plan_programs()) };
    match timeout(PATIENCE, plans).await {
        Ok((entries, programs)) => Plan { entries, programs, late: false },
        Err(_) => Plan { late: true, ..Plan::default() },
    }
}

/// Whether the command of each entry, and of each program, can be found.
pub(super) fn findings(plan: &Plan) -> Vec<Finding> {
    let entries = plan.entries.iter().map(entry);
    let programs = plan.programs.iter().map(|program| {
        let what = format!("program {}", program.name);
        judged(what, program.problem.as_ref(), program.deferred, program.command_line.clone())
    });
    let late = plan.late.then(|| {
        let cure = "see what the commands in `${cmd:…}` references wait for";
        Finding::problem("entries", format!("it was not found out within {PATIENCE:?} what they run"), cure)
    });
    entries.chain(programs).chain(late).collect()
}

fn entry(entry: &EntryPlan) -> Finding {
    let runs = entry.command_line.clone().or_else(|| entry.url.clone());
    let mut finding = judged(format!("entry {}", entry.name), entry.problem.as_ref(), entry.deferred, runs);
    if entry.disabled {
        finding = Finding::ok(finding.check, "disabled");
    }
    finding
}

/// What waits until it is asked for may wait until it can be found, too.
fn judged(what: String, problem: Option<&String>, deferred: bool, runs: Option<String>) -> Finding {
    let level = if deferred { Level::Warning } else { Level::Problem };
    match problem {
        Some(problem) => parted(&what, level, problem),
        None => Finding::ok(what, runs.unwrap_or_else(|| "runs in the daemon itself".to_owned())),
    }
}

/// What an error says, and the cure in it.
fn parted(check: &str, level: Level, said: &str) -> Finding {
    let (found, cure) = said.split_once("; ").unwrap_or((said, "`computer check` shows how the config is read"));
    Finding { level, ..Finding::warning(check, found, cure) }
}
