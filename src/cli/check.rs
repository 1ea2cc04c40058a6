//! `computer check`: what is wrong with a config, or what it would run.

use mcp_computer::{
    Computer, EntryPlan, ProgramPlan, ShellMode,
    config::{self, ComputerConfig, Dialect, EntryKind, LoadError, Problem},
    policy,
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

#[derive(Default, Serialize)]
struct Report {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Whose file it was taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'static str>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// What the file of another program holds that goes unused.
    unused: Vec<Problem>,
    entries: Vec<EntryPlan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<ProgramPlan>,
    /// The patterns of shell entries, as they were read.
    policies: Vec<ShellPolicy>,
}

#[derive(Serialize)]
struct ShellPolicy {
    entry: String,
    patterns: Vec<ReadPattern>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadPattern {
    list: &'static str,
    written: String,
    read_as: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let report = match config::file::load_as(args.config.config.as_deref(), args.config.dialect) {
        Ok(loaded) => {
            let policies = policies(&loaded.config);
            let computer = Computer::new(loaded.config);
            let (entries, programs) = (computer.plan().await, computer.plan_programs().await);
            let problems = entries.iter().map(|entry| &entry.problem);
            let ok = problems.chain(programs.iter().map(|program| &program.problem)).all(Option::is_none);
            let path = loaded.path.map(|path| path.to_string_lossy().into_owned());
            let dialect = Some(loaded.dialect.name());
            let (warnings, unused) = (loaded.warnings, loaded.unused);
            Report { ok, path, dialect, problems: Vec::new(), warnings, unused, entries, programs, policies }
        }
        Err(LoadError::Problems(problems)) => Report { problems, dialect: dialect(&args.config), ..Report::default() },
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

fn policies(config: &ComputerConfig) -> Vec<ShellPolicy> {
    let shells = config.entries.iter().filter_map(|(name, entry)| match &entry.kind {
        EntryKind::Shell(shell) => match &shell.mode {
            ShellMode::Patterns(policy) => Some((name, policy)),
            _ => None,
        },
        EntryKind::Stdio(_) | EntryKind::Http(_) => None,
    });
    let read = |list, pattern: &config::PatternConfig| ReadPattern {
        list,
        written: pattern.source.clone(),
        read_as: pattern.read_as(),
    };
    let of_shell = |(name, policy): (&mcp_computer::Namespace, &config::PolicyConfig)| {
        let allowed = policy.allowed.iter().flatten().map(|pattern| read("allowed", pattern));
        let patterns = allowed.chain(policy.blocked.iter().map(|pattern| read("blocked", pattern))).collect();
        ShellPolicy { entry: name.to_string(), patterns, warnings: policy::warnings(policy) }
    };
    shells.map(of_shell).collect()
}

fn show_policy(policy: &ShellPolicy) -> anyhow::Result<()> {
    for warning in &policy.warnings {
        say(&paint::plain(&format!("warning: `{}`: {warning}", policy.entry)));
    }
    let lines: Vec<String> = policy
        .patterns
        .iter()
        .map(|pattern| paint::plain(&format!("    {}  {}", pattern.list, pattern.read_as)).replace('\n', "\\n"))
        .collect();
    answer(&format!("  patterns of {}:\n{}", policy.entry, lines.join("\n")))
}

/// Whose a file with mistakes was taken for, when it was named here.
fn dialect(arg: &ConfigArg) -> Option<&'static str> {
    let of_path = || Some(Dialect::of_path(&std::path::absolute(arg.config.as_deref()?).ok()?));
    arg.dialect.or_else(of_path).map(Dialect::name)
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
        Some(path) => format!("{} {}{}", paint::mark(report.ok, colour), paint::plain(path), whose(report)),
        None => format!(
            "{} the built-in config (no other was found; `computer init` writes one)",
            paint::mark(report.ok, colour)
        ),
    })?;
    let rows: Vec<Vec<String>> =
        report.entries.iter().map(row).chain(report.programs.iter().map(program_row)).collect();
    answer(&paint::columns(&rows))?;
    report.policies.iter().try_for_each(show_policy)?;
    if report.unused.is_empty() {
        return Ok(());
    }
    let unused: Vec<String> =
        report.unused.iter().map(|found| format!("  {}", paint::plain(&found.to_string()))).collect();
    answer(&format!("what goes unused:\n{}", unused.join("\n")))
}

/// Whose file it is, when it is not one of ours.
fn whose(report: &Report) -> String {
    let dialect = report.dialect.and_then(|name| name.parse::<Dialect>().ok());
    let other = dialect.filter(|dialect| *dialect != Dialect::Computer);
    other.map(|dialect| format!(" (read as a file of {})", dialect.program())).unwrap_or_default()
}

fn program_row(program: &ProgramPlan) -> Vec<String> {
    let runs = match (&program.problem, &program.command_line) {
        (Some(problem), _) => format!("✗ {problem}"),
        (None, line) => line.clone().unwrap_or_default(),
    };
    let note = if program.deferred { "  (launched when it is needed)" } else { "" };
    let kind = if program.kind == "command" { "program" } else { program.kind };
    let runs = paint::plain(&format!("{runs}{note}")).replace('\n', "\\n");
    vec![format!("  {}", paint::brief(&program.name)), kind.to_owned(), runs]
}

fn row(entry: &EntryPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if entry.disabled {
        notes.push("disabled".to_owned());
    } else if entry.deferred {
        notes.push("deferred".to_owned());
    } else if entry.lazy {
        notes.push("started at its first call".to_owned());
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
