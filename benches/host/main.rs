//! What a call, a start and idle entries cost, as ratios of one run.
//!
//! Milliseconds mean little on a machine that others use too. So whatever is measured takes turns with what it is
//! measured against, and what counts is the median of the ratios of the rounds.
//!
//! ```text
//! cargo bench --bench host             the library, in this process
//! cargo bench --bench host -- back     how soon the tools of a server that died are back, alone
//! cargo bench --bench host -- front    the program, from outside
//! cargo bench --bench host -- http     the program over HTTP
//! cargo bench --bench host -- shell    the shell alone
//! cargo bench --bench host -- chrome   how soon a Chrome can be controlled, alone
//! cargo bench --bench host -- floods   the program's memory while a server floods it
//! ```
//!
//! `--quick` does less of it; `--workers N` gives the library a runtime of N threads, 0 for one on the caller's own
//! thread. `COMPUTER` is another build of the program to measure, `MCPBENCH` an outside client to measure it with too, and
//! `MCP_HUB` the script of another host to measure beside it.

mod back;
mod bare;
mod beside;
mod calls;
mod chrome;
mod flood;
mod front;
mod http;
mod idle;
mod outside;
mod places;
mod report;
mod shell;
mod start;

use std::io;

use tokio::runtime::{Builder, Runtime};

/// How much is measured, and on what.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    /// Calls in a round.
    calls: usize,
    /// Starts of the machine with 20 entries.
    starts: usize,
    workers: usize,
    quick: bool,
}

/// How many callers call at the same time.
const CALLERS: usize = 16;
/// How many entries the larger machine has.
const ENTRIES: usize = 20;
/// What each of them needs before it answers, in milliseconds.
const DELAY: u32 = 300;

fn main() -> io::Result<()> {
    mcp_computer::guard::enter();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_given = |wanted: &str| args.iter().any(|arg| arg == wanted);
    let plan = Plan::of(&args);
    if is_given("front") {
        placed("front-calls", plan)?;
        front::starts(plan)
    } else if is_given("front-calls") {
        front::calls(plan)
    } else if is_given("http") {
        http::calls(plan)
    } else if is_given("beside") {
        beside::calls(plan)
    } else if is_given("floods") {
        flood::measure(plan)
    } else if is_given("calls") {
        calls::measure(plan)
    } else if is_given("back") {
        back::measure(plan)
    } else if is_given("one-cold-start") {
        start::cold(plan)
    } else if is_given("one-idle-machine") {
        idle::machine(plan)
    } else if is_given("shell") {
        shell::measure(plan)
    } else if is_given("chrome") {
        chrome::measure(plan)
    } else if is_given("--bench") {
        placed("calls", plan)?;
        start::measure(plan)?;
        back::measure(plan)?;
        idle::measure(plan)?;
        shell::measure(plan)?;
        chrome::measure(plan)
    } else {
        // `cargo test --all-targets` runs this too, and has no use for figures.
        Ok(())
    }
}

/// Measures calls on one processor, then on all.
///
/// Where a woken process runs is the kernel's to decide, round by round, and waking another processor can take longer
/// than the call: on one, the ratio is that of the work alone.
fn placed(role: &str, plan: Plan) -> io::Result<()> {
    match places::pinned(role, plan) {
        Some(mut pinned) => {
            report::title("ON ONE PROCESSOR")?;
            pinned.status()?;
        }
        None => report::title("there is no `taskset` to measure on one processor with")?,
    }
    report::title("ON ALL PROCESSORS")?;
    places::ourselves(role, plan)?.status().map(drop)
}

impl Plan {
    fn of(args: &[String]) -> Self {
        let workers = args.iter().position(|arg| arg == "--workers").and_then(|at| args.get(at + 1)?.parse().ok());
        // Two, as the program has.
        let workers = workers.unwrap_or(2);
        if args.iter().any(|arg| arg == "--quick") {
            Self { rounds: 3, calls: 800, starts: 1, workers, quick: true }
        } else {
            Self { rounds: 11, calls: 2000, starts: 5, workers, quick: false }
        }
    }

    fn runtime(self) -> io::Result<Runtime> {
        match self.workers {
            0 => Builder::new_current_thread().enable_all().build(),
            workers => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
        }
    }
}
