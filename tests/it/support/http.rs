//! A web server in this process that does on cue what none should.

mod mcp;
mod proxy;

use std::{
    fmt::Write as _,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, ready};
pub(crate) use mcp::{Sessions, legacy};
pub(crate) use proxy::proxy;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC message in it; null when there is none.
    pub(crate) fn message(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it posts a message of that method.
    pub(crate) fn is(&self, method: &str) -> bool {
        self.method == "POST" && self.message()["method"] == method
    }

    /// Whether it calls a tool.
    pub(crate) fn is_call(&self) -> bool {
        self.is("tools/call")
    }

    /// A JSON-RPC result for it.
    pub(crate) fn result(&self, result: &Value) -> Reply {
        Reply::json(200, &json!({ "jsonrpc": "2.0", "id": self.message()["id"], "result": result }))
    }

    /// The result of a tool that says `text`.
    pub(crate) fn says(&self, text: &str) -> Reply {
        self.result(&said(text))
    }

    /// That result as an event.
    pub(crate) fn event(&self, text: &str) -> String {
        event(&json!({ "jsonrpc": "2.0", "id": self.message()["id"], "result": said(text) }))
    }
}

/// The result of a tool that says `text`.
pub(crate) fn said(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// A message as an event.
pub(crate) fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// What is answered.
pub(crate) enum Reply {
    Whole {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// A body in parts; it ends when nobody can send any more.
    Parts {
        headers: Vec<(String, String)>,
        parts: mpsc::Receiver<String>,
    },
    /// A body of the same part again and again, for ever.
    Endless {
        kind: &'static str,
        first: &'static str,
        part: &'static str,
    },
    /// These bytes, whatever they are; then the connection is closed.
    Raw(Vec<u8>),
    /// A whole one; then the connection is closed, of which nothing was said.
    ThenClosed(Box<Reply>),
    /// The connection is closed instead.
    Cut,
    /// Nothing ever.
    Never,
    /// Something later.
    Later(BoxFuture<'static, Reply>),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::of(status, "", "")
    }

    pub(crate) fn of(status: u16, kind: &str, body: &str) -> Self {
        let kind = (!kind.is_empty()).then(|| ("content-type".to_owned(), kind.to_owned()));
        Self::Whole { status, headers: kind.into_iter().collect(), body: body.as_bytes().to_vec() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::of(status, "application/json", &body.to_string())
    }

    pub(crate) fn events(text: &str) -> Self {
        Self::of(200, "text/event-stream", text)
    }

    /// A stream of events that stays open; and what it is fed with.
    pub(crate) fn stream() -> (Self, mpsc::Sender<String>) {
        let (feed, parts) = mpsc::channel(16);
        (Self::Parts { headers: vec![("content-type".into(), "text/event-stream".into())], parts }, feed)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Whole { headers, .. } | Self::Parts { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

type Handler = Arc<dyn Fn(Request) -> Reply + Send + Sync>;

/// A web server on a port of its own.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    running: CancellationToken,
}

struct Inner {
    handler: Handler,
    tls: Option<TlsAcceptor>,
    seen: Mutex<Vec<Request>>,
    /// Requests whose client went before they were answered to the end.
    left: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
    /// Whether requests are kept.
    remembers: AtomicBool,
    tasks: TaskTracker,
}

impl Web {
    pub(crate) fn serve(handler: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_tls(None, handler)
    }

    pub(crate) fn with_tls(
        tls: Option<TlsAcceptor>,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let inner = Inner {
            handler: Arc::new(handler),
            tls,
            seen: Mutex::default(),
            left: Mutex::default(),
            connections: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            remembers: AtomicBool::new(true),
            tasks: TaskTracker::new(),
        };
        let mut web =
            Self { address: ([127, 0, 0, 1], 0).into(), inner: Arc::new(inner), running: CancellationToken::new() };
        web.up();
        web
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.inner.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/mcp", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// The messages of a method that were posted.
    pub(crate) fn posted(&self, method: &str) -> Vec<Request> {
        self.seen().into_iter().filter(|request| request.is(method)).collect()
    }

    pub(crate) fn left(&self) -> Vec<Request> {
        self.inner.left.lock().unwrap().clone()
    }

    /// From now on no request is kept: there will be too many.
    pub(crate) fn remembers_nothing(&self) {
        self.inner.remembers.store(false, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// How many connections were closed by either side.
    pub(crate) fn closed(&self) -> usize {
        self.inner.closed.load(Ordering::SeqCst)
    }

    /// Closes the port and every connection.
    pub(crate) async fn down(&mut self) {
        self.running.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
    }

    /// Opens the port, the same as before.
    pub(crate) fn up(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(1024).unwrap();
        self.address = listener.local_addr().unwrap();
        self.running = CancellationToken::new();
        let work = self.inner.clone().accept(listener, self.running.clone());
        self.inner.tasks.spawn(self.running.clone().run_until_cancelled_owned(work));
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.running.cancel();
    }
}

impl Inner {
    async fn accept(self: Arc<Self>, listener: TcpListener, running: CancellationToken) {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            self.connections.fetch_add(1, Ordering::SeqCst);
            let inner = self.clone();
            let work = async move {
                // A client that goes is none of our business.
                let _ = match inner.tls.clone() {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => inner.talk(stream).await,
                        Err(error) => Err(error),
                    },
                    None => inner.talk(stream).await,
                };
                inner.closed.fetch_add(1, Ordering::SeqCst);
            };
            self.tasks.spawn(running.clone().run_until_cancelled_owned(work));
        }
    }

    fn keep(&self, list: &Mutex<Vec<Request>>, request: &Request) {
        if self.remembers.load(Ordering::SeqCst) {
            list.lock().unwrap().push(request.clone());
        }
    }

    async fn talk(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut buffer).await? {
            self.keep(&self.seen, &request);
            let mut reply = (self.handler)(request.clone());
            let answered = async {
                while let Reply::Later(later) = reply {
                    reply = later.await;
                }
                reply
            };
            let mut byte = [0];
            let mut is_last = false;
            let reply = tokio::select! {
                reply = answered => reply,
                _ = stream.read(&mut byte) => {
                    self.keep(&self.left, &request);
                    return Ok(());
                }
            };
            let reply = match reply {
                Reply::ThenClosed(reply) => {
                    is_last = true;
                    *reply
                }
                reply => reply,
            };
            match reply {
                Reply::Whole { status, headers, body } => {
                    let mut head = head(status, &headers);
                    let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
                    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
                }
                Reply::Parts { headers, mut parts } => {
                    let head = head(200, &headers) + "transfer-encoding: chunked\r\n\r\n";
                    stream.write_all(head.as_bytes()).await?;
                    loop {
                        let part = tokio::select! {
                            part = parts.recv() => part.unwrap_or_default(),
                            _ = stream.read(&mut byte) => {
                                self.keep(&self.left, &request);
                                return Ok(());
                            }
                        };
                        stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).await?;
                        if part.is_empty() {
                            break;
                        }
                    }
                }
                Reply::Endless { kind, first, part } => {
                    let head = head(200, &[("content-type".to_owned(), kind.to_owned())]);
                    let mut part = [head.as_bytes(), b"\r\n", first.as_bytes(), part.as_bytes()].concat();
                    while stream.write_all(&part).await.is_ok() {
                        part = vec![*part.last().unwrap(); 10_000];
                    }
                    self.keep(&self.left, &request);
                    return Ok(());
                }
                Reply::Never => {
                    let _ = stream.read(&mut byte).await;
                    self.keep(&self.left, &request);
                    return Ok(());
                }
                Reply::Raw(bytes) => {
                    // Whoever does not want to read all of it has gone.
                    let _ = stream.write_all(&bytes).await;
                    return stream.shutdown().await;
                }
                Reply::Cut | Reply::Later(_) | Reply::ThenClosed(_) => return Ok(()),
            }
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn head(status: u16, headers: &[(String, String)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head
}

async fn read_request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
        if !buffer[0].is_ascii_uppercase() {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(ToOwned::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer[end + 4..end + 4 + length].to_vec();
    buffer.drain(..end + 4 + length);
    Ok(Some(request))
}

/// A reply after a while.
pub(crate) fn after(pause: Duration, reply: Reply) -> Reply {
    Reply::Later(tokio::time::sleep(pause).then(|()| ready(reply)).boxed())
}
