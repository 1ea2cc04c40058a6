//! Who is there: the entries with their handles, and the registry that is published from them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use super::{
    Event, event_channel,
    memory::Memory,
    relay::{Levels, Tasks},
};
use crate::{
    config::{ComputerConfig, EntryConfig, ToolFilter, Unattended},
    connection::Subscribed,
    entry::{Basis, Recipe, Said},
    environment,
    fill::{Programs, Surroundings, Withheld},
    name::Namespace,
    process::Keeper,
    registry::{Member, Registry, Rules},
    source::{Face, Listener, Notices},
    supervisor::{Handle, Policy},
};

/// The entries, and the tools that they show.
pub(crate) struct Board {
    withheld: Withheld,
    /// How the managed programs stand.
    programs: Programs,
    /// Who has the programs that outlive their entries.
    pub(super) keeper: Keeper,
    /// Where is kept what entries list.
    pub(super) memory: OnceLock<Arc<Memory>>,
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
    publishing: Mutex<Told>,
}

/// What was announced.
struct Told {
    registry: Arc<Registry>,
    /// How many want nothing to be announced until they are done.
    quiet: usize,
}

/// While it is there, changes of the tools hold but are not announced; afterwards they are, all at once.
pub(super) struct Quiet<'a>(&'a Board);

/// The entries, and what holds for all of them.
pub(super) struct Slots {
    pub(super) by_name: BTreeMap<Namespace, Slot>,
    /// The order in which they were registered, which is the order in which people see them.
    pub(super) order: Vec<Namespace>,
    pub(super) ground: Ground,
}

/// What a configuration says of no entry in particular.
pub(super) struct Ground {
    rules: Rules,
    workspace: PathBuf,
    may_run_commands: bool,
    unattended: Unattended,
}

/// Who wants an entry to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The configuration.
    Config,
    /// Whoever added it while the Computer was there.
    Hand,
}

/// A registered entry.
pub(super) struct Slot {
    pub(super) owner: Owner,
    pub(super) recipe: Arc<Recipe>,
    /// The same recipe, as the entry finds it at its next start.
    pub(super) basis: Basis,
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

/// Changes that come together are published together.
const COALESCE: Duration = Duration::from_millis(50);

impl Board {
    pub(super) fn new(config: &ComputerConfig) -> Self {
        let nothing = Arc::new(Registry::empty());
        let slots = Slots { by_name: BTreeMap::new(), order: Vec::new(), ground: Ground::of(config) };
        Self {
            withheld: Withheld::default(),
            programs: Programs::default(),
            keeper: Keeper::default(),
            memory: OnceLock::new(),
            notices: Notices::default(),
            levels: Levels::default(),
            tasks: Tasks::default(),
            slots: Mutex::new(slots),
            registry: watch::Sender::new(nothing.clone()),
            generation: watch::Sender::new(0),
            events: event_channel(),
            dirty: Notify::new(),
            publishing: Mutex::new(Told { registry: nothing, quiet: 0 }),
        }
    }

    /// Puts an entry on the board; false when the namespace is taken.
    pub(super) fn register(&self, namespace: &Namespace, config: EntryConfig, owner: Owner) -> bool {
        self.change(|slots| {
            let free = !slots.by_name.contains_key(namespace);
            if free {
                slots.put(self.make_recipe(&slots.ground, namespace, config), owner);
            }
            free
        })
    }

    /// The recipe of an entry, as it is made now.
    pub(super) fn make_recipe(&self, ground: &Ground, namespace: &Namespace, config: EntryConfig) -> Recipe {
        self.withheld.add(config.kind.texts());
        let subscribed = Subscribed::default();
        if let Some(level) = self.levels.told() {
            subscribed.set_level(level);
        }
        Recipe {
            around: self.around_of(ground),
            keeper: self.keeper.clone(),
            notices: self.notices.clone(),
            subscribed,
            unattended: ground.unattended,
            said: Said::default(),
            namespace: namespace.clone(),
            config,
        }
    }

    fn around_of(&self, ground: &Ground) -> Surroundings {
        Surroundings {
            workspace: ground.workspace.clone(),
            may_run_commands: ground.may_run_commands,
            withheld: self.withheld.clone(),
            programs: self.programs.clone(),
        }
    }

    /// What the references of a recipe that is made now are looked up in.
    pub(super) fn around(&self) -> Surroundings {
        self.around_of(&self.slots().ground)
    }

    /// How the managed programs stand.
    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Whether somebody refers to a browser, and nobody who does is to be up until it is asked for.
    pub(super) fn only_deferred_refer_to(&self, browser: &str) -> bool {
        let slots = self.slots();
        let mut who = slots.by_name.values().filter(|slot| slot.refers_to(browser)).peekable();
        let is_later =
            |slot: &Slot| slot.deferred || slot.recipe.config.disabled || slot.recipe.config.kind.demand().lazy;
        who.peek().is_some() && who.all(is_later)
    }

    /// The running entries that refer to a browser.
    pub(super) fn who_refers_to(&self, browser: &str) -> Vec<(Basis, Handle<Face>, Policy)> {
        let slots = self.slots();
        let who = slots.by_name.values().filter(|slot| slot.refers_to(browser));
        who.filter_map(|slot| Some((slot.basis.clone(), slot.live.as_ref()?.handle.clone(), slot.recipe.policy())))
            .collect()
    }

    /// Changes who is there, at one blow for whoever looks. `change` must not take long: everybody waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Slots) -> T) -> T {
        change(&mut self.slots())
    }

    /// From now on, changes of the tools are not announced until what is returned is dropped.
    pub(super) fn quiet(&self) -> Quiet<'_> {
        self.told().quiet += 1;
        Quiet(self)
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

    /// Whether an entry is there that nobody drives.
    pub(super) fn is_at_rest(&self, namespace: &Namespace) -> bool {
        self.slot(namespace.as_str(), |slot| slot.live.is_none()).unwrap_or(false)
    }

    /// The recipe of an entry.
    pub(crate) fn recipe(&self, namespace: &str) -> Option<Arc<Recipe>> {
        self.slot(namespace, |slot| slot.recipe.clone())
    }

    /// The tools as they are now.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.borrow().clone()
    }

    /// The rules by which the registry is built.
    pub(crate) fn rules(&self) -> Rules {
        self.slots().ground.rules
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
    pub(crate) fn notices(&self) -> Listener {
        self.notices.listen()
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
        let mut told = self.told();
        let (members, rules): (Vec<Member>, Rules) = {
            let slots = self.slots();
            let present = slots.order.iter().filter_map(|namespace| slots.by_name.get(namespace));
            (present.filter_map(Slot::member).collect(), slots.ground.rules)
        };
        let registry = Arc::new(Registry::of(&members, rules));
        // The handles may be others even when the tools are the same. Whoever watches is not woken while it is quiet.
        self.registry.send_if_modified(|published| {
            *published = registry.clone();
            told.quiet == 0
        });
        if told.quiet > 0 {
            return;
        }
        let before = std::mem::replace(&mut told.registry, registry.clone());
        if !before.shows_the_same_as(&registry) {
            self.generation.send_modify(|generation| *generation += 1);
            self.tell(Event::ToolsChanged { tools: registry.own().tools() });
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.told().quiet -= 1;
        self.0.publish();
    }
}

impl Ground {
    pub(super) fn of(config: &ComputerConfig) -> Self {
        Self {
            rules: Rules {
                status_tools: config.status_tools,
                profile: config.schema_profile,
                name_limit: config.name_limit,
                front_limit: config.serve.name_limit,
            },
            workspace: config.workspace.clone().unwrap_or_else(environment::current_dir),
            may_run_commands: config.may_run_commands,
            unattended: config.serve.unattended,
        }
    }
}

impl Slots {
    /// Lets an entry that was added by hand belong to the configuration, if that says the same of it.
    pub(super) fn adopt(&mut self, namespace: &Namespace, config: &EntryConfig) -> bool {
        let same = self.by_name.get_mut(namespace).filter(|slot| slot.recipe.config == *config);
        same.is_some_and(|slot| {
            slot.owner = Owner::Config;
            true
        })
    }

    /// Puts an entry there that is not there yet.
    pub(super) fn put(&mut self, recipe: Recipe, owner: Owner) {
        let recipe = Arc::new(recipe);
        let slot = Slot {
            owner,
            filter: Arc::new(recipe.config.tools.clone()),
            deferred: recipe.config.deferred,
            basis: Basis::new(recipe.clone()),
            recipe: recipe.clone(),
            live: None,
        };
        self.order.push(recipe.namespace.clone());
        self.by_name.insert(recipe.namespace.clone(), slot);
    }
}

impl Slot {
    /// Goes by another recipe from the next start on, and is shown by it at once.
    pub(super) fn follow(&mut self, recipe: Recipe) {
        // What clients want to hear of it they want to hear of its successor.
        let (subscribed, said) = (self.recipe.subscribed.clone(), self.recipe.said.clone());
        let recipe = Arc::new(Recipe { subscribed, said, ..recipe });
        self.filter = Arc::new(recipe.config.tools.clone());
        self.deferred = recipe.config.deferred;
        self.basis.replace(recipe.clone());
        self.recipe = recipe;
    }

    fn refers_to(&self, browser: &str) -> bool {
        self.recipe.config.kind.browsers().iter().any(|name| name == browser)
    }

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
