//! What an entry's lists are known by: a hash of what it is started from.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    config::{EntryKind, HttpTransport, InheritEnv, template},
    entry::Recipe,
    secret::looks_secret,
};

/// The hash of a recipe as it is written: references are not filled in, and values that may be secrets are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// Nothing for what lists the same in every run and is up at once.
    pub(super) fn of(recipe: &Recipe) -> Option<Self> {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        match &recipe.config.kind {
            EntryKind::Stdio(config) => {
                ["stdio", &config.command].into_iter().for_each(&mut add);
                config.args.iter().for_each(|arg| add(arg));
                pairs(&config.env, &mut add);
                add(config.env_file.as_deref().unwrap_or_default());
                add(config.cwd.as_deref().unwrap_or_default());
                add("unset");
                config.unset.iter().for_each(|name| add(name));
                match &config.inherit_env {
                    InheritEnv::Curated => add("curated"),
                    InheritEnv::All => add("all"),
                    InheritEnv::Matching(names) => names.iter().for_each(|name| add(name)),
                }
                add(&recipe.around.workspace.to_string_lossy());
            }
            EntryKind::Http(config) => {
                ["http", &config.url].into_iter().for_each(&mut add);
                pairs(&config.headers, &mut add);
                config.headers_helper.iter().flatten().for_each(|word| add(word));
                add(match config.transport {
                    HttpTransport::Auto => "auto",
                    HttpTransport::Sse => "sse",
                });
            }
            EntryKind::Shell(_) => return None,
        }
        Some(Self(HEXLOWER.encode(&hash.finalize())))
    }

    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The hash in letters.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Variables or headers, without what may be a secret that stands in the file itself.
fn pairs(pairs: &[(String, String)], add: &mut impl FnMut(&str)) {
    for (name, value) in pairs {
        let is_secret = looks_secret(name) || name.eq_ignore_ascii_case("authorization");
        let is_literal = template::references(value).is_empty();
        add(name);
        add(if is_secret && is_literal { "" } else { value });
    }
    add("end");
}

/// Tells texts apart.
pub(super) fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::{EntryConfig, HttpConfig, StdioConfig, Unattended},
        connection::Subscribed,
        entry::Said,
        fill::Surroundings,
    };

    fn key(config: impl Into<EntryConfig>, workspace: &str) -> Option<Key> {
        Key::of(&Recipe {
            namespace: "e".parse().unwrap(),
            config: config.into(),
            around: Surroundings { workspace: Path::new(workspace).to_owned(), ..Surroundings::default() },
            keeper: crate::process::Keeper::default(),
            notices: crate::source::Notices::default(),
            subscribed: Subscribed::default(),
            unattended: Unattended::default(),
            said: Said::default(),
        })
    }

    fn stdio() -> StdioConfig {
        StdioConfig::new("x", ["a", "b"])
    }

    #[test]
    fn what_decides_which_server_it_is_makes_another_key_and_nothing_else_does() {
        let plain = key(stdio(), "/w");
        for other in [
            key(StdioConfig::new("x", ["ab"]), "/w"),
            key(StdioConfig::new("x", ["a", "b", "c"]), "/w"),
            key(stdio().env("A", "1"), "/w"),
            key(stdio().env("A", "2"), "/w"),
            key(stdio().env("TOKEN", "${env:A}"), "/w"),
            key(stdio().env("TOKEN", "${env:B}"), "/w"),
            key(stdio().cwd("sub"), "/w"),
            key(stdio(), "/elsewhere"),
            key(HttpConfig::new("x"), "/w"),
        ] {
            assert!(other.is_some() && other != plain, "{other:?}");
        }
        let mut patient = stdio();
        patient.call_timeout *= 2;
        patient.demand.lazy = true;
        assert_eq!(key(patient, "/w"), plain);
    }

    #[test]
    fn a_secret_in_the_file_itself_is_not_hashed() {
        let with = |value: &str| key(stdio().env("API_TOKEN", value), "/w");
        assert_eq!(with("one"), with("two"));
        let with = |value: &str| key(HttpConfig::new("https://x").header("Authorization", value), "/w");
        assert_eq!(with("Bearer one"), with("Bearer two"));
        assert_ne!(with("Bearer ${env:ONE}"), with("Bearer ${env:TWO}"));
    }
}
