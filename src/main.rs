//! The program `computer`.

mod cli;

use std::process::ExitCode;

use tokio_util::task::TaskTracker;

fn main() -> ExitCode {
    // Before anything else, a thread above all: it forks.
    mcp_computer::guard::enter();
    mcp_computer::open_files::raise_limit();
    let (args, runtime) = match cli::Args::read().and_then(|args| Ok((args, cli::runtime()?))) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    cli::log(&args);
    // In a task, where the messages are: the main thread only waits.
    let code = runtime.block_on(async { TaskTracker::new().spawn(cli::run(args)).await }).unwrap_or(ExitCode::FAILURE);
    // A thread that reads our stdin may never come back.
    runtime.shutdown_background();
    code
}
