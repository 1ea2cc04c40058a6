//! A config file as a whole: its text, its root, and what only the whole can tell.

use super::{
    ComputerConfig, EntryConfig, SchemaProfile, ServeConfig, StatusTools, Unattended,
    address::{host_and_port, host_mistake, origin_mistake},
    audit, entry,
    fields::{Fields, Member, Node},
    keys::{self, Shape},
    problem::{Findings, Report},
    program,
    value::{self, Syntax, Value},
};
use crate::name::Namespace;

/// What fits between the shortest name that can still be told apart and the longest that a provider takes.
const NAME_LIMITS: std::ops::RangeInclusive<usize> = 24..=128;

pub(super) const STATUS_TOOLS: &[(&str, StatusTools)] =
    &[("degraded", StatusTools::Degraded), ("always", StatusTools::Always), ("never", StatusTools::Never)];

pub(super) const UNATTENDED: &[(&str, Unattended)] =
    &[("decline", Unattended::Decline), ("defaults", Unattended::Defaults)];

pub(super) const SCHEMA_PROFILES: &[(&str, SchemaProfile)] = &[
    ("safe", SchemaProfile::Safe),
    ("anthropic", SchemaProfile::Anthropic),
    ("openai", SchemaProfile::OpenAi),
    ("gemini", SchemaProfile::Gemini),
    ("none", SchemaProfile::None),
];

/// Reads a text. The configuration means something only when nothing was found against it.
pub(super) fn read(text: &str, file: &str) -> (ComputerConfig, Findings) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let report = Report::new(text, file);
    let mut config = ComputerConfig::default();
    if let Some(value) = value::read(text, Syntax::Jsonc, &report) {
        document(&report, &value, &mut config);
    }
    (config, report.into_findings())
}

fn document<'a>(report: &'a Report<'a>, value: &'a Value, config: &mut ComputerConfig) {
    if !value.is_object() {
        report.mistake(value.at, r#"expected an object such as { "mcpServers": { … } }"#);
        return;
    }
    let root = Node { report, name: String::new(), value };
    if let Some(mut fields) = root.fields(Shape::Root, value.at) {
        self::root(&mut fields, config);
        fields.finish();
    }
}

pub(super) fn root(fields: &mut Fields<'_>, config: &mut ComputerConfig) {
    // For editors; what it says is theirs.
    fields.take("$schema").and_then(|node| node.text());
    // First, so that entries that refer to a Chrome can be told whether there is one.
    config.programs = program::programs(fields);
    let members = fields.take("mcpServers").and_then(|node| node.map("an object of entries")).unwrap_or_default();
    let entries = self::entries(members, Unique::Required, entry::entry);
    let deferred = fields.take("deferredEntries").map(|node| self::deferred(&node, &entries)).unwrap_or_default();
    config.entries = entries.into_iter().filter_map(|entry| Some((entry.namespace?, entry.config?))).collect();
    for (_, entry) in config.entries.iter_mut().filter(|(name, _)| deferred.contains(name)) {
        entry.deferred = true;
    }
    if let Some(when) = fields.take("statusTools").and_then(|node| node.one_of(STATUS_TOOLS)) {
        config.status_tools = when;
    }
    if let Some(profile) = fields.take("schemaProfile").and_then(|node| node.one_of(SCHEMA_PROFILES)) {
        config.schema_profile = profile;
    }
    if let Some(limit) = fields.take("nameLimit").and_then(|node| node.whole(NAME_LIMITS)) {
        config.name_limit = limit;
    }
    if let Some(mut fields) = fields.take("serve").and_then(|node| node.fields(Shape::Serve, node.at())) {
        serve(&mut fields, &mut config.serve);
        fields.finish();
    }
}

/// The keys of our own root.
pub(super) fn own_root_keys() -> Vec<&'static str> {
    let report = Report::new("", "");
    let mut fields = Fields::empty(&report, Shape::Root);
    root(&mut fields, &mut ComputerConfig::default());
    fields.known().to_vec()
}

pub(super) fn serve(fields: &mut Fields<'_>, serve: &mut ServeConfig) {
    if let Some(limit) = fields.take("nameLimit").and_then(|node| node.whole(NAME_LIMITS)) {
        serve.name_limit = limit;
    }
    if let Some(wait) = fields.take("listWait").and_then(|node| node.duration_or_zero()) {
        serve.list_wait = wait;
    }
    serve.http = fields.take("http").and_then(|node| address(&node));
    serve.allowed_hosts = names(fields, "allowedHosts", host_mistake);
    serve.allowed_origins = names(fields, "allowedOrigins", origin_mistake);
    if let Some(policy) = fields.take("unattended").and_then(|node| node.one_of(UNATTENDED)) {
        serve.unattended = policy;
    }
    if let Some(audit) = fields.take("audit").and_then(|node| audit::audit(&node)) {
        serve.audit = audit;
    }
}

/// A list of names, each looked at: one that lets nobody in, or everybody, must not pass for one that was meant.
fn names(fields: &mut Fields<'_>, key: &'static str, mistake: fn(&str) -> Option<String>) -> Vec<String> {
    let items = fields.take(key).and_then(|node| node.list("texts")).unwrap_or_default();
    let read = items.iter().filter_map(|node| {
        let text = node.filled_text()?;
        if let Some(mistake) = mistake(text) {
            node.mistake(&mistake);
        }
        Some(text.to_owned())
    });
    read.collect()
}

/// A place to listen on.
fn address(node: &Node<'_>) -> Option<String> {
    let text = node.filled_text()?;
    if host_and_port(text).is_none() {
        node.mistake("expected an address and a port such as \"127.0.0.1:7331\"");
    }
    Some(text.to_owned())
}

/// An entry as it stands in the file: a name without a configuration still is a name that others refer to.
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) namespace: Option<Namespace>,
    pub(super) config: Option<EntryConfig>,
}

/// What becomes of an entry whose namespace another has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unique {
    /// In a file of our own it is a mistake.
    Required,
    /// In a file of another program, to which they are two, the second is left out.
    OrLeftOut,
}

/// Entries with their names, each read by `read`.
pub(super) fn entries<'a>(
    members: Vec<Member<'a>>,
    unique: Unique,
    read: impl Fn(&Member<'a>) -> Option<EntryConfig>,
) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for member in members {
        let (key, report) = (member.key, member.node.report);
        let namespace = Namespace::derive(key);
        match entries.iter().find(|known| namespace.is_some() && known.namespace == namespace) {
            Some(known) => {
                let words = same_namespace(known, key);
                if unique == Unique::OrLeftOut {
                    report.or_leave_out(|| {
                        report.mistake(member.at, words);
                        None::<()>
                    });
                    continue;
                }
                report.mistake(member.at, words);
            }
            None if namespace.is_none() => report.mistake(member.at, unnameable(key)),
            None => {}
        }
        let mut config = read(&member);
        if let (Some(config), Some(namespace)) = (&mut config, &namespace) {
            config.display_name = (namespace.as_str() != key).then(|| key.to_owned());
        }
        entries.push(Entry { key, namespace, config });
    }
    entries
}

fn same_namespace(known: &Entry<'_>, key: &str) -> String {
    let namespace = known.namespace.as_ref().map_or("", Namespace::as_str);
    format!("`{}` and `{key}` both become the namespace `{namespace}`; rename one of them", known.key)
}

fn unnameable(key: &str) -> String {
    format!("`{key}` cannot become a namespace: it needs at least one letter or digit of ASCII")
}

/// The namespaces that the list means, by key or by namespace.
fn deferred(node: &Node<'_>, entries: &[Entry<'_>]) -> Vec<Namespace> {
    let mut deferred = Vec::new();
    for element in node.list("names of entries").unwrap_or_default() {
        let Some(name) = element.text() else { continue };
        let known = |entry: &&Entry<'_>| {
            entry.key == name || entry.namespace.as_ref().is_some_and(|namespace| namespace.as_str() == name)
        };
        let Some(entry) = entries.iter().find(known) else {
            element.mistake(&no_such_entry(name, entries));
            continue;
        };
        let Some(namespace) = &entry.namespace else { continue };
        if deferred.contains(namespace) {
            element.report.warning(element.at(), format!("`{name}` is listed twice"));
        }
        deferred.push(namespace.clone());
    }
    deferred
}

fn no_such_entry(name: &str, entries: &[Entry<'_>]) -> String {
    let names = || entries.iter().map(|entry| entry.key);
    match keys::nearest(name, names()) {
        Some(near) => format!("no entry is named `{name}`; did you mean `{near}`?"),
        None if entries.is_empty() => format!("no entry is named `{name}`: `mcpServers` has none"),
        None => format!("no entry is named `{name}`; there are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{AuditArguments, AuditConfig, file::parse},
        *,
    };

    /// The mistakes of a text as `line:column: message`.
    fn mistakes(text: &str) -> Vec<String> {
        let problems = parse(text, "t").expect_err("the text has mistakes");
        problems.iter().map(|problem| problem.to_string()[2..].to_owned()).collect()
    }

    fn config(text: &str) -> ComputerConfig {
        parse(text, "t").unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    #[test]
    fn five_mistakes_are_all_reported_with_their_places() {
        let text = r#"{
  // A comment with ümläuts moves no column.
  "mcpServers": {
    "ä": { "comand": "x" },
    "b": { "command": "x", "callTimeout": "-1s" },
    "c": { "command": "${input:k}", "args": [7] },
  },
  "statusTools": "sometimes",
}"#;
        let found = mistakes(text);
        assert_eq!(found.len(), 7, "{found:#?}");
        assert_eq!(found[0], "4:5: `ä` cannot become a namespace: it needs at least one letter or digit of ASCII");
        assert!(found[1].starts_with("4:5: an entry needs a `command`"), "{found:#?}");
        assert_eq!(found[2], "4:12: unknown key `comand`; did you mean `command`?");
        assert!(found[3].starts_with("5:43: `mcpServers.b.callTimeout`: expected a duration"), "{found:#?}");
        assert!(found[3].ends_with("found \"-1s\": it is negative"), "{found:#?}");
        assert!(found[4].starts_with("6:23: `mcpServers.c.command`: `${input:k}`: inputs belong to"), "{found:#?}");
        assert_eq!(found[5], "6:46: `mcpServers.c.args[0]`: expected a text, found a number; put it in quotes: \"7\"");
        assert_eq!(
            found[6],
            "8:18: `statusTools`: expected \"degraded\" or \"always\" or \"never\", found \"sometimes\""
        );
    }

    #[test]
    fn every_root_key_is_read() {
        let config = config(
            r#"{
                "$schema": "./computer.schema.json",
                "mcpServers": { "b": { "command": "x" }, "a": { "command": "y" } },
                "deferredEntries": ["a"],
                "statusTools": "always", "schemaProfile": "openai", "nameLimit": 128,
                "serve": { "nameLimit": 24, "listWait": 0, "http": "127.0.0.1:7331", "allowedHosts": ["box.local"],
                           "allowedOrigins": ["https://a.example"], "unattended": "defaults",
                           "audit": { "arguments": "none", "require": true, "maxBytes": 65536 } },
            }"#,
        );
        let entries: Vec<_> = config.entries.iter().map(|(name, entry)| (name.as_str(), entry.deferred)).collect();
        assert_eq!(entries, [("b", false), ("a", true)]);
        assert_eq!(config.status_tools, StatusTools::Always);
        assert_eq!(config.schema_profile, SchemaProfile::OpenAi);
        assert_eq!(config.name_limit, 128);
        let expected = ServeConfig {
            name_limit: 24,
            list_wait: Duration::ZERO,
            http: Some("127.0.0.1:7331".into()),
            allowed_hosts: vec!["box.local".into()],
            allowed_origins: vec!["https://a.example".into()],
            unattended: Unattended::Defaults,
            audit: AuditConfig { on: true, arguments: AuditArguments::None, require: true, max_bytes: 65_536 },
        };
        assert_eq!(config.serve, expected);
    }

    #[test]
    fn an_empty_object_is_a_configuration_and_a_mark_at_the_front_does_no_harm() {
        assert_eq!(config("\u{feff}{}"), ComputerConfig::default());
        assert!(mistakes("\u{feff}{ \"x\": 1 }")[0].starts_with("1:3: "));
    }

    #[test]
    fn what_is_no_configuration_at_all_is_told_from_a_mistake_in_one() {
        assert_eq!(mistakes(""), ["1:1: the file is empty; the least that a config holds is {}"]);
        assert_eq!(mistakes("// nothing"), ["1:1: the file is empty; the least that a config holds is {}"]);
        assert_eq!(mistakes("\n [1]"), ["2:2: expected an object such as { \"mcpServers\": { … } }"]);
        assert_eq!(
            mistakes("{\n  \"a\" 1\n}"),
            ["2:7: no valid JSON: expected colon after the string or word in object property"]
        );
        assert!(mistakes("{ 'a': 1 }")[0].starts_with("1:3: no valid JSON: single-quoted strings"));
        assert!(mistakes("{ \"a\": 1 \"b\": 2 }")[0].contains("expected comma"));
    }

    #[test]
    fn keys_of_planned_abilities_and_of_other_programs_are_refused_by_name() {
        let found = mistakes(r#"{ "servers": {}, "serve": { "pin": 1, "toolMode": 1 }, "mcp": {} }"#);
        assert_eq!(found[0], "1:3: `servers` belongs to VS Code's files; `--dialect vscode` reads it so");
        assert_eq!(found[1], "1:29: `pin` is not there yet in this version: refusing tools whose definition changed");
        assert_eq!(
            found[2],
            "1:39: `toolMode` is not there yet in this version: offering three search tools instead of a large catalog"
        );
        assert!(found[3].contains("OpenCode"), "{found:#?}");
    }

    #[test]
    fn a_key_that_is_given_twice_is_a_mistake_at_the_second() {
        let found = mistakes("{ \"nameLimit\": 64,\n \"nameLimit\": 65 }");
        assert_eq!(found, ["2:2: `nameLimit` is given twice; the first one is in line 1"]);
        let found = mistakes(r#"{ "mcpServers": { "a": { "command": "x" }, "a": { "command": "y" } } }"#);
        assert_eq!(found, ["1:44: `a` is given twice; the first one is in line 1"]);
    }

    #[test]
    fn a_free_key_becomes_a_namespace_and_stays_as_the_display_name() {
        let config = config(r#"{ "mcpServers": { "My Files": { "command": "x" }, "b": { "command": "x" } } }"#);
        let names: Vec<_> = config.entries.iter().map(|(n, e)| (n.as_str(), e.display_name.as_deref())).collect();
        assert_eq!(names, [("My_Files", Some("My Files")), ("b", None)]);
    }

    #[test]
    fn two_keys_with_the_same_namespace_are_both_named() {
        let found = mistakes(r#"{ "mcpServers": { "a b": { "command": "x" }, "a__b": { "command": "x" } } }"#);
        assert_eq!(found, ["1:46: `a b` and `a__b` both become the namespace `a_b`; rename one of them"]);
    }

    #[test]
    fn deferred_entries_are_named_by_key_or_namespace_and_must_exist() {
        let text = |list: &str| {
            format!(r#"{{ "deferredEntries": {list}, "mcpServers": {{ "My Files": {{ "command": "x" }} }} }}"#)
        };
        for list in [r#"["My Files"]"#, r#"["My_Files"]"#] {
            assert!(config(&text(list)).entries[0].1.deferred);
        }
        let found = mistakes(&text(r#"["MyFile", "shell"]"#));
        assert_eq!(
            found,
            [
                "1:23: `deferredEntries[0]`: no entry is named `MyFile`; did you mean `My Files`?",
                "1:33: `deferredEntries[1]`: no entry is named `shell`; there are My Files",
            ]
        );
        let (_, warnings) = parse(&text(r#"["My_Files", "My Files"]"#), "t").unwrap();
        assert_eq!(warnings[0].to_string(), "t:1:35: `My Files` is listed twice");
    }

    #[test]
    fn a_place_to_listen_on_has_a_port() {
        for http in ["localhost", ":80", "h:99999"] {
            assert_eq!(
                mistakes(&format!(r#"{{ "serve": {{ "http": "{http}" }} }}"#)),
                ["1:22: `serve.http`: expected an address and a port such as \"127.0.0.1:7331\""]
            );
        }
        assert_eq!(
            mistakes(r#"{ "serve": { "allowedHosts": "a", "allowedOrigins": [""], "unattended": "ask" } }"#),
            [
                "1:30: `serve.allowedHosts`: expected a list of texts, found a text",
                "1:54: `serve.allowedOrigins[0]`: it is empty",
                "1:73: `serve.unattended`: expected \"decline\" or \"defaults\", found \"ask\"",
            ]
        );
    }

    #[test]
    fn limits_of_names_have_a_sensible_range() {
        assert_eq!(
            mistakes(r#"{ "nameLimit": 23, "serve": { "nameLimit": 129 } }"#),
            [
                "1:16: `nameLimit`: expected a whole number from 24 to 128, found 23",
                "1:44: `serve.nameLimit`: expected a whole number from 24 to 128, found 129",
            ]
        );
        assert_eq!(
            mistakes(r#"{ "nameLimit": "64" }"#),
            ["1:16: `nameLimit`: expected a whole number from 24 to 128, found a text"]
        );
    }

    #[test]
    fn a_wrong_type_says_what_was_expected_and_what_is_there() {
        assert_eq!(
            mistakes(r#"{ "mcpServers": [], "deferredEntries": {}, "serve": null, "statusTools": true }"#),
            [
                "1:17: `mcpServers`: expected an object of entries, found a list",
                "1:40: `deferredEntries`: expected a list of names of entries, found an object",
                "1:53: `serve`: expected an object, found null",
                "1:74: `statusTools`: expected \"degraded\" or \"always\" or \"never\", found true",
            ]
        );
    }
}
