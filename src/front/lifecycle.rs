//! rmcp's part of a session with a client: handshakes, discovery, subscriptions, pings.

use std::{borrow::Cow, future::Future, io, pin::Pin};

use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientRequest, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::sync::mpsc;

use super::{client::PATIENCE, handler::Handler};
use crate::{Computer, wire::Outbox};

/// rmcp's part of a session.
pub(super) struct Lifecycle {
    inbox: mpsc::Sender<ClientJsonRpcMessage>,
    /// Whether rmcp knows which generation this is: until then it takes a notification for a broken handshake.
    begun: bool,
    /// `None` when it has come to its end.
    running: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Lifecycle {
    pub(super) fn start(computer: &Computer, outbox: &Outbox) -> Self {
        let (inbox, messages) = mpsc::channel(64);
        let (transport, handler) = (Upper { outbox: outbox.clone(), messages }, Handler::new(computer.clone()));
        let running = async move {
            match rmcp::serve_server(handler, transport).await {
                Ok(service) => {
                    let _ = service.waiting().await;
                }
                Err(error) => tracing::debug!(%error, "a client's handshake failed"),
            }
        };
        Self { inbox, begun: false, running: Some(Box::pin(running)) }
    }

    /// Returns when rmcp has given up on this client, each time it is asked. Cancel safe.
    pub(super) async fn run(&mut self) {
        if let Some(running) = &mut self.running {
            running.await;
            self.running = None;
        }
    }

    /// Passes a message on to rmcp; gives it back when rmcp has given up.
    pub(super) async fn pass(&mut self, message: ClientJsonRpcMessage) -> Result<(), Box<ClientJsonRpcMessage>> {
        let begins = match &message {
            ClientJsonRpcMessage::Request(request) => {
                !matches!(request.request, ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_))
            }
            _ => false,
        };
        if !matches!(message, ClientJsonRpcMessage::Request(_)) && !self.begun {
            return Ok(());
        }
        let inbox = self.inbox.clone();
        let permit = tokio::select! {
            permit = inbox.reserve() => permit.ok(),
            // rmcp reads only while it runs.
            () = self.run() => None,
        };
        match permit {
            Some(permit) => {
                self.begun |= begins;
                permit.send(message);
                Ok(())
            }
            None => Err(Box::new(message)),
        }
    }
}

/// Our line transport as rmcp sees it.
struct Upper {
    outbox: Outbox,
    messages: mpsc::Receiver<ClientJsonRpcMessage>,
}

impl Transport<RoleServer> for Upper {
    type Error = io::Error;

    fn name() -> Cow<'static, str> {
        "stdio".into()
    }

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let outbox = self.outbox.clone();
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            outbox.send_in_turn(&line, PATIENCE).await;
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.messages.recv().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.messages.close();
        Ok(())
    }
}
