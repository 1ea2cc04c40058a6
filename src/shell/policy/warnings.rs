//! What a user should think twice about in a policy.

use super::{Policy, interpreters, names};
use crate::config::{Pattern, PolicyConfig};

/// Programs that run others, write anywhere, or change what runs, with a command line that shows it.
const RUNNERS: [(&str, &str); 95] = [
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
    ("parallel", "parallel cmd ::: x"),
    ("script", "script -c cmd"),
    ("strace", "strace cmd"),
    ("ltrace", "ltrace cmd"),
    ("perf", "perf record cmd"),
    ("valgrind", "valgrind cmd"),
    ("su", "su -c cmd"),
    ("runuser", "runuser -c cmd"),
    ("doas", "doas cmd"),
    ("pkexec", "pkexec cmd"),
    ("watch", "watch cmd"),
    ("timeout", "timeout 5 cmd"),
    ("nice", "nice cmd"),
    ("ionice", "ionice cmd"),
    ("nohup", "nohup cmd"),
    ("setsid", "setsid cmd"),
    ("stdbuf", "stdbuf -oL cmd"),
    ("chrt", "chrt 1 cmd"),
    ("taskset", "taskset 1 cmd"),
    ("time", "time cmd"),
    ("command", "command cmd"),
    ("exec", "exec cmd"),
    ("eval", "eval cmd"),
    ("flock", "flock file cmd"),
    ("busybox", "busybox sh"),
    ("chroot", "chroot / cmd"),
    ("unshare", "unshare cmd"),
    ("nsenter", "nsenter -t 1 cmd"),
    ("systemd-run", "systemd-run cmd"),
    ("start-stop-daemon", "start-stop-daemon --exec cmd"),
    ("at", "at now, then cmd"),
    ("batch", "batch, then cmd"),
    ("crontab", "crontab file"),
    ("screen", "screen cmd"),
    ("tmux", "tmux new cmd"),
    ("entr", "entr cmd"),
    ("socat", "socat - EXEC:cmd"),
    ("nc", "nc -e cmd host port"),
    ("ncat", "ncat -e cmd host port"),
    ("scp", "scp -S cmd"),
    ("sftp", "sftp -S cmd"),
    ("split", "split --filter=cmd"),
    ("sort", "sort --compress-program=cmd"),
    ("zip", "zip -TT cmd"),
    ("nano", "nano, its speller"),
    ("emacs", "emacs --eval code"),
    ("sqlite3", "sqlite3 file '.shell cmd'"),
    ("psql", "psql -c '\\! cmd'"),
    ("mysql", "mysql -e '\\! cmd'"),
    ("podman", "podman run -v /:/host image cmd"),
    ("kubectl", "kubectl exec pod -- cmd"),
    ("ansible", "ansible all -a cmd"),
    ("pnpm", "pnpm exec cmd"),
    ("yarn", "yarn exec cmd"),
    ("uv", "uv run cmd"),
    ("uvx", "uvx package"),
    ("pipx", "pipx run package"),
    ("poetry", "poetry run cmd"),
    ("bundle", "bundle exec cmd"),
    ("rlwrap", "rlwrap cmd"),
    ("fakeroot", "fakeroot cmd"),
    ("dbus-run-session", "dbus-run-session cmd"),
    ("xvfb-run", "xvfb-run cmd"),
    ("cmake", "cmake -E env cmd"),
    ("ninja", "ninja -f file"),
    ("gcc", "gcc -wrapper cmd"),
    ("setpriv", "setpriv cmd"),
    ("capsh", "capsh -- -c cmd"),
    ("prlimit", "prlimit cmd"),
    ("numactl", "numactl cmd"),
    ("open", "open -a program"),
];

/// A variable that a pattern lets be set, and that changes what runs.
fn sets(pattern: &Pattern) -> Option<&str> {
    // A pattern may ask for a value that nobody guesses: its beginning says which name it means.
    let start = pattern.source.trim_start_matches(['/', '^', '(', '?', ':']);
    let named = start
        .split_once('=')
        .map(|(name, _)| name)
        .filter(|name| names::is_name(name) && names::changes_what_runs(name));
    let takes = |name: &&str| {
        pattern.spells(name)
            && ["", "1", "true", "probe", "./probe", "/probe"].iter().any(|value| {
                pattern.begins(&format!("{name}={value}")) || pattern.begins(&format!("{name}={value} probe"))
            })
    };
    named.or_else(|| names::CHANGES_WHAT_RUNS.into_iter().find(takes))
}

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
    for pattern in policy.allowed.iter().flatten().filter(|pattern| !pattern.is_idle()) {
        if let Some(name) = sets(pattern) {
            warnings.push(format!("`{}` lets `{name}` be set, which changes what other commands run", pattern.source));
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
