//! Questions of servers, put to the client whose call they are about.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::{announce, message, outlet::Outlet, parked::Asked, peer::Peer};
use crate::{
    connection::unattended,
    error::Error,
    raw::RawObject,
    source::{Answer, Ask, Question, Respond, Sink, Waiting},
};

/// How whoever serves a call reaches the client that made it.
#[derive(Clone)]
pub(super) struct Heard {
    pub(super) log: Sink,
    pub(super) ask: Ask,
}

/// How a client with a handshake is reached about a call.
pub(super) fn heard(peer: &Arc<Peer>, outlet: &Outlet) -> Heard {
    match outlet {
        // On one line it is the same for all calls.
        Outlet::Line(_) => peer.standing.get_or_init(|| Heard::over(peer, outlet)).clone(),
        Outlet::Stream(_) => Heard::over(peer, outlet),
    }
}

impl Heard {
    fn over(peer: &Arc<Peer>, outlet: &Outlet) -> Self {
        // The client may hold this: it must not hold the client.
        let (logged, asked) = (Arc::downgrade(peer), Arc::downgrade(peer));
        let (log_outlet, outlet) = (outlet.clone(), outlet.clone());
        Self {
            log: Arc::new(move |params: &RawValue| {
                let level = logged.upgrade().and_then(|peer| peer.level());
                announce::tell_log(&log_outlet, level.as_deref(), params);
            }),
            ask: Arc::new(Legacy { peer: asked, outlet }),
        }
    }
}

/// A client with a handshake, and the way that belongs to its call.
struct Legacy {
    peer: Weak<Peer>,
    outlet: Outlet,
}

impl Respond for Legacy {
    fn can(&self, question: &Question) -> bool {
        let able =
            |peer: Arc<Peer>| peer.hello().is_some_and(|hello| can(&hello.capabilities, question, peer.scope.is_one()));
        self.outlet.can_ask() && self.peer.upgrade().is_some_and(able)
    }

    fn ask(&self, question: Question) -> Waiting<Answer> {
        match self.peer.upgrade() {
            Some(peer) => legacy(&peer, &self.outlet, &question),
            None => Box::pin(async { Err(Error::Cancelled) }),
        }
    }
}

fn legacy(peer: &Arc<Peer>, outlet: &Outlet, question: &Question) -> Waiting<Answer> {
    let (id, answer) = peer.ask();
    let pending = Pending { peer: peer.clone(), outlet: outlet.clone(), id, armed: true };
    let told = outlet.tell(&message::request(&pending.id, &question.method, question.params.as_deref()));
    if !told {
        return without(peer, question);
    }
    Box::pin(async move {
        // Whole: of what is captured piece by piece, the rest would be dropped now.
        let mut pending = pending;
        let outcome = answer.await;
        pending.armed = false;
        outcome.unwrap_or(Err(Error::Cancelled))
    })
}

/// A call of a client of 2026-07-28: the question goes to whoever will tell the client to call again.
struct Modern {
    capabilities: Option<Arc<RawValue>>,
    asked: mpsc::UnboundedSender<Asked>,
    /// Whether a question waits for the client to call again. Who never does must not get the questions of others.
    waits: Waits,
}

/// Whether a call waits for its client to call again.
pub(super) type Waits = Arc<AtomicBool>;

impl Respond for Modern {
    fn can(&self, question: &Question) -> bool {
        let able = self.capabilities.as_deref().is_some_and(|capabilities| can(capabilities, question, false));
        able && !self.asked.is_closed() && !self.waits.load(Ordering::Acquire)
    }

    fn ask(&self, question: Question) -> Waiting<Answer> {
        let (reply, answer) = oneshot::channel();
        self.waits.store(true, Ordering::Release);
        if self.asked.send((question, reply)).is_err() {
            return Box::pin(async { Err(Error::Cancelled) });
        }
        Box::pin(async move { answer.await.unwrap_or(Err(Error::Cancelled)) })
    }
}

/// Who answers questions about a call of a client of 2026-07-28, where they come out, and whether one waits.
pub(super) fn modern(capabilities: Option<Arc<RawValue>>) -> (Ask, mpsc::UnboundedReceiver<Asked>, Waits) {
    let (asked, questions) = mpsc::unbounded_channel();
    let waits = Waits::default();
    (Arc::new(Modern { capabilities, asked, waits: waits.clone() }), questions, waits)
}

/// What is answered for a client that cannot be asked this: the same as when none is there.
fn without(peer: &Peer, question: &Question) -> Waiting<Answer> {
    let answer = unattended(peer.scope.computer().config().serve.unattended, question);
    Box::pin(async { answer })
}

/// Whether a client with these capabilities can be asked that.
fn can(capabilities: &RawValue, question: &Question, passes_all: bool) -> bool {
    let Some(capabilities) = RawObject::parse(capabilities) else { return false };
    let has = |name: &str| capabilities.get(name).is_some_and(|value| value.get() != "null");
    match question.method.as_str() {
        "sampling/createMessage" => has("sampling"),
        "roots/list" => has("roots"),
        "elicitation/create" => {
            let Some(elicitation) = capabilities.object("elicitation") else { return false };
            let params = question.params.as_deref().and_then(RawObject::parse);
            let by_url = params.and_then(|params| params.text("mode")).is_some_and(|mode| mode == "url");
            // Before there were modes, an empty object meant forms.
            if by_url {
                elicitation.get("url").is_some()
            } else {
                elicitation.get("form").is_some() || elicitation.0.is_empty()
            }
        }
        _ => passes_all,
    }
}

/// A question that is open at a client. When nobody waits for the answer any more, the client is told.
struct Pending {
    peer: Arc<Peer>,
    outlet: Outlet,
    id: String,
    armed: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.armed {
            self.peer.forget(&self.id);
            let _ = self.outlet.tell(&message::cancelled(&self.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able(capabilities: &str, method: &str, params: &str) -> bool {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        can(&raw(capabilities), &Question { method: method.to_owned(), params: Some(raw(params)) }, false)
    }

    #[test]
    fn a_client_is_asked_only_what_it_has_declared() {
        assert!(able(r#"{"sampling":{}}"#, "sampling/createMessage", "{}"));
        assert!(!able("{}", "sampling/createMessage", "{}"));
        assert!(able(r#"{"roots":{}}"#, "roots/list", "{}"));
        assert!(able(r#"{"elicitation":{}}"#, "elicitation/create", "{}"));
        assert!(able(r#"{"elicitation":{"form":{}}}"#, "elicitation/create", r#"{"mode":"form"}"#));
        assert!(!able(r#"{"elicitation":{"url":{}}}"#, "elicitation/create", "{}"));
        assert!(!able(r#"{"elicitation":{}}"#, "elicitation/create", r#"{"mode":"url"}"#));
        assert!(able(r#"{"elicitation":{"url":{}}}"#, "elicitation/create", r#"{"mode":"url"}"#));
        assert!(!able(r#"{"sampling":{}}"#, "x/y", "{}"));
    }
}
