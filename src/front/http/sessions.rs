//! All sessions of a listener.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::StatusCode;

use super::{
    desk::Tasks,
    gate::Credential,
    limits::Limits,
    reply::{self, Reply},
    route::Route,
    session::Session,
};
use crate::front::{message, parked, scope::Scope};

/// All sessions of a listener, by their ids.
pub(super) struct Sessions {
    all: Mutex<HashMap<String, Arc<Session>>>,
    most: usize,
    idle: Duration,
}

impl Sessions {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { all: Mutex::default(), most: limits.sessions, idle: limits.session_idle }
    }

    /// Opens a session; the reply says why it cannot be.
    pub(super) fn open(
        &self,
        owner: (Credential, Route),
        (scope, tasks): (Scope, Tasks),
        request: &str,
    ) -> Result<Arc<Session>, Reply> {
        let refused =
            |code, words: &str| reply::json(StatusCode::SERVICE_UNAVAILABLE, message::failure(request, code, words));
        let id = parked::random().map_err(|error| refused(message::INTERNAL, &error.to_string()))?;
        let session = Session::new(id.clone(), owner, (scope, tasks));
        let mut all = self.all();
        if all.len() >= self.most {
            let words = format!("there are {} sessions already; end one of them, or come back later", self.most);
            return Err(refused(message::TOO_MANY, &words));
        }
        all.insert(id, session.clone());
        Ok(session)
    }

    /// The session of that id, if it belongs to that client at that path.
    pub(super) fn find(&self, id: &str, credential: Credential, route: &Route) -> Option<Arc<Session>> {
        let session = self.all().get(id).filter(|session| session.belongs_to(credential, route)).cloned()?;
        session.touch();
        Some(session)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &Session) {
        let ended = self.all().remove(&session.id);
        drop(ended);
        session.end();
    }

    /// Ends sessions that do nothing.
    pub(super) fn tidy(&self) {
        let idle: Vec<Arc<Session>> = {
            let mut all = self.all();
            all.extract_if(|_, session| session.is_idle(self.idle)).map(|(_, session)| session).collect()
        };
        for session in idle {
            session.end();
        }
    }

    /// Tells all clients that wait for an answer why there will be none.
    pub(super) fn say_farewell(&self, words: &'static str) {
        let all: Vec<Arc<Session>> = self.all().values().cloned().collect();
        for session in all {
            session.peer.end_all(words);
        }
    }

    /// Ends all of them.
    pub(super) fn end_all(&self) {
        let all: Vec<Arc<Session>> = self.all().drain().map(|(_, session)| session).collect();
        for session in all {
            session.end();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Computer, ComputerConfig, front::http::token::Token};

    #[tokio::test]
    async fn a_session_is_found_by_its_own_client_at_its_own_path_alone() {
        let sessions = Sessions::new(&Limits::default());
        let scope = Scope::all(&Computer::new(ComputerConfig::new()));
        let credential = |text: &str| Credential(Some(Token::new(text)));
        let session = sessions.open((credential("a"), Route::All), (scope, Tasks::new()), "1").ok().unwrap();
        assert!(sessions.find(&session.id, credential("a"), &Route::All).is_some());
        let other = Route::One("files".parse().unwrap());
        assert!(sessions.find(&session.id, credential("a"), &other).is_none());
        assert!(sessions.find(&session.id, credential("b"), &Route::All).is_none());
        assert!(sessions.find(&session.id, Credential(None), &Route::All).is_none());
        sessions.end(&session);
        assert!(sessions.find(&session.id, credential("a"), &Route::All).is_none());
    }
}
