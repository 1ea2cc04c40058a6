//! A Computer that has a shell and nothing else.

use mcp_computer::{Computer, ShellConfig, ShellMode};
use serde_json::Value;
use tempfile::TempDir;

use super::library::{up, within};

/// A shell in a directory of its own.
pub(crate) struct Shell {
    pub(crate) computer: Computer,
    pub(crate) dir: TempDir,
}

impl Shell {
    pub(crate) async fn up() -> Self {
        Self::of(|entry| entry).await
    }

    pub(crate) async fn of(change: impl FnOnce(ShellConfig) -> ShellConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let computer = up([("sh", change(Computer::shell(ShellMode::Unrestricted).cwd(dir.path())))]).await;
        Self { computer, dir }
    }

    /// What one of its tools gives.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        within(tool, self.computer.call(&format!("sh__{tool}"), &arguments)).await.unwrap()
    }

    pub(crate) async fn run(&self, arguments: Value) -> Value {
        self.call("run_command", arguments).await
    }
}
