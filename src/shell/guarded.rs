//! A shell with patterns: what its commands run in, and what it says to those that may not run.

use std::path::{Path, PathBuf};

use super::{
    arguments::Order,
    policy::{Place, Policy},
};
use crate::{
    config::PolicyConfig,
    environment::{self, LoginEnvironment},
    error::{Error, Result},
};

/// What lets commands of a shell pass.
pub(super) struct Guarded {
    policy: Policy,
    place: Place,
    /// What runs them: a bash, or a sh that is given nothing but what every shell reads alike.
    program: PathBuf,
    is_bash: bool,
}

/// Why a command may not run.
pub(super) struct Denied {
    /// For whoever wanted it.
    pub(super) words: String,
    /// The rule, without anything of the command.
    pub(super) rule: String,
}

/// Variables that change how a shell reads a text, or what it runs beside it.
const MEDDLING: [&str; 13] = [
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "IFS",
    "CDPATH",
    "GLOBIGNORE",
    "PROMPT_COMMAND",
    "BASH_COMPAT",
    "BASH_XTRACEFD",
    "POSIXLY_CORRECT",
    "EXECIGNORE",
];

/// Where a bash is, before others are looked for.
const BASHES: [&str; 4] = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/opt/homebrew/bin/bash"];

impl Guarded {
    pub(super) fn new(config: &PolicyConfig, directory: &Path, login: &LoginEnvironment) -> Result<Self> {
        let policy = Policy::new(config).map_err(Error::Config)?;
        let place = Place::new(directory);
        let bash = BASHES.iter().map(PathBuf::from).find(|bash| bash.is_file());
        let path = environment::join_path(&environment::search_path(login));
        let Some(program) = bash.or_else(|| which::which_in("bash", Some(path), "/").ok()) else {
            let (program, policy) = (PathBuf::from("/bin/sh"), policy.for_any_shell());
            return Ok(Self { policy, place, program, is_bash: false });
        };
        Ok(Self { policy, place, program, is_bash: true })
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// What stands before the text of a command.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        if self.is_bash { &["--noprofile", "--norc", "-p", "-c"] } else { &["-c"] }
    }

    /// Puts what was judged in the place of what was asked for.
    pub(super) fn judge(&self, order: &mut Order) -> std::result::Result<(), Denied> {
        let place = self.place.clone().starting_in(&order.directory);
        let verdict = self.policy.judge(&order.command, &place);
        match (verdict.rendered, verdict.rule) {
            (Some(rendered), None) => {
                order.rendered = Some(rendered);
                Ok(())
            }
            (_, rule) => {
                let culprit = verdict.culprit.unwrap_or_default();
                let name = rule.as_ref().map(|rule| rule.name().into_owned()).unwrap_or_default();
                let rule = rule.map(|rule| rule.to_string()).unwrap_or_default();
                let words = format!("Command not allowed by safety policy: `{culprit}` ({rule})");
                Err(Denied { words, rule: name })
            }
        }
    }
}

/// The environment without what meddles, and a PATH in which every directory is the same wherever it is read.
pub(super) fn environment(env: Vec<(String, String)>) -> Vec<(String, String)> {
    let meddles = |name: &str| MEDDLING.contains(&name) || name.starts_with("BASH_FUNC_");
    let kept = env.into_iter().filter(|(name, _)| !meddles(name));
    kept.map(|(name, value)| {
        if name != "PATH" {
            return (name, value);
        }
        let path = environment::join_path(&environment::split_path(&value));
        (name, path.to_string_lossy().into_owned())
    })
    .collect()
}
