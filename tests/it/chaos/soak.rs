//! The same for as long as somebody wants to look on: what there is of a host over time, and whether it grows.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_computer::{Event, Events};
use tokio::task::JoinSet;

use super::{
    dice::{self, Dice},
    served::Served,
    stage::Stage,
    tally::Tally,
    traces::{self, Memory, Traces},
};

/// So much is done between two looks.
const ACTS: usize = 300;

/// Memory may grow by less than this until it counts as growing without end, in KiB.
const SLACK: u64 = 4 << 10;

/// For how long, in whole rounds.
fn minutes() -> Duration {
    let minutes: f64 = std::env::var("SOAK_MINUTES").map_or(1.0, |minutes| minutes.parse().expect("a number"));
    Duration::from_secs_f64(minutes * 60.0)
}

/// What is seen at rest.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Since the beginning, in minutes.
    time: f64,
    traces: Traces,
    memory: Memory,
    threads: u64,
    /// How often an entry was started so far, where that can be seen.
    starts: Option<usize>,
}

/// What was seen at rest, between rounds.
struct Soak {
    pid: u32,
    begin: Instant,
    looks: Vec<Look>,
    sum: Tally,
}

impl Soak {
    fn new(pid: u32, traces: Traces) -> Self {
        let mut soak = Self { pid, begin: Instant::now(), looks: Vec::new(), sum: Tally::default() };
        soak.note(traces, None, Tally::default());
        soak
    }

    fn goes_on(&self) -> bool {
        self.begin.elapsed() < minutes()
    }

    /// Notes and says what there is after a round.
    fn note(&mut self, traces: Traces, starts: Option<usize>, tally: Tally) {
        let time = self.begin.elapsed().as_secs_f64() / 60.0;
        let (memory, threads) = (traces::memory(self.pid), traces::threads(self.pid));
        let look = Look { time, traces, memory, threads, starts };
        print(&format!("{look}  {tally}"));
        for wrong in &tally.wrong {
            print(&format!("LOST: {wrong}"));
        }
        self.looks.push(look);
        self.sum.add(tally);
    }

    /// What is not as it should be.
    fn verdict(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.sum.wrong.iter().map(|wrong| format!("lost: {wrong}")).collect();
        let (first, last) = (self.looks[0].traces, self.looks[self.looks.len() - 1].traces);
        if !last.is_within(first) {
            wrong.push(format!("at rest there is more of it than there was: {first:?}, then {last:?}"));
        }
        let growth = Growth::of(&self.looks);
        print(&format!("in all: {}", self.sum));
        print(&growth.to_string());
        if growth.is_endless() {
            wrong.push(format!("memory grows: {growth}"));
        }
        wrong
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, memory: Memory { pss, rss }, threads, .. } = self;
        let Traces { processes, descriptors, tasks } = self.traces;
        write!(f, "{time:5.1} min  PSS {pss:>6} KiB  RSS {rss:>6} KiB  descriptors {descriptors:>3}  ")?;
        write!(f, "tasks {tasks:>3}  threads {threads:>2}  processes {processes:>2}")?;
        self.starts.map_or(Ok(()), |starts| write!(f, "  starts {starts:>5}"))
    }
}

/// How memory went. What comes once, buffers and caches that are filled, comes in the first third.
#[derive(Debug)]
struct Growth {
    /// KiB a minute over the other two thirds: the median of the slopes between any two looks.
    slope: f64,
    /// The medians of the second and of the last third.
    middle: u64,
    end: u64,
}

impl Growth {
    fn of(looks: &[Look]) -> Self {
        let third = looks.len() / 3;
        let late = &looks[third..];
        #[expect(clippy::cast_precision_loss, reason = "a slope needs no more")]
        let slope = |(a, b): (&Look, &Look)| (b.memory.pss as f64 - a.memory.pss as f64) / (b.time - a.time);
        let pairs = late.iter().enumerate().flat_map(|(at, a)| late[at + 1..].iter().map(move |b| (a, b)));
        let mut slopes: Vec<f64> = pairs.map(slope).collect();
        slopes.sort_by(f64::total_cmp);
        let median = |part: &[Look]| {
            let mut pss: Vec<u64> = part.iter().map(|look| look.memory.pss).collect();
            pss.sort_unstable();
            pss.get(pss.len() / 2).copied().unwrap_or_default()
        };
        let slope = slopes.get(slopes.len() / 2).copied().unwrap_or_default();
        Self { slope, middle: median(&looks[third..(2 * third).max(third + 1)]), end: median(&looks[2 * third..]) }
    }

    /// Whether it goes up, by more than what comes and goes: a tenth, and 4 MiB.
    fn is_endless(&self) -> bool {
        self.slope > 0.0 && self.end > self.middle + (self.middle / 10).max(SLACK)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slope, middle, end } = self;
        write!(f, "PSS after the first third: {slope:+.0} KiB a minute; median {middle} KiB, then {end} KiB")
    }
}

#[expect(clippy::print_stdout, reason = "whoever runs it looks on")]
fn print(line: &str) {
    println!("{line}");
}

/// Counts how often an entry was started.
async fn count(mut events: Events, starts: Arc<AtomicUsize>) {
    while let Some(event) = events.next().await {
        if matches!(event, Event::StateChanged { state: "starting", .. }) {
            starts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: `scripts/soak` runs it"]
async fn a_computer_in_this_process_does_not_grow_however_long_the_chaos_lasts() {
    let (seed, own) = (dice::seed(), std::process::id());
    print(&format!("CHAOS_SEED={seed}; the library, in this process"));
    assert_eq!(Stage::set().await.end(Duration::ZERO).await, []);
    let rest = || (traces::tasks(), traces::descriptors(own));
    let before = rest();
    let stage = Stage::set().await;
    stage.set_right().await;
    let (mut listener, starts) = (JoinSet::new(), Arc::default());
    listener.spawn(count(stage.computer.events(), Arc::clone(&starts)));
    let mut soak = Soak::new(own, stage.settled().await);
    let mut dice = Dice::new(seed);
    while soak.goes_on() {
        let tally = stage.round(&mut dice, ACTS).await;
        soak.note(stage.settled().await, Some(starts.load(Ordering::SeqCst)), tally);
    }
    listener.shutdown().await;
    let mut wrong = soak.verdict();
    let left = stage.end(Duration::from_secs(5)).await;
    wrong.extend(left.into_iter().map(|process| format!("left over after the stop: {process:?}")));
    let limit = Instant::now() + Duration::from_secs(10);
    while rest() != before && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if rest() != before {
        wrong.push(format!("left over after the stop: (tasks, descriptors) were {before:?} and are {:?}", rest()));
    }
    assert!(wrong.is_empty(), "CHAOS_SEED={seed}: {wrong:#?}");
}

#[test]
#[ignore = "it takes minutes: `scripts/soak` runs it"]
fn the_program_does_not_grow_however_long_the_chaos_lasts() {
    let seed = dice::seed();
    print(&format!("CHAOS_SEED={seed}; the program, over stdio and HTTP"));
    let served = Served::set();
    let mut soak = Soak::new(served.daemon(), served.settled());
    let mut dice = Dice::new(seed);
    while soak.goes_on() {
        let tally = served.round(&mut dice, ACTS);
        soak.note(served.settled(), None, tally);
    }
    let mut wrong = soak.verdict();
    wrong.extend(served.end().into_iter().map(|process| format!("left over after the end: {process:?}")));
    assert!(wrong.is_empty(), "CHAOS_SEED={seed}: {wrong:#?}");
}
