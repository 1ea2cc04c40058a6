//! A file of another program as a whole: where its entries lie, and what else is in it.

use super::{
    Dialect, Setting,
    entry::Reader,
    keys::{owners, refusal},
    rules::Rules,
    table::{self, Level},
};
use crate::config::{
    ComputerConfig,
    document::{self, own_root_keys},
    fields::{Member, Node},
    problem::{Findings, Report},
    value::{self, Data, Value},
};

/// Reads the text of a file. The configuration means something only when nothing was found against it.
pub(in crate::config) fn read(
    text: &str,
    file: &str,
    (dialect, setting): (Dialect, &Setting),
) -> (ComputerConfig, Findings) {
    let Some(rules) = table::of(dialect) else { return document::read(text, file) };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let report = Report::new(text, file);
    let mut config = ComputerConfig::default();
    if let Some(value) = value::read(text, rules.syntax, &report) {
        let root = Node { report: &report, name: String::new(), value: &value };
        config.entries = File { rules, setting, root }.entries();
    }
    (config, report.into_findings())
}

struct File<'a> {
    rules: &'static Rules,
    setting: &'a Setting,
    root: Node<'a>,
}

impl<'a> File<'a> {
    fn entries(&self) -> Vec<(crate::Namespace, crate::EntryConfig)> {
        if !self.root.value.is_object() {
            let root = self.rules.roots[0][0];
            self.root.report.mistake(self.root.at(), format!("expected an object such as {{ \"{root}\": {{ … }} }}"));
            return Vec::new();
        }
        let places = self.places();
        self.others(places.is_empty());
        let mut members: Vec<Member<'a>> = Vec::new();
        for member in places.iter().filter_map(|place| place.map("an object of entries")).flatten() {
            // A project's own entries come later and win.
            members.retain(|earlier| earlier.key != member.key);
            members.push(member);
        }
        let reader = Reader { rules: self.rules, setting: self.setting };
        let entries = document::entries(members, document::Unique::OrLeftOut, |member| {
            self.root.report.or_leave_out(|| reader.entry(member))
        });
        let mut named = Vec::new();
        for entry in entries {
            let (Some(namespace), Some(mut config)) = (entry.namespace, entry.config) else { continue };
            config.disabled |= self.is_switched_off(entry.key);
            named.push((namespace, config));
        }
        self.root.report.settle(!named.is_empty());
        named
    }

    /// The objects that hold entries; what is null holds none.
    fn places(&self) -> Vec<Node<'a>> {
        let walk = |path: &&[&str]| {
            let mut node = self.root.clone();
            for key in *path {
                node = node.only(key)?.node;
            }
            Some(node)
        };
        let is_there = |node: &Node<'a>| node.value.data != Data::Null;
        let found: Vec<Node<'a>> = match self.rules.dialect {
            // In the first generation `servers` was a name like any other.
            Dialect::OpenCode => {
                self.rules.roots.iter().filter_map(walk).find(|node| !is_entry(node)).into_iter().collect()
            }
            Dialect::ClaudeCode => {
                let project = self.project().and_then(|project| project.only("mcpServers")).map(|member| member.node);
                self.rules.roots.iter().filter_map(walk).chain(project).collect()
            }
            _ => self.rules.roots.iter().filter_map(walk).collect(),
        };
        found.into_iter().filter(is_there).collect()
    }

    /// What Claude Code keeps about the directory that we are in.
    fn project(&self) -> Option<Node<'a>> {
        let projects = self.root.only("projects")?.node;
        let real = std::fs::canonicalize(&self.setting.workspace).unwrap_or_default();
        [&self.setting.workspace, &real].into_iter().find_map(|directory| {
            let key = directory.to_string_lossy().replace('\\', "/");
            let key = if key.len() > 1 { key.trim_end_matches('/') } else { &key };
            Some(projects.only(key)?.node)
        })
    }

    /// Whether the program would not start an entry for what the file says elsewhere.
    fn is_switched_off(&self, key: &str) -> bool {
        let names = |node: Option<Node<'a>>, list: &str| {
            let list = node?.only(list)?.node.value;
            let Data::List(names) = &list.data else { return None };
            Some(names.iter().any(|name| name.text() == Some(key)))
        };
        match self.rules.dialect {
            Dialect::ClaudeCode => names(self.project(), "disabledMcpServers").unwrap_or_default(),
            Dialect::Gemini => {
                let mcp = || self.root.only("mcp").map(|member| member.node);
                names(mcp(), "excluded").unwrap_or_default() || names(mcp(), "allowed") == Some(false)
            }
            _ => false,
        }
    }

    /// Says which keys at the root go unused, and whose they are.
    fn others(&self, has_no_entries: bool) {
        let Data::Object(properties) = &self.root.value.data else { return };
        let (report, program) = (self.root.report, self.rules.dialect.program());
        let (mut unnamed, mut refused) = (0, false);
        for property in properties {
            let key = property.key.as_str();
            if self.rules.has_root(key) {
                continue;
            }
            let owned =
                if self.rules.homonyms.contains(&key) { None } else { owners(Level::Root, key, self.rules.dialect) };
            match owned {
                Some(_) if has_no_entries && property.value.is_object() => {
                    refused = true;
                    report.mistake(property.at, refusal(Level::Root, key, self.rules.dialect).unwrap_or_default());
                }
                Some(owners) => report.unused(property.at, format!("`{key}` belongs to {owners} and is not used")),
                None if own_root_keys().contains(&key) && key != "$schema" => {
                    let own =
                        format!("`{key}` belongs to the files of `computer` itself and is not used in {program}'s");
                    report.unused(property.at, own);
                }
                None => unnamed += 1,
            }
        }
        match unnamed {
            0 => {}
            1 => report.unused(self.root.at(), format!("1 other key at the root is {program}'s own and is not used")),
            _ => {
                let keys = format!("{unnamed} other keys at the root are {program}'s own and are not used");
                report.unused(self.root.at(), keys);
            }
        }
        if has_no_entries && !refused {
            let roots: Vec<String> = self.rules.roots.iter().map(|path| format!("`{}`", path.join("."))).collect();
            report.warning(self.root.at(), format!("no entries: {program} keeps them under {}", roots.join(" or ")));
        }
    }
}

/// Whether it is one entry rather than an object of them.
fn is_entry(node: &Node<'_>) -> bool {
    let Data::Object(properties) = &node.value.data else { return false };
    let is_text = |value: &Value| value.text().is_some();
    properties.iter().any(|property| property.key == "type" && is_text(&property.value))
}
