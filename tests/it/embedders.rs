//! Nothing is left behind by a program that has a Computer inside, however it ends (spec/computer.md 33): the real
//! example, with the guard and without.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, ExitStatus, Stdio},
};

use nix::sys::signal::Signal;

use crate::support::{
    fake,
    haunt::Haunt,
    procs::{alive, assert_gone, children, eventually, pids_in, signal},
    program::{Scratch, text},
};

/// `examples/embed` with a stubborn server that has left children of every kind.
struct Embedder {
    program: Child,
    _output: BufReader<ChildStdout>,
    server: i32,
    orphans: Vec<i32>,
    haunt: Haunt,
    scratch: Scratch,
}

const WITHOUT: &str = "--without-guard";

impl Embedder {
    fn new(flags: &[&str]) -> Self {
        let (scratch, haunt) = (Scratch::new(), Haunt::new());
        let (pids, orphans) = (scratch.path("pids"), scratch.path("orphans"));
        let mut program = scratch.other(&fake::example("embed"));
        program.args(flags).arg(fake::path()).args(["--pid-file", text(&pids), "--ignore-term", "--ignore-eof"]);
        let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(program.stdout.take().unwrap());
        let guard = if flags.contains(&WITHOUT) { "none" } else { "parent" };
        hear(&mut output, &format!("guard: {guard}"));
        let stdin = program.stdin.as_mut().unwrap();
        writeln!(stdin, "server__spawn_orphans {}", haunt.orphans(&orphans)).unwrap();
        hear(&mut output, "\"left\"");
        let orphans = pids_in(&orphans);
        assert!(orphans.len() == 7 && orphans.iter().all(|pid| alive(*pid)), "{orphans:?}");
        Self { program, _output: output, server: pids_in(&pids)[0], orphans, haunt, scratch }
    }

    /// The process that we started.
    fn first(&self) -> i32 {
        self.program.id().cast_signed()
    }

    /// The one that has the Computer.
    fn second(&self) -> i32 {
        let above = |pid: &i32| children(*pid).contains(&self.server);
        children(self.first()).into_iter().find(above).expect("the server's parent is a child of the guard")
    }

    /// Closes its stdin and waits for its end.
    fn finish(&mut self) -> ExitStatus {
        drop(self.program.stdin.take());
        self.exited()
    }

    fn exited(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("it exits", || {
            status = self.program.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Nothing lives soon.
    #[track_caller]
    fn ends(&self) {
        eventually("nothing of it lives", || !alive(self.server) && self.orphans.iter().all(|pid| !alive(*pid)));
        self.haunt.ends();
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn hear(output: &mut BufReader<ChildStdout>, wanted: &str) {
    let mut heard = String::new();
    while !heard.contains(wanted) {
        let begin = heard.len();
        output.read_line(&mut heard).unwrap();
        assert!(heard.len() > begin, "it has ended and not said `{wanted}`: {heard}");
    }
}

/// Whatever ends the program, and its exit status where it has one.
const ENDS: [(&str, Option<i32>); 6] = [
    ("stop", Some(0)),
    ("drop", Some(0)),
    ("panic", Some(101)),
    ("task-panic", Some(1)),
    ("exit", Some(3)),
    ("abort", None),
];

#[test]
fn nothing_is_left_of_a_program_with_the_guard_however_it_ends() {
    for (end, code) in ENDS {
        let mut embedder = Embedder::new(&["--end", end]);
        assert_eq!(embedder.finish().code(), code, "{end}");
        assert_gone(&embedder.orphans);
        embedder.haunt.is_over();
    }
}

#[test]
fn nothing_is_left_of_a_program_with_the_guard_whatever_it_is_killed_by() {
    for cause in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGABRT] {
        for who in [Embedder::first, Embedder::second] {
            let mut embedder = Embedder::new(&[]);
            signal(who(&embedder), cause);
            embedder.exited();
            embedder.ends();
        }
    }
}

#[test]
fn nothing_is_left_of_a_program_without_the_guard_that_drops_what_it_has() {
    for (end, code) in &ENDS[..4] {
        let mut embedder = Embedder::new(&[WITHOUT, "--end", end]);
        assert_eq!(embedder.finish().code(), *code, "{end}");
        embedder.ends();
    }
}

#[test]
fn without_the_guard_children_go_with_a_program_that_drops_nothing_and_the_next_one_ends_the_rest() {
    for end in ["exit", "abort", "SIGKILL", "SIGTERM"] {
        let mut embedder = Embedder::new(&[WITHOUT, "--end", end]);
        match end.parse() {
            Ok(cause) => signal(embedder.first(), cause),
            Err(_) => drop(embedder.program.stdin.take()),
        }
        embedder.exited();
        eventually("the server is gone", || !alive(embedder.server));
        assert!(embedder.orphans.iter().any(|pid| alive(*pid)), "nobody was there to end them");
        let mut next = embedder.scratch.other(&fake::example("embed"));
        next.arg(WITHOUT).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(next.status().unwrap().success());
        assert_gone(&embedder.orphans);
        embedder.haunt.is_over();
    }
}
