//! The path under which a bridge is found.

use std::{fmt, str::FromStr};

/// The path under which a bridge is found, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// What was given is no path for a bridge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no path to serve under; write one such as /octavus, of letters, digits, `-`, `_`, `.` and `~`")]
pub struct NoPrefix {
    given: String,
}

impl Default for Prefix {
    fn default() -> Self {
        Self("/octavus".to_owned())
    }
}

impl FromStr for Prefix {
    type Err = NoPrefix;

    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_path = path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_name));
        if is_path && text.starts_with('/') {
            return Ok(Self(path.to_owned()));
        }
        Err(NoPrefix { given: text.to_owned() })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Prefix {
    /// What of a path lies below.
    pub(super) fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.0).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_plain_path() {
        for (given, is) in [("/octavus", "/octavus"), ("/a/b.c/", "/a/b.c"), ("/", "")] {
            assert_eq!(given.parse::<Prefix>().unwrap().to_string(), is);
        }
        for wrong in ["", "octavus", "//", "/a//b", "/a?b", "/a#", "/..", "/a/./b", "/a b", "/ä", "/%61"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
        let prefix = Prefix::default();
        assert_eq!(prefix.below("/octavus/info"), Some("/info"));
        assert_eq!((prefix.below("/octavus"), prefix.below("/octavusx"), prefix.below("/")), (Some(""), None, None));
    }
}
