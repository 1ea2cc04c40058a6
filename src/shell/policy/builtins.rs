//! The builtins of the shell, each of which was looked at.

use super::{Rule, conditions, lex::Dialect, names, options::Options, values::Arg};

/// What is thought of a builtin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It passes where builtins do.
    Free,
    /// It passes when a pattern allows it, or when none is asked for.
    Reviewed,
}

const BUILTINS: [&str; 61] = [
    ".",
    ":",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];

/// Builtins and words of other shells than bash, which are programs to it. What calls itself `sh` may be any of them.
const OF_OTHERS: [&str; 69] = [
    "-",
    "alarm",
    "always",
    "array",
    "autoload",
    "bindkey",
    "bye",
    "chdir",
    "clone",
    "compadd",
    "compcall",
    "compctl",
    "compound",
    "coproc",
    "disable",
    "echotc",
    "echoti",
    "emulate",
    "end",
    "enum",
    "float",
    "foreach",
    "functions",
    "getln",
    "global",
    "hist",
    "inlib",
    "integer",
    "limit",
    "log",
    "nameref",
    "namespace",
    "nocorrect",
    "noglob",
    "print",
    "private",
    "pushln",
    "r",
    "redirect",
    "rehash",
    "rename",
    "repeat",
    "sched",
    "select",
    "setopt",
    "stop",
    "ttyctl",
    "unfunction",
    "unhash",
    "unlimit",
    "unsetopt",
    "vared",
    "vmap",
    "vpath",
    "whence",
    "where",
    "zcompile",
    "zformat",
    "zle",
    "zmodload",
    "zparseopts",
    "zprof",
    "zpty",
    "zregexparse",
    "zselect",
    "zsocket",
    "zstyle",
    "zsystem",
    "ztcp",
];

pub(super) fn is_of_others(name: &str) -> bool {
    OF_OTHERS.contains(&name)
}

/// Builtins that are programs too, and the same as such.
const PROGRAMS: [&str; 10] = ["[", "echo", "false", "kill", "printf", "pwd", "test", "true", "time", "umask"];

pub(super) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(&name)
}

/// Whether there is a program of that name which does the same.
pub(super) fn is_program(name: &str) -> bool {
    PROGRAMS.contains(&name)
}

/// Whether a variable may be set: its name, and `NAME=value`.
type Settable<'s> = &'s dyn Fn(&str, &str) -> Result<(), Rule>;

/// Looks at a builtin with what it is given. `cd` is looked at where directories are known, and what runs others where
/// that is opened.
pub(super) fn judge(args: &[Arg], (at, dialect): (usize, Dialect), settable: Settable<'_>) -> Result<Standing, Rule> {
    let fixed = args.iter().all(|arg| arg.fixed);
    let name = args[0].text.as_str();
    match name {
        ":" | "true" | "false" | "echo" | "pwd" | "cd" => Ok(Standing::Free),
        "exit" | "return" | "break" | "continue" if args.len() <= 2 && !args.iter().any(|arg| arg.loose) => {
            Ok(Standing::Free)
        }
        // To bash it is a number or an error, and several are too many.
        "exit" | "return" if args.len() <= 2 && dialect == Dialect::Bash => Ok(Standing::Free),
        "[" | "test" => conditions::judge_words(args, (at, dialect)).map(|()| Standing::Free),
        "printf" => printf(args, at).map(|()| Standing::Free),
        "wait" if args[1..].iter().all(is_waited_for) => Ok(Standing::Free),
        "set" if fixed && is_plain_set(&args[1..]) => Ok(Standing::Free),
        "export" => declares(args, at, settable).map(|()| Standing::Free),
        "local" | "readonly" => declares(args, at, settable).map(|()| Standing::Reviewed),
        "read" => read(args, at, settable).map(|()| Standing::Reviewed),
        "unset" => unset(args, at, settable).map(|()| Standing::Reviewed),
        "getopts" if fixed && args.len() == 3 => settable(&args[2].text, &args[2].text).map(|()| Standing::Reviewed),
        "umask" | "kill" | "shift" | "times" | "bg" | "fg" | "disown" | "help" | "ulimit" | "dirs" | "logout" => {
            Ok(Standing::Reviewed)
        }
        "type" if !args[1..].iter().any(|arg| arg.loose) => Ok(Standing::Reviewed),
        "jobs" if fixed && !has_flag(args, 'x') => Ok(Standing::Reviewed),
        name => Err(Rule::unsupported(objection(name), at)),
    }
}

/// What was found wrong with a builtin.
fn objection(name: &str) -> &'static str {
    match name {
        "exit" | "return" => "builtin: exit or return with more than one number",
        "break" | "continue" => "builtin: break or continue with what is not known",
        "wait" => "builtin: wait with -p, or with what may be an option",
        "set" => "builtin: set with more than -e, -u and -o pipefail",
        "getopts" => "builtin: getopts with what is not known",
        "type" => "builtin: type with what is not known",
        "jobs" => "builtin: jobs with -x, or with what is not known",
        "." | "source" => "builtin: source runs a file as part of the command",
        "eval" => "builtin: eval of nothing",
        "let" => "builtin: let evaluates its arguments",
        "declare" | "typeset" => "builtin: declare sets what changes how values are read",
        "alias" | "unalias" => "builtin: alias changes what a name runs",
        "mapfile" | "readarray" => "builtin: mapfile may run a command for each line",
        "shopt" => "builtin: shopt changes how a text is read",
        "enable" => "builtin: enable changes what a name runs",
        "hash" => "builtin: hash changes what a name runs",
        "bind" => "builtin: bind may run a command for a key",
        "complete" | "compgen" | "compopt" => "builtin: compgen and its like may run a command",
        "history" | "fc" => "builtin: history and fc run and write what was typed before",
        "pushd" | "popd" => "builtin: pushd or popd changes the directory",
        "builtin" => "builtin: builtin runs another",
        _ => "builtin: not one of those that were looked at",
    }
}

/// Whether it says what to wait for, and sets and evaluates nothing: `-p NAME` does the one, a subscript the other.
fn is_waited_for(arg: &Arg) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%_+-.".contains(&byte));
    if arg.glob {
        return false;
    }
    if arg.fixed {
        return matches!(&*arg.text, "-n" | "-f") || !arg.text.starts_with('-') && plain(&arg.text);
    }
    // It is the id of a job, or nothing.
    let is_latest_job = matches!(&*arg.text, "$!" | "${!}");
    is_latest_job || !arg.loose && arg.beginning().starts_with(|first: char| first == '%' || first.is_ascii_digit())
}

/// Whether an option is given, alone or among others: `-rx` is `-r -x`.
fn has_flag(args: &[Arg], flag: char) -> bool {
    args[1..].iter().any(|arg| arg.text.starts_with('-') && arg.text.contains(flag))
}

/// `-v` and `%n` set variables.
fn printf(args: &[Arg], at: usize) -> Result<(), Rule> {
    let mut rest = &args[1..];
    if rest.first().is_some_and(|arg| arg.text == "--") {
        rest = &rest[1..];
    } else if rest.first().is_some_and(|arg| arg.leads || arg.text.starts_with('-')) {
        return Err(Rule::unsupported("printf -v", at));
    }
    let Some((format, values)) = rest.split_first() else { return Ok(()) };
    if format.may_be_several() || !format.fixed && !values.is_empty() {
        return Err(Rule::unsupported("format that is not known", at));
    }
    if sets_by_format(&format.text) { Err(Rule::unsupported("printf %n", at)) } else { Ok(()) }
}

fn sets_by_format(format: &str) -> bool {
    let mut rest = format;
    while let Some(start) = rest.find('%') {
        rest = &rest[start + 1..];
        let modifiers = rest.bytes().take_while(|byte| b"-+ #0123456789.*'hlLjzt".contains(byte)).count();
        match rest.as_bytes().get(modifiers) {
            Some(b'n') => return true,
            Some(b'%') => rest = &rest[modifiers + 1..],
            _ => {}
        }
    }
    // An escape may be a percent sign: `\x25n`, `\045n`.
    format.contains("\\x25") || format.contains("\\045") || format.contains("\\45") || format.contains("\\u")
}

/// `-e`, `-u` and `-o pipefail`, in every combination.
fn is_plain_set(args: &[Arg]) -> bool {
    let mut args = args.iter().map(|arg| arg.text.as_str());
    let mut any = false;
    while let Some(arg) = args.next() {
        any = true;
        let Some(flags) = arg.strip_prefix(['-', '+']).filter(|flags| !flags.is_empty()) else { return false };
        let (flags, valued) = flags.strip_suffix('o').map_or((flags, false), |flags| (flags, true));
        if !flags.bytes().all(|flag| b"eu".contains(&flag)) {
            return false;
        }
        if valued && !args.next().is_some_and(|name| matches!(name, "pipefail" | "errexit" | "nounset")) {
            return false;
        }
    }
    any
}

/// `export NAME=value`, without options.
fn declares(args: &[Arg], at: usize, settable: Settable<'_>) -> Result<(), Rule> {
    for arg in &args[1..] {
        let (name, has_value) = arg.text.split_once('=').map_or((&*arg.text, false), |(name, _)| (name, true));
        if arg.leads || name.starts_with('-') {
            return Err(Rule::unsupported("option of a declaration", at));
        }
        // As it is rendered, the pattern would be matched with names of files.
        if arg.glob {
            return Err(Rule::unsupported("pattern in a declaration", at));
        }
        if name.contains(['$', '`']) || !has_value && !arg.fixed {
            return Err(Rule::unsupported("name that is not known", at));
        }
        let name = name.strip_suffix('+').unwrap_or(name);
        settable(name, &format!("{name}{}", &arg.text[arg.text.find('=').unwrap_or(arg.text.len())..]))?;
        // What it becomes may be several words, each a name.
        if arg.loose {
            return Err(Rule::unsupported("unquoted value in a declaration", at));
        }
    }
    Ok(())
}

fn read(args: &[Arg], at: usize, settable: Settable<'_>) -> Result<(), Rule> {
    let options = Options { flags: "rs", valued: "pntNdu", ..Options::default() };
    let given = options.read(args).map_err(|what| Rule::unsupported(what, at))?;
    names_of(&args[given.operands..], at, &|name| settable(name, &names::to_anything(name)))
}

fn unset(args: &[Arg], at: usize, settable: Settable<'_>) -> Result<(), Rule> {
    let options = Options { flags: "v", ..Options::default() };
    let given = options.read(args).map_err(|what| Rule::unsupported(what, at))?;
    // Without it, a function of that name would go when there is no variable.
    if !given.has(&["v"]) {
        return Err(Rule::unsupported("unset without -v", at));
    }
    names_of(&args[given.operands..], at, &|name| settable(name, &format!("{name}=")))
}

fn names_of(args: &[Arg], at: usize, settable: &dyn Fn(&str) -> Result<(), Rule>) -> Result<(), Rule> {
    for arg in args {
        if !arg.fixed {
            return Err(Rule::unsupported("name that is not known", at));
        }
        settable(&arg.text)?;
    }
    Ok(())
}
