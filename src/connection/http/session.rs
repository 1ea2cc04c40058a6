//! Sessions of the older generations: begun again when the server has lost one, ended when we leave.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use reqwest::{Method, Response};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::timeout;

use super::{
    Carrier, DELIVERY, Talk,
    events::{Event, EventStream, Marks},
    post::{SESSION, posting_headers},
    receive::is_stream,
    site::Asked,
    trouble::{Refusal, Trouble, broken_off, said},
};
use crate::{
    connection::{link::Link, request},
    error::Error,
    raw::RawObject,
    wire::Envelope,
};

const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Ids of our own for requests that begin a session again: nobody else waits for their answers.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Carrier {
    /// Begins another session in the place of one that the server does not know any more. Whoever finds the same
    /// meanwhile waits for the same new one. The connection ends when it cannot be begun.
    pub(super) async fn renew(self: &Arc<Self>, link: &Arc<Link>, lost: &Arc<Talk>) -> Result<(), Trouble> {
        if !Arc::ptr_eq(&self.talk(), lost) {
            return Ok(());
        }
        let (carrier, link) = (self.clone(), link.clone());
        self.renewing
            .join(|| async move {
                let begun = timeout(link.options().connect_timeout, carrier.begin_again(&link)).await;
                let outcome = begun.unwrap_or_else(|_| Err(broken_off(&carrier.site, None)));
                if let Err(trouble) = &outcome {
                    carrier.end(&link, trouble.error().clone(), "lost its session and gave no other");
                }
                outcome
            })
            .await
    }

    async fn begin_again(self: &Arc<Self>, link: &Arc<Link>) -> Result<(), Trouble> {
        let strange =
            |reason: &str| Trouble::Strange(self.site.protocol(format!("it lost its session, and a new one {reason}")));
        let Some(hello) = self.state().hello.clone() else { return Err(strange("cannot be begun")) };
        let id = format!("\"again-{}\"", NEXT.fetch_add(1, Ordering::Relaxed));
        let hello = under_id(&hello, &id).ok_or_else(|| strange("cannot be begun"))?;
        let response = self.tell(&Talk::default(), hello).await?;
        if !response.status().is_success() {
            let refusal = Refusal::read(response).await;
            return Err(match refusal.trouble(&self.site) {
                Trouble::Strange(Error::Protocol { .. }) => {
                    strange(&format!("was refused: {}", said(refusal.status, &refusal.body)))
                }
                other => other,
            });
        }
        let session = response.headers().get(&SESSION).cloned();
        let answer = self.first_answer(link, response, &id).await?;
        let envelope = std::str::from_utf8(&answer).ok().and_then(Envelope::of);
        let result = envelope.and_then(|envelope| envelope.result).and_then(RawObject::parse);
        let Some(result) = result else { return Err(strange("was refused")) };
        let version = result.text("protocolVersion").and_then(|version| version.parse().ok());
        let talk = self.agree(Talk { session, version, ..Talk::default() });
        let told = timeout(DELIVERY, self.tell(&talk, INITIALIZED.to_vec())).await;
        told.map_err(|_| broken_off(&self.site, None))??;
        self.listen(link, &talk).await;
        // It has forgotten what it was told, and may have become another.
        link.spawn(request::subscribe_again(link.clone()));
        link.mark_changed();
        Ok(())
    }

    async fn tell(&self, talk: &Talk, line: Vec<u8>) -> Result<Response, Trouble> {
        let headers = posting_headers(talk);
        self.site.ask(&Asked { method: Method::POST, url: self.site.url.clone(), headers, body: Some(line) }).await
    }

    /// The answer to a request of that id, from JSON or from events.
    async fn first_answer(&self, link: &Link, response: Response, id: &str) -> Result<Vec<u8>, Trouble> {
        let limit = link.options().max_message;
        if !is_stream(&response) {
            return self.whole(link, response).await;
        }
        let mut stream = EventStream::new(response, limit, Marks::default());
        loop {
            match stream.next().await {
                Ok(Some(Event::Whole { data, .. })) => {
                    let envelope = std::str::from_utf8(&data).ok().and_then(Envelope::of);
                    if envelope.is_some_and(|of| of.method.is_none() && of.id.is_some_and(|of| of.get() == id)) {
                        return Ok(data);
                    }
                }
                Ok(Some(Event::TooLong(_))) => {}
                Ok(None) => return Err(broken_off(&self.site, None)),
                Err(error) => return Err(broken_off(&self.site, Some(error))),
            }
        }
    }

    /// Tells the server that the session is over.
    pub(super) async fn end_session(&self) {
        let talk = self.talk();
        talk.over.cancel();
        if talk.session.is_some() {
            let headers = talk.headers();
            let asked = Asked { method: Method::DELETE, url: self.site.url.clone(), headers, body: None };
            let _ = self.site.ask(&asked).await;
        }
    }
}

/// A request under another id.
fn under_id(line: &[u8], id: &str) -> Option<Vec<u8>> {
    let mut message: RawObject<'_> = serde_json::from_slice(line).ok()?;
    let id = RawValue::from_string(id.to_owned()).ok()?;
    message.set("id", &id);
    Some(to_raw_value(&message).ok()?.get().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_repeated_under_another_id_and_otherwise_as_it_was() {
        let line = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"a": 1.0}}"#;
        let again = under_id(line, "\"again-1\"").unwrap();
        let expected = r#"{"jsonrpc":"2.0","id":"again-1","method":"initialize","params":{"a": 1.0}}"#;
        assert_eq!(String::from_utf8(again).unwrap(), expected);
    }
}
