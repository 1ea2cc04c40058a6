//! `computer doctor`: whether this machine has what a Computer needs.

use mcp_computer::{
    config::file,
    doctor::{self, Finding, Level},
};
use serde::Serialize;

use super::{ConfigArg, FAILED, answer, answer_json, paint};

/// Look whether everything is there that is needed.
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
    /// Whether nothing is a problem.
    ok: bool,
    checks: Vec<Finding>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let loaded = file::load_as(args.config.config.as_deref(), args.config.dialect);
    let checks = doctor::examine(&loaded).await;
    let ok = checks.iter().all(|finding| finding.level != Level::Problem);
    let report = Report { ok, checks };
    if args.json {
        answer_json(&report)?;
    } else {
        answer(&table(&report))?;
    }
    Ok(if report.ok { 0 } else { FAILED })
}

fn table(report: &Report) -> String {
    let width = report.checks.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = report.checks.iter().map(|finding| line(finding, width)).collect();
    let count = |level| report.checks.iter().filter(|finding| finding.level == level).count();
    let counted = |count, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    lines.push(format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")));
    lines.join("\n")
}

/// What was found on one line, and the cure on the next.
fn line(finding: &Finding, width: usize) -> String {
    let one = |text: &str| paint::plain(text).replace('\n', " ");
    let check = one(&finding.check);
    let line = format!("{} {check:<width$}  {}", mark(finding.level), one(&finding.found));
    match &finding.cure {
        Some(cure) => format!("{line}\n  {:<width$}  cure: {}", "", one(cure)),
        None => line,
    }
}

fn mark(level: Level) -> String {
    let colour = paint::on_stdout();
    match level {
        Level::Ok => paint::mark(true, colour),
        Level::Problem => paint::mark(false, colour),
        Level::Warning if colour => "\x1b[33m!\x1b[0m".to_owned(),
        Level::Warning => "!".to_owned(),
    }
}
