//! The units, as they lie in `config/`, with the command line of this program.

/// For which service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SystemdUser,
    SystemdSystem,
    LaunchdUser,
    LaunchdSystem,
}

/// From where it can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Loopback,
    Remote,
}

const SYSTEMD_USER: &str = include_str!("../../../config/systemd/user/computer.service");
const SYSTEMD_SYSTEM: &str = include_str!("../../../config/systemd/system/computer.service");
const LAUNCHD: &str = include_str!("../../../config/launchd/mcp-computer.plist");

/// By this a unit is known as one that was written here.
const MARK: &str = "Written by `computer service install`; `computer service remove` takes it away.";

/// The command line that stands in the units of `config/`, and how they write it.
const SYSTEMD_LINE: &str = "ExecStart=/usr/local/bin/computer serve --http 127.0.0.1:7331\n";
const LAUNCHD_LINE: &str = "    <string>/usr/local/bin/computer</string>\n    <string>serve</string>\n    \
                            <string>--http</string>\n    <string>127.0.0.1:7331</string>\n";

const RUN_AT_LOAD: &str = "  <key>RunAtLoad</key>\n";

impl Kind {
    pub(super) fn of_this_system(system: bool) -> Self {
        match (cfg!(target_os = "macos"), system) {
            (false, false) => Self::SystemdUser,
            (false, true) => Self::SystemdSystem,
            (true, false) => Self::LaunchdUser,
            (true, true) => Self::LaunchdSystem,
        }
    }
}

/// A unit to be written.
pub(super) struct Unit {
    pub(super) text: String,
}

impl Unit {
    /// One that runs these words with these variables, and listens there.
    pub(super) fn new(
        kind: Kind,
        mut words: Vec<String>,
        (address, reach): (&str, Reach),
        variables: &[(String, String)],
    ) -> Self {
        words.extend(["--http".to_owned(), address.to_owned()]);
        if reach == Reach::Remote {
            words.push("--allow-remote".to_owned());
        }
        let text = match kind {
            Kind::SystemdUser => systemd(SYSTEMD_USER, &words, variables),
            Kind::SystemdSystem => systemd(SYSTEMD_SYSTEM, &words, variables),
            Kind::LaunchdUser | Kind::LaunchdSystem => launchd(&words, variables),
        };
        Self { text }
    }
}

/// Whether a unit is one that was written here.
pub(super) fn is_ours(text: &str) -> bool {
    text.lines().take(5).any(|line| line.contains(MARK))
}

fn systemd(unit: &str, words: &[String], variables: &[(String, String)]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    // Nothing is filled in there, and so a dollar is one.
    let set = variables.iter().map(|(name, value)| quoted(&format!("{name}={value}")).replace("$$", "$"));
    let set = set.map(|pair| format!("Environment={pair}\n"));
    let line = format!("{}ExecStart={}\n", set.collect::<String>(), words.join(" "));
    format!("# {MARK}\n{}", unit.replace(SYSTEMD_LINE, &line))
}

/// A word as systemd takes it for one.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.-_:@%$[],+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        escaped
    } else {
        format!("\"{}\"", escaped.replace('\n', "\\n"))
    }
}

fn launchd(words: &[String], variables: &[(String, String)]) -> String {
    let lines: Vec<String> = words.iter().map(|word| format!("    <string>{}</string>\n", in_xml(word))).collect();
    let pair = |(name, value): &(String, String)| {
        format!("    <key>{}</key>\n    <string>{}</string>\n", in_xml(name), in_xml(value))
    };
    let pairs: String = variables.iter().map(pair).collect();
    let set = format!("  <key>EnvironmentVariables</key>\n  <dict>\n{pairs}  </dict>\n");
    let set = if variables.is_empty() { String::new() } else { set };
    // The first line must say that it is XML.
    LAUNCHD.replace(LAUNCHD_LINE, &lines.concat()).replacen(RUN_AT_LOAD, &format!("{set}{RUN_AT_LOAD}"), 1).replacen(
        "<!--\n",
        &format!("<!--\n{MARK}\n"),
        1,
    )
}

fn in_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Kind, &str); 4] = [
        (Kind::SystemdUser, SYSTEMD_USER),
        (Kind::SystemdSystem, SYSTEMD_SYSTEM),
        (Kind::LaunchdUser, LAUNCHD),
        (Kind::LaunchdSystem, LAUNCHD),
    ];

    fn of(kind: Kind, program: &str, address: &str, reach: Reach) -> String {
        Unit::new(kind, vec![program.to_owned(), "serve".to_owned()], (address, reach), &[]).text
    }

    #[test]
    fn the_units_in_config_are_those_that_are_written() {
        for (kind, template) in ALL {
            let text = of(kind, "/usr/local/bin/computer", "127.0.0.1:7331", Reach::Loopback);
            let without_mark: String = text.split_inclusive('\n').filter(|line| !line.contains(MARK)).collect();
            assert_eq!(without_mark, template, "{kind:?}");
            assert!(is_ours(&text) && !is_ours(template), "{kind:?}");
        }
    }

    #[test]
    fn the_command_line_is_this_programs() {
        for (kind, _) in ALL {
            let text = of(kind, "/opt/my tools/a&b/100%", "0.0.0.0:80", Reach::Remote);
            let line = match kind {
                Kind::SystemdUser | Kind::SystemdSystem => {
                    "\nExecStart=\"/opt/my tools/a&b/100%%\" serve --http 0.0.0.0:80 --allow-remote\n"
                }
                Kind::LaunchdUser | Kind::LaunchdSystem => {
                    "<string>/opt/my tools/a&amp;b/100%</string>\n    <string>serve</string>\n    <string>--http</string>\n    \
                     <string>0.0.0.0:80</string>\n    <string>--allow-remote</string>\n"
                }
            };
            assert!(text.contains(line), "{text}");
            assert!(!text.contains("/usr/local/bin"), "{text}");
        }
    }

    #[test]
    fn the_places_of_the_user_who_installs_it_are_those_of_the_daemon() {
        let places = [("XDG_STATE_HOME".to_owned(), "/my $tate/50%".to_owned())];
        for (kind, expected) in [
            (Kind::SystemdUser, "\nEnvironment=\"XDG_STATE_HOME=/my $tate/50%%\"\nExecStart="),
            (
                Kind::LaunchdUser,
                "<dict>\n    <key>XDG_STATE_HOME</key>\n    <string>/my $tate/50%</string>\n  </dict>\n  <key>RunAtLoad</key>\n",
            ),
        ] {
            let text =
                Unit::new(kind, vec!["/bin/computer".to_owned()], ("127.0.0.1:1", Reach::Loopback), &places).text;
            assert!(text.contains(expected), "{text}");
        }
    }
}
