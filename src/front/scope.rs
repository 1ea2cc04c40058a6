//! What a client is shown: everything behind its namespaces, or one entry as it is.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json, value::RawValue};

use super::kind::Kind;
use crate::{
    Computer, Namespace,
    computer::{Params, dispatch, relay::Way},
    error::Error,
    raw::RawObject,
    records::Subject,
    registry::{self, Listed, Registry, Shown, Target},
    source::{Answer, CALL_TOOL, Call, CallContext, Face, Listings, Waiting},
};

/// How many characters of a server's title are told.
const TITLE: usize = 80;

/// What a client is shown.
#[derive(Clone)]
pub(super) struct Scope {
    computer: Computer,
    /// The only entry, under its own names; all of them when it is not given.
    entry: Option<Namespace>,
}

impl Scope {
    pub(super) fn all(computer: &Computer) -> Self {
        Self { computer: computer.clone(), entry: None }
    }

    /// One entry alone; `None` when there is none of that name.
    pub(super) fn one(computer: &Computer, namespace: &str) -> Option<Self> {
        let namespace: Namespace = namespace.parse().ok()?;
        computer.has_entry(namespace.as_str()).then(|| Self { computer: computer.clone(), entry: Some(namespace) })
    }

    pub(super) fn computer(&self) -> &Computer {
        &self.computer
    }

    /// Whether it shows one entry alone, so that what we do not know goes there as it is.
    pub(super) fn is_one(&self) -> bool {
        self.entry.is_some()
    }

    /// Whether that entry is shown.
    pub(super) fn shows(&self, namespace: &Namespace) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry == namespace)
    }

    /// Waits until what should be up is up or has failed, `limit` at most.
    pub(super) async fn settled(&self, limit: Duration) {
        match &self.entry {
            None => self.computer.settled_within(limit).await,
            Some(namespace) => self.computer.entry_settled_within(namespace, limit).await,
        }
    }

    /// Waits until it is known what all that should be up has, or it has failed, `limit` at most.
    pub(super) async fn listed(&self, limit: Duration) {
        match &self.entry {
            None => self.computer.listed_within(limit).await,
            Some(namespace) => self.computer.entry_listed_within(namespace, limit).await,
        }
    }

    /// Whether something of it is being brought up for the first time or again.
    pub(super) fn is_unsettled(&self) -> bool {
        let board = self.computer.board();
        let shown = board.namespaces().into_iter().filter(|namespace| self.shows(namespace));
        let mut handles = shown.filter_map(|namespace| board.handle(namespace.as_str()));
        handles.any(|handle| !handle.status().is_settled())
    }

    /// Whether it is known whose resource that is.
    pub(super) fn owns(&self, uri: &str) -> bool {
        self.entry.is_some() || self.registry().shelf().owner(uri).is_some()
    }

    /// The definitions of all that it has of a kind.
    pub(super) fn definitions(&self, kind: Kind) -> Vec<Arc<RawValue>> {
        let registry = self.registry();
        let shown = |shown: &[Shown]| shown.iter().map(|shown| shown.definition.clone()).collect();
        match (&self.entry, kind) {
            (None, Kind::Tools) => registry.fronts().listed().iter().map(|tool| tool.definition.clone()).collect(),
            (None, Kind::Prompts) => shown(registry.shelf().prompts().shown()),
            (None, Kind::Resources) => shown(registry.shelf().resources().shown()),
            (None, Kind::Templates) => shown(registry.shelf().templates().shown()),
            (Some(namespace), Kind::Tools) => self.own_tools(&registry, namespace),
            (Some(_), kind) => self.own_listings(kind),
        }
    }

    /// The tools of the only entry as it has them, and its status tool where it offers one.
    fn own_tools(&self, registry: &Registry, namespace: &Namespace) -> Vec<Arc<RawValue>> {
        let status = registry.fronts().listed().iter();
        let status = status.filter(|tool| tool.route.target == Target::Status && tool.route.namespace == *namespace);
        let filter = self.filter(namespace);
        let face = self.face();
        let own = face.map(|face| face.tools());
        let own = own.iter().flat_map(|list| &list.tools).filter(|tool| registry::admits(&filter, &tool.name));
        own.map(|tool| tool.raw.clone()).chain(status.map(|tool| tool.definition.clone())).collect()
    }

    fn own_listings(&self, kind: Kind) -> Vec<Arc<RawValue>> {
        let listings: Arc<Listings> = self.face().map(|face| face.listings()).unwrap_or_default();
        let items = match kind {
            Kind::Tools => &[],
            Kind::Prompts => &listings.prompts[..],
            Kind::Resources => &listings.resources[..],
            Kind::Templates => &listings.templates[..],
        };
        items.iter().map(|item| item.raw.clone()).collect()
    }

    /// Tells what it has of a kind apart from what it had before, within this run of the program. Templates go with
    /// resources: one notification speaks of both.
    pub(super) fn version(&self, kind: Kind) -> u64 {
        if self.entry.is_none() {
            let registry = self.registry();
            return match kind {
                Kind::Tools => registry.fronts().fingerprint(),
                Kind::Prompts => registry.shelf().prompts().fingerprint(),
                Kind::Resources | Kind::Templates => {
                    let shelf = registry.shelf();
                    shelf.resources().fingerprint() ^ shelf.templates().fingerprint().rotate_left(1)
                }
            };
        }
        let mut hasher = DefaultHasher::new();
        let kinds: &[Kind] =
            if kind.capability() == "resources" { &[Kind::Resources, Kind::Templates] } else { &[kind] };
        for kind in kinds {
            self.definitions(*kind).iter().for_each(|definition| definition.get().hash(&mut hasher));
            kind.member().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What we can do for the client: for one entry what that can, for all whatever we can carry.
    pub(super) fn capabilities(&self, tasks: Option<Value>) -> Box<RawValue> {
        let known = self.entry.as_ref().and_then(|_| self.face()?.capabilities());
        if let Some(capabilities) = known {
            return capabilities.as_ref().to_owned();
        }
        let mut carried = json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "completions": {},
            "logging": {},
        });
        if let Some(tasks) = tasks {
            carried["tasks"] = tasks;
        }
        let extensions = self.extensions();
        if extensions.as_object().is_some_and(|extensions| !extensions.is_empty()) {
            carried["extensions"] = extensions;
        }
        RawValue::from_string(carried.to_string()).unwrap_or_default()
    }

    /// Whether the only entry is known to have nothing of a kind.
    pub(super) fn lacks(&self, kind: Kind) -> bool {
        let known = self.entry.as_ref().and_then(|_| self.face()?.capabilities());
        let known = known.as_deref().and_then(RawObject::parse);
        known.is_some_and(|capabilities| capabilities.get(kind.capability()).is_none())
    }

    /// The extensions of the protocol that any entry speaks: what we do not know we pass on.
    fn extensions(&self) -> Value {
        let mut all = serde_json::Map::new();
        let namespaces = self.computer.board().namespaces().into_iter().filter(|namespace| self.shows(namespace));
        for namespace in namespaces {
            let capabilities = self.face_of(&namespace).and_then(|face| face.capabilities());
            let own = capabilities.as_deref().and_then(RawObject::parse).and_then(|object| object.object("extensions"));
            for (name, value) in own.iter().flat_map(|own| &own.0) {
                if !all.contains_key(name.as_ref()) {
                    all.insert(name.to_string(), serde_json::from_str(value.get()).unwrap_or_default());
                }
            }
        }
        Value::Object(all)
    }

    /// Who we are towards the client: one entry is itself.
    pub(super) fn server_info(&self) -> Value {
        let own = self.entry.as_ref().and_then(|_| self.face()?.about().server_info);
        own.unwrap_or_else(|| json!({ "name": "mcp-computer", "version": env!("CARGO_PKG_VERSION") }))
    }

    /// How to use what is here.
    pub(super) fn instructions(&self) -> Option<String> {
        match &self.entry {
            Some(_) => self.face()?.about().instructions,
            None => Some(self.overview()),
        }
    }

    /// Calls a tool. The call has been handed over when this returns.
    pub(super) fn call(&self, name: &str, params: Params<'_>, context: CallContext) -> Waiting<Answer> {
        let board = self.computer.board();
        let registry = board.registry();
        let Some(namespace) = &self.entry else {
            return dispatch::call(&registry, board, name, (params, context));
        };
        let face = self.face();
        let filter = self.filter(namespace);
        if !registry::admits(&filter, name) {
            let known = face.map(|face| face.tools());
            let left_out = known.and_then(|list| registry::explain(name, (namespace, &list), &filter, board.rules()));
            let unknown = || Error::UnknownTool { name: name.to_owned(), nearest: Vec::new() };
            let error = left_out.unwrap_or_else(unknown);
            let subject = Subject { entry: Some(namespace.as_str()), tool: name };
            return board.book().begin(&subject, context.caller.as_ref()).until_over(async { Err(error) });
        }
        let own = face.as_ref().map(|face| face.tools());
        let own = own.iter().flat_map(|list| &list.tools).find(|tool| tool.name == name);
        let status = registry.route(name).filter(|(_, listed)| listed.route.target == Target::Status);
        if own.is_none() && status.is_some_and(|(_, listed)| listed.route.namespace == *namespace) {
            return dispatch::call(&registry, board, name, (params, context));
        }
        let repeatable = dispatch::Repeatable(own.is_some_and(|tool| tool.repeatable));
        let call = Call {
            method: CALL_TOOL,
            name: Some(name),
            arguments: params.arguments,
            meta: params.meta,
            rest: params.rest,
        };
        let subject = Subject { entry: Some(namespace.as_str()), tool: name };
        let mut note = board.book().begin(&subject, context.caller.as_ref());
        let Some(way) = board.way(namespace, name) else {
            return note.until_over(async { Err(not_started()) });
        };
        if !note.must_be_written() {
            let answer = way.send(call, (repeatable, context));
            note.with(params.arguments);
            return note.until_over(answer);
        }
        note.with(params.arguments);
        let kept = call.keep();
        dispatch::written_first(note, move || kept.with(&[], |call| way.send(call, (repeatable, context))))
    }

    /// The definition of a tool as it is listed, by its name or whatever else leads there.
    pub(super) fn definition_of(&self, tool: &str) -> Option<Arc<RawValue>> {
        if self.entry.is_none() {
            return Some(self.registry().route(tool)?.1.definition.clone());
        }
        let tools = self.face()?.tools();
        tools.tools.iter().find(|known| known.name == tool).map(|known| known.raw.clone())
    }

    /// Which entry a tool belongs to.
    pub(super) fn owner_of_tool(&self, name: &str) -> Option<Namespace> {
        let registry = self.registry();
        self.entry.clone().or_else(|| Some(registry.route(name)?.1.route.namespace.clone()))
    }

    /// Which entry does the work of a tool; nobody does for a status tool, which answers for an entry that is busy, too.
    pub(super) fn worker_of_tool(&self, name: &str) -> Option<Namespace> {
        let registry = self.registry();
        let works = |listed: &Listed| matches!(listed.route.target, Target::Tool { .. });
        self.entry.clone().or_else(|| {
            registry.route(name).filter(|(_, listed)| works(listed)).map(|(_, listed)| listed.route.namespace.clone())
        })
    }

    /// The way to a prompt.
    pub(super) fn prompt(&self, name: &str) -> Option<Way> {
        match &self.entry {
            Some(namespace) => self.computer.board().way(namespace, name),
            None => self.computer.board().prompt(name),
        }
    }

    /// Where a resource may be.
    pub(super) fn resource(&self, uri: &str) -> Vec<Way> {
        match &self.entry {
            Some(namespace) => self.computer.board().way(namespace, uri).into_iter().collect(),
            None => self.computer.board().resource(uri),
        }
    }

    /// The way to the entry of a task.
    pub(super) fn task(&self, id: &str) -> Option<Way> {
        let board = self.computer.board();
        match &self.entry {
            Some(namespace) => board.way(namespace, id),
            None => board.way(&board.tasks().owner(id)?, id),
        }
    }

    /// The way to the only entry.
    pub(super) fn only(&self) -> Option<Way> {
        self.computer.board().way(self.entry.as_ref()?, "")
    }

    /// Passes a notification of the client on to all entries that are up.
    pub(super) fn notify(&self, method: &str, params: Option<&RawValue>) {
        for namespace in self.computer.board().namespaces().iter().filter(|namespace| self.shows(namespace)) {
            let handle = self.computer.board().handle(namespace.as_str());
            if let Some(face) = handle.and_then(|handle| handle.status().ready().cloned()) {
                face.notify(method, params);
            }
        }
    }

    /// What is there, a line for each namespace: what the configuration says of it, or what its server is called, as far
    /// as that is known.
    fn overview(&self) -> String {
        let config = self.computer.config();
        let lines = config.entries.iter().filter(|(_, entry)| !entry.disabled).map(|(namespace, entry)| {
            let about =
                entry.description.clone().or_else(|| entry.display_name.clone()).or_else(|| self.title(namespace));
            about.map_or_else(
                || format!("- {namespace}"),
                |about| format!("- {namespace}: {}", about.replace('\n', " ")),
            )
        });
        let lines: Vec<String> = lines.collect();
        format!(
            "Tools of this computer are named <namespace>{}<tool>. Namespaces:\n{}",
            crate::name::SEPARATOR,
            lines.join("\n")
        )
    }

    /// What the server of an entry is called by people.
    fn title(&self, namespace: &Namespace) -> Option<String> {
        let info = self.face_of(namespace)?.about().server_info?;
        let title = info.get("title")?.as_str()?.trim();
        (!title.is_empty()).then(|| title.chars().take(TITLE).collect())
    }

    fn registry(&self) -> Arc<Registry> {
        self.computer.board().registry()
    }

    fn filter(&self, namespace: &Namespace) -> crate::config::ToolFilter {
        self.computer.board().recipe(namespace.as_str()).map(|recipe| recipe.config.tools.clone()).unwrap_or_default()
    }

    fn face(&self) -> Option<Face> {
        self.face_of(self.entry.as_ref()?)
    }

    fn face_of(&self, namespace: &Namespace) -> Option<Face> {
        let handle = self.computer.board().handle(namespace.as_str())?;
        let status = handle.status();
        status.shown().cloned()
    }
}

fn not_started() -> Error {
    Error::NotReady {
        namespace: "the entry".to_owned(),
        state: "idle".to_owned(),
        reason: Some("the Computer has not been started".to_owned()),
        cure: None,
    }
}
