//! What to say of a key that is none of ours: it is not there yet, belongs to another program, or is misspelt.

use super::dialect::{self, Dialect, Level};

/// The objects of a config file that have keys of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Root,
    Serve,
    Entry,
    Tools,
    Diagnostics,
    Limits,
    Mode,
    Pattern,
    Chrome,
    Program,
    Ready,
}

/// Why a key cannot stand here, when it is known at all.
pub(super) fn explain(shape: Shape, key: &str) -> Option<String> {
    if let Some((_, what)) = not_yet(shape).iter().find(|(known, _)| *known == key) {
        return Some(format!("`{key}` is not there yet in this version: {what}"));
    }
    let level = match shape {
        Shape::Root => Level::Root,
        Shape::Entry => Level::Entry,
        Shape::Serve
        | Shape::Tools
        | Shape::Diagnostics
        | Shape::Limits
        | Shape::Mode
        | Shape::Pattern
        | Shape::Chrome
        | Shape::Program
        | Shape::Ready => return None,
    };
    dialect::refusal(level, key, Dialect::Computer)
}

/// The known key that is nearest to a misspelt one, when it is close enough to be meant.
pub(super) fn nearest<'k>(key: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wanted = plain(key);
    let limit = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A key without its style: `call_timeout` means `callTimeout`.
fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Keys of abilities that are planned.
fn not_yet(shape: Shape) -> &'static [(&'static str, &'static str)] {
    match shape {
        Shape::Serve => &[
            ("toolMode", "offering three search tools instead of a large catalog"),
            ("pin", "refusing tools whose definition changed"),
            ("audit", "a record of the calls"),
        ],
        Shape::Root
        | Shape::Entry
        | Shape::Tools
        | Shape::Diagnostics
        | Shape::Limits
        | Shape::Mode
        | Shape::Pattern
        | Shape::Chrome
        | Shape::Program
        | Shape::Ready => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_key_says_what_it_will_be() {
        assert_eq!(
            explain(Shape::Serve, "pin").as_deref(),
            Some("`pin` is not there yet in this version: refusing tools whose definition changed")
        );
        assert_eq!(explain(Shape::Entry, "pin"), None);
    }

    #[test]
    fn a_foreign_key_names_its_program() {
        assert_eq!(
            explain(Shape::Entry, "serverUrl").as_deref(),
            Some("`serverUrl` belongs to Windsurf's files; `--dialect windsurf` reads it so")
        );
        assert_eq!(
            explain(Shape::Root, "mcp").as_deref(),
            Some("`mcp` belongs to the files of VS Code and OpenCode; `--dialect vscode` reads it so")
        );
        assert_eq!(explain(Shape::Tools, "serverUrl"), None);
    }

    #[test]
    fn the_nearest_key_is_offered_only_when_it_is_close() {
        let known = ["command", "callTimeout", "cwd", "env"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("call_timeout", known), Some("callTimeout"));
        assert_eq!(nearest("CWD", known), Some("cwd"));
        assert_eq!(nearest("colour", known), None);
    }
}
