//! Children that try to outlive their parent, each in its own way.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

/// Starts them and writes their pids to `pid_file`, one a line, before it returns.
pub(crate) fn leave(pid_file: &Path) -> io::Result<()> {
    let pids = [plain()?, own_session()?, double_forked()?, deaf_to_term()?];
    fs::write(pid_file, pids.map(|pid| pid.to_string()).join("\n"))
}

/// Holds our stdout and stderr open, as children do that nobody thought about.
fn plain() -> io::Result<u32> {
    Ok(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn()?.id())
}

fn own_session() -> io::Result<u32> {
    Ok(quiet("setsid").args(["sleep", "1000"]).spawn()?.id())
}

/// In a session of its own, without its environment, its parent gone.
fn double_forked() -> io::Result<u32> {
    let script = r#"setsid env -i sh -c "sleep 1000 >/dev/null 2>&1 & echo \$!""#;
    let output = quiet("sh").args(["-c", script]).stdout(Stdio::piped()).output()?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
    pid.map_err(|_| io::Error::other("the double fork gave no pid"))
}

fn deaf_to_term() -> io::Result<u32> {
    Ok(quiet("sh").args(["-c", r#"trap "" TERM; while :; do sleep 1; done"#]).spawn()?.id())
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
