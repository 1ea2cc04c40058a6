//! Programs that are run for what they print.

use std::{io, process::ExitStatus, sync::LazyLock, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use super::{LOOK, Pipes, Process, Spawn};
use crate::{shutdown::Grace, wire::Input};

/// What a program printed, and how it ended.
pub(crate) struct Captured {
    pub(crate) printed: Vec<u8>,
    /// `None` when it had not ended by itself shortly after its output.
    pub(crate) status: Option<ExitStatus>,
}

/// Programs whose caller may have gone, on their way to their end.
static CAPTURES: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// What a program gets to come to its end by itself when nobody waits for it any more, and then after a TERM: start-up
/// files of a shell hold locks that block the user's other shells when they are left behind.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs a program to its end and returns what it printed, the last 4 MiB at most, whatever its exit status.
///
/// All that it started is gone when this returns. Cancel safe: the program is then ended in order, within a second (see
/// [`captures_ended`]).
///
/// # Errors
/// The program could not be started, or was still running at the deadline.
pub(crate) async fn capture(spawn: Spawn, deadline: Duration) -> io::Result<Captured> {
    let (mut reply, answer) = oneshot::channel();
    CAPTURES.spawn(async move {
        let (process, mut pipes) = match Process::spawn(spawn).await {
            Ok(spawned) => spawned,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let begin = Instant::now();
        let mut reading = Box::pin(read_all(&process, &mut pipes));
        let outcome = tokio::select! {
            outcome = timeout(deadline, &mut reading) => outcome,
            () = reply.closed() => timeout(FAREWELL.min(deadline.saturating_sub(begin.elapsed())), &mut reading).await,
        };
        drop(reading);
        let grace = if reply.is_closed() { FAREWELL } else { Duration::ZERO };
        process.end(Grace::of(if outcome.is_ok() { Duration::ZERO } else { grace })).await;
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("still running after {deadline:?}"));
        let _ = reply.send(outcome.unwrap_or_else(|_| Err(late())));
    });
    answer.await.unwrap_or_else(|_| Err(io::Error::other("it was given up")))
}

/// Returns when no captured program is running whose caller has gone.
pub(crate) async fn captures_ended() {
    let none = async {
        while !CAPTURES.is_empty() {
            sleep(LOOK).await;
        }
    };
    // No longer than one takes whose caller has gone: others, whose callers wait for them, are none of ours.
    let _ = timeout(FAREWELL * 2, none).await;
}

async fn read_all(process: &Process, pipes: &mut Pipes) -> io::Result<Captured> {
    const LIMIT: usize = 4 << 20;
    const LAST_BYTES: Duration = Duration::from_millis(50);
    let (mut printed, mut rubbish) = (Vec::new(), Vec::new());
    let mut open = (true, true);
    let mut exited: Option<Instant> = None;
    let mut status = None;
    while open.0 || exited.is_none() {
        let last = exited.unwrap_or_else(Instant::now) + LAST_BYTES;
        tokio::select! {
            read = pipes.stdout.read_into(&mut printed), if open.0 => open.0 = read? > 0,
            read = pipes.stderr.read_into(&mut rubbish), if open.1 => { open.1 = read? > 0; rubbish.clear(); }
            ended = process.exited(), if exited.is_none() => { exited = Some(Instant::now()); status = ended; }
            // A background child may hold the pipe for ever: what was printed is there shortly after the exit.
            () = sleep_until(last), if exited.is_some() => break,
        }
        // What was asked for comes last, behind whatever start-up files say. Two limits' worth, to move little.
        if printed.len() > 2 * LIMIT {
            printed.drain(..printed.len() - LIMIT);
        }
    }
    printed.drain(..printed.len().saturating_sub(LIMIT));
    Ok(Captured { printed, status })
}
