//! Who is there: the entries with their handles, and the registry that is published from them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use super::{
    Event, event_channel,
    relay::{Levels, Tasks},
};
use crate::{
    config::{ComputerConfig, EntryConfig, ToolFilter, Unattended},
    connection::Subscribed,
    entry::{Recipe, Withheld},
    name::Namespace,
    registry::{Member, Registry, Rules},
    source::{Face, Notice, Notices},
    supervisor::Handle,
};

/// The entries, and the tools that they show.
pub(crate) struct Board {
    rules: Rules,
    workspace: PathBuf,
    may_run_commands: bool,
    withheld: Withheld,
    unattended: Unattended,
    notices: Notices,
    pub(super) levels: Levels,
    tasks: Tasks,
    slots: Mutex<Slots>,
    registry: watch::Sender<Arc<Registry>>,
    /// Counts the registries that differed from the one before.
    generation: watch::Sender<u64>,
    events: broadcast::Sender<Event>,
    dirty: Notify,
    /// Held while a registry is built and published: an older one must not come last.
    publishing: Mutex<()>,
}

#[derive(Default)]
struct Slots {
    by_name: BTreeMap<Namespace, Slot>,
    /// The order in which they were registered, which is the order in which people see them.
    order: Vec<Namespace>,
}

/// A registered entry.
pub(super) struct Slot {
    pub(super) recipe: Arc<Recipe>,
    pub(super) filter: Arc<ToolFilter>,
    pub(super) deferred: bool,
    /// Its supervisor, while the Computer runs.
    pub(super) live: Option<Supervised>,
}

/// A running supervisor.
pub(super) struct Supervised {
    pub(super) handle: Handle<Face>,
    pub(super) task: JoinHandle<()>,
}

/// How many notices of servers a slow listener may lag behind before it loses some.
const NOTICES: usize = 1024;

/// Changes that come together are published together.
const COALESCE: Duration = Duration::from_millis(50);

impl Board {
    pub(super) fn new(rules: Rules, workspace: PathBuf, config: &ComputerConfig) -> Self {
        Self {
            rules,
            workspace,
            may_run_commands: config.may_run_commands,
            withheld: Withheld::default(),
            unattended: config.serve.unattended,
            notices: broadcast::Sender::new(NOTICES),
            levels: Levels::default(),
            tasks: Tasks::default(),
            slots: Mutex::default(),
            registry: watch::Sender::new(Arc::new(Registry::empty())),
            generation: watch::Sender::new(0),
            events: event_channel(),
            dirty: Notify::new(),
            publishing: Mutex::default(),
        }
    }

    /// Puts an entry on the board; false when the namespace is taken.
    pub(super) fn register(&self, namespace: Namespace, config: EntryConfig) -> bool {
        let mut slots = self.slots();
        if slots.by_name.contains_key(&namespace) {
            return false;
        }
        self.withheld.add(&config);
        let subscribed = Subscribed::default();
        if let Some(level) = self.levels.told() {
            subscribed.set_level(level);
        }
        let recipe = Recipe {
            withheld: self.withheld.clone(),
            notices: self.notices.clone(),
            subscribed,
            unattended: self.unattended,
            namespace: namespace.clone(),
            workspace: self.workspace.clone(),
            may_run_commands: self.may_run_commands,
            config,
        };
        let slot = Slot {
            filter: Arc::new(recipe.config.tools.clone()),
            deferred: recipe.config.deferred,
            recipe: Arc::new(recipe),
            live: None,
        };
        slots.order.push(namespace.clone());
        slots.by_name.insert(namespace, slot);
        true
    }

    /// Takes an entry off the board.
    pub(super) fn unregister(&self, namespace: &str) -> Option<Slot> {
        let mut slots = self.slots();
        slots.order.retain(|known| known.as_str() != namespace);
        slots.by_name.remove(namespace)
    }

    /// Takes every running supervisor off the board.
    pub(super) fn take_live(&self) -> Vec<Supervised> {
        self.slots().by_name.values_mut().filter_map(|slot| slot.live.take()).collect()
    }

    /// Looks at an entry, or changes it. `use_it` must not take long: everybody waits.
    pub(super) fn slot<T>(&self, namespace: &str, use_it: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.slots().by_name.get_mut(namespace).map(use_it)
    }

    /// The namespaces in the order in which they were registered.
    pub(crate) fn namespaces(&self) -> Vec<Namespace> {
        self.slots().order.clone()
    }

    /// What drives an entry, while the Computer runs.
    pub(crate) fn handle(&self, namespace: &str) -> Option<Handle<Face>> {
        self.slot(namespace, |slot| slot.live.as_ref().map(|live| live.handle.clone())).flatten()
    }

    /// The recipe of an entry.
    pub(crate) fn recipe(&self, namespace: &str) -> Option<Arc<Recipe>> {
        self.slot(namespace, |slot| slot.recipe.clone())
    }

    /// The tools as they are now.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.borrow().clone()
    }

    /// The registry as it is published.
    pub(crate) fn watch_registry(&self) -> watch::Receiver<Arc<Registry>> {
        self.registry.subscribe()
    }

    /// Counts up with each change of the tools.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Which entry a task belongs to.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What servers say without being asked, from now on.
    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Notes that an entry has changed; the publisher looks at it soon.
    pub(super) fn mark_dirty(&self) {
        self.dirty.notify_one();
    }

    /// Publishes what changed, until it is cancelled.
    pub(super) async fn publish_changes(&self) {
        loop {
            self.dirty.notified().await;
            tokio::time::sleep(COALESCE).await;
            self.publish();
        }
    }

    /// Publishes the registry as it is now, if it differs.
    pub(super) fn publish(&self) {
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let members: Vec<Member> = {
            let slots = self.slots();
            slots.order.iter().filter_map(|namespace| slots.by_name.get(namespace)).filter_map(Slot::member).collect()
        };
        let registry = Arc::new(Registry::of(&members, self.rules));
        let mut changed = false;
        self.registry.send_modify(|current| {
            changed = !current.shows_the_same_as(&registry);
            // The handles may be others even when the tools are the same.
            *current = registry.clone();
        });
        if changed {
            self.generation.send_modify(|generation| *generation += 1);
            self.tell(Event::ToolsChanged { tools: registry.own().listed().len() });
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn member(&self) -> Option<Member> {
        let live = self.live.as_ref()?;
        Some(Member {
            namespace: self.recipe.namespace.clone(),
            handle: live.handle.clone(),
            filter: self.filter.clone(),
            agent_control: self.recipe.config.agent_control,
        })
    }
}
