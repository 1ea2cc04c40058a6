//! A Computer inside another program: start it, see its tools, call them, leave nothing behind.
//!
//! `cargo run --example embed -- [--without-guard] [--end HOW] [SERVER [ARGUMENT]…]`
//!
//! Each line of its stdin is a call: `shell__run_command {"command": "echo hello"}`. After the last it ends as `HOW`
//! says: `stop` in order, or without a word to the Computer by `drop`, `exit`, `abort`, `panic` or `task-panic`. With
//! the guard nothing is left behind in any case. Without it, what ends the process at once (`exit`, `abort`, `kill -9`)
//! ends its children but not theirs: the next program of the same user that starts a Computer ends those.

#![expect(clippy::print_stdout, reason = "it is what this program is for")]
#![expect(clippy::exit, reason = "it shows what becomes of the processes of a program that does so")]

use std::io;

use mcp_computer::{Computer, ComputerConfig, ShellMode, ToolProvider, guard};
use tokio_util::task::TaskTracker;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if_eq("--without-guard").is_none() {
        // First of all, so that nothing outlives this program however it ends (Linux). It forks: no thread may run yet.
        guard::enter();
    }
    let end = args.next_if_eq("--end").and_then(|_| args.next()).unwrap_or_else(|| "stop".to_owned());
    let mut config = ComputerConfig::new().with("shell", Computer::shell(ShellMode::Unrestricted).cwd("/tmp"))?;
    if let Some(command) = args.next() {
        config = config.with("server", Computer::stdio(command, args))?;
    }
    tokio::runtime::Runtime::new()?.block_on(run(config, &end))
}

async fn run(config: ComputerConfig, end: &str) -> Outcome {
    let computer = Computer::new(config);
    for error in computer.start().await?.errors {
        eprintln!("not connected: {error}");
    }
    println!("guard: {}", computer.health().await.guard);
    for tool in computer.tool_schemas() {
        println!("{}: {}", tool.name, tool.description);
    }
    for line in io::stdin().lines() {
        let line = line?;
        let (tool, arguments) = line.split_once(' ').unwrap_or((&line, "{}"));
        println!("{}", computer.call(tool, &serde_json::from_str(arguments)?).await?);
    }
    match end {
        "drop" => drop(computer),
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        "panic" => panic!("a mistake in main"),
        "task-panic" => {
            let task = async move {
                let _its = computer;
                panic!("a mistake in a task");
            };
            TaskTracker::new().spawn(task).await?;
        }
        _ => computer.stop().await,
    }
    Ok(())
}
