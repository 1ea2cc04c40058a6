//! Watches over what a server does not say: one that gives no sign of life for long is no connection any more.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    link::{Link, shown},
    request,
};
use crate::error::{Delivery, Error, Result};

/// After so many questions in a row without an answer a silent server counts as hung.
const MISSES: u32 = 3;

/// How many times one that owes an answer is asked in the time after which a silent one is asked once.
const INSISTENCE: u32 = 10;

/// Asks a server that has been silent for a sign of life, for as long as the session lives, and ends the session when
/// there is none.
///
/// A server that says anything is not asked, nor is one with a call inside its clocks: it may be busy. One that owed an
/// answer until the call was given up is asked at once and often, and is ended when it stays silent for one interval.
pub(super) async fn keep(link: Arc<Link>) {
    let interval = link.options().probe_interval;
    let mut misses = 0;
    let mut suspected: Option<Instant> = None;
    loop {
        let heard = link.heard();
        let pause = if suspected.is_some() { interval / INSISTENCE } else { interval };
        tokio::select! {
            () = sleep(pause) => {}
            () = link.suspected(), if suspected.is_none() => {
                suspected = Some(Instant::now());
                continue;
            }
        }
        if link.heard() != heard {
            (misses, suspected) = (0, None);
            continue;
        }
        if suspected.is_none() && link.has_calls(Instant::now()) {
            continue;
        }
        let Err(miss) = answers(&link, interval).await else {
            (misses, suspected) = (0, None);
            continue;
        };
        misses += 1;
        let is_over = suspected.map_or(misses >= MISSES, |since| since.elapsed() >= interval);
        // Calls that were under way then have their time. Those that came later do not count: as long as somebody calls a
        // server that is stuck there is always one.
        if is_over && !link.has_calls(suspected.unwrap_or_else(Instant::now)) {
            let silent = suspected.map_or(interval * MISSES, |since| since.elapsed());
            let silent = shown(silent);
            link.mark_ended(&match miss {
                Error::Timeout { .. } => format!("has hung: it gave no sign of life for {silent}"),
                other => format!("gave no sign of life for {silent}: {other}"),
            });
            return;
        }
    }
}

/// Asks the server for a sign of life. Any message is one, and over HTTP any answer: whoever refuses a question, with 429
/// or 500, is there, and a session that he has lost is begun again by the next call.
///
/// # Errors
/// There was none.
async fn answers(link: &Arc<Link>, interval: Duration) -> Result<()> {
    let heard = link.heard();
    match request::probe(link.clone(), interval).await {
        Err(Error::Protocol { .. } | Error::NeedsAuth { .. } | Error::Http { delivery: Delivery::Refused, .. }) => {
            Ok(())
        }
        Err(_) if link.heard() != heard => Ok(()),
        outcome => outcome,
    }
}
