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

/// Whether a variable, a header or an option of that name holds a secret, as far as its name tells.
pub(crate) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if ["TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"]
        .iter()
        .any(|word| name.contains(word))
    {
        return true;
    }
    // Shorter words stand in others, such as authors and paths; a socket of an agent is no secret.
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let is_one = |word: &str| matches!(word, "AUTH" | "AUTHORIZATION" | "OAUTH" | "PAT" | "PASS" | "BEARER" | "DSN");
    !name.ends_with("_SOCK") && words.any(is_one)
}

/// The shortest value that may be a token by its looks alone, and the shortest with other signs than letters and digits.
const TOKEN: usize = 16;
const LONG_TOKEN: usize = 24;

/// What of a value looks like a secret, whatever it is called: the password in an address, and what nobody would make up
/// who writes for people.
pub(crate) fn secrets_in(value: &str) -> Vec<String> {
    if let Some((_, rest)) = value.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@') else { return Vec::new() };
        let password = user.split_once(':').map(|(_, password)| password.to_owned());
        return password.into_iter().chain(user.contains(':').then(|| user.to_owned())).collect();
    }
    let has = |kind: fn(&char) -> bool| value.chars().any(|c| kind(&c));
    let mixes = has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let is_base64 = value.chars().all(|c| c.is_ascii_alphanumeric() || "_-+/=.~".contains(c));
    let is_path = value.starts_with(['/', '.', '~']);
    let is_token = match value.len() {
        0..TOKEN => false,
        TOKEN..LONG_TOKEN => is_plain,
        _ => is_plain || is_base64 && !is_path && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase),
    };
    if mixes && is_token { vec![value.to_owned()] } else { Vec::new() }
}

/// What of the arguments of a command looks like a secret: what options are given whose names say so, and passwords in
/// addresses.
pub(crate) fn secrets_in_arguments(arguments: &[String]) -> Vec<String> {
    let option = |argument: &str| argument.starts_with('-') && looks_secret(argument.trim_start_matches('-'));
    let mut found = Vec::new();
    for (at, argument) in arguments.iter().enumerate() {
        match argument.split_once('=') {
            Some((name, value)) if option(name) => found.push(value.to_owned()),
            None if option(argument) => {
                found.extend(arguments.get(at + 1).filter(|value| !value.starts_with('-')).cloned());
            }
            Some(_) | None => {}
        }
        let value = argument.split_once('=').map_or(argument.as_str(), |(_, value)| value);
        if value.contains("://") {
            found.extend(secrets_in(value));
        }
    }
    found
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
    fn what_a_name_says_holds_a_secret() {
        for name in ["API_KEY", "GithubToken", "DB_PASSWORD", "AUTH", "X-Auth", "GH_PAT", "SENTRY_DSN", "Authorization"]
        {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PATH", "GIT_AUTHOR_NAME", "SSH_AUTH_SOCK", "HOME", "COMPASS", "LANG", "NODE_ENV"] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn a_value_that_nobody_makes_up_for_people_is_a_secret_whatever_it_is_called() {
        let tokens = [
            "SENTINEL-literal-0003",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGVzdA",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
        ];
        for token in tokens {
            assert_eq!(secrets_in(token), [token]);
        }
        let plain = [
            "production",
            "en_US.UTF-8",
            "ap-southeast-2",
            "localhost:8080",
            "/home/Me/work2/a-long-Path",
            "./Sources2/of/Something",
            "warn,mcp_computer=debug",
            "two words 2 and more of them",
            "https://example.org/a2/LongPath/of/Something",
            "a-long-word-without-figures",
            "2026113020261130",
        ];
        for plain in plain {
            assert_eq!(secrets_in(plain), [""; 0], "{plain}");
        }
        assert_eq!(secrets_in("postgres://me:hunter2-x@db:5432/app?a=b@c"), ["hunter2-x", "me:hunter2-x"]);
        assert_eq!(secrets_in("https://me@example.org"), [""; 0]);
    }

    #[test]
    fn what_options_are_given_that_say_so_is_a_secret() {
        let arguments =
            |words: &[&str]| secrets_in_arguments(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(arguments(&["--token=abc", "--api-key", "def", "--verbose", "x"]), ["abc", "def"]);
        assert_eq!(arguments(&["--db=postgres://a:bcd@h/x", "--no-auth", "--port", "1"]), ["bcd", "a:bcd"]);
        assert_eq!(arguments(&["token", "abc", "--tokens"]), [""; 0]);
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand_and_short_values_are_none() {
        let secrets = Secrets::new(["hunter2-hunter2".into(), "short".into(), "hunter2-hunter2-more".into()]);
        assert_eq!(secrets.mask("a hunter2-hunter2-more b hunter2-hunter2 short"), "a *** b *** short");
        let error = secrets.mask_error(Error::ended("exited", "bad key hunter2-hunter2"));
        assert_eq!(error, Error::ended("exited", "bad key ***"));
    }
}
