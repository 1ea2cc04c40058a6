//! What a killed run has left is ended by the next one, and nobody else (spec/computer.md 34).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    client::Client,
    fake::fake,
    haunt::Haunt,
    procs::{alive, eventually, is_stopped, pids_in, signal},
    program::{Scratch, run, text},
};

/// A program that runs, with processes that outlive it when it and its guard are killed at one moment.
struct Doomed {
    scratch: Scratch,
    haunt: Haunt,
    client: Client,
    daemon: i32,
}

impl Doomed {
    fn new() -> Self {
        Self::beside(Scratch::new())
    }

    /// In the home of another one.
    fn beside(scratch: Scratch) -> Self {
        let haunt = Haunt::new();
        let file = scratch.path(haunt.time());
        let entries = json!({ "fake": haunt.entry(&file, &[]), "shell": { "type": "shell", "mode": "unrestricted" } });
        let scratch = scratch.config(&json!({ "mcpServers": entries }));
        let client = Client::connect(&scratch);
        let daemon = client.daemon();
        Self { scratch, haunt, client, daemon }
    }

    fn leave_orphans(&mut self) {
        self.client.call("fake__spawn_orphans", &self.haunt.orphans(&self.scratch.path("orphans")));
    }

    /// Kills the guard and the daemon before either can do anything about the death of the other.
    fn kill(&mut self) {
        let guard = self.client.guard();
        // The guard's end would wake a daemon that stands still; the daemon's wakes no guard.
        signal(guard, Signal::SIGSTOP);
        eventually("the guard stands still", || is_stopped(guard));
        signal(self.daemon, Signal::SIGKILL);
        signal(guard, Signal::SIGKILL);
        self.client.exited();
        eventually("the daemon is dead", || !alive(self.daemon));
    }

    /// Starts the next run, in the same home.
    fn next_start(&self) {
        run(next(&self.scratch), "").ok();
    }

    fn records(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(records(&self.scratch)).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }
}

fn records(scratch: &Scratch) -> PathBuf {
    scratch.home().join(".local/state/computer/runs")
}

/// A verb that starts a server.
fn next(scratch: &Scratch) -> Command {
    let config = json!({ "mcpServers": { "any": fake::<&str>([]) } });
    let config = scratch.write("next.json", &config.to_string());
    let mut command = scratch.other(env!("CARGO_BIN_EXE_computer").as_ref());
    command.args(["status", "--config", text(&config)]);
    command
}

#[test]
fn what_outlives_a_daemon_and_its_guard_is_ended_by_the_next_start() {
    let mut doomed = Doomed::new();
    doomed.leave_orphans();
    doomed.kill();
    let left = doomed.haunt.alive();
    assert!(left.len() >= 2, "what has escaped its parents lives: {left:?}");
    let mut next = Client::connect(&doomed.scratch);
    assert!(left.iter().all(|pid| !alive(*pid)), "it is over before there is a server again");
    next.says("processes that an earlier run has left");
    next.says("sleep");
    let record = doomed.records();
    assert_eq!(record.len(), 1, "the run that lives has a record, and the dead one has none: {record:?}");
    next.close();
    next.exited();
    assert_eq!(doomed.records(), Vec::<PathBuf>::new());
    doomed.haunt.is_over();
}

#[test]
fn a_start_that_starts_no_server_ends_what_was_left_too() {
    let mut doomed = Doomed::new();
    doomed.leave_orphans();
    doomed.kill();
    assert!(doomed.haunt.alive().len() >= 2, "what has escaped its parents lives");
    let config = doomed.scratch.write("none.json", &json!({ "mcpServers": {} }).to_string());
    let mut status = doomed.scratch.other(env!("CARGO_BIN_EXE_computer").as_ref());
    status.args(["status", "--config", text(&config)]);
    run(status, "");
    assert_eq!(doomed.haunt.alive(), Vec::<i32>::new());
}

#[test]
fn a_daemon_that_has_only_deferred_entries_ends_what_was_left() {
    let mut doomed = Doomed::new();
    doomed.leave_orphans();
    doomed.kill();
    let mut deferred = fake::<&str>([]);
    deferred["deferred"] = json!(true);
    let scratch = Scratch::in_the_home_of(&doomed.scratch).config(&json!({ "mcpServers": { "any": deferred } }));
    let next = Client::connect(&scratch);
    eventually("nothing of it is left", || doomed.haunt.alive().is_empty());
    drop(next);
}

#[test]
fn nothing_is_said_where_nothing_was_left() {
    let mut doomed = Doomed::new();
    doomed.kill();
    doomed.next_start();
    doomed.haunt.is_over();
    let client = Client::connect(&doomed.scratch);
    assert_eq!(client.stderr(), "");
}

#[test]
fn a_record_is_for_us_alone_and_only_as_long_as_it_is_needed() {
    let mut doomed = Doomed::new();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let [record] = &doomed.records()[..] else { panic!("one run: {:?}", doomed.records()) };
    assert_eq!((mode(&records(&doomed.scratch)), mode(record)), (0o700, 0o600));
    assert!(record.file_name().unwrap().to_str().unwrap().starts_with(&format!("{}-", doomed.daemon)));
    doomed.client.close();
    assert!(doomed.client.exited().success());
    assert_eq!(doomed.records(), Vec::<PathBuf>::new());
}

#[test]
fn daemons_that_live_are_left_alone() {
    let mut kept = Doomed::new();
    kept.leave_orphans();
    let pids = pids_in(&kept.scratch.path("orphans"));
    let mut doomed = Doomed::beside(Scratch::in_the_home_of(&kept.scratch));
    doomed.leave_orphans();
    doomed.kill();
    doomed.next_start();
    doomed.haunt.is_over();
    assert!(pids.iter().all(|pid| alive(*pid)));
    assert_eq!(kept.client.call_text("fake__echo", &json!({ "message": "still there" })), "still there");
    assert_eq!(kept.records().len(), 1);
}

#[test]
fn what_looks_alike_but_is_older_than_the_dead_run_is_left_alone() {
    let elder = Haunt::new();
    let mut sleep = Command::new("sleep");
    let older = sleep.arg(elder.time()).stdout(Stdio::null()).spawn().unwrap().id().cast_signed();
    // Who was started in the same tick of the clock is no older.
    eventually("the clock has ticked", || {
        let mut later = Command::new("true").spawn().unwrap();
        let ticked = started(later.id().cast_signed()) > started(older);
        later.wait().unwrap();
        ticked
    });
    let mut doomed = Doomed::new();
    let server = pids_in(&doomed.scratch.path(doomed.haunt.time()))[1];
    let mark = soft_limit(server);
    let marking = ["--pid", &older.to_string(), &format!("--rttime={mark}:")];
    assert!(Command::new("prlimit").args(marking).status().unwrap().success());
    assert_eq!(soft_limit(older), mark, "they look alike");
    doomed.leave_orphans();
    doomed.kill();
    doomed.next_start();
    doomed.haunt.is_over();
    assert!(alive(older));
}

/// When a process was started, in ticks; one that is not reaped yet may have ended.
fn started(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap()
}

/// In which the mark is.
fn soft_limit(pid: i32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout")).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_computer_within_a_dead_one_goes_with_it_and_all_that_it_has_left() {
    let mut outer = Doomed::new();
    let inner = Haunt::new();
    let file = outer.scratch.path("inner pids");
    let config = json!({ "mcpServers": { "fake": inner.entry(&file, &[]) } });
    let config = outer.scratch.write("inner.json", &config.to_string());
    let serve = format!("setsid {} serve --stdio --config {}", env!("CARGO_BIN_EXE_computer"), text(&config));
    let command = format!("tail -f /dev/null | {serve} >/dev/null 2>&1 &");
    outer.client.call("shell__run_command", &json!({ "command": command }));
    eventually("the inner one is up", || pids_in(&file).len() == 2);
    eventually("it has a record", || outer.records().len() == 2);
    outer.kill();
    assert!(pids_in(&file).iter().all(|pid| alive(*pid)), "the inner one lives on");
    outer.next_start();
    inner.is_over();
    outer.haunt.is_over();
    assert_eq!(outer.records(), Vec::<PathBuf>::new());
}

#[test]
fn several_may_start_at_the_same_moment() {
    let mut doomed = Doomed::new();
    doomed.leave_orphans();
    doomed.kill();
    let starts: Vec<_> = (0..4).map(|_| next(&doomed.scratch)).collect();
    let starts: Vec<_> = starts.into_iter().map(|next| thread::spawn(|| run(next, ""))).collect();
    for start in starts {
        start.join().unwrap().ok();
    }
    doomed.haunt.is_over();
    assert_eq!(doomed.records(), Vec::<PathBuf>::new());
}

#[test]
fn it_works_where_no_record_can_be_written() {
    let scratch = Scratch::new();
    fs::create_dir_all(records(&scratch).parent().unwrap()).unwrap();
    fs::write(records(&scratch), "in the way").unwrap();
    let mut doomed = Doomed::beside(scratch);
    assert_eq!(doomed.client.call_text("fake__echo", &json!({ "message": "works" })), "works");
    assert_eq!(doomed.client.stderr(), "");
    doomed.client.close();
    assert!(doomed.client.exited().success());
}
