//! How managed programs are.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{attempt, millis};
use crate::{
    computer::words::{NOT_STARTED, reason_of_program, state_name},
    managed,
    supervisor::{State, Status},
};

/// How a managed program is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramHealth {
    /// Its name: `chrome` and `chromes.NAME` are those of Chromes.
    pub name: String,
    /// `chrome`, `command`, or `child` for one that the caller has started.
    #[serde(deserialize_with = "super::word")]
    pub kind: super::Word,
    /// It is up.
    pub healthy: bool,
    /// `idle`, `starting`, `ready`, `waiting`, `failed`, `stopped`, `deferred` or `needsInput`.
    #[serde(deserialize_with = "super::word")]
    pub state: super::Word,
    /// Why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The process at the root of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The port of a Chrome's debugging protocol on 127.0.0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The name and version that a Chrome gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How long it has been up, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// How often it was started again, after the first time.
    pub restarts: u32,
    /// How many starts in a row have failed, or which one is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// In how many milliseconds it is tried again, when it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// Resident memory of its whole process tree, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// What its whole process tree uses of one processor, since health was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f32>,
    /// What went wrong last, even if it is up again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last lines that it printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_output: Option<String>,
    /// The command line as it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What is odd about it: a Chrome without its sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl ProgramHealth {
    /// One that nobody drives.
    pub(in crate::computer) fn new(name: &str, kind: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            healthy: false,
            state: state_name(&State::<()>::Idle),
            error: Some(NOT_STARTED.to_owned()),
            pid: None,
            port: None,
            version: None,
            uptime_ms: None,
            restarts: 0,
            attempt: None,
            retry_in_ms: None,
            rss_bytes: None,
            cpu_percent: None,
            last_error: None,
            last_output: None,
            command: None,
            problems: Vec::new(),
        }
    }

    pub(in crate::computer) fn fill(&mut self, status: &Status<managed::Face>) {
        self.state = state_name(&status.state);
        self.error = reason_of_program(status);
        self.healthy = status.ready().is_some();
        self.restarts = status.restarts;
        self.attempt = attempt(&status.state);
        self.retry_in_ms = status.retry_at().map(|at| millis(at.saturating_duration_since(Instant::now())));
        self.last_error = status.last_error.as_ref().map(ToString::to_string);
        let up = status.ready();
        self.uptime_ms = up.map(|_| millis(status.since.elapsed()));
        self.pid = up.map(|face| face.pid);
        self.port = up.and_then(|face| face.endpoint.as_ref()).map(|endpoint| endpoint.port);
        if let Some(face) = up.or(status.last_face.as_ref()) {
            self.version.clone_from(&face.version);
            self.command.clone_from(&face.command);
            self.problems.clone_from(&face.problems);
            self.last_output = Some(face.tail.last_lines()).filter(|lines| !lines.is_empty());
        }
    }

    /// What keeps it from being up, where it should be.
    pub(in crate::computer) fn failure(&self) -> Option<&str> {
        self.error.as_deref().filter(|_| self.is_wanted())
    }

    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self.state, "deferred" | "stopped")
    }
}
