//! The managed programs: started before the entries that use them, kept, and stopped after them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};
use tracing::Instrument;

use super::{Board, Computer, Event, Run, board::Owner, control::settled, health::ProgramHealth, words};
use crate::{
    config::{ComputerConfig, check_program_name, program_name},
    error::Result,
    fill::{Standing, Teller},
    managed::{About, Basis, Face, Given, Kind, ManagedProcess, Program, Recipe},
    records::EntryLog,
    supervisor::{self, Begin, Handle, Next, Reason, Renewal, State, Status},
};

/// What programs get to leave in order, once the entries have gone.
const GRACE: Duration = Duration::from_secs(3);

/// The same when the entries get so much: who is in a hurry with them is in a hurry with programs too.
pub(super) fn grace_after(entries: Duration) -> Duration {
    if entries < supervisor::GRACE { entries * 2 / 5 } else { GRACE }
}

/// The programs, in the order in which they were given.
#[derive(Default)]
pub(super) struct Programs(Mutex<Vec<Slot>>);

/// A program that is to be kept.
struct Slot {
    name: String,
    owner: Owner,
    recipe: Arc<Recipe>,
    basis: Basis,
    /// What runs already, until its supervisor takes it over.
    given: Option<Given>,
    /// Its supervisor, while the Computer runs.
    live: Option<Supervised>,
}

/// A running supervisor.
struct Supervised {
    handle: Handle<Face>,
    task: JoinHandle<()>,
}

/// What a change of the configuration does to the programs.
#[derive(Default)]
pub(super) struct Change {
    names: Vec<String>,
    leaving: Vec<Supervised>,
}

impl Computer {
    /// Has a program kept that runs already: it ends with the Computer, after the entries.
    ///
    /// A Chrome that is called `chrome` is what `${chrome.port}` stands for in entries, one that is called
    /// `chromes.work` what `${chromes.work.port}` does; it is launched again when it dies. A [child] of the caller's is
    /// not. Before [`start`](Self::start) it is only held.
    ///
    /// # Errors
    /// [`ProgramName`](crate::Error::ProgramName): the name is in use, or is none. The program is killed then.
    ///
    /// [child]: ManagedProcess::child
    pub fn managed(&self, name: &str, process: impl Into<ManagedProcess>) -> Result<()> {
        let given = process.into().0;
        let kind = given.kind();
        check_program_name(name, kind.is_browser())?;
        let current = self.inner.run.lock().unwrap_or_else(PoisonError::into_inner);
        let board = &self.inner.board;
        let recipe = Recipe { name: name.to_owned(), kind, around: board.around(), log: board.book().program(name) };
        let mut slots = self.inner.programs.slots();
        if slots.iter().any(|slot| slot.name == name) {
            return Err(program_name(name, "a program has that name already"));
        }
        let mut slot = Slot::new(recipe, Owner::Hand);
        slot.given = Some(given);
        if let Some(run) = current.as_ref() {
            slot.drive(board, run);
        }
        slots.push(slot);
        Ok(())
    }

    /// Ends a managed program and starts it anew; one that was never needed is started. Returns when it is ready or has
    /// failed.
    ///
    /// # Errors
    /// [`ProgramName`](crate::Error::ProgramName): there is none of that name, or the Computer does not run.
    pub async fn restart_program(&self, name: &str) -> Result<ProgramHealth> {
        let handle = self.inner.programs.slots().iter().find(|slot| slot.name == name).map(Slot::handle);
        match handle {
            Some(Some(handle)) => handle.restart().await,
            Some(None) => return Err(program_name(name, "the Computer does not run; start it first")),
            None => return Err(program_name(name, "there is none of that name")),
        }
        let health = self.programs_health().into_iter().find(|health| health.name == name);
        health.ok_or_else(|| program_name(name, "it was removed meanwhile"))
    }

    /// Puts a supervisor over each program that has none.
    pub(super) fn drive_programs(&self, run: &Run) {
        for slot in self.inner.programs.slots().iter_mut() {
            slot.drive(&self.inner.board, run);
        }
    }

    /// What each of the programs is started from.
    pub(super) fn program_recipes(&self) -> Vec<Arc<Recipe>> {
        self.inner.programs.slots().iter().map(|slot| slot.recipe.clone()).collect()
    }

    /// How the programs are.
    pub(super) fn programs_health(&self) -> Vec<ProgramHealth> {
        self.inner.programs.slots().iter().map(Slot::health).collect()
    }

    /// Returns when each program has come up, or failed to at its first try, or waits to be needed.
    pub(super) async fn programs_settled(&self) {
        let handles: Vec<_> = self.inner.programs.slots().iter().filter_map(Slot::handle).collect();
        futures_util::future::join_all(handles.into_iter().map(settled)).await;
    }

    /// Tries programs that should be up and are not; the names of those that are up now, and of those that are not.
    pub(super) async fn bring_programs_up(&self) -> (Vec<String>, Vec<String>) {
        let down: Vec<_> = {
            let slots = self.inner.programs.slots();
            let handles = slots.iter().filter_map(|slot| Some((slot.name.clone(), slot.handle()?)));
            handles.filter(|(_, handle)| handle.status().is_wanted() && handle.status().ready().is_none()).collect()
        };
        let tried = down.into_iter().map(|(name, handle)| async move {
            handle.ensure().await;
            (name, handle.status().ready().is_some())
        });
        let tried = futures_util::future::join_all(tried).await;
        let (up, down): (Vec<_>, Vec<_>) = tried.into_iter().partition(|(_, up)| *up);
        let names = |list: Vec<(String, bool)>| list.into_iter().map(|(name, _)| name).collect();
        (names(up), names(down))
    }

    /// Changes which programs are there, as the configuration says from now on.
    pub(super) fn change_programs(&self, config: &ComputerConfig, before: &ComputerConfig) -> Change {
        let (board, run) = (&self.inner.board, self.inner.run.lock().unwrap_or_else(PoisonError::into_inner));
        let mut change = Change::default();
        let mut slots = self.inner.programs.slots();
        let (stay, go): (Vec<Slot>, Vec<Slot>) = std::mem::take(&mut *slots)
            .into_iter()
            .partition(|slot| slot.owner == Owner::Hand || config.programs.iter().any(|(name, _)| *name == slot.name));
        *slots = stay;
        for slot in go {
            board.programs().forget(&slot.name);
            change.names.push(slot.name);
            change.leaving.extend(slot.live);
        }
        for (name, written) in &config.programs {
            let kind = Kind::Written(written.clone());
            let (around, log) = (board.around(), board.book().program(name));
            let recipe = Recipe { name: name.clone(), kind, around, log };
            match slots.iter_mut().find(|slot| slot.name == *name) {
                Some(slot) if slot.owner == Owner::Hand => {
                    tracing::warn!(
                        name,
                        "a program that was given by hand has a name of the configuration's, and stays"
                    );
                }
                Some(slot) => {
                    if !recipe.starts_the_same_as(&slot.recipe) {
                        slot.follow(recipe);
                        change.names.push(name.clone());
                    }
                }
                None if before.programs.iter().any(|(known, same)| known == name && same == written) => {}
                None => {
                    let mut slot = Slot::new(recipe, Owner::Config);
                    if let Some(run) = run.as_ref() {
                        slot.drive(board, run);
                    }
                    slots.push(slot);
                    change.names.push(name.clone());
                }
            }
        }
        change
    }

    /// Makes every program leave, and returns what drives them.
    pub(super) fn end_programs(&self, grace: Duration) {
        for slot in self.inner.programs.slots().iter_mut() {
            if let Some(live) = slot.live.take() {
                live.handle.end(grace);
            }
        }
    }
}

impl Change {
    /// The programs that are new, gone, or are started in another way.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Lets go of what is there no more. Returns when nothing of it is left.
    pub(super) async fn carried_out(self) {
        for leaving in &self.leaving {
            leaving.handle.end(GRACE);
        }
        // A supervisor that panicked has dropped its unit, which kills it.
        futures_util::future::join_all(self.leaving.into_iter().map(|leaving| leaving.task)).await;
    }
}

impl Programs {
    pub(super) fn new(board: &Board, config: &ComputerConfig) -> Self {
        let slots = config.programs.iter().map(|(name, written)| {
            let kind = Kind::Written(written.clone());
            let (around, log) = (board.around(), board.book().program(name));
            let recipe = Recipe { name: name.clone(), kind, around, log };
            Slot::new(recipe, Owner::Config)
        });
        Self(Mutex::new(slots.collect()))
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(recipe: Recipe, owner: Owner) -> Self {
        if let Kind::Written(written) = &recipe.kind {
            recipe.around.withheld.add(written.texts());
        }
        let recipe = Arc::new(recipe);
        Self { name: recipe.name.clone(), owner, basis: Basis::new(recipe.clone()), recipe, given: None, live: None }
    }

    fn handle(&self) -> Option<Handle<Face>> {
        self.live.as_ref().map(|live| live.handle.clone())
    }

    /// Goes by another recipe from now on.
    fn follow(&mut self, recipe: Recipe) {
        let recipe = Arc::new(recipe);
        self.basis.replace(recipe.clone());
        self.recipe = recipe;
        if let Some(live) = &self.live {
            // What comes of it is told by its state.
            drop(live.handle.renew(Renewal { policy: self.recipe.policy(), next: Next::Again }));
        }
    }

    /// Puts a supervisor over the program if it has none.
    fn drive(&mut self, board: &Arc<Board>, run: &Run) {
        if self.live.is_some() {
            return;
        }
        let waits = self.given.is_none() && self.recipe.kind.is_browser() && board.only_deferred_refer_to(&self.name);
        let (begin, standing) =
            if waits { (Begin::Held(Reason::Deferred), Standing::Held) } else { (Begin::Start, Standing::Coming) };
        let teller = board.programs().announce(&self.name, standing);
        let unit = Program::new(self.basis.clone(), self.given.take());
        let (handle, supervised) = supervisor::supervise(unit, self.recipe.policy(), begin);
        let log = self.recipe.log.clone();
        let following = follow(board.clone(), (self.name.clone(), log), (handle.clone(), teller));
        let (stop, entries, leaving) = (run.stop.clone(), run.tasks.clone(), handle.clone());
        let span = tracing::error_span!("program", name = self.name);
        let work = async move {
            let deserted = async {
                // Nobody holds the Computer any more: the entries go first. After a `stop` this is told already.
                stop.cancelled().await;
                entries.close();
                let _ = timeout(supervisor::GRACE, entries.wait()).await;
                leaving.end(GRACE);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                _ = futures_util::future::join(supervised, following) => {}
                () = deserted => {}
            }
        };
        let task = run.programs.spawn_on(work.instrument(span), &run.runtime);
        self.live = Some(Supervised { handle, task });
    }

    fn health(&self) -> ProgramHealth {
        let mut health = ProgramHealth::new(&self.name, self.recipe.kind.name());
        if let Some(live) = &self.live {
            health.fill(&live.handle.status());
        }
        health
    }
}

/// Tells of each change of a program's state: those who use it, and whoever listens.
async fn follow(board: Arc<Board>, (name, log): (String, EntryLog), (handle, teller): (Handle<Face>, Teller)) {
    let mut watch = handle.watch();
    let Teller { standing, needed } = teller;
    // Its own handle must not keep the supervisor's mailbox open, but by way of what it is needed for.
    let mut starter = Some(handle);
    let mut last: (&str, Option<String>) = ("", None);
    let mut pid = None;
    loop {
        tokio::select! {
            changed = watch.changed() => if changed.is_err() { return },
            () = needed.notified(), if starter.is_some() => {
                let held = starter.take().filter(|handle| matches!(handle.status().state, State::Held(_)));
                held.iter().for_each(Handle::begin);
                continue;
            }
        }
        let (now, state, error, port) = {
            let status = watch.borrow_and_update();
            let port = status.ready().and_then(|face| face.endpoint.as_ref()).map(|endpoint| endpoint.port);
            if !matches!(status.state, State::Held(_)) {
                starter = None;
            }
            let face = status.ready().cloned();
            note(&log, (&mut pid, face.as_deref()), status.last_error.as_ref());
            (stands(&status), words::state_name(&status.state), words::reason_of_program(&status), port)
        };
        let differs = standing.send_if_modified(|before| {
            let differs = *before != now;
            before.clone_from(&now);
            differs
        });
        if (state, &error) != (last.0, &last.1) {
            say(state, error.as_deref());
            let why = error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            log.event("info", &format!("{state}{}", why.replace('\n', " | ")));
            board.tell(Event::ProgramChanged { name: name.clone(), state, port, error: error.clone() });
        }
        last = (state, error);
        if differs && matches!(now, Standing::Up(_)) {
            restart_those_who_knew_another(&board, &name).await;
        }
    }
}

/// Notes that the process of a program was started, and that it has ended.
fn note(log: &EntryLog, (pid, face): (&mut Option<u32>, Option<&About>), error: Option<&crate::Error>) {
    let now = face.map(|about| about.pid);
    if *pid == now {
        return;
    }
    if let Some(gone) = std::mem::replace(pid, now) {
        let how = match error {
            Some(crate::Error::ProgramEnded { how, .. }) if face.is_none() => how.clone(),
            _ => "has ended".to_owned(),
        };
        log.exited(gone, &how);
    }
    if let Some(about) = face {
        log.spawned(about.pid, about.command.as_deref().unwrap_or("a program"));
    }
}

/// How a program stands, for those who use it. One that was up and is being brought back is waited for.
fn stands(status: &Status<Face>) -> Standing {
    match &status.state {
        State::Ready(face) => Standing::Up(face.endpoint.clone()),
        State::Starting { .. } | State::Waiting { .. } if status.was_up => Standing::Returning,
        State::Starting { .. } if status.last_error.is_some() => Standing::Returning,
        State::Starting { .. } => Standing::Coming,
        State::Waiting { error, .. } | State::Failed(error) => Standing::Down(error.to_string()),
        State::Held(Reason::Deferred) => Standing::Held,
        State::Idle | State::Stopped | State::Held(_) => Standing::Down("it was stopped".to_owned()),
    }
}

/// Entries that were started with another address of a browser, or could not be without one, are started anew.
async fn restart_those_who_knew_another(board: &Board, name: &str) {
    for (basis, handle, policy) in board.who_refers_to(name) {
        if !handle.status().is_unused() && basis.has_moved().await {
            // What comes of it is told by the entry's state.
            drop(handle.renew(Renewal { policy, next: Next::Again }));
        }
    }
}

fn say(state: &str, error: Option<&str>) {
    // On one line: what a program said last must not pass for a record of its own.
    let error = error.map(|error| error.replace('\n', " | "));
    let error = error.as_deref();
    match state {
        "waiting" | "failed" | "needsInput" => tracing::warn!(state, error, "a program is down"),
        _ => tracing::info!(state, error, "a program is in another state"),
    }
}
