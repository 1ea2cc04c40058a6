//! What stands before an entry of which the configuration says when it is up, or how much it is asked at a time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    connection::Subscribed,
    source::{About, Answer, Call, CallContext, Face, Listings, Source, ToolList, Turns, Waiting},
};

/// How long an entry that was started only to learn its tools is kept for whoever wants to use it at once.
const LEARNT: Duration = Duration::from_secs(1);

/// The face of an entry that lives behind a gate.
pub(super) struct Gate {
    inner: Face,
    usage: Option<Arc<Usage>>,
    turns: Option<Turns>,
}

impl Gate {
    pub(super) fn before(inner: Face, (usage, turns): (Option<Arc<Usage>>, Option<Turns>)) -> Face {
        if usage.is_none() && turns.is_none() { inner } else { Arc::new(Self { inner, usage, turns }) }
    }
}

impl Source for Gate {
    fn tools(&self) -> Arc<ToolList> {
        self.inner.tools()
    }

    fn listings(&self) -> Arc<Listings> {
        self.inner.listings()
    }

    fn capabilities(&self) -> Option<Arc<RawValue>> {
        self.inner.capabilities()
    }

    fn call(self: Arc<Self>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>> {
        let Some(usage) = &self.usage else { return self.inner.clone().call(call, context) };
        let used = usage.begin()?;
        let answer = self.inner.clone().call(call, context)?;
        Some(Box::pin(async move {
            let _used = used;
            answer.await
        }))
    }

    fn may_miss(&self) -> bool {
        // What waits for its turn has to be kept.
        self.turns.is_some() || self.inner.may_miss()
    }

    fn has_secret_in(&self, text: &str) -> bool {
        self.inner.has_secret_in(text)
    }

    fn turns(&self) -> Option<&Turns> {
        self.turns.as_ref()
    }

    fn notify(&self, method: &str, params: Option<&RawValue>) {
        self.inner.notify(method, params);
    }

    fn probe(self: Arc<Self>) -> Waiting<()> {
        self.inner.clone().probe()
    }

    fn silence(&self) -> Option<String> {
        self.inner.silence()
    }

    fn is_open(&self) -> bool {
        self.inner.is_open() && self.usage.as_ref().is_none_or(|usage| !usage.state().is_over)
    }

    fn about(&self) -> About {
        self.inner.about()
    }
}

/// Whether one life of an entry is of use to anybody.
pub(super) struct Usage {
    /// After how long without use it ends.
    limit: Option<Duration>,
    /// Whether it was started only to learn what it has: then it ends soon, unless somebody uses it.
    learns: bool,
    /// Who wants to hear of its resources uses it.
    subscribed: Subscribed,
    state: Mutex<State>,
    released: Notify,
}

struct State {
    calls: usize,
    was_called: bool,
    last: Instant,
    /// It takes no more calls.
    is_over: bool,
}

/// What is to be done until it may be over.
enum Look {
    Over,
    At(Instant),
    /// Only when a call of it has ended.
    WhenReleased,
}

impl Usage {
    pub(super) fn new(limit: Option<Duration>, learns: bool, subscribed: Subscribed) -> Arc<Self> {
        let state = State { calls: 0, was_called: false, last: Instant::now(), is_over: false };
        Arc::new(Self { limit, learns, subscribed, state: Mutex::new(state), released: Notify::new() })
    }

    /// Returns when nobody has used it for so long that it is to end: it takes no more calls then. Cancel safe.
    pub(super) async fn over(&self) {
        loop {
            match self.look() {
                Look::Over => return,
                Look::At(at) => sleep_until(at).await,
                Look::WhenReleased => self.released.notified().await,
            }
        }
    }

    fn look(&self) -> Look {
        let is_heard = !self.subscribed.uris().is_empty();
        let now = Instant::now();
        let mut state = self.state();
        let limit = if self.learns && !state.was_called { Some(LEARNT) } else { self.limit };
        let Some(limit) = limit.filter(|_| state.calls == 0) else { return Look::WhenReleased };
        if is_heard {
            // Who stops to listen says so to the entry, and that is a call.
            return Look::At(now + limit);
        }
        let at = state.last + limit;
        if at > now {
            return Look::At(at);
        }
        state.is_over = true;
        Look::Over
    }

    /// A call begins; none does when it is over.
    fn begin(self: &Arc<Self>) -> Option<Used> {
        let mut state = self.state();
        if state.is_over {
            return None;
        }
        state.calls += 1;
        state.was_called = true;
        Some(Used(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in flight.
struct Used(Arc<Usage>);

impl Drop for Used {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.calls -= 1;
        state.last = Instant::now();
        drop(state);
        self.0.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    async fn seconds_until_over(usage: &Usage) -> u64 {
        let begin = Instant::now();
        usage.over().await;
        begin.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_nobody_has_called_for_so_long_and_then_takes_no_call() {
        let usage = Usage::new(Some(LIMIT), false, Subscribed::default());
        let call = usage.begin().unwrap();
        let (seconds, ()) = tokio::join!(seconds_until_over(&usage), async move {
            tokio::time::sleep(LIMIT * 2).await;
            drop(call);
        });
        assert_eq!(seconds, 1800, "a call in flight is use, however long it takes");
        assert!(usage.begin().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_to_hear_of_a_resource_uses_it() {
        let subscribed = Subscribed::default();
        let usage = Usage::new(Some(LIMIT), false, subscribed.clone());
        subscribed.add("x://1").keep();
        assert!(tokio::time::timeout(LIMIT * 5, usage.over()).await.is_err());
        subscribed.remove("x://1");
        assert!(seconds_until_over(&usage).await <= LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_to_be_learnt_from_ends_soon_unless_somebody_uses_it() {
        let usage = Usage::new(None, true, Subscribed::default());
        assert_eq!(seconds_until_over(&usage).await, LEARNT.as_secs());
        let usage = Usage::new(None, true, Subscribed::default());
        drop(usage.begin());
        assert!(tokio::time::timeout(LIMIT * 5, usage.over()).await.is_err());
    }
}
