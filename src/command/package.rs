//! Packages as commands name them.

/// Servers that are known by one word, and where they are published. A word that is not here never becomes a download.
const WELL_KNOWN: [(&str, Index); 5] = [
    ("chrome-devtools-mcp", Index::Npm),
    ("mcp-remote", Index::Npm),
    ("mcp-server-fetch", Index::PyPi),
    ("mcp-server-git", Index::PyPi),
    ("mcp-server-time", Index::PyPi),
];

/// A package of a public index, as a command names it.
#[derive(Debug, PartialEq)]
pub(super) struct Package {
    pub(super) index: Index,
    /// Its name there.
    pub(super) name: String,
    /// The version that is wanted, if one is.
    pub(super) version: Option<String>,
    /// Name and version as the index' own tool takes them.
    pub(super) spec: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Index {
    Npm,
    PyPi,
}

impl Package {
    pub(super) fn parse(command: &str) -> Option<Self> {
        if let Some(spec) = command.strip_prefix("npm:") {
            return Self::npm(spec);
        }
        if let Some(spec) = command.strip_prefix("pypi:") {
            return Self::pypi(spec);
        }
        let (name, version) = versioned(command);
        match WELL_KNOWN.iter().find(|(known, _)| *known == name) {
            Some((_, Index::PyPi)) => Self::pypi(command),
            Some((_, Index::Npm)) => Self::npm(command),
            None if version.is_some() || name.starts_with('@') => Self::npm(command),
            None => None,
        }
    }

    pub(super) fn npm(spec: &str) -> Option<Self> {
        let (name, version) = versioned(spec);
        let valid = match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| is_word(scope) && is_word(name)),
            None => is_word(name),
        };
        // What follows is given to npx: no white space, no path, no address.
        let version_fits = version.is_none_or(|version| !version.is_empty() && !version.contains(['/', ':', ' ']));
        (valid && version_fits).then(|| Self::new(Index::Npm, spec, name, version))
    }

    fn pypi(spec: &str) -> Option<Self> {
        let end = spec.find(|c: char| !is_word_char(c)).unwrap_or(spec.len());
        let (name, rest) = spec.split_at(end);
        let rest_fits = rest.is_empty() || (rest.len() > 1 && rest.starts_with(['@', '[', '=', '<', '>', '~', '!']));
        let fits = is_word(name) && rest_fits && !rest.contains(['/', ':', ' ']);
        fits.then(|| Self::new(Index::PyPi, spec, name, rest.strip_prefix('@')))
    }

    fn new(index: Index, spec: &str, name: &str, version: Option<&str>) -> Self {
        Self { index, name: name.to_owned(), version: version.map(str::to_owned), spec: spec.to_owned() }
    }

    pub(super) fn last_part(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// `name@version` in its parts. The `@` of a scope is none that divides.
fn versioned(spec: &str) -> (&str, Option<&str>) {
    match spec.rfind('@') {
        Some(at) if at > 0 => (&spec[..at], Some(&spec[at + 1..])),
        _ => (spec, None),
    }
}

pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_') && text.chars().all(is_word_char)
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
