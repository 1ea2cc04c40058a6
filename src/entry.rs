//! An entry as a unit: from its recipe to what stands behind its namespace.

mod basis;
mod gate;
mod http;
mod shell;
mod stdio;

use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use basis::Basis;
use gate::{Gate, Usage};
use tokio_util::sync::CancellationToken;

use crate::{
    command::Prepared,
    config::{EntryConfig, EntryKind, Unattended},
    connection::Subscribed,
    error::{Error, Result},
    fill::Surroundings,
    name::Namespace,
    process::{Keeper, Tail},
    shell::Shell,
    shutdown::Grace,
    source::{Face, Notices, Turns},
    supervisor::{Event, Live, Policy, Unit},
};

/// What an entry is started from, and what was learnt from earlier starts.
pub(crate) struct Entry {
    basis: Basis,
    recipe: Arc<Recipe>,
    learnt: stdio::Learnt,
    reached: http::Learnt,
    /// Whether the next start only has to tell what it has.
    learns: bool,
    /// Those who wait for their turn do so over the entry's ends and beginnings.
    turns: Option<Turns>,
}

/// What an entry is started from.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) namespace: Namespace,
    pub(crate) config: EntryConfig,
    /// What its references are looked up in.
    pub(crate) around: Surroundings,
    /// Who gets the programs that outlive it.
    pub(crate) keeper: Keeper,
    /// Where goes what the server says without being asked.
    pub(crate) notices: Notices,
    /// The resources that somebody wants to hear of.
    pub(crate) subscribed: Subscribed,
    /// What happens to its questions when nobody is there to be asked.
    pub(crate) unattended: Unattended,
    /// What its server says on stderr.
    pub(crate) said: Said,
}

/// What the server of an entry that was started last said on stderr, while it runs and afterwards. Cheap to clone: all
/// clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said(Arc<RwLock<Option<Tail>>>);

impl Said {
    /// From now on it is about another server.
    fn by(&self, tail: &Tail) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(tail.clone());
    }

    /// The last lines, if there are any.
    pub(crate) fn last_lines(&self) -> Option<String> {
        let tail = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        tail.map(|tail| tail.last_lines()).filter(|lines| !lines.is_empty())
    }
}

impl Entry {
    /// `is_known` says whether it is known what it has.
    pub(crate) fn new(basis: Basis, is_known: bool) -> Self {
        let recipe = basis.recipe();
        let learns = !is_known && recipe.config.kind.demand().lazy;
        let (learnt, reached) = (stdio::Learnt::default(), http::Learnt::default());
        Self { basis, recipe, learnt, reached, learns, turns: None }
    }

    /// Waits for what was started to be used: managed programs that are on their way, and browsers that it refers to.
    async fn wait_for_programs(&self) {
        self.basis.begin_start();
        let recipe = self.basis.recipe();
        recipe.around.programs.all_settled().await;
        recipe.around.browsers_settled(recipe.config.kind.texts()).await;
    }

    /// Goes by the recipe that holds now.
    async fn take_recipe(&mut self) {
        let recipe = self.basis.for_a_start().await;
        if !recipe.starts_the_same_as(&self.recipe) {
            (self.learnt, self.reached) = (stdio::Learnt::default(), http::Learnt::default());
            self.learns = recipe.config.kind.demand().lazy;
        }
        self.recipe = recipe;
    }

    /// Puts the gate before an entry that is up, where its configuration wants one.
    fn guarded(&mut self, server: Server) -> Running {
        let demand = self.recipe.config.kind.demand();
        self.turns = demand.max_concurrent.map(|limit| match self.turns.take() {
            Some(turns) => {
                turns.allow(limit);
                turns
            }
            None => Turns::new(limit),
        });
        let learns = std::mem::take(&mut self.learns);
        let is_watched = learns || demand.idle_stop.is_some();
        let usage = is_watched.then(|| Usage::new(demand.idle_stop, learns, self.recipe.subscribed.clone()));
        let face = Gate::before(server.face(), (usage.clone(), self.turns.clone()));
        Running { server, face, usage }
    }
}

impl Recipe {
    /// When the entry is tried again.
    pub(crate) fn policy(&self) -> Policy {
        match &self.config.kind {
            EntryKind::Stdio(config) => {
                Policy { restart: config.restart == crate::config::Restart::Always, ..Policy::default() }
            }
            EntryKind::Http(config) => {
                Policy { restart: config.restart == crate::config::Restart::Always, ..Policy::elsewhere() }
            }
            EntryKind::Shell(_) => Policy::default(),
        }
    }

    /// Whether what would be started, or reached, is the same. How it is shown does not count.
    pub(crate) fn starts_the_same_as(&self, other: &Self) -> bool {
        self.config.kind == other.config.kind && self.around.mean_the_same_as(&other.around)
    }

    /// What a start would run or reach, without starting anything but `${cmd:…}` references.
    pub(crate) async fn resolve(&self) -> Result<Plan> {
        let around = self.around.as_written();
        match &self.config.kind {
            EntryKind::Stdio(config) => stdio::resolve(&around, config).await.map(Box::new).map(Plan::Runs),
            EntryKind::Http(config) => http::resolve(&around, config).await.map(Plan::Reaches),
            EntryKind::Shell(_) => Ok(Plan::Nothing),
        }
    }
}

/// What a start would do.
pub(crate) enum Plan {
    Runs(Box<Prepared>),
    /// The URL, secrets masked.
    Reaches(String),
    Nothing,
}

impl Unit for Entry {
    type Live = Running;

    async fn start(&mut self, cancel: CancellationToken) -> Result<Running> {
        let ready = async {
            self.wait_for_programs().await;
            self.take_recipe().await;
        };
        cancel.run_until_cancelled(ready).await.ok_or(Error::Cancelled)?;
        let server = match &self.recipe.config.kind {
            EntryKind::Stdio(config) => {
                stdio::start(&self.recipe, config, &mut self.learnt, cancel).await.map(Box::new).map(Server::Stdio)?
            }
            EntryKind::Http(config) => {
                http::start(&self.recipe, config, &mut self.reached, cancel).await.map(Box::new).map(Server::Http)?
            }
            EntryKind::Shell(config) => {
                let started = cancel.run_until_cancelled(shell::start(&self.recipe, config)).await;
                started.ok_or(Error::Cancelled)?.map(Server::Shell)?
            }
        };
        Ok(self.guarded(server))
    }

    async fn is_mended(&mut self, error: &Error) -> Option<bool> {
        match (&self.recipe.config.kind, error) {
            (EntryKind::Stdio(config), Error::CommandNotFound { .. }) => stdio::finds(&self.recipe, config).await,
            _ => None,
        }
    }
}

/// An entry that is up.
pub(crate) struct Running {
    server: Server,
    face: Face,
    /// Whether it is of use, where it ends when it is not.
    usage: Option<Arc<Usage>>,
}

/// What stands behind its namespace.
enum Server {
    Stdio(Box<stdio::Server>),
    Http(Box<http::Server>),
    Shell(Shell),
}

impl Server {
    fn face(&self) -> Face {
        match self {
            Self::Stdio(server) => server.face(),
            Self::Http(server) => server.face(),
            Self::Shell(shell) => shell.face(),
        }
    }

    /// What happens to it next. Cancel safe.
    async fn next(&mut self) -> Event {
        match self {
            Self::Stdio(server) => server.next().await,
            Self::Http(server) => server.next().await,
            // Nothing happens to what lives in our own process.
            Self::Shell(_) => std::future::pending().await,
        }
    }
}

impl Live for Running {
    type Face = Face;

    fn face(&self) -> Face {
        self.face.clone()
    }

    async fn next(&mut self) -> Event {
        let Some(usage) = &self.usage else { return self.server.next().await };
        tokio::select! {
            biased;
            event = self.server.next() => event,
            () = usage.over() => Event::Unused,
        }
    }

    fn let_down(&self, error: &Error) {
        match &self.server {
            Server::Stdio(server) => server.let_down(error),
            Server::Http(server) => server.let_down(error),
            Server::Shell(_) => {}
        }
    }

    async fn stop(self, grace: Grace) {
        match self.server {
            Server::Stdio(server) => server.stop(grace).await,
            Server::Http(server) => server.stop(grace).await,
            Server::Shell(shell) => shell.stop(grace).await,
        }
    }
}
