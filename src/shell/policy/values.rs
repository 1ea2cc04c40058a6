//! What is known of a word before it is expanded: the values that variables may have where it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    render,
    tree::{Command, Compound, Direction, Form, List, Param, Part, Redirect, Simple, Word},
};

/// How many values of a variable are followed, and how long they may be in all.
const MAX_VALUES: usize = 32;
const MAX_VALUE: usize = 16 << 10;
/// In how many ways those of one command are combined, how many arguments that may come to, and how many bytes of values:
/// `x=$x$x` makes each value twice as long as the one before.
const MAX_VARIANTS: usize = 64;
const MAX_ARGS: usize = 64 << 10;
const MAX_PUT_IN: usize = 64 << 10;

/// Values that variables have for certain. Of one that is missing nothing is known. Shared until somebody changes them:
/// every list and every pipeline keeps what was known before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Variables(Rc<BTreeMap<String, Rc<BTreeSet<String>>>>);

/// An argument as a program would get it.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each says of its own what is not known")]
pub(super) struct Arg {
    /// What is not known stands in it as it is written.
    pub(super) text: String,
    /// The same with another guess at what is not known: an option.
    pub(super) probe: String,
    /// Nothing of it is unknown.
    pub(super) fixed: bool,
    /// It begins with what is not known, and might be an option.
    pub(super) leads: bool,
    /// It may become several.
    pub(super) loose: bool,
    /// It is replaced by the names of files that fit, where there are any.
    pub(super) glob: bool,
    /// How much of the text is sure to be there, whatever the rest becomes.
    pub(super) sure: usize,
    /// Which word it comes from, when that is nothing but text.
    pub(super) word: Option<usize>,
}

impl Variables {
    pub(super) fn set(&mut self, name: &str, values: BTreeSet<String>) {
        let known = Rc::make_mut(&mut self.0);
        if values.is_empty() || are_too_many(&values) {
            known.remove(name);
        } else {
            known.insert(name.to_owned(), Rc::new(values));
        }
    }

    pub(super) fn forget(&mut self, names: &BTreeSet<String>) {
        if names.iter().any(|name| self.0.contains_key(name)) {
            Rc::make_mut(&mut self.0).retain(|name, _| !names.contains(name));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = Rc::default();
    }

    /// What holds when either of two ways was taken.
    pub(super) fn join(&mut self, other: &Self) {
        if Rc::ptr_eq(&self.0, &other.0) {
            return;
        }
        Rc::make_mut(&mut self.0).retain(|name, values| match other.0.get(name) {
            Some(others) if others == values => true,
            Some(others) => {
                Rc::make_mut(values).extend(others.iter().cloned());
                !are_too_many(values)
            }
            None => false,
        });
    }

    /// The arguments that these words become, in each way that is known of.
    pub(super) fn variants(&self, words: &[Word]) -> Vec<Vec<Arg>> {
        // How often each is put in.
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        for part in words.iter().flat_map(|word| &word.parts) {
            if let Part::Param(Param { name, form: Form::Plain, .. }) = part
                && self.0.contains_key(name)
            {
                *used.entry(name).or_default() += 1;
            }
        }
        let mut ways: Vec<BTreeMap<&str, &str>> = vec![BTreeMap::new()];
        let mut put_in = 0;
        for (name, times) in used {
            let values = &self.0[name];
            let more = ways.len() * values.len();
            let length = put_in + times * values.iter().map(String::len).max().unwrap_or(0);
            let args = if more > 1 { more * words.len() } else { 0 };
            if more > MAX_VARIANTS || args > MAX_ARGS || more * length > MAX_PUT_IN {
                continue;
            }
            put_in = length;
            let joined = ways.iter().flat_map(|way| {
                values.iter().map(move |value| {
                    let mut way = way.clone();
                    way.insert(name, value.as_str());
                    way
                })
            });
            ways = joined.collect();
        }
        let of_way = |way: &BTreeMap<&str, &str>| {
            words.iter().enumerate().flat_map(|(index, word)| args(word, index, way)).collect()
        };
        ways.iter().map(of_way).collect()
    }

    /// The values that a word may have where it is not split; `None` when that is not known.
    pub(super) fn values(&self, word: &Word) -> Option<BTreeSet<String>> {
        let quoted = Word { parts: word.parts.iter().cloned().map(quote).collect() };
        let mut values = BTreeSet::new();
        for variant in self.variants(&[quoted]) {
            match variant.as_slice() {
                [] => values.insert(String::new()),
                [arg] if arg.fixed => values.insert(arg.text.clone()),
                _ => return None,
            };
        }
        Some(values)
    }
}

fn are_too_many(values: &BTreeSet<String>) -> bool {
    values.len() > MAX_VALUES || values.iter().map(String::len).sum::<usize>() > MAX_VALUE
}

fn quote(part: Part) -> Part {
    match part {
        Part::Param(param) => Part::Param(Param { quoted: true, ..param }),
        other => other,
    }
}

/// Parameters whose values are numbers that no sign precedes. `$!` is none: it is nothing before there is a job.
pub(super) fn is_number(param: &Param) -> bool {
    matches!(param.name.as_str(), "?" | "#" | "$") && param.form == Form::Plain || param.form == Form::Length
}

fn args(word: &Word, index: usize, way: &BTreeMap<&str, &str>) -> Vec<Arg> {
    let fresh = |begun| (Arg { fixed: true, ..Arg::default() }, begun);
    let mut done = Vec::new();
    let (mut arg, mut begun) = fresh(false);
    for part in &word.parts {
        let mut quoted = true;
        match part {
            Part::Literal(text) | Part::Tilde(text) => arg.known(text),
            Part::Glob(text) => {
                arg.glob = true;
                let leads = arg.text.is_empty();
                if leads || arg.text.starts_with('-') {
                    arg.unknown(text, leads, false);
                } else {
                    arg.known(text);
                }
            }
            Part::Param(param) if param.form == Form::Plain && way.contains_key(param.name.as_str()) => {
                let value = way[param.name.as_str()];
                if param.quoted {
                    arg.known(value);
                } else {
                    quoted = false;
                    let live = value.contains(['*', '?', '[', '\\']);
                    if live {
                        arg.unknown(value, true, true);
                        begun = true;
                        continue;
                    }
                    if begun && value.starts_with([' ', '\t', '\n']) {
                        done.push(std::mem::replace(&mut arg, fresh(false).0));
                        begun = false;
                    }
                    // Where the shell splits, and nowhere else: a carriage return stays in its word.
                    let pieces = value.split([' ', '\t', '\n']).filter(|piece| !piece.is_empty());
                    for (nth, piece) in pieces.enumerate() {
                        if nth > 0 {
                            done.push(std::mem::replace(&mut arg, fresh(false).0));
                        }
                        arg.known(piece);
                        begun = true;
                    }
                    if begun && value.ends_with([' ', '\t', '\n']) {
                        done.push(std::mem::replace(&mut arg, fresh(false).0));
                        begun = false;
                    }
                }
            }
            Part::Param(param) if is_number(param) => arg.known(&render::part(part).replace('"', "")),
            Part::Param(Param { quoted: is_quoted, .. })
            | Part::Output { quoted: is_quoted, .. }
            | Part::Sum { quoted: is_quoted, .. } => {
                let leads = arg.text.is_empty();
                let source = source(part, *is_quoted);
                arg.unknown(&source, leads, !is_quoted || is_list(part));
            }
            Part::Process { .. } => arg.unknown(&render::part(part), false, false),
        }
        begun |= quoted;
    }
    if let [Part::Literal(_)] = word.parts.as_slice() {
        arg.word = Some(index);
    }
    if begun {
        done.push(arg);
    }
    done
}

/// Whether it becomes several arguments in quotes too: `"$@"`, and `"${x:-$@}"`.
fn is_list(part: &Part) -> bool {
    matches!(part, Part::Param(Param { name, .. }) if name == "@")
        || part.operands().into_iter().flat_map(|word| &word.parts).any(is_list)
}

/// A part as it is written, without its quotes.
fn source(part: &Part, quoted: bool) -> String {
    if let Part::Param(Param { name, form: Form::Plain, .. }) = part {
        return format!("${name}");
    }
    let text = render::part(part);
    if quoted { text[1..text.len() - 1].to_owned() } else { text }
}

impl Arg {
    /// Whether there may be more or fewer arguments than this one.
    pub(super) fn may_be_several(&self) -> bool {
        self.loose || self.glob
    }

    /// The text that it begins with for certain.
    pub(super) fn beginning(&self) -> &str {
        &self.text[..self.sure]
    }

    fn known(&mut self, text: &str) {
        if self.sure == self.text.len() && !self.glob {
            self.sure += text.len();
        }
        self.text.push_str(text);
        self.probe.push_str(text);
    }

    fn unknown(&mut self, source: &str, leads: bool, loose: bool) {
        self.probe.push_str(match (leads, loose) {
            (true, _) => "-probe",
            (false, true) => " -probe",
            (false, false) => source,
        });
        self.text.push_str(source);
        self.fixed = false;
        self.leads |= leads;
        self.loose |= loose;
    }
}

/// Stands among names of variables for what makes their values unsure: a function, which may be called wherever a loop
/// comes back to, and `readonly`, after which assignments fail.
pub(super) const UNSTEADY: &str = "()";

/// Stands there for an `exec` that gives another input to all that follows.
pub(super) const REOPENED: &str = "<";

/// Commands that set the variables that they are given the names of.
const SETTERS: [&str; 11] =
    ["read", "export", "local", "readonly", "declare", "typeset", "unset", "getopts", "mapfile", "readarray", "printf"];

/// The variables that something in a list may set.
pub(super) fn assigned(list: &List, names: &mut BTreeSet<String>) {
    for item in &list.0 {
        for pipeline in [&item.first].into_iter().chain(item.rest.iter().map(|(_, pipeline)| pipeline)) {
            pipeline.commands.iter().for_each(|command| assigned_by(command, names));
        }
    }
}

pub(super) fn assigned_by(command: &Command, names: &mut BTreeSet<String>) {
    match command {
        Command::Simple(simple) => by_simple(simple, names),
        Command::Function { body, .. } => {
            names.insert(UNSTEADY.to_owned());
            assigned_by(body, names);
        }
        Command::Compound { kind, redirects, .. } => {
            by_redirects(redirects, names);
            match kind {
                Compound::Group(list) | Compound::Subshell(list) => assigned(list, names),
                Compound::If { arms, otherwise } => {
                    arms.iter().flat_map(|(condition, body)| [condition, body]).for_each(|list| assigned(list, names));
                    if let Some(list) = otherwise {
                        assigned(list, names);
                    }
                }
                Compound::While { condition, body, .. } => {
                    assigned(condition, names);
                    assigned(body, names);
                }
                Compound::For { name, words, body } => {
                    names.insert(name.clone());
                    words.iter().flatten().for_each(|word| by_word(word, names));
                    assigned(body, names);
                }
                Compound::Case { word, arms } => {
                    by_word(word, names);
                    for arm in arms {
                        arm.patterns.iter().for_each(|word| by_word(word, names));
                        assigned(&arm.body, names);
                    }
                }
                Compound::Test(test) => {
                    for word in super::conditions::words(test) {
                        by_word(word, names);
                    }
                }
            }
        }
    }
}

pub(super) fn by_simple(simple: &Simple, names: &mut BTreeSet<String>) {
    for assignment in &simple.assignments {
        names.insert(assignment.name.clone());
        by_word(&assignment.value, names);
    }
    simple.words.iter().for_each(|word| by_word(word, names));
    by_redirects(&simple.redirects, names);
    let texts = || {
        simple.words.iter().filter_map(|word| match word.parts.first() {
            Some(Part::Literal(text)) => Some(text.as_str()),
            _ => None,
        })
    };
    if super::input::reopens(simple) {
        names.insert(REOPENED.to_owned());
    }
    if texts().any(|text| text == "readonly") {
        names.insert(UNSTEADY.to_owned());
    }
    if texts().any(|text| SETTERS.contains(&text)) {
        names.extend(texts().map(|text| text.split(['=', '+']).next().unwrap_or_default().to_owned()));
    }
}

pub(super) fn by_redirects(redirects: &[Redirect], names: &mut BTreeSet<String>) {
    for redirect in redirects {
        match &redirect.kind {
            Direction::File(_, word) | Direction::Text(word) => by_word(word, names),
            Direction::Document(body) => by_parts(body.get().map_or(&[], Vec::as_slice), names),
            Direction::Copy(..) => {}
        }
    }
}

fn by_word(word: &Word, names: &mut BTreeSet<String>) {
    by_parts(&word.parts, names);
}

fn by_parts(parts: &[Part], names: &mut BTreeSet<String>) {
    for part in parts {
        if let Part::Param(Param { name, form: Form::Default(":=" | "=", _), .. }) = part {
            names.insert(name.clone());
        }
        if let Part::Output { list, .. } | Part::Process { list, .. } = part {
            assigned(list, names);
        }
        part.operands().into_iter().for_each(|word| by_word(word, names));
    }
}
