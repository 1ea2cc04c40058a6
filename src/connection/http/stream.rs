//! The stream on which a server of the older generations says what belongs to no request.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use reqwest::{
    Method,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Carrier, Talk,
    events::{Event, EventStream, Marks},
    receive::{LONGEST_PAUSE, is_stream, on_one_line},
    site::Asked,
    trouble::{Refusal, Trouble},
};
use crate::connection::{link::Link, reader};

const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// The pause before a stream that ended is opened again: first, and at most when it ends again and again.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// How long everything else waits for the stream: some servers say nothing before they have something to say.
const OPENING: Duration = Duration::from_millis(500);

/// A stream that has lived for so long has not failed.
const STEADY: Duration = Duration::from_secs(5);

/// The headers with which a stream is opened.
pub(super) fn listening_headers(talk: &Talk, marks: &Marks) -> HeaderMap {
    let mut headers = talk.headers();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = marks.last_id.as_deref().and_then(|id| HeaderValue::from_bytes(id).ok()) {
        headers.insert(LAST_EVENT, last);
    }
    headers
}

impl Carrier {
    /// Begins to listen, for as long as the session is what it is; returns when the server listens too, or does not
    /// want to.
    ///
    /// Some servers put their questions about a call on this stream, and drop them when it is not there.
    pub(super) async fn listen(self: &Arc<Self>, link: &Arc<Link>, talk: &Arc<Talk>) {
        let opened = CancellationToken::new();
        let listening = self.clone().listening((link.clone(), talk.clone()), opened.clone().drop_guard());
        link.spawn(listening);
        let _ = timeout(OPENING, opened.cancelled()).await;
    }

    fn listening(self: Arc<Self>, (link, talk): (Arc<Link>, Arc<Talk>), opened: DropGuard) -> BoxFuture<'static, ()> {
        // Boxed because it may begin a session, which begins to listen.
        Box::pin(async move {
            talk.over.run_until_cancelled(self.keep_listening(&link, &talk, opened)).await;
        })
    }

    async fn keep_listening(self: &Arc<Self>, link: &Arc<Link>, talk: &Arc<Talk>, opened: DropGuard) {
        let mut opening = Some(opened);
        let (mut marks, mut pause, mut opened) = (Marks::default(), FIRST, false);
        loop {
            let headers = listening_headers(talk, &marks);
            let asked = Asked { method: Method::GET, url: self.site.url.clone(), headers, body: None };
            let begin = Instant::now();
            let answered = self.site.ask(&asked).await;
            drop(opening.take());
            match answered {
                Ok(response) if is_stream(&response) => {
                    if opened && marks.last_id.is_none() {
                        // What was said meanwhile, nobody has told us.
                        link.mark_changed();
                    }
                    opened = true;
                    let stream = EventStream::new(response, link.options().max_message, marks);
                    marks = read(link, stream).await;
                }
                Ok(response) => {
                    let refusal = Refusal::read(response).await;
                    // Only what knew it before can have lost it: many servers have no such stream.
                    if opened && talk.has_lost(&refusal) {
                        let (carrier, again, lost) = (self.clone(), link.clone(), talk.clone());
                        link.spawn(async move {
                            // A session that cannot be begun again ends the connection, which says so.
                            let _ = carrier.renew(&again, &lost).await;
                        });
                        return;
                    }
                    if !refusal.status.is_server_error() {
                        return;
                    }
                }
                Err(Trouble::Unreachable(error)) => return self.end(link, error, "cannot be reached any more"),
                Err(Trouble::Lost(_)) => {}
                Err(Trouble::Unauthorized(_) | Trouble::Strange(_)) => return,
            }
            pause = if begin.elapsed() > STEADY { FIRST } else { (pause * 2).min(LONGEST) };
            sleep(marks.retry.map_or(pause, |retry| retry.clamp(FIRST, LONGEST_PAUSE))).await;
        }
    }
}

/// Passes on what a stream says until it ends; where it has got to.
async fn read(link: &Arc<Link>, mut stream: EventStream) -> Marks {
    // However it ends, it is opened again.
    while let Ok(Some(event)) = stream.next().await {
        match event {
            Event::Whole { data, .. } => {
                if reader::take(link, on_one_line(data), None).is_break() {
                    break;
                }
            }
            Event::TooLong(head) => reader::skip(link, &head),
        }
    }
    stream.marks().clone()
}
