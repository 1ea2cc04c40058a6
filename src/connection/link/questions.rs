//! Questions of the server: which calls they may be about, who is asked, and when nobody wants to know any more.

use tokio::time::Instant;

use super::{Link, lock};
use crate::{connection::ask, source::Question};

impl Link {
    /// Looks at the open questions of the server, or changes them.
    pub(in crate::connection) fn open_questions<T>(&self, use_them: impl FnOnce(&mut ask::Open) -> T) -> T {
        use_them(&mut lock(&self.questions))
    }

    /// Ends the questions that are about no call any more: nobody wants to know.
    pub(in crate::connection) fn drop_questions_of_none(&self) {
        let waiting = lock(&self.waiting);
        self.open_questions(|open| {
            for question in open.values() {
                if !question.calls.iter().any(|call| waiting.contains_key(call)) {
                    question.handle.abort();
                }
            }
        });
    }

    /// Whoever made this call took it back, or left: what he is being asked somebody else is asked.
    pub(in crate::connection) fn give_up_asking(&self, call: u64) {
        self.open_questions(|open| {
            let asked = open.values().filter(|question| question.asked_of.0 == call);
            asked.for_each(|question| question.asked_of.1.cancel());
        });
    }

    /// The calls that a question may be about, which wait for its answer from now on, and who is asked first. A
    /// connection that does not tell calls apart leaves all that are under way.
    pub(in crate::connection) fn asked(&self, of: Option<u64>, question: &Question) -> (Vec<u64>, Option<ask::Asker>) {
        let calls: Vec<u64> = {
            let waiting = lock(&self.waiting);
            match of.filter(|id| waiting.contains_key(id)) {
                Some(known) => vec![known],
                None => waiting.iter().filter(|(_, pending)| pending.clock.is_some()).map(|(id, _)| *id).collect(),
            }
        };
        let first = self.asker(&calls, &[], question);
        if first.is_some() {
            let mut waiting = lock(&self.waiting);
            for call in &calls {
                if let Some(pending) = waiting.get_mut(call) {
                    pending.asked += 1;
                }
            }
        }
        (calls, first)
    }

    /// Who can be asked among those that made these calls and still wait: whoever called last.
    pub(in crate::connection) fn asker(&self, calls: &[u64], but: &[u64], question: &Question) -> Option<ask::Asker> {
        let mut candidates: Vec<ask::Asker> = {
            let waiting = lock(&self.waiting);
            let meant = calls.iter().filter(|id| !but.contains(id));
            meant.filter_map(|id| Some((*id, waiting.get(id)?.ask.clone()?))).collect()
        };
        // Whether one can be asked is looked at without the lock: it is somebody else's business.
        candidates.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        candidates.into_iter().find(|(_, ask)| ask.can(question))
    }

    /// A question that may be about these calls has its answer: their clocks run again.
    pub(in crate::connection) fn answered(&self, calls: &[u64]) {
        let mut waiting = lock(&self.waiting);
        for call in calls {
            if let Some(pending) = waiting.get_mut(call) {
                pending.asked = pending.asked.saturating_sub(1);
                pending.touched = Instant::now();
            }
        }
    }
}
