//! How much memory the program takes while a server floods it with a gigabyte.

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Plan,
    bare::{Bare, message},
    idle::{self, children, megabytes},
    places,
    report::{say, title},
};

/// A flood: what it is called here, what the server is told to do, and what the program may take for it.
struct Flood {
    name: &'static str,
    how: &'static str,
    aim: &'static str,
    reading: Reading,
}

/// Whether the client reads what it is sent meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Always,
    Afterwards,
}

// A message may have 16 MiB, and what is read of one that turns out too long is held until then.
const FLOODS: [Flood; 6] = [
    Flood { name: "on stderr", how: "stderr", aim: "< 4 MB", reading: Reading::Always },
    Flood { name: "one line on stdout", how: "large-line", aim: "< 24 MB", reading: Reading::Always },
    Flood { name: "lines of noise", how: "bytes-of-noise", aim: "< 4 MB", reading: Reading::Always },
    Flood { name: "answers to nobody", how: "bytes-of-strange-answers", aim: "< 4 MB", reading: Reading::Always },
    Flood { name: "log messages", how: "bytes-of-logs", aim: "< 24 MB", reading: Reading::Always },
    Flood {
        name: "log messages, client not reading",
        how: "bytes-of-logs",
        aim: "< 24 MB",
        reading: Reading::Afterwards,
    },
];

/// How often it is looked whether a flood has passed.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    let bytes: u64 = if plan.quick { 128 << 20 } else { 1 << 30 };
    title(&format!("by how much the program grows at most while a server floods it with {} MB", bytes >> 20))?;
    let server = places::example("fake_server")?;
    for flood in &FLOODS {
        let scratch = tempfile::tempdir()?;
        let (grown, left, took) = flood.measure(scratch.path(), (&server, bytes))?;
        #[expect(clippy::cast_precision_loss, reason = "it is a figure for people")]
        let speed = (bytes >> 20) as f64 / took.as_secs_f64();
        say(flood.name, &megabytes(grown), &[flood.aim, &format!("{speed:.0} MB/s; {} of it stay", megabytes(left))])?;
    }
    Ok(())
}

impl Flood {
    /// By how much memory grows in KiB, how much of that stays, and how long it takes.
    fn measure(&self, scratch: &Path, (server, bytes): (&str, u64)) -> io::Result<(u64, u64, Duration)> {
        let (config, marker) = (scratch.join("config.json"), scratch.join("marker"));
        let entry = json!({ "command": server, "args": ["--misbehave", "on-cue"] });
        fs::write(&config, json!({ "mcpServers": { "bad": entry } }).to_string())?;
        let words = [places::computer(), "serve".into(), "--stdio".into(), "--config".into(), places::text(&config)?];
        let mut program = Bare::connect(&words)?;
        program.tools()?;
        let root = program.child.id();
        let before = idle::settled(root);
        let daemon = children(root).into_iter().next().ok_or_else(|| io::Error::other("there is no daemon"))?;
        // From now on its peak counts.
        fs::write(format!("/proc/{daemon}/clear_refs"), "5")?;
        let begun_at = status(daemon, "VmRSS:")?;
        let arguments = json!({ "how": self.how, "count": bytes, "marker": places::text(&marker)? });
        let params = json!({ "name": "bad__misbehave", "arguments": arguments });
        let call = json!({ "jsonrpc": "2.0", "id": "flood", "method": "tools/call", "params": params });
        let begin = Instant::now();
        program.send(&format!("{call}\n"))?;
        if self.reading == Reading::Afterwards {
            while !marker.exists() {
                thread::sleep(LOOK);
            }
        } else if !program.receive()?.contains("done") {
            return Err(io::Error::other("the flood did not come"));
        }
        let took = begin.elapsed();
        let grown = status(daemon, "VmHWM:")?.saturating_sub(begun_at);
        if self.reading == Reading::Afterwards {
            program.receive()?;
        }
        // It is still what it was.
        program.send(&message::call(1, "bad__echo"))?;
        program.receive()?;
        Ok((grown, idle::settled(root).saturating_sub(before), took))
    }
}

/// A figure of a process in KiB.
fn status(pid: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| io::Error::other(format!("the status of a process has no `{name}`")))
}
