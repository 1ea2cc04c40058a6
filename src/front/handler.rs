//! What rmcp answers for us: handshakes, discovery, subscriptions, pings.

use rmcp::{
    ErrorData, ServerHandler,
    model::{Implementation, ServerCapabilities, ServerConfig, SubscriptionFilter},
    service::SubscriptionContext,
};

use crate::Computer;

/// A Computer as rmcp sees it. Its tools never pass through here: see [`client`](super::client).
#[derive(Clone)]
pub(super) struct Handler {
    computer: Computer,
}

impl Handler {
    pub(super) fn new(computer: Computer) -> Self {
        Self { computer }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let info = Implementation::new("mcp-computer", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities).with_server_info(info).with_instructions(instructions(&self.computer))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        // rmcp keeps of it what the capabilities above offer.
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.computer.changes();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = changes.next() => match changed {
                    // A client that has gone ends its subscription by itself.
                    Some(()) => { let _ = context.sink().notify_tool_list_changed().await; }
                    None => return Ok(()),
                },
            }
        }
    }
}

/// What is there, a line for each namespace.
fn instructions(computer: &Computer) -> String {
    let lines = computer.config().entries.iter().filter(|(_, entry)| !entry.disabled).map(|(namespace, entry)| {
        let about = entry.description.as_deref().or(entry.display_name.as_deref());
        about.map_or_else(|| format!("- {namespace}"), |about| format!("- {namespace}: {}", about.replace('\n', " ")))
    });
    let lines: Vec<String> = lines.collect();
    format!(
        "Tools of this computer are named <namespace>{}<tool>. Namespaces:\n{}",
        crate::name::SEPARATOR,
        lines.join("\n")
    )
}
