//! An MCP host: gives an agent a machine, and leaves nothing behind.
//!
//! A [`Computer`] starts MCP servers and keeps them, has a shell of its own, and offers all their tools behind
//! namespaces (`files__read_file`), as a [`ToolProvider`] or as one MCP server.
//!
//! # Where things live
//!
//! | room | what it holds |
//! |---|---|
//! | `control` | what can be asked of a daemon, and asking it |
//! | `doctor` | whether this machine has what a Computer needs, each with a cure |
//! | `front` | our face as an MCP server, and the socket by which it is controlled |
//! | `bridge` | pages in browsers that talk to an agent of a platform (feature `sdk`) |
//! | `computer` | start, stop, add, remove, restart, health, calls |
//! | `sdk` | the server SDK: client, sessions, the loop of a turn (feature `sdk`) |
//! | `provider` | what a host plugs into a server SDK |
//! | `registry` | all tools and the route of each name |
//! | `fill` | what `${…}` references stand for, looked up at each start |
//! | `entry` | an entry as a unit: from its recipe to what stands behind its namespace |
//! | `command` | from the command of an entry or a program to what is started for it |
//! | `chrome` | a Chrome: found, launched, known to be ours |
//! | `connection` | sessions with MCP servers |
//! | `shell` | the built-in shell |
//! | `managed` | programs that are kept beside the entries, as units |
//! | `supervisor` | the state machine that keeps a unit as it should be; it knows no MCP |
//! | `process` | one child and all that descends from it; the guard; what a killed run has left |
//! | `config` | what a Computer is made of, and the file it is written in |
//! | `environment` | the user's environment; the only reader of `std::env` |
//! | `web` | the client for requests over HTTP |
//! | `wire` | lines of JSON-RPC: reading, writing, the envelope |
//! | `service` | what the service manager that started us is told |
//! | `source` | the one face of whatever stands behind a namespace |
//! | `state` | what the daemon keeps on disk for itself |
//! | `records` | what is written down: logs of entries, who called what, and how often |
//! | `name`, `error`, `glob`, `raw`, `secret`, `shutdown` | leaves |
//!
//! The program's verbs are in `cli`, beside `main`, and use nothing but what is public here.

#[cfg(feature = "sdk")]
pub mod bridge;
mod chrome;
mod command;
mod computer;
pub mod config;
mod connection;
pub mod control;
pub mod doctor;
mod entry;
pub mod environment;
mod error;
mod fill;
pub mod front;
mod glob;
mod managed;
mod name;
mod process;
mod provider;
mod raw;
mod records;
mod registry;
#[cfg(feature = "sdk")]
pub mod sdk;
mod secret;
pub mod service;
mod shell;
pub mod shutdown;
mod source;
pub mod state;
mod supervisor;
mod web;
mod wire;

pub use chrome::ChromeInstance;
pub use computer::{
    AddOptions, Applied, Computer, ComputerHealth, EnsureReady, EntryHealth, EntryPlan, Event, Events, ProgramHealth,
    ProgramPlan, RetryDegraded, Started,
};
pub use config::{
    ChromeLaunchOptions, CommandConfig, ComputerConfig, EntryConfig, HttpConfig, ProgramConfig, Ready, ShellConfig,
    ShellMode, StdioConfig,
};
pub use error::{ChromeError, Delivery, Error, Limit, Outlook, Result};
pub use managed::ManagedProcess;
pub use name::{Namespace, join, namespace_of, status_tool};
pub use process::{Stray, guard, inherited, open_files, own_code};
pub use provider::{
    Changes, DeviceProvider, DynamicMcpProvider, DynamicTool, Promise, ToolError, ToolHandler, ToolProvider, ToolSchema,
};
pub use records::{LogLine, Logs, Origin, Records};
pub use shell::policy;
pub use source::{Answer, Ask, CallContext, Caller, Question, Respond, Sink, Waiting};
