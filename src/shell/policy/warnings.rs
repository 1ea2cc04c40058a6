//! What a user should think twice about in a policy.

use super::{Policy, interpreters};
use crate::config::PolicyConfig;

/// Programs that run others, write anywhere, or change what runs, with a command line that shows it.
const RUNNERS: [(&str, &str); 24] = [
    ("git", "git -c alias.x='!cmd' x"),
    ("find", "find . -delete"),
    ("xargs", "xargs cmd"),
    ("awk", "awk 'BEGIN { system(\"cmd\") }'"),
    ("sed", "sed 's/x/cmd/e' file"),
    ("tar", "tar --checkpoint-action=exec=cmd"),
    ("rg", "rg --pre cmd"),
    ("make", "make -f -"),
    ("npm", "npm exec cmd"),
    ("npx", "npx package"),
    ("vim", "vim -c '!cmd'"),
    ("vi", "vi -c '!cmd'"),
    ("less", "less, then !cmd"),
    ("man", "man -P cmd page"),
    ("ssh", "ssh -o ProxyCommand=cmd host"),
    ("rsync", "rsync -e cmd"),
    ("tee", "tee file"),
    ("docker", "docker run -v /:/host image cmd"),
    ("sudo", "sudo cmd"),
    ("env", "env cmd"),
    ("gdb", "gdb -ex '!cmd'"),
    ("cargo", "cargo run, build scripts"),
    ("go", "go run file"),
    ("ed", "ed, then !cmd"),
];

/// Says what a policy permits that its author may not mean.
pub fn warnings(config: &PolicyConfig) -> Vec<String> {
    let Ok(policy) = Policy::new(config) else { return Vec::new() };
    let mut warnings = Vec::new();
    for pattern in policy.allowed.iter().flatten().chain(&policy.blocked) {
        if pattern.is_idle() {
            warnings.push(format!("the pattern `{}` matches the empty text, and so every command", pattern.source));
        }
    }
    for pattern in policy.allowed.iter().flatten().filter(|pattern| !pattern.is_idle()) {
        let begins =
            |program: &str| pattern.begins(&format!("{program} probe")) || pattern.begins(&format!("{program} "));
        let shells = ["sh", "bash", "zsh", "python", "python3", "perl", "ruby", "node", "php", "deno", "bun"];
        if let Some(shell) = shells.into_iter().find(|name| interpreters::is_interpreter(name) && begins(name)) {
            warnings.push(format!("`{}` allows `{shell}`, which runs whatever its script says", pattern.source));
        }
        if let Some((program, example)) = RUNNERS.into_iter().find(|(program, _)| begins(program)) {
            warnings
                .push(format!("`{}` allows `{program}`, which can run other programs: `{example}`", pattern.source));
        }
    }
    if policy.allowed.is_none() && !policy.blocked.is_empty() {
        warnings.push(
            "`blockedPatterns` alone keep out only what they name: they are advice, `allowedPatterns` are a rule"
                .to_owned(),
        );
    }
    warnings
}
