//! A Chrome with its debugging protocol: found, launched on a profile of its own, known to be ours, ended with all that it
//! started.

mod devtools;
mod find;
mod instance;
mod launch;
mod profile;

pub(crate) use find::find;
pub use instance::ChromeInstance;
pub(crate) use launch::{launch, resolve};

pub(crate) use crate::config::ChromeLaunchOptions as Options;

/// Where a Chrome is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// Its own address among others that may have had the port before: it is another one after each launch.
    pub(crate) ws_url: String,
}

impl Endpoint {
    /// For clients that ask for the rest.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
