//! Starting, stopping, adding, removing.

use std::{
    future::Future,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::{OptionFuture, join, join_all, join3};
use tokio::runtime::Handle as Runtime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{
    AddOptions, Computer, EntryHealth, Event, Run, Started,
    board::{Board, Owner, Slot, Supervised},
    health, programs, words,
};
use crate::{
    config::EntryConfig,
    entry::{Entry, Recipe},
    environment,
    error::{Error, Result},
    name::Namespace,
    process,
    source::Face,
    supervisor::{self, GRACE, Handle, State, Status},
};

/// How long programs that outlive their entry may take to leave when they are asked to.
const KEPT: Duration = Duration::from_secs(2);

impl Computer {
    /// Connects every entry that is not deferred, all at once, and returns when each has connected or failed.
    ///
    /// What failed is tried again by itself. On a started Computer it does nothing.
    ///
    /// # Errors
    /// [`AllFailed`](Error::AllFailed) when there was something to connect and nothing could be. The Computer counts
    /// as started all the same.
    pub async fn start(&self) -> Result<Started> {
        if !self.begin() {
            return Ok(Started::default());
        }
        process::runs::swept().await;
        join(self.settled(), self.programs_settled()).await;
        self.inner.board.publish();
        let mut wanted = 0;
        let mut errors = Vec::new();
        for (namespace, handle) in self.handles() {
            let status = handle.status();
            if status.is_wanted() {
                wanted += 1;
                errors.extend(status.error().map(|error| format!("{namespace}: {error}")));
            }
        }
        let all_failed = wanted > 0 && errors.len() == wanted;
        let programs = self.programs_health().into_iter();
        errors.extend(programs.filter_map(|program| Some(format!("{}: {}", program.name, program.failure()?))));
        if all_failed { Err(Error::AllFailed(errors)) } else { Ok(Started { errors }) }
    }

    /// Begins to connect every entry that is not deferred, without waiting. False when it was started before.
    pub fn begin(&self) -> bool {
        {
            let mut run = self.inner.run.lock().unwrap_or_else(PoisonError::into_inner);
            if run.is_some() {
                return false;
            }
            process::runs::keep_in(environment::state_home());
            let stop = CancellationToken::new();
            let guard = Arc::new(stop.clone().drop_guard());
            *run = Some(Run {
                tasks: TaskTracker::new(),
                programs: TaskTracker::new(),
                stop,
                begun: Instant::now(),
                runtime: Runtime::current(),
                _guard: guard,
                _hold: Arc::new(process::runs::Hold::new()),
            });
        }
        if let Some(run) = self.run() {
            let board = self.inner.board.clone();
            run.tasks.spawn(run.stop.clone().run_until_cancelled_owned(async move { board.publish_changes().await }));
            // What an earlier run has left goes now, not when there is first something to be started.
            run.tasks.spawn(run.stop.clone().run_until_cancelled_owned(process::runs::swept()));
        }
        self.watch_sleep();
        // First, so that entries know for whom they may have to wait.
        if let Some(run) = self.run() {
            self.drive_programs(&run);
        }
        for namespace in self.inner.board.namespaces() {
            self.supervise(&namespace);
        }
        self.inner.board.publish();
        true
    }

    /// Returns when each entry that should be up has connected, or failed at its first try.
    pub(crate) async fn settled(&self) {
        join_all(self.handles().into_iter().map(|(_, handle)| settled(handle))).await;
    }

    /// [`settled`](Self::settled), waiting no longer than `limit`; the registry is up to date afterwards.
    pub(crate) async fn settled_within(&self, limit: Duration) {
        if !limit.is_zero() {
            let _ = tokio::time::timeout(limit, self.settled()).await;
            self.inner.board.publish();
        }
    }

    /// [`settled_within`](Self::settled_within) for one entry.
    pub(crate) async fn entry_settled_within(&self, namespace: &Namespace, limit: Duration) {
        if let Some(handle) = self.inner.board.handle(namespace.as_str()).filter(|_| !limit.is_zero()) {
            let _ = tokio::time::timeout(limit, settled(handle)).await;
            self.inner.board.publish();
        }
    }

    /// Does something for as long as the Computer runs; nothing when it does not.
    pub(crate) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(run) = self.run() {
            run.tasks.spawn_on(run.stop.clone().run_until_cancelled_owned(work), &run.runtime);
        }
    }

    /// Lets an entry leave that is off the board already.
    pub(super) fn let_leave(&self, handle: &Handle<Face>) {
        handle.end(GRACE);
        let mut leaving = self.inner.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|handle| !handle.is_over());
        leaving.push(handle.clone());
    }

    /// Closes all connections and ends all that was started. Returns when the processes are gone.
    ///
    /// Afterwards it can be started again.
    pub async fn stop(&self) {
        self.stop_within(GRACE).await;
    }

    /// [`stop`](Self::stop), with less time for the entries to leave in order.
    pub async fn stop_within(&self, grace: Duration) {
        let Some((run, live)) = self.take_run() else {
            let ending = self.inner.ending.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for tasks in ending.into_iter().flatten() {
                tasks.wait().await;
            }
            return;
        };
        for live in &live {
            live.handle.end(grace);
        }
        let leaving = std::mem::take(&mut *self.inner.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in &leaving {
            handle.end(grace);
        }
        run.stop.cancel();
        run.tasks.wait().await;
        // They are there for the entries, and leave after them.
        self.end_programs(programs::grace_after(grace));
        run.programs.wait().await;
        self.inner.board.keeper.end(grace.min(KEPT)).await;
        // A login shell that was being asked for its environment is on its way to its end.
        process::captures_ended().await;
        self.inner.board.publish();
    }

    /// The current run with its supervisors, which are over from now on.
    fn take_run(&self) -> Option<(Run, Vec<Supervised>)> {
        let mut ending = self.inner.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.inner.run.lock().unwrap_or_else(PoisonError::into_inner);
        let run = current.take()?;
        // Under the same lock as what puts them there: none is missed, and none of the next run is taken.
        let live = self.inner.board.take_live();
        run.tasks.close();
        run.programs.close();
        *ending = Some([run.tasks.clone(), run.programs.clone()]);
        Some((run, live))
    }

    /// Adds an entry, and connects it unless it is deferred or the Computer does not run.
    ///
    /// That it cannot be connected is no error: it is there, with the message in its health, and is tried again.
    ///
    /// # Errors
    /// [`InvalidNamespace`](Error::InvalidNamespace) and [`NamespaceTaken`](Error::NamespaceTaken).
    pub async fn add_entry(&self, namespace: &str, entry: impl Into<EntryConfig>, options: AddOptions) -> Result<()> {
        let namespace: Namespace = namespace.parse()?;
        let mut entry = entry.into();
        entry.deferred |= options.deferred;
        if let Some(handle) = self.put(&namespace, entry)? {
            settled(handle).await;
            self.inner.board.publish();
        }
        Ok(())
    }

    /// Puts an entry on the board, with its supervisor when the Computer runs: nobody gets to see it without.
    fn put(&self, namespace: &Namespace, entry: EntryConfig) -> Result<Option<Handle<Face>>> {
        let board = &self.inner.board;
        let current = self.inner.run.lock().unwrap_or_else(PoisonError::into_inner);
        board.change(|slots| {
            if slots.by_name.contains_key(namespace) {
                return Err(Error::NamespaceTaken(namespace.to_string()));
            }
            let recipe = board.make_recipe(&slots.ground, namespace, entry);
            slots.put(recipe, Owner::Hand);
            board.tell(Event::EntryAdded { namespace: namespace.to_string() });
            let driven = current.as_ref().zip(slots.by_name.get_mut(namespace));
            Ok(driven.map(|(run, slot)| drive(board, run, slot)))
        })
    }

    /// Closes an entry and forgets it. Nothing happens when there is none of that name.
    pub async fn remove_entry(&self, namespace: &str) {
        let Some(Slot { live, .. }) = self.inner.board.unregister(namespace) else { return };
        self.inner.board.publish();
        if let Some(Supervised { handle, task }) = live {
            self.let_leave(&handle);
            // A supervisor that panicked has dropped its unit, which kills it.
            let _ = task.await;
        }
        self.inner.board.tell(Event::EntryRemoved { namespace: namespace.to_owned() });
    }

    /// Closes what is there and connects anew; brings up what is deferred, stopped or failed. Returns its health.
    ///
    /// # Errors
    /// [`UnknownNamespace`](Error::UnknownNamespace), and [`NotReady`](Error::NotReady) before `start` and for an entry
    /// that the configuration disables. That it cannot be connected is told by its health.
    pub async fn restart_entry(&self, namespace: &str) -> Result<EntryHealth> {
        let handle = self.driven(namespace)?;
        handle.restart().await;
        self.inner.board.publish();
        // It may have been removed meanwhile.
        self.known(namespace)?;
        Ok(health::one(&self.inner.board, namespace))
    }

    /// Closes an entry and keeps it closed until it is restarted. Returns when nothing of it is left.
    ///
    /// # Errors
    /// [`UnknownNamespace`](Error::UnknownNamespace).
    pub async fn stop_entry(&self, namespace: &str) -> Result<()> {
        let handle = self.driven(namespace)?;
        handle.stop().await;
        self.inner.board.publish();
        Ok(())
    }

    /// How an entry is, without asking it for a sign of life.
    ///
    /// # Errors
    /// [`UnknownNamespace`](Error::UnknownNamespace).
    pub fn entry_health(&self, namespace: &str) -> Result<EntryHealth> {
        self.known(namespace)?;
        self.inner.board.publish();
        Ok(health::one(&self.inner.board, namespace))
    }

    /// Whether there is an entry of that name.
    pub fn has_entry(&self, namespace: &str) -> bool {
        self.inner.board.recipe(namespace).is_some()
    }

    /// The namespaces of all entries, in the order in which they were given.
    pub fn entries(&self) -> Vec<String> {
        self.inner.board.namespaces().iter().map(ToString::to_string).collect()
    }

    /// Everybody who drives an entry.
    pub(super) fn handles(&self) -> Vec<(Namespace, Handle<Face>)> {
        let board = &self.inner.board;
        board.namespaces().into_iter().filter_map(|name| Some((name.clone(), board.handle(name.as_str())?))).collect()
    }

    /// What drives an entry that may be driven.
    fn driven(&self, namespace: &str) -> Result<Handle<Face>> {
        let recipe = self.known(namespace)?;
        let not_ready = |state: &str, reason: &str, cure: Option<&str>| Error::NotReady {
            namespace: namespace.to_owned(),
            state: state.to_owned(),
            reason: Some(reason.to_owned()),
            cure: cure.map(ToOwned::to_owned),
        };
        if recipe.config.disabled {
            let cure = "take `disabled` out of its configuration to use it";
            return Err(not_ready("disabled", words::DISABLED, Some(cure)));
        }
        self.inner.board.handle(namespace).ok_or_else(|| not_ready("idle", words::NOT_STARTED, None))
    }

    fn known(&self, namespace: &str) -> Result<Arc<Recipe>> {
        let unknown = || Error::UnknownNamespace { name: namespace.to_owned(), known: self.entries() };
        self.inner.board.recipe(namespace).ok_or_else(unknown)
    }

    /// Puts a supervisor over an entry; false when the Computer does not run.
    pub(super) fn supervise(&self, namespace: &Namespace) -> bool {
        let board = &self.inner.board;
        let current = self.inner.run.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(run) = current.as_ref() else { return false };
        board.slot(namespace.as_str(), |slot| drive(board, run, slot)).is_some()
    }
}

/// Puts a supervisor over an entry that has none.
fn drive(board: &Arc<Board>, run: &Run, slot: &mut Slot) -> Handle<Face> {
    if let Some(live) = &slot.live {
        return live.handle.clone();
    }
    let (begin, known) = board.beginning(slot);
    let namespace = slot.recipe.namespace.clone();
    let unit = Entry::new(slot.basis.clone(), known.is_some());
    let (handle, supervised) = supervisor::supervise_known(unit, slot.recipe.policy(), begin, known);
    let following = follow(board.clone(), namespace.clone(), handle.clone());
    let remembering: OptionFuture<_> =
        board.memory.get().map(|memory| memory.clone().follow(slot.basis.clone(), handle.clone())).into();
    let (stop, leaving) = (run.stop.clone(), handle.clone());
    // At the highest level, so that whatever is logged at all says which entry it is about.
    let span = tracing::error_span!("entry", %namespace);
    let work = async move {
        let deserted = async {
            // Nobody holds the Computer any more; after a `stop` this is told already and changes nothing.
            stop.cancelled().await;
            leaving.end(GRACE);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = join3(supervised, following, remembering) => {}
            () = deserted => {}
        }
    };
    let task = run.tasks.spawn(work.instrument(span));
    slot.live = Some(Supervised { handle: handle.clone(), task });
    handle
}

/// Tells of each change of an entry's state, and says it in the log.
async fn follow(board: Arc<Board>, namespace: Namespace, handle: Handle<Face>) {
    let mut watch = handle.watch();
    // Its own handle must not keep the supervisor's mailbox open.
    drop(handle);
    let mut last: (&str, Option<String>) = ("", None);
    while watch.changed().await.is_ok() {
        let (state, tools, error, is_over) = {
            let status = watch.borrow_and_update();
            let tools = status.ready().map(|face| face.tools().tools.len());
            let is_over = matches!(status.state, State::Idle);
            (words::state_name(&status.state), tools, words::reason(&status), is_over)
        };
        // What is off the board, or has a successor there, was removed: that is told by whoever removed it.
        // One that is up may cease to give signs of life, and begin again.
        let differs = state != last.0 || (tools.is_some() && error != last.1);
        if differs && (!is_over || board.is_at_rest(&namespace)) {
            say(state, error.as_deref());
            board.tell(Event::StateChanged { namespace: namespace.to_string(), state, tools, error: error.clone() });
        }
        last = (state, error);
        board.mark_dirty();
    }
}

/// A line in the log, in the words that health has.
fn say(state: &str, error: Option<&str>) {
    // On one line: what a server said last must not pass for a record of its own.
    let error = error.map(|error| error.replace('\n', " | "));
    let error = error.as_deref();
    match state {
        "waiting" | "failed" | "needsAuth" | "needsInput" => tracing::warn!(state, error, "an entry is down"),
        "ready" if error.is_some() => tracing::warn!(state, error, "an entry gives no sign of life"),
        _ => tracing::info!(state, error, "an entry is in another state"),
    }
}

/// Returns when an entry is up, has failed, or is not to be up.
pub(super) async fn settled<F: Clone>(handle: Handle<F>) {
    let mut watch = handle.watch();
    let _ = watch.wait_for(Status::is_settled).await;
}
