//! Our face as an MCP server.

mod client;
mod handler;
mod message;
pub mod stdio;
