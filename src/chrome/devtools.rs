//! What a Chrome says of itself over HTTP.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;

use crate::web::{self, Network};

/// What answers on a port.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// A browser.
    Browser(About),
    /// Somebody else.
    Other(String),
    /// Nobody.
    Nobody,
}

/// What a browser says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct About {
    /// Such as `Chrome/156.0.8078.114`.
    #[serde(rename = "Browser")]
    pub(super) version: String,
    /// Where it is controlled; the end is its id.
    #[serde(rename = "webSocketDebuggerUrl")]
    pub(super) ws_url: String,
}

impl About {
    /// The path of the address at which it is controlled.
    pub(super) fn path(&self) -> &str {
        let rest = self.ws_url.split_once("://").map_or(self.ws_url.as_str(), |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }
}

/// How long an answer may take. It comes from this machine.
const ANSWER: Duration = Duration::from_secs(3);

/// A client for what runs on this machine.
pub(super) async fn client() -> crate::Result<Client> {
    let url = Url::parse("http://127.0.0.1/").expect("that is a URL");
    web::client(&url, Network::default()).await
}

/// Who answers on a port of 127.0.0.1. Cancel safe.
pub(super) async fn ask(client: &Client, port: u16) -> Answer {
    let answer = client.get(format!("http://127.0.0.1:{port}/json/version")).timeout(ANSWER).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Answer::Nobody,
        Err(_) => return Answer::Other("something that does not answer as a browser does".to_owned()),
    };
    let status = answer.status();
    match answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok()) {
        Some(about) => Answer::Browser(about),
        None => Answer::Other(format!("something that is no browser (it says {})", status.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_by_the_path_of_its_address() {
        let about = |url: &str| About { version: String::new(), ws_url: url.to_owned() };
        assert_eq!(about("ws://127.0.0.1:1/devtools/browser/a-b").path(), "/devtools/browser/a-b");
        assert_eq!(about("ws://127.0.0.1:1").path(), "");
    }
}
