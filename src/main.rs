//! The program `computer`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, a thread above all: it forks.
    mcp_computer::guard::enter();
    let (args, runtime) = match cli::Args::read().and_then(|args| Ok((args, cli::runtime()?))) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    cli::log(&args);
    let code = runtime.block_on(cli::run(args));
    // A thread that reads our stdin may never come back.
    runtime.shutdown_background();
    code
}
