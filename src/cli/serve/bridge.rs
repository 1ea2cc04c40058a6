//! The bridge for pages in browsers: what is said of it on the command line, and serving it.

use mcp_computer::{
    Computer,
    bridge::{Bridge, BridgeOptions, Prefix},
    config::{Loaded, origin_mistake},
    front::http::{self, Listener, Options},
    sdk::{ClientOptions, OctavusClient},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::cli::{
    paint,
    run::{key, object, platform},
    say,
};

/// What is said of the bridge.
#[derive(Debug, clap::Args)]
pub(super) struct BridgeArgs {
    /// Let pages in browsers talk to an agent of a platform over a socket (WebSocket and SockJS); port 0 is any
    #[arg(long, value_name = "ADDR", requires = "platform", requires = "agent")]
    socket: Option<String>,
    /// Where the platform is; `$OCTAVUS_API_KEY` says who asks
    #[arg(long, value_name = "URL", requires = "socket", value_parser = platform)]
    platform: Option<String>,
    /// The agent that pages talk to
    #[arg(long, value_name = "ID", requires = "socket")]
    agent: Option<String>,
    /// What sessions of the agent are made with, as a JSON object
    #[arg(long, value_name = "JSON", requires = "socket", value_parser = object)]
    input: Option<Map<String, Value>>,
    /// Under which path pages find the socket
    #[arg(long, value_name = "PATH", requires = "socket", default_value_t)]
    socket_prefix: Prefix,
    /// Where a page may come from that connects, beside `serve.allowedOrigins`; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "socket", value_parser = origin)]
    origin: Vec<String>,
}

fn origin(text: &str) -> Result<String, String> {
    origin_mistake(text).map_or_else(|| Ok(text.to_owned()), Err)
}

/// A bridge, and where it listens.
pub(super) struct Wanted {
    bridge: Box<dyn Fn(&Computer) -> Bridge + Send>,
    listener: Listener,
}

impl BridgeArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether the key is there that the platform knows us by.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.is_wanted() { key().map(drop) } else { Ok(()) }
    }

    /// Listens where the bridge is wanted, if it is.
    pub(super) async fn listen(&self, mut options: Options, loaded: &Loaded) -> anyhow::Result<Option<Wanted>> {
        let (Some(address), Some(platform), Some(agent)) = (&self.socket, &self.platform, &self.agent) else {
            return Ok(None);
        };
        let key = key()?;
        options.allowed_origins.extend(self.origin.iter().cloned());
        let has_token = matches!(options.access, http::Access::Bearer(_));
        let listener = http::bind(address, options).await.map_err(super::fronts::refused)?;
        if listener.is_remote() {
            say("warning: other machines can reach the bridge, unencrypted; whoever has the token can use the agent");
        }
        let client = OctavusClient::with(platform, key, ClientOptions::sturdy());
        let options =
            BridgeOptions { prefix: self.socket_prefix.clone(), input: self.input.clone(), ..BridgeOptions::default() };
        let agent = agent.clone();
        let bridge =
            move |computer: &Computer| Bridge::new(client.clone(), agent.clone(), computer).with(options.clone());
        say(&format!("bridge http://{}{}", listener.address(), self.socket_prefix));
        if has_token {
            let place = super::fronts::state(loaded)?.place().join("token");
            say(&format!(
                "pages show the token as `?token=…`; it is in {}",
                paint::plain(&place.display().to_string())
            ));
        }
        Ok(Some(Wanted { bridge: Box::new(bridge), listener }))
    }
}

impl Wanted {
    /// Serves pages until `leave`.
    pub(super) async fn serve(self, computer: &Computer, leave: &CancellationToken) {
        (self.bridge)(computer).serve(self.listener, leave.cancelled()).await;
    }
}
