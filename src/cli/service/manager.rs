//! Asking the system's service manager, by its own program.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::Uid;

use super::unit::Kind;
use crate::cli::paint;

/// The service manager that a unit is for.
pub(super) struct Manager(Kind);

/// What was there before a unit was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// One of ours.
    Older,
}

const UNIT: &str = "computer.service";
const LABEL: &str = "mcp-computer";

impl Manager {
    pub(super) fn of(kind: Kind) -> Self {
        Self(kind)
    }

    /// Whether it runs, and hears us.
    pub(super) fn answers(&self) -> bool {
        let asked = match self.0 {
            Kind::SystemdUser | Kind::SystemdSystem => self.systemctl(&["show-environment"]),
            Kind::LaunchdUser | Kind::LaunchdSystem => vec!["launchctl".to_owned(), "print".to_owned(), domain(self.0)],
        };
        let quiet = command(&asked).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success())
    }

    /// Has it start what the unit says, now and from now on; what runs by the unit that was there before is started anew.
    pub(super) fn start(&self, unit: &Path, before: Before) -> anyhow::Result<()> {
        match self.0 {
            Kind::SystemdUser | Kind::SystemdSystem => {
                run(&self.systemctl(&["daemon-reload"]))?;
                run(&self.systemctl(&["enable", "--now", UNIT]))?;
                match before {
                    Before::Nothing => Ok(()),
                    Before::Older => run(&self.systemctl(&["restart", UNIT])),
                }
            }
            Kind::LaunchdUser | Kind::LaunchdSystem => {
                // What is not loaded cannot be taken out, which is no matter.
                let _ = run(&self.launchctl_bootout());
                run(&["launchctl".to_owned(), "bootstrap".to_owned(), domain(self.0), unit.display().to_string()])
            }
        }
    }

    /// The same, for a person to type.
    pub(super) fn start_by_hand(&self, unit: &Path) -> String {
        match self.0 {
            Kind::SystemdUser | Kind::SystemdSystem => {
                let words = |rest: &[&str]| self.systemctl(rest).join(" ");
                format!("{} && {}", words(&["daemon-reload"]), words(&["enable", "--now", UNIT]))
            }
            Kind::LaunchdUser | Kind::LaunchdSystem => {
                format!("launchctl bootstrap {} '{}'", domain(self.0), unit.display())
            }
        }
    }

    /// Has it end what the unit started, and start it no more.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        match self.0 {
            Kind::SystemdUser | Kind::SystemdSystem => run(&self.systemctl(&["disable", "--now", UNIT])),
            Kind::LaunchdUser | Kind::LaunchdSystem => {
                // What is not loaded is ended already.
                let _ = run(&self.launchctl_bootout());
                Ok(())
            }
        }
    }

    /// Has it forget a unit that is gone.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        match self.0 {
            Kind::SystemdUser | Kind::SystemdSystem => run(&self.systemctl(&["daemon-reload"])),
            Kind::LaunchdUser | Kind::LaunchdSystem => Ok(()),
        }
    }

    /// Takes away what it keeps of an enabled unit, where it does not answer.
    pub(super) fn disable_by_hand(&self, unit: &Path) {
        let target = match self.0 {
            Kind::SystemdUser => "default.target.wants",
            Kind::SystemdSystem => "multi-user.target.wants",
            Kind::LaunchdUser | Kind::LaunchdSystem => return,
        };
        let link = unit.with_file_name(target).join(UNIT);
        if fs::read_link(&link).is_ok_and(|to| to == unit) {
            // What is left says nothing by itself: the unit that it names is gone.
            let _ = fs::remove_file(link);
        }
    }

    fn systemctl(&self, rest: &[&str]) -> Vec<String> {
        let whose = if self.0 == Kind::SystemdUser { &["systemctl", "--user"][..] } else { &["systemctl"] };
        whose.iter().chain(rest).map(ToString::to_string).collect()
    }

    fn launchctl_bootout(&self) -> Vec<String> {
        vec!["launchctl".to_owned(), "bootout".to_owned(), format!("{}/{LABEL}", domain(self.0))]
    }
}

fn domain(kind: Kind) -> String {
    if kind == Kind::LaunchdSystem { "system".to_owned() } else { format!("gui/{}", Uid::current()) }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs it to its end, which must be a good one.
fn run(words: &[String]) -> anyhow::Result<()> {
    let line = words.join(" ");
    let ended = command(words).stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| anyhow::anyhow!("cannot run `{line}`: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(anyhow::anyhow!("`{line}` failed ({}): {}", ended.status, paint::plain(said.trim())))
}
