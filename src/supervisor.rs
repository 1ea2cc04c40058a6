//! Keeps one unit as it should be: started, watched, brought back, stopped. It knows no MCP.

mod mailbox;
mod policy;
mod renewal;
mod run;
mod state;
#[cfg(test)]
mod tests;

use std::{future::Future, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use mailbox::{Command, Mailbox};
pub(crate) use policy::Policy;
pub(crate) use renewal::{Next, Renewal};
pub(crate) use state::{Reason, State, Status};

use crate::{error::Result, shutdown::Grace};

/// Something that can be started again and again.
pub(crate) trait Unit: Send + 'static {
    /// What a start gives.
    type Live: Live;

    /// Starts it. When `cancel` is cancelled it gives up at once, and leaves nothing behind when it returns.
    fn start(&mut self, cancel: CancellationToken) -> impl Future<Output = Result<Self::Live>> + Send;

    /// Whether what kept it from starting does so no longer; nothing when only a start can tell. Cancel safe.
    fn is_mended(&mut self, error: &crate::Error) -> impl Future<Output = Option<bool>> + Send;
}

/// One started instance; the supervisor's task is its only owner.
pub(crate) trait Live: Send + 'static {
    /// What others see of it: without power over its life.
    type Face: Clone + Send + Sync + 'static;

    /// The face of it.
    fn face(&self) -> Self::Face;

    /// What happens to it next. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Event> + Send;

    /// Tells whoever waits for something of it that it has ended by itself, and what becomes of it.
    fn let_down(&self, _error: &crate::Error) {}

    /// Ends it: gently, then by force when `grace` is over. Nothing of it is left when this returns.
    fn stop(self, grace: Grace) -> impl Future<Output = ()> + Send;
}

/// What happens to a live unit.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its face shows something else.
    Changed,
    /// Nobody uses it, and it takes no more work: it is to be ended until somebody does.
    Unused,
    /// It ended by itself.
    Ended(crate::Error),
}

/// How a unit begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With a start.
    Start,
    /// Held until it is asked for.
    Held(Reason),
}

/// Asks things of a supervisor, and sees its state. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Handle<F> {
    mailbox: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<Status<F>>,
    end: End,
}

impl<F> Clone for Handle<F> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), status: self.status.clone(), end: self.end.clone() }
    }
}

/// How a supervisor is made to leave: when, and with how much grace for the unit.
#[derive(Debug, Clone)]
pub(crate) struct End {
    token: CancellationToken,
    grace: watch::Sender<Duration>,
}

impl End {
    fn new() -> Self {
        Self { token: CancellationToken::new(), grace: watch::Sender::new(GRACE) }
    }

    fn grace(&self) -> Duration {
        *self.grace.borrow()
    }
}

/// What a unit gets to leave in order, unless somebody is in a hurry.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// [`supervise_known`], for a unit of which nothing is known.
pub(crate) fn supervise<U: Unit>(
    unit: U,
    policy: Policy,
    begin: Begin,
) -> (Handle<<U::Live as Live>::Face>, impl Future<Output = ()> + Send) {
    supervise_known(unit, policy, begin, None)
}

/// A supervisor for a unit, which shows what is known of it before it is up. The caller owns the task in which the future runs; it ends after [`Handle::end`].
pub(crate) fn supervise_known<U: Unit>(
    unit: U,
    policy: Policy,
    begin: Begin,
    known: Option<<U::Live as Live>::Face>,
) -> (Handle<<U::Live as Live>::Face>, impl Future<Output = ()> + Send) {
    let (mailbox, commands) = mpsc::unbounded_channel();
    let state = match begin {
        Begin::Start => State::Idle,
        Begin::Held(reason) => State::Held(reason),
    };
    let (publisher, status) = watch::channel(Status { known, ..Status::new(state) });
    let end = End::new();
    let commands = Mailbox::new(commands);
    let (renewed, begun, refusals) = (false, false, 0);
    let end_ = end.clone();
    let run =
        run::run(run::Supervisor { unit, policy, commands, publisher, end: end_, renewed, begun, refusals }, begin);
    (Handle { mailbox, status, end }, run)
}

impl<F: Clone> Handle<F> {
    /// The state as it is now.
    pub(crate) fn status(&self) -> watch::Ref<'_, Status<F>> {
        self.status.borrow()
    }

    /// The state as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Status<F>> {
        self.status.clone()
    }

    /// Closes what is there and starts anew; returns when the start has succeeded or failed.
    pub(crate) async fn restart(&self) {
        self.ask(Command::Restart).await;
    }

    /// [`restart`](Self::restart) without waiting for it.
    pub(crate) fn begin(&self) {
        drop(self.send(Command::Restart));
    }

    /// Starts what should be up and is not, and what is to be up when it is used; returns when that has succeeded or failed.
    pub(crate) async fn ensure(&self) {
        self.ask(Command::Ensure).await;
    }

    /// Closes it and keeps it closed; returns when nothing of it is left.
    pub(crate) async fn stop(&self) {
        self.ask(Command::Stop).await;
    }

    /// Ends what is there and goes by what the unit is made of now. What was asked is on its way when this returns; the
    /// future is ready when a start that it led to has succeeded or failed.
    pub(crate) fn renew(&self, renewal: Renewal) -> impl Future<Output = ()> + use<F> {
        self.send(|done| Command::Renew(renewal, done))
    }

    /// Whether the supervisor has left.
    pub(crate) fn is_over(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Makes the supervisor leave, with `grace` for the unit. Its task ends when nothing of the unit is left.
    ///
    /// Who asks again can only shorten the grace.
    pub(crate) fn end(&self, grace: Duration) {
        let asked = self.end.token.is_cancelled();
        self.end.grace.send_modify(|current| *current = if asked { grace.min(*current) } else { grace });
        self.end.token.cancel();
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        self.send(command).await;
    }

    fn send<C: FnOnce(oneshot::Sender<()>) -> Command>(&self, command: C) -> impl Future<Output = ()> + use<F, C> {
        let (done, answer) = oneshot::channel();
        let sent = self.mailbox.send(command(done));
        async move {
            if sent.is_ok() {
                // A supervisor that left took the unit with it: what was asked has happened in its way.
                let _ = answer.await;
            }
        }
    }
}
