//! Requests to the platform over HTTP.

use std::{fmt, sync::Arc, time::Duration};

use hyper::ext::ReasonPhrase;
use reqwest::{Client, Method, RequestBuilder, Response, Url, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::OnceCell, time::timeout};

use super::{
    ClientOptions,
    error::{ApiError, Refusal, Result, SdkError},
    when,
};
use crate::{
    environment,
    web::{self, Network},
};

/// The version of the protocol that is spoken here; without it the platform answers in shapes of before.
const WIRE_VERSION: &str = "4";

/// How long an answer that is no stream may take in all.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a refusal's body may take: what it says is wanted, but its status is enough.
const REFUSAL: Duration = Duration::from_secs(10);

/// How long a storage may take for an upload, beside the time that its bytes take on a slow line.
const UPLOAD: Duration = Duration::from_secs(60);
const SLOW: usize = 64 << 10;

/// How long an upload of so many bytes may take.
fn upload_time(bytes: usize) -> Duration {
    UPLOAD + Duration::from_secs((bytes / SLOW) as u64)
}

/// How much of a refusal is read, and of an answer.
const MOST_OF_REFUSAL: usize = 64 << 10;
const MOST_OF_ANSWER: usize = 256 << 20;

/// What no presigned URL, and no id in a path, has to escape.
const UNRESERVED: &[u8] = b"-._~";

/// The way to one platform. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wire(Arc<Inner>);

struct Inner {
    base: String,
    key: Option<String>,
    options: ClientOptions,
    /// Made when it is needed first: reading whom the system trusts takes a while.
    client: OnceCell<Client>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("base", &self.0.base).field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(base: &str, key: Option<String>, options: ClientOptions) -> Self {
        // One slash at the end is nobody's wish; a second one may be.
        let base = base.strip_suffix('/').unwrap_or(base).to_owned();
        let key = key.filter(|key| !key.is_empty());
        Self(Arc::new(Inner { base, key, options, client: OnceCell::new() }))
    }

    pub(super) fn base(&self) -> &str {
        &self.0.base
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    /// Gets something.
    pub(super) async fn get<T: DeserializeOwned>(&self, act: &'static str, path: &str) -> Result<T> {
        self.ask(act, self.request(Method::GET, path).await?).await
    }

    /// Deletes something.
    pub(super) async fn delete<T: DeserializeOwned>(&self, act: &'static str, path: &str) -> Result<T> {
        self.ask(act, self.request(Method::DELETE, path).await?).await
    }

    /// Posts something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        act: &'static str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|error| answer(act, &error))?;
        self.ask(act, self.request(Method::POST, path).await?.body(body)).await
    }

    /// Posts what is answered with a stream, which is the caller's to read.
    pub(super) async fn open(&self, act: &'static str, path: &str, body: Vec<u8>) -> Result<Response> {
        let request = self.request(Method::POST, path).await?.body(body);
        request.send().await.map_err(|error| SdkError::transport(act, error))
    }

    /// Puts a file where the platform said.
    pub(super) async fn put(&self, url: &Url, media_type: &str, bytes: Vec<u8>) -> Result<()> {
        const ACT: &str = "uploading a file";
        let kind = header::HeaderValue::from_str(media_type);
        let kind = kind.map_err(|_| SdkError::File(format!("`{}` is no media type", media_type.escape_debug())))?;
        let client = client(url).await?;
        let request =
            client.put(url.clone()).header(header::CONTENT_TYPE, kind).timeout(upload_time(bytes.len())).body(bytes);
        let response = request.send().await.map_err(|error| SdkError::transport(ACT, error))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(refused("Upload failed", response).await.into())
    }

    async fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let url = format!("{}{path}", self.0.base);
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| SdkError::Url { url: self.0.base.clone() })?;
        let client = self.0.client.get_or_try_init(|| client(&url)).await?;
        let mut request = client
            .request(method, url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Octavus-Sdk-Version", WIRE_VERSION);
        if let Some(key) = &self.0.key {
            request = request.bearer_auth(key);
        }
        if self.0.options.trace_model_requests {
            request = request.header("X-Octavus-Trace", "true");
        }
        Ok(request)
    }

    async fn ask<T: DeserializeOwned>(&self, act: &'static str, request: RequestBuilder) -> Result<T> {
        let asked = async {
            let response = request.send().await.map_err(|error| SdkError::transport(act, error))?;
            if !response.status().is_success() {
                return Err(refused("Request failed", response).await.into());
            }
            let body = read(response, MOST_OF_ANSWER).await.map_err(|error| SdkError::transport(act, error))?;
            serde_json::from_slice(&body).map_err(|error| answer(act, &error))
        };
        timeout(ANSWER, asked).await.unwrap_or(Err(SdkError::Stalled { act, after: ANSWER }))
    }
}

async fn client(url: &Url) -> Result<Client> {
    let network = Network::of(url, environment::var);
    web::client(url, network).await.map_err(|error| SdkError::Setup(Box::new(error)))
}

fn answer(act: &'static str, error: &serde_json::Error) -> SdkError {
    SdkError::Answer { act, reason: error.to_string() }
}

/// What is wrong with the URL of a platform: paths are put behind it.
pub fn url_mistake(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match url {
        None => Some("a platform is at a URL such as https://octavus.ai".to_owned()),
        Some(url) if url.query().is_some() || url.fragment().is_some() => {
            Some("the URL of a platform has nothing behind `?` or `#`".to_owned())
        }
        Some(_) => None,
    }
}

/// An id as a part of a path.
pub(super) fn part(id: &str) -> String {
    use fmt::Write as _;

    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || UNRESERVED.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// What a refusal says.
async fn refused(context: &str, response: Response) -> ApiError {
    let status = response.status().as_u16();
    let retry_after =
        response.headers().get(header::RETRY_AFTER).and_then(|value| when::retry_after(value.to_str().ok()?));
    let fallback = fallback(context, &response);
    let refusal = Refusal::read(&refusal(response).await);
    ApiError { message: refusal.message.unwrap_or(fallback), status, code: refusal.code, retry_after }
}

/// The words for a refusal that has none of its own.
pub(super) fn fallback(context: &str, response: &Response) -> String {
    let phrase = response.extensions().get::<ReasonPhrase>().map(|phrase| String::from_utf8_lossy(phrase.as_bytes()));
    let phrase = phrase.unwrap_or_else(|| response.status().canonical_reason().unwrap_or_default().into());
    format!("{context}: {phrase}")
}

/// The body of a refusal, or as much of it as comes soon.
pub(super) async fn refusal(response: Response) -> Vec<u8> {
    timeout(REFUSAL, read(response, MOST_OF_REFUSAL)).await.ok().and_then(Result::ok).unwrap_or_default()
}

async fn read(mut response: Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < most {
        match response.chunk().await? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        assert_eq!(part("sess_1-a.b~C"), "sess_1-a.b~C");
        assert_eq!(part("a/b?c#d e%é"), "a%2Fb%3Fc%23d%20e%25%C3%A9");
    }

    #[test]
    fn what_is_no_url_of_a_platform_is_told() {
        for good in ["http://127.0.0.1:1", "https://octavus.ai/", "https://x/below"] {
            assert_eq!(url_mistake(good), None, "{good}");
        }
        for bad in ["", "octavus.ai", "ftp://x", "http://", "http://x/?a=b", "http://x#y"] {
            assert!(url_mistake(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn an_upload_has_a_minute_and_the_time_of_its_bytes() {
        assert_eq!(upload_time(0).as_secs(), 60);
        assert_eq!(upload_time(10 << 20).as_secs(), 60 + 160);
    }

    #[test]
    fn one_slash_at_the_end_of_the_base_is_taken_away() {
        let base = |url| Wire::new(url, None, ClientOptions::default()).base().to_owned();
        assert_eq!(base("http://x"), "http://x");
        assert_eq!(base("http://x/"), "http://x");
        assert_eq!(base("http://x//"), "http://x/");
    }

    #[test]
    fn the_key_is_not_shown() {
        let wire = Wire::new("http://x", Some("oct_secret".to_owned()), ClientOptions::default());
        assert!(!format!("{wire:?}").contains("oct_secret"));
    }
}
