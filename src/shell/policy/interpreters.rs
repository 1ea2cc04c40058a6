//! Shells and interpreters: they run whatever script they get, so that only a script in a file passes.

use super::{Rule, options::Options, values::Arg};

/// A name without the version in it: `python3.11` is `python`.
pub(super) fn plain_name(name: &str) -> &str {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if plain.is_empty() { name } else { plain }
}

const SHELLS: [&str; 17] = [
    "sh",
    "bash",
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
];
const OTHERS: [&str; 25] = [
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

/// Refuses an interpreter whose script does not come from a file that is named.
pub(super) fn judge(name: &str, args: &[Arg], at: usize) -> Result<(), Rule> {
    let plain = plain_name(name);
    if !is_interpreter(name) {
        return Ok(());
    }
    let refuse = || Err(Rule::unsupported("script that is not in a file", at));
    let texts: Vec<&str> = args[1..].iter().map(|arg| arg.text.as_str()).collect();
    let fixed = args.get(1).is_some_and(|arg| arg.fixed);
    match texts.as_slice() {
        ["--version" | "--help" | "-h"] if fixed => return Ok(()),
        ["-V" | "-v"] if fixed && !SHELLS.contains(&plain) => return Ok(()),
        ["-m", module, ..] if matches!(plain, "python" | "pypy") => {
            let runs_text = ["code", "pdb", "idlelib", "timeit", "asyncio", "trace", "cProfile", "profile", "runpy"];
            let known = args[2].fixed && !args[2].glob && !runs_text.contains(module);
            return if known { Ok(()) } else { refuse() };
        }
        _ => {}
    }
    let Ok(given) = options(plain).read(args) else { return refuse() };
    match args.get(given.operands) {
        Some(script) if script.fixed && is_file(&script.text) => {}
        // `node --test` finds its files by itself.
        None if given.has(&["test"]) => {}
        _ => return refuse(),
    }
    let verb = texts.get(given.operands - 1).copied().unwrap_or_default();
    let takes_text = matches!((plain, verb), ("deno", "eval" | "repl") | ("bun", "repl" | "exec" | "x"));
    if takes_text { refuse() } else { Ok(()) }
}

fn is_file(script: &str) -> bool {
    let special = ["/dev/", "/proc/", "//"].iter().any(|start| script.starts_with(start));
    !script.is_empty() && !special && script != "-" && !script.starts_with('+')
}
