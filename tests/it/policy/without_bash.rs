//! A machine without bash (spec/shell.md 8 and 15): commands run in sh, and nothing passes but what every shell reads alike.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    program::{Run, Scratch, run, text},
    real::cannot,
};

/// Lays nothing over every bash, for what runs in here alone.
const COVER: &str = r#"
IFS=:
for dir in $PATH:/bin:/usr/bin:/usr/local/bin:/opt/homebrew/bin; do
  if [ -e "$dir/bash" ]; then mount --bind /dev/null "$dir/bash" || exit 99; fi
done
exec "$@"
"#;

/// A command in whose eyes there is no bash.
fn covered(mut unshare: Command, program: &Path) -> Command {
    unshare.args(["-rm", "/bin/sh", "-c", COVER, "sh"]).arg(program);
    unshare
}

/// Where sh is, when it is another shell and bash can be hidden; else says that the test is skipped.
fn other_sh() -> Option<PathBuf> {
    let sh = Path::new("/bin/sh").canonicalize().unwrap();
    if sh.ends_with("bash") {
        cannot("sh is bash here");
        return None;
    }
    let tried = covered(Command::new("unshare"), Path::new("true")).stderr(Stdio::null()).status();
    if !matches!(tried, Ok(status) if status.success()) {
        cannot("bash cannot be hidden here: `unshare -rm` does not work, or `mount` in it");
        return None;
    }
    Some(sh)
}

fn scratch(mode: &Value) -> Scratch {
    Scratch::entries(json!({ "sh": { "type": "shell", "mode": mode } }))
}

/// The program with these arguments, which finds no bash.
fn alone(scratch: &Scratch, arguments: &[&str]) -> Run {
    let mut command = covered(scratch.other(Path::new("unshare")), Path::new(env!("CARGO_BIN_EXE_computer")));
    command.args(arguments).arg("--config").arg(scratch.path("config.json"));
    run(command, "")
}

fn command(scratch: &Scratch, command: &str) -> Run {
    alone(scratch, &["call", "sh__run_command", &json!({ "command": command }).to_string(), "--json"])
}

#[test]
fn without_bash_commands_run_in_sh() {
    let Some(sh) = other_sh() else { return };
    let scratch = scratch(&json!("unrestricted"));
    scratch.write("../home/.profile", "export FRUIT=pear\n");
    let ran = command(&scratch, "command -v bash; readlink /proc/$$/exe; echo $FRUIT").ok().json();
    assert!(ran["stdout"].as_str().unwrap().ends_with(&format!("{}\npear\n", text(&sh))), "{ran}");
    let tools = alone(&scratch, &["tools", "--json"]).ok().json();
    assert!(tools.to_string().contains("Runs a command in sh with"), "{tools}");
}

#[test]
fn without_bash_only_what_every_shell_reads_alike_passes() {
    let Some(sh) = other_sh() else { return };
    let scratch = scratch(&json!({ "allowedPatterns": ["^readlink\\s", "^ls\\s"] }));
    let ran = command(&scratch, "readlink /proc/$$/exe && x='a  b'; echo \"$x\" $x | tr a-z A-Z").ok().json();
    assert_eq!(ran["stdout"], format!("{}\nA  B A B\n", text(&sh)), "{ran}");
    let ran = command(&scratch, "f() { echo \"in ${1%x}\"; }; for i in ax; do f $i; done; cat <<E\n$(echo here)\nE");
    assert_eq!(ran.ok().json()["stdout"], "in a\nhere\n");
    for bash_alone in [
        "[[ a == a ]] && ls",
        "cat <<< x",
        "ls <(ls)",
        "ls $'a\\n'",
        "echo ${x//a/b}",
        "ls |& cat",
        "ls &>/dev/null",
        "time ls",
        "case a in a) ls;& b) ls;; esac",
    ] {
        let refused = command(&scratch, bash_alone).exits_with(1);
        assert!(
            refused.json()["error"].as_str().unwrap().contains("(unsupported:"),
            "{bash_alone}: {}",
            refused.stdout
        );
    }
}
