//! A Computer for the length of one verb.

use std::{future::Future, io::IsTerminal, time::Instant};

use mcp_computer::{
    Computer, ComputerConfig, Event, Events,
    config::{self, LoadError, Loaded},
    shutdown::Shutdown,
};

use super::{ConfigArg, Usage, paint, say};

/// Reads the config, and says what is odd about it.
pub(super) fn load(arg: &ConfigArg) -> anyhow::Result<ComputerConfig> {
    find(arg).map(|loaded| loaded.config)
}

/// The same, with where it was found.
pub(super) fn find(arg: &ConfigArg) -> anyhow::Result<Loaded> {
    let loaded = read(arg)?;
    for warning in &loaded.warnings {
        say(&paint::plain(&format!("warning: {warning}")));
    }
    Ok(loaded)
}

/// The same, saying nothing.
pub(super) fn read(arg: &ConfigArg) -> anyhow::Result<Loaded> {
    config::file::load_as(arg.config.as_deref(), arg.dialect).map_err(|error| match error {
        LoadError::Problems(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let count = if lines.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", lines.len()) };
            Usage::because(format!("the config has {count}:\n{}", lines.join("\n")))
        }
        other => Usage::because(other),
    })
}

/// Starts a Computer, does something with it, and leaves nothing of it behind, whatever happens.
///
/// A signal that asks us to leave takes the work back.
pub(super) async fn with<F: Future<Output = anyhow::Result<u8>>>(
    config: ComputerConfig,
    work: impl FnOnce(Computer, Vec<String>) -> F,
) -> anyhow::Result<u8> {
    with_this(&Computer::new(config), work).await
}

/// The same with one that was made before.
pub(super) async fn with_this<F: Future<Output = anyhow::Result<u8>>>(
    computer: &Computer,
    work: impl FnOnce(Computer, Vec<String>) -> F,
) -> anyhow::Result<u8> {
    let mut shutdown = Shutdown::listen()?;
    let doing = async {
        let mut shown = Shown::new(computer);
        let errors = tokio::select! {
            started = computer.start() => match started {
                Ok(started) => started.errors,
                Err(mcp_computer::Error::AllFailed(errors)) => errors,
                Err(error) => return Err(error.into()),
            },
            () = shown.follow() => Vec::new(),
        };
        shown.rest();
        work(computer.clone(), errors).await
    };
    let outcome = tokio::select! {
        outcome = doing => outcome,
        cause = shutdown.requested() => Ok(cause.exit_status()),
    };
    tokio::select! {
        () = computer.stop() => {}
        // Once more: no patience. What is left is killed by the drop of its owner.
        _ = shutdown.requested() => {}
    }
    outcome
}

/// On a terminal, a line for each entry as it connects.
struct Shown<'a> {
    computer: &'a Computer,
    begin: Instant,
    events: Events,
    open: Vec<String>,
}

impl<'a> Shown<'a> {
    fn new(computer: &'a Computer) -> Self {
        let open = if std::io::stderr().is_terminal() { computer.entries() } else { Vec::new() };
        Self { computer, begin: Instant::now(), events: computer.events(), open }
    }

    /// Shows entries as they connect. Never returns.
    async fn follow(&mut self) {
        while let Some(event) = self.events.next().await {
            if let Event::StateChanged { namespace, .. } = event {
                self.show(&namespace);
            }
        }
        std::future::pending::<()>().await;
    }

    /// Shows those that have connected, or failed, since anybody looked.
    fn rest(&mut self) {
        for namespace in self.open.clone() {
            self.show(&namespace);
        }
    }

    fn show(&mut self, namespace: &str) {
        let Some(place) = self.open.iter().position(|open| open == namespace) else { return };
        let Ok(entry) = self.computer.entry_health(namespace) else { return };
        let what = match entry.state {
            "ready" if entry.tools == 1 => "1 tool".to_owned(),
            "ready" => format!("{} tools", entry.tools),
            "waiting" | "failed" => paint::brief(&entry.error.unwrap_or_default()),
            _ => return,
        };
        self.open.remove(place);
        let (mark, seconds) = (paint::mark(entry.healthy, paint::on_stderr()), self.begin.elapsed().as_secs_f64());
        say(&format!("{mark} {namespace:<20} {seconds:>5.2} s  {what}"));
    }
}
