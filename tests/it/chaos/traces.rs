//! What a process leaves in the system: descriptors, tasks, memory.

use std::{fs, path::PathBuf};

use tokio::runtime::Handle;

/// What there is of a host, but for its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traces {
    /// Processes of its entries.
    pub(super) processes: usize,
    pub(super) descriptors: usize,
    /// Tasks of its runtime, where that is ours.
    pub(super) tasks: usize,
}

impl Traces {
    /// Whether there is no more of anything.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.processes <= other.processes && self.descriptors <= other.descriptors && self.tasks <= other.tasks
    }
}

/// Memory in KiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) pss: u64,
    pub(super) rss: u64,
}

/// How many tasks live in this runtime.
pub(super) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// How many descriptors a process has open.
pub(super) fn descriptors(pid: u32) -> usize {
    let open = fs::read_dir(dir(pid).join("fd")).expect("the process lives").flatten();
    // While we look at our own, there is one more.
    open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|to| to != dir(pid).join("fd"))).count()
}

/// What is open, for people to read.
pub(super) fn open(pid: u32) -> Vec<String> {
    let open = fs::read_dir(dir(pid).join("fd")).expect("the process lives").flatten();
    let mut open: Vec<String> =
        open.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect();
    open.sort();
    open
}

pub(super) fn threads(pid: u32) -> u64 {
    number(pid, "status", "Threads:")
}

pub(super) fn memory(pid: u32) -> Memory {
    Memory { pss: number(pid, "smaps_rollup", "Pss:"), rss: number(pid, "smaps_rollup", "Rss:") }
}

/// The number behind a word in a file that the system makes of a process.
fn number(pid: u32, file: &str, word: &str) -> u64 {
    let text = fs::read_to_string(dir(pid).join(file)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn dir(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}
