//! What becomes of a unit whose recipe is another one.

use super::{
    Policy, Reason, State, Unit,
    mailbox::Done,
    run::{Step, Supervisor, answer},
};

/// What holds for a unit from now on.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    pub(crate) policy: Policy,
    pub(crate) next: Next,
}

/// What becomes of it. One that was stopped by hand stays so, unless it is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// What should be up is started anew; what is held by choice stays so.
    Again,
    /// Started anew, even if it was held.
    Up,
    /// Closed and held.
    Held(Reason),
}

/// What one that is up shows while it is being ended for it.
impl<F> From<Next> for State<F> {
    fn from(next: Next) -> Self {
        match next {
            Next::Again | Next::Up => Self::Starting { attempt: 1 },
            Next::Held(reason) => Self::Held(reason),
        }
    }
}

impl<U: Unit> Supervisor<U> {
    /// Goes by the new recipe. What was there has ended.
    pub(super) async fn renew(&mut self, renewal: Renewal, done: Vec<Done>) -> Step<U::Live> {
        self.policy = renewal.policy;
        let (stopped, wanted) = {
            let status = self.publisher.borrow();
            (matches!(status.state, State::Stopped), status.is_wanted())
        };
        let starts = match renewal.next {
            Next::Again => wanted,
            Next::Up => !stopped,
            Next::Held(_) => false,
        };
        if starts {
            // What kept the older recipe from being up says nothing of this one.
            self.publisher.send_modify(|status| status.is_failing = false);
            self.refusals = 0;
            // What it showed is shown until it is known whether the new one comes up.
            self.renewed = true;
            return Step::Start { failures: 0, done };
        }
        if let Next::Held(reason) = renewal.next
            && (!stopped || reason == Reason::Disabled)
        {
            self.show(State::Held(reason)).await;
        }
        answer(done);
        Step::Rest { until: None, failures: 0 }
    }
}
