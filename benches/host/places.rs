//! Where the programs are that take part.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{DELAY, ENTRIES, Plan};

/// The trivial server.
pub(crate) fn floor() -> io::Result<String> {
    example("floor_server")
}

/// A server of our own; built now, so that it is never an old one.
pub(crate) fn example(name: &str) -> io::Result<String> {
    let bench = env::current_exe()?;
    // target/release/deps/host-…
    let release = bench.ancestors().nth(2).ok_or_else(|| io::Error::other("the bench lies in no target directory"))?;
    let target = release.parent().unwrap_or(release);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--example", name, "--manifest-path"]);
    cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).arg("--target-dir").arg(target);
    if !cargo.stdin(Stdio::null()).status()?.success() {
        return Err(io::Error::other(format!("the server `{name}` cannot be built")));
    }
    text(&target.join("release/examples").join(name))
}

/// The program.
pub(crate) fn computer() -> String {
    env::var("COMPUTER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_computer").to_owned())
}

/// This program in another role, with the same plan.
pub(crate) fn ourselves(role: &str, plan: Plan) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments(role, plan));
    Ok(command)
}

/// [`ourselves`], with all that it starts on one processor. Nothing where there is no `taskset`.
pub(crate) fn pinned(role: &str, plan: Plan) -> Option<Command> {
    let allowed = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = allowed.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    // The last one: the first ones serve the interrupts of many a machine.
    let last = allowed.trim().rsplit([',', '-']).next()?;
    let mut command = Command::new("taskset");
    let works = command.args(["-c", last, "true"]).status().is_ok_and(|status| status.success());
    let mut command = Command::new("taskset");
    command.args(["-c", last]).arg(env::current_exe().ok()?).args(arguments(role, plan));
    works.then_some(command)
}

fn arguments(role: &str, plan: Plan) -> Vec<String> {
    let mut arguments = vec![role.to_owned(), "--workers".to_owned(), plan.workers.to_string()];
    arguments.extend(plan.quick.then(|| "--quick".to_owned()));
    arguments
}

/// The command of an entry that is slow to start.
pub(crate) fn slow(floor: &str) -> Vec<String> {
    vec![floor.to_owned(), "--delay-ms".to_owned(), DELAY.to_string()]
}

/// The command that serves `entries` trivial servers, with its config in `directory`.
pub(crate) fn serving(directory: &Path, floor: &str, entries: Entries) -> io::Result<Vec<String>> {
    let (name, count, delay) = match entries {
        Entries::None => ("none.json", 0, 0),
        Entries::One => ("one.json", 1, 0),
        Entries::Slow => ("slow.json", ENTRIES, DELAY),
    };
    let entry = serde_json::json!({ "command": floor, "args": ["--delay-ms", delay.to_string()] });
    let servers: serde_json::Map<_, _> = (0..count).map(|index| (format!("e{index}"), entry.clone())).collect();
    let path: PathBuf = directory.join(name);
    fs::write(&path, serde_json::json!({ "mcpServers": servers }).to_string())?;
    Ok(vec![computer(), "serve".to_owned(), "--stdio".to_owned(), "--config".to_owned(), text(&path)?])
}

/// A command that serves, in another way than on stdio.
pub(crate) fn instead(command: &[String], flags: &[&str]) -> Vec<String> {
    let others = command.iter().filter(|word| *word != "--stdio").cloned();
    others.chain(flags.iter().map(|flag| (*flag).to_owned())).collect()
}

/// The command, with what it keeps on disk apart from that of other rounds.
pub(crate) fn keeping(directory: &Path, round: usize, command: Vec<String>) -> Vec<String> {
    let state = format!("XDG_STATE_HOME={}", directory.join(format!("state-{round}")).display());
    ["env".to_owned(), state].into_iter().chain(command).collect()
}

/// How large a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entries {
    None,
    One,
    Slow,
}

pub(crate) fn text(path: &Path) -> io::Result<String> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| io::Error::other(format!("{} is no UTF-8", path.display())))
}
