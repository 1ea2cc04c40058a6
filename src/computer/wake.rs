//! After the machine has slept: connections look as they did, and their other ends have forgotten them.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{Board, Computer};
use crate::{config::EntryKind, name::Namespace};

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(5);

/// A sleep shorter than this leaves connections as they are.
const NAP: Duration = Duration::from_secs(5);

/// Over how long the questions are spread, so that servers behind one address are not asked all at once.
const SPREAD: Duration = Duration::from_secs(2);

/// How long a server may take for a sign of life.
const PROBE: Duration = Duration::from_secs(3);

impl Computer {
    /// Looks after what a sleep of the machine, or another network, may have cut.
    ///
    /// Servers that are reached over HTTP are asked for a sign of life, each after a moment of its own; those that give
    /// none are connected anew, and those that were waiting to be tried again are tried now. It happens by itself after
    /// a sleep of five seconds or more (Linux); a host that is told of such things earlier may say so. Returns when
    /// all have answered or have been tried. Cancel safe.
    pub async fn woke(&self) {
        woke(&self.inner.board).await;
    }

    /// Looks after each sleep of the machine, for as long as the Computer runs.
    pub(super) fn watch_sleep(&self) {
        let board: Weak<Board> = Arc::downgrade(&self.inner.board);
        self.in_background(async move {
            loop {
                slept(asleep, LOOK).await;
                let Some(board) = board.upgrade() else { return };
                tracing::info!("the machine has slept; looking after the connections");
                woke(&board).await;
            }
        });
    }
}

async fn woke(board: &Board) {
    let names = board.namespaces().into_iter();
    let over_http = names.filter(|name| {
        board.recipe(name.as_str()).is_some_and(|recipe| matches!(recipe.config.kind, EntryKind::Http(_)))
    });
    join_all(over_http.map(|name| look_after(board, name))).await;
    board.publish();
}

async fn look_after(board: &Board, name: Namespace) {
    sleep(moment(&name)).await;
    // Asked for only now: it may have been removed or replaced meanwhile.
    let Some(handle) = board.handle(name.as_str()) else { return };
    let face = handle.status().ready().cloned();
    let Some(face) = face else {
        // One that is not to be brought back stays as it is.
        if !handle.status().is_settled_down() {
            handle.ensure().await;
        }
        return;
    };
    if !matches!(timeout(PROBE, face.probe()).await, Ok(Ok(()))) {
        handle.restart().await;
    }
}

/// When an entry is asked.
fn moment(name: &Namespace) -> Duration {
    let share = RandomState::new().hash_one(name.as_str()) % 1000;
    SPREAD * u32::try_from(share).unwrap_or_default() / 1000
}

/// Returns when the machine has slept, by what `asleep` says it has slept in all. Cancel safe.
async fn slept(asleep: impl Fn() -> Duration, every: Duration) {
    let mut before = asleep();
    loop {
        sleep(every).await;
        let now = asleep();
        if now.saturating_sub(before) >= NAP {
            return;
        }
        // A drift of the clocks is no sleep.
        before = now;
    }
}

/// For how long the machine has slept since it was started.
#[cfg(target_os = "linux")]
fn asleep() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    let read = |clock| clock_gettime(clock).map(Duration::from);
    match (read(ClockId::CLOCK_BOOTTIME), read(ClockId::CLOCK_MONOTONIC)) {
        (Ok(with_sleep), Ok(without)) => with_sleep.saturating_sub(without),
        _ => Duration::ZERO,
    }
}

/// Not known here: connections that a sleep has cut are found by the questions to silent servers.
#[cfg(not(target_os = "linux"))]
fn asleep() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_is_noticed_and_a_drift_of_the_clocks_is_none() {
        let seconds = AtomicU64::new(100);
        let asleep = || Duration::from_secs(seconds.load(Ordering::SeqCst));
        let drifting = async {
            for _ in 0..100 {
                sleep(LOOK).await;
                seconds.fetch_add(1, Ordering::SeqCst);
            }
        };
        tokio::select! {
            () = slept(&asleep, LOOK) => panic!("this was no sleep"),
            () = drifting => {}
        }
        let (noticed, ()) = tokio::join!(timeout(LOOK * 2, slept(&asleep, LOOK)), async {
            seconds.fetch_add(NAP.as_secs(), Ordering::SeqCst);
        });
        noticed.expect("five seconds are a sleep");
    }

    #[test]
    fn entries_are_asked_at_different_moments() {
        let name: Namespace = "web".parse().unwrap();
        let moments: std::collections::HashSet<_> = (0..20).map(|_| moment(&name)).collect();
        assert!(moments.len() > 1 && moments.iter().all(|moment| *moment <= SPREAD), "{moments:?}");
    }
}
