//! The texts of an entry in which references may stand.

use super::{
    EntryKind,
    template::{self, Reference},
};

impl EntryKind {
    /// Every text that is filled in when the entry is started.
    pub(crate) fn texts(&self) -> Vec<&str> {
        fn values(pairs: &[(String, String)]) -> impl Iterator<Item = &String> {
            pairs.iter().map(|(_, value)| value)
        }
        let texts: Vec<&String> = match self {
            Self::Stdio(config) => {
                let given =
                    [&config.command].into_iter().chain(&config.args).chain(&config.cwd).chain(&config.env_file);
                given.chain(values(&config.env)).collect()
            }
            Self::Http(config) => {
                let helper = config.headers_helper.iter().flatten();
                [&config.url].into_iter().chain(helper).chain(values(&config.headers)).collect()
            }
            Self::Shell(config) => config.cwd.iter().chain(&config.shell).chain(values(&config.env)).collect(),
        };
        texts.into_iter().map(String::as_str).collect()
    }

    /// The names of the Chromes that it refers to.
    pub fn browsers(&self) -> Vec<String> {
        let references = self.texts().into_iter().flat_map(template::references);
        let browsers = references.filter_map(|reference| match reference {
            Reference::Browser { program, .. } => Some(program),
            _ => None,
        });
        browsers.collect()
    }
}
