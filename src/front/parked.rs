//! Calls of clients of 2026-07-28 that wait for input: such a client is not asked, it calls again with what is wanted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{ask::Waits, message::Shape, outlet::Outlet};
use crate::{
    error::{Error, Result},
    raw::RawObject,
    source::{Answer, Question, Waiting},
};

/// A question of a server with the way back for its answer.
pub(super) type Asked = (Question, oneshot::Sender<Result<Answer>>);

/// Where what belongs to a call goes just now: to the request that the client made last for it.
#[derive(Clone)]
pub(super) struct Slot(Arc<Mutex<Target>>);

pub(super) struct Target {
    pub(super) outlet: Outlet,
    /// The client's own token for progress, when it wants to see any.
    pub(super) token: Option<Box<RawValue>>,
}

impl Slot {
    pub(super) fn new(outlet: Outlet, token: Option<Box<RawValue>>) -> Self {
        Self(Arc::new(Mutex::new(Target { outlet, token })))
    }

    /// Does something with where it goes now. It must not take long.
    pub(super) fn with<T>(&self, use_it: impl FnOnce(&Target) -> T) -> T {
        use_it(&lock(&self.0))
    }

    fn redirect(&self, outlet: Outlet, token: Option<Box<RawValue>>) {
        *lock(&self.0) = Target { outlet, token };
    }
}

/// A call under way whose server may ask.
pub(super) struct Conversation {
    pub(super) answer: Waiting<Answer>,
    pub(super) questions: mpsc::UnboundedReceiver<Asked>,
    pub(super) waits: Waits,
    pub(super) slot: Slot,
    /// What its result must say of itself.
    pub(super) shape: Shape,
    /// The tool that is called, if it is a call of one.
    pub(super) tool: Option<String>,
    /// What the request is about.
    pub(super) subject: String,
}

/// A client that comes back: for what, and with which answers.
pub(super) struct Back<'a> {
    pub(super) subject: String,
    pub(super) responses: Option<&'a RawValue>,
}

/// Calls that wait for input, by the state that the client gives back.
#[derive(Default)]
pub(super) struct Parking(Mutex<HashMap<String, Parked>>);

struct Parked {
    conversation: Conversation,
    open: Vec<(String, oneshot::Sender<Result<Answer>>)>,
    since: Instant,
}

/// A person may think about a question for so long.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What our states begin with: others are a server's own.
const PREFIX: &str = "computer-call:";

/// Whether a state is one of ours.
pub(super) fn is_ours(state: &str) -> bool {
    state.starts_with(PREFIX)
}

impl Parking {
    /// Keeps a call until the client comes back with input. Returns what is asked, as JSON, and the state.
    pub(super) fn park(&self, conversation: Conversation, asked: Vec<Asked>) -> Result<(Box<RawValue>, String)> {
        let state = format!("{PREFIX}{}", random()?);
        let mut requests: Vec<String> = Vec::with_capacity(asked.len());
        let mut open = Vec::with_capacity(asked.len());
        for (number, (question, reply)) in asked.into_iter().enumerate() {
            let key = format!("input-{number}");
            let method = serde_json::Value::from(question.method);
            let params = question.params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
            requests.push(format!("\"{key}\":{{\"method\":{method}{params}}}"));
            open.push((key, reply));
        }
        let requests = RawValue::from_string(format!("{{{}}}", requests.join(","))).unwrap_or_default();
        let mut parked = lock(&self.0);
        // Whoever never comes back must not keep a server waiting for ever.
        parked.retain(|_, parked| parked.since.elapsed() < PATIENCE);
        parked.insert(state.clone(), Parked { conversation, open, since: Instant::now() });
        Ok((requests, state))
    }

    /// The call that a client comes back to, with its answers given to the server.
    pub(super) fn resume(
        &self,
        state: &str,
        back: &Back<'_>,
        (outlet, token): (Outlet, Option<Box<RawValue>>),
    ) -> Result<Conversation> {
        let parked = {
            let mut parked = lock(&self.0);
            let is_meant =
                |parked: &Parked| parked.since.elapsed() < PATIENCE && parked.conversation.subject == back.subject;
            if parked.get(state).is_some_and(is_meant) { parked.remove(state) } else { None }
        };
        let Some(Parked { conversation, open, .. }) = parked else {
            let message =
                "no such call waits for this `requestState`: it was answered, given up, or is another".to_owned();
            return Err(Error::Server { code: super::message::INVALID_PARAMS, message, data: None });
        };
        let responses = back.responses.and_then(RawObject::parse).unwrap_or_default();
        conversation.slot.redirect(outlet, token);
        conversation.waits.store(false, Ordering::Release);
        for (key, reply) in open {
            let answer = responses.get(&key).map(Answer::raw).ok_or(Error::Cancelled);
            // The server may have lost its patience.
            let _ = reply.send(answer);
        }
        Ok(conversation)
    }

    /// Gives up calls that nobody has come back to for long.
    pub(super) fn tidy(&self) {
        lock(&self.0).retain(|_, parked| parked.since.elapsed() < PATIENCE);
    }
}

/// 128 random bits as text.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Server {
        code: -32603,
        message: format!("the system gives no random numbers ({error})"),
        data: None,
    })?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
