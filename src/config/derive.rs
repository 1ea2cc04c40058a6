//! The namespace that a free text becomes.

use crate::name::Namespace;

/// The longest text that `Namespace` takes; a longer one is cut, never refused.
const LONGEST: usize = 32;

impl Namespace {
    /// The namespace that is nearest to a text: other characters become `_`, runs of it are folded, its ends trimmed.
    ///
    /// A text that is a namespace already stays as it is. `None` when nothing is left.
    pub fn derive(text: &str) -> Option<Self> {
        let mut name = String::with_capacity(text.len());
        for c in text.chars() {
            let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
            if !(c == '_' && (name.is_empty() || name.ends_with('_'))) {
                name.push(c);
            }
        }
        name.truncate(LONGEST);
        name.trim_end_matches('_').parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(text: &str) -> Option<String> {
        Namespace::derive(text).map(|name| name.to_string())
    }

    #[test]
    fn a_namespace_stays_as_it_is() {
        assert_eq!(derived("chrome-devtools_2").as_deref(), Some("chrome-devtools_2"));
    }

    #[test]
    fn other_characters_fold_into_one_underscore_and_ends_are_trimmed() {
        assert_eq!(derived("  My (local) Files! ").as_deref(), Some("My_local_Files"));
        assert_eq!(derived("a__b").as_deref(), Some("a_b"));
        assert_eq!(derived("@scope/naïve").as_deref(), Some("scope_na_ve"));
    }

    #[test]
    fn a_long_text_is_cut_to_32_and_trimmed_again() {
        assert_eq!(derived(&"x".repeat(40)).as_deref(), Some("x".repeat(32).as_str()));
        assert_eq!(derived(&format!("{} tail", "x".repeat(31))).as_deref(), Some("x".repeat(31).as_str()));
    }

    #[test]
    fn nothing_is_left_of_a_text_without_plain_characters() {
        assert_eq!(derived("文件"), None);
        assert_eq!(derived("_ _"), None);
        assert_eq!(derived(""), None);
    }
}
