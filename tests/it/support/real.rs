//! Servers, clients and programs that others wrote. `scripts/test` installs them, servers and clients under `target/real`.

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// An entry for a server of the npm package `@modelcontextprotocol/<name>`, or `None` after saying that it is skipped.
pub(crate) fn node(name: &str, arguments: &[&str]) -> Option<Value> {
    let script = modules()?.join(format!("@modelcontextprotocol/{name}/dist/index.js"));
    let arguments = [&[script.to_str()?], arguments].concat();
    Some(json!({ "command": "node", "args": arguments }))
}

/// An entry for a server of the Python package.
pub(crate) fn python(name: &str, arguments: &[&str]) -> Option<Value> {
    Some(json!({ "command": installed(&format!("venv/bin/{name}"))?, "args": arguments }))
}

/// Python with the packages of clients.
pub(crate) fn interpreter() -> Option<PathBuf> {
    installed("venv/bin/python")
}

/// The independent client: a script for node.
pub(crate) fn inspector() -> Option<PathBuf> {
    Some(modules()?.join("@modelcontextprotocol/inspector/clients/launcher/build/index.js"))
}

/// The directory of the npm packages.
pub(crate) fn modules() -> Option<PathBuf> {
    installed("node/node_modules")
}

/// The interpreter that has the Python packages.
pub(crate) fn modules_of_python() -> Option<PathBuf> {
    installed("venv/bin/python")
}

/// A program of the system, or `None` after saying that the test is skipped.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|program| program.is_file());
    if found.is_none() {
        skip(&format!("there is no {name} here"));
    }
    found
}

fn installed(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/real").join(what);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} is not installed; `scripts/test` installs it", path.display()));
    None
}

/// Says that a test is skipped, where the end of `scripts/test` shows it; where everything is required, it fails.
fn skip(why: &str) {
    assert!(env::var_os("MCP_COMPUTER_REQUIRE_REAL").is_none(), "must not be skipped here: {why}");
    cannot(why);
}

/// Says that a test is skipped for what this machine lets nobody do, whatever is installed.
pub(crate) fn cannot(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}\n", thread.name().unwrap_or("a test"));
    eprint!("{line}");
    if let Some(path) = env::var_os("MCP_COMPUTER_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
