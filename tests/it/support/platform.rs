//! A platform on loopback that answers as a script says, and writes down what it was asked.
//!
//! It stands alone: an example plays recordings against it, too.

#![allow(dead_code, reason = "each of those who use it needs a part of it")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use data_encoding::BASE64;
use regex::Regex;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The headers that are written down.
const HEADERS: [&str; 4] = ["content-type", "authorization", "x-octavus-sdk-version", "x-octavus-trace"];

/// A platform; it is gone when it is dropped.
pub(crate) struct Platform {
    inner: Arc<Inner>,
    running: CancellationToken,
}

struct Inner {
    origin: String,
    routes: Mutex<Vec<Route>>,
    requests: Mutex<Vec<Value>>,
    /// How many requests have come, and how many of them are answered or given up.
    count: watch::Sender<(usize, usize)>,
    tasks: TaskTracker,
}

struct Route {
    method: String,
    path: Regex,
    legs: Vec<Value>,
}

/// What becomes of the connection.
#[derive(PartialEq, Eq)]
enum Then {
    NextRequest,
    Closed,
    PeerGone,
}

impl Platform {
    /// Plays a script: `{ "routes": [{ "method", "path", "legs" }] }`, as recordings have it.
    pub(crate) async fn start(script: &Value) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let script = placed(script, &origin);
        let routes = script["routes"].as_array().into_iter().flatten().map(Route::read).collect();
        let (tasks, running) = (TaskTracker::new(), CancellationToken::new());
        let count = watch::Sender::new((0, 0));
        let inner = Arc::new(Inner { origin, routes: Mutex::new(routes), requests: Mutex::default(), count, tasks });
        let accept = inner.clone().accept(listener, running.clone());
        inner.tasks.spawn(running.clone().run_until_cancelled_owned(accept));
        Ok(Self { inner, running })
    }

    /// Where it is.
    pub(crate) fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// What it was asked, in the form of recordings.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.inner.requests.lock().unwrap().clone()
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        self.inner.count.borrow().0
    }

    /// Returns when so many requests have come.
    pub(crate) async fn asked(&self, times: usize) {
        let _ = self.inner.count.subscribe().wait_for(|(come, _)| *come >= times).await;
    }

    /// Returns when no request is being answered any more.
    pub(crate) async fn settled(&self) {
        let _ = self.inner.count.subscribe().wait_for(|(come, gone)| come == gone).await;
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.running.cancel();
    }
}

/// A value with the place of the platform in the place of its name.
pub(crate) fn placed(value: &Value, origin: &str) -> Value {
    replaced(value, &|text| text.replace("{{ORIGIN}}", origin))
}

/// A value with each text replaced.
pub(crate) fn replaced(value: &Value, by: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => by(text).into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, by)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), replaced(value, by))).collect(),
        other => other.clone(),
    }
}

impl Route {
    fn read(route: &Value) -> Self {
        let path = route["path"].as_str().unwrap_or(".*");
        Self {
            method: route["method"].as_str().unwrap_or("POST").to_owned(),
            path: Regex::new(&format!("^(?:{path})$")).expect("the path of a route is a pattern"),
            legs: route["legs"].as_array().cloned().unwrap_or_default(),
        }
    }
}

impl Inner {
    async fn accept(self: Arc<Self>, listener: TcpListener, running: CancellationToken) {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let talk = self.clone().talk(stream);
            self.tasks.spawn(running.clone().run_until_cancelled_owned(talk));
        }
    }

    async fn talk(self: Arc<Self>, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Ok(Some(request)) = Request::read(&mut stream, &mut buffer).await {
            let number = self.note(&request);
            let leg = self.leg(&request);
            let then = answer(&mut stream, &leg).await.unwrap_or(Then::PeerGone);
            if then == Then::PeerGone {
                self.requests.lock().unwrap()[number]["peerClosedEarly"] = json!(true);
            }
            self.count.send_modify(|(_, gone)| *gone += 1);
            if then != Then::NextRequest {
                return;
            }
        }
    }

    fn note(&self, request: &Request) -> usize {
        let mut requests = self.requests.lock().unwrap();
        let name = |text: &str| text.replace(&self.origin, "{{ORIGIN}}");
        requests.push(replaced(&request.noted(), &name));
        self.count.send_modify(|(come, _)| *come += 1);
        requests.len() - 1
    }

    /// What is to be answered: the next leg of the first route that fits, by the whole target or by the path alone.
    fn leg(&self, request: &Request) -> Value {
        let path = request.target.split('?').next().unwrap_or_default();
        let mut routes = self.routes.lock().unwrap();
        let fits = |target: &str| {
            let fits = |route: &Route| route.method == request.method && route.path.is_match(target);
            routes.iter().position(fits)
        };
        let Some(route) = fits(&request.target).or_else(|| fits(path)) else {
            return json!({ "status": 404, "json": { "error": "the script has no such route" } });
        };
        let legs = &mut routes[route].legs;
        if legs.is_empty() {
            return json!({ "status": 500, "json": { "error": "the script has no more legs" } });
        }
        legs.remove(0)
    }
}

struct Request {
    method: String,
    target: String,
    headers: Map<String, Value>,
    body: Vec<u8>,
}

impl Request {
    async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ').map(ToOwned::to_owned);
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
        let header = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        if header("transfer-encoding").is_some() {
            return Err(io::Error::other("a request whose length is not said"));
        }
        let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        let noted = HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?.into())));
        let headers = noted.collect();
        while buffer.len() < end + 4 + length {
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
        let body = buffer[end + 4..end + 4 + length].to_vec();
        buffer.drain(..end + 4 + length);
        Ok(Some(Self { method, target, headers, body }))
    }

    fn noted(&self) -> Value {
        let mut noted = json!({ "method": self.method, "path": self.target, "headers": self.headers });
        if !self.body.is_empty() {
            let text = || match std::str::from_utf8(&self.body) {
                Ok(text) => json!(text),
                Err(_) => json!({ "b64": BASE64.encode(&self.body) }),
            };
            noted["body"] = serde_json::from_slice(&self.body).unwrap_or_else(|_| text());
        }
        noted
    }
}

/// Answers with a leg.
async fn answer(stream: &mut TcpStream, leg: &Value) -> io::Result<Then> {
    let head = &leg["head"];
    if let Some(millis) = head["delayMs"].as_u64()
        && gone_within(stream, Duration::from_millis(millis)).await
    {
        return Ok(Then::PeerGone);
    }
    if head["hold"] == json!(true) {
        return Ok(gone(stream).await);
    }
    if head["destroy"] == json!(true) {
        // In the middle of a body that is no end.
        return Ok(Then::Closed);
    }
    let status = leg["status"].as_u64().unwrap_or(200);
    let whole = match (&leg["json"], &leg["text"]) {
        (Value::Null, Value::Null) => None,
        (Value::Null, text) => Some((text.as_str().unwrap_or_default().to_owned(), "text/plain")),
        (json, _) => Some((json.to_string(), "application/json")),
    };
    let kind = whole.as_ref().map_or("text/event-stream", |(_, kind)| kind);
    let mut headers = json!({ "content-type": kind });
    for (name, value) in leg["headers"].as_object().into_iter().flatten() {
        headers[name.to_ascii_lowercase()] = value.clone();
    }
    let phrase = leg["statusText"].as_str().unwrap_or_else(|| phrase(status));
    let mut text = format!("HTTP/1.1 {status} {phrase}\r\n");
    for (name, value) in headers.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        text.extend([name, ": ", &value, "\r\n"]);
    }
    if let Some((body, _)) = whole {
        text.extend(["content-length: ", &body.len().to_string(), "\r\n\r\n", &body]);
    } else if matches!(status, 204 | 205 | 304) {
        text += "\r\n";
    } else {
        text += "transfer-encoding: chunked\r\n\r\n";
        stream.write_all(text.as_bytes()).await?;
        return parts(stream, leg["chunks"].as_array().map(Vec::as_slice).unwrap_or_default()).await;
    }
    stream.write_all(text.as_bytes()).await?;
    Ok(Then::NextRequest)
}

/// Sends the chunks of a leg, each in a write of its own.
async fn parts(stream: &mut TcpStream, chunks: &[Value]) -> io::Result<Then> {
    for chunk in chunks {
        if let Some(millis) = chunk["pauseMs"].as_u64() {
            if gone_within(stream, Duration::from_millis(millis)).await {
                return Ok(Then::PeerGone);
            }
            continue;
        }
        if chunk["hold"] == json!(true) {
            return Ok(gone(stream).await);
        }
        if chunk["destroy"] == json!(true) {
            return Ok(Then::Closed);
        }
        let events = chunk["events"].as_array().into_iter().flatten().chain(chunk.get("event"));
        let mut bytes: Vec<u8> = events.flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect();
        bytes.extend(chunk["raw"].as_str().unwrap_or_default().as_bytes());
        bytes.extend(chunk["b64"].as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok()).unwrap_or_default());
        if chunk["done"] == json!(true) {
            bytes.extend(b"data: [DONE]\n\n");
        }
        if !bytes.is_empty() {
            let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
            stream.write_all(&framed).await?;
            // What is written together is read together, and what is not, not.
            tokio::task::yield_now().await;
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(Then::NextRequest)
}

async fn gone(stream: &mut TcpStream) -> Then {
    let _ = stream.read(&mut [0]).await;
    Then::PeerGone
}

async fn gone_within(stream: &mut TcpStream, pause: Duration) -> bool {
    tokio::time::timeout(pause, gone(stream)).await.is_ok()
}

fn phrase(status: u64) -> &'static str {
    let status = u16::try_from(status).ok().and_then(|status| reqwest::StatusCode::from_u16(status).ok());
    status.and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}
