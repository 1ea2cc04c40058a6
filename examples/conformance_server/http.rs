//! The HTTP face: rmcp's own, at `/mcp`.

use std::{io, sync::Arc};

use axum::{Router, serve::ListenerExt as _};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;

use crate::fixture::Fixture;

/// Pages of this machine, whatever their port. Without a list, rmcp lets every page in.
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// Serves at `address` until the process ends; says on stderr where that is.
pub(crate) async fn serve(fixture: Fixture, address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    eprintln!("listening http://{}/mcp", listener.local_addr()?);
    // Without this every answer on an event stream waits 40 ms for the client to acknowledge its headers.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let service = StreamableHttpService::new(
        move || Ok(fixture.session()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default().with_allowed_origins(ORIGINS),
    );
    axum::serve(listener, Router::new().route_service("/mcp", service)).await
}
