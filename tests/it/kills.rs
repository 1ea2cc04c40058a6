//! A busy run that is killed at any moment, again and again: `scripts/kills` does it a hundred times.

use std::{
    fs, io,
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::support::{
    PATIENCE,
    fake::fake,
    haunt::Haunt,
    procs::{children, descriptions},
    program::{Scratch, run, text},
};

/// How often, unless the variable `KILLS` says otherwise.
const ROUNDS: usize = 12;

/// How long a killed run may have processes (spec/computer.md 31).
const LIMIT: Duration = Duration::from_secs(2);

/// The latest moment. Entries are up well before, and have been restarted some times.
const LATEST: u64 = 1200;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Daemon,
    Guard,
    GuardsGroup,
    DaemonsGroup,
    /// One right after the other, as `pkill` does it.
    Both,
    /// Neither notices that the other is dead.
    BothAtOnce,
}

const VICTIMS: [Victim; 6] =
    [Victim::Daemon, Victim::Guard, Victim::GuardsGroup, Victim::DaemonsGroup, Victim::Both, Victim::BothAtOnce];

#[test]
#[expect(clippy::print_stdout, reason = "the number is what it is run for")]
fn nothing_is_left_of_a_busy_run_that_is_killed_at_any_moment() {
    let (rounds, limit) = match number("KILLS") {
        Some(rounds) => (usize::try_from(rounds).unwrap(), LIMIT),
        // Among other tests on a small machine nothing is measured.
        None => (ROUNDS, PATIENCE),
    };
    let seed = number("SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    let (mut dice, mut met, mut slowest) = (Dice(seed | 1), 0, [Duration::ZERO; VICTIMS.len()]);
    for round in 0..rounds {
        let turn = round % VICTIMS.len();
        let (victim, moment) = (VICTIMS[turn], Duration::from_millis(dice.below(LATEST)));
        let mut busy = Busy::new(Dice(dice.below(u64::MAX) | 1));
        // Not a wait for anything: the moment is what is tried.
        thread::sleep(moment);
        met += busy.haunt.alive().len();
        let (left, took) = busy.killed(victim, limit);
        let told = format!("SEED={seed}, round {round}: {victim:?} after {moment:?}");
        assert!(left.is_empty(), "{told}: left {limit:?} later: {:#?}", descriptions(&left));
        slowest[turn] = slowest[turn].max(took);
    }
    println!("{rounds} kills (SEED={seed}) of {met} processes in all: 0 were left");
    for (victim, took) in VICTIMS.iter().zip(slowest) {
        println!("  {victim:?}: nothing lived after {took:?}, at most");
    }
    assert!(met > 5 * rounds, "they were busy: {met}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        for shift in [13, -7, 17] {
            self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
        }
        self.0 % end
    }
}

/// A program whose entries are called, crash and are started anew, all of them with children that want to stay.
struct Busy {
    program: Child,
    haunt: Haunt,
    scratch: Scratch,
}

impl Busy {
    fn new(dice: Dice) -> Self {
        let (scratch, haunt) = (Scratch::new(), Haunt::new());
        let first = config(&scratch, &haunt, 0);
        let scratch = scratch.config(&first);
        let (name, value) = haunt.variable();
        let mut serve = scratch.command(["serve", "--stdio"]);
        serve.env(name, value).process_group(0);
        let mut program = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (stdin, mut stdout) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        let place =
            Place { config: scratch.path("config.json"), orphans: scratch.path("orphans"), keep: scratch.keep() };
        let (work, configs) = (work(&haunt, &place), (0..8).map(|n| config(&scratch, &haunt, n)).collect());
        thread::spawn(move || drive(stdin, (work, configs), &place, dice));
        Self { program, haunt, scratch }
    }

    fn guard(&self) -> i32 {
        self.program.id().cast_signed()
    }

    /// None when it is not there yet.
    fn daemon(&self) -> Option<i32> {
        let serves =
            |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"config.json\0"));
        children(self.guard()).into_iter().find(serves)
    }

    /// Who lives `limit` after the kill (where nobody is left to see to it, after the next start), and how long it took
    /// until nobody did.
    fn killed(&mut self, victim: Victim, limit: Duration) -> (Vec<i32>, Duration) {
        let (guard, daemon) = (self.guard(), self.daemon());
        // Who is dead already cannot be told so.
        let at = |pid: i32, signal| kill(Pid::from_raw(pid), signal).unwrap_or(());
        // Where there is no daemon yet, there is a guard.
        let daemon = daemon.unwrap_or(guard);
        match victim {
            Victim::Daemon => at(daemon, Signal::SIGKILL),
            Victim::Guard => at(guard, Signal::SIGKILL),
            Victim::GuardsGroup => killpg(Pid::from_raw(guard), Signal::SIGKILL).unwrap_or(()),
            // It may have no group of its own yet.
            Victim::DaemonsGroup => {
                killpg(Pid::from_raw(daemon), Signal::SIGKILL).unwrap_or_else(|_| at(daemon, Signal::SIGKILL));
            }
            Victim::Both => {
                at(guard, Signal::SIGKILL);
                at(daemon, Signal::SIGKILL);
            }
            Victim::BothAtOnce => {
                at(daemon, Signal::SIGSTOP);
                at(guard, Signal::SIGKILL);
                at(daemon, Signal::SIGKILL);
            }
        }
        let mut begin = Instant::now();
        self.program.wait().unwrap();
        if matches!(victim, Victim::Both | Victim::BothAtOnce) {
            self.next_start();
            begin = Instant::now();
        }
        let mut left = self.haunt.alive();
        while !left.is_empty() && begin.elapsed() < limit {
            thread::sleep(Duration::from_millis(5));
            left = self.haunt.alive();
        }
        (left, begin.elapsed())
    }

    fn next_start(&self) {
        let config = json!({ "mcpServers": { "any": fake::<&str>([]) } });
        let config = self.scratch.write("next.json", &config.to_string());
        let mut next = self.scratch.other(env!("CARGO_BIN_EXE_computer").as_ref());
        next.args(["status", "--config", text(&config)]);
        run(next, "").ok();
    }
}

/// Two servers that leave children at each start, and a shell. Each number makes servers that differ from the others.
fn config(scratch: &Scratch, haunt: &Haunt, number: usize) -> Value {
    let server = |name: &str, number: usize| {
        let mut entry = haunt.entry(&scratch.path(name), &[]);
        entry["env"]["NUMBER"] = json!(number.to_string());
        entry
    };
    json!({ "mcpServers": { "a": server("a", number / 2), "b": server("b", number), "shell": { "type": "shell", "mode": "unrestricted" } } })
}

struct Place {
    config: std::path::PathBuf,
    orphans: std::path::PathBuf,
    keep: std::sync::Arc<tempfile::TempDir>,
}

/// The calls, as tools with arguments.
fn work(haunt: &Haunt, place: &Place) -> Vec<(&'static str, Value)> {
    let time = haunt.time();
    let shell = |command: String| ("shell__run_command", json!({ "command": command }));
    let orphans = haunt.orphans(&place.orphans);
    let lasting = json!({ "pidfile": place.orphans, "time": time });
    vec![
        ("a__spawn_orphans", orphans),
        shell(format!("setsid sleep {time} & (trap '' TERM; exec sleep {time}) & echo")),
        ("b__spawn_orphans", lasting),
        ("b__crash", json!({})),
        shell(format!("sleep {time}")),
        ("a__echo", json!({ "message": "x" })),
        shell(format!("setsid env -i sh -c 'sleep {time} & setsid sleep {time} &'")),
        ("a__hang", json!({})),
    ]
}

/// Calls, and changes the config, until the program is gone.
fn drive(mut stdin: impl Write, work: (Vec<(&str, Value)>, Vec<Value>), place: &Place, mut dice: Dice) {
    let (calls, configs) = work;
    let client = json!({ "name": "test", "version": "0" });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    let mut said = vec![
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ];
    for id in 1.. {
        let index = if id <= calls.len() { id - 1 } else { below(&mut dice, calls.len()) };
        let (name, arguments) = &calls[index];
        // One that is never at rest is enough for one processor.
        if id <= calls.len() || *name != "a__spawn_orphans" {
            let params = json!({ "name": name, "arguments": arguments });
            said.push(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }));
        }
        if said.drain(..).any(|line| writeln!(stdin, "{line}").is_err()) {
            break;
        }
        if dice.below(8) == 0 {
            let text = configs[below(&mut dice, configs.len())].to_string();
            fs::write(&place.config, text).expect("the directory is kept");
        }
        thread::sleep(Duration::from_millis(dice.below(40)));
    }
    assert!(place.keep.path().exists());
}

fn below(dice: &mut Dice, end: usize) -> usize {
    usize::try_from(dice.below(end as u64)).unwrap()
}
