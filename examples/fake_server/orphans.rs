//! Children that try to outlive their parent, each in its own way. They sleep for `time`, by which a test knows them.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Starts them and writes their pids to `pid_file`, one a line, before it returns.
pub(crate) fn leave(pid_file: &Path, time: &str) -> io::Result<()> {
    let pids = [
        plain(time)?,
        own_session(time)?,
        double_forked(time)?,
        script(r#"trap "" TERM; while :; do sleep "$0"; done"#, time)?,
        stopped(time)?,
        // With a child that has ended and is never reaped.
        script(r#"sleep 0 & exec sleep "$0""#, time)?,
        // Its name is no text in any encoding, and looks like what stands behind the name.
        script(r#"printf "\377\376) Z 1" > /proc/$$/comm; while :; do sleep "$0"; done"#, time)?,
    ];
    fs::write(pid_file, pids.map(|pid| pid.to_string()).join("\n"))
}

/// Starts those that have no lasting pid. They are restless for some minutes, whatever becomes of the test.
pub(crate) fn scatter(time: &str) -> io::Result<()> {
    // Forks, leaves its session and ends, again and again: whoever looks for it is easily too late.
    let hop = r#"[ "$2" -gt 0 ] && sleep 0.02 && exec setsid -f sh -c "$0" "$0" "$1" $(($2 - 1))"#;
    restless(hop, time)?;
    // Has one child after the other, each in a session of its own and without a variable.
    restless(r#"for n in $(seq "$2"); do setsid env -i sleep "$1" & sleep 0.05; done"#, time)
}

fn restless(script: &str, time: &str) -> io::Result<()> {
    quiet("sh").args(["-c", script, script, time, "5000"]).spawn().map(drop)
}

/// Holds our stdout and stderr open, as children do that nobody thought about.
fn plain(time: &str) -> io::Result<u32> {
    Ok(Command::new("sleep").arg(time).stdin(Stdio::null()).spawn()?.id())
}

fn own_session(time: &str) -> io::Result<u32> {
    Ok(quiet("setsid").args(["sleep", time]).spawn()?.id())
}

/// In a session of its own, without its environment, its parent gone.
fn double_forked(time: &str) -> io::Result<u32> {
    let script = r#"setsid env -i sh -c "sleep $0 >/dev/null 2>&1 & echo \$!""#;
    let output = quiet("sh").args(["-c", script, time]).stdout(Stdio::piped()).output()?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
    pid.map_err(|_| io::Error::other("the double fork gave no pid"))
}

/// Takes no signal but KILL and CONT, and is so when this returns.
fn stopped(time: &str) -> io::Result<u32> {
    let pid = script(r#"kill -STOP $$; sleep "$0""#, time)?;
    while !fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") T ") {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(pid)
}

fn script(script: &str, time: &str) -> io::Result<u32> {
    Ok(quiet("sh").args(["-c", script, time]).spawn()?.id())
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
