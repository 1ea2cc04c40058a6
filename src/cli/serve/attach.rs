//! A client on stdin and stdout that joins the daemon that runs: one machine for all clients.

use std::{io, thread::JoinHandle, time::Duration};

use mcp_computer::{
    config::Loaded,
    control::{Daemon, DaemonError},
    front::stdio::Handed,
    shutdown::Shutdown,
    state::State,
};
use serde::Deserialize;

use super::Args;
use crate::cli::{FAILED, daemon, say};

/// Whether a client joins the daemon that runs for its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Attach {
    /// If one runs; else this process serves it
    Auto,
    /// Never
    Never,
    /// Always; it is an error when none runs
    Only,
}

/// What is still to be copied to the client gets so long when the daemon is done with it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Joins the daemon that runs, and returns with which status to end when that is over; nothing when it is not to be
/// joined.
pub(super) async fn joined(args: &Args, loaded: &Loaded) -> anyhow::Result<Option<u8>> {
    if args.attach == Attach::Never {
        return Ok(None);
    }
    let daemon = match State::of(&loaded.config, loaded.path.as_deref()) {
        Ok(state) => Daemon::find(&state).await,
        Err(error) => Err(error.into()),
    };
    let daemon = daemon.and_then(|daemon| {
        if let Some(daemon) = &daemon {
            daemon.check_version()?;
        }
        Ok(daemon)
    });
    match (daemon, args.attach) {
        (Ok(Some(daemon)), _) => join(daemon, args).await.map(Some),
        (Ok(None), Attach::Only) => Err(daemon::nobody(loaded.path.as_deref())),
        (Err(error), Attach::Only) => Err(error.into()),
        (Err(error), _) => {
            say(&format!("warning: this process serves its client by itself: {error}"));
            Ok(None)
        }
        (Ok(None), _) => Ok(None),
    }
}

async fn join(daemon: Daemon, args: &Args) -> anyhow::Result<u8> {
    #[derive(Deserialize)]
    struct Outcome {
        over: String,
    }
    if args.http.is_some() || args.local || args.bridges() {
        let at = daemon.notice().http.join(" and ");
        let at = if at.is_empty() { String::new() } else { format!(", at {at}") };
        say(&format!("a daemon runs already{at}: this client joins it, and nothing else is served here"));
    }
    let mut shutdown = Shutdown::listen()?;
    let Handed { input, output, copying } = Handed::of_this_process()?;
    let outcome = tokio::select! {
        outcome = daemon.attach(input, output) => outcome,
        cause = shutdown.requested() => return Ok(cause.exit_status()),
    };
    copied(copying).await;
    match outcome {
        Ok(result)
            if serde_json::from_str::<Outcome>(result.get()).is_ok_and(|outcome| outcome.over == "clientLeft") =>
        {
            Ok(0)
        }
        Ok(_) => {
            say("the daemon leaves, and this client's session with it");
            Ok(FAILED)
        }
        Err(error @ DaemonError::Gone) => Err(anyhow::anyhow!("{error}, and this client's session with it")),
        Err(error) => Err(error.into()),
    }
}

/// Waits until what the daemon has written is with the client.
async fn copied(copying: Option<JoinHandle<()>>) {
    let Some(copying) = copying else { return };
    let (done, is_done) = tokio::sync::oneshot::channel();
    let waiting = std::thread::Builder::new().name("copied".to_owned()).spawn(move || {
        let _ = copying.join();
        let _ = done.send(());
    });
    if waiting.map_err(|error: io::Error| drop(error)).is_ok() {
        let _ = tokio::time::timeout(LAST_WORDS, is_done).await;
    }
}
