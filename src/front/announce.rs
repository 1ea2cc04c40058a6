//! What a client is told without asking: that lists have changed, that resources were updated, what servers log.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{
    kind::Kind,
    message,
    outlet::Outlet,
    peer::{Peer, SUBSCRIPTIONS},
    scope::Scope,
};
use crate::{
    computer::relay::{Way, weight},
    raw::RawObject,
    registry::Registry,
    source::{Heard, Listener, Notice},
};

/// What is announced when it changes. Templates go with resources.
const KINDS: [Kind; 3] = [Kind::Tools, Kind::Prompts, Kind::Resources];

/// Watches what there is to tell.
struct Watch {
    registry: watch::Receiver<Arc<Registry>>,
    notices: Listener,
}

enum Change {
    Lists,
    Notice(Notice),
    /// More was said than could be heard.
    Missed,
}

impl Watch {
    fn new(scope: &Scope) -> Self {
        let board = scope.computer().board();
        Self { registry: board.watch_registry(), notices: board.notices() }
    }

    /// Cancel safe.
    async fn next(&mut self) -> Change {
        loop {
            tokio::select! {
                changed = self.registry.changed() => match changed {
                    Ok(()) => {
                        self.registry.borrow_and_update();
                        return Change::Lists;
                    }
                    // The Computer has gone: nothing changes any more.
                    Err(_) => std::future::pending().await,
                },
                heard = self.notices.next() => return match heard {
                    Heard::Notice(notice) => Change::Notice(notice),
                    Heard::Missed => Change::Missed,
                },
            }
        }
    }
}

/// Tells a client with a handshake what it did not ask for.
pub(super) struct Announcer {
    peer: Arc<Peer>,
    watch: Watch,
}

impl Announcer {
    pub(super) fn new(peer: &Arc<Peer>) -> Self {
        Self { peer: peer.clone(), watch: Watch::new(&peer.scope) }
    }

    /// The next messages for the client. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<Vec<u8>> {
        loop {
            let messages = match self.watch.next().await {
                _ if !self.peer.hears() => Vec::new(),
                Change::Lists => self.lists(),
                Change::Notice(notice) => self.notice(&notice),
                Change::Missed => Vec::new(),
            };
            if !messages.is_empty() {
                return messages;
            }
        }
    }

    fn lists(&self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for kind in KINDS {
            let version = self.peer.scope.version(kind);
            // Nobody needs to hear of what was there when he first listed.
            if self.peer.seen(kind).is_some_and(|seen| seen != version) {
                self.peer.tell(kind, version);
                messages.push(message::list_changed(kind.capability(), None));
            }
        }
        messages
    }

    fn notice(&self, notice: &Notice) -> Vec<Vec<u8>> {
        let scope = &self.peer.scope;
        if !scope.shows(&notice.namespace) {
            return Vec::new();
        }
        match notice.method.as_ref() {
            "notifications/resources/updated" => {
                let Some(uri) = uri_of(notice) else { return Vec::new() };
                let names = self.peer.names_of(&notice.namespace, &uri);
                names.iter().map(|name| message::updated(name, notice.params.as_deref(), None)).collect()
            }
            "notifications/message" => match notice.params.as_deref() {
                Some(params) if wants(self.peer.level().as_deref(), params) => {
                    vec![message::notification(&notice.method, Some(params))]
                }
                _ => Vec::new(),
            },
            "notifications/tasks/status" => {
                let id = notice.params.as_deref().and_then(RawObject::parse).and_then(|params| params.text("taskId"));
                let own = |id: &str| scope.computer().board().tasks().is_of(id, (&notice.namespace, self.peer.number));
                match id {
                    Some(id) if own(&id) => vec![message::notification(&notice.method, notice.params.as_deref())],
                    _ => Vec::new(),
                }
            }
            "notifications/elicitation/complete" => {
                vec![message::notification(&notice.method, notice.params.as_deref())]
            }
            method if scope.is_one() => vec![message::notification(method, notice.params.as_deref())],
            _ => Vec::new(),
        }
    }
}

fn uri_of(notice: &Notice) -> Option<String> {
    RawObject::parse(notice.params.as_deref()?)?.text("uri")
}

/// Whether a client that wants log messages from a level on wants this one. Who has said nothing gets all.
fn wants(level: Option<&str>, params: &RawValue) -> bool {
    let Some(wanted) = level.and_then(weight) else { return true };
    let given = RawObject::parse(params).and_then(|params| params.text("level"));
    given.and_then(|given| weight(&given)).is_none_or(|given| given >= wanted)
}

/// Tells a client of a log message that came with a call of it, if it wants that.
pub(super) fn tell_log(outlet: &Outlet, level: Option<&str>, params: &RawValue) {
    if wants(level, params) && !outlet.is_crowded() {
        outlet.tell(&message::notification("notifications/message", Some(params)));
    }
}

/// What a client of 2026-07-28 listens to.
#[derive(Debug, Default)]
struct Filter {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: Vec<String>,
}

impl Filter {
    fn read(params: Option<&RawValue>) -> Self {
        let wanted = params.and_then(RawObject::parse).and_then(|params| params.object("notifications"));
        let wanted = wanted.unwrap_or_default();
        let yes = |name: &str| wanted.get(name).is_some_and(|value| value.get() == "true");
        let uris = wanted.get("resourceSubscriptions").and_then(|uris| serde_json::from_str(uris.get()).ok());
        Self {
            tools: yes("toolsListChanged"),
            prompts: yes("promptsListChanged"),
            resources: yes("resourcesListChanged"),
            uris: uris.unwrap_or_default(),
        }
    }

    fn accepted(&self) -> serde_json::Value {
        let mut accepted = serde_json::Map::new();
        for (name, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                accepted.insert(name.to_owned(), true.into());
            }
        }
        if !self.uris.is_empty() {
            accepted.insert("resourceSubscriptions".to_owned(), self.uris.clone().into());
        }
        accepted.into()
    }

    fn covers(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tools => self.tools,
            Kind::Prompts => self.prompts,
            Kind::Resources | Kind::Templates => self.resources,
        }
    }
}

/// Serves `subscriptions/listen` until the client does not want it any more. `id` is the JSON text of the request's id.
pub(super) async fn listen(peer: Arc<Peer>, id: String, params: Option<Box<RawValue>>, outlet: Outlet) {
    let mut filter = Filter::read(params.as_deref());
    let mut watch = Watch::new(&peer.scope);
    let mut seen = KINDS.map(|kind| peer.scope.version(kind));
    // Acknowledged at once: that entries are told may take its time.
    let mut uris = std::mem::take(&mut filter.uris);
    uris.truncate(SUBSCRIPTIONS);
    uris.retain(|uri| !peer.scope.resource(uri).is_empty());
    filter.uris = uris;
    if !outlet.tell(&message::acknowledged(&id, &filter.accepted())) {
        return;
    }
    let subscriptions = Subscriptions::open(&peer, &filter.uris).await;
    loop {
        let messages = match watch.next().await {
            Change::Lists => {
                let mut messages = Vec::new();
                for (kind, seen) in KINDS.into_iter().zip(&mut seen) {
                    let version = peer.scope.version(kind);
                    if version != *seen && filter.covers(kind) {
                        messages.push(message::list_changed(kind.capability(), Some(&id)));
                    }
                    *seen = version;
                }
                messages
            }
            Change::Notice(notice) if notice.method.as_ref() == "notifications/resources/updated" => {
                let names = uri_of(&notice).map(|uri| subscriptions.names_of(&notice, &uri)).unwrap_or_default();
                names.into_iter().map(|name| message::updated(name, notice.params.as_deref(), Some(&id))).collect()
            }
            Change::Notice(_) | Change::Missed => Vec::new(),
        };
        if !messages.iter().all(|message| outlet.tell(message)) {
            return;
        }
    }
}

/// The resources of one listener. Dropping it tells the entries that one less listens.
struct Subscriptions {
    peer: Arc<Peer>,
    ways: Vec<(String, Way)>,
}

impl Subscriptions {
    async fn open(peer: &Arc<Peer>, uris: &[String]) -> Self {
        // From the first on, dropping this takes back what has been confirmed.
        let mut subscriptions = Self { peer: peer.clone(), ways: Vec::with_capacity(uris.len()) };
        for uri in uris {
            let way = peer.scope.resource(uri).into_iter().next();
            if let Some(way) = way
                && peer.scope.computer().board().subscribe(&way).await.is_ok()
            {
                subscriptions.ways.push((uri.clone(), way));
            }
        }
        subscriptions
    }

    fn names_of(&self, notice: &Notice, own: &str) -> Vec<&str> {
        let meant = self.ways.iter().filter(|(_, way)| way.namespace == notice.namespace && way.own == own);
        meant.map(|(uri, _)| uri.as_str()).collect()
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        let computer = self.peer.scope.computer().clone();
        let ways = std::mem::take(&mut self.ways);
        if ways.is_empty() {
            return;
        }
        let board = computer.board().clone();
        computer.in_background(async move {
            for (_, way) in &ways {
                board.unsubscribe(way).await;
            }
        });
    }
}
