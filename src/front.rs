//! Our face as an MCP server.

mod client;
mod handler;
mod lifecycle;
mod message;
pub mod stdio;
