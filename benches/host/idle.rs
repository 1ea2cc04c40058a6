//! The memory of a host with 20 idle entries.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process, thread,
    time::Duration,
};

use crate::{
    ENTRIES, Plan, places,
    report::{say, title},
    start,
};

/// How long a machine is left alone before it is looked at.
pub(crate) const CALM: Duration = Duration::from_secs(1);

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    title(&format!("memory of this process with {ENTRIES} idle entries, its guard included"))?;
    let output = places::ourselves("one-idle-machine", plan)?.output()?;
    let kib: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().map_err(io::Error::other)?;
    say("PSS", &megabytes(kib), &["< 12 MB", ""])
}

/// A machine that is left alone; prints its memory in KiB.
pub(crate) fn machine(plan: Plan) -> io::Result<()> {
    let floor = places::floor()?;
    let runtime = plan.runtime()?;
    let computer = start::machine(&floor)?;
    let started = runtime.block_on(async {
        let computer = computer.clone();
        runtime.spawn(async move { computer.start().await.map(|started| started.errors) }).await
    });
    started.map_err(io::Error::other)?.map_err(io::Error::other)?;
    // Its tasks go on meanwhile.
    runtime.block_on(async { tokio::time::sleep(CALM).await });
    writeln!(io::stdout(), "{}", host(mcp_computer::guard::pid().unwrap_or_else(process::id)))?;
    runtime.block_on(computer.stop());
    Ok(())
}

/// The memory of the process at the root of a host, and of what runs the same program below it, in KiB: a guard and its
/// daemon.
pub(crate) fn host(root: u32) -> u64 {
    let own = program(root);
    let same = children(root).into_iter().filter(|child| program(*child) == own);
    pss(root) + same.map(pss).sum::<u64>()
}

/// When everything of a host has settled, its memory in KiB.
pub(crate) fn settled(root: u32) -> u64 {
    thread::sleep(CALM);
    host(root)
}

pub(crate) fn megabytes(kib: u64) -> String {
    format!("{}.{:02} MB", kib / 1024, kib % 1024 * 100 / 1024)
}

fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The proportional set size: what is shared counts in part.
fn pss(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
