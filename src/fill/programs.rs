//! The managed programs of a Computer, as far as entries have to do with them: where a browser is reached, and whether
//! what an entry needs is there yet.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::chrome::Endpoint;

/// How a program stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// It is started when it is needed.
    Held,
    /// It is being started for the first time.
    Coming,
    /// It was up, and is being brought back.
    Returning,
    /// It is up, and a browser is reached there.
    Up(Option<Endpoint>),
    /// It is not up, and why.
    Down(String),
}

/// All of them, by name. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    /// Whether nothing is to be started: then references stand for themselves.
    as_written: bool,
}

#[derive(Debug, Clone)]
struct Known {
    standing: watch::Receiver<Standing>,
    needed: Arc<Notify>,
}

/// What tells of one program, and is told when it is needed.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) needed: Arc<Notify>,
}

/// How long is waited for a program that is being brought back, again and again.
const PATIENCE: Duration = Duration::from_secs(60);

impl Programs {
    /// The same for who wants to know what would be run: references to browsers stay as they are.
    pub(crate) fn as_written(&self) -> Self {
        Self { as_written: true, ..self.clone() }
    }

    /// From now on there is a program of that name. What was told of an earlier one counts no more.
    pub(crate) fn announce(&self, name: &str, standing: Standing) -> Teller {
        let (standing, receiver) = watch::channel(standing);
        let needed = Arc::new(Notify::new());
        self.known().insert(name.to_owned(), Known { standing: receiver, needed: needed.clone() });
        Teller { standing, needed }
    }

    /// There is none of that name any more.
    pub(crate) fn forget(&self, name: &str) {
        self.known().remove(name);
    }

    /// Where a browser is reached now; nothing when that does not matter.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn endpoint(&self, name: &str) -> Result<Option<Endpoint>, String> {
        if self.as_written {
            return Ok(None);
        }
        let standing = self.known().get(name).map(|known| known.standing.borrow().clone());
        match standing {
            Some(Standing::Up(Some(endpoint))) => Ok(Some(endpoint)),
            Some(Standing::Up(None)) => Err(format!("`{name}` is no Chrome")),
            Some(Standing::Down(reason)) => Err(format!("`{name}` is not up: {reason}")),
            Some(Standing::Held | Standing::Coming | Standing::Returning) => Err(format!("`{name}` is not up yet")),
            None => Err(format!("there is no `{name}`; add it to the configuration, or give it to the Computer")),
        }
    }

    /// Returns when a program is up, or has failed to be. One that is held is started. Cancel safe.
    pub(crate) async fn settled(&self, name: &str) {
        let Some(known) = self.known().get(name).cloned() else { return };
        let Known { mut standing, needed } = known;
        if *standing.borrow() == Standing::Held {
            needed.notify_one();
        }
        let settled = standing.wait_for(|standing| matches!(standing, Standing::Up(_) | Standing::Down(_)));
        let _ = timeout(PATIENCE, settled).await;
    }

    /// Returns when every program that is on its way for the first time is up, or has failed to be. One that comes and
    /// goes holds nobody who does not refer to it. Cancel safe.
    pub(crate) async fn all_settled(&self) {
        let coming: Vec<String> = {
            let known = self.known();
            let coming = known.iter().filter(|(_, known)| *known.standing.borrow() == Standing::Coming);
            coming.map(|(name, _)| name.clone()).collect()
        };
        for name in coming {
            let Some(mut standing) = self.known().get(&name).map(|known| known.standing.clone()) else { continue };
            let _ = timeout(PATIENCE, standing.wait_for(|standing| *standing != Standing::Coming)).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { port, ws_url: format!("ws://127.0.0.1:{port}/devtools/browser/x") }
    }

    #[tokio::test]
    async fn whoever_needs_a_held_program_has_it_started_and_waits_for_it() {
        let programs = Programs::default();
        let teller = programs.announce("chrome", Standing::Held);
        assert_eq!(programs.endpoint("chrome"), Err("`chrome` is not up yet".to_owned()));
        let starting = async {
            teller.needed.notified().await;
            teller.standing.send_replace(Standing::Coming);
            teller.standing.send_replace(Standing::Up(Some(endpoint(1))));
        };
        tokio::join!(programs.settled("chrome"), starting);
        assert_eq!(programs.endpoint("chrome"), Ok(Some(endpoint(1))));
        assert_eq!(programs.as_written().endpoint("chrome"), Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_keeps_nobody_waiting_who_does_not_need_it() {
        let programs = Programs::default();
        let _held = programs.announce("chrome", Standing::Held);
        let failing = programs.announce("db", Standing::Coming);
        let waiting = timeout(Duration::from_secs(5), programs.all_settled());
        assert!(waiting.await.is_err(), "one is on its way");
        failing.standing.send_replace(Standing::Down("it is broken".to_owned()));
        programs.all_settled().await;
        failing.standing.send_replace(Standing::Returning);
        timeout(Duration::ZERO, programs.all_settled()).await.expect("one that comes and goes holds nobody");
        let needs_it = timeout(Duration::from_secs(5), programs.settled("db"));
        assert!(needs_it.await.is_err(), "who needs it waits");
        failing.standing.send_replace(Standing::Down("it is broken".to_owned()));
        assert_eq!(programs.endpoint("db"), Err("`db` is not up: it is broken".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_nor_for_what_is_not_there() {
        let programs = Programs::default();
        let _teller = programs.announce("chrome", Standing::Coming);
        programs.settled("chrome").await;
        programs.settled("nobody").await;
        assert!(programs.endpoint("nobody").unwrap_err().starts_with("there is no `nobody`"));
        programs.forget("chrome");
        assert!(programs.endpoint("chrome").unwrap_err().starts_with("there is no `chrome`"));
    }
}
