//! Processes that want to outlive what they belong to, known by what they cannot hide: how long they sleep.

use std::{cmp::Reverse, fs, path::Path, time::Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use super::{
    PATIENCE, fake,
    procs::{descriptions, eventually},
    program::text,
};

/// A time to sleep for that nobody else sleeps for, which all processes of one test have among their arguments or
/// variables. Those that still live when it goes are killed.
pub(crate) struct Haunt(String);

/// The variable by which those know it that sleep for no time.
const VARIABLE: &str = "TEST_HAUNT";

impl Haunt {
    pub(crate) fn new() -> Self {
        Self(format!("1000.{:010}", getrandom::u32().unwrap()))
    }

    /// What the processes sleep for.
    pub(crate) fn time(&self) -> &str {
        &self.0
    }

    /// What marks a process that does not sleep.
    pub(crate) fn variable(&self) -> (&str, &str) {
        (VARIABLE, &self.0)
    }

    /// An entry whose server has left a child before it is up, wants to stay, and notes both in the file.
    pub(crate) fn entry(&self, pid_file: &Path, flags: &[&str]) -> Value {
        let script = r#"setsid env -i sleep "$1" >/dev/null 2>&1 & echo $! >> "$2"; shift; exec "$0" --pid-file "$@""#;
        let file = text(pid_file);
        let server = fake::path();
        let args = [&["-c", script, text(&server), &self.0, file, "--ignore-term", "--ignore-eof"], flags].concat();
        json!({ "command": "bash", "args": args, "env": { VARIABLE: self.0 } })
    }

    /// The arguments of `spawn_orphans`, for children of all kinds.
    pub(crate) fn orphans(&self, pid_file: &Path) -> Value {
        json!({ "pidfile": pid_file, "time": self.0, "scatter": true })
    }

    /// The processes that live. One that forks and ends again and again is seen in one of a few looks.
    pub(crate) fn alive(&self) -> Vec<i32> {
        let mut found = Vec::new();
        for _ in 0..5 {
            self.look(|pid| found.push(pid));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Tells of each at once, the newest first: it may be gone when all have been looked at. Those that are not reaped
    /// yet have neither arguments nor variables.
    fn look(&self, mut met: impl FnMut(i32)) {
        let entries = fs::read_dir("/proc").expect("/proc is there");
        let mut pids: Vec<i32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable_by_key(|pid| Reverse(*pid));
        pids.into_iter().filter(|pid| self.is_of(*pid)).for_each(&mut met);
    }

    fn is_of(&self, pid: i32) -> bool {
        let has = |what: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            bytes.windows(self.0.len()).any(|window| window == self.0.as_bytes())
        };
        pid.cast_unsigned() != std::process::id() && (has("cmdline") || has("environ"))
    }

    /// None of them may live now: not soon, at once.
    #[track_caller]
    pub(crate) fn is_over(&self) {
        let left = self.alive();
        assert!(left.is_empty(), "still alive: {:#?}", descriptions(&left));
    }

    /// None of them may live soon.
    #[track_caller]
    pub(crate) fn ends(&self) {
        eventually("nothing of it lives", || self.alive().is_empty());
    }
}

impl Drop for Haunt {
    fn drop(&mut self) {
        let (begin, mut quiet) = (Instant::now(), 0);
        // Several looks in which nobody lives: one alone may have missed somebody.
        while quiet < 10 && begin.elapsed() < PATIENCE {
            quiet += 1;
            self.look(|pid| {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                quiet = 0;
            });
        }
    }
}
