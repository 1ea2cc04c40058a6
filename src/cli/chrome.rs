//! `computer chrome`: a Chrome with its debugging port, for as long as this runs.

use std::{path::PathBuf, time::Duration};

use mcp_computer::{ChromeLaunchOptions, Computer, Error, shutdown::Shutdown};
use serde::Serialize;

use super::{FAILED, Usage, answer};

/// Launch a Chrome that can be controlled, and end it when this is ended.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of its profile, never the one that you browse with; without one, one of its own
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// The port on 127.0.0.1; without one, Chrome chooses
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Without windows
    #[arg(long)]
    headless: bool,
    /// Which Chrome: a path, or a program on PATH
    #[arg(long, value_name = "PATH")]
    chrome: Option<PathBuf>,
    /// Without its sandbox, as root must have it; pages that break out of Chrome can then do what you can
    #[arg(long)]
    no_sandbox: bool,
    /// Take flags that let others control it, or its pages read each other
    #[arg(long)]
    unsafe_flags: bool,
    /// How many seconds it may take until it can be controlled
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    ready_timeout: u64,
    /// Further flags, and pages to open
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// In seconds. Who waits longer than that does not wait.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// What is printed, on one line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Launched<'a> {
    port: u16,
    pid: u32,
    ws_url: &'a str,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let mut shutdown = Shutdown::listen()?;
    let options = ChromeLaunchOptions {
        profile_dir: args.profile,
        debugging_port: args.port,
        headless: args.headless.then_some(true),
        chrome_path: args.chrome,
        no_sandbox: args.no_sandbox,
        unsafe_flags: args.unsafe_flags,
        ready_timeout: Duration::from_secs(args.ready_timeout),
        flags: args.flags,
        ..ChromeLaunchOptions::default()
    };
    let chrome = tokio::select! {
        launched = Computer::launch_chrome(options) => launched.map_err(said)?,
        cause = shutdown.requested() => return Ok(cause.exit_status()),
    };
    let launched = Launched { port: chrome.port(), pid: chrome.pid(), ws_url: chrome.ws_url() };
    answer(&serde_json::to_string(&launched)?)?;
    let cause = tokio::select! {
        ended = chrome.exited() => {
            // Whoever closes its last window wants it so.
            chrome.close().await;
            if matches!(&ended, mcp_computer::ChromeError::Exited { how, .. } if how == "exited with status 0") {
                return Ok(0);
            }
            super::say(&format!("computer: {}", super::paint::plain(&ended.to_string())));
            return Ok(FAILED);
        }
        cause = shutdown.requested() => cause,
    };
    tokio::select! {
        _ = chrome.close() => {}
        // Once more: no patience. It is killed by the drop of its owner.
        _ = shutdown.requested() => {}
    }
    Ok(cause.exit_status())
}

/// Flags and profiles that cannot be are errors of the question.
fn said(error: Error) -> anyhow::Error {
    match error {
        Error::Chrome(
            error @ (mcp_computer::ChromeError::Flag { .. } | mcp_computer::ChromeError::DefaultProfile { .. }),
        ) => Usage::because(error),
        error => error.into(),
    }
}
