//! `computer status`: how everything is.

use mcp_computer::{ComputerHealth, EntryHealth, ProgramHealth};

use super::{FAILED, HereArg, answer, answer_json, daemon, machine, paint};
use serde_json::json;

/// Say how everything is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    here: HereArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    if let Some(mut daemon) = args.here.daemon().await? {
        let health = daemon::ask(&mut daemon, "status", &json!({})).await?;
        return shown_as(&health, args.json);
    }
    let config = machine::load(&args.here.config)?;
    machine::with(config, |computer, _| async move { shown_as(&computer.health().await, args.json) }).await
}

fn shown_as(health: &ComputerHealth, as_json: bool) -> anyhow::Result<u8> {
    if as_json {
        answer_json(health)?;
    } else {
        answer(&table(health))?;
    }
    Ok(if health.healthy { 0 } else { FAILED })
}

fn table(health: &ComputerHealth) -> String {
    let colour = paint::on_stdout();
    let of_entry = |entry: &EntryHealth| Row {
        cells: row(entry),
        is_wanted: is_wanted(entry.state),
        healthy: entry.healthy,
        said: entry.error.iter().chain(&entry.problems).map(|text| paint::plain(text)).collect(),
    };
    let heads = ["", "ENTRY", "STATE", "TOOLS", "PID", "UP", "MEMORY", "RESTARTS"];
    let mut lines = shown(&heads, health.entries.iter().map(of_entry).collect(), colour);
    if !health.programs.is_empty() {
        let of_program = |program: &ProgramHealth| Row {
            cells: program_row(program),
            is_wanted: is_wanted(program.state),
            healthy: program.healthy,
            said: program.error.iter().chain(&program.problems).map(|text| paint::plain(text)).collect(),
        };
        let heads = ["", "PROGRAM", "STATE", "PORT", "PID", "UP", "MEMORY", "RESTARTS"];
        lines.extend(shown(&heads, health.programs.iter().map(of_program).collect(), colour));
    }
    let problems = health.config_problems.iter().chain(&health.record_problems);
    lines.extend(problems.map(|problem| format!("! {}", paint::plain(problem))));
    if health.entries.is_empty() {
        lines.push(
            "! there are no entries: `computer init` writes a config, `computer add` adds to a daemon".to_owned(),
        );
    }
    let state = if health.healthy { "healthy" } else { "unhealthy" };
    let tools = if health.total_tools == 1 { "tool" } else { "tools" };
    lines.push(format!("{state}, {} {tools}, guard: {}", health.total_tools, health.guard));
    lines.join("\n")
}

/// A line of a table, and what is said below it.
struct Row {
    cells: Vec<String>,
    is_wanted: bool,
    healthy: bool,
    said: Vec<String>,
}

/// A table with its head.
fn shown(heads: &[&str], rows: Vec<Row>, colour: bool) -> Vec<String> {
    let head = heads.iter().map(ToString::to_string).collect();
    let cells: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(|row| row.cells.clone())).collect();
    let mut lines: Vec<String> = paint::columns(&cells).lines().map(str::to_owned).collect();
    for (line, row) in lines.iter_mut().skip(1).zip(rows) {
        // Painted after they were aligned: what paints takes no room.
        let rest: String = line.chars().skip(1).collect();
        let mark = if row.is_wanted { paint::mark(row.healthy, colour) } else { "○".to_owned() };
        *line = format!("{mark}{rest}");
        for said in row.said {
            line.push_str("\n   ");
            line.push_str(&said.replace('\n', "\n   "));
        }
    }
    lines
}

/// A namespace, and the key in the file when that is another.
pub(super) fn shown_name(namespace: &str, display: Option<&str>) -> String {
    display.map_or_else(|| namespace.to_owned(), |display| format!("{namespace} ({})", paint::brief(display)))
}

/// Whether what is in that state should be up.
fn is_wanted(state: &str) -> bool {
    !matches!(state, "deferred" | "stopped" | "disabled")
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", std::time::Duration::from_millis(ms).as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

fn program_row(program: &ProgramHealth) -> Vec<String> {
    vec![
        "✓".to_owned(),
        paint::brief(&program.name),
        program.state.to_owned(),
        or_dash(program.port.map(|port| port.to_string())),
        or_dash(program.pid.map(|pid| pid.to_string())),
        or_dash(program.uptime_ms.map(seconds)),
        or_dash(program.rss_bytes.map(megabytes)),
        program.restarts.to_string(),
    ]
}

fn row(entry: &EntryHealth) -> Vec<String> {
    vec![
        "✓".to_owned(),
        shown_name(&entry.name, entry.display_name.as_deref()),
        entry.state.to_owned(),
        entry.tools.to_string(),
        or_dash(entry.pid.map(|pid| pid.to_string())),
        or_dash(entry.uptime_ms.map(seconds)),
        or_dash(entry.rss_bytes.map(megabytes)),
        entry.restarts.to_string(),
    ]
}
