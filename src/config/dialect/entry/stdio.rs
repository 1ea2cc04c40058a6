//! An entry of another program's file that is a program.

use super::{Keys, Reader, from_variable};
use crate::config::{
    InheritEnv, StdioConfig,
    dialect::rules::Key,
    entry::set,
    fields::{Member, Node},
    kinds,
    value::Data,
    windows,
};

impl Reader<'_> {
    pub(super) fn stdio(&self, keys: &mut Keys<'_>) -> Option<StdioConfig> {
        let command = keys.take(Key::Command)?;
        let mut config = StdioConfig { inherit_env: InheritEnv::All, ..StdioConfig::new("", Vec::<String>::new()) };
        let usable = self.command(&command, &mut config).is_some();
        if let Some(args) = keys.take(Key::Args).and_then(|node| node.list("texts")) {
            config.args.extend(args.iter().filter_map(|node| self.template(node)));
        }
        if let Some(node) = keys.take(Key::Env) {
            self.env(&node, &mut config);
        }
        for name in keys.take(Key::EnvNeeded).map(|node| names(&node)).unwrap_or_default() {
            // It lies where only that program reads it, as the answer to an input does.
            if config.env.iter().all(|(known, _)| *known != name) {
                let reference = format!("${{input:{name}}}");
                config.env.push((name, reference));
            }
        }
        if let Some(node) = keys.take(Key::EnvNames) {
            // It inherits everything; only what is no name is worth a word.
            names(&node);
        }
        config.env_file = keys.take(Key::EnvFile).and_then(|node| self.filled(&node));
        config.cwd = keys.take(Key::Cwd).and_then(|node| self.filled(&node));
        let clocks = keys.clocks();
        config.connect_timeout = clocks.connect;
        set(&mut config.call_timeout, clocks.call);
        config.max_call_time = config.max_call_time.max(config.call_timeout);
        windows::unwrap(&mut config);
        usable.then_some(config)
    }

    /// A program as a text; with its arguments as a list; with all that it needs as an object.
    fn command(&self, node: &Node<'_>, config: &mut StdioConfig) -> Option<()> {
        match &node.value.data {
            Data::List(_) => {
                let words = node.list("texts")?;
                let Some((program, args)) = words.split_first() else {
                    node.mistake("it needs at least a program");
                    return None;
                };
                config.args = args.iter().filter_map(|node| self.template(node)).collect();
                config.command = self.filled(program)?;
            }
            Data::Object(_) => {
                let part = |key: &str| node.only(key).map(|member| member.node);
                let there = |node: &Node<'_>| node.value.data != Data::Null;
                if let Some(args) = part("args").filter(there).and_then(|node| node.list("texts")) {
                    config.args = args.iter().filter_map(|node| self.template(node)).collect();
                }
                if let Some(env) = part("env").filter(there) {
                    self.env(&env, config);
                }
                let Some(path) = part("path") else {
                    node.mistake("it needs a `path`");
                    return None;
                };
                config.command = self.filled(&path)?;
            }
            _ => config.command = self.filled(node)?,
        }
        Some(())
    }

    fn env(&self, node: &Node<'_>, config: &mut StdioConfig) {
        for member in node.map("an object of variables").unwrap_or_default() {
            kinds::check_variable(&member);
            match &member.node.value.data {
                Data::Null if self.rules.loose_env => config.unset.push(member.key.to_owned()),
                Data::Number(number) if self.rules.loose_env => {
                    config.env.push((member.key.to_owned(), number.clone()));
                }
                _ => config.env.extend(self.variable(&member)),
            }
        }
    }

    fn variable(&self, member: &Member<'_>) -> Option<(String, String)> {
        Some(kinds::variable(member, self.template(&member.node)?))
    }
}

/// Names of variables, each as a text or in an object that says more about it.
fn names(node: &Node<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for element in node.list("names of variables").unwrap_or_default() {
        let name = if element.value.is_object() { element.only("name").map(|member| member.node) } else { None };
        let name = name.unwrap_or(element);
        if from_variable(&name).is_some() {
            names.extend(name.value.text().map(str::to_owned));
        }
    }
    names
}
