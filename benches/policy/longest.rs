//! What the longest texts cost: each is judged in a process of its own, whose memory nothing else has used before.

use std::{
    fs,
    hint::black_box,
    io::{self, Write},
    process::Command,
    time::{Duration, Instant},
};

use mcp_computer::policy::{Place, Policy};

/// Before the name of the one text that a process is for.
pub(crate) const ONE: &str = "--longest";

/// How long a text may be.
const LONGEST: usize = 128 << 10;

/// How many commands there are in texts of many: no more than are judged.
const MANY: usize = 990;

/// A text: its name, and what makes it.
type Text = (&'static str, fn() -> String);

const TEXTS: [Text; 31] = [
    ("one word", || filled("ls ", "a", "")),
    ("many words", || filled("ls", " aaa", "")),
    ("too many words", || filled("ls", " a", "")),
    ("many lines", || filled("ls", "\n", "")),
    ("joined lines", || filled("ls", " \\\n", "")),
    ("single and double quotes", || filled("ls ", "'a'\"b\"", "")),
    ("a quote that is not closed", || filled("ls '", "a \"", "")),
    ("backslashes", || filled("ls ", "\\a", "")),
    ("patterns", || filled("ls ", "a[b]", "")),
    ("parameters", || filled("ls", " ${x:-a}", "")),
    ("ranges", || filled("ls", " {1..9}", "")),
    ("braces in each other", || filled("ls ", "{a,", "")),
    ("nesting without end", || filled("", "$(", "")),
    ("parameters in each other", || filled("", "${x:-", "")),
    ("nesting as deep as may be", || {
        let deep = format!(" {}ls{}", "$(ls ".repeat(45), ")".repeat(45)).repeat(MANY / 46);
        filled(&format!("ls{deep} "), "a", "")
    }),
    ("here-documents", || many(1, |padding, _| format!("cat <<E\n$x {padding}\nE\n"))),
    ("here-documents of one line", || {
        let count = LONGEST / 7 - 1;
        format!("cat{}\n{}", " <<E".repeat(count), "E\n".repeat(count))
    }),
    ("one here-document", || filled("cat <<E\n", "$x is \\$text\n", "E\n")),
    ("substitutions", || filled("ls", &many(1, |padding, _| format!(" \"`ls {padding}`\"")), "")),
    ("texts in texts", || many(2, |padding, _| format!("sh -c 'ls {padding}';"))),
    ("assignments", || many(1, |padding, n| format!("x{n}='{padding}';"))),
    ("values that grow", || format!("x=a;{}", many(1, |padding, _| format!("x=$x{padding};")))),
    ("variables of many values", || {
        format!("for x in {}; do {}done", "a ".repeat(30), many(1, |padding, n| format!("y{n}=$x{padding};")))
    }),
    ("values that double", || format!("x=a;{}", many(2, |padding, _| format!("x=$x$x;ls '{padding}' $x;")))),
    ("variables before a list", || {
        let list = "ls && ".repeat(MANY / 2 - 1);
        format!("{}{list}ls", many(2, |padding, n| format!("x{n}='{}';", &padding[..200])))
    }),
    ("redirections", || filled("ls", " >a", "")),
    ("wrappers in each other", || filled("ls;", "nice ", "ls")),
    ("functions that call each other", || {
        many(3, |padding, n| format!("f{n}() {{ f{}; ls {padding}; }};", n.saturating_sub(1)))
    }),
    ("one pipeline", || many(1, |padding, _| format!("ls {padding}|")) + "ls"),
    ("one list", || many(1, |padding, n| format!("x{n}={padding} && ")) + "ls"),
    ("conditions and directories", || {
        many(4, |padding, n| format!("if cd d{n}; then cd ..; else x{n}=1; ls {padding}; fi;"))
    }),
];

/// As much of something as there is room for.
fn filled(begin: &str, unit: &str, end: &str) -> String {
    let count = LONGEST.saturating_sub(begin.len() + end.len()) / unit.len();
    format!("{begin}{}{end}", unit.repeat(count))
}

/// Commands that are made of so many each, with so much in them that all of them are as long as may be.
fn many(each: usize, unit: impl Fn(&str, usize) -> String) -> String {
    let padding = "x".repeat((LONGEST - 500) * each / MANY - 50);
    (0..MANY / each).map(|n| unit(&padding, n)).collect()
}

/// Judges every text in a process of its own, and tells the worst.
pub(crate) fn measure() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut worst = (0.0_f64, 0.0_f64);
    for (name, _) in TEXTS {
        let output = Command::new(std::env::current_exe()?).args(["--bench", ONE, name]).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut fields = told.trim_end().splitn(3, ' ');
        let mut figure = || fields.next()?.parse::<f64>().ok();
        let (Some(millis), Some(kib)) = (figure(), figure()) else {
            return Err(io::Error::other(format!("{name}: {}", String::from_utf8_lossy(&output.stderr))));
        };
        let (mib, verdict) = (kib / 1024.0, fields.next().unwrap_or_default());
        writeln!(out, "judging 128 KiB, {name} ({verdict}): {millis:.1} ms, peak memory +{mib:.1} MiB")?;
        worst = (worst.0.max(millis), worst.1.max(mib));
    }
    writeln!(out, "judging 128 KiB at worst: {:.1} ms, aim at most 50 ms; peak memory +{:.1} MiB", worst.0, worst.1)
}

/// Judges one text; prints the milliseconds, the KiB by which the peak has grown, and the verdict.
pub(crate) fn one(name: &str, policy: &Policy, place: &Place) -> io::Result<()> {
    let (_, text) = TEXTS.iter().find(|(known, _)| *known == name).ok_or_else(|| io::Error::other("no such text"))?;
    let text = text();
    assert!(text.len() <= LONGEST && text.len() > LONGEST / 2, "{name} has {} characters", text.len());
    // From here on the peak is what is in use from here on.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = in_kib("VmRSS:")?;
    let verdict = policy.judge(&text, place);
    let grown = in_kib("VmHWM:")?.saturating_sub(before);
    let mut times: Vec<Duration> = (0..5).map(|_| timed(|| drop(policy.judge(black_box(&text), place)))).collect();
    times.sort();
    let rule = verdict.rule.map_or("allowed".to_owned(), |rule| rule.to_string());
    writeln!(io::stdout(), "{:.3} {grown} {rule}", times[times.len() / 2].as_secs_f64() * 1e3)
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// A figure of this process.
fn in_kib(name: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| io::Error::other(format!("the status of a process has no `{name}`")))
}
