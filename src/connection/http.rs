//! The way to a server over HTTP: Streamable HTTP of every generation, and the older HTTP+SSE.

mod events;
mod flight;
mod headers;
mod letter;
mod older;
mod post;
mod receive;
mod session;
mod site;
mod stream;
mod trouble;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(super) use headers::complaint;
use letter::{Letter, What};
use reqwest::{Url, header::HeaderValue};
pub(crate) use site::{Helper, Printing, Site, Wary, place};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trouble::Trouble;

use super::{lane::Message, link::Link, request};
use crate::{
    error::{Error, Result},
    wire::Refused,
};

/// Hands messages to the server by POST. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(super) struct Lane(Arc<Carrier>);

/// What is known of the server, and what is on its way to it.
struct Carrier {
    site: Arc<Site>,
    link: OnceLock<Weak<Link>>,
    state: Mutex<State>,
    renewing: flight::Flight<Result<(), Trouble>>,
    /// Whether the server is being asked for a sign of life.
    checking: AtomicBool,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The last message that later ones wait for, until it is cancelled.
    before: Option<CancellationToken>,
    /// The requests that are on their way, by the JSON text of their id.
    posts: HashMap<String, CancellationToken>,
    talk: Arc<Talk>,
    /// How many answers to its questions are on their way.
    answers: usize,
    /// The request that began the session, for beginning another.
    hello: Option<Arc<[u8]>>,
    /// Where messages go on the older transport.
    older: Option<Url>,
    /// What ended the connection.
    failure: Option<Error>,
    /// Whether the server does not know how to begin a session, so that it may be one of the older transport.
    refused_hello: bool,
}

/// What was agreed with the server.
#[derive(Default)]
struct Talk {
    session: Option<HeaderValue>,
    version: Option<HeaderValue>,
    /// Cancelled when there is another.
    over: CancellationToken,
}

/// When a message goes out.
struct Turn {
    before: Option<CancellationToken>,
    done: Option<CancellationToken>,
    taken_back: CancellationToken,
}

/// How many answers may be on their way to a server that asks faster than it takes them.
const ANSWERS: usize = 64;

/// How long a message waits for one that has to be delivered before it.
const TURN: Duration = Duration::from_secs(5);

/// How long a message that is not answered may take to be delivered.
const DELIVERY: Duration = Duration::from_secs(30);

/// How long telling that a call is taken back, or that we leave, may take.
const FAREWELL: Duration = Duration::from_secs(2);

impl Lane {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self(Arc::new(Carrier {
            site,
            link: OnceLock::new(),
            state: Mutex::default(),
            renewing: flight::Flight::default(),
            checking: AtomicBool::new(false),
        }))
    }

    /// Says whose messages these are.
    pub(super) fn bind(&self, link: &Arc<Link>) {
        let _ = self.0.link.set(Arc::downgrade(link));
    }

    /// Hands a message over without waiting.
    pub(super) fn send(&self, message: &Message<'_>) -> Result<(), Refused> {
        let Some(link) = self.0.link.get().and_then(Weak::upgrade) else { return Err(Refused::Closed) };
        let letter = Letter::new(&link, message);
        if matches!(letter.what, What::Answer) && self.0.state().answers >= ANSWERS {
            link.note("it asks faster than it takes answers, some of which were left out");
            return Ok(());
        }
        let turn = self.0.queue(&letter).ok_or(Refused::Closed)?;
        link.spawn(self.0.clone().deliver(link.clone(), letter, turn));
        Ok(())
    }

    pub(super) fn close(&self) {
        self.0.state().closed = true;
    }

    /// Opens the stream of the older transport, and learns where messages go.
    pub(super) async fn open_older(&self, link: &Arc<Link>) -> Result<()> {
        self.0.open_older(link).await.map_err(|trouble| trouble.error().clone())
    }

    /// Tells the server that the session is over, if there is one.
    pub(super) fn leave(&self) -> impl Future<Output = ()> + use<> {
        let carrier = self.0.clone();
        async move {
            let reachable = carrier.state().failure.is_none();
            if reachable {
                // A server that does not want to know has nothing to lose.
                let _ = timeout(FAREWELL, carrier.end_session()).await;
            }
        }
    }

    /// What ended the connection.
    pub(super) fn failure(&self) -> Option<Error> {
        self.0.state().failure.clone()
    }

    /// Whether the server answered the first request of a session as one of the older transport does.
    pub(super) fn refused_hello(&self) -> bool {
        self.0.state().refused_hello
    }
}

impl Carrier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn talk(&self) -> Arc<Talk> {
        self.state().talk.clone()
    }

    /// Begins to keep to what was agreed on; what was agreed on before is over.
    fn agree(&self, talk: Talk) -> Arc<Talk> {
        let talk = Arc::new(talk);
        std::mem::replace(&mut self.state().talk, talk.clone()).over.cancel();
        talk
    }

    /// Gives a message its turn; none when nothing goes out any more.
    fn queue(&self, letter: &Letter) -> Option<Turn> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let before = state.before.clone().filter(|before| !before.is_cancelled());
        let done = letter.comes_first().then(CancellationToken::new);
        if done.is_some() {
            state.before.clone_from(&done);
        }
        let taken_back = CancellationToken::new();
        if let Some(id) = &letter.id {
            state.posts.insert(id.clone(), taken_back.clone());
        }
        match &letter.what {
            What::Discover(version) => {
                state.talk = Arc::new(Talk { version: version.clone(), ..Talk::default() });
            }
            What::Hello => {
                state.talk = Arc::default();
                state.hello = Some(letter.line.as_slice().into());
            }
            What::Answer => state.answers += 1,
            What::Initialized | What::Cancelled(_) | What::Other => {}
        }
        Some(Turn { before, done, taken_back })
    }

    async fn deliver(self: Arc<Self>, link: Arc<Link>, letter: Letter, turn: Turn) {
        let Turn { before, done, taken_back } = turn;
        let _done = done.map(CancellationToken::drop_guard);
        if let Some(before) = before {
            let _ = timeout(TURN, before.cancelled()).await;
        }
        if let What::Cancelled(of) = &letter.what {
            if !link.is_modern() {
                let _ = timeout(FAREWELL, self.post(&link, &letter)).await;
            }
            // To a server of the new generation this is what says it.
            if let Some(post) = of.as_ref().and_then(|of| self.state().posts.remove(of)) {
                post.cancel();
            }
            return;
        }
        let posted = async {
            match letter.id {
                Some(_) => self.post(&link, &letter).await,
                None => timeout(DELIVERY, self.post(&link, &letter)).await.unwrap_or(Ok(())),
            }
        };
        let outcome = taken_back.run_until_cancelled(posted).await;
        if let Some(id) = &letter.id {
            self.state().posts.remove(id);
        }
        if matches!(letter.what, What::Answer) {
            self.state().answers -= 1;
        }
        if let Some(Err(trouble)) = outcome {
            self.fail(&link, &letter, &trouble);
        }
    }

    /// A message has come to nothing: whoever waits for its answer is told, and the connection ends if it is its fault.
    fn fail(self: &Arc<Self>, link: &Arc<Link>, letter: &Letter, trouble: &Trouble) {
        let error = trouble.error().clone();
        let how = match trouble {
            Trouble::Unreachable(_) => Some("cannot be reached any more"),
            Trouble::Unauthorized(_) => Some("does not take our credentials"),
            // Hands cannot be shaken with a server that does not answer.
            Trouble::Lost(_) | Trouble::Strange(_) if letter.id.is_some() && !link.is_up() => Some("did not answer"),
            Trouble::Lost(_) | Trouble::Strange(_) => None,
        };
        // Whoever sends it again must find the connection ended, and not fail with the others either.
        let waiting = letter.number.and_then(|number| link.forget(number));
        if let Some(how) = how {
            self.end(link, error.clone(), how);
        }
        match (waiting, &letter.id) {
            (Some(waiting), _) => {
                let _ = waiting.reply.send(Err(error));
            }
            (None, Some(id)) => link.refuse(id, error),
            (None, None) => tracing::debug!(%error, "a message to a server was not delivered"),
        }
        if matches!(trouble, Trouble::Lost(_)) {
            self.check(link);
        }
    }

    /// Ends the connection.
    fn end(&self, link: &Link, error: Error, how: &str) {
        self.state().failure.get_or_insert(error);
        link.mark_ended(how);
    }

    /// Looks whether the server is still there: when it is not, the connection ends.
    fn check(self: &Arc<Self>, link: &Arc<Link>) {
        if !link.is_up() || self.checking.swap(true, Ordering::AcqRel) {
            return;
        }
        let (carrier, asked) = (self.clone(), link.clone());
        link.spawn(async move {
            let _ = request::probe(asked, request::PROBE).await;
            carrier.checking.store(false, Ordering::Release);
        });
    }
}
