//! `computer status`: how everything is.

use mcp_computer::{ComputerHealth, EntryHealth};

use super::{ConfigArg, FAILED, answer, answer_json, machine, paint};

/// Say how everything is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let config = machine::load(&args.config)?;
    machine::with(config, |computer, _| async move {
        let health = computer.health().await;
        if args.json {
            answer_json(&health)?;
        } else {
            answer(&table(&health))?;
        }
        Ok(if health.healthy { 0 } else { FAILED })
    })
    .await
}

fn table(health: &ComputerHealth) -> String {
    let colour = paint::on_stdout();
    let mut rows = vec![["", "ENTRY", "STATE", "TOOLS", "PID", "UP", "MEMORY", "RESTARTS"].map(str::to_owned).to_vec()];
    rows.extend(health.entries.iter().map(row));
    let mut lines: Vec<String> = paint::columns(&rows).lines().map(str::to_owned).collect();
    for (line, entry) in lines.iter_mut().skip(1).zip(&health.entries) {
        // Painted after they were aligned: what paints takes no room.
        let rest: String = line.chars().skip(1).collect();
        let mark = if is_wanted(entry) { paint::mark(entry.healthy, colour) } else { "○".to_owned() };
        *line = format!("{mark}{rest}");
        for said in said_of(entry) {
            line.push_str("\n   ");
            line.push_str(&said.replace('\n', "\n   "));
        }
    }
    let state = if health.healthy { "healthy" } else { "unhealthy" };
    let tools = if health.total_tools == 1 { "tool" } else { "tools" };
    lines.push(format!("{state}, {} {tools}, guard: {}", health.total_tools, health.guard));
    lines.join("\n")
}

/// A namespace, and the key in the file when that is another.
pub(super) fn shown_name(namespace: &str, display: Option<&str>) -> String {
    display.map_or_else(|| namespace.to_owned(), |display| format!("{namespace} ({})", paint::brief(display)))
}

/// Whether it should be up.
fn is_wanted(entry: &EntryHealth) -> bool {
    !matches!(entry.state, "deferred" | "stopped" | "disabled")
}

fn row(entry: &EntryHealth) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        "✓".to_owned(),
        shown_name(&entry.name, entry.display_name.as_deref()),
        entry.state.to_owned(),
        entry.tools.to_string(),
        or_dash(entry.pid.map(|pid| pid.to_string())),
        or_dash(entry.uptime_ms.map(|ms| format!("{:.1} s", std::time::Duration::from_millis(ms).as_secs_f64()))),
        or_dash(entry.rss_bytes.map(|bytes| format!("{} MB", bytes >> 20))),
        entry.restarts.to_string(),
    ]
}

fn said_of(entry: &EntryHealth) -> Vec<String> {
    entry.error.iter().chain(&entry.problems).map(|text| paint::plain(text)).collect()
}
