//! An MCP host: gives an agent a machine, and leaves nothing behind.

mod config;
pub mod environment;
mod error;
mod name;
mod source;

pub use config::*;
pub use error::{Error, Result};
pub use name::Namespace;
pub use source::*;

/// The machine.
pub struct Computer;
