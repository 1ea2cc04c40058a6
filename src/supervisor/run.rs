//! The state machine.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Begin, Command, End, Event, GRACE, Live, Mailbox, Policy, Reason, Renewal, State, Status, Unit, mailbox::Done,
};
use crate::{
    error::{Error, Outlook, Result},
    shutdown::Grace,
};

type FaceOf<U> = <<U as Unit>::Live as Live>::Face;

pub(super) struct Supervisor<U: Unit> {
    pub(super) unit: U,
    pub(super) policy: Policy,
    pub(super) commands: Mailbox,
    pub(super) publisher: watch::Sender<Status<FaceOf<U>>>,
    pub(super) end: End,
    /// Whether what it showed last was made by an older recipe.
    pub(super) renewed: bool,
    /// Whether it was ever started.
    pub(super) begun: bool,
    /// How many times in a row it was refused for its credentials.
    pub(super) refusals: u32,
}

/// What was asked for during a start and is to be done after it.
#[derive(Default)]
struct Asked {
    restarts: Vec<Done>,
    renewal: Option<(Renewal, Done)>,
}

/// What the machine does next.
pub(super) enum Step<L> {
    Start {
        failures: u32,
        done: Vec<Done>,
    },
    Live {
        live: L,
        failures: u32,
    },
    /// Its recipe is another one.
    Renew {
        renewal: Renewal,
        done: Vec<Done>,
    },
    /// Down until the time, if there is one, or a command.
    Rest {
        until: Option<Instant>,
        failures: u32,
    },
    Leave,
}

/// What came of a start.
enum Started<L> {
    Up(L),
    Down(Error),
    Stopped(Vec<Done>),
    /// Taken back, because its recipe is another one.
    Outdated,
    Left,
}

pub(super) async fn run<U: Unit>(mut supervisor: Supervisor<U>, begin: Begin) {
    let mut step = match begin {
        Begin::Start => Step::Start { failures: 0, done: Vec::new() },
        Begin::Held(_) => Step::Rest { until: None, failures: 0 },
    };
    loop {
        step = match step {
            Step::Start { failures, done } => supervisor.start(failures, done).await,
            Step::Live { live, failures } => supervisor.live(live, failures).await,
            Step::Renew { renewal, done } => supervisor.renew(renewal, done).await,
            Step::Rest { until, failures } => supervisor.rest(until, failures).await,
            Step::Leave => break,
        };
    }
    supervisor.show(State::Idle).await;
}

impl<U: Unit> Supervisor<U> {
    async fn start(&mut self, failures: u32, mut done: Vec<Done>) -> Step<U::Live> {
        let again = std::mem::replace(&mut self.begun, true);
        // One that comes because it is used comes back from nothing.
        self.publisher.send_modify(|status| status.restarts += u32::from(again && !status.is_unused()));
        self.show(State::Starting { attempt: failures + 1 }).await;
        let mut asked = Asked::default();
        let step = match self.attempt(&mut done, &mut asked).await {
            Started::Up(live) => {
                (self.renewed, self.refusals) = (false, 0);
                self.show(State::Ready(live.face())).await;
                Step::Live { live, failures }
            }
            Started::Down(error) => {
                if std::mem::take(&mut self.renewed) {
                    self.publisher.send_modify(Status::forget);
                }
                self.fail(error, failures + 1).await
            }
            Started::Stopped(stopped) => {
                self.show(State::Stopped).await;
                answer(stopped);
                Step::Rest { until: None, failures: 0 }
            }
            // Whoever waits for this start waits for the one that replaces it.
            Started::Outdated => {
                asked.restarts.append(&mut done);
                Step::Rest { until: None, failures: 0 }
            }
            Started::Left => Step::Leave,
        };
        answer(done);
        let Asked { restarts: mut queued, renewal } = asked;
        if let Some((renewal, reply)) = renewal.filter(|_| !matches!(step, Step::Leave)) {
            queued.push(reply);
            return Step::Renew { renewal, done: queued };
        }
        if queued.is_empty() || matches!(step, Step::Leave) {
            return step;
        }
        // However many asked for a restart while this one ran: one more serves them all.
        if let Step::Live { live, .. } = step {
            self.stop_live(live, State::Starting { attempt: 1 }).await;
        }
        Step::Start { failures: 0, done: queued }
    }

    /// One start, during which commands are heard.
    async fn attempt(&mut self, done: &mut Vec<Done>, asked: &mut Asked) -> Started<U::Live> {
        let cancel = CancellationToken::new();
        let Self { unit, commands, end, .. } = self;
        let mut starting = pin!(caught(unit.start(cancel.clone())));
        let mut stopped: Vec<Done> = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = end.token.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
                // What comes after a renewal is about what comes after this start.
                command = commands.recv(), if !end.token.is_cancelled() && asked.renewal.is_none() => match command {
                    Some(Command::Restart(reply)) => asked.restarts.push(reply),
                    // The start under way is what it asks for.
                    Some(Command::Ensure(reply)) => done.push(reply),
                    Some(Command::Stop(reply)) => {
                        cancel.cancel();
                        // Whoever asked before is overtaken: the last word holds.
                        stopped.append(&mut asked.restarts);
                        stopped.push(reply);
                    }
                    Some(Command::Renew(renewal, reply)) => {
                        cancel.cancel();
                        asked.renewal = Some((renewal, reply));
                    }
                    None => end.token.cancel(),
                },
                outcome = &mut starting => return match outcome {
                    Ok(live) if end.token.is_cancelled() => {
                        live.stop(Grace::of(end.grace())).await;
                        Started::Left
                    }
                    Ok(live) if !stopped.is_empty() => {
                        end.stop(live, GRACE).await;
                        Started::Stopped(stopped)
                    }
                    Ok(live) if asked.renewal.is_some() => {
                        end.stop(live, GRACE).await;
                        Started::Outdated
                    }
                    Ok(live) => Started::Up(live),
                    Err(_) if end.token.is_cancelled() => Started::Left,
                    Err(_) if !stopped.is_empty() => Started::Stopped(stopped),
                    Err(_) if asked.renewal.is_some() => Started::Outdated,
                    Err(error) => Started::Down(error),
                },
            }
        }
    }

    async fn live(&mut self, mut live: U::Live, mut failures: u32) -> Step<U::Live> {
        let calm_at = Instant::now() + self.policy.calm;
        loop {
            tokio::select! {
                biased;
                () = self.end.token.cancelled() => {
                    self.show(State::Idle).await;
                    live.stop(Grace::of(self.end.grace())).await;
                    return Step::Leave;
                }
                command = self.commands.recv() => match command {
                    Some(Command::Restart(done)) => {
                        let done = self.commands.join(done);
                        self.stop_live(live, State::Starting { attempt: 1 }).await;
                        return Step::Start { failures: 0, done };
                    }
                    Some(Command::Ensure(done)) => answer(vec![done]),
                    Some(Command::Stop(done)) => {
                        self.stop_live(live, State::Stopped).await;
                        answer(vec![done]);
                        return Step::Rest { until: None, failures: 0 };
                    }
                    Some(Command::Renew(renewal, done)) => {
                        self.stop_live(live, renewal.next.into()).await;
                        return Step::Renew { renewal, done: vec![done] };
                    }
                    None => self.end.token.cancel(),
                },
                event = watched(live.next()) => match event {
                    Event::Changed => self.publisher.send_modify(|_| {}),
                    Event::Unused => {
                        self.stop_live(live, State::Held(Reason::Unused)).await;
                        return Step::Rest { until: None, failures: 0 };
                    }
                    Event::Ended(error) => {
                        let step = self.fail(error.clone(), failures + 1).await;
                        live.let_down(&error.with_outlook(self.outlook()));
                        // Members of the tree may still run when the leader has died.
                        live.stop(Grace::of(Duration::ZERO)).await;
                        return step;
                    }
                },
                () = sleep_until(calm_at), if failures > 0 => failures = 0,
            }
        }
    }

    async fn rest(&mut self, until: Option<Instant>, failures: u32) -> Step<U::Live> {
        let command = {
            let Self { unit, policy, commands, publisher, end, .. } = self;
            let kept_by = match &publisher.borrow().state {
                State::Failed(error) if error.is_permanent() && policy.restart => Some(error.clone()),
                _ => None,
            };
            tokio::select! {
                biased;
                () = end.token.cancelled() => return Step::Leave,
                command = commands.recv() => command,
                () = due(unit, until, policy, kept_by) => return Step::Start { failures, done: Vec::new() },
            }
        };
        match command {
            Some(Command::Restart(done)) => Step::Start { failures: 0, done: self.commands.join(done) },
            Some(Command::Ensure(done)) if self.publisher.borrow().is_wanted() => {
                Step::Start { failures, done: vec![done] }
            }
            Some(Command::Ensure(done)) => {
                answer(vec![done]);
                Step::Rest { until, failures }
            }
            Some(Command::Stop(done)) => {
                self.show(State::Stopped).await;
                answer(vec![done]);
                Step::Rest { until: None, failures: 0 }
            }
            Some(Command::Renew(renewal, done)) => Step::Renew { renewal, done: vec![done] },
            None => Step::Leave,
        }
    }

    /// Decides what follows a failure.
    async fn fail(&mut self, error: Error, failures: u32) -> Step<U::Live> {
        self.publisher.send_modify(|status| {
            status.last_error = Some(error.clone());
            status.is_failing = true;
        });
        self.refusals = if matches!(error, Error::NeedsAuth { .. }) { self.refusals.saturating_add(1) } else { 0 };
        if !self.policy.restart {
            self.show(State::Failed(error)).await;
            return Step::Rest { until: None, failures };
        }
        // What it needs may come to be there without anybody telling us: a file, a token that a helper prints.
        let held = match &error {
            Error::NeedsAuth { .. } => {
                let retry_at = Instant::now() + self.policy.delay_of_refusal(self.refusals);
                Some((Reason::NeedsAuth { retry_at }, retry_at))
            }
            Error::NeedsInput { .. } => Some((Reason::NeedsInput, Instant::now() + self.policy.rarely)),
            _ => None,
        };
        if let Some((reason, until)) = held {
            self.show(State::Held(reason)).await;
            return Step::Rest { until: Some(until), failures: 0 };
        }
        if error.is_permanent() || (self.policy.gives_up && failures >= self.policy.tries) {
            self.show(State::Failed(error)).await;
            return Step::Rest { until: Some(Instant::now() + self.policy.rarely), failures };
        }
        let retry_at = Instant::now() + self.policy.delay(failures);
        self.show(State::Waiting { attempt: failures, retry_at, error }).await;
        Step::Rest { until: Some(retry_at), failures }
    }

    /// What becomes of what has just ended.
    fn outlook(&self) -> Outlook {
        match &self.publisher.borrow().state {
            State::Waiting { retry_at, .. } => Outlook::Again(retry_at.saturating_duration_since(Instant::now())),
            State::Failed(_) if self.policy.restart => Outlook::Rarely(self.policy.rarely),
            State::Failed(_) => Outlook::Never,
            // The error itself says what is wanted.
            State::Idle | State::Starting { .. } | State::Ready(_) | State::Stopped | State::Held(_) => Outlook::Unsaid,
        }
    }

    /// Ends it, and shows at once what is to become of it, so that no call goes to what is about to leave.
    async fn stop_live(&mut self, live: U::Live, next: State<FaceOf<U>>) {
        self.show(next).await;
        self.end.stop(live, GRACE).await;
    }

    /// Passes into a state, and lets whoever follows see it before there is another one.
    pub(super) async fn show(&mut self, state: State<FaceOf<U>>) {
        self.publisher.send_modify(|status| status.pass_into(state));
        yield_now().await;
    }
}

/// Returns when it is time for the next start. What an error keeps from starting that will be there the next time too is
/// looked at meanwhile: it is started when that has gone, and not before if it can be told.
async fn due<U: Unit>(unit: &mut U, until: Option<Instant>, policy: &Policy, kept_by: Option<Error>) {
    let Some(until) = until else { return std::future::pending().await };
    let Some(error) = kept_by else { return sleep_until(until).await };
    loop {
        sleep(policy.longest).await;
        match unit.is_mended(&error).await {
            Some(true) => return,
            Some(false) => {}
            None => return sleep_until(until).await,
        }
    }
}

impl End {
    /// Ends a live unit; whoever makes the supervisor leave meanwhile shortens its grace.
    async fn stop<L: Live>(&self, live: L, grace: Duration) {
        let until = watch::Sender::new(Instant::now() + grace);
        let mut stopping = pin!(live.stop(Grace::until(&until)));
        tokio::select! {
            () = &mut stopping => return,
            () = self.token.cancelled() => {}
        }
        until.send_modify(|until| *until = (*until).min(Instant::now() + self.grace()));
        stopping.await;
    }
}

pub(super) fn answer(done: Vec<Done>) {
    for done in done {
        // Whoever asked may have gone.
        let _ = done.send(());
    }
}

/// A panic of the unit's own code is its failure, never the daemon's.
async fn caught<L>(start: impl Future<Output = Result<L>>) -> Result<L> {
    AssertUnwindSafe(start).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// The same while it lives.
async fn watched(next: impl Future<Output = Event>) -> Event {
    AssertUnwindSafe(next).catch_unwind().await.unwrap_or_else(|panic| Event::Ended(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Error::Panicked(words.unwrap_or_else(|| "a panic without words".to_owned()))
}
