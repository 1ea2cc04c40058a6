//! Which of an entry's tools are shown, and how.

use crate::{config::ToolFilter, glob::matches};

/// Whether the tool that its source calls `own_name` is shown.
pub(crate) fn admits(filter: &ToolFilter, own_name: &str) -> bool {
    let matched_by = |globs: &[String]| globs.iter().any(|glob| matches(glob, own_name));
    filter.allow.as_deref().is_none_or(matched_by) && !matched_by(&filter.deny)
}

/// What in the filter keeps the tool from being shown, with what to do about it; nothing when it is shown.
pub(crate) fn objection(filter: &ToolFilter, own_name: &str) -> Option<String> {
    if let Some(glob) = filter.deny.iter().find(|glob| matches(glob, own_name)) {
        return Some(format!("`{glob}` in `tools.deny` of the entry hides it; take that out to offer it"));
    }
    (!admits(filter, own_name))
        .then(|| format!("`tools.allow` of the entry does not name it; write `{own_name}` there to offer it"))
}

/// What the tool is called behind the namespace.
pub(crate) fn shown_name<'a>(filter: &'a ToolFilter, own_name: &'a str) -> &'a str {
    look_up(&filter.rename, own_name).unwrap_or(own_name)
}

/// The description that replaces the tool's own, if there is one.
pub(crate) fn shown_description<'a>(filter: &'a ToolFilter, own_name: &str) -> Option<&'a str> {
    look_up(&filter.describe, own_name)
}

fn look_up<'a>(pairs: &'a [(String, String)], own_name: &str) -> Option<&'a str> {
    pairs.iter().find(|(own, _)| own == own_name).map(|(_, shown)| shown.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn without_a_filter_every_tool_is_shown_as_it_is() {
        let filter = ToolFilter::default();
        assert!(admits(&filter, "anything"));
        assert_eq!(shown_name(&filter, "anything"), "anything");
        assert_eq!(shown_description(&filter, "anything"), None);
    }

    #[test]
    fn only_what_is_allowed_is_shown_and_deny_wins() {
        let filter =
            ToolFilter { allow: Some(texts(&["read_*", "list"])), deny: texts(&["*_secret"]), ..ToolFilter::default() };
        let shown = ["read_file", "list", "read_secret", "lists", "write_file"].map(|name| admits(&filter, name));
        assert_eq!(shown, [true, true, false, false, false]);
        assert!(!admits(&ToolFilter { allow: Some(Vec::new()), ..ToolFilter::default() }, "list"));
    }

    #[test]
    fn new_names_and_descriptions_are_found_by_the_own_name() {
        let filter = ToolFilter {
            rename: vec![("a".to_owned(), "b".to_owned()), ("b".to_owned(), "c".to_owned())],
            describe: vec![("a".to_owned(), "does a".to_owned())],
            ..ToolFilter::default()
        };
        assert_eq!(["a", "b", "c"].map(|name| shown_name(&filter, name)), ["b", "c", "c"]);
        assert_eq!(["a", "b"].map(|name| shown_description(&filter, name)), [Some("does a"), None]);
    }

    #[test]
    fn globs_know_stars_and_question_marks_and_nothing_else() {
        for (glob, text) in [
            ("*", ""),
            ("*", "ä"),
            ("?", "ä"),
            ("a*c", "abcbc"),
            ("*b*", "abc"),
            ("a?c", "abc"),
            ("[a]", "[a]"),
            ("**a", "a"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in
            [("?", ""), ("a", "A"), ("a*", "ba"), ("a*c", "ab"), ("[a]", "a"), ("", "a"), ("a?", "a"), ("*a", "ab")]
        {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn a_hostile_glob_is_answered_at_once() {
        let begun = Instant::now();
        assert!(!matches(&"*a".repeat(200), &format!("{}b", "a".repeat(2_000))));
        assert!(begun.elapsed().as_secs() < 5);
    }
}
