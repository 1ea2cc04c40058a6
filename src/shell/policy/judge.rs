//! Judging a tree: what is known at each point of it, and what was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Judged, Place, Policy, Rule,
    lex::{Budget, Dialect},
    parse, place, render,
    tree::List,
    values::{self, Arg, Variables},
};

pub(super) struct Judge<'p> {
    pub(super) policy: &'p Policy,
    pub(super) place: &'p Place,
    /// For whom the text is that is judged.
    pub(super) dialect: Dialect,
    pub(super) budget: Budget,
    pub(super) commands: Vec<Judged>,
    pub(super) problems: Vec<(String, Rule)>,
    pub(super) scope: Scope,
    /// What functions and traps may set at any time.
    pub(super) unsteady: BTreeSet<String>,
    /// The functions in whose definitions we are, and what each calls.
    pub(super) defining: Vec<String>,
    pub(super) called: BTreeMap<String, BTreeSet<String>>,
    /// Somewhere the input of all that follows becomes another: no pipe is sure to be what is read.
    pub(super) reopened: bool,
    /// How much was judged, in bytes, each argument costing some beside its own.
    spent: usize,
}

/// So much is judged: what is judged again and again, for every wrapper and every value, costs time.
const MAX_SPENT: usize = 2 << 20;
const COST_OF_AN_ARGUMENT: usize = 16;
/// What a text in a text costs by the byte, which is read from its beginning.
const COST_OF_READING: usize = 4;

/// What is known at a point of the text.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) variables: Variables,
    /// Functions that are defined for certain.
    pub(super) functions: BTreeSet<String>,
    /// The directories that may be the current one.
    pub(super) directories: BTreeSet<PathBuf>,
    /// Where a command that fails leaves us, when that is elsewhere.
    pub(super) on_failure: Option<BTreeSet<PathBuf>>,
    /// Its input comes through a pipe, or stands in the text.
    pub(super) fed: bool,
    /// It runs later, in whatever directory that will be.
    pub(super) adrift: bool,
}

/// So many directories are followed.
pub(super) const MAX_DIRECTORIES: usize = 16;

impl Scope {
    /// What holds when either of two ways was taken.
    pub(super) fn join(&mut self, other: &Self) {
        self.variables.join(&other.variables);
        self.functions.retain(|name| other.functions.contains(name));
        self.directories.extend(other.directories.iter().cloned());
    }
}

impl<'p> Judge<'p> {
    pub(super) fn new(policy: &'p Policy, place: &'p Place, budget: Budget) -> Self {
        let scope = Scope {
            variables: Variables::default(),
            functions: BTreeSet::new(),
            directories: BTreeSet::from([place.start().to_owned()]),
            on_failure: None,
            fed: false,
            adrift: false,
        };
        let (commands, problems, unsteady) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self {
            policy,
            place,
            dialect: policy.dialect,
            budget,
            commands,
            problems,
            scope,
            unsteady,
            defining: Vec::new(),
            called: BTreeMap::new(),
            reopened: false,
            spent: 0,
        }
    }

    /// Counts what is about to be judged; no more than that when it is too much.
    pub(super) fn spend(&mut self, args: &[Arg]) -> Result<(), Rule> {
        self.spent += args.iter().map(|arg| arg.text.len() + COST_OF_AN_ARGUMENT).sum::<usize>();
        if self.spent > MAX_SPENT { Err(Rule::Limit("words")) } else { Ok(()) }
    }

    /// Notes what functions in a text may set at any time, and what may not be set any more.
    pub(super) fn unsettle(&mut self, list: &List) {
        let mut sets = BTreeSet::new();
        values::assigned(list, &mut sets);
        self.reopened |= sets.contains(values::REOPENED);
        if sets.contains(values::UNSTEADY) {
            self.unsteady.append(&mut sets);
        }
    }

    pub(super) fn into_findings(self) -> (Vec<Judged>, Vec<(String, Rule)>) {
        (self.commands, self.problems)
    }

    pub(super) fn problem(&mut self, culprit: &str, rule: Rule) {
        self.problems.push((shortened(culprit), rule));
    }

    /// Judges something in a scope of its own, out of which nothing comes.
    pub(super) fn aside(&mut self, judge: impl FnOnce(&mut Self)) -> Scope {
        let scope = self.scope.clone();
        judge(self);
        std::mem::replace(&mut self.scope, scope)
    }

    /// Judges a text that a command runs, and gives it in other words.
    pub(super) fn script(&mut self, text: &str, dialect: Dialect, how: Script) -> Result<String, Rule> {
        if let Some(pattern) = self.policy.blocks(text) {
            return Err(Rule::Blocked(pattern));
        }
        self.spent += text.len() * COST_OF_READING;
        self.spend(&[])?;
        let Script { at, entangled, fed } = how;
        let place = |rule: Rule| match rule {
            Rule::Unsupported(what, _) => Rule::Unsupported(what, at),
            other => other,
        };
        // What runs among the commands around it is read by the shell that reads those.
        let dialect = if entangled { self.dialect } else { dialect };
        let mut budget = self.budget;
        budget.enter()?;
        let (mut list, mut budget) = parse::parse(text, dialect, budget).map_err(|trouble| place(trouble.into()))?;
        budget.leave();
        self.budget = budget;
        let mut sets = BTreeSet::new();
        values::assigned(&list, &mut sets);
        if entangled && !sets.is_empty() {
            return Err(Rule::unsupported("text that changes what is around it", at));
        }
        self.unsettle(&list);
        let before = self.problems.len();
        let depth = self.budget.depth;
        self.budget.depth = depth + 1;
        let outer = std::mem::replace(&mut self.dialect, dialect);
        self.aside(|judge| {
            judge.scope.variables.clear();
            judge.scope.adrift |= entangled;
            judge.scope.fed = fed;
            if !entangled {
                judge.scope.functions.clear();
            }
            let start = judge.scope.directories.clone();
            judge.list(&mut list);
            if entangled && judge.scope.directories != start {
                judge.problem(text, Rule::Directory("in a text that runs later".to_owned()));
            }
        });
        self.budget.depth = depth;
        self.dialect = outer;
        match self.problems.get(before) {
            Some((_, rule)) => Err(place(rule.clone())),
            None => render::faithful(&list.into_one(), dialect).map_err(|trouble| place(trouble.into())),
        }
    }

    /// Where a path leads from each directory that may be the current one.
    pub(super) fn targets(&self, path: &str) -> Result<Vec<PathBuf>, Rule> {
        let relative = !path.starts_with('/');
        if relative && self.scope.adrift && path.split('/').any(|name| name == "..") {
            return Err(Rule::Directory(path.to_owned()));
        }
        let of = |directory: &PathBuf| place::resolve(&place::resolve(directory).join(path));
        Ok(self.scope.directories.iter().map(of).collect())
    }

    /// A program that is named by its path, when that is relative, lies in the entry's directory. Gives the names of
    /// the files that it leads to.
    pub(super) fn program_files(&self, path: &str) -> Result<Vec<String>, Rule> {
        let out = || Rule::Directory(path.to_owned());
        let file = Path::new(path);
        let targets = self.targets(path)?;
        if !path.starts_with('/') {
            let parent = file.parent().and_then(Path::to_str).unwrap_or_default();
            let parent = if parent.is_empty() { "." } else { parent };
            if !self.targets(parent)?.iter().all(|parent| self.place.holds(parent)) {
                return Err(out());
            }
        }
        let name = |target: &PathBuf| target.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(targets.iter().filter_map(name).collect())
    }

    /// A script that an interpreter reads lies in the entry's directory when it is named from there, and is a file.
    pub(super) fn script_file(&self, path: &str, at: usize) -> Result<(), Rule> {
        let targets = self.targets(path)?;
        let is_special = |target: &PathBuf| ["/dev", "/proc", "/sys"].iter().any(|special| target.starts_with(special));
        if targets.iter().any(is_special) {
            return Err(Rule::unsupported("script that is not in a file", at));
        }
        let stays = path.starts_with('/') || targets.iter().all(|target| self.place.holds(target));
        if stays { Ok(()) } else { Err(Rule::Directory(path.to_owned())) }
    }

    /// Notes that the functions that are being defined call this.
    pub(super) fn calls(&mut self, name: &str) {
        for function in &self.defining {
            self.called.entry(function.clone()).or_default().insert(name.to_owned());
        }
    }

    /// Whether a function may come to call itself.
    pub(super) fn recurs(&self, name: &str) -> bool {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![name]);
        while let Some(next) = waiting.pop() {
            for called in self.called.get(next).into_iter().flatten() {
                if called == name {
                    return true;
                }
                if seen.insert(called) {
                    waiting.push(called);
                }
            }
        }
        false
    }
}

/// The beginning of what a rule is about: a long command may break thousands of them.
pub(super) fn shortened(culprit: &str) -> String {
    culprit.chars().take(200).collect()
}

/// How a text in a text runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    pub(super) at: usize,
    pub(super) entangled: bool,
    /// Its input comes through a pipe, or stands in the text.
    pub(super) fed: bool,
}
