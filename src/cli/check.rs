//! `computer check`: what is wrong with a config, or what it would run.

use mcp_computer::{
    Computer, EntryPlan,
    config::{self, LoadError, Problem},
};
use serde::Serialize;

use super::{ConfigArg, FAILED, USAGE, Usage, answer, answer_json, paint, say};

/// Look at a config.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    entries: Vec<EntryPlan>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let report = match config::file::load(args.config.config.as_deref()) {
        Ok(loaded) => {
            let entries = Computer::new(loaded.config).plan().await;
            let ok = entries.iter().all(|entry| entry.problem.is_none());
            let path = loaded.path.map(|path| path.to_string_lossy().into_owned());
            Report { ok, path, problems: Vec::new(), warnings: loaded.warnings, entries }
        }
        Err(LoadError::Problems(problems)) => {
            Report { ok: false, path: None, problems, warnings: Vec::new(), entries: Vec::new() }
        }
        Err(other) => return Err(Usage::because(other)),
    };
    let code = match (report.problems.is_empty(), report.ok) {
        (false, _) => USAGE,
        (true, false) => FAILED,
        (true, true) => 0,
    };
    if args.json {
        answer_json(&report)?;
    } else {
        show(&report)?;
    }
    Ok(code)
}

fn show(report: &Report) -> anyhow::Result<()> {
    report.warnings.iter().for_each(|warning| say(&paint::plain(&format!("warning: {warning}"))));
    if !report.problems.is_empty() {
        let lines: Vec<String> = report.problems.iter().map(|problem| paint::plain(&problem.to_string())).collect();
        answer(&lines.join("\n"))?;
        let count = if lines.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", lines.len()) };
        say(&format!("computer: {count} in the config"));
        return Ok(());
    }
    let colour = paint::on_stdout();
    answer(&match &report.path {
        Some(path) => format!("{} {}", paint::mark(report.ok, colour), paint::plain(path)),
        None => format!(
            "{} the built-in config (no other was found; `computer init` writes one)",
            paint::mark(report.ok, colour)
        ),
    })?;
    let rows: Vec<Vec<String>> = report.entries.iter().map(row).collect();
    answer(&paint::columns(&rows))
}

fn row(entry: &EntryPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if entry.disabled {
        notes.push("disabled".to_owned());
    } else if entry.deferred {
        notes.push("deferred".to_owned());
    }
    let sets = if entry.url.is_some() { "sends" } else { "sets" };
    if !entry.variables.is_empty() {
        notes.push(format!("{sets} {}", entry.variables.join(", ")));
    }
    let runs = match (&entry.problem, &entry.command_line) {
        (Some(problem), _) => format!("✗ {problem}"),
        (None, Some(line)) => line.clone(),
        (None, None) if entry.url.is_some() => entry.url.clone().unwrap_or_default(),
        (None, None) => "runs in this process".to_owned(),
    };
    let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
    let name = super::status::shown_name(&entry.name, entry.display_name.as_deref());
    // One line each: an argument with a line end in it must not look like another entry.
    let runs = paint::plain(&format!("{runs}{notes}")).replace('\n', "\\n");
    vec![format!("  {name}"), entry.kind.to_owned(), runs]
}
