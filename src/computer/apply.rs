//! Another configuration for a Computer that is there: what differs is changed, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, join, join_all};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    Computer, Event,
    board::{Ground, Owner, Slot, Slots, Supervised},
    control, programs,
};
use crate::{
    config::ComputerConfig,
    entry::Recipe,
    name::Namespace,
    supervisor::{Next, Reason, Renewal, State},
};

/// What applying a configuration changed, by namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Entries that are new.
    pub added: Vec<String>,
    /// Entries that are gone.
    pub removed: Vec<String>,
    /// Entries of which it says something else, or refers to another value.
    pub changed: Vec<String>,
    /// Entries that are as they were.
    pub unchanged: Vec<String>,
    /// Managed programs that are new, gone, or are started in another way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// Namespaces of it that an entry has which was added by hand: that one stays, and the configuration's waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<String>,
}

impl Applied {
    /// Whether no entry is another one than before.
    pub fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && self.programs.is_empty()
    }
}

/// How long a change is kept to ourselves while entries start: clients that listed before would list for each of them.
const TOGETHER: Duration = Duration::from_secs(5);

impl Computer {
    /// Goes by another configuration from now on, changing only what differs.
    ///
    /// Entries of which it says the same are not touched: their processes, sessions and counters stay. What it names no
    /// more is ended, what is new is begun, and what would be started in another way is ended and started anew; its
    /// tools stay listed meanwhile, new calls wait for it, and calls under way fail. The same holds when a value has changed that an entry refers to (`${env:…}`,
    /// `${file:…}`; what `${cmd:…}` prints is not asked for). What only concerns how an entry is shown (`tools`,
    /// `description`, `diagnostics`, `agentControl`, the rules for names and schemas) restarts nothing.
    ///
    /// Entries that were added by hand stay, and so do entries that were stopped or removed by hand: a stopped one is
    /// started as the configuration says then when somebody restarts it, and a removed one comes back when the
    /// configuration says something else of it. One that becomes `deferred` or `disabled` is closed; one that is no
    /// longer is brought up.
    ///
    /// Clients are told once that the tools have changed. This returns when what was removed is gone and each entry
    /// that was begun is up or has failed, after 5 s at the latest for the latter; what takes longer comes up in the
    /// background. Cancel safe: once the change has begun it is made whole, only the waiting is cut short.
    pub async fn apply(&self, config: ComputerConfig) -> Applied {
        let board = &self.inner.board;
        let (quiet, switch, added) = {
            let _turn = self.inner.applying.acquire().await;
            let moved = self.moved().await;
            let quiet = board.quiet();
            let switch = self.switch(config, &moved);
            let added: Vec<_> = switch.added.iter().filter(|name| self.supervise(name)).collect();
            let added: Vec<_> = added.into_iter().filter_map(|name| board.handle(name.as_str())).collect();
            (quiet, switch, added)
        };
        let Switch { applied, removed, renewed, programs, .. } = switch;
        self.tell(&applied);
        let begun = async {
            let _ = timeout(TOGETHER, join(join_all(renewed), join_all(added.into_iter().map(control::settled)))).await;
            drop(quiet);
        };
        // A supervisor that panicked has dropped its unit, which kills it.
        join(begun, join_all(removed.into_iter().map(|removed| removed.task))).await;
        // After the entries that used them.
        programs.carried_out().await;
        applied
    }

    /// The entries that refer to values which are others now.
    async fn moved(&self) -> BTreeSet<Namespace> {
        let bases = self.inner.board.change(|slots| {
            let given = slots.by_name.iter().filter(|(_, slot)| slot.owner == Owner::Config);
            given.map(|(name, slot)| (name.clone(), slot.basis.clone())).collect::<Vec<_>>()
        });
        let looked = bases.into_iter().map(|(name, basis)| async move { basis.has_moved().await.then_some(name) });
        join_all(looked).await.into_iter().flatten().collect()
    }

    /// Changes who is there, at one blow.
    fn switch(&self, config: ComputerConfig, moved: &BTreeSet<Namespace>) -> Switch {
        let config = Arc::new(config);
        let before = {
            let mut settings = self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner);
            mem::replace(&mut *settings, config.clone())
        };
        let board = &self.inner.board;
        // First, so that entries that refer to a new one wait for it.
        let programs = self.change_programs(&config, &before);
        let mut switch = board.change(|slots| {
            slots.ground = Ground::of(&config);
            let mut switch = Switch::default();
            switch.remove(slots, &config);
            for (namespace, entry) in &config.entries {
                let known = before.entries.iter().find(|(name, _)| name == namespace).map(|(_, entry)| entry);
                match slots.by_name.get(namespace).map(|slot| slot.owner) {
                    // What was added by hand and is written down by now.
                    Some(Owner::Hand) if slots.adopt(namespace, entry) => {
                        switch.applied.unchanged.push(namespace.to_string());
                    }
                    Some(Owner::Hand) => switch.applied.taken.push(namespace.to_string()),
                    Some(Owner::Config) => {
                        let recipe = board.make_recipe(&slots.ground, namespace, entry.clone());
                        switch.change(slots, recipe, moved.contains(namespace));
                    }
                    // It was removed by hand.
                    None if known == Some(entry) => {}
                    None => {
                        slots.put(board.make_recipe(&slots.ground, namespace, entry.clone()), Owner::Config);
                        switch.applied.added.push(namespace.to_string());
                        switch.added.push(namespace.clone());
                    }
                }
            }
            put_in_order(slots, &config);
            switch
        });
        for removed in &switch.removed {
            self.let_leave(&removed.handle);
        }
        switch.applied.programs = programs.names();
        switch.programs = programs;
        switch
    }

    fn tell(&self, applied: &Applied) {
        let Applied { added, removed, changed, unchanged: _, programs, taken } = applied;
        for namespace in added {
            self.inner.board.tell(Event::EntryAdded { namespace: namespace.clone() });
        }
        for namespace in removed {
            self.inner.board.tell(Event::EntryRemoved { namespace: namespace.clone() });
        }
        if !taken.is_empty() {
            tracing::warn!(?taken, "entries that were added by hand have names of the configuration's, and stay");
        }
        tracing::info!(?added, ?removed, ?changed, ?programs, "another configuration holds");
        let (added, removed, changed) = (added.clone(), removed.clone(), changed.clone());
        self.inner.board.tell(Event::ConfigApplied { added, removed, changed });
    }
}

/// What a change of the configuration does.
#[derive(Default)]
struct Switch {
    applied: Applied,
    added: Vec<Namespace>,
    removed: Vec<Supervised>,
    /// The entries that are started anew or held; each is ready when that has happened.
    renewed: Vec<BoxFuture<'static, ()>>,
    programs: programs::Change,
}

impl Switch {
    /// Takes what the configuration names no more off the board.
    fn remove(&mut self, slots: &mut Slots, config: &ComputerConfig) {
        let named: BTreeSet<&Namespace> = config.entries.iter().map(|(namespace, _)| namespace).collect();
        let all = mem::take(&mut slots.by_name);
        let (stay, go): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(name, slot)| slot.owner == Owner::Hand || named.contains(name));
        slots.by_name = stay;
        for (namespace, slot) in go {
            self.applied.removed.push(namespace.to_string());
            self.removed.extend(slot.live);
        }
    }

    /// Lets an entry go by the recipe, if it is another one or its values have moved.
    fn change(&mut self, slots: &mut Slots, recipe: Recipe, moved: bool) {
        let Some(slot) = slots.by_name.get_mut(&recipe.namespace) else { return };
        let namespace = recipe.namespace.to_string();
        // What nobody uses looks at its values when somebody does.
        let is_unused = slot.live.as_ref().is_some_and(|live| live.handle.status().is_unused());
        let starts_otherwise = (moved && !is_unused) || !recipe.starts_the_same_as(&slot.recipe);
        if !starts_otherwise && recipe.config == slot.recipe.config {
            // What holds for all entries may be something else for its next start.
            slot.follow(recipe);
            self.applied.unchanged.push(namespace);
            return;
        }
        self.applied.changed.push(namespace);
        let before = Wanted::of(slot);
        slot.follow(recipe);
        let now = Wanted::of(slot);
        let Some(live) = &slot.live else { return };
        let is_held = matches!(live.handle.status().state, State::Held(_));
        let next = match (before, now) {
            (Wanted::Deferred, Wanted::Deferred) | (Wanted::Up, Wanted::Up) => starts_otherwise.then_some(Next::Again),
            (Wanted::Disabled, Wanted::Disabled) => None,
            (_, Wanted::Disabled) => Some(Next::Held(Reason::Disabled)),
            (_, Wanted::Deferred) => Some(Next::Held(Reason::Deferred)),
            // One that was brought up before is where it should be.
            (_, Wanted::Up) => (starts_otherwise || is_held).then_some(Next::Up),
        };
        if let Some(next) = next {
            let renewal = Renewal { policy: slot.recipe.policy(), next };
            self.renewed.push(Box::pin(live.handle.renew(renewal)));
        }
    }
}

/// What a configuration wants an entry to be.
#[derive(Clone, Copy)]
enum Wanted {
    Up,
    Deferred,
    Disabled,
}

impl Wanted {
    fn of(slot: &Slot) -> Self {
        match (slot.recipe.config.disabled, slot.deferred) {
            (true, _) => Self::Disabled,
            (false, true) => Self::Deferred,
            (false, false) => Self::Up,
        }
    }
}

/// The order of the configuration, and then what was added by hand.
fn put_in_order(slots: &mut Slots, config: &ComputerConfig) {
    let mut order = mem::take(&mut slots.order);
    order.retain(|name| slots.by_name.get(name).is_some_and(|slot| slot.owner == Owner::Hand));
    let given = config.entries.iter().map(|(name, _)| name);
    let given = given.filter(|name| slots.by_name.get(*name).is_some_and(|slot| slot.owner == Owner::Config));
    slots.order = given.cloned().chain(order).collect();
}
