//! What the service manager is told: that we are up, how the entries are, and that we still live.

use std::{future::pending, time::Duration};

use mcp_computer::{Computer, service::Manager};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Tells it, for as long as it is polled. Never returns.
///
/// To know how the entries are takes what answering a client takes, so that a daemon which cannot answer gives no sign of
/// life.
pub(super) async fn keep_told(manager: Manager, computer: Computer) {
    if !manager.listens() {
        return pending().await;
    }
    let mut events = computer.events();
    let mut said = status(&computer);
    manager.ready();
    manager.status(&said);
    let mut tick = manager.watchdog().map(|every| {
        let half = (every / 2).max(Duration::from_millis(1));
        let mut tick = interval_at(Instant::now(), half);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick
    });
    loop {
        let is_tick = tokio::select! {
            event = events.next() => match event {
                Some(_) => false,
                None => return pending().await,
            },
            () = async {
                match &mut tick {
                    Some(tick) => drop(tick.tick().await),
                    None => pending().await,
                }
            } => true,
        };
        let now = status(&computer);
        if is_tick {
            manager.alive();
        }
        if now != said {
            manager.status(&now);
            said = now;
        }
    }
}

/// How the entries are, in a line. One that is idle is up when somebody uses it.
fn status(computer: &Computer) -> String {
    let states = computer.states();
    let wanted = states.iter().filter(|(_, state)| !matches!(*state, "deferred" | "stopped" | "disabled" | "idle"));
    let (up, down): (Vec<_>, Vec<_>) = wanted.partition(|(_, state)| *state == "ready");
    let words = format!("{} of {} entries are up", up.len(), up.len() + down.len());
    let names: Vec<&str> = down.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { words } else { format!("{words}, not {}", names.join(", ")) }
}
