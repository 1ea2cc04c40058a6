//! Turns: how many calls an entry gets at a time, and who is next.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The code of an error that says that more waits than may; over HTTP the status says so too.
pub(crate) const TOO_MANY: i64 = -32029;

/// How many calls of one entry wait for their turn.
const QUEUE: usize = 1024;

/// The turns of an entry. Clients have them one after the other, and each client's calls keep their order. Cheap to
/// clone: all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// How many may have a turn at a time.
    limit: usize,
    /// How many have one.
    taken: usize,
    waiting: usize,
    next: u64,
    /// The clients with calls that wait; whoever is first is next.
    lines: VecDeque<Line>,
}

/// The calls of one client that wait.
#[derive(Debug)]
struct Line {
    client: Option<u64>,
    calls: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A call's place: its turn, or where it waits for it. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Place {
    turns: Turns,
    client: Option<u64>,
    number: u64,
    /// None once it has its turn.
    called: Option<oneshot::Receiver<()>>,
}

impl Turns {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { limit, taken: 0, waiting: 0, next: 0, lines: VecDeque::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// From now on so many have a turn at a time.
    pub(crate) fn allow(&self, limit: usize) {
        let mut state = self.state();
        state.limit = limit;
        state.call_next();
    }

    /// A place for a call of a client, which may have its turn at once; nothing when too many wait already.
    pub(crate) fn enter(&self, client: Option<u64>) -> Option<Place> {
        let mut state = self.state();
        state.next += 1;
        let (number, turns) = (state.next, self.clone());
        if state.taken < state.limit && state.waiting == 0 {
            state.taken += 1;
            return Some(Place { turns, client, number, called: None });
        }
        if state.waiting >= QUEUE {
            return None;
        }
        let (call, called) = oneshot::channel();
        state.waiting += 1;
        match state.lines.iter_mut().find(|line| line.client == client) {
            Some(line) => line.calls.push_back((number, call)),
            None => state.lines.push_back(Line { client, calls: [(number, call)].into() }),
        }
        Some(Place { turns, client, number, called: Some(called) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives free turns to those who are next.
    fn call_next(&mut self) {
        while self.taken < self.limit {
            let Some(mut line) = self.lines.pop_front() else { return };
            let call = line.calls.pop_front();
            if !line.calls.is_empty() {
                self.lines.push_back(line);
            }
            let Some((_, call)) = call else { continue };
            self.waiting -= 1;
            self.taken += 1;
            // Who gives up its place takes itself out, or gives the turn back: somebody is there.
            let _ = call.send(());
        }
    }

    /// Takes out a call that waits; false when it waits no longer.
    fn take_out(&mut self, client: Option<u64>, number: u64) -> bool {
        let Some(at) = self.lines.iter().position(|line| line.client == client) else { return false };
        let calls = &mut self.lines[at].calls;
        let Some(place) = calls.iter().position(|(known, _)| *known == number) else { return false };
        calls.remove(place);
        if calls.is_empty() {
            self.lines.remove(at);
        }
        self.waiting -= 1;
        true
    }
}

impl Place {
    /// Whether it has its turn.
    pub(crate) fn has_turn(&self) -> bool {
        self.called.is_none()
    }

    /// Returns when it has its turn. Cancel safe.
    pub(crate) async fn turn(&mut self) {
        if let Some(called) = &mut self.called {
            // Nobody drops the other end without calling: whoever could holds the same lock.
            let _ = called.await;
            self.called = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        if self.called.is_some() && state.take_out(self.client, self.number) {
            return;
        }
        state.taken -= 1;
        state.call_next();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn has_turn(place: &mut Place) -> bool {
        place.turn().now_or_never().is_some()
    }

    /// Whose turns come, in order, when each is given up at once.
    fn order(mut places: Vec<(&'static str, Place)>) -> Vec<&'static str> {
        let mut order = Vec::new();
        while let Some(at) = places.iter_mut().position(|(_, place)| has_turn(place)) {
            order.push(places.remove(at).0);
        }
        assert!(places.is_empty(), "somebody never has a turn");
        order
    }

    #[test]
    fn clients_have_their_turns_one_after_the_other_and_keep_their_own_order() {
        let turns = Turns::new(1);
        let enter = |name, client| (name, turns.enter(client).unwrap());
        let places = vec![
            enter("a1", Some(1)),
            enter("a2", Some(1)),
            enter("a3", Some(1)),
            enter("b1", Some(2)),
            enter("b2", Some(2)),
            enter("own", None),
        ];
        assert_eq!(order(places), ["a1", "a2", "b1", "own", "a3", "b2"]);
    }

    #[test]
    fn so_many_have_a_turn_at_a_time_and_more_when_more_may() {
        let turns = Turns::new(2);
        let mut places: Vec<Place> = (0..5).map(|_| turns.enter(None).unwrap()).collect();
        let have =
            |places: &mut Vec<Place>| places.iter_mut().filter_map(|place| has_turn(place).then_some(())).count();
        assert_eq!(have(&mut places), 2);
        turns.allow(4);
        assert_eq!(have(&mut places), 4);
    }

    #[test]
    fn who_leaves_takes_its_call_out_and_gives_its_turn_back() {
        let turns = Turns::new(1);
        let first = turns.enter(Some(1)).unwrap();
        let waits = turns.enter(Some(1)).unwrap();
        let mut last = turns.enter(Some(2)).unwrap();
        let called = turns.enter(Some(3)).unwrap();
        drop(waits);
        assert!(!has_turn(&mut last));
        drop(first);
        assert!(has_turn(&mut last));
        drop(last);
        // Its turn has come, and it has not looked.
        drop(called);
        assert!(turns.enter(Some(1)).unwrap().has_turn());
        assert_eq!(turns.state().waiting, 0);
    }

    #[test]
    fn the_queue_has_an_end() {
        let turns = Turns::new(1);
        let mut places: Vec<Place> = (0..=QUEUE).map(|n| turns.enter(Some(n as u64)).unwrap()).collect();
        assert!(turns.enter(None).is_none());
        places.pop();
        assert!(turns.enter(None).is_some());
    }
}
