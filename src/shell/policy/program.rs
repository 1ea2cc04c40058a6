//! Judging a simple command: what it sets, what it opens, what it runs.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    Judged, Policy, Rule,
    assignments::guesses,
    builtins,
    builtins::Standing,
    filters,
    input::{self, Input},
    interpreters,
    judge::{Judge, MAX_DIRECTORIES, Script},
    lex::Dialect,
    place,
    tree::{Redirect, Simple, Spot, Word},
    values::{self, Arg},
    wrappers::{self, Filled, Opened, Runs},
};
use crate::config::Pattern;

/// No system takes a longer path.
const MAX_PATH: usize = 4096;

/// What a simple command is judged with.
#[derive(Default)]
struct Frame {
    spot: Spot,
    /// Its assignments, before its words. None of them stands before what a wrapper runs.
    prefix: String,
    /// The variables that these set.
    names: Vec<String>,
    fed: bool,
    /// What it prints goes to a file that it names.
    kept: bool,
    /// What programs around it replace, wherever it stands.
    marks: Vec<String>,
    /// Words that hold a script, from one to another, and that script in other words.
    rewrites: Vec<(usize, usize, String)>,
}

impl Frame {
    fn of(spot: &Spot, redirects: &[Redirect]) -> Self {
        let kept = input::keeps_output(redirects);
        Self { spot: spot.clone(), kept, ..Self::default() }
    }
}

/// From where a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the shell, functions first.
    Shell,
    /// By `command`: functions do not count.
    Plainly,
    /// By a program: nothing of the shell's does.
    Program,
}

impl Policy {
    /// Whether the allowed patterns, if there are any, let a text pass.
    pub(super) fn permits(&self, text: &str) -> bool {
        let Some(allowed) = &self.allowed else { return true };
        if allowed.iter().any(|pattern| pattern.begins(text)) {
            return true;
        }
        let spaced = format!("{text} ");
        allowed.iter().any(|pattern| pattern.begins(&spaced))
    }
}

pub(super) fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for text in texts {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(text);
    }
    joined
}

impl Judge<'_> {
    pub(super) fn simple(&mut self, simple: &mut Simple) {
        let Simple { words, spot, .. } = &mut *simple;
        if let Some(pattern) = self.policy.blocks(&spot.source) {
            self.problem(&spot.source, Rule::Blocked(pattern));
        }
        if let Err(rule) = self.spend(&[]) {
            return self.problem(&spot.source, rule);
        }
        for word in words.iter_mut() {
            self.word(word, spot);
        }
        let lasting = simple.words.is_empty();
        if lasting {
            // Some shells open files before they assign, and assign nothing where that fails.
            let mut sets = BTreeSet::new();
            values::by_redirects(&simple.redirects, &mut sets);
            self.scope.variables.forget(&sets);
        }
        let before = (lasting && !simple.redirects.is_empty()).then(|| self.scope.variables.clone());
        let prefix = self.assignments(simple);
        if let Some(before) = before {
            self.scope.variables.join(&before);
        }
        let Simple { assignments, words, redirects, spot } = simple;
        self.redirects(redirects, spot);
        if lasting {
            if assignments.is_empty() {
                self.printed(redirects, spot);
            }
            return prefix.held.into_iter().for_each(|(_, rule)| self.problem(&spot.source, rule));
        }
        let fed = Input::of(redirects).is_fed(self.scope.fed) && !self.reopened;
        let mut frame =
            Frame { prefix: prefix.text.clone(), names: prefix.names.clone(), fed, ..Frame::of(spot, redirects) };
        let first = &words[0];
        if first.text().is_none() {
            let rule = Rule::unsupported("name of a command", spot.at);
            self.problem(&spot.source, rule.clone());
            self.commands.push(Judged { text: spot.source.clone(), words: Vec::new(), rule: Some(rule) });
            return;
        }
        let start = self.scope.directories.clone();
        let (mut succeeded, mut failed) = (BTreeSet::new(), BTreeSet::new());
        for args in self.scope.variables.variants(words) {
            self.scope.directories.clone_from(&start);
            self.scope.on_failure = None;
            let found = [self.held_back(&prefix, &args), self.run(&args, &mut frame, Way::Shell).err()];
            for rule in found.into_iter().flatten() {
                self.problem(&spot.source, rule);
            }
            failed.extend(self.scope.on_failure.take().unwrap_or_else(|| self.scope.directories.clone()));
            succeeded.append(&mut self.scope.directories.clone());
        }
        self.scope.directories = succeeded;
        self.scope.on_failure = Some(failed);
        rewrite(words, frame.rewrites);
        self.forget_what_is_set(simple);
    }

    /// What is nothing but redirections is judged as the command that would print what they open.
    fn printed(&mut self, redirects: &[Redirect], spot: &Spot) {
        for args in input::printed(redirects, &self.scope.variables) {
            let mut frame = Frame::of(spot, redirects);
            if let Err(rule) = self.run(&args, &mut frame, Way::Plainly) {
                self.problem(&spot.source, rule);
            }
        }
    }

    /// Judges a command with its arguments, and whatever it runs.
    fn run(&mut self, args: &[Arg], frame: &mut Frame, way: Way) -> Result<(), Rule> {
        self.spend(args)?;
        let index = self.commands.len();
        let words = args.iter().map(|arg| arg.text.clone()).collect();
        let text =
            if way == Way::Shell { frame.spot.source.clone() } else { joined(args.iter().map(|arg| &*arg.text)) };
        self.commands.push(Judged { text, words, rule: None });
        let found = self.run_now(args, frame, way);
        if let Err(rule) = &found {
            self.commands[index].rule = Some(rule.clone());
        }
        found
    }

    fn run_now(&mut self, args: &[Arg], frame: &mut Frame, way: Way) -> Result<(), Rule> {
        let at = frame.spot.at;
        let name = match args.first() {
            Some(first) if first.word.is_some() => first.text.as_str(),
            _ => return Err(Rule::unsupported("name of a command", at)),
        };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Rule::unsupported("name of a command", at));
        }
        let base = name.rsplit('/').next().unwrap_or(name);
        self.blocked(args, base)?;
        if way == Way::Shell {
            self.calls(name);
            if self.scope.functions.contains(name) {
                return Ok(());
            }
        }
        let trusted = self.is_trusted(name, base, at)?;
        let shells_own = matches!(base, "eval" | "trap" | "exec" | "command");
        if shells_own && (way == Way::Program || name != base) {
            return Err(Rule::unsupported("builtin through a program", at));
        }
        if name == base && way != Way::Program && self.dialect == Dialect::Posix && builtins::is_of_others(name) {
            return Err(Rule::unsupported("builtin of other shells", at));
        }
        if let Some(opened) = wrappers::open(base, args).map_err(|what| Rule::unsupported(what, at))? {
            self.opened(Opened { guarded: opened.guarded || !trusted, ..opened }, args, frame)?;
            return if base == "nohup" { self.keeps_what_it_prints(frame) } else { Ok(()) };
        }
        if builtins::is_builtin(name) && (way != Way::Program || builtins::is_program(name)) {
            let standing = builtins::judge(args, (at, self.dialect), &|name, text| self.settable(name, text))?;
            let free = standing == Standing::Free && self.policy.builtins;
            if !free && !self.permitted(args, frame) {
                return Err(Rule::NotAllowed);
            }
            return if name == "cd" { self.change_directory(args) } else { Ok(()) };
        }
        // A file of that name in a project may be anything.
        if trusted && interpreters::runs_text(base, args) {
            return Err(Rule::unsupported("text that another program runs", at));
        }
        if let Some(script) = interpreters::judge(base, args, at)? {
            self.script_file(script, at)?;
        }
        let filters = self.policy.filters && frame.fed && filters::is_filter(args);
        if filters || self.permitted(args, frame) { Ok(()) } else { Err(Rule::NotAllowed) }
    }

    /// `nohup` writes what the program prints into a file of its own, where that would go to a terminal.
    fn keeps_what_it_prints(&self, frame: &Frame) -> Result<(), Rule> {
        const FILE: &str = "nohup.out";
        let writes = self.policy.allowed.is_some() && !frame.kept;
        if writes && !self.writable(FILE, &Word::literal(FILE)) { Err(Rule::Write(FILE.to_owned())) } else { Ok(()) }
    }

    fn blocked(&self, args: &[Arg], base: &str) -> Result<(), Rule> {
        if self.policy.blocked.is_empty() {
            return Ok(());
        }
        let rest = || args[1..].iter().map(|arg| &*arg.text);
        let full = joined(args.iter().map(|arg| &*arg.text));
        let short = || joined([base].into_iter().chain(rest()));
        let named = || if base == args[0].text { None } else { self.policy.blocks(&short()) };
        let known = self.policy.blocks(&full).or_else(named);
        let unknown = || {
            let open = |pattern: &Pattern, arg: &Arg| {
                !arg.fixed || arg.glob && (arg.sure == 0 || pattern.may_be_named(arg.beginning()))
            };
            let mut named = self.policy.blocked.iter().filter(|pattern| pattern.names(base));
            named.find(|pattern| args.iter().any(|arg| open(pattern, arg))).map(|pattern| pattern.source.clone())
        };
        known.or_else(unknown).map_or(Ok(()), |pattern| Err(Rule::Blocked(pattern)))
    }

    /// Whether a name means the program that everybody knows by it, and not a file of that name.
    fn is_trusted(&self, name: &str, base: &str, at: usize) -> Result<bool, Rule> {
        let Some((directory, _)) = name.rsplit_once('/') else { return Ok(true) };
        for real in self.program_files(name)? {
            let (real, base) = (interpreters::plain_name(&real), interpreters::plain_name(base));
            let other = real != base && interpreters::is_interpreter(real) && !interpreters::is_interpreter(base);
            if other {
                return Err(Rule::unsupported("interpreter under another name", at));
            }
        }
        Ok(matches!(directory, "/bin" | "/usr/bin" | "/usr/local/bin" | "/sbin" | "/usr/sbin"))
    }

    /// Whether a pattern allows it, whatever stands for what is not known.
    fn permitted(&self, args: &[Arg], frame: &Frame) -> bool {
        guesses(args).iter().all(|text| self.policy.permits(text))
            || self.reach((&frame.prefix, &frame.names), args) >= frame.prefix.len() + args[0].text.len()
    }

    fn opened(&mut self, opened: Opened, args: &[Arg], frame: &mut Frame) -> Result<(), Rule> {
        let Opened { guarded, runs, assigns, entangled } = opened;
        for text in &assigns {
            let name = text.split('=').next().unwrap_or_default();
            self.settable(name, text)?;
        }
        let silent = runs.is_empty() && !guarded && !self.policy.builtins;
        if (guarded || silent) && !self.permitted(args, frame) {
            return Err(Rule::NotAllowed);
        }
        // What runs later reads whatever is the input then.
        let how = Script { at: frame.spot.at, entangled, fed: frame.fed && !entangled };
        // A wrapper in a wrapper is as deep as any other construct in another.
        self.budget.enter()?;
        let prefix = std::mem::take(&mut frame.prefix);
        let found = self.runs(runs, args, (frame, how));
        frame.prefix = prefix;
        self.budget.leave();
        found
    }

    fn runs(&mut self, runs: Vec<Runs>, args: &[Arg], (frame, how): (&mut Frame, Script)) -> Result<(), Rule> {
        for run in runs {
            let (script, dialect) = match run {
                Runs::Words { from, to, filled, elsewhere } => {
                    let way = if args[0].text == "command" { Way::Plainly } else { Way::Program };
                    let args = fill(&args[from..to], filled.as_ref());
                    let before = frame.marks.len();
                    frame.marks.extend(filled.and_then(Filled::into_mark));
                    let found = self.there(elsewhere, |judge| judge.run(&args, frame, way));
                    frame.marks.truncate(before);
                    found?;
                    continue;
                }
                Runs::Text { arg, dialect } => (&args[arg..=arg], dialect),
                Runs::Joined { from, dialect } => (&args[from..], dialect),
            };
            let rewritten = self.text(script, dialect, how)?;
            // In other words it may hold what its own do not.
            if frame.marks.iter().any(|mark| rewritten.2.contains(mark.as_str())) {
                return Err(Rule::unsupported("script that is not known", how.at));
            }
            frame.rewrites.push(rewritten);
        }
        Ok(())
    }

    /// Judges what runs here, or elsewhere: in directories of which nothing is known.
    fn there<T>(&mut self, elsewhere: bool, judge: impl FnOnce(&mut Self) -> T) -> T {
        if !elsewhere {
            return judge(self);
        }
        let mut found = None;
        self.aside(|aside| {
            aside.scope.directories = BTreeSet::from([PathBuf::from("/")]);
            aside.scope.adrift = true;
            found = Some(judge(aside));
        });
        found.expect("it has just been judged")
    }

    /// A script in some arguments: the words that they are, from one to another, and the script in other words.
    fn text(&mut self, args: &[Arg], dialect: Dialect, how: Script) -> Result<(usize, usize, String), Rule> {
        let places: Option<Vec<usize>> = args.iter().map(|arg| arg.word).collect();
        let (Some(first), Some(last)) = places.map_or((None, None), |all| (all.first().copied(), all.last().copied()))
        else {
            return Err(Rule::unsupported("script that is not known", how.at));
        };
        let text = joined(args.iter().map(|arg| &*arg.text));
        Ok((first, last + 1, self.script(&text, dialect, how)?))
    }

    /// `cd`: to where it is known to lead, within the entry's directory.
    fn change_directory(&mut self, args: &[Arg]) -> Result<(), Rule> {
        let mut rest = &args[1..];
        while rest.first().is_some_and(|arg| arg.fixed && matches!(&*arg.text, "-L" | "-P" | "-e" | "--")) {
            rest = &rest[1..];
        }
        let shown = joined(rest.iter().map(|arg| &*arg.text));
        let [target] = rest else { return Err(Rule::Directory(if shown.is_empty() { "~".into() } else { shown })) };
        let out = Rule::Directory(shown);
        let home = target.word.is_none() && target.text.starts_with('~');
        let many = self.scope.directories.len() > MAX_DIRECTORIES;
        if !target.fixed || target.glob || home || many || target.text.starts_with('-') {
            return Err(out);
        }
        if self.scope.directories.iter().any(|known| known.as_os_str().len() + target.text.len() > MAX_PATH) {
            return Err(out);
        }
        // The shell takes `..` off the name of a directory, and `-P` off the directory itself: with links in between
        // these are two places.
        let named = self.scope.directories.iter().map(|directory| place::normal(&directory.join(&target.text)));
        let mut targets: BTreeSet<PathBuf> = named.collect();
        targets.extend(self.targets(&target.text)?);
        if !targets.iter().all(|target| self.place.holds(&place::resolve(target))) {
            return Err(out);
        }
        // Where each `cd` may fail, the next may double them.
        if self.scope.directories.len() + targets.len() > MAX_DIRECTORIES {
            return Err(out);
        }
        self.scope.on_failure = Some(std::mem::replace(&mut self.scope.directories, targets));
        Ok(())
    }
}

/// Arguments with what a program puts into them.
fn fill(args: &[Arg], filled: Option<&Filled>) -> Vec<Arg> {
    let mut args = args.to_vec();
    match filled {
        None => {}
        Some(Filled::Behind) => args.push(Arg {
            text: "$…".to_owned(),
            probe: "-probe".to_owned(),
            leads: true,
            loose: true,
            ..Arg::default()
        }),
        Some(Filled::At(mark)) => {
            for arg in args.iter_mut().filter(|arg| arg.text.contains(mark.as_str())) {
                let probe = if arg.text.starts_with(mark.as_str()) { "-probe".to_owned() } else { arg.probe.clone() };
                *arg = Arg { probe, fixed: false, leads: true, word: None, ..arg.clone() };
            }
        }
    }
    args
}

/// Puts scripts in other words in the place of the words that they stood in.
fn rewrite(words: &mut Vec<Word>, mut rewrites: Vec<(usize, usize, String)>) {
    rewrites.sort();
    rewrites.dedup();
    for (from, to, text) in rewrites.into_iter().rev() {
        words.splice(from..to, [Word::literal(text)]);
    }
}
