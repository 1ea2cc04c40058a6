//! An entry of another program's file, key by key.

mod http;
mod keys;
mod stdio;

use self::keys::Keys;
use super::{
    Dialect, Setting,
    rules::{Key, Rules, Untyped},
};
use crate::config::{
    EntryConfig, EntryKind, HttpTransport, ToolFilter,
    entry::{NO_TRANSPORT, Way, way},
    fields::{Member, Node},
    template,
};

/// Reads the entries of one file.
pub(super) struct Reader<'a> {
    pub(super) rules: &'static Rules,
    pub(super) setting: &'a Setting,
}

/// How an entry is reached, or why it is not.
enum Reached {
    Program,
    Server(HttpTransport),
    /// It lives inside its own program.
    Nowhere(String),
    /// It was said already what is wrong with it.
    Unclear,
}

impl Reader<'_> {
    /// The configuration of an entry; `None` for one that is passed over or has been found wrong.
    pub(super) fn entry(&self, member: &Member<'_>) -> Option<EntryConfig> {
        let mut keys = Keys::of(self, member)?;
        let disabled = keys.take(Key::Disabled).and_then(|node| node.flag());
        let enabled = keys.take(Key::Enabled).and_then(|node| node.flag());
        let disabled = disabled.unwrap_or(enabled == Some(false));
        // An organization may have said the rest, in a place that only OpenCode reads.
        let is_switch = disabled || (self.rules.dialect == Dialect::OpenCode && enabled.is_some());
        let kind = match self.reached(&mut keys, is_switch) {
            Reached::Program => EntryKind::Stdio(self.stdio(&mut keys)?),
            Reached::Server(transport) => EntryKind::Http(self.http(&mut keys, transport)?),
            Reached::Nowhere(why) => {
                member.node.report.unused(member.at, format!("`{}` is passed over: {why}", member.node.name));
                return None;
            }
            Reached::Unclear => return None,
        };
        let mut config = EntryConfig { disabled, ..EntryConfig::from(kind) };
        config.tools = Self::tools(&mut keys);
        config.description = keys.take(Key::Description).and_then(|node| node.text()).map(str::to_owned);
        keys.finish();
        Some(config)
    }

    /// How the entry is reached; `is_switch` says that it may say no more than that it is on or off.
    fn reached(&self, keys: &mut Keys<'_>, is_switch: bool) -> Reached {
        let (has_command, has_url) = (keys.has(Key::Command), keys.has(Key::Url) || keys.has(Key::HttpUrl));
        let (command, url) = (self.rules.name_of(Key::Command), self.rules.name_of(Key::Url));
        let kind = keys.take(Key::Type);
        let (reached, lacks) = match kind.as_ref().map(|node| self.typed(node, is_switch)) {
            Some(Reached::Program) => {
                (Reached::Program, (!has_command).then(|| format!("a stdio entry needs `{command}`")))
            }
            Some(Reached::Server(way)) => {
                (Reached::Server(way), (!has_url).then(|| format!("an HTTP entry needs `{url}`")))
            }
            Some(otherwise) => return otherwise,
            None if has_command => (Reached::Program, None),
            None if has_url => (self.untyped(keys), None),
            None if self.rules.dialect == Dialect::Zed => {
                return Reached::Nowhere("an extension of Zed brings its program, and Zed alone knows it".to_owned());
            }
            None => (Reached::Unclear, Some(format!("an entry needs `{command}` or `{url}`"))),
        };
        match lacks {
            None => reached,
            Some(_) if is_switch => Reached::Nowhere("it is switched on or off and says no more".to_owned()),
            Some(lacks) => {
                keys.lacks(&lacks);
                Reached::Unclear
            }
        }
    }

    /// What a type says.
    fn typed(&self, node: &Node<'_>, is_off: bool) -> Reached {
        let Some(word) = node.text() else { return Reached::Unclear };
        match way(word) {
            Some(Way::Stdio) => Reached::Program,
            Some(Way::Http) => Reached::Server(HttpTransport::Auto),
            Some(Way::Sse) => Reached::Server(HttpTransport::Sse),
            Some(Way::WebSocket) if is_off => {
                Reached::Nowhere("WebSocket is no transport of MCP, and it is switched off".to_owned())
            }
            Some(Way::WebSocket) => {
                node.mistake(NO_TRANSPORT);
                Reached::Unclear
            }
            None if self.rules.inside.contains(&word) => {
                let program = self.rules.dialect.program();
                Reached::Nowhere(format!("`{word}` is a kind that lives inside {program}"))
            }
            None => {
                node.mistake(&format!("expected \"stdio\", \"http\" or \"sse\", found \"{word}\""));
                Reached::Unclear
            }
        }
    }

    /// What an address says without a type.
    fn untyped(&self, keys: &Keys<'_>) -> Reached {
        match self.rules.untyped {
            _ if keys.has(Key::HttpUrl) => Reached::Server(HttpTransport::Auto),
            Untyped::Http => Reached::Server(HttpTransport::Auto),
            Untyped::Sse => Reached::Server(HttpTransport::Sse),
            Untyped::Ask => {
                let program = self.rules.dialect.program();
                keys.mistake(&format!(
                    "{program} wants a `type` beside a `url`: \"streamable-http\", or \"sse\" for the older transport"
                ));
                Reached::Unclear
            }
        }
    }

    fn tools(keys: &mut Keys<'_>) -> ToolFilter {
        let names = |node: Node<'_>| node.texts().map(|names| names.iter().map(|name| own_name(name)).collect());
        let allow: Option<Vec<String>> = keys.take(Key::AllowTools).and_then(names);
        let deny: Option<Vec<String>> = keys.take(Key::DenyTools).and_then(names);
        // Where nothing is chosen, Goose writes a list of nothing.
        let allow = allow.filter(|names| keys.reader.rules.dialect != Dialect::Goose || !names.is_empty());
        ToolFilter { allow, deny: deny.unwrap_or_default(), ..ToolFilter::default() }
    }

    /// A text in our words.
    fn template(&self, node: &Node<'_>) -> Option<String> {
        self.converted(node, node.text()?)
    }

    fn converted(&self, node: &Node<'_>, text: &str) -> Option<String> {
        if text.contains('\0') {
            node.mistake("it holds a zero character, which no program can be given");
        }
        let converted = self.rules.variables.convert(text, self.setting);
        let checked = converted.and_then(|text| template::parse(&text).map(|_| text));
        checked.map_err(|reason| node.mistake(&reason)).ok()
    }

    /// A text in our words, with something in it.
    fn filled(&self, node: &Node<'_>) -> Option<String> {
        self.converted(node, node.filled_text()?)
    }
}

/// A tool's own name: Gemini CLI allows to write what it is called with behind it.
fn own_name(name: &str) -> String {
    name.split('(').next().unwrap_or(name).trim().to_owned()
}

/// What refers to the variable of that name.
fn from_variable(node: &Node<'_>) -> Option<String> {
    let name = node.filled_text()?;
    if !template::is_variable(name) {
        node.mistake("expected the name of a variable");
        return None;
    }
    Some(format!("${{env:{name}}}"))
}
