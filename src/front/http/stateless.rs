//! Clients without a handshake. Who shows the same credential at the same path is one client, as far as can be told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{gate::Credential, route::Route};
use crate::front::{parked::Parking, peer::Peer, scope::Scope};

/// Clients without a handshake.
#[derive(Default)]
pub(super) struct Stateless(Mutex<Vec<Known>>);

struct Known {
    credential: Credential,
    route: Route,
    peer: Arc<Peer>,
}

impl Stateless {
    /// The client that shows this credential at this path. What it may have under way it has for all paths together;
    /// a call that waits for its input waits at its own path.
    pub(super) fn peer(&self, credential: Credential, route: &Route, scope: Scope) -> Arc<Peer> {
        let mut all = self.all();
        let own = |known: &&Known| known.credential == credential;
        if let Some(known) = all.iter().filter(own).find(|known| known.route == *route) {
            return known.peer.clone();
        }
        let parking = Arc::new(Parking::default());
        let peer = match all.iter().find(own) {
            Some(other) => other.peer.elsewhere(scope, parking),
            None => Peer::without_session(scope, parking),
        };
        all.push(Known { credential, route: route.clone(), peer: peer.clone() });
        peer
    }

    /// Gives up calls that nobody has come back to for long.
    pub(super) fn tidy(&self) {
        let peers: Vec<Arc<Peer>> = self.all().iter().map(|known| known.peer.clone()).collect();
        for peer in peers {
            peer.parking.tidy();
        }
    }

    /// Tells all that wait for an answer why there will be none.
    pub(super) fn say_farewell(&self, words: &'static str) {
        let peers: Vec<Arc<Peer>> = self.all().iter().map(|known| known.peer.clone()).collect();
        for peer in peers {
            peer.end_all(words);
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
