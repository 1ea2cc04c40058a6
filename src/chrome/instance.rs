//! A Chrome that runs: its only owner.

use std::{fmt, process::ExitStatus, time::Duration};

use tokio::time::timeout;

use super::{Endpoint, Options};
use crate::{
    config::is_no_sandbox,
    error::ChromeError,
    process::{self, Running, Tail},
    shutdown::Grace,
};

/// What it gets to leave in order: it writes down its sessions.
const GRACE: Duration = Duration::from_secs(3);

/// How much of that it gets before it is asked less kindly.
const IN_ORDER: Duration = Duration::from_millis(1500);

/// A launched Chrome: its only owner.
///
/// Give it to a [`Computer`](crate::Computer) with [`managed`](crate::Computer::managed) to have it kept. Dropping it kills
/// it with all that it started.
pub struct ChromeInstance {
    running: Running,
    endpoint: Endpoint,
    version: String,
    options: Options,
}

impl ChromeInstance {
    /// `options` are those that launch the same once more.
    pub(super) fn new(running: Running, (endpoint, version): (Endpoint, String), options: Options) -> Self {
        Self { running, endpoint, version, options }
    }

    /// The port of its debugging protocol on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.endpoint.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.process().pid()
    }

    /// Where it is controlled: `ws://127.0.0.1:9222/devtools/browser/…`.
    pub fn ws_url(&self) -> &str {
        &self.endpoint.ws_url
    }

    /// Its name and version, such as `Chrome/156.0.8078.114`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it runs without its sandbox.
    pub fn has_no_sandbox(&self) -> bool {
        self.options.no_sandbox || self.options.flags.iter().any(|flag| is_no_sandbox(flag))
    }

    /// Returns when it has ended, and how, in words. Cancel safe.
    pub async fn exited(&self) -> ChromeError {
        let how = process::describe(self.running.exited().await);
        ChromeError::Exited { how, stderr: self.running.tail().last_lines() }
    }

    /// Ends it in order, and by force after 3 s. Returns when nothing of it is left, and how it ended.
    pub async fn close(self) -> Option<ExitStatus> {
        self.stop(Grace::of(GRACE)).await
    }

    pub(crate) async fn stop(self, mut grace: Grace) -> Option<ExitStatus> {
        if !grace.left().is_zero() {
            // TERM is for Chrome the end of the session, at which it leaves its locks and temporary files behind.
            self.running.process().interrupt();
            tokio::select! {
                // A script that stands before it may not pass it on.
                _ = timeout(IN_ORDER, self.running.exited()) => {}
                () = grace.over() => {}
            }
        }
        self.running.leave(grace).await
    }

    /// What launches the same once more.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn tail(&self) -> &Tail {
        self.running.tail()
    }
}

impl fmt::Debug for ChromeInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChromeInstance").field("pid", &self.pid()).field("port", &self.port()).finish_non_exhaustive()
    }
}
