//! Shells complete the verbs, and the man page has them all.

use std::process::Command;

use crate::support::{
    program::{Scratch, run, text},
    real,
};

/// The verbs, as the help lists them.
fn verbs() -> Vec<String> {
    let help = Scratch::new().run(["--help"]).ok().stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that begins deeper goes on with the one before.
    let verbs = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<String> = verbs.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(verbs.contains(&"serve".to_owned()) && verbs.contains(&"doctor".to_owned()), "{help}");
    verbs
}

fn completions(scratch: &Scratch, shell: &str) -> String {
    let script = scratch.run(["completions", shell]).ok().stdout;
    text(&scratch.write(&format!("complete.{shell}"), &script)).to_owned()
}

/// What a shell prints that runs this.
fn printed(scratch: &Scratch, shell: &std::path::Path, script: &str) -> String {
    let mut command: Command = scratch.other(shell);
    command.args(["-c", script]);
    run(command, "").ok().stdout
}

#[test]
fn bash_completes_verbs_and_their_options() {
    let Some(bash) = real::program("bash") else { return };
    let scratch = Scratch::new();
    let file = completions(&scratch, "bash");
    let complete = |words: &str, at: usize| {
        let script = format!(
            "source {file}; COMP_WORDS=({words}); COMP_CWORD={at}; _computer computer \"${{COMP_WORDS[{at}]}}\" x; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        printed(&scratch, &bash, &script).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("computer stat", 1), ["status"]);
    assert_eq!(complete("computer doctor --js", 2), ["--json"]);
    assert_eq!(complete("computer completions z", 2), ["zsh"]);
    let all = complete("computer ''", 1);
    for verb in verbs() {
        assert!(all.contains(&verb), "{verb}: {all:?}");
    }
}

#[test]
fn fish_and_zsh_take_theirs() {
    let scratch = Scratch::new();
    if let Some(fish) = real::program("fish") {
        let file = completions(&scratch, "fish");
        let offered = printed(&scratch, &fish, &format!("source {file}; complete -C 'computer st'"));
        assert!(offered.lines().any(|line| line.starts_with("status")), "{offered}");
    }
    if let Some(zsh) = real::program("zsh") {
        let file = completions(&scratch, "zsh");
        let script = format!("autoload -U compinit; compinit -D -u; source {file}; print $+functions[_computer]");
        assert_eq!(printed(&scratch, &zsh, &script).trim(), "1");
    }
    let zsh = scratch.run(["completions", "zsh"]).ok().stdout;
    for verb in verbs() {
        assert!(zsh.contains(&format!("({verb})")), "{verb}");
    }
    scratch.run(["completions", "csh"]).fails_with(2);
}

#[test]
fn the_man_page_is_sound_and_has_every_verb_and_its_options() {
    let scratch = Scratch::new();
    let page = scratch.run(["man"]).ok().stdout;
    let file = scratch.write("computer.1", &page);
    for verb in verbs().iter().filter(|verb| *verb != "help") {
        assert!(page.contains(&format!("\n.SH \"COMPUTER {}\"\n", verb.to_uppercase())), "{verb}");
    }
    assert!(page.contains("\n\\fBcomputer serve\\fR\n") && !page.contains("serve(1)"), "there are no other pages");
    let Some(groff) = real::program("groff") else { return };
    let mut command = scratch.other(&groff);
    command.args(["-man", "-Tascii", "-P-cbou", "-ww", text(&file)]);
    let shown = run(command, "").ok();
    assert_eq!(shown.stderr, "");
    for words in ["COMPUTER SERVE", "--allow-remote", "COMPUTER SERVICE INSTALL", "Print the man page"] {
        assert!(shown.stdout.contains(words), "{words}: {}", shown.stdout);
    }
}
