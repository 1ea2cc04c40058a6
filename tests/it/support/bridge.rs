//! `computer serve` with a bridge for pages, and clients that talk over it.

use std::{
    net::SocketAddr,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use futures_util::{SinkExt, StreamExt};
use mcp_computer::{
    Computer,
    bridge::{Bridge, BridgeOptions},
    front::http::{Options, bind},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};
use tokio_util::sync::CancellationToken;

use super::{
    library::within,
    platform::Platform,
    procs::{self, eventually},
    program::Scratch,
    sdk::client,
};

/// The token that the bridge of a [`Scratch`] asks for.
pub(crate) fn token(scratch: &Scratch) -> String {
    let states = scratch.home().join(".local/state/computer");
    let tokens = std::fs::read_dir(states).unwrap().map(|state| state.unwrap().path().join("token"));
    let [token] = tokens.filter(|token| token.is_file()).collect::<Vec<_>>().try_into().unwrap();
    std::fs::read_to_string(token).unwrap().trim().to_owned()
}

/// A platform that makes the session `s` for each who asks, whose turns are these legs.
pub(crate) async fn platform(legs: Value) -> Platform {
    let made = vec![json!({ "json": { "sessionId": "s" } }); 8];
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions", "legs": made },
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": legs },
    ]);
    Platform::start(&json!({ "routes": routes })).await.unwrap()
}

/// What a page says to begin a turn.
pub(crate) fn trigger() -> Value {
    json!({ "type": "trigger", "triggerName": "go" })
}

/// A leg that tells this event and then nothing, for as long as it is listened to.
pub(crate) fn holds(event: &Value) -> Value {
    json!({ "chunks": [{ "event": event }, { "hold": true }] })
}

/// The program with a bridge; it is gone when it is dropped.
pub(crate) struct Bridged {
    child: Child,
    stderr: Arc<Mutex<String>>,
    /// Where SockJS finds it.
    pub(crate) url: String,
    _directories: Arc<TempDir>,
}

impl Bridged {
    /// Starts it with these flags more, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch, platform: &Platform, flags: &[&str]) -> Self {
        let own = ["serve", "--socket", "127.0.0.1:0", "--agent", "a", "--platform", platform.origin()];
        let mut command = scratch.command([&own, flags].concat());
        command.env("OCTAVUS_API_KEY", "oct_secret");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (child.stderr.take().unwrap(), stderr.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = std::io::Read::read(&mut from, &mut buffer) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        let mut url = None;
        eventually("the bridge listens", || {
            let said = stderr.lock().unwrap().clone();
            let line = said.split_inclusive('\n').find_map(|line| line.strip_prefix("bridge ")?.strip_suffix('\n'));
            url = line.map(ToOwned::to_owned);
            assert!(url.is_some() || matches!(child.try_wait(), Ok(None)), "it has ended: {said}");
            url.is_some()
        });
        Self { child, stderr, url: url.expect("it listens"), _directories: scratch.keep() }
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The guard.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap()
    }

    /// A client of the raw WebSocket.
    pub(crate) async fn page(&self) -> Page {
        Page::open(self.address(), "/octavus/websocket", &[]).await.unwrap()
    }

    /// Asks it to leave and waits until it has.
    #[track_caller]
    pub(crate) fn leave(&mut self) -> ExitStatus {
        procs::signal(self.pid(), Signal::SIGTERM);
        let mut status = None;
        eventually("the daemon exits", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it has exited")
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            procs::signal(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// A bridge in this process, for everybody.
pub(crate) struct InProcess {
    pub(crate) address: SocketAddr,
    leave: CancellationToken,
    serving: JoinHandle<()>,
}

impl InProcess {
    #[expect(clippy::disallowed_methods, reason = "the runtime of the test is its parent")]
    pub(crate) async fn start(platform: &Platform, options: Options, how: BridgeOptions) -> Self {
        let computer = Computer::new(mcp_computer::ComputerConfig::new());
        let listener = bind("127.0.0.1:0", options).await.unwrap();
        let (address, leave) = (listener.address(), CancellationToken::new());
        let (bridge, asked) = (Bridge::new(client(platform), "a", &computer).with(how), leave.clone());
        let serving = tokio::spawn(async move { bridge.serve(listener, asked.cancelled()).await });
        Self { address, leave, serving }
    }

    pub(crate) async fn page(&self) -> Page {
        Page::open(self.address, "/octavus/websocket", &[]).await.unwrap()
    }

    /// Asks it to leave and waits until it has.
    pub(crate) async fn leave(self) {
        self.leave.cancel();
        within("leaving", self.serving).await.unwrap();
    }
}

/// A client of a WebSocket.
pub(crate) struct Page(WebSocketStream<TcpStream>);

impl Page {
    /// Connects with these headers more; the status when that is refused.
    pub(crate) async fn open(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match within("the handshake", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    /// Says a message.
    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        within("sending", self.0.send(message)).await.unwrap();
    }

    /// The next message, as it is.
    pub(crate) async fn frame(&mut self) -> Result<String, Option<(u16, String)>> {
        within("a message", self.next()).await
    }

    async fn next(&mut self) -> Result<String, Option<(u16, String)>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map(|frame| (frame.code.into(), frame.reason.to_string())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next message.
    pub(crate) async fn hears(&mut self) -> Value {
        let frame = self.frame().await.unwrap();
        serde_json::from_str(&frame).unwrap()
    }

    /// All messages until one of this type.
    pub(crate) async fn hears_until(&mut self, kind: &str) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.hears().await);
            if heard.last().unwrap()["type"] == kind {
                return heard;
            }
        }
    }

    /// With which code it is closed, whatever comes before.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let closed = async {
            loop {
                if let Err(closed) = self.frame().await {
                    return closed.map(|(code, _)| code);
                }
            }
        };
        within("the end of a connection", closed).await
    }
}
