//! How a Chrome is launched, as plain data, and as it is written.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    entry::set,
    fields::{Fields, Node},
    flags, kinds,
    template::{self, Part},
};

/// How a Chrome is launched. In a configuration its texts may hold `${…}` references, which are filled in at each launch.
#[derive(Clone, PartialEq)]
pub struct ChromeLaunchOptions {
    /// The directory of its profile, which is made when it is not there; one under the state directory when it is not
    /// given. Never the user's own.
    pub profile_dir: Option<PathBuf>,
    /// The port of its debugging protocol on 127.0.0.1; Chrome chooses when it is not given.
    pub debugging_port: Option<u16>,
    /// Further flags, and pages to open.
    pub flags: Vec<String>,
    /// Which Chrome: a path, or a program on PATH. Looked for when it is not given.
    pub chrome_path: Option<PathBuf>,
    /// Whether it shows no windows; it shows them when nothing is said.
    pub headless: Option<bool>,
    /// How long it may take until it can be controlled.
    pub ready_timeout: Duration,
    /// Whether it runs without its sandbox, as root must have it.
    pub no_sandbox: bool,
    /// Whether flags are taken that let others in.
    pub unsafe_flags: bool,
    /// Variables on top of the curated environment and what a desktop needs.
    pub env: Vec<(String, String)>,
}

impl Default for ChromeLaunchOptions {
    fn default() -> Self {
        Self {
            profile_dir: None,
            debugging_port: None,
            flags: Vec::new(),
            chrome_path: None,
            headless: None,
            ready_timeout: Duration::from_secs(30),
            no_sandbox: false,
            unsafe_flags: false,
            env: Vec::new(),
        }
    }
}

impl ChromeLaunchOptions {
    /// Every text that is filled in when it is launched.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let paths = self.profile_dir.iter().chain(&self.chrome_path).filter_map(|path| path.to_str());
        let values = self.env.iter().map(|(_, value)| value.as_str());
        paths.chain(self.flags.iter().map(String::as_str)).chain(values).collect()
    }
}

impl fmt::Debug for ChromeLaunchOptions {
    /// Without flags and values of variables: see `StdioConfig`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChromeLaunchOptions").field("profile_dir", &self.profile_dir).finish_non_exhaustive()
    }
}

/// Below it only root may listen, and 0 is how one says that Chrome chooses.
const PORTS: std::ops::RangeInclusive<usize> = 1..=65535;

/// Every key is asked for in any case.
pub(super) fn chrome(fields: &mut Fields<'_>) -> ChromeLaunchOptions {
    let mut chrome = ChromeLaunchOptions {
        profile_dir: fields.take("profileDir").and_then(|node| node.filled_template()).map(PathBuf::from),
        debugging_port: fields.take("debuggingPort").and_then(|node| port(&node)),
        chrome_path: fields.take("chromePath").and_then(|node| node.filled_template()).map(PathBuf::from),
        headless: fields.take("headless").and_then(|node| node.flag()),
        ..ChromeLaunchOptions::default()
    };
    set(&mut chrome.ready_timeout, fields.take("readyTimeout").and_then(|node| node.duration()));
    set(&mut chrome.no_sandbox, fields.take("noSandbox").and_then(|node| node.flag()));
    set(&mut chrome.unsafe_flags, fields.take("unsafeFlags").and_then(|node| node.flag()));
    let flags = fields.take("flags").and_then(|node| node.list("texts")).unwrap_or_default();
    chrome.flags = flags.iter().filter_map(|node| flag(node, chrome.unsafe_flags)).collect();
    chrome.env = fields.take("env").map(|node| kinds::env(&node)).unwrap_or_default();
    chrome
}

pub(super) fn port(node: &Node<'_>) -> Option<u16> {
    node.whole(PORTS).and_then(|port| u16::try_from(port).ok())
}

fn flag(node: &Node<'_>, unsafe_flags: bool) -> Option<String> {
    let flag = node.filled_template()?;
    // What references stand for is looked at when they are filled in.
    let parts = template::parse(&flag).unwrap_or_default();
    if let Some(Part::Text(literal)) = parts.first()
        && let Err(reason) = flags::check(literal, unsafe_flags)
    {
        node.mistake(&format!("`{flag}` {reason}"));
    }
    Some(flag)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ProgramConfig, file::parse},
        *,
    };

    fn read(chrome: &str) -> Result<ChromeLaunchOptions, Vec<String>> {
        let parsed = parse(&format!("{{ \"chrome\": {chrome} }}"), "t");
        let config = parsed.map_err(|problems| problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>());
        match config?.0.programs.remove(0) {
            (name, ProgramConfig::Chrome(chrome)) if name == "chrome" => Ok(chrome),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_of_a_chrome_is_read_and_what_is_left_out_keeps_its_default() {
        let chrome = read(
            r#"{ "profileDir": "${userHome}/p", "debuggingPort": 9222, "chromePath": "chromium", "headless": true,
                 "readyTimeout": "5s", "noSandbox": true, "unsafeFlags": true, "env": { "A": "b" },
                 "flags": ["--disable-web-security", "about:blank"] }"#,
        );
        let expected = ChromeLaunchOptions {
            profile_dir: Some("${userHome}/p".into()),
            debugging_port: Some(9222),
            flags: vec!["--disable-web-security".into(), "about:blank".into()],
            chrome_path: Some("chromium".into()),
            headless: Some(true),
            ready_timeout: Duration::from_secs(5),
            no_sandbox: true,
            unsafe_flags: true,
            env: vec![("A".into(), "b".into())],
        };
        assert_eq!(chrome, Ok(expected));
        assert_eq!(read("{}"), Ok(ChromeLaunchOptions::default()));
    }

    #[test]
    fn a_flag_that_lets_others_in_is_a_mistake_where_it_stands() {
        let found = read(r#"{ "flags": ["--mute-audio", "--disable-web-security"], "debuggingPort": 0 }"#).unwrap_err();
        let said = "`chrome.flags[1]`: `--disable-web-security` lets every page read every other";
        assert!(found.len() == 2 && found[0].starts_with(said), "{found:?}");
        assert_eq!(found[1], "`chrome.debuggingPort`: expected a whole number from 1 to 65535, found 0");
    }
}
