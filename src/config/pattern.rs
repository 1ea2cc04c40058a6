//! The patterns of a policy, compiled.

use regex::{Regex, RegexBuilder};

use super::PatternConfig;

/// A pattern that is ready to be asked.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// The same for all of a text, of a pattern that lets something pass.
    whole: Option<Regex>,
    /// As it was written, for messages.
    pub(crate) source: String,
    /// The words that occur in it.
    words: Vec<String>,
    /// A word in it begins with one of several characters.
    varies: bool,
}

impl Pattern {
    /// Compiles a pattern, and holds it to its examples. One that is not anchored keeps something out, and is to find it
    /// across lines too.
    pub(crate) fn new(config: &PatternConfig, anchored: bool) -> Result<Self, String> {
        let PatternConfig { source, pattern, ignore_case, dot_all, extended, matches, not_matches } = config;
        if let Some(flag) = multi_line(pattern) {
            return Err(format!("`{source}`: the flag `m` in `{flag}` would let `^` mean the start of any line"));
        }
        let build = |pattern: &str| {
            RegexBuilder::new(pattern)
                .case_insensitive(*ignore_case)
                .dot_matches_new_line(*dot_all || !anchored)
                .ignore_whitespace(*extended)
                .build()
        };
        let regex = build(pattern).map_err(|error| format!("`{source}`: {}", reason(&error)))?;
        // A comment may stand at its end.
        let whole = format!("\\A(?:{pattern}{})\\z", if *extended { "\n" } else { "" });
        let whole = if anchored { build(&whole).ok() } else { None };
        let compiled = Self { regex, whole, source: source.clone(), words: words(pattern), varies: varies(pattern) };
        let found = |text: &str| {
            if anchored { compiled.begins(text) || compiled.begins(&format!("{text} ")) } else { compiled.occurs(text) }
        };
        if let Some(example) = matches.iter().find(|example| !found(example)) {
            return Err(format!("`{source}`: it does not match `{example}`, which its `match` says"));
        }
        if let Some(example) = not_matches.iter().find(|example| found(example)) {
            return Err(format!("`{source}`: it matches `{example}`, which its `notMatch` denies"));
        }
        Ok(compiled)
    }

    /// Whether it matches from the first character on. The leftmost match is there if any is.
    pub(crate) fn begins(&self, text: &str) -> bool {
        self.reach(text).is_some()
    }

    /// Where a match from the first character on ends.
    pub(crate) fn reach(&self, text: &str) -> Option<usize> {
        self.regex.find(text).filter(|found| found.start() == 0).map(|found| found.end())
    }

    /// Whether it matches all of a text.
    pub(crate) fn is_all_of(&self, text: &str) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.is_match(text))
    }

    pub(crate) fn occurs(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Whether this word stands in the pattern itself.
    pub(crate) fn names(&self, word: &str) -> bool {
        self.words.iter().any(|known| known.eq_ignore_ascii_case(word))
    }

    /// Whether this word stands in the pattern itself, letter by letter.
    pub(crate) fn spells(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }

    /// Whether what begins like this may become a word that stands in the pattern itself, or begin with one.
    pub(crate) fn may_be_named(&self, beginning: &str) -> bool {
        let begins =
            |text: &str, start: &str| text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
        self.varies || self.words.iter().any(|word| begins(word, beginning) || begins(beginning, word))
    }

    /// Whether it matches the empty text, and so everything.
    pub(crate) fn is_idle(&self) -> bool {
        self.regex.is_match("")
    }
}

/// The last line of what the compiler says: the rest draws arrows.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The group of flags in a pattern that sets `m`.
fn multi_line(pattern: &str) -> Option<&str> {
    let (mut escaped, bytes) = (false, pattern.as_bytes());
    for at in 0..bytes.len() {
        if escaped {
            escaped = false;
        } else if bytes[at] == b'\\' {
            escaped = true;
        } else if pattern[at..].starts_with("(?") {
            let flags =
                pattern[at + 2..].bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'-').count();
            let ends = matches!(bytes.get(at + 2 + flags), Some(b':' | b')'));
            let set = &pattern[at + 2..at + 2 + flags];
            if ends && set.split('-').next().unwrap_or_default().contains('m') {
                return Some(&pattern[at..=at + 2 + flags]);
            }
        }
    }
    None
}

/// The words in the text of a pattern. What follows a backslash is no part of one.
fn words(pattern: &str) -> Vec<String> {
    let mut plain = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            let escaped = chars.next().filter(|c| !c.is_ascii_alphanumeric());
            plain.push(escaped.unwrap_or(' '));
        } else {
            plain.push(c);
        }
    }
    let splits = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+'));
    let trimmed = plain.split(splits).flat_map(|word| [word, word.trim_matches(['-', '.', '+', '_'])]);
    trimmed.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a class of characters stands in a pattern where a word begins: which words it means is not in its text.
fn varies(pattern: &str) -> bool {
    const BEFORE: [&str; 9] = [" ", " +", " *", "\\s", "\\s+", "\\s*", "(", "|", "(?:"];
    let classes = ["[", "\\w", "\\d"].into_iter().flat_map(|class| pattern.match_indices(class));
    classes
        .filter(|(at, _)| !pattern[*at..].starts_with("[^"))
        .any(|(at, _)| BEFORE.iter().any(|before| pattern[..at].ends_with(before)))
}
