//! Scripts in real shells, with programs on PATH that only write down how they were started: whatever was started had
//! been seen by the parser, and what is rendered starts what the original starts.
//!
//! `POLICY_SCRIPTS` is how many scripts are tried.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mcp_computer::{
    config::PolicyConfig,
    policy::{Place, Policy, Verdict},
};
use tempfile::TempDir;

use super::{
    Row,
    grammar::{Dice, STUBS, mutated, script},
    table,
};
use crate::support::real::cannot;

/// A directory with programs that write down how they were started.
struct Stage {
    dir: TempDir,
}

const REAL: [(&str, &str); 5] =
    [("bash", "bash"), ("sh", "dash"), ("timeout", "timeout"), ("env", "env"), ("cat", "cat")];

impl Stage {
    fn new() -> Self {
        let stage = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(stage.path("bin")).unwrap();
        fs::create_dir(stage.path("work")).unwrap();
        for file in ["work/a1", "work/file", "work/b c"] {
            fs::write(stage.path(file), "").unwrap();
        }
        // One write each: those in a pipeline write at the same time.
        let stub = "#!/bin/sh\nr=${0##*/}\nfor a; do r=\"$r\u{1f}$a\"; done\nprintf '%s\u{1e}' \"$r\" >>\"$STAGE_LOG\"\necho out\n";
        for name in STUBS {
            let path = stage.path(&format!("bin/{name}"));
            fs::write(&path, stub).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, real) in REAL {
            symlink(
                which(real).unwrap_or_else(|| panic!("{real} is not installed")),
                stage.path(&format!("bin/{name}")),
            )
            .unwrap();
        }
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a shell starts for this text: each program with its arguments.
    fn run(&self, shell: &[&str], text: &str) -> Vec<Vec<String>> {
        let log = self.path("log");
        fs::write(&log, "").unwrap();
        let status = Command::new(which("unshare").unwrap())
            // Nothing out there can be reached, and no process but its own can be ended.
            .args(["-rnpf", "--kill-child", "timeout", "-s", "KILL", "5"])
            .args(shell)
            .arg(text)
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("work"))
            .env("STAGE_LOG", &log)
            .env("FUNCNEST", "20")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.unwrap();
        let written = fs::read(&log).unwrap();
        let text = String::from_utf8_lossy(&written);
        let mut started: Vec<Vec<String>> =
            text.split_terminator('\u{1e}').map(|entry| entry.split('\u{1f}').map(str::to_owned).collect()).collect();
        // Those in a pipeline come in any order.
        started.sort();
        started
    }

    fn bash(&self, text: &str) -> Vec<Vec<String>> {
        self.run(&[self.path("bin/bash").to_str().unwrap(), "-p", "--noprofile", "--norc", "-c"], text)
    }

    fn dash(&self, text: &str) -> Vec<Vec<String>> {
        self.run(&[self.path("bin/sh").to_str().unwrap(), "-c"], text)
    }
}

fn which(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists())
}

fn can_unshare() -> bool {
    let tried =
        which("unshare").map(|unshare| Command::new(unshare).args(["-rnpf", "true"]).stderr(Stdio::null()).status());
    matches!(tried, Some(Ok(status)) if status.success())
}

/// Everything that is understood may run.
pub(crate) fn everything() -> Policy {
    let json = serde_json::json!({ "allowedPatterns": ["(?s).*"], "allowWrites": ["**"] });
    Policy::new(&PolicyConfig::of_json(&json).unwrap()).unwrap()
}

/// Whether the parser saw this start: in words, as far as they are known to it.
fn was_seen(verdict: &Verdict, started: &[String]) -> bool {
    let live = |word: &String| word.contains(['$', '*', '?', '[', '~', '<', '>']);
    let equal = |words: &Vec<String>| words == started || (words.first() == started.first() && words.iter().any(live));
    verdict.commands.iter().any(|command| equal(&command.words))
}

/// What a mutation must not be let do here, whoever reads it.
fn is_harmless(text: &str) -> bool {
    let plain = text.replace("/dev/null", "");
    !plain.contains('/') && !plain.contains("..") && !plain.contains("kill") && !plain.contains("exec")
}

#[test]
fn what_shells_start_was_seen_and_what_is_rendered_starts_the_same() {
    if !can_unshare() {
        cannot("`unshare -rnpf` does not work here; the scripts are not run in shells");
        return;
    }
    let scripts = std::env::var("POLICY_SCRIPTS").ok().and_then(|count| count.parse().ok()).unwrap_or(150);
    let (stage, policy, any_shell) = (Stage::new(), everything(), everything().for_any_shell());
    let place = Place::new(stage.path("work"));
    // A long one says no more than a short one here.
    let rows: Vec<Row> = table().1.into_iter().filter(|row| row.command.len() < 500).collect();
    let (mut tried, mut allowed, mut differences) = (0, 0, Vec::new());
    for seed in 0..scripts {
        let mut dice = Dice::new(seed + 1);
        let portable = dice.below(2) == 0;
        let mut text = script(&mut dice, portable);
        let wild = dice.below(2) == 0;
        if wild {
            // Half of them grow out of the table.
            if dice.below(2) == 0 {
                text.clone_from(&rows[dice.below(rows.len())].command);
            }
            text = mutated(&mut dice, &text);
        }
        let verdict = policy.judge(&text, &place);
        let Some(rendered) = &verdict.rendered else {
            if std::env::var_os("POLICY_SAY").is_some() {
                eprintln!("{} {text:?}", verdict.rule.unwrap());
            }
            continue;
        };
        if !is_harmless(&text) {
            continue;
        }
        tried += 1;
        let original = stage.bash(&text);
        let unseen = original.iter().filter(|started| !was_seen(&verdict, started));
        differences.extend(unseen.map(|started| format!("{text:?}\n  bash started {started:?}, which nobody saw")));
        // What bash alone reads so is refused where the shell may be another.
        let by_any = any_shell.judge(&text, &place);
        if let Some(rendered) = &by_any.rendered {
            let mut by_dash = stage.dash(rendered);
            if portable && !wild {
                by_dash.extend(stage.dash(&text));
            }
            for started in by_dash.iter().filter(|started| !was_seen(&by_any, started)) {
                differences.push(format!("{text:?}\n  dash started {started:?}, which nobody saw"));
            }
        }
        allowed += 1;
        let again = stage.bash(rendered);
        // An error that abandons a line abandons all of what is rendered, which is one command.
        let as_one = || stage.bash(&format!("{{\n{text}\n}}"));
        if again != original && again != as_one() {
            differences
                .push(format!("{text:?}\n  starts   {original:?}\n  rendered {rendered:?}\n  starts   {again:?}"));
        }
    }
    eprintln!(
        "{tried} of {scripts} scripts were understood and run, {allowed} rendered; {} differences",
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(tried * 4 > scripts, "{tried} of {scripts}: most scripts are understood");
}
