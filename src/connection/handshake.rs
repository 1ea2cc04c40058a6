//! Agreeing on a protocol generation: rmcp's part of a connection, on top of our line transport.

use std::{
    borrow::Cow,
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use rmcp::{
    RoleClient,
    model::{
        ClientCapabilities, ClientConfig, ClientJsonRpcMessage, Implementation, JsonRpcMessage, ProtocolVersion,
        ServerJsonRpcMessage, SubscriptionFilter,
    },
    service::{ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt, Peer, RunningService},
    transport::Transport,
};

use serde_json::json;

use super::{
    lane::{Kind, Message},
    link::{Inbound, Link, Modern},
};
use crate::{
    config::Unattended,
    error::{Error, Result},
    raw::RawObject,
    wire::Envelope,
};

/// How hands are shaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lifecycle {
    /// `server/discover` first; `initialize` when the server does not know it.
    #[default]
    Auto,
    /// `initialize` alone, for servers that do not survive the question.
    Initialize,
}

/// A session that rmcp serves: the server's own requests, subscriptions, everything rare.
pub(super) struct Running {
    service: RunningService<RoleClient, ClientConfig>,
    link: Arc<Link>,
    modern: bool,
}

/// How much is said of a handshake that failed.
const REASON: usize = 1000;

/// How long rmcp gets to put its things together.
const CLOSING: Duration = Duration::from_millis(500);

/// The pause before a subscription that ended is opened again: the first, and the longest, for a server that does not
/// want to be listened to.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// After being open for so long, a subscription that ends is opened again soon.
const CALM: Duration = Duration::from_secs(30);

pub(super) async fn shake_hands(link: &Arc<Link>, lifecycle: Lifecycle) -> Result<Running> {
    let transport = Lower { link: link.clone(), inbound: link.take_inbound() };
    let info = Implementation::new("mcp-computer", env!("CARGO_PKG_VERSION"));
    let config =
        ClientConfig::new(what_we_carry(), info).with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE);
    let mode = match lifecycle {
        Lifecycle::Auto => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        },
        Lifecycle::Initialize => ClientLifecycleMode::Initialize,
    };
    let served = tokio::select! {
        served = config.clone().serve_with_lifecycle(transport, mode) => served,
        reason = link.ended() => return Err(Error::ended(reason, "")),
    };
    link.rmcp_has_shaken();
    let service = served.map_err(|error| failure(link, &error))?;
    let peer = service.peer();
    // Health must not be told from a cache.
    peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
    let info = peer.peer_info();
    let version = info.as_ref().map(|info| info.protocol_version.clone()).unwrap_or_default();
    let modern = !version.has_initialize();
    if !ProtocolVersion::KNOWN_VERSIONS.contains(&version) {
        link.note(format!("it speaks a protocol version that we do not know: `{version}`"));
    }
    if modern {
        link.set_modern(self::modern(&version, &config, link.options().unattended));
    }
    let hello = link.take_hello();
    let hello = hello.as_deref().and_then(RawObject::parse).unwrap_or_default();
    if let Some(capabilities) = hello.get("capabilities") {
        link.set_capabilities(capabilities.to_owned().into());
    }
    let instructions = hello.text("instructions");
    link.describe(|about| {
        about.protocol = Some(version.to_string());
        about.instructions = instructions;
        about.server_info = info.and_then(|info| serde_json::to_value(info.server_info.as_ref()?).ok());
    });
    Ok(Running { service, link: link.clone(), modern })
}

/// What a server may ask of us: whatever a client of ours may be able to answer.
fn what_we_carry() -> ClientCapabilities {
    // As JSON: rmcp calls some of them deprecated, and servers of every generation ask for them.
    let carried = json!({ "roots": {}, "sampling": {}, "elicitation": { "form": {}, "url": {} } });
    serde_json::from_value(carried).expect("these are capabilities that the protocol knows")
}

/// What requests to a server of the new generation say of us.
fn modern(version: &ProtocolVersion, config: &ClientConfig, unattended: Unattended) -> Modern {
    let text = |value: serde_json::Result<String>| value.expect("our own description is plain JSON");
    Modern {
        common: format!(
            "\"io.modelcontextprotocol/protocolVersion\":{},\"io.modelcontextprotocol/clientInfo\":{}",
            text(serde_json::to_string(version)),
            text(serde_json::to_string(&config.client_info)),
        ),
        capabilities: match unattended {
            Unattended::Decline => "{}".to_owned(),
            Unattended::Defaults => "{\"elicitation\":{\"form\":{}}}".to_owned(),
        },
    }
}

fn failure(link: &Link, error: &ClientInitializeError) -> Error {
    // It is kept, and shown again and again; what a server says may be very long.
    let reason = words(error).chars().take(REASON).collect();
    Error::Protocol { act: "the handshake".to_owned(), reason, stderr: link.tail().last_lines() }
}

fn words(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::JsonRpcError(error) => format!(
            "the server refused `initialize` with the error {}: {}; mend what it tells, with the help of its \
            documentation or its log, and restart the entry",
            error.code.0,
            error.message.trim_end_matches('.')
        ),
        // What it said to the last question counts: the one before is not known to older servers.
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => words(fallback),
        ClientInitializeError::ExpectedInitResult(_) | ClientInitializeError::ExpectedInitResponse(_) => {
            "its answer is none to that question; is the program an MCP server?".to_owned()
        }
        other => other.to_string(),
    }
}

impl Running {
    /// Keeps a subscription to changes open, where the generation needs one and the server offers one.
    pub(super) fn listen(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let peer = self.service.peer().clone();
        self.modern.then(|| listen(peer, self.link.clone()))
    }

    /// Ends rmcp's part.
    pub(super) async fn close(mut self) {
        // It logs by itself when it takes too long, and what it holds is closed by then.
        let _ = self.service.close_with_timeout(CLOSING).await;
    }
}

async fn listen(peer: Peer<RoleClient>, link: Arc<Link>) {
    let subscribed = link.options().subscribed.clone();
    let mut pause = LISTEN_AGAIN;
    while !peer.is_transport_closed() {
        let others = subscribed.changed();
        let Some(filter) = filter(&peer, &subscribed.uris()) else {
            others.await;
            continue;
        };
        let begun = Instant::now();
        if let Ok(mut subscription) = peer.listen(filter).await {
            tokio::select! {
                // The reader has seen each change on its way here.
                () = async { while let Ok(Some(_)) = subscription.next().await {} } => {}
                () = others => {
                    // One that names the others takes its place at once.
                    link.mark_changed();
                    continue;
                }
            }
            if begun.elapsed() > CALM {
                pause = LISTEN_AGAIN;
            }
            // What changed while nobody listened, nobody has told us.
            link.mark_changed();
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// What is worth listening to; nothing when the server offers none of it.
fn filter(peer: &Peer<RoleClient>, uris: &[String]) -> Option<SubscriptionFilter> {
    let capabilities = peer.peer_info()?.capabilities.clone();
    let yes = |flag: Option<bool>| flag.unwrap_or(false);
    let tools = yes(capabilities.tools.as_ref().and_then(|tools| tools.list_changed));
    let prompts = yes(capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed));
    let resources = yes(capabilities.resources.as_ref().and_then(|resources| resources.list_changed));
    let mut filter = SubscriptionFilter::builder();
    if tools {
        filter = filter.tools_list_changed();
    }
    if prompts {
        filter = filter.prompts_list_changed();
    }
    if resources {
        filter = filter.resources_list_changed();
    }
    if !uris.is_empty() {
        filter = filter.resource_subscriptions(uris.to_vec());
    }
    (tools || prompts || resources || !uris.is_empty()).then(|| filter.build())
}

/// Our line transport as rmcp sees it.
struct Lower {
    link: Arc<Link>,
    inbound: Option<Inbound>,
}

impl Transport<RoleClient> for Lower {
    type Error = io::Error;

    fn name() -> Cow<'static, str> {
        "lines".into()
    }

    fn send(&mut self, message: ClientJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &message {
            self.link.rmcp_asks(request.id.clone());
        }
        let sent = serde_json::to_vec(&message).map_err(io::Error::other).and_then(|mut line| {
            let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
            let envelope = Envelope::of(text).ok_or_else(|| io::Error::other("rmcp sends what is no message"))?;
            let (id, method) = (envelope.id.map(|id| id.get().to_owned()), envelope.method.map(Cow::into_owned));
            line.push(b'\n');
            let kind = match (&id, &method) {
                (Some(id), Some(method)) => Kind::Request { id, method, name: None, arguments: None },
                (None, Some(method)) => Kind::Notification { method },
                (_, None) => Kind::Answer,
            };
            self.link.send(&Message { line: &line, kind }).map_err(io::Error::other)
        });
        std::future::ready(sent)
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        match &mut self.inbound {
            Some(inbound) => inbound.recv().await,
            None => None,
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.inbound = None;
        Ok(())
    }
}
