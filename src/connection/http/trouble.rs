//! What can go wrong with a request, in words that name the act, the thing and the cure.

use std::time::Duration;

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tokio::time::timeout;

use super::site::{Site, place};
use crate::{
    error::{Delivery, Error},
    raw::RawObject,
    wire::Envelope,
};

/// Why a message has no answer.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// It has certainly not been sent: nobody is there.
    Unreachable(Error),
    /// It may have been read, and the connection is gone.
    Lost(Error),
    /// The server wants other credentials.
    Unauthorized(Error),
    /// The server answers what it must not. Others are unharmed.
    Strange(Error),
}

impl Trouble {
    pub(super) fn error(&self) -> &Error {
        match self {
            Self::Unreachable(error) | Self::Lost(error) | Self::Unauthorized(error) | Self::Strange(error) => error,
        }
    }
}

/// What came of a request that had no answer at all.
pub(super) fn failed(site: &Site, error: reqwest::Error) -> Trouble {
    if let Some(how) = no_http(&error) {
        return Trouble::Strange(site.protocol(how));
    }
    let unsent = error.is_connect() || error.is_builder();
    let late = error.is_timeout();
    let root = root_cause(&error.without_url());
    let (act, reason) = match (unsent, late) {
        (true, true) => {
            ("connecting to", "nobody answers there; is the address right, and no firewall between?".into())
        }
        (true, false) => {
            let way = site.proxy.as_ref().map(|name| format!(" (through the proxy that `{name}` names)"));
            ("connecting to", format!("{root}{}; {}", way.unwrap_or_default(), cure(&root)))
        }
        (false, _) => (
            "calling",
            format!("the connection was lost before the answer ({root}); see what it has done before you call again"),
        ),
    };
    let delivery = if unsent { Delivery::Unsent } else { Delivery::Unknown };
    let error = Error::Http { act: act.to_owned(), url: site.place(), reason, delivery };
    let error = site.mask(error);
    if unsent { Trouble::Unreachable(error) } else { Trouble::Lost(error) }
}

/// Why what was answered is no HTTP, if it is none.
fn no_http(error: &reqwest::Error) -> Option<String> {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let hyper = causes.into_iter().find_map(|cause| cause.downcast_ref::<hyper::Error>())?;
    if hyper.is_parse_too_large() {
        let words = "the headers of its answer have no end, or are far too many; is there an MCP server at this `url`?";
        return Some(words.to_owned());
    }
    hyper.is_parse().then(|| format!("what answers there does not speak HTTP ({hyper}); is its `url` right?"))
}

/// The connection broke while an answer was being read.
pub(super) fn broken_off(site: &Site, error: Option<reqwest::Error>) -> Trouble {
    let how = error.map_or_else(|| "it was closed".to_owned(), |error| root_cause(&error.without_url()));
    let reason =
        format!("the connection was lost before the answer ({how}); see what it has done before you call again");
    Trouble::Lost(Error::Http { act: "calling".to_owned(), url: site.place(), reason, delivery: Delivery::Unknown })
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn cure(cause: &str) -> &'static str {
    let cause = cause.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if has(&["not valid for name", "notvalidforname"]) {
        "its certificate is for another name; is the host in `url` the one that it was made for?"
    } else if has(&["certificate"]) {
        "if the certificate is what it should be, name its authority in SSL_CERT_FILE"
    } else if has(&["corrupt message", "invalidcontenttype"]) {
        "it does not speak TLS; is its `url` one with http://?"
    } else if has(&["lookup", "dns", "resolve"]) {
        "is the name in `url` right?"
    } else if has(&["tunnel", "proxy", "socks"]) {
        "is the proxy of the environment right (HTTPS_PROXY, ALL_PROXY, NO_PROXY)?"
    } else {
        "is the server running, and is `url` right?"
    }
}

/// A response that is no success, read.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// How much of such a response is read, and for how long.
const BODY: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

impl Refusal {
    pub(super) async fn read(mut response: Response) -> Self {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk[..chunk.len().min(BODY - body.len())]);
                if body.len() == BODY {
                    break;
                }
            }
        };
        // What has come so far tells enough.
        let _ = timeout(PATIENCE, reading).await;
        Self { status, headers, body }
    }

    /// Whether the body says that a session is not known.
    pub(super) fn names_session(&self) -> bool {
        memchr::memmem::find(&self.body.to_ascii_lowercase(), b"session").is_some()
    }

    /// Whether a server that speaks the older transport alone answers like this.
    pub(super) fn is_of_older_transport(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 404 | 405 | 406)
    }

    /// Whether the status speaks of the server and not of what it was asked.
    pub(super) fn is_of_its_state(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 500..)
    }

    /// The status and what came with it: the words of an error, else the beginning of whatever it is.
    fn said(&self) -> String {
        let body = std::str::from_utf8(&self.body).ok().and_then(Envelope::of);
        let error = body.and_then(|of| of.error).and_then(RawObject::parse);
        let words = error.and_then(|error| Some((error.text("message")?, error.get("code")?)));
        match words {
            Some((words, code)) => {
                let (status, words, code) = (self.status, shown(words.as_bytes()), shown(code.get().as_bytes()));
                format!("the server answered {status} with the error {code}: `{words}`")
            }
            None => said(self.status, &self.body),
        }
    }

    /// What is wrong, in words.
    pub(super) fn trouble(&self, site: &Site) -> Trouble {
        let said = self.said();
        match self.status.as_u16() {
            401 | 403 => Trouble::Unauthorized(self.wants_credentials(site)),
            status if self.is_of_its_state() => {
                let again = self.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok());
                let again = again.map_or_else(
                    || "call again later".to_owned(),
                    |after| format!("it says when to call again: `Retry-After: {}`", shown(after.as_bytes())),
                );
                let again = if status == 429 { format!("it is called too often, {again}") } else { again };
                let reason = format!("{said}; {again}");
                let delivery = Delivery::Refused;
                let error = Error::Http { act: "calling".to_owned(), url: site.place(), reason, delivery };
                Trouble::Strange(site.mask(error))
            }
            407 => Trouble::Strange(site.protocol(format!(
                "{said}; the proxy wants credentials: write them into HTTP_PROXY as http://user:password@host"
            ))),
            404 | 405 => Trouble::Strange(
                site.protocol(format!("{said}; is there an MCP server at this `url`? Many have theirs at /mcp")),
            ),
            _ => Trouble::Strange(site.protocol(said)),
        }
    }

    fn wants_credentials(&self, site: &Site) -> Error {
        let said = self.said();
        let challenge = self.headers.get(WWW_AUTHENTICATE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let scheme = challenge.as_deref().and_then(|value| value.split_whitespace().next());
        let scheme = scheme.map(|scheme| format!(", it asks for `{}`", shown(scheme.as_bytes()))).unwrap_or_default();
        let metadata = challenge.as_deref().and_then(|value| parameter(value, "resource_metadata"));
        let metadata = metadata.map(|url| format!(", and says how at {}", shown(url.as_bytes()))).unwrap_or_default();
        let cure = match (&site.credentials, &site.helper) {
            (Some(sent), _) => format!("it does not take {sent}; renew that"),
            (None, Some(_)) => "it does not take what `headersHelper` prints; look what that is".to_owned(),
            (None, None) => {
                "give the entry a header such as `\"headers\": { \"Authorization\": \"Bearer ${env:TOKEN}\" }`, \
                or a program that prints some as `headersHelper`"
                    .to_owned()
            }
        };
        let again = match self.status.as_u16() {
            401 => "the entry is tried again by itself, unless its `restart` is `never`",
            _ => "then call again, or restart the entry if it is down",
        };
        let cure = format!("{said}{scheme}{metadata}; {cure}; {again}");
        site.mask(Error::NeedsAuth { url: place(&site.url), cure })
    }
}

/// A success that holds what it must not.
pub(super) fn strange_content(site: &Site, headers: &HeaderMap, (status, body): (StatusCode, &[u8])) -> Trouble {
    let kind = headers.get(CONTENT_TYPE).map(|kind| shown(kind.as_bytes()));
    if let Some(coding) = headers.get(CONTENT_ENCODING).filter(|_| !body.is_empty()) {
        let coding = shown(coding.as_bytes());
        return Trouble::Strange(site.protocol(format!(
            "its answer is encoded as `{coding}`, which nobody has asked for; look what the server, or a proxy before it, does"
        )));
    }
    let said = said(status, body);
    let what = match kind {
        _ if body.is_empty() => {
            return Trouble::Strange(site.protocol(format!(
                "{said}, where an answer must be; this is a fault of the server, or of what stands before it"
            )));
        }
        Some(kind) => format!("{said}, which is `{kind}`"),
        None => format!("{said}, which does not say what it is"),
    };
    Trouble::Strange(site.protocol(format!(
        "{what}, where JSON-RPC must be; is there an MCP server at this `url`? Many have theirs at /mcp"
    )))
}

/// A status and the beginning of what came with it.
pub(super) fn said(status: StatusCode, body: &[u8]) -> String {
    let body = shown(body);
    if body.is_empty() {
        format!("the server answered {status} and nothing else")
    } else {
        format!("the server answered {status}: `{body}`")
    }
}

/// The beginning of a text, on one line and without anything that a terminal would obey.
pub(super) fn shown(text: &[u8]) -> String {
    const LONGEST: usize = 160;
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * LONGEST)]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = words.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    shown = shown.replace("\\\"", "\"").replace("\\'", "'");
    if words.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

/// A parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let after = &challenge[challenge.find(&format!("{name}="))? + name.len() + 1..];
    match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => after.split([',', ' ']).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_shown_short_on_one_line_and_harmless() {
        assert_eq!(shown(b" <html>\n\t<b>\"hi\"</b>\x1b[31m "), "<html> <b>\"hi\"</b>\\u{1b}[31m");
        assert_eq!(shown("ü".repeat(500).as_bytes()), "ü".repeat(160) + "…");
        assert_eq!(said(StatusCode::OK, b""), "the server answered 200 OK and nothing else");
    }

    #[test]
    fn a_challenge_is_read() {
        let challenge = r#"Bearer error="invalid_token", resource_metadata="https://x.test/a b", scope=c"#;
        assert_eq!(parameter(challenge, "resource_metadata"), Some("https://x.test/a b"));
        assert_eq!(parameter(challenge, "scope"), Some("c"));
        assert_eq!(parameter(challenge, "realm"), None);
    }
}
