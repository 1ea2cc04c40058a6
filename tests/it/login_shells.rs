//! The user's shell and its start-up files (spec/shell.md 7, 8), as commands meet them.

use std::{fs, path::Path};

use serde_json::json;

use crate::support::{
    client::Client,
    procs::{assert_gone, pids_in},
    program::{Scratch, text},
    real,
};

fn user_of(shell: &Path) -> Scratch {
    let entry = json!({ "type": "shell", "mode": "unrestricted" });
    Scratch::entries(json!({ "sh": entry })).variable("SHELL", text(shell))
}

/// The output of a command, which must succeed.
#[track_caller]
fn printed(client: &mut Client, command: &str) -> String {
    let result = client.call("sh__run_command", &json!({ "command": command }));
    let ran = &result["structuredContent"];
    assert_eq!((&ran["exitCode"], &ran["stderr"]), (&json!(0), &json!("")), "{result}");
    ran["stdout"].as_str().unwrap().to_owned()
}

/// The name of the program that runs commands, as the description says it and as it is.
#[track_caller]
fn runs_in(client: &mut Client, program: &Path) {
    let name = program.file_name().unwrap().to_str().unwrap();
    let listed = client.result("tools/list", json!({}));
    let tools = listed["tools"].as_array().unwrap();
    let run = tools.iter().find(|tool| tool["name"] == "sh__run_command").unwrap();
    assert!(run["description"].as_str().unwrap().contains(&format!("in {name} with")), "{run}");
    let real = printed(client, "readlink /proc/$$/exe; true");
    assert_eq!(real.trim_end(), text(&fs::canonicalize(program).unwrap()));
}

#[test]
fn a_user_of_zsh_has_its_environment_and_commands_run_in_it() {
    let Some(zsh) = real::program("zsh") else { return };
    let scratch = user_of(&zsh);
    scratch.write("../home/.zprofile", "export FROM_ZPROFILE=yes\npath=(~/own $path)\n");
    scratch.write("../home/.zshrc", "echo welcome; export FROM_ZSHRC='two words'; TRAPDEBUG() { echo hook }\n");
    let mut client = Client::connect(&scratch);
    let seen = printed(&mut client, "print -r -- $FROM_ZPROFILE ${(U)FROM_ZSHRC} ${path[1]}");
    assert_eq!(seen, format!("yes TWO WORDS {}/own\n", scratch.home().display()));
    runs_in(&mut client, &zsh);
}

#[test]
fn a_user_of_fish_has_its_environment_and_commands_run_in_bash() {
    let (Some(fish), Some(bash)) = (real::program("fish"), real::program("bash")) else { return };
    let scratch = user_of(&fish);
    let config = "echo welcome\nset -gx FROM_FISH 'two words'\nset -gx PATH ~/own $PATH\nset -g not_exported x\n\
                  if status is-interactive\n  set -gx FROM_INTERACTIVE yes\nend\nfunction hook --on-event fish_exit\n  echo bye\nend\n";
    scratch.write("../home/.config/fish/config.fish", config);
    let mut client = Client::connect(&scratch);
    let seen = printed(&mut client, "echo ${FROM_FISH^^} $FROM_INTERACTIVE ${PATH%%:*} ${not_exported-none}");
    assert_eq!(seen, format!("TWO WORDS yes {}/own none\n", scratch.home().display()));
    runs_in(&mut client, &bash);
}

#[test]
fn a_user_of_bash_who_goes_on_in_zsh_has_what_was_set_before() {
    let Some(zsh) = real::program("zsh") else { return };
    let scratch = user_of(Path::new("/bin/bash"));
    let profile = "export FRUIT=pear\ncase $- in *i*) exec zsh;; esac\n";
    scratch.write("../home/.bash_profile", profile);
    scratch.write("../home/.zshrc", "export FRUIT=plum\n");
    let mut client = Client::connect(&scratch);
    assert_eq!(printed(&mut client, "echo $FRUIT"), "pear\n", "{}", zsh.display());
}

/// What a profile does, whether what it exported before is there all the same, and how often it is run for that.
const ODD: [(&str, bool, usize); 17] = [
    ("echo welcome; echo welcome >&2", true, 1),
    ("read -r -p 'Start the agent? ' answer", true, 1),
    ("read -r answer < /dev/tty", true, 1),
    ("tput setaf 1; tput cols; stty -ixon; clear", true, 1),
    ("sleep 1000 & echo $! >> ~/children", true, 1),
    ("(trap '' TERM HUP; setsid sleep 1000 & echo $! >> ~/children)", true, 1),
    ("head -c 100M /dev/zero | tr '\\0' x", true, 1),
    ("printf 'caf\\377\\n'; export BAD=$'\\377'", true, 1),
    ("export SONG=$'one\\nFRUIT=plum\\n\\nlast'", true, 1),
    ("hook() { echo hook; }; export -f hook; trap hook DEBUG", true, 1),
    // An interactive shell goes on after a failure that others die of.
    ("set -u; echo $no_such_variable", true, 1),
    ("exit 3", false, 2),
    ("set -e; false", false, 2),
    ("kill -KILL $$", false, 2),
    ("exec bash", false, 2),
    ("exec cat", false, 2),
    ("case $- in *i*) exit 3;; esac", true, 2),
];

#[test]
fn odd_profiles_are_run_once_and_cost_no_command() {
    for (profile, survives, runs) in ODD {
        let scratch = user_of(Path::new("/bin/bash"));
        scratch.write("../home/.bash_profile", &format!("printf x >> ~/runs; export FRUIT=pear\n{profile}\n"));
        let mut client = Client::connect(&scratch);
        let fruit = if survives { "pear" } else { "none" };
        for _ in 0..2 {
            assert_eq!(printed(&mut client, "echo ${FRUIT-none}"), format!("{fruit}\n"), "{profile}");
        }
        assert_eq!(fs::read(scratch.home().join("runs")).unwrap().len(), runs, "{profile}");
        if profile.contains("SONG") {
            assert_eq!(printed(&mut client, "printf %s \"$SONG\""), "one\nFRUIT=plum\n\nlast");
        }
        if profile.contains("children") {
            assert_gone(&pids_in(&scratch.home().join("children")));
        }
    }
}

#[test]
fn a_profile_that_never_ends_is_waited_for_once() {
    let scratch = user_of(Path::new("/bin/bash"));
    scratch.write("../home/.bash_profile", "printf x >> ~/runs; export FRUIT=pear; while :; do :; done\n");
    let mut client = Client::connect(&scratch);
    for _ in 0..3 {
        assert_eq!(printed(&mut client, "echo ${FRUIT-none}"), "none\n");
    }
    // As an interactive shell and as another: no command has it run again.
    assert_eq!(fs::read(scratch.home().join("runs")).unwrap().len(), 2);
}
