//! The shell: what a command costs beside the same shell started bare, and what endless output costs.

use std::{
    fs,
    io::{self, Read},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use mcp_computer::{Computer, ComputerConfig, ShellMode, environment};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    Plan,
    idle::megabytes,
    report::{Series, millis, say, title},
};

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    title("run_command")?;
    let runtime = plan.runtime()?;
    let config = ComputerConfig::new().with("sh", Computer::shell(ShellMode::Unrestricted).cwd("/tmp"));
    let computer = Computer::new(config.map_err(io::Error::other)?);
    runtime.block_on(computer.start()).map_err(io::Error::other)?;
    short(plan, &runtime, &computer)?;
    long(plan, &runtime, &computer)?;
    runtime.block_on(computer.stop());
    Ok(())
}

fn short(plan: Plan, runtime: &Runtime, computer: &Computer) -> io::Result<()> {
    let shell = environment::user_shell();
    let (mut bare, mut ours) = (Series::default(), Series::default());
    let commands = if plan.quick { 20 } else { 60 };
    for _ in 0..plan.rounds {
        bare.push(median(commands, || {
            let done = Command::new(&shell).args(["-c", "true"]).stdin(Stdio::null()).output()?;
            if done.status.success() { Ok(()) } else { Err(io::Error::other("`true` failed")) }
        })?);
        ours.push(median(commands, || run(runtime, computer, "true").map(drop))?);
    }
    say("`true` in the same shell, started bare, p50", &format!("{:.2} ms", bare.median()), &["", ""])?;
    let ratio = format!("{:.2}× bare", ours.ratio_to(&bare));
    say("`run_command true`, p50", &format!("{:.2} ms", ours.median()), &["< 1.5× bare", &ratio])
}

fn long(plan: Plan, runtime: &Runtime, computer: &Computer) -> io::Result<()> {
    let size = if plan.quick { "256M" } else { "1G" };
    let script = format!("head -c {size} /dev/zero | tr '\\0' x");
    let (mut bare, mut ours) = (Series::default(), Series::default());
    let mut most = 0;
    for _ in 0..plan.rounds.min(5) {
        let begin = Instant::now();
        let mut to_nobody = Command::new("sh").args(["-c", &format!("{script} | cat >/dev/null")]).spawn()?;
        to_nobody.wait()?;
        bare.push(millis(begin.elapsed()));
        let before = resident()?;
        PEAK_WANTED.store(true, Ordering::SeqCst);
        let watch = thread::spawn(peak);
        let begin = Instant::now();
        let ran = run(runtime, computer, &script)?;
        ours.push(millis(begin.elapsed()));
        PEAK_WANTED.store(false, Ordering::SeqCst);
        let peak = watch.join().map_err(|_| io::Error::other("the watcher failed"))??;
        most = most.max(peak.saturating_sub(before));
        if ran["truncated"]["stdoutBytes"].as_u64().is_none_or(|cut| cut < 200_000_000) {
            return Err(io::Error::other(format!("the output was not counted: {}", ran["truncated"])));
        }
    }
    say(&format!("{size} of output into `cat >/dev/null`"), &format!("{:.0} ms", bare.median()), &["", ""])?;
    let ratio = format!("{:.2}× bare", ours.ratio_to(&bare));
    say(&format!("{size} of output into a result"), &format!("{:.0} ms", ours.median()), &["< 1.2× bare", &ratio])?;
    say("growth of our memory meanwhile, at most", &megabytes(most >> 10), &["< 10 MB", ""])
}

fn run(runtime: &Runtime, computer: &Computer, command: &str) -> io::Result<Value> {
    let arguments = json!({ "command": command });
    runtime.block_on(computer.call("sh__run_command", &arguments)).map_err(io::Error::other)
}

/// The median time of an act, in milliseconds.
fn median(times: usize, mut act: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let mut series = Series::default();
    for _ in 0..times {
        let begin = Instant::now();
        act()?;
        series.push(millis(begin.elapsed()));
    }
    Ok(series.median())
}

static PEAK_WANTED: AtomicBool = AtomicBool::new(false);

/// The largest memory of this process until nobody wants it any more.
fn peak() -> io::Result<u64> {
    let mut peak = 0;
    while PEAK_WANTED.load(Ordering::SeqCst) {
        peak = peak.max(resident()?);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(peak)
}

/// The resident memory of this process in bytes.
fn resident() -> io::Result<u64> {
    let mut status = String::new();
    fs::File::open("/proc/self/status")?.read_to_string(&mut status)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| io::Error::other("the system does not tell"))
}
