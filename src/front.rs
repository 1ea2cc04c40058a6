//! Our face as an MCP server: what a client says goes to whoever it is for, and what comes back goes out as it came.

mod announce;
mod ask;
mod client;
mod exchange;
mod hello;
pub mod http;
mod kind;
mod message;
mod outlet;
mod page;
mod parked;
mod pass;
mod peer;
mod scope;
#[cfg(unix)]
pub mod socket;
pub mod stdio;
