//! The keys of an entry in another program's file: what each means there, and which go unused.

use std::time::Duration;

use super::Reader;
use crate::config::{
    dialect::{
        keys::owners,
        rules::{Key, Unit},
        table::Level,
    },
    duration,
    entry::own_keys,
    fields::{Member, Node},
    value::{Data, Value},
};

/// The keys of an entry that mean something here and have not been asked for yet.
pub(super) struct Keys<'a> {
    pub(super) reader: &'a Reader<'a>,
    at: usize,
    node: Node<'a>,
    left: Vec<(Key, Member<'a>)>,
    /// Whose one of the others is: it may stand for what is missing.
    strange: Option<String>,
}

#[derive(Default)]
pub(super) struct Clocks {
    pub(super) connect: Option<Duration>,
    pub(super) call: Option<Duration>,
}

impl<'a> Keys<'a> {
    /// The keys of an entry. Those that mean nothing are named.
    pub(super) fn of(reader: &'a Reader<'a>, entry: &Member<'a>) -> Option<Self> {
        let (mut left, mut strange) = (Vec::new(), None);
        for member in entry.node.map("an object")? {
            match reader.rules.key(member.key) {
                Some(Key::Unused) => unused(&member, "is not used"),
                Some(Key::Silent) => {}
                Some(Key::Grants) => unused(&member, &grants(&member.node)),
                // As if it were not there, which is what all of them make of it.
                Some(_) if member.node.value.data == Data::Null => {}
                Some(key) => left.push((key, member)),
                None => match owners(Level::Entry, member.key, reader.rules.dialect) {
                    Some(owners) => {
                        unused(&member, &format!("belongs to {owners} and is not used"));
                        strange.get_or_insert(format!("`{}` belongs to {owners}", member.key));
                    }
                    None if own_keys().contains(&member.key) => {
                        unused(&member, "belongs to the files of `computer` itself and is not used");
                    }
                    None => unused(&member, "is not used"),
                },
            }
        }
        Some(Self { reader, at: entry.at, node: entry.node.clone(), left, strange })
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.left.iter().any(|(known, _)| *known == key)
    }

    pub(super) fn take(&mut self, key: Key) -> Option<Node<'a>> {
        let index = self.left.iter().position(|(known, _)| *known == key)?;
        Some(self.left.remove(index).1.node)
    }

    /// A mistake of the entry as a whole.
    pub(super) fn mistake(&self, message: &str) {
        self.node.report.mistake(self.at, format!("`{}`: {message}", self.node.name));
    }

    /// Says what the entry as a whole needs.
    pub(super) fn lacks(&self, what: &str) {
        let strange = self.strange.as_ref().map(|strange| format!("; {strange}")).unwrap_or_default();
        self.mistake(&format!("{what}{strange}"));
    }

    pub(super) fn clocks(&mut self) -> Clocks {
        let mut clocks = Clocks::default();
        for unit in [Unit::Milliseconds, Unit::Seconds] {
            if let Some(node) = self.take(Key::ConnectTimeout(unit)) {
                // The second generation of OpenCode's files has two clocks in one key.
                if node.value.is_object() {
                    let clock = |key: &str| node.only(key).and_then(|member| time(&member.node, unit));
                    clocks = Clocks { connect: clock("startup"), call: clock("request") };
                } else {
                    clocks.connect = time(&node, unit);
                }
            }
            if let Some(node) = self.take(Key::CallTimeout(unit)) {
                clocks.call = time(&node, unit);
            }
        }
        clocks
    }

    /// Names what this kind of entry has no use for.
    pub(super) fn finish(self) {
        for (_, member) in self.left.iter().filter(|(_, member)| !says_nothing(member.node.value)) {
            unused(member, "is not used by this kind of entry");
        }
    }
}

fn says_nothing(value: &Value) -> bool {
    match &value.data {
        Data::List(elements) => elements.is_empty(),
        Data::Object(properties) => properties.is_empty(),
        Data::Text(text) => text.is_empty(),
        Data::Null | Data::Flag(_) | Data::Number(_) => false,
    }
}

fn unused(member: &Member<'_>, why: &str) {
    member.node.report.unused(member.at, format!("`{}` {why}", member.node.name));
}

/// What is said of a key by which the user of another program grants something.
fn grants(node: &Node<'_>) -> String {
    let said = match &node.value.data {
        Data::List(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::text).collect();
            if names.is_empty() { String::new() } else { format!(" (it names {})", names.join(", ")) }
        }
        Data::Flag(flag) => format!(" (it is {flag})"),
        Data::Text(text) => format!(" (it is {text})"),
        Data::Null | Data::Number(_) | Data::Object(_) => String::new(),
    };
    format!("grants nothing here: whether a call is allowed is asked by whoever makes it{said}")
}

fn time(node: &Node<'_>, unit: Unit) -> Option<Duration> {
    let (what, factor) = match unit {
        Unit::Milliseconds => ("milliseconds", 0.001),
        Unit::Seconds => ("seconds", 1.0),
    };
    let Data::Number(number) = &node.value.data else {
        node.mistake(&format!("expected a number of {what}, found {}", node.value.kind()));
        return None;
    };
    let read = number.parse().ok().map(|number: f64| number * factor).and_then(duration::from_seconds);
    if read.is_none() {
        node.mistake(&format!("expected a number of {what} above zero and below a year, found {number}"));
    }
    read
}
