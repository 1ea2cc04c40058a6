//! A Computer inside another program: start it, see its tools, call one, leave nothing behind.
//!
//! `cargo run --example embed`

#![expect(clippy::print_stdout, reason = "it is what this program is for")]

use mcp_computer::{Computer, ComputerConfig, ShellMode, ToolProvider, guard};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First of all, so that nothing outlives this program however it ends (Linux). It forks: no thread may run yet.
    guard::enter();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let config = ComputerConfig::new().with("shell", Computer::shell(ShellMode::Unrestricted).cwd("/tmp"))?;
    let computer = Computer::new(config);
    for error in computer.start().await?.errors {
        eprintln!("not connected: {error}");
    }

    for tool in computer.tool_schemas() {
        println!("{}: {}", tool.name, tool.description);
    }
    let result = computer.call("shell__run_command", &json!({ "command": "echo hello from $PWD" })).await?;
    println!("{}", result["stdout"].as_str().unwrap_or_default().trim_end());

    computer.stop().await;
    Ok(())
}
