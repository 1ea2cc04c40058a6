//! A server's place: what every request to it carries, and how one is made.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{CONNECTION, HeaderMap, LOCATION},
};
use tokio::time::Instant;

use super::{
    flight::Flight,
    trouble::{Trouble, failed},
};
use crate::{
    error::{Error, Result},
    secret::Secrets,
    source::Waiting,
};

/// Where a server is, and what it is given. It outlives connections.
pub(crate) struct Site {
    pub(crate) url: Url,
    pub(crate) client: Client,
    /// The variable that names a proxy on the way to it.
    pub(crate) proxy: Option<String>,
    /// What goes with every request to this origin, and to no other.
    pub(crate) headers: HeaderMap,
    /// Where further headers come from.
    pub(crate) helper: Option<Helper>,
    /// The headers that hold credentials and where those come from, in words for whoever has to renew them.
    pub(crate) credentials: Option<String>,
    /// What errors must not show.
    pub(crate) secrets: Secrets,
    pub(crate) wary: Wary,
}

/// Whether connections are used once only.
///
/// Some servers close a connection that they have just said nothing about. A request that meets such a close on its way
/// is lost, and may not be made again, since nobody knows whether it was read: but those after it need not meet one.
#[derive(Debug, Default)]
pub(crate) struct Wary(Mutex<Option<Instant>>);

/// For how long after a request was lost.
const WARY: Duration = Duration::from_secs(60);

impl Wary {
    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_on(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() < WARY)
    }
}

/// Runs a program that prints headers.
pub(crate) type Printing = Arc<dyn Fn() -> Waiting<HeaderMap> + Send + Sync>;

/// Headers that a program prints: kept until the server no longer takes them.
pub(crate) struct Helper {
    print: Printing,
    /// What it printed last, and for the how many-eth time.
    printed: Mutex<(u64, HeaderMap)>,
    running: Flight<Result<()>>,
}

impl Helper {
    /// With what it has printed at first.
    pub(crate) fn new(print: Printing, printed: HeaderMap) -> Self {
        Self { print, printed: Mutex::new((0, printed)), running: Flight::default() }
    }

    fn printed(&self) -> (u64, HeaderMap) {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs the program, unless that was done since `seen`.
    async fn again(this: &Arc<Site>, seen: u64) -> Result<()> {
        let Some(helper) = &this.helper else { return Ok(()) };
        if helper.printed().0 != seen {
            return Ok(());
        }
        let site = this.clone();
        let work = || async move {
            let Some(helper) = &site.helper else { return Ok(()) };
            let headers = (helper.print)().await?;
            let mut printed = helper.printed.lock().unwrap_or_else(PoisonError::into_inner);
            *printed = (printed.0 + 1, headers);
            Ok(())
        };
        helper.running.join(work).await
    }
}

/// A request as it is made.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

/// After so many redirects it is no way any more.
const REDIRECTS: usize = 5;

impl Site {
    /// The address without what may be secret in it.
    pub(crate) fn place(&self) -> String {
        place(&self.url)
    }

    /// Makes a request. Credentials that a program prints are renewed once when the server does not take them.
    pub(super) async fn ask(self: &Arc<Self>, asked: &Asked) -> Result<Response, Trouble> {
        let seen = self.helper.as_ref().map(|helper| helper.printed().0);
        let response = self.follow(asked).await?;
        if let (Some(seen), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) = (seen, response.status()) {
            drop(response);
            Helper::again(self, seen).await.map_err(Trouble::Strange)?;
            return self.follow(asked).await;
        }
        Ok(response)
    }

    /// Makes a request and follows redirects within the origin.
    async fn follow(&self, asked: &Asked) -> Result<Response, Trouble> {
        let mut url = asked.url.clone();
        let mut seen = vec![url.clone()];
        loop {
            let response = self.send(asked, &url).await?;
            let status = response.status();
            let kept = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            let moved = matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER);
            if !kept && !moved {
                return Ok(response);
            }
            let Some(next) = response.headers().get(LOCATION) else { return Ok(response) };
            let next = std::str::from_utf8(next.as_bytes()).ok().and_then(|next| url.join(next).ok());
            let strange = |reason: String| Trouble::Strange(self.protocol(reason));
            let Some(next) = next else {
                return Err(strange(format!("{} redirects to what is no URL; correct `url`", place(&url))));
            };
            let (from, to) = (place(&url), place(&next));
            if next.origin() != url.origin() {
                return Err(strange(format!(
                    "{from} redirects to {to}, which is another origin; if that is where the server is, set `url` to it"
                )));
            }
            if moved && asked.method != Method::GET {
                return Err(strange(format!("{from} has moved to {to} ({status}); set `url` to that")));
            }
            if seen.contains(&next) {
                return Err(strange(format!("{from} redirects in a circle, to {to} again; correct `url`")));
            }
            if seen.len() > REDIRECTS {
                return Err(strange(format!("{from} redirects to {to}, the {}th time in a row", seen.len())));
            }
            seen.push(next.clone());
            url = next;
        }
    }

    async fn send(&self, asked: &Asked, url: &Url) -> Result<Response, Trouble> {
        let mut headers = self.headers.clone();
        let printed = self.helper.as_ref().map(|helper| helper.printed().1).unwrap_or_default();
        // Ours come last: what the protocol needs is not for configurations to change.
        for more in [printed, asked.headers.clone()] {
            for (name, value) in &more {
                headers.insert(name, value.clone());
            }
        }
        let mut request = self.client.request(asked.method.clone(), url.clone()).headers(headers);
        if let Some(body) = &asked.body {
            request = request.body(body.clone());
        }
        if self.wary.is_on() {
            request = request.header(CONNECTION, "close");
        }
        request.send().await.map_err(|error| {
            let trouble = failed(self, error);
            if matches!(trouble, Trouble::Lost(_)) {
                self.wary.begin();
            }
            trouble
        })
    }

    /// An error that says what the server does instead of what it must.
    pub(super) fn protocol(&self, reason: String) -> Error {
        let act = format!("talking to {}", self.place());
        self.mask(Error::Protocol { act, reason, stderr: String::new() })
    }

    /// The error without what must not be seen: what a program has printed since the start is not among the secrets
    /// that were known then.
    pub(super) fn mask(&self, error: Error) -> Error {
        let printed = self.helper.as_ref().map(|helper| helper.printed().1).unwrap_or_default();
        let values = printed.values().filter_map(|value| value.to_str().ok());
        let values = values.flat_map(|value| [Some(value), value.split_once(' ').map(|(_, bare)| bare)]);
        let printed = Secrets::new(values.flatten().map(ToOwned::to_owned));
        printed.mask_error(self.secrets.mask_error(error))
    }
}

/// An address without what may be secret in it.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}
