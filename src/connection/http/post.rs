//! Posting a message, and making sense of a response that is no success.

use std::sync::Arc;

use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    Carrier, Talk,
    letter::{Letter, What},
    receive::Posted,
    site::{Asked, Site},
    trouble::{Refusal, Trouble, said},
};
use crate::{
    connection::link::Link,
    error::{Delivery, Error},
    wire::Envelope,
};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

const INVALID_REQUEST: i64 = -32600;

impl Talk {
    /// The headers by which the server knows what was agreed on.
    pub(super) fn headers(&self) -> HeaderMap {
        let session = self.session.clone().map(|session| (SESSION, session));
        session.into_iter().chain(self.version.clone().map(|version| (VERSION, version))).collect()
    }
}

impl Carrier {
    /// Posts a message and takes what comes back. A session that the server has lost is begun again, once.
    pub(super) async fn post(self: &Arc<Self>, link: &Arc<Link>, letter: &Letter) -> Result<(), Trouble> {
        let mut renewed = false;
        loop {
            let talk = self.talk();
            let response = self.site.ask(&self.posting(letter, &talk)).await?;
            if response.status().is_success() {
                return self.receive(&Posted { link, letter, talk: &talk }, response).await;
            }
            let refusal = Refusal::read(response).await;
            if !talk.has_lost(&refusal) {
                return self.refused(&Posted { link, letter, talk: &talk }, &refusal);
            }
            if renewed {
                return Err(Trouble::Strange(lost_again(&self.site)));
            }
            self.renew(link, &talk).await?;
            renewed = true;
            if letter.is_of_its_session() {
                return Ok(());
            }
        }
    }

    fn posting(&self, letter: &Letter, talk: &Talk) -> Asked {
        let url = self.state().older.clone().unwrap_or_else(|| self.site.url.clone());
        let mut headers = posting_headers(talk);
        headers.extend(letter.headers.clone());
        Asked { method: Method::POST, url, headers, body: Some(letter.line.clone()) }
    }

    fn refused(self: &Arc<Self>, posted: &Posted<'_>, refusal: &Refusal) -> Result<(), Trouble> {
        let (letter, status) = (posted.letter, refusal.status.as_u16());
        let trouble = refusal.trouble(&self.site);
        if status == 401 {
            return Err(trouble);
        }
        let body = std::str::from_utf8(&refusal.body).ok().and_then(Envelope::of).filter(|of| of.error.is_some());
        let is_named = body.as_ref().is_some_and(|of| of.id.is_some_and(|of| Some(of.get()) == letter.id.as_deref()));
        // One that names no request, under a status that speaks of the server, says to a caller less than the status does.
        // To whoever wants a sign of life it is one.
        let error = is_named || (body.is_some() && !(letter.is_call && refusal.is_of_its_state()));
        match (&letter.what, &letter.id) {
            // One of an older generation does not know the question; `initialize` is tried next.
            (What::Discover(_), Some(id))
                if !error && refusal.status.is_client_error() && !matches!(status, 403 | 407 | 408 | 429) =>
            {
                let message = said(refusal.status, &refusal.body);
                posted.link.refuse(id, Error::Server { code: INVALID_REQUEST, message, data: None });
                Ok(())
            }
            (What::Hello, _) if refusal.is_of_older_transport() => {
                self.state().refused_hello = true;
                Err(trouble)
            }
            (_, Some(_)) if error => {
                self.hand(posted, refusal.body.clone());
                Ok(())
            }
            // Other credentials may be wanted for this one thing alone.
            (_, _) if status == 403 => Err(Trouble::Strange(trouble.error().clone())),
            (_, _) => Err(trouble),
        }
    }
}

impl Talk {
    /// Whether the server says that it does not know the session any more.
    pub(super) fn has_lost(&self, refusal: &Refusal) -> bool {
        let status = refusal.status.as_u16();
        self.session.is_some() && (status == 404 || (status == 400 && refusal.names_session()))
    }
}

/// The server has done nothing of what was asked, and may well do it later.
fn lost_again(site: &Site) -> Error {
    let reason = "it lost its session again as soon as it had a new one; call again, or restart the server";
    let (act, url, delivery) = ("calling".to_owned(), site.place(), Delivery::Refused);
    Error::Http { act, url, reason: reason.to_owned(), delivery }
}

/// The headers of every POST.
pub(super) fn posting_headers(talk: &Talk) -> HeaderMap {
    let mut headers = talk.headers();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}
