//! What sources say without being asked, kept for whoever listens: the latest of it, bounded in number and in bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::value::RawValue;
use tokio::{sync::watch, task};

use crate::name::Namespace;

/// What a source says without being asked, and not about a call.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// Who says it.
    pub(crate) namespace: Namespace,
    /// Such as `notifications/resources/updated`.
    pub(crate) method: Arc<str>,
    pub(crate) params: Option<Arc<RawValue>>,
}

/// Where notices go. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notices(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: Mutex<Kept>,
    /// How many there have been.
    said: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    latest: VecDeque<Notice>,
    bytes: usize,
}

/// Somebody who listens, from when this was made.
#[derive(Debug)]
pub(crate) struct Listener {
    notices: Notices,
    said: watch::Receiver<u64>,
    /// How many have been heard or missed.
    heard: u64,
}

/// What a listener hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Notice(Notice),
    /// More was said than could be kept.
    Missed,
}

/// How many notices somebody slow may lag behind before he loses some.
const MOST: usize = 1024;

/// How many bytes of them are kept. The last is, however large.
const BYTES: usize = 4 << 20;

impl Notices {
    /// Says something to everybody who listens. Somebody slow loses the oldest.
    pub(crate) fn tell(&self, notice: Notice) {
        let mut kept = self.kept();
        if self.0.said.is_closed() {
            *kept = Kept::default();
            return;
        }
        kept.bytes += notice.size();
        kept.latest.push_back(notice);
        while kept.latest.len() > MOST || (kept.bytes > BYTES && kept.latest.len() > 1) {
            let oldest = kept.latest.pop_front();
            kept.bytes -= oldest.map_or(0, |notice| notice.size());
        }
        // Within the lock: what is counted is kept.
        self.0.said.send_modify(|said| *said += 1);
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> Listener {
        let kept = self.kept();
        let said = self.0.said.subscribe();
        let heard = *said.borrow();
        drop(kept);
        Listener { notices: self.clone(), said, heard }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// What is said next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            // In a flood there is always more: others have their turn all the same.
            task::consume_budget().await;
            if let Some(heard) = self.take() {
                return heard;
            }
            // It cannot be closed: it is held here as well.
            let _ = self.said.changed().await;
        }
    }

    fn take(&mut self) -> Option<Heard> {
        let kept = self.notices.kept();
        let said = *self.said.borrow_and_update();
        let lag = usize::try_from(said - self.heard).unwrap_or(usize::MAX);
        if lag > kept.latest.len() {
            self.heard = said - kept.latest.len() as u64;
            return Some(Heard::Missed);
        }
        let notice = kept.latest.get(kept.latest.len() - lag)?.clone();
        self.heard += 1;
        Some(Heard::Notice(notice))
    }
}

impl Notice {
    fn size(&self) -> usize {
        self.method.len() + self.params.as_ref().map_or(0, |params| params.get().len())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn notice(method: &str, bytes: usize) -> Notice {
        let params = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        Notice { namespace: "a".parse().unwrap(), method: method.into(), params: Some(params.into()) }
    }

    /// What has been said already; `!` where something was missed.
    fn heard(listener: &mut Listener) -> Vec<String> {
        let next = || match listener.next().now_or_never()? {
            Heard::Notice(notice) => Some(notice.method.to_string()),
            Heard::Missed => Some("!".to_owned()),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn everybody_hears_everything_in_order_from_when_he_came() {
        let notices = Notices::default();
        notices.tell(notice("before", 1));
        let mut early = notices.listen();
        notices.tell(notice("a", 1));
        let mut late = notices.listen();
        notices.tell(notice("b", 1));
        assert_eq!(heard(&mut early), ["a", "b"]);
        assert_eq!(heard(&mut late), ["b"]);
        assert_eq!(heard(&mut late), [""; 0]);
    }

    #[test]
    fn who_is_slow_loses_the_oldest_and_is_told_once() {
        let notices = Notices::default();
        let mut listener = notices.listen();
        for number in 0..MOST + 5 {
            notices.tell(notice(&number.to_string(), 1));
        }
        let heard = heard(&mut listener);
        assert_eq!((heard[0].as_str(), heard[1].as_str(), heard.len()), ("!", "5", MOST + 1));
    }

    #[test]
    fn large_ones_are_bounded_by_their_bytes_but_for_the_last() {
        let notices = Notices::default();
        let mut listener = notices.listen();
        for _ in 0..100 {
            notices.tell(notice("large", BYTES / 4));
        }
        assert!(notices.kept().bytes <= BYTES);
        notices.tell(notice("huge", 2 * BYTES));
        assert_eq!(heard(&mut listener), ["!", "huge"]);
    }

    #[test]
    fn nothing_is_kept_when_nobody_listens() {
        let notices = Notices::default();
        drop(notices.listen());
        notices.tell(notice("a", 1000));
        assert_eq!(notices.kept().bytes, 0);
    }
}
