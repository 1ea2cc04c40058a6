//! A Computer for the length of one verb.

use std::{future::Future, io::IsTerminal, time::Instant};

use mcp_computer::{
    Computer, ComputerConfig, Event,
    config::{self, LoadError},
    shutdown::Shutdown,
};

use super::{ConfigArg, Usage, paint, say};

/// Reads the config, and says what is odd about it.
pub(super) fn load(arg: &ConfigArg) -> anyhow::Result<ComputerConfig> {
    let loaded = config::file::load(arg.config.as_deref()).map_err(|error| match error {
        LoadError::Problems(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let count = if lines.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", lines.len()) };
            Usage::because(format!("the config has {count}:\n{}", lines.join("\n")))
        }
        other => Usage::because(other),
    })?;
    for warning in &loaded.warnings {
        say(&format!("warning: {warning}"));
    }
    Ok(loaded.config)
}

/// Starts a Computer, does something with it, and leaves nothing of it behind, whatever happens.
///
/// A signal that asks us to leave takes the work back.
pub(super) async fn with<F: Future<Output = anyhow::Result<u8>>>(
    config: ComputerConfig,
    work: impl FnOnce(Computer, Vec<String>) -> F,
) -> anyhow::Result<u8> {
    let mut shutdown = Shutdown::listen()?;
    let computer = Computer::new(config);
    let doing = async {
        let errors = tokio::select! {
            started = computer.start() => match started {
                Ok(started) => started.errors,
                Err(mcp_computer::Error::AllFailed(errors)) => errors,
                Err(error) => return Err(error.into()),
            },
            () = show(&computer) => Vec::new(),
        };
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

/// On a terminal, shows a line for each entry as it connects. Never returns.
async fn show(computer: &Computer) {
    let begin = Instant::now();
    let mut events = computer.events();
    let colour = paint::on_stderr();
    while let Some(event) = events.next().await {
        let Event::StateChanged { namespace, state, tools, error } = event else { continue };
        if !std::io::stderr().is_terminal() {
            continue;
        }
        let seconds = begin.elapsed().as_secs_f64();
        match state {
            "ready" => {
                let tools = tools.unwrap_or(0);
                let word = if tools == 1 { "tool" } else { "tools" };
                say(&format!("{} {namespace:<20} {seconds:>5.2} s  {tools} {word}", paint::mark(true, colour)));
            }
            "waiting" | "failed" => {
                let error = paint::brief(&error.unwrap_or_default());
                say(&format!("{} {namespace:<20} {seconds:>5.2} s  {error}", paint::mark(false, colour)));
            }
            _ => {}
        }
    }
    std::future::pending::<()>().await;
}
