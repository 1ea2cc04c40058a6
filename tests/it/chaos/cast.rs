//! Who takes part: ten entries of several kinds, and the ledger in which their servers write what they do.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use mcp_computer::{ComputerConfig, EntryConfig, config};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Map, Value, json};

use super::dice::Dice;
use crate::support::{
    fake,
    http::{Reply, Request, Sessions, Web, after, legacy},
    program::text,
    with,
};

/// The entries.
pub(super) const NAMES: [&str; 10] =
    ["plain", "modern", "shy", "deaf", "helped", "slow", "wrapped", "second", WEB, SHELL];
pub(super) const WEB: &str = "web";
pub(super) const SHELL: &str = "shell";

/// Where they write. It stands in the command line of each of their processes, which tells those from all others.
pub(super) struct Cast {
    dir: PathBuf,
    web: String,
}

impl Cast {
    pub(super) fn new(dir: &Path, web: &Web) -> Self {
        Self { dir: dir.to_owned(), web: web.url() }
    }

    /// An entry as it is written in a config. Variants differ in nothing but that they are others.
    pub(super) fn entry(&self, name: &str, variant: u64) -> Value {
        // Short enough that what is stopped for ever is noticed, long enough that nothing else is.
        let clocks = json!({ "connectTimeout": "10s", "callTimeout": "3s", "maxCallTime": "8s" });
        let flags: &[&str] = match name {
            WEB => return with(json!({ "type": "http", "url": format!("{}?variant={variant}", self.web) }), &clocks),
            SHELL => {
                let variables = json!({ "VARIANT": variant.to_string() });
                return json!({ "type": "shell", "mode": "unrestricted", "cwd": self.dir, "env": variables });
            }
            "modern" => &["--modern"],
            "shy" => &["--shy"],
            "deaf" => &["--deaf"],
            "helped" => &["--helper"],
            "slow" => &["--modern", "--delay-ms", "300"],
            _ => &[],
        };
        let ledger = ledger(&self.dir);
        let own = ["--name", name, "--ledger", text(&ledger), "--variant"];
        let mut args: Vec<String> = flags.iter().chain(&own).map(|arg| (*arg).to_owned()).collect();
        args.push(variant.to_string());
        let server = fake::path().with_file_name("ledger_server");
        if name != "wrapped" {
            return with(json!({ "command": server, "args": args }), &clocks);
        }
        // As package runners do: the server is the child of what was started.
        let script = format!("'{}' {}; true", server.display(), args.join(" "));
        with(json!({ "command": "sh", "args": ["-c", script] }), &clocks)
    }

    /// A config of these entries.
    pub(super) fn config(&self, entries: &[(&str, u64)]) -> Value {
        let entries: Map<String, Value> =
            entries.iter().map(|(name, variant)| ((*name).to_owned(), self.entry(name, *variant))).collect();
        json!({ "mcpServers": entries })
    }

    /// The same for the library.
    pub(super) fn parsed(&self, entries: &[(&str, u64)]) -> ComputerConfig {
        config::file::parse(&self.config(entries).to_string(), "chaos.json").unwrap().0
    }

    /// One of them for the library.
    pub(super) fn parsed_entry(&self, name: &str, variant: u64) -> EntryConfig {
        self.parsed(&[(name, variant)]).entries.remove(0).1
    }

    /// How often each token was executed.
    pub(super) fn executed(&self) -> HashMap<String, usize> {
        let text = fs::read_to_string(ledger(&self.dir)).unwrap_or_default();
        let mut counts = HashMap::new();
        for token in text.lines() {
            *counts.entry(token.to_owned()).or_default() += 1;
        }
        counts
    }

    /// Forgets what was executed. Whoever writes goes on at the end of what is there.
    pub(super) fn forget(&self) {
        let _ = OpenOptions::new().write(true).open(ledger(&self.dir)).and_then(|file| file.set_len(0));
    }

    /// Every process of theirs that lives, with its command line.
    pub(super) fn processes(&self) -> Vec<(i32, String)> {
        let entries = fs::read_dir("/proc").expect("/proc is there");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Some((pid, command_line(pid).filter(|line| self.is_ours(line))?))).collect()
    }

    /// One of the processes of an entry.
    pub(super) fn one_of(&self, name: &str, chance: u64) -> Option<i32> {
        let wanted = format!("--name {name} ");
        let processes = self.processes().into_iter().filter(|(_, line)| line.contains(&wanted));
        let pids: Vec<i32> = processes.map(|(pid, _)| pid).collect();
        Dice::new(chance).pick(&pids).copied()
    }

    /// Sends a signal to a process, if it is still one of theirs.
    pub(super) fn signal(&self, pid: i32, signal: Signal) {
        if command_line(pid).is_some_and(|line| self.is_ours(&line)) {
            // It may go at this very moment.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn is_ours(&self, line: &str) -> bool {
        line.contains(text(&self.dir))
    }
}

fn ledger(dir: &Path) -> PathBuf {
    dir.join("ledger")
}

/// The command line of a process that lives; that of a zombie is empty.
fn command_line(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&line).replace('\0', " "))
}

/// The server of the HTTP entry, in this process.
pub(super) fn site(dir: &Path, sessions: &Sessions) -> Web {
    let (path, sessions) = (ledger(dir), sessions.clone());
    let web = Web::serve(move |request| answer(&path, &sessions, &request));
    web.remembers_nothing();
    web
}

fn answer(ledger: &Path, sessions: &Sessions, request: &Request) -> Reply {
    if let Some(reply) = sessions.guard(request, || Reply::status(404)) {
        return reply;
    }
    if request.is("tools/list") {
        let tool = |name: &str, hints: Value| json!({ "name": name, "inputSchema": { "type": "object" }, "annotations": hints });
        let [look, set] =
            [("look", "readOnlyHint"), ("set", "idempotentHint")].map(|(name, hint)| tool(name, json!({ hint: true })));
        return request.result(&json!({ "tools": [tool("do", json!({})), look, set] }));
    }
    if !request.is_call() {
        return legacy(request);
    }
    let arguments = &request.message()["params"]["arguments"];
    let token = arguments["token"].as_str().unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).open(ledger).unwrap();
    file.write_all(format!("{token}\n").as_bytes()).unwrap();
    if arguments["die"] == true {
        return Reply::Cut;
    }
    let reply = request.says(token);
    match arguments["ms"].as_u64() {
        Some(ms) => after(std::time::Duration::from_millis(ms), reply),
        None => reply,
    }
}
