//! Requests beyond calls of tools: whose they are, and what entries are told of what clients want to hear.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::timeout;

use super::{
    board::Board,
    dispatch::{self, Repeatable},
};
use crate::{
    error::{Error, Result},
    name::Namespace,
    raw::RawObject,
    source::{Answer, Call, CallContext, Face, Waiting},
    supervisor::Handle,
};

/// Where a request goes: an entry, and what it is about there.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) namespace: Namespace,
    pub(crate) handle: Handle<Face>,
    /// The entry's own name or URI for what the request is about.
    pub(crate) own: String,
}

/// How long an entry may take to hear what clients want of it.
const TELLING: Duration = Duration::from_secs(5);

impl Way {
    /// Sends the request there; the entry is waited for when it is being brought up.
    pub(crate) fn send(&self, call: Call<'_>, (repeatable, context): (Repeatable, CallContext)) -> Waiting<Answer> {
        dispatch::send(&self.handle, self.namespace.as_str(), call, (repeatable, context))
    }

    /// Whether the entry is up and has declared that capability.
    fn offers(&self, capability: &str) -> bool {
        let status = self.handle.status();
        let capabilities = status.shown().and_then(|face| face.capabilities());
        let object = capabilities.as_deref().and_then(RawObject::parse);
        object.is_some_and(|object| object.get(capability).is_some())
    }
}

impl Board {
    /// The way to an entry, about `own`.
    pub(crate) fn way(&self, namespace: &Namespace, own: &str) -> Option<Way> {
        let handle = self.handle(namespace.as_str())?;
        Some(Way { namespace: namespace.clone(), handle, own: own.to_owned() })
    }

    /// The way to a prompt by the name under which it is offered.
    pub(crate) fn prompt(&self, name: &str) -> Option<Way> {
        let registry = self.registry();
        let shown = registry.shelf().prompts().get(name)?;
        self.way(&shown.namespace, &shown.own)
    }

    /// Where a resource may be: its owner, or, when nobody lists it, everybody who has resources.
    pub(crate) fn resource(&self, uri: &str) -> Vec<Way> {
        let registry = self.registry();
        if let Some((namespace, own)) = registry.shelf().owner(uri) {
            return self.way(namespace, &own).into_iter().collect();
        }
        let all = self.namespaces().into_iter().filter_map(|namespace| self.way(&namespace, uri));
        all.filter(|way| way.offers("resources")).collect()
    }

    /// Somebody wants to hear of a resource. The first is told to the entry; only what the entry refuses fails.
    pub(crate) async fn subscribe(&self, way: &Way) -> Result<()> {
        let Some(recipe) = self.recipe(way.namespace.as_str()) else {
            return Err(dispatch::gone(way.namespace.as_str()));
        };
        // One after the other: a second must not count on what the first has only asked for.
        let _turn = recipe.subscribed.turn().await;
        let wish = recipe.subscribed.add(&way.own);
        if !wish.is_known() {
            about_uri(way, "resources/subscribe").await?;
        }
        wish.keep();
        Ok(())
    }

    /// Somebody does not want to hear of a resource any more. The last is told to the entry, if it is there.
    pub(crate) async fn unsubscribe(&self, way: &Way) {
        let Some(recipe) = self.recipe(way.namespace.as_str()) else { return };
        let _turn = recipe.subscribed.turn().await;
        if recipe.subscribed.remove(&way.own) && way.handle.status().ready().is_some() {
            // It goes on to tell of what nobody listens to: that harms nobody.
            let _ = timeout(TELLING, about_uri(way, "resources/unsubscribe")).await;
        }
    }

    /// A client wants log messages from this level on, `None` when it has left. Entries are told of the lowest.
    pub(crate) async fn want_level(&self, client: u64, level: Option<&str>) {
        let Some(wanted) = self.levels.change(client, level) else { return };
        let told = self.namespaces().into_iter().filter_map(|namespace| {
            self.recipe(namespace.as_str())?.subscribed.set_level(&wanted);
            let way = self.way(&namespace, &wanted)?;
            (way.offers("logging") && way.handle.status().ready().is_some()).then_some(way)
        });
        let told: Vec<Way> = told.collect();
        let telling = told.iter().map(|way| async {
            let level = to_raw_value(&way.own).unwrap_or_default();
            let call = Call { rest: &[("level", &level)], ..Call::of("logging/setLevel") };
            let _ = timeout(TELLING, way.send(call, (Repeatable(false), CallContext::default()))).await;
        });
        join_all(telling).await;
    }
}

async fn about_uri(way: &Way, method: &str) -> Result<()> {
    let sent = {
        let uri = to_raw_value(&way.own).unwrap_or_default();
        way.send(Call { rest: &[("uri", &uri)], ..Call::of(method) }, (Repeatable(true), CallContext::default()))
    };
    sent.await.map(drop)
}

/// The levels of log messages, the chattiest first.
pub(crate) const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// How much a level weighs.
pub(crate) fn weight(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

/// The levels that clients want, and the lowest of them.
#[derive(Debug, Default)]
pub(crate) struct Levels(Mutex<(HashMap<u64, usize>, Option<usize>)>);

impl Levels {
    /// Notes what a client wants; the level that entries are to be told, when it is another than before.
    fn change(&self, client: u64, level: Option<&str>) -> Option<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, told) = &mut *state;
        match level.and_then(weight) {
            Some(level) => wanted.insert(client, level),
            None => wanted.remove(&client),
        };
        // When nobody wants anything any more, what was told last stands: there is no message that takes it back.
        let lowest = wanted.values().min().copied()?;
        (*told != Some(lowest)).then(|| {
            *told = Some(lowest);
            LEVELS[lowest].to_owned()
        })
    }

    /// What entries were told last.
    pub(super) fn told(&self) -> Option<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.map(|level| LEVELS[level])
    }
}

/// Which entry a task belongs to, and the number of the client that had it made, for as long as there is room.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<(HashMap<String, Maker>, VecDeque<String>)>);

/// Which entry a task is at, and the number of the client that it was made for.
type Maker = (Namespace, u64);

/// Whether an answer may say that a call has become a task. Looking is cheaper than parsing, and nearly no answer does.
pub(crate) fn may_be_task(answer: &Answer) -> bool {
    memchr::memmem::find(answer.get().as_bytes(), b"\"taskId\"").is_some()
}

/// A client that makes more tasks than this between two questions about one of them has lost count itself.
const TASKS: usize = 4096;

impl Tasks {
    /// Notes the task that a call has become, if it has.
    pub(crate) fn note(&self, answer: &Answer, (namespace, client): (&Namespace, u64)) {
        let result = serde_json::from_str::<RawObject<'_>>(answer.get()).ok();
        let id = result.and_then(|result| result.text("taskId").or_else(|| result.object("task")?.text("taskId")));
        let Some(id) = id else { return };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (owners, order) = &mut *state;
        if owners.insert(id.clone(), (namespace.clone(), client)).is_none() {
            order.push_back(id);
        }
        if order.len() > TASKS
            && let Some(oldest) = order.pop_front()
        {
            owners.remove(&oldest);
        }
    }

    /// Whose task that is.
    pub(crate) fn owner(&self, id: &str) -> Option<Namespace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.get(id).map(|(namespace, _)| namespace.clone())
    }

    /// Whether that client had that task of that entry made.
    pub(crate) fn is_of(&self, id: &str, (namespace, client): (&Namespace, u64)) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.get(id).is_some_and(|(of, by)| of == namespace && *by == client)
    }
}

/// What an error says of a resource that is nowhere.
pub(crate) fn no_resource(uri: &str, code: i64) -> Error {
    let data = serde_json::json!({ "uri": uri }).to_string();
    Error::Server { code, message: format!("there is no resource `{uri}`"), data: Some(data) }
}

/// A parameter as JSON.
pub(crate) fn raw_text(text: &str) -> Arc<RawValue> {
    to_raw_value(text).expect("a text makes JSON text").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_of_the_lowest_level_that_any_client_wants() {
        let levels = Levels::default();
        assert_eq!(levels.change(1, Some("warning")).as_deref(), Some("warning"));
        assert_eq!(levels.change(2, Some("debug")).as_deref(), Some("debug"));
        assert_eq!(levels.change(3, Some("error")), None);
        assert_eq!(levels.change(2, None).as_deref(), Some("warning"));
        assert_eq!(levels.change(9, Some("loud")), None);
        assert_eq!(levels.told(), Some("warning"));
    }

    #[test]
    fn a_task_is_known_by_the_answer_that_made_it_in_either_shape() {
        let (tasks, ns) = (Tasks::default(), "a".parse::<Namespace>().unwrap());
        tasks.note(&Answer::made(&serde_json::json!({ "resultType": "task", "taskId": "t1" })), (&ns, 1));
        tasks.note(&Answer::made(&serde_json::json!({ "task": { "taskId": "t2" } })), (&ns, 1));
        tasks.note(&Answer::made(&serde_json::json!({ "content": [{ "text": "\"taskId\"" }] })), (&ns, 1));
        assert_eq!(tasks.owner("t1"), Some(ns.clone()));
        assert_eq!(tasks.owner("t2"), Some(ns));
        assert_eq!(tasks.owner("t3"), None);
    }
}
