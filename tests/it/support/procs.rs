//! Processes, as `/proc` shows them, and the one place that waits.

use std::{fs, path::Path, thread, time::Duration, time::Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::PATIENCE;

/// Waits until the condition holds; panics with `what` when it does not come to hold.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "this did not come to hold within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process lives. One that only waits to be reaped does not.
pub(crate) fn alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Whether a process stands still after SIGSTOP.
pub(crate) fn is_stopped(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'T')
}

/// Whether none of the processes lives. No pids at all are a mistake of the test.
pub(crate) fn all_gone(pids: &[i32]) -> bool {
    assert!(!pids.is_empty(), "there were processes");
    pids.iter().all(|pid| !alive(*pid))
}

/// None of the processes may live now: not soon, at once.
#[track_caller]
pub(crate) fn assert_gone(pids: &[i32]) {
    assert!(!pids.is_empty(), "there were processes");
    let left: Vec<i32> = pids.iter().copied().filter(|pid| alive(*pid)).collect();
    let left = descriptions(&left);
    assert!(left.is_empty(), "still alive: {left:#?}");
}

/// What can be told of processes.
pub(crate) fn descriptions(pids: &[i32]) -> Vec<String> {
    pids.iter().map(|pid| describe(*pid)).collect()
}

/// Pid, state, parent and command line.
fn describe(pid: i32) -> String {
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    format!("{pid} {:?} {command}", stat(pid))
}

/// The children of a process that live.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    parents().into_iter().filter(|(_, above)| *above == parent).map(|(pid, _)| pid).collect()
}

/// All processes below a process that live, in one look: their number may grow faster than they are looked at.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let all = parents();
    let (mut found, mut next) = (vec![root], 0);
    while next < found.len() {
        found.extend(all.iter().filter(|(_, above)| *above == found[next]).map(|(pid, _)| *pid).collect::<Vec<_>>());
        next += 1;
    }
    found.split_off(1)
}

/// Every process that lives, with its parent.
fn parents() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| stat(pid).filter(|(state, _)| *state != 'Z').map(|(_, above)| (pid, above))).collect()
}

/// Sends a signal, which must be possible.
#[track_caller]
pub(crate) fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("cannot send {signal} to {pid}: {error}"));
}

/// The pids in a file, one a line; none when there is no file.
pub(crate) fn pids_in(file: &Path) -> Vec<i32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{}: `{line}` is no pid", file.display()))).collect()
}

/// State and parent of a process.
fn stat(pid: i32) -> Option<(char, i32)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name stands in parentheses and may hold anything, even what is no text.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
