//! Shells and interpreters: they run whatever script they get, so that only a script in a file passes.

use super::{Rule, options::Options, values::Arg};

/// A name without the version in it: `python3.11` is `python`.
pub(super) fn plain_name(name: &str) -> &str {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if plain.is_empty() { name } else { plain }
}

const SHELLS: [&str; 21] = [
    "sh",
    "bash",
    "bash-static",
    "posh",
    "dash",
    "zsh",
    "ksh",
    "mksh",
    "ash",
    "fish",
    "csh",
    "tcsh",
    "rbash",
    "rc",
    "elvish",
    "nu",
    "pwsh",
    "powershell",
    "yash",
    "es",
    "xonsh",
];
const OTHERS: [&str; 26] = [
    "python",
    "pypy",
    "perl",
    "ruby",
    "node",
    "nodejs",
    "deno",
    "bun",
    "php",
    "lua",
    "luajit",
    "tclsh",
    "wish",
    "expect",
    "R",
    "Rscript",
    "osascript",
    "ghci",
    "runghc",
    "irb",
    "julia",
    "groovy",
    "jshell",
    "scala",
    "guile",
    "ipython",
];

/// Whether a program takes scripts.
pub(super) fn is_interpreter(name: &str) -> bool {
    let plain = plain_name(name);
    SHELLS.contains(&plain) || OTHERS.contains(&plain)
}

/// What an interpreter may be given before its script.
fn options(name: &str) -> Options {
    match name {
        "bash" | "sh" | "dash" => Options { flags: "eux", ..Options::default() },
        "python" | "pypy" => Options { flags: "BEIOPsSubq", valued: "WX", ..Options::default() },
        "node" | "nodejs" => Options {
            long: &["test", "enable-source-maps", "no-warnings", "trace-warnings", "check", "watch"],
            long_valued: &["max-old-space-size"],
            ..Options::default()
        },
        "ruby" | "perl" => Options { flags: "w", ..Options::default() },
        _ => Options::default(),
    }
}

/// Refuses an interpreter whose script does not come from a file that is named. Gives the name of that.
pub(super) fn judge<'a>(name: &str, args: &'a [Arg], at: usize) -> Result<Option<&'a str>, Rule> {
    let plain = plain_name(name);
    if !is_interpreter(name) {
        return Ok(None);
    }
    let refuse = || Err(Rule::unsupported("script that is not in a file", at));
    let texts: Vec<&str> = args[1..].iter().map(|arg| arg.text.as_str()).collect();
    let fixed = args.get(1).is_some_and(|arg| arg.fixed);
    match texts.as_slice() {
        ["--version" | "--help" | "-h"] if fixed => return Ok(None),
        ["-V" | "-v"] if fixed && !SHELLS.contains(&plain) => return Ok(None),
        ["-m", module, ..] if matches!(plain, "python" | "pypy") => {
            let known = args[2].fixed && !args[2].glob && !TAKES_TEXT.contains(module);
            return if known { Ok(None) } else { refuse() };
        }
        _ => {}
    }
    let Ok(given) = options(plain).read(args) else { return refuse() };
    let script = match args.get(given.operands) {
        Some(script) if script.fixed && !script.glob && is_file(&script.text) => script.text.as_str(),
        // `node --test` finds its files by itself.
        None if given.has(&["test"]) => return Ok(None),
        _ => return refuse(),
    };
    match (plain, script) {
        ("deno", "eval" | "repl") | ("bun", "repl" | "exec" | "x") | ("node" | "nodejs", "inspect") => refuse(),
        ("deno" | "bun", "run") => {
            let behind = args[given.operands + 1..].iter().find(|arg| !arg.text.starts_with('-'));
            let file = behind.filter(|file| file.fixed && !file.glob && is_file(&file.text));
            file.map_or_else(refuse, |file| Ok(Some(file.text.as_str())))
        }
        _ => Ok(Some(script)),
    }
}

/// Modules of Python that run what they read or are given.
const TAKES_TEXT: [&str; 14] = [
    "code",
    "pdb",
    "idlelib",
    "timeit",
    "asyncio",
    "trace",
    "cProfile",
    "profile",
    "runpy",
    "IPython",
    "ptpython",
    "bpython",
    "xonsh",
    "ptipython",
];

/// Whether a program that is no interpreter hands a text to a shell, or its input.
pub(super) fn runs_text(name: &str, args: &[Arg]) -> bool {
    let asks =
        |known: &[&str]| matches!(&args[1..], [first, ..] if first.fixed && known.contains(&first.text.as_str()));
    match name {
        "su" | "script" => !asks(&["--version", "--help", "-V"]),
        "runuser" => args[1..].iter().any(is_text_option) || !asks(&["-u", "--version", "--help"]),
        "at" | "batch" => !asks(&["-l", "-r", "-d", "-c", "-V"]),
        "npx" => has_call(&args[1..]),
        "awk" | "gawk" | "mawk" | "nawk" | "original-awk" => args[1..].iter().any(|arg| is_command_of_awk(&arg.text)),
        "parallel" | "sem" => !asks(&["--version", "--help"]),
        "capsh" => args[1..].iter().any(|arg| matches!(arg.text.as_str(), "--" | "==" | "+")),
        "tmux" => args[1..].iter().any(|arg| STARTS_IN_TMUX.contains(&arg.text.as_str())),
        "screen" => !asks(&["-ls", "-list", "-v", "--version", "-h", "--help"]),
        "npm" => args.iter().take_while(|arg| arg.text != "--").any(|arg| is_call(&arg.text)),
        _ => false,
    }
}

/// The commands of tmux that run a text.
const STARTS_IN_TMUX: [&str; 18] = [
    "new",
    "new-session",
    "neww",
    "new-window",
    "splitw",
    "split-window",
    "respawnp",
    "respawn-pane",
    "respawnw",
    "respawn-window",
    "run",
    "run-shell",
    "if",
    "if-shell",
    "popup",
    "display-popup",
    "pipep",
    "pipe-pane",
];

/// Whether a program of awk may have a shell run something: it calls `system`, or has a text at a pipe.
fn is_command_of_awk(program: &str) -> bool {
    let tight: String = program.chars().filter(|c| !c.is_whitespace()).collect();
    let pipes = tight.contains("|getline") || tight.contains("|&") || tight.contains("|\"") || tight.contains("\"|\"");
    pipes || tight.contains("system(")
}

fn is_text_option(arg: &Arg) -> bool {
    !arg.fixed && arg.leads || arg.text.starts_with("-c") || arg.text.starts_with("--c") || arg.text.starts_with("--s")
}

/// `-c TEXT` of `npm exec`, before or behind the verb, which may be cut short as well.
fn is_call(option: &str) -> bool {
    option.starts_with("-c") || option.starts_with("--cal")
}

/// Whether `npx` may be told `-c TEXT`, before the package that it runs.
fn has_call(args: &[Arg]) -> bool {
    const ALONE: [&str; 9] =
        ["-y", "--yes", "--no", "--no-install", "-q", "--quiet", "--prefer-offline", "--version", "--help"];
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.text.as_str() {
            "-p" | "--package" | "-w" | "--workspace" => drop(args.next()),
            "--" => return false,
            option if option.starts_with("--package=") || ALONE.contains(&option) => {}
            other => return other.starts_with('-') || arg.leads || arg.loose,
        }
    }
    false
}

fn is_file(script: &str) -> bool {
    let special = ["/dev/", "/proc/", "//"].iter().any(|start| script.starts_with(start));
    !script.is_empty() && !special && script != "-" && !script.starts_with('+')
}
