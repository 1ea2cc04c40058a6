//! A server that has everything the protocol's conformance suites ask a server for: the baseline that what stands
//! behind `computer` is compared with.
//!
//! It speaks on stdin and stdout, or with `--http 127.0.0.1:0` over HTTP at `/mcp`; in both ways with clients of every
//! generation, or only of one with `--generation legacy` or `--generation modern`.

#![expect(deprecated, reason = "the older generations have sampling, roots and logging, and the suites test them")]

mod ask;
mod catalog;
mod fixture;
mod http;
mod resources;
mod rounds;
mod server;
mod skills;
mod tasks;
mod tools;

use std::process::ExitCode;

use rmcp::ServiceExt as _;

use crate::fixture::{Fixture, Generation};

const USAGE: &str = "usage: conformance_server [--http ADDRESS] [--generation legacy|modern]";

#[tokio::main]
async fn main() -> ExitCode {
    let (address, generation) = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    let fixture = Fixture::new(generation);
    let outcome = match address {
        Some(address) => http::serve(fixture, &address).await.map_err(|e| format!("cannot serve at {address}: {e}")),
        None => stdio(fixture).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Serves one client on stdin and stdout until it closes our stdin.
async fn stdio(fixture: Fixture) -> Result<(), String> {
    let running = fixture.serve(rmcp::transport::stdio()).await.map_err(|e| format!("the handshake failed: {e}"))?;
    running.waiting().await.map_err(|e| format!("the session broke: {e}"))?;
    Ok(())
}

fn options() -> Result<(Option<String>, Generation), String> {
    let (mut address, mut generation) = (None, Generation::Both);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--http", Some(value)) => address = Some(value),
            ("--generation", Some(value)) if value == "legacy" => generation = Generation::Legacy,
            ("--generation", Some(value)) if value == "modern" => generation = Generation::Modern,
            _ => return Err(format!("cannot use `{argument}`")),
        }
    }
    Ok((address, generation))
}
