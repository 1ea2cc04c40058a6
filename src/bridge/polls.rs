//! Clients of SockJS that have no WebSocket: they poll for what there is, and send what they say by requests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{StatusCode, body::Incoming};
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep},
};

use super::{
    answer,
    chat::Chat,
    desk::Desk,
    outbox::{Closed, Outbox},
    route::Framing,
};
use crate::front::http::{Reply, intake, reply};

/// The clients that poll, by the names that they have given themselves.
#[derive(Default)]
pub(super) struct Polls(Mutex<HashMap<String, Arc<Poller>>>);

/// A client that polls.
struct Poller {
    out: Arc<Outbox>,
    say: mpsc::Sender<String>,
    /// Taken by the request that listens.
    ear: Arc<Semaphore>,
    /// When a request has listened last.
    heard: Mutex<Instant>,
}

/// A client that nobody listens for has gone after so long; what servers of SockJS do.
const GONE: Duration = Duration::from_secs(5);

/// So many messages of a client may wait.
const UNHEARD: usize = 16;

/// A client that listens: for its time nobody else does.
struct Ear {
    poller: Arc<Poller>,
    _ear: OwnedSemaphorePermit,
}

impl Drop for Ear {
    fn drop(&mut self) {
        *self.poller.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Polls {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Poller>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the connection of that name, or says what there is for it as soon as there is something.
pub(super) async fn poll(desk: &Arc<Desk>, name: &str) -> Result<Reply, Reply> {
    let Some(poller) = known_or_opened(desk, name)? else { return Ok(answer::frame("o".to_owned())) };
    let Ok(ear) = poller.ear.clone().try_acquire_owned() else {
        return Ok(answer::frame(closed(2010, "Another connection still open")));
    };
    let ear = Ear { poller, _ear: ear };
    let heard = tokio::select! {
        heard = ear.poller.out.next() => heard,
        () = sleep(desk.bridge.options.heartbeat) => return Ok(answer::frame("h".to_owned())),
        () = desk.tasks.leaving.cancelled() => Err(Closed::Gone),
    };
    Ok(answer::frame(match heard {
        Ok(message) => Framing::SockJs.write(message),
        Err(Closed::Gone) => closed(3000, "Go away!"),
        Err(Closed::Full) => closed(1008, "what waits to be read is too much"),
    }))
}

fn closed(code: u16, reason: &str) -> String {
    format!("c{}", json!([code, reason]))
}

/// The client of that name, unless it is opened only now.
fn known_or_opened(desk: &Arc<Desk>, name: &str) -> Result<Option<Arc<Poller>>, Reply> {
    let mut all = desk.polls.all();
    if let Some(poller) = all.get(name) {
        return Ok(Some(poller.clone()));
    }
    let place = desk.place()?;
    let out = Arc::new(Outbox::new(desk.bridge.options.waiting));
    let (say, said) = mpsc::channel(UNHEARD);
    let poller = Poller { out: out.clone(), say, ear: Arc::new(Semaphore::new(1)), heard: Mutex::new(Instant::now()) };
    let poller = Arc::new(poller);
    all.insert(name.to_owned(), poller.clone());
    desk.tasks.spawn(Chat::new(desk.clone(), out, place).run(said));
    desk.tasks.spawn(keep(desk.clone(), name.to_owned(), poller));
    Ok(None)
}

/// Keeps a client for as long as requests come for it.
async fn keep(desk: Arc<Desk>, name: String, poller: Arc<Poller>) {
    let gone = async {
        loop {
            sleep(GONE).await;
            let heard = *poller.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if poller.ear.available_permits() > 0 && heard.elapsed() >= GONE {
                return;
            }
        }
    };
    let _ = desk.tasks.leaving.run_until_cancelled(gone).await;
    desk.polls.all().remove(&name);
    poller.out.close(Closed::Gone);
}

/// Takes what a client says.
pub(super) async fn send(desk: &Desk, name: &str, body: Incoming) -> Result<Reply, Reply> {
    let Some(say) = desk.polls.all().get(name).map(|poller| poller.say.clone()) else {
        return Err(reply::refused(StatusCode::NOT_FOUND, "there is no such connection; it is opened by `xhr`"));
    };
    let text = intake::text(body, &desk.limits).await?;
    let broken = || reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "a body is a JSON list of texts");
    if text.is_empty() {
        return Err(broken());
    }
    for message in Framing::SockJs.read(&text).map_err(|_| broken())? {
        if say.send(message.into_owned()).await.is_err() {
            break;
        }
    }
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
