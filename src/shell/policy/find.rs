//! `find`: what it runs, and which of its words may be something else than they look like.

use super::{
    options::UNKNOWN,
    values::Arg,
    wrappers::{Filled, Found, Opened, Runs},
};

const TESTS: [&str; 20] = [
    "-name",
    "-iname",
    "-path",
    "-ipath",
    "-wholename",
    "-regex",
    "-iregex",
    "-newer",
    "-type",
    "-size",
    "-mtime",
    "-mmin",
    "-atime",
    "-ctime",
    "-maxdepth",
    "-mindepth",
    "-perm",
    "-user",
    "-group",
    "-printf",
];

/// What is told nothing.
const ALONE: [&str; 23] = [
    "-a",
    "-and",
    "-o",
    "-or",
    "-not",
    "-print",
    "-print0",
    "-depth",
    "-mount",
    "-xdev",
    "-follow",
    "-L",
    "-H",
    "-P",
    "-empty",
    "-daystart",
    "-true",
    "-false",
    "-prune",
    "-quit",
    "-readable",
    "-writable",
    "-executable",
];

/// What does something with the files that are found.
const ACTIONS: [&str; 9] = ["-exec", "-execdir", "-ok", "-okdir", "-delete", "-fls", "-fprint", "-fprint0", "-fprintf"];

/// What begins a part of the expression: before it, names of files end.
const SIGNS: &str = "-()!,";

pub(super) fn open(args: &[Arg]) -> Found {
    let mut opened = Opened { guarded: true, ..Opened::default() };
    // This one is told two things.
    let is_told_more = args.iter().any(|arg| arg.text == "-fprintf");
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        let operand = !is_told_more && TESTS.contains(&args[at - 1].text.as_str()) && begins_a_test(args, at - 1);
        check(arg, args.get(at + 1), operand)?;
        at += 1;
        if matches!(arg.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir") && arg.fixed {
            let Some(length) = length_of_exec(&args[at..]) else { return Err("command without its end") };
            check_command(&args[at..at + length], is_told_more || may_be_told(&args[1..at - 1]))?;
            let filled = Some(Filled::At("{}".to_owned()));
            let elsewhere = matches!(arg.text.as_str(), "-execdir" | "-okdir");
            opened.runs.push(Runs::Words { from: at, to: at + length, filled, elsewhere });
            at += length + 1;
        }
    }
    if opened.runs.is_empty() { Ok(None) } else { Ok(Some(opened)) }
}

/// Refuses a word of the expression that may be another part of it than it looks like.
fn check(arg: &Arg, next: Option<&Arg>, operand: bool) -> Result<(), &'static str> {
    if arg.loose {
        return Err(UNKNOWN);
    }
    // The name of a file may be `-exec`, and what fits the pattern be read as a part of the expression.
    if arg.glob && arg.beginning().chars().next().is_none_or(|first| SIGNS.contains(first)) {
        return Err("pattern that find may take for an option");
    }
    if operand {
        return Ok(());
    }
    // What is not known in the middle of it may be nothing: `-ex"$x"ec`.
    if !arg.fixed && arg.text.starts_with(|first| SIGNS.contains(first)) {
        return Err(UNKNOWN);
    }
    // Were it `-exec`, this would be the program.
    let is_no_program = next.is_none_or(|next| next.fixed && next.text.starts_with(['-', '(', '!']));
    if arg.leads && !is_no_program { Err(UNKNOWN) } else { Ok(()) }
}

/// Whether what stands behind these words may be what one of them is told. What is not known may be `-fprintf`, which is
/// told two things.
fn may_be_told(before: &[Arg]) -> bool {
    let unknown = before.iter().rev().take(2).any(|arg| !arg.fixed);
    let takes = |arg: &Arg| arg.text.starts_with('-') && !ALONE.contains(&arg.text.as_str());
    unknown || before.last().is_some_and(takes)
}

/// Refuses a command in which a word that is not known might be its end, and what follows be more of the expression.
/// `shifts`: what stands before it may have taken its first word away.
fn check_command(args: &[Arg], shifts: bool) -> Result<(), &'static str> {
    let may_end = |arg: &Arg| !arg.fixed && (arg.leads || arg.text.starts_with([';', '+', '-']));
    let open = |arg: &Arg| arg.glob && arg.beginning().chars().next().is_none_or(|first| "-();+!,".contains(first));
    if args.iter().any(|arg| arg.loose || open(arg)) {
        return Err(UNKNOWN);
    }
    let mut unknown = usize::from(shifts);
    for arg in args {
        unknown += usize::from(may_end(arg));
        if unknown > 1 || unknown > 0 && ACTIONS.contains(&arg.text.as_str()) {
            return Err(UNKNOWN);
        }
    }
    Ok(())
}

/// Whether a word that names a test is one, and not what another test is told: `-name -name`.
fn begins_a_test(args: &[Arg], at: usize) -> bool {
    let before = &args[at - 1];
    let stands_alone = !before.text.starts_with('-') || ALONE.contains(&before.text.as_str());
    before.fixed && stands_alone
}

/// How many words the command of an `-exec` has. A plus ends it only behind `{}`: anywhere else, versions of find differ
/// in what they make of it.
fn length_of_exec(args: &[Arg]) -> Option<usize> {
    let length = args.iter().position(|arg| matches!(arg.text.as_str(), ";" | "+")).filter(|length| *length > 0)?;
    let ends = args[length].text == ";" || args[length - 1].text == "{}";
    ends.then_some(length)
}
