//! Programs and builtins that run others: what they run, found among their arguments.

use super::{
    lex::Dialect,
    options::{Options, UNKNOWN},
    values::Arg,
};

/// What a command runs beside itself.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// It must be allowed itself too.
    pub(super) guarded: bool,
    pub(super) runs: Vec<Runs>,
    /// Variables that it sets, as `NAME=value`.
    pub(super) assigns: Vec<String>,
    /// It runs later, or among the commands around it: it must not set what those depend on.
    pub(super) entangled: bool,
}

#[derive(Debug)]
pub(super) enum Runs {
    /// Arguments from one to another; with `filled`, those that hold the mark get what is not known, and without a
    /// mark something unknown follows. Of the directory `elsewhere` nothing is known.
    Words { from: usize, to: usize, filled: Option<Filled>, elsewhere: bool },
    /// An argument that is a script.
    Text { arg: usize, dialect: Dialect },
    /// Arguments that are joined to a script.
    Joined { from: usize, dialect: Dialect },
}

#[derive(Debug)]
pub(super) enum Filled {
    Behind,
    At(String),
}

impl Filled {
    pub(super) fn into_mark(self) -> Option<String> {
        match self {
            Self::Behind => None,
            Self::At(mark) => Some(mark),
        }
    }
}

pub(super) type Found = Result<Option<Opened>, &'static str>;

/// What this command runs; `None` when it is none of those that run others.
pub(super) fn open(name: &str, args: &[Arg]) -> Found {
    let plain = |options: Options, operands: usize| prefix(args, options, operands);
    match name {
        "nice" => {
            plain(Options { flags: "0123456789", valued: "n", long_valued: &["adjustment"], ..Options::default() }, 0)
        }
        "nohup" => plain(Options::default(), 0),
        "timeout" => plain(
            Options {
                flags: "v",
                valued: "ks",
                long: &["foreground", "preserve-status", "verbose"],
                long_valued: &["kill-after", "signal"],
            },
            1,
        ),
        "time" => plain(Options { flags: "p", ..Options::default() }, 0),
        "stdbuf" => {
            plain(Options { valued: "ioe", long_valued: &["input", "output", "error"], ..Options::default() }, 0)
        }
        "setsid" => plain(Options { flags: "cfw", long: &["ctty", "fork", "wait"], ..Options::default() }, 0),
        "ionice" => {
            plain(Options { flags: "t", valued: "cn", long_valued: &["class", "classdata"], ..Options::default() }, 0)
        }
        "chrt" => plain(Options { flags: "abfior", ..Options::default() }, 1),
        "taskset" => plain(Options { flags: "ac", ..Options::default() }, 1),
        "command" => command(args),
        "env" => env(args),
        "sudo" => another_user(args, Options { flags: "nHE", valued: "ug", ..Options::default() }),
        "doas" => another_user(args, Options { flags: "n", valued: "u", ..Options::default() }),
        "exec" if args.len() == 1 => Ok(Some(Opened { guarded: true, ..Opened::default() })),
        "exec" => guarded(plain(Options::default(), 0)),
        "busybox" => busybox(args),
        "xargs" => xargs(args),
        "find" => super::find::open(args),
        "watch" => watch(args),
        "flock" => flock(args),
        "ssh" => ssh(args),
        "sh" | "dash" => shell(args, Dialect::Posix),
        "bash" => shell(args, Dialect::Bash),
        "eval" if args.len() > 1 => Ok(Some(Opened {
            runs: vec![Runs::Joined { from: 1, dialect: Dialect::Bash }],
            entangled: true,
            ..Opened::default()
        })),
        "trap" => trap(args),
        _ => Ok(None),
    }
}

/// Options, some operands, and then the command.
fn prefix(args: &[Arg], options: Options, operands: usize) -> Found {
    let from = options.read(args)?.operands + operands;
    if args[1..].iter().take(from.saturating_sub(1)).any(Arg::may_be_several) {
        return Err(UNKNOWN);
    }
    if from >= args.len() {
        return Err("command that is not there");
    }
    Ok(Some(Opened { runs: vec![to_the_end(from, args)], ..Opened::default() }))
}

fn to_the_end(from: usize, args: &[Arg]) -> Runs {
    Runs::Words { from, to: args.len(), filled: None, elsewhere: false }
}

fn guarded(found: Found) -> Found {
    found.map(|opened| opened.map(|opened| Opened { guarded: true, ..opened }))
}

/// `sudo` takes assignments before the command, as `env` does: whose environment they are for is not ours to know.
fn another_user(args: &[Arg], options: Options) -> Found {
    let from = options.read(args)?.operands;
    if args.get(from).is_some_and(|arg| arg.text.contains('=')) {
        return Err("assignment for another user");
    }
    guarded(prefix(args, options, 0))
}

fn command(args: &[Arg]) -> Found {
    match args.get(1).map(|arg| arg.text.as_str()) {
        // It only says what would run.
        Some("-v" | "-V") if args.iter().all(|arg| arg.fixed || !arg.loose) => Ok(Some(Opened::default())),
        _ => prefix(args, Options::default(), 0),
    }
}

fn env(args: &[Arg]) -> Found {
    let options = Options { flags: "i0", valued: "u", long: &["ignore-environment", "null"], long_valued: &["unset"] };
    let given = options.read(args)?;
    let mut opened = Opened::default();
    for (name, value) in &given.options {
        if let ("u" | "unset", Some(value)) = (name.as_str(), value) {
            opened.assigns.push(format!("{}=", value.text));
        }
    }
    let mut from = given.operands;
    while let Some(arg) = args.get(from) {
        if arg.leads || arg.may_be_several() || arg.text == "-" {
            return Err(UNKNOWN);
        }
        if !arg.text.contains('=') {
            break;
        }
        opened.assigns.push(arg.text.clone());
        from += 1;
    }
    if from < args.len() {
        opened.runs.push(to_the_end(from, args));
    } else {
        opened.guarded = true;
    }
    Ok(Some(opened))
}

fn busybox(args: &[Arg]) -> Found {
    match args.get(1) {
        Some(applet) if applet.fixed && !applet.text.starts_with('-') => {
            guarded(Ok(Some(Opened { runs: vec![to_the_end(1, args)], ..Opened::default() })))
        }
        _ => Err(UNKNOWN),
    }
}

fn xargs(args: &[Arg]) -> Found {
    let options = Options {
        flags: "0rtx",
        valued: "nLPIdEsa",
        long: &["null", "no-run-if-empty", "verbose", "exit"],
        long_valued: &["max-args", "max-procs", "delimiter", "max-lines", "arg-file"],
    };
    let given = options.read(args)?;
    let mark = given.value(&["I"]);
    if mark.is_some_and(|mark| !mark.fixed) {
        return Err("mark that is not known");
    }
    let mark = mark.map(|mark| mark.text.clone());
    let mut opened = Opened { guarded: true, ..Opened::default() };
    if given.operands < args.len() {
        let filled = Some(mark.map_or(Filled::Behind, Filled::At));
        opened.runs.push(Runs::Words { from: given.operands, to: args.len(), filled, elsewhere: false });
    }
    Ok(Some(opened))
}

fn watch(args: &[Arg]) -> Found {
    let options = Options { flags: "dtbegcxw", valued: "nq", ..Options::default() };
    let given = options.read(args)?;
    if given.operands >= args.len() {
        return Err("command that is not there");
    }
    let runs = if given.has(&["x"]) {
        to_the_end(given.operands, args)
    } else {
        Runs::Joined { from: given.operands, dialect: Dialect::Posix }
    };
    Ok(Some(Opened { guarded: true, runs: vec![runs], ..Opened::default() }))
}

fn flock(args: &[Arg]) -> Found {
    let options = Options {
        flags: "seunoxFv",
        valued: "wE",
        long: &["shared", "exclusive", "unlock", "nonblock", "close", "no-fork", "verbose"],
        long_valued: &["timeout", "wait", "conflict-exit-code"],
    };
    let from = options.read(args)?.operands + 1;
    let mut opened = Opened { guarded: true, ..Opened::default() };
    if args[1..].iter().take(from - 1).any(Arg::may_be_several) {
        return Err(UNKNOWN);
    }
    match &args[from.min(args.len())..] {
        [] => {}
        [option, _] if matches!(option.text.as_str(), "-c" | "--command") => {
            opened.runs.push(Runs::Text { arg: from + 1, dialect: Dialect::Posix });
        }
        [first, ..] if first.fixed && !first.text.starts_with('-') => opened.runs.push(to_the_end(from, args)),
        _ => return Err(UNKNOWN),
    }
    Ok(Some(opened))
}

fn ssh(args: &[Arg]) -> Found {
    let options = Options { flags: "46CnqTtv", valued: "pil", ..Options::default() };
    let host = options.read(args)?.operands;
    match args.get(host) {
        Some(host) if host.fixed && !host.glob => {}
        _ => return Err(UNKNOWN),
    }
    if host + 1 >= args.len() || args[host + 1].text.starts_with('-') {
        return Err("shell without a script");
    }
    let runs = vec![Runs::Joined { from: host + 1, dialect: Dialect::Posix }];
    Ok(Some(Opened { guarded: true, runs, ..Opened::default() }))
}

/// `sh -c text`. With a file it is like any program, which the rules for interpreters look at.
fn shell(args: &[Arg], dialect: Dialect) -> Found {
    if matches!(args, [_, only] if only.fixed && matches!(&*only.text, "--version" | "--help")) {
        return Ok(None);
    }
    let mut at = 1;
    let mut has_text = false;
    while let Some(arg) = args.get(at) {
        if !arg.fixed && (arg.leads || arg.text.starts_with(['-', '+'])) {
            return Err(UNKNOWN);
        }
        if !arg.text.starts_with(['-', '+']) {
            break;
        }
        at += 1;
        match arg.text.as_str() {
            "--noprofile" | "--norc" => {}
            "--" => break,
            "-o" if args.get(at).is_some_and(|value| matches!(&*value.text, "pipefail" | "errexit" | "nounset")) => {
                at += 1;
            }
            cluster => {
                let flags = cluster.strip_prefix('-').unwrap_or_default();
                if flags.is_empty() || !flags.bytes().all(|flag| b"euxc".contains(&flag)) {
                    // `-euo pipefail`.
                    let with_value =
                        flags.strip_suffix('o').is_some_and(|flags| flags.bytes().all(|f| b"eux".contains(&f)));
                    if !with_value || args.get(at).is_none_or(|value| value.text != "pipefail") {
                        return Err(UNKNOWN);
                    }
                    at += 1;
                }
                has_text |= flags.contains('c');
            }
        }
    }
    if !has_text {
        return Ok(None);
    }
    if at >= args.len() {
        return Err("shell without a script");
    }
    Ok(Some(Opened { runs: vec![Runs::Text { arg: at, dialect }], ..Opened::default() }))
}

fn trap(args: &[Arg]) -> Found {
    let known = |arg: &Arg| arg.fixed && arg.text.bytes().all(|b| b.is_ascii_alphanumeric());
    match &args[1..] {
        [] => Ok(Some(Opened::default())),
        [option] if matches!(option.text.as_str(), "-l" | "-p") => Ok(Some(Opened::default())),
        [action, signals @ ..] if !signals.is_empty() && signals.iter().all(known) => {
            let mut opened = Opened { entangled: true, ..Opened::default() };
            if !matches!(action.text.as_str(), "" | "-") {
                if action.text.starts_with('-') {
                    return Err(UNKNOWN);
                }
                opened.runs.push(Runs::Text { arg: 1, dialect: Dialect::Bash });
            }
            Ok(Some(opened))
        }
        _ => Err("trap"),
    }
}
