//! The verbs of control, and what they are told.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use super::protocol::{Code, Refusal};

/// A verb and its arguments.
#[derive(Debug)]
pub(super) enum Verb {
    Hello,
    Status,
    Tools(Which),
    Call(Call),
    Add(Add),
    Remove(Remove),
    Restart(One),
    StopEntry(One),
    Retry(Which),
    Ready(Which),
    Reload,
    Shutdown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Nothing {}

/// The log of an entry or of a managed program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsOf {
    pub(super) namespace: String,
    /// Only so many of the lines that were there before.
    #[serde(default)]
    pub(super) lines: Option<usize>,
    #[serde(default)]
    pub(super) follow: bool,
}

/// One entry, or all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Which {
    pub(super) namespace: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Option<Box<RawValue>>,
    /// Whether an entry that is deferred is brought up for it.
    #[serde(default)]
    pub(super) start: bool,
    /// Whether the answer is what an agent gets of the result, without its packing.
    #[serde(default)]
    pub(super) value: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    pub(super) namespace: String,
    /// As in the config file.
    pub(super) entry: Value,
    #[serde(default)]
    pub(super) deferred: bool,
    #[serde(default)]
    pub(super) save: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) save: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    pub(super) namespace: String,
}

impl Verb {
    /// Whether it changes something, and is noted. Calls are noted where they are made.
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Self::Hello | Self::Status | Self::Tools(_) | Self::Call(_))
    }

    /// The entry that it is about, if it is about one.
    pub(super) fn target(&self) -> Option<String> {
        match self {
            Self::Add(Add { namespace, .. }) | Self::Remove(Remove { namespace, .. }) => Some(namespace.clone()),
            Self::Restart(one) | Self::StopEntry(one) => Some(one.namespace.clone()),
            Self::Retry(which) | Self::Ready(which) | Self::Tools(which) => which.namespace.clone(),
            Self::Hello | Self::Status | Self::Call(_) | Self::Reload | Self::Shutdown => None,
        }
    }

    pub(super) fn read(verb: &str, args: Option<&RawValue>) -> Result<Self, Refusal> {
        let plain = |verb_: Self| read(verb, args).map(|Nothing {}| verb_);
        match verb {
            "hello" => plain(Self::Hello),
            "status" => plain(Self::Status),
            "tools" => read(verb, args).map(Self::Tools),
            "call" => read(verb, args).map(Self::Call),
            "add" => read(verb, args).map(Self::Add),
            "remove" => read(verb, args).map(Self::Remove),
            "restart" => read(verb, args).map(Self::Restart),
            "stop-entry" => read(verb, args).map(Self::StopEntry),
            "retry" => read(verb, args).map(Self::Retry),
            "ready" => read(verb, args).map(Self::Ready),
            "reload" => plain(Self::Reload),
            "shutdown" => plain(Self::Shutdown),
            _ => {
                let known = VERBS.join(", ");
                let words = format!("there is no verb `{}`; there are {known}", verb.escape_debug());
                Err(Refusal::new(Code::UnknownVerb, words))
            }
        }
    }
}

/// All verbs.
const VERBS: [&str; 16] = [
    "hello",
    "status",
    "tools",
    "call",
    "add",
    "remove",
    "restart",
    "stop-entry",
    "retry",
    "ready",
    "events",
    "logs",
    "reload",
    "shutdown",
    "attach",
    "cancel",
];

pub(super) fn read<T: DeserializeOwned>(verb: &str, args: Option<&RawValue>) -> Result<T, Refusal> {
    let text = args.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}");
    serde_json::from_str(text).map_err(|error| Refusal::arguments(verb, error))
}
