//! The clocks of all calls of a connection, kept by one task: a timer for each call would cost more than the call.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Options,
    link::{Link, Pending},
    request,
};
use crate::{error::Error, process};

/// How much later than its time a call may be given up: an eighth of the time, and never more than this.
const LATEST: Duration = Duration::from_secs(1);
const EARLIEST: Duration = Duration::from_millis(5);

/// What a call is measured by.
#[derive(Debug)]
pub(super) struct Clock {
    /// The tool, or the method of what is no call.
    pub(super) what: String,
    pub(super) is_tool: bool,
    pub(super) begin: Instant,
}

impl Clock {
    /// What was being done, in words.
    pub(super) fn act(&self) -> String {
        if self.is_tool { format!("calling `{}`", self.what) } else { format!("`{}`", self.what) }
    }
}

/// Gives up calls whose time is over, for as long as the connection lives.
pub(super) async fn keep(link: Arc<Link>) {
    let options = link.options();
    let tick = (options.call_timeout.min(options.max_call_time) / 8).clamp(EARLIEST, LATEST);
    loop {
        link.clock_wanted().await;
        while {
            sleep(tick).await;
            link.expire(Instant::now())
        } {}
    }
}

/// The error of a call whose time is over, if it is.
pub(super) fn judge(pending: &Pending, options: &Options, now: Instant) -> Option<Error> {
    let clock = pending.clock.as_ref()?;
    if pending.asked > 0 {
        return None;
    }
    let (idle, total) = (now - pending.touched, now - clock.begin);
    let (after, silent, option) = if total >= options.max_call_time {
        (options.max_call_time, false, "maxCallTime")
    } else if idle >= options.call_timeout {
        (options.call_timeout, true, "callTimeout")
    } else {
        return None;
    };
    Some(Error::Timeout {
        act: clock.act(),
        after,
        silent,
        cure: format!("raise `{option}` if it needs longer"),
        stderr: options.tail.last_lines(),
    })
}

/// Ends the wait for these answers, and tells the server.
pub(super) fn give_up(link: &Link, over: Vec<(u64, Pending, Error)>) {
    let stopped = if over.is_empty() { None } else { link.pid().filter(|pid| process::is_stopped(*pid)) };
    for (id, pending, error) in over {
        let error = match (stopped, error) {
            // More time would not help it.
            (Some(pid), Error::Timeout { act, after, silent, stderr, .. }) => {
                let cure = format!(
                    "its process {pid} was stopped by a signal and stands still: `kill -CONT {pid}` lets it go on, or \
                    restart the entry"
                );
                Error::Timeout { act, after, silent, cure, stderr }
            }
            (_, error) => error,
        };
        // Whoever waited may have gone.
        let _ = pending.reply.send(Err(error));
        request::tell_cancelled(link, id, "it took too long");
        link.suspect();
    }
}
