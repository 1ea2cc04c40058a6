//! The older HTTP+SSE transport: one stream for all that the server says, and an address where messages go.

use std::sync::Arc;

use reqwest::{Method, Url};

use super::{
    Carrier, Talk,
    events::{Event, EventStream, Marks},
    receive::{is_stream, on_one_line},
    site::{Asked, place},
    stream::listening_headers,
    trouble::{Refusal, Trouble, broken_off, strange_content},
};
use crate::{
    connection::{link::Link, reader},
    error::{Delivery, Error},
};

/// After so many messages beyond the limit in a row, it is no connection any more.
const TOO_LONG_LIMIT: u32 = 3;

impl Carrier {
    /// Opens the stream and waits until it says where messages go.
    pub(super) async fn open_older(self: &Arc<Self>, link: &Arc<Link>) -> Result<(), Trouble> {
        let headers = listening_headers(&Talk::default(), &Marks::default());
        let asked = Asked { method: Method::GET, url: self.site.url.clone(), headers, body: None };
        let response = self.site.ask(&asked).await?;
        if !is_stream(&response) {
            let refusal = Refusal::read(response).await;
            return Err(if refusal.status.is_success() {
                strange_content(&self.site, &refusal.headers, (refusal.status, &refusal.body))
            } else {
                refusal.trouble(&self.site)
            });
        }
        let mut stream = EventStream::new(response, link.options().max_message, Marks::default());
        let endpoint = loop {
            match stream.next().await {
                Ok(Some(Event::Whole { name, data })) if name == "endpoint" => break data,
                Ok(Some(_)) => {}
                Ok(None) => return Err(broken_off(&self.site, None)),
                Err(error) => return Err(broken_off(&self.site, Some(error))),
            }
        };
        let endpoint = self.endpoint(&endpoint)?;
        self.state().older = Some(endpoint);
        link.note("it speaks the older HTTP+SSE transport, which is going away");
        link.spawn(self.clone().read_older(link.clone(), stream));
        Ok(())
    }

    fn endpoint(&self, said: &[u8]) -> Result<Url, Trouble> {
        let strange = |reason: String| Trouble::Strange(self.site.protocol(reason));
        let endpoint = std::str::from_utf8(said).ok().and_then(|said| self.site.url.join(said.trim()).ok());
        let Some(endpoint) = endpoint else { return Err(strange("its `endpoint` is no URL".to_owned())) };
        if endpoint.origin() != self.site.url.origin() {
            let to = place(&endpoint);
            return Err(strange(format!(
                "it wants messages sent to {to}, which is another origin: that is refused, since they may hold \
                 credentials; if the server knows itself by that address, give it as `url`"
            )));
        }
        Ok(endpoint)
    }

    async fn read_older(self: Arc<Self>, link: Arc<Link>, mut stream: EventStream) {
        let mut too_long = 0;
        let how = loop {
            match stream.next().await {
                Ok(Some(Event::Whole { name, data })) if name == "message" => {
                    too_long = 0;
                    if reader::take(&link, on_one_line(data), None).is_break() {
                        break "lost its session".to_owned();
                    }
                }
                Ok(Some(Event::Whole { .. })) => {}
                Ok(Some(Event::TooLong(head))) => {
                    too_long += 1;
                    reader::skip(&link, &head);
                    if too_long == TOO_LONG_LIMIT {
                        break format!("sent {TOO_LONG_LIMIT} messages that are too large in a row");
                    }
                }
                Ok(None) | Err(_) => break "closed its event stream".to_owned(),
            }
        };
        let reason = format!("the server {how}; call again");
        let error =
            Error::Http { act: "listening to".to_owned(), url: self.site.place(), reason, delivery: Delivery::Unknown };
        self.end(&link, error, &how);
    }
}
