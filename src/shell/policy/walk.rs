//! Through lists, pipelines and compound commands, in the order in which they run.

use std::collections::BTreeSet;

use super::{
    Judged, Rule, builtins, conditions,
    input::Input,
    judge::{Judge, Scope},
    lex::Dialect,
    names,
    tree::{
        Arm, Command, Compound, Direction, Form, Item, Junction, List, Param, Part, Pipeline, Redirect, Spot, Word,
    },
    values,
};

impl Judge<'_> {
    pub(super) fn list(&mut self, list: &mut List) {
        list.0.iter_mut().for_each(|item| self.item(item));
    }

    fn item(&mut self, item: &mut Item) {
        if item.background {
            self.aside(|judge| judge.chain(item));
        } else {
            self.chain(item);
        }
    }

    /// Pipelines joined by `&&` and `||`: what follows runs where the one before left off, if it runs at all.
    fn chain(&mut self, item: &mut Item) {
        self.pipeline(&mut item.first);
        let (mut succeeded, mut failed) = self.outcomes();
        for (junction, pipeline) in &mut item.rest {
            let before = self.scope.clone();
            let (runs_in, skipped) = match junction {
                Junction::And => (succeeded, failed),
                Junction::Or => (failed, succeeded),
            };
            self.scope.directories = runs_in;
            self.pipeline(pipeline);
            (succeeded, failed) = self.outcomes();
            match junction {
                Junction::And => failed.extend(skipped),
                Junction::Or => succeeded.extend(skipped),
            }
            self.scope.variables.join(&before.variables);
            self.scope.functions.retain(|name| before.functions.contains(name));
        }
        succeeded.extend(failed);
        self.scope.directories = succeeded;
    }

    /// The directories after a success, and after a failure.
    fn outcomes(&mut self) -> (BTreeSet<std::path::PathBuf>, BTreeSet<std::path::PathBuf>) {
        let succeeded = self.scope.directories.clone();
        let failed = self.scope.on_failure.take().unwrap_or_else(|| succeeded.clone());
        (succeeded, failed)
    }

    fn pipeline(&mut self, pipeline: &mut Pipeline) {
        if let [command] = pipeline.commands.as_mut_slice() {
            self.command(command);
            if pipeline.negated {
                let (succeeded, failed) = self.outcomes();
                self.scope.directories = failed;
                self.scope.on_failure = Some(succeeded);
            }
            return;
        }
        for (index, command) in pipeline.commands.iter_mut().enumerate() {
            self.aside(|judge| {
                judge.scope.fed |= index > 0;
                judge.command(command);
            });
        }
    }

    fn command(&mut self, command: &mut Command) {
        self.scope.on_failure = None;
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound { kind, redirects, spot } => {
                self.redirects(redirects, spot);
                // Where a redirection fails, nothing of it runs.
                let skipped = (!redirects.is_empty()).then(|| self.scope.clone());
                let fed = self.scope.fed;
                self.scope.fed = Input::of(redirects).is_fed(fed);
                self.compound(kind, spot);
                self.scope.fed = fed;
                self.scope.on_failure = None;
                if let Some(skipped) = skipped {
                    self.scope.join(&skipped);
                }
            }
            Command::Function { name, body, spot } => self.function(name, body, spot),
        }
    }

    /// A function is judged where it is defined, as what it does wherever and whenever it is called.
    fn function(&mut self, name: &str, body: &mut Command, spot: &Spot) {
        // Some of the others' are aliases, which come before functions.
        if builtins::is_builtin(name) || self.dialect == Dialect::Posix && builtins::is_of_others(name) {
            self.problem(&spot.source, Rule::unsupported("name of a function", spot.at));
        }
        self.scope.functions.insert(name.to_owned());
        self.defining.push(name.to_owned());
        self.aside(|judge| {
            judge.scope.variables.clear();
            judge.scope.adrift = true;
            judge.scope.fed = false;
            let start = judge.scope.directories.clone();
            judge.command(body);
            if judge.scope.directories != start {
                judge.problem(&spot.source, Rule::Directory(format!("in the function {name}")));
            }
        });
        self.defining.pop();
        // Nothing ends it but the stack.
        if self.recurs(name) {
            self.problem(&spot.source, Rule::unsupported("function that calls itself", spot.at));
        }
    }

    fn compound(&mut self, compound: &mut Compound, spot: &Spot) {
        match compound {
            Compound::Group(list) => self.list(list),
            Compound::Subshell(list) => drop(self.aside(|judge| judge.list(list))),
            Compound::If { arms, otherwise } => self.condition(arms, otherwise.as_mut()),
            Compound::While { condition, body, .. } => {
                let mut sets = BTreeSet::new();
                values::assigned(condition, &mut sets);
                values::assigned(body, &mut sets);
                self.repeated(&sets, spot, |judge| {
                    judge.list(condition);
                    judge.list(body);
                });
            }
            Compound::For { name, words, body } => self.iteration((name, words.as_mut()), body, spot),
            Compound::Case { word, arms } => self.choice(word, arms, spot),
            Compound::Test(test) => {
                for word in conditions::words_mut(test) {
                    self.word(word, spot);
                }
                let found = conditions::judge(test, spot.at);
                self.keyword(found, spot);
            }
        }
    }

    /// A test between `[[` and `]]`, which is a builtin in all but name.
    fn keyword(&mut self, found: Result<(), Rule>, spot: &Spot) {
        let words = vec!["[[".to_owned(), spot.source.trim_start_matches("[[").trim().to_owned()];
        let text = words.join(" ");
        let found = found.and_then(|()| match self.policy.blocks(&text) {
            Some(pattern) => Err(Rule::Blocked(pattern)),
            None if self.policy.builtins || self.policy.permits(&text) => Ok(()),
            None => Err(Rule::NotAllowed),
        });
        let rule = found.err();
        if let Some(rule) = &rule {
            self.problem(&spot.source, rule.clone());
        }
        self.commands.push(Judged { text: spot.source.clone(), words, rule });
    }

    fn condition(&mut self, arms: &mut [(List, List)], otherwise: Option<&mut List>) {
        let mut ways: Vec<Scope> = Vec::new();
        for (condition, body) in arms {
            self.list(condition);
            ways.push(self.aside(|judge| judge.list(body)));
        }
        if let Some(list) = otherwise {
            self.list(list);
        }
        for way in &ways {
            self.scope.join(way);
        }
    }

    /// What is repeated begins with what it left behind the time before.
    fn repeated(&mut self, sets: &BTreeSet<String>, spot: &Spot, judge: impl FnOnce(&mut Self)) {
        self.scope.variables.forget(sets);
        let start = self.scope.clone();
        judge(self);
        self.scope.join(&start);
        if self.scope.directories != start.directories {
            self.problem(&spot.source, Rule::Directory("changed in a loop".to_owned()));
        }
    }

    fn iteration(&mut self, (name, words): (&str, Option<&mut Vec<Word>>), body: &mut List, spot: &Spot) {
        let mut known = None;
        if let Some(words) = words {
            for word in words.iter_mut() {
                self.word(word, spot);
            }
            let all: Vec<_> = self.scope.variables.variants(words).into_iter().flatten().collect();
            if all.iter().all(|arg| arg.fixed && !arg.glob) {
                known = Some(all.into_iter().map(|arg| arg.text).collect::<BTreeSet<_>>());
            }
        }
        match known.iter().flatten().collect::<Vec<_>>().as_slice() {
            [] => self.sets(name, &names::to_anything(name), spot),
            values => values.iter().for_each(|value| self.sets(name, &format!("{name}={value}"), spot)),
        }
        let (mut sets, mut of_body) = (BTreeSet::from([name.to_owned()]), BTreeSet::new());
        values::assigned(body, &mut of_body);
        let steady = !of_body.contains(name) && !self.unsteady.contains(name);
        sets.extend(of_body);
        self.repeated(&sets, spot, |judge| {
            if let Some(values) = known.filter(|_| steady) {
                judge.scope.variables.set(name, values);
            }
            judge.list(body);
        });
    }

    fn choice(&mut self, word: &mut Word, arms: &mut [Arm], spot: &Spot) {
        self.word(word, spot);
        // An arm may go on into the next one.
        let mut sets = BTreeSet::new();
        if arms.iter().any(|arm| arm.end != ";;") {
            for arm in arms.iter() {
                values::assigned(&arm.body, &mut sets);
            }
        }
        self.scope.variables.forget(&sets);
        let mut ways = Vec::new();
        for arm in arms {
            arm.patterns.iter_mut().for_each(|word| self.word(word, spot));
            let start = self.scope.directories.clone();
            let way = self.aside(|judge| judge.list(&mut arm.body));
            if arm.end != ";;" && way.directories != start {
                self.problem(&spot.source, Rule::Directory("changed in an arm".to_owned()));
            }
            ways.push(way);
        }
        for way in &ways {
            self.scope.join(way);
        }
        self.scope.variables.forget(&sets);
    }

    /// What runs while a word is expanded, and what that sets.
    pub(super) fn word(&mut self, word: &mut Word, spot: &Spot) {
        self.parts(&mut word.parts, spot);
    }

    fn parts(&mut self, parts: &mut [Part], spot: &Spot) {
        for part in parts {
            match part {
                Part::Output { list, .. } => drop(self.aside(|judge| judge.list(list))),
                Part::Process { list, sign } => {
                    let fed = *sign == '>';
                    self.aside(|judge| {
                        judge.scope.fed |= fed;
                        judge.list(list);
                    });
                }
                Part::Param(Param { name, form, .. }) => {
                    if let Form::Default(":=" | "=", _) = form {
                        self.sets(name, &names::to_anything(name), spot);
                    }
                    match form {
                        Form::Default(_, word) | Form::Trim(_, word) => self.word(word, spot),
                        Form::Replace(_, pattern, with) => {
                            self.word(pattern, spot);
                            if let Some(with) = with {
                                self.word(with, spot);
                            }
                        }
                        Form::Plain | Form::Length | Form::Case(_) | Form::Slice(_) => {}
                    }
                }
                Part::Literal(_) | Part::Glob(_) | Part::Tilde(_) | Part::Sum { .. } => {}
            }
        }
    }

    /// Whether a variable may be set, and that its value is unknown from here on.
    pub(super) fn sets(&mut self, name: &str, text: &str, spot: &Spot) {
        self.scope.variables.forget(&BTreeSet::from([name.to_owned()]));
        if let Err(rule) = self.settable(name, text) {
            self.problem(&spot.source, rule);
        }
    }

    pub(super) fn settable(&self, name: &str, text: &str) -> Result<(), Rule> {
        if names::is_harmless(name) || self.policy.lets_be_set(name, text) {
            Ok(())
        } else {
            Err(Rule::Assignment(name.to_owned()))
        }
    }

    pub(super) fn redirects(&mut self, redirects: &mut [Redirect], spot: &Spot) {
        for redirect in redirects {
            match &mut redirect.kind {
                Direction::File(_, word) | Direction::Text(word) => self.word(word, spot),
                Direction::Document(body) => {
                    // The tree is ours alone, but a body is shared by the words that braces made of one.
                    let mut parts = body.get().cloned().unwrap_or_default();
                    self.parts(&mut parts, spot);
                    let judged = std::cell::OnceCell::new();
                    let _ = judged.set(parts);
                    *body = std::rc::Rc::new(judged);
                }
                Direction::Copy(..) => {}
            }
            if let Err(rule) = self.redirect(redirect, spot.at) {
                self.problem(&spot.source, rule);
            }
        }
    }
}
