//! The program from outside: through its stdio front against calling the server directly.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::{
    CALLERS, DELAY, ENTRIES, Plan,
    bare::{Bare, check, message},
    idle, outside,
    places::{self, Entries},
    report::{Latency, Series, millis, rate, say, say_rate, title},
};

/// Calls, by clients of our own and by one from outside.
pub(crate) fn calls(plan: Plan) -> io::Result<()> {
    let floor = places::floor()?;
    let scratch = tempfile::tempdir()?;
    title("a call through the stdio front against the same call to the server itself")?;
    let (direct, front) = (vec![floor.clone()], places::serving(scratch.path(), &floor, Entries::One)?);
    // One that joins a daemon, in a place of its own.
    let apart = |command: Vec<String>| places::keeping(scratch.path(), 0, command);
    let _daemon = Daemon::start(&apart(places::instead(&front, &["--local"])))?;
    let joined = apart([&front[..], &["--attach".to_owned(), "only".to_owned()]].concat());
    let (direct_side, front_side) = (Side::connect(&direct, "echo")?, Side::connect(&front, "e0__echo")?);
    let mut sides = [direct_side, front_side, Side::connect(&joined, "e0__echo")?];
    for round in 0..=plan.rounds {
        for side in &mut sides {
            side.round(plan, round > 0)?;
        }
    }
    let [direct_side, front_side, joined_side] = &sides;
    front_side.waited.say("front / direct, a client that reads in a thread", &direct_side.waited, "< 1.5×")?;
    front_side.blocked.say("front / direct, a client that blocks", &direct_side.blocked, "")?;
    joined_side.waited.say("a client that joined a daemon / direct", &direct_side.waited, "< 1.5×")?;
    say_rate("16 callers, a thread each", &front_side.rate, &direct_side.rate, "≥ 50 %")?;
    say_rate("16 under way from one thread", &front_side.pipelined, &direct_side.pipelined, "")?;
    drop(sides);
    outside::measure(plan, &direct, &front)
}

/// A daemon, for as long as it is needed.
struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until it can be joined.
    fn start(command: &[String]) -> io::Result<Self> {
        let mut daemon = Command::new(&command[0]);
        daemon.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut daemon = Self(daemon.spawn()?);
        let mut said = String::new();
        if let Some(stderr) = daemon.0.stderr.take() {
            // It says that it serves.
            BufReader::new(stderr).read_line(&mut said)?;
        }
        if said.starts_with("serving") { Ok(daemon) } else { Err(io::Error::other(format!("no daemon: {said}"))) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The guard ends all of it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How soon the program is there, and what it takes up then.
pub(crate) fn starts(plan: Plan) -> io::Result<()> {
    let floor = places::floor()?;
    let scratch = tempfile::tempdir()?;
    // What it keeps is its own in each round.
    let serving = |entries, state| {
        places::serving(scratch.path(), &floor, entries).map(|command| places::keeping(scratch.path(), state, command))
    };
    title(&format!("the program with {ENTRIES} entries that need {DELAY} ms each"))?;
    let (mut empty, mut full, mut known) = (Series::default(), Series::default(), Series::default());
    let mut kib = Vec::new();
    for round in 0..plan.starts {
        let (took, _) = ready(&serving(Entries::None, round)?, 0)?;
        empty.push(millis(took));
        let (took, memory) = ready(&serving(Entries::Slow, round)?, ENTRIES)?;
        full.push(millis(took) - f64::from(DELAY));
        kib.push(memory);
        let (took, _) = ready(&serving(Entries::Slow, round)?, ENTRIES)?;
        known.push(millis(took));
    }
    kib.sort_unstable();
    let ms = |series: &Series| format!("{:.0} ms", series.median());
    say("first list of tools, no entry", &ms(&empty), &["< 50 ms", ""])?;
    say("first list of tools, beyond what an entry needs", &ms(&full), &["< 50 ms", ""])?;
    say("first list of tools, known from an earlier run", &ms(&known), &["< 50 ms", ""])?;
    say("PSS, idle, daemon and guard", &idle::megabytes(kib[kib.len() / 2]), &["< 12 MB", ""])
}

/// Starts the program, and returns when it lists all tools; then its memory once it is idle.
fn ready(command: &[String], tools: usize) -> io::Result<(Duration, u64)> {
    let begin = Instant::now();
    let mut program = Bare::connect(command)?;
    while program.tools()? < tools {}
    let took = begin.elapsed();
    Ok((took, if tools > 0 { idle::settled(program.child.id()) } else { 0 }))
}

/// One way to the server, with two clients of its own that take turns.
struct Side {
    tool: &'static str,
    blocking: Bare,
    threaded: Threaded,
    blocked: Latency,
    waited: Latency,
    pipelined: Series,
    rate: Series,
}

impl Side {
    fn connect(command: &[String], tool: &'static str) -> io::Result<Self> {
        let mut blocking = Bare::connect(command)?;
        // A front lists once its entries are up.
        blocking.tools()?;
        let mut second = Bare::connect(command)?;
        second.tools()?;
        let threaded = Threaded::over(second, tool)?;
        let (blocked, waited) = (Latency::default(), Latency::default());
        Ok(Self { tool, blocking, threaded, blocked, waited, pipelined: Series::default(), rate: Series::default() })
    }

    /// Measures once; the first round only warms everything up.
    fn round(&mut self, plan: Plan, counts: bool) -> io::Result<()> {
        let waited = self.threaded.callers(1, plan.calls)?.0;
        let blocked = self.blocking.one_by_one(plan.calls, self.tool)?;
        let many = plan.calls * 2;
        let (_, together) = self.threaded.callers(CALLERS, many)?;
        let pipelined = self.blocking.pipelined(many, self.tool, CALLERS)?;
        if counts {
            self.waited.push(&waited);
            self.blocked.push(&blocked);
            self.rate.push(rate(many, together));
            self.pipelined.push(rate(many, pipelined));
        }
        Ok(())
    }
}

/// A client as most are: one thread reads, each caller waits until its answer is handed over.
struct Threaded {
    bare: Mutex<Bare>,
    waiting: std::sync::Arc<Waiting>,
    tool: &'static str,
    reader: Option<thread::JoinHandle<()>>,
}

type Waiting = Mutex<HashMap<usize, Sender<String>>>;

impl Threaded {
    fn over(mut bare: Bare, tool: &'static str) -> io::Result<Self> {
        let stdout = bare.take_stdout().ok_or(io::ErrorKind::BrokenPipe)?;
        let waiting = std::sync::Arc::new(Waiting::default());
        let known = waiting.clone();
        let reader = thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { break };
                // What has no number of ours is a notification.
                if let Ok(Id { id }) = serde_json::from_str(&line)
                    && let Some(caller) = locked(&known).remove(&id)
                {
                    let _ = caller.send(line);
                }
            }
            // Whoever still waits is to learn that nothing comes.
            locked(&known).clear();
        });
        Ok(Self { bare: Mutex::new(bare), waiting, tool, reader: Some(reader) })
    }

    /// So many callers at once, which share the calls; each latency, and the time of all.
    fn callers(&self, callers: usize, calls: usize) -> io::Result<(Vec<Duration>, Duration)> {
        let begin = Instant::now();
        let share = calls / callers;
        let latencies: io::Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
            let all: Vec<_> = (0..callers)
                .map(|caller| scope.spawn(move || (0..share).map(|call| self.call(caller * share + call)).collect()))
                .collect();
            all.into_iter().map(|caller| caller.join().expect("a caller does not panic")).collect()
        });
        Ok((latencies?.concat(), begin.elapsed()))
    }

    fn call(&self, id: usize) -> io::Result<Duration> {
        let line = message::call(id, self.tool);
        let begin = Instant::now();
        let (sender, answer) = mpsc::channel();
        locked(&self.waiting).insert(id, sender);
        locked(&self.bare).stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(line.as_bytes())?;
        check(&answer.recv().map_err(io::Error::other)?)?;
        Ok(begin.elapsed())
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        locked(&self.bare).stdin.take();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

#[derive(Deserialize)]
struct Id {
    id: usize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
