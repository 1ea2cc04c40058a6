//! Calls through the stdio front beside other ways to the same server: the proxy of `FastMCP`, and the program without its
//! audit log.

use std::{env, fs, io, path::Path};

use crate::{
    Plan,
    bare::Bare,
    places::{self, Entries},
    report::{Latency, say, title},
};

/// So many times fewer calls go through the proxy, which takes its time.
const FEWER: usize = 20;

/// A proxy of one server, as its documentation has it.
const PROXY: &str = r#"
import sys
from fastmcp.server import create_proxy
create_proxy({"mcpServers": {"e0": {"command": sys.argv[1]}}}).run(show_banner=False)
"#;

/// Measures a call by each way, round by round.
pub(crate) fn calls(plan: Plan) -> io::Result<()> {
    let floor = places::floor()?;
    let scratch = tempfile::tempdir()?;
    title("a call through the stdio front beside other ways")?;
    let front = places::serving(scratch.path(), &floor, Entries::One)?;
    let mute = without_audit(scratch.path(), &front)?;
    // Each keeps its own: both are of one user.
    let ways = [(front, "e0__echo", 0), (mute, "e0__echo", 1)];
    let ways = ways.map(|(command, tool, state)| Way::connect(&places::keeping(scratch.path(), state, command), tool));
    let [front, mute] = ways;
    let (mut front, mut mute) = (front?, mute?);
    let mut proxy = proxy(scratch.path(), &floor)?;
    for round in 0..=plan.rounds {
        front.round(plan.calls, round > 0)?;
        mute.round(plan.calls, round > 0)?;
        if let Some(proxy) = &mut proxy {
            proxy.round(plan.calls / FEWER, round > 0)?;
        }
    }
    front.took.say("with its audit log / without", &mute.took, "")?;
    match proxy {
        Some(proxy) => front.took.say("front / FastMCP's proxy", &proxy.took, "< 0.01×"),
        None => say("beside FastMCP's proxy", "-", &["", "not measured: FASTMCP does not say which Python has it"]),
    }
}

/// A way to the server.
struct Way {
    bare: Bare,
    tool: &'static str,
    took: Latency,
}

impl Way {
    fn connect(command: &[String], tool: &'static str) -> io::Result<Self> {
        let mut bare = Bare::connect(command)?;
        // It lists once its entries are up.
        bare.tools()?;
        Ok(Self { bare, tool, took: Latency::default() })
    }

    /// The first round only warms everything up.
    fn round(&mut self, calls: usize, counts: bool) -> io::Result<()> {
        let round = self.bare.one_by_one(calls, self.tool)?;
        if counts {
            self.took.push(&round);
        }
        Ok(())
    }
}

/// The same command with a config that wants no audit log.
fn without_audit(directory: &Path, command: &[String]) -> io::Result<Vec<String>> {
    let (path, rest) = command.split_last().ok_or(io::ErrorKind::InvalidInput)?;
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
    config["serve"] = serde_json::json!({ "audit": false });
    let path = directory.join("mute.json");
    fs::write(&path, config.to_string())?;
    Ok([rest, &[places::text(&path)?]].concat())
}

/// The proxy of `FastMCP`, where `$FASTMCP` is a Python that has it.
fn proxy(directory: &Path, floor: &str) -> io::Result<Option<Way>> {
    let Some(python) = env::var("FASTMCP").ok().filter(|python| !python.is_empty()) else { return Ok(None) };
    let script = directory.join("proxy.py");
    fs::write(&script, PROXY)?;
    // A proxy of one server leaves its names as they are.
    let quiet = ["env".to_owned(), "FASTMCP_CHECK_FOR_UPDATES=off".to_owned()];
    let command = [&quiet[..], &[python, places::text(&script)?, floor.to_owned()]].concat();
    Way::connect(&command, "echo").map(Some)
}
