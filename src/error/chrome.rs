//! What can go wrong with a Chrome, each told from the others and with its cure.

use std::{path::PathBuf, time::Duration};

use super::{last_lines, seconds};

/// Why a Chrome is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChromeError {
    /// There is none on this machine, or not where it was said to be.
    #[error("no Chrome was found: {cure} (looked for {searched})")]
    NotFound {
        /// What was looked for, and where.
        searched: String,
        /// What to do.
        cure: String,
    },
    /// Its sandbox cannot work here, and it does not run without one unless it is told to.
    #[error(
        "Chrome's sandbox cannot work {}; start it as an ordinary user on a system with user namespaces, or set \
         `noSandbox` (`--no-sandbox`) if you trust every page that it opens", place(*.as_root)
    )]
    NoSandbox {
        /// It was started by root; else the system has no namespaces for users.
        as_root: bool,
    },
    /// It wants to show windows and there is nowhere to.
    #[error(
        "Chrome has no display to show its windows on{}; set `headless` (`--headless`), or give it a display with \
         DISPLAY or WAYLAND_DISPLAY", .display.as_ref().map(|display| format!(" (`{display}` does not answer)")).unwrap_or_default()
    )]
    NoDisplay {
        /// The display that it was given.
        display: Option<String>,
    },
    /// Somebody else listens on the port that it was to have.
    #[error(
        "Chrome cannot have port {port} on 127.0.0.1: {by} answers there; end that, name another `debuggingPort`, or \
         leave it out and let Chrome choose"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it, as far as that can be told.
        by: String,
    },
    /// The system does not give its debugging port to this user.
    #[error(
        "Chrome cannot have port {port} on 127.0.0.1: the system keeps it for root; name a `debuggingPort` above 1023, or \
         leave it out and let Chrome choose"
    )]
    PortRefused {
        /// The port.
        port: u16,
    },
    /// Another Chrome uses the profile.
    #[error(
        "the profile {} is in use by {}; {}", .profile.display(), holder(*.pid, .host.as_ref()),
        freed(*.pid, .host.as_ref(), .profile)
    )]
    ProfileInUse {
        /// The profile's directory.
        profile: PathBuf,
        /// Who holds it.
        pid: u32,
        /// The machine that it runs on, when it is another one.
        host: Option<String>,
    },
    /// The profile that the user browses with every day.
    #[error(
        "the profile {} is the user's own of {browser}, with its passwords and sessions: Chrome refuses to be \
         controlled with it, and so do we; name a directory of its own as `profileDir`", .profile.display()
    )]
    DefaultProfile {
        /// The profile's directory.
        profile: PathBuf,
        /// Whose it is.
        browser: String,
    },
    /// The directory of the profile cannot be used.
    #[error("the profile {} cannot be used: {reason}", .profile.display())]
    Profile {
        /// The directory.
        profile: PathBuf,
        /// Why, and the cure.
        reason: String,
    },
    /// A flag that would let others in, or works against what we need.
    #[error("the flag `{flag}` {reason}")]
    Flag {
        /// The flag as it was given.
        flag: String,
        /// What it does, and the cure.
        reason: String,
    },
    /// It ended, before it could be used or later.
    #[error("Chrome {how}{}", last_lines(.stderr))]
    Exited {
        /// How it ended: `exited with status 7`, …
        how: String,
        /// Its last lines on stderr.
        stderr: String,
    },
    /// It runs and cannot be reached.
    #[error(
        "Chrome was not ready after {}: {reason}; see whether it starts by hand, or give it longer (`readyTimeout`){}",
        seconds(.after), last_lines(.stderr)
    )]
    NotReady {
        /// How long it was waited for.
        after: Duration,
        /// What was missing.
        reason: String,
        /// Its last lines on stderr.
        stderr: String,
    },
}

impl ChromeError {
    /// Whether trying again cannot help until somebody changes something.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::NoSandbox { .. }
            | Self::DefaultProfile { .. }
            | Self::Profile { .. }
            | Self::PortRefused { .. }
            | Self::Flag { .. } => true,
            Self::NoDisplay { .. }
            | Self::PortTaken { .. }
            | Self::ProfileInUse { .. }
            | Self::Exited { .. }
            | Self::NotReady { .. } => false,
        }
    }
}

fn place(as_root: bool) -> &'static str {
    if as_root { "for root" } else { "here: the system lets nobody have namespaces" }
}

fn holder(pid: u32, host: Option<&String>) -> String {
    match host {
        Some(host) => format!("process {pid} on the machine `{host}`"),
        None => format!("process {pid}"),
    }
}

fn freed(pid: u32, host: Option<&String>, profile: &std::path::Path) -> String {
    match host {
        Some(host) => {
            format!("end it there, or, if `{host}` is no more, remove {}", profile.join("SingletonLock").display())
        }
        None => format!("end it (`kill {pid}`), or give each Chrome a `profileDir` of its own"),
    }
}
