//! Values that must not be seen wherever text leaves the program.

use std::{borrow::Cow, sync::Arc};

use crate::error::{ChromeError, Error};

/// The secret values of an entry. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<[String]>);

/// Shorter values would turn ordinary text into asterisks.
const SHORTEST: usize = 8;

/// What stands where a secret stood.
const MASK: &str = "***";

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Self {
        // Each line of a value too: what is shown of it may be cut at line ends.
        let lines =
            |value: String| value.lines().map(|line| line.trim().to_owned()).chain([value.clone()]).collect::<Vec<_>>();
        // And as JSON has it: servers log what they were given that way, too.
        let written = |value: String| {
            let json = serde_json::to_string(&value).map(|json| json[1..json.len() - 1].to_owned());
            [Some(value), json.ok()].into_iter().flatten()
        };
        let values = values.into_iter().flat_map(lines).flat_map(written);
        let mut values: Vec<String> = values.filter(|value| value.chars().count() >= SHORTEST).collect();
        // The longest first: one may hold another.
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self(values.into())
    }

    /// The text without them.
    pub(crate) fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in self.0.iter().filter(|secret| text.contains(secret.as_str())) {
            masked = Cow::Owned(masked.replace(secret.as_str(), MASK));
        }
        masked
    }

    /// The text without them, of which the end was cut off: neither does it end with the beginning of one.
    pub(crate) fn mask_cut(&self, text: &str) -> String {
        let mut masked = self.mask(text).into_owned();
        let begun = self.0.iter().filter_map(|secret| {
            let beginnings = secret.char_indices().skip(1).map(|(at, _)| &secret[..at]);
            beginnings.filter(|beginning| masked.ends_with(beginning)).map(str::len).max()
        });
        if let Some(most) = begun.max() {
            masked.truncate(masked.len() - most);
            masked.push_str(MASK);
        }
        masked
    }

    /// The error without them.
    pub(crate) fn mask_error(&self, error: Error) -> Error {
        if self.0.is_empty() {
            return error;
        }
        let mask = |text: String| self.mask(&text).into_owned();
        match error {
            Error::CommandNotFound { command, hint, searched } => {
                Error::CommandNotFound { command: mask(command), hint: mask(hint), searched: mask(searched) }
            }
            Error::Spawn { command, reason } => Error::Spawn { command: mask(command), reason: mask(reason) },
            Error::Template { reference, reason } => Error::Template { reference, reason: mask(reason) },
            Error::Ended { how, stderr, outlook } => Error::Ended { how, stderr: mask(stderr), outlook },
            Error::Protocol { act, reason, stderr } => {
                Error::Protocol { act, reason: mask(reason), stderr: mask(stderr) }
            }
            Error::Timeout { act, after, silent, cure, stderr } => {
                Error::Timeout { act, after, silent, cure, stderr: mask(stderr) }
            }
            Error::Server { code, message, data } => {
                Error::Server { code, message: mask(message), data: data.map(mask) }
            }
            Error::Http { act, url, reason, delivery } => {
                Error::Http { act, url: mask(url), reason: mask(reason), delivery }
            }
            Error::NeedsAuth { url, cure } => Error::NeedsAuth { url: mask(url), cure: mask(cure) },
            Error::ProgramEnded { how, output } => Error::ProgramEnded { how, output: mask(output) },
            Error::Chrome(ChromeError::Exited { how, stderr }) => {
                Error::Chrome(ChromeError::Exited { how, stderr: mask(stderr) })
            }
            Error::Chrome(ChromeError::NotReady { after, reason, stderr }) => {
                Error::Chrome(ChromeError::NotReady { after, reason, stderr: mask(stderr) })
            }
            Error::Chrome(ChromeError::Flag { flag, reason }) => {
                Error::Chrome(ChromeError::Flag { flag: mask(flag), reason: mask(reason) })
            }
            Error::Panicked(words) => Error::Panicked(mask(words)),
            other => other,
        }
    }
}

/// Whether a variable of that name holds a secret, as far as its name tells.
pub(crate) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_cut_in_two_is_masked_too() {
        let secrets = Secrets::new(["hunter2-hunter2".into()]);
        assert_eq!(secrets.mask_cut("hunter2-hunter2 and hunter2-hu"), "*** and ***");
        assert_eq!(secrets.mask_cut("something else"), "something else");
    }

    #[test]
    fn a_secret_is_masked_as_json_has_it_too() {
        let secrets = Secrets::new(["hunter\"2\\hunter".into()]);
        assert_eq!(secrets.mask(r#"{"a":"hunter\"2\\hunter"} hunter"2\hunter"#), r#"{"a":"***"} ***"#);
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand_and_short_values_are_none() {
        let secrets = Secrets::new(["hunter2-hunter2".into(), "short".into(), "hunter2-hunter2-more".into()]);
        assert_eq!(secrets.mask("a hunter2-hunter2-more b hunter2-hunter2 short"), "a *** b *** short");
        let error = secrets.mask_error(Error::ended("exited", "bad key hunter2-hunter2"));
        assert_eq!(error, Error::ended("exited", "bad key ***"));
    }
}
