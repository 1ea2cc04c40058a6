//! The program under chaos: `computer serve` with both fronts, its clients, and a config that does not stay as it is.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Shutdown, SocketAddr, TcpStream},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{
    cast::{Cast, NAMES, SHELL, site},
    dice::Dice,
    pipe::{Pipe, listening},
    script::{Act, Deed, script},
    stage::CALLERS,
    tally::{BOUND, Call, Tally},
    traces::{self, Traces},
};
use crate::support::{
    client::MODERN,
    http::{Sessions, Web},
    http_client::{self, Caller},
    procs::{children, eventually},
    program::Scratch,
};

/// What is written of the entries: the variant of each that is not left out, and whether it is switched off.
type Written = Vec<(&'static str, u64, bool)>;

/// How far apart two changes of the config are at the least.
const REWRITE: Duration = Duration::from_millis(500);

/// The program, with ten entries.
pub(super) struct Served {
    child: Child,
    address: SocketAddr,
    pipe: Arc<Pipe>,
    listener: Option<thread::JoinHandle<()>>,
    stderr: Arc<Mutex<String>>,
    cast: Cast,
    scratch: Scratch,
    web: Mutex<Web>,
    sessions: Sessions,
    runtime: Runtime,
    /// A client for ourselves.
    own: Mutex<Caller>,
}

impl Served {
    /// Begun, and all entries up.
    pub(super) fn set() -> Self {
        let runtime = Runtime::new().unwrap();
        let (scratch, sessions) = (Scratch::new(), Sessions::default());
        let web = runtime.block_on(async { site(&scratch.path(""), &sessions) });
        let cast = Cast::new(&scratch.path(""), &web);
        let scratch = scratch.config(&cast.config(&NAMES.map(|name| (name, 0))));
        let mut command = scratch.command(["serve", "--stdio", "--http", "127.0.0.1:0", "--no-token"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (from, to) = (child.stderr.take().unwrap(), stderr.clone());
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                to.lock().unwrap().extend([&line, "\n"]);
            }
        });
        let address = http_client::listening(|| stderr.lock().unwrap().clone());
        let pipe = Arc::new(Pipe::new(child.stdin.take().unwrap()));
        let listener = Some(listening(&pipe, child.stdout.take().unwrap()));
        let info = json!({ "name": "chaos", "version": "0" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        assert!(pipe.request("initialize", &hello, BOUND).is_some());
        pipe.notify("notifications/initialized", &json!({}));
        let own = Mutex::new(Caller::new(address, "/mcp", MODERN));
        let web = Mutex::new(web);
        let served = Self { child, address, pipe, listener, stderr, cast, scratch, web, sessions, runtime, own };
        served.set_right();
        served
    }

    /// So many acts, while everybody calls; what came of the calls.
    pub(super) fn round(&self, dice: &mut Dice, acts: usize) -> Tally {
        let (over, mut tally) = (CancellationToken::new(), Tally::default());
        thread::scope(|threads| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let (dice, over) = (dice.beside(caller as u64), over.clone());
                    threads.spawn(move || self.call(dice, caller, &over))
                })
                .collect();
            tally.wrong = self.disturb(script(dice, acts));
            over.cancel();
            for caller in callers {
                tally.add(caller.join().unwrap());
            }
        });
        self.set_right();
        let mut executed = self.cast.executed();
        executed.remove(LAST);
        tally.compare(&executed);
        tally.wrong.extend(self.pipe.stray().into_iter().map(|line| format!("nobody asked for {line}")));
        self.cast.forget();
        tally
    }

    /// Does what the script says; what must not be.
    fn disturb(&self, script: Vec<Act>) -> Vec<String> {
        let mut written: Written = NAMES.map(|name| (name, 0, false)).to_vec();
        let (mut last, mut is_new) = (Instant::now(), false);
        thread::scope(|threads| {
            for act in script {
                thread::sleep(act.after);
                is_new |= rewritten(&mut written, &act);
                if is_new && last.elapsed() > REWRITE {
                    self.write(&written);
                    (last, is_new) = (Instant::now(), false);
                }
                threads.spawn(move || self.act(&act));
            }
        });
        Vec::new()
    }

    fn act(&self, act: &Act) {
        let signal = |signal| self.cast.one_of(act.name, act.chance).inspect(|pid| self.cast.signal(*pid, signal));
        match act.deed {
            Deed::Kill => drop(signal(Signal::SIGKILL)),
            Deed::Freeze { pause, kill } => {
                if let Some(pid) = signal(Signal::SIGSTOP) {
                    thread::sleep(pause);
                    self.cast.signal(pid, if kill { Signal::SIGKILL } else { Signal::SIGCONT });
                }
            }
            Deed::Cut { pause } => {
                let mut web = self.web.lock().unwrap();
                self.runtime.block_on(web.down());
                thread::sleep(pause);
                self.runtime.block_on(async { web.up() });
            }
            Deed::Forget => self.sessions.forget(),
            Deed::Mend => drop(self.wake(act.name)),
            Deed::Look => drop(self.own.lock().unwrap().tools()),
            // These are written.
            Deed::Restart | Deed::Stop { .. } | Deed::Replace { .. } | Deed::Rewrite => {}
        }
    }

    /// Asks an entry to come up, as an agent does when it sees its status tool.
    fn wake(&self, name: &str) -> Value {
        let params = json!({ "name": format!("{name}__status"), "arguments": { "connect": true } });
        self.own.lock().unwrap().request("tools/call", params)
    }

    fn write(&self, written: &Written) {
        let entries: Vec<(&str, u64)> = written.iter().map(|(name, variant, _)| (*name, *variant)).collect();
        let mut config = self.cast.config(&entries);
        for (name, _, is_off) in written {
            config["mcpServers"][name]["disabled"] = json!(is_off);
        }
        let draft = self.scratch.write("draft.json", &config.to_string());
        fs::rename(draft, self.scratch.path("config.json")).unwrap();
    }

    /// Brings everything back to where it was at the beginning: each entry answers, and nothing else is going on.
    pub(super) fn set_right(&self) {
        {
            let mut web = self.web.lock().unwrap();
            self.runtime.block_on(web.down());
            self.runtime.block_on(async { web.up() });
        }
        self.write(&NAMES.map(|name| (name, 0, false)).to_vec());
        let begin = Instant::now();
        for name in NAMES {
            let call = Call { token: LAST.to_owned(), tool: "look", ms: None, die: false };
            loop {
                let answer = self.pipe.request("tools/call", &params(name, &call), BOUND);
                let answer = judge(&answer.expect("an answer comes"));
                if answer.as_ref().is_ok_and(|text| text.contains(LAST)) {
                    break;
                }
                assert!(begin.elapsed() < BOUND * 2, "{name} does not come up: {answer:?}\n{}", self.stderr());
                self.wake(name);
            }
        }
    }

    pub(super) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The process that does the work.
    pub(super) fn daemon(&self) -> u32 {
        let guard = self.child.id().cast_signed();
        // What was orphaned has come to the guard as well.
        let computer =
            |pid: &i32| self.cast.processes().iter().any(|(other, line)| other == pid && line.contains(" serve "));
        children(guard).into_iter().find(computer).expect("the daemon lives").cast_unsigned()
    }

    fn traces(&self) -> Traces {
        let (processes, daemon) = (self.cast.processes().len(), self.daemon());
        // Threads that may block come and go; tasks cannot be seen from outside.
        Traces { processes, descriptors: traces::descriptors(daemon), tasks: 0 }
    }

    /// What there is of it when nothing comes or goes any more.
    pub(super) fn settled(&self) -> Traces {
        let mut last = (self.traces(), Instant::now());
        eventually("it comes to rest", || {
            let now = self.traces();
            if now != last.0 {
                last = (now, Instant::now());
            }
            last.1.elapsed() > Duration::from_secs(1)
        });
        last.0
    }

    /// Asks it to leave and waits until it has; the processes that are left at that moment.
    pub(super) fn end(mut self) -> Vec<(i32, String)> {
        self.cast.signal(self.child.id().cast_signed(), Signal::SIGTERM);
        let mut status = None;
        eventually("the program exits", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let left = self.cast.processes();
        assert_eq!(status.unwrap().code(), Some(143), "{}", self.stderr());
        self.pipe.close();
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        left
    }

    /// Calls until it is over, and sees what comes of it.
    fn call(&self, mut dice: Dice, caller: usize, over: &CancellationToken) -> Tally {
        let mut tally = Tally::default();
        let mut client = match caller % 3 {
            0 => None,
            1 => Some(Caller::legacy(self.address)),
            _ => Some(Caller::new(self.address, "/mcp", MODERN)),
        };
        for number in 0.. {
            if over.is_cancelled() {
                break;
            }
            let (name, call, taken_back) = Call::drawn(&mut dice, (caller, number));
            let (params, begin) = (params(name, &call), Instant::now());
            let answer = match (&mut client, taken_back) {
                (None, None) => self.pipe.request("tools/call", &params, BOUND),
                (None, Some(after)) => self.pipe.take_back("tools/call", &params, after),
                (Some(client), None) => client.open("tools/call", params).messages().pop(),
                (Some(client), Some(after)) => {
                    leave(self.address, &client.ask("tools/call", params).0.text(self.address), after);
                    None
                }
            };
            tally.took(begin.elapsed());
            match (answer.as_ref().map(judge), taken_back) {
                (Some(Ok(text)), _) => tally.answered(name, call.token, &text),
                (Some(Err(Some(kind))), _) => tally.failed(kind),
                (Some(Err(None)), _) => tally.wrong.push(format!("{name}: {} failed: {answer:?}", call.token)),
                (None, Some(_)) => tally.failed("taken back"),
                (None, None) => tally.wrong.push(format!("{name}: {} was not answered", call.token)),
            }
            thread::sleep(dice.millis(0..12));
        }
        if let Some(client) = client.filter(|client| client.session.is_some()) {
            assert!(client.end() < 300, "its session ends");
        }
        tally
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The guard's death is the daemon's, and the daemon's that of everything below it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The token of calls that only show that an entry answers.
const LAST: &str = "last.";

/// Writes an act down, if it is one that is written.
fn rewritten(written: &mut Written, act: &Act) -> bool {
    let at = written.iter().position(|(name, ..)| *name == act.name);
    match (act.deed, at) {
        (Deed::Replace { .. }, Some(at)) => drop(written.remove(at)),
        (Deed::Stop { .. }, Some(at)) => written[at].2 = !written[at].2,
        (Deed::Restart | Deed::Rewrite, Some(at)) => (written[at].1, written[at].2) = (written[at].1 + 1, false),
        (Deed::Replace { .. } | Deed::Stop { .. } | Deed::Restart | Deed::Rewrite, None) => {
            written.push((act.name, 1, false));
        }
        (Deed::Kill | Deed::Freeze { .. } | Deed::Cut { .. } | Deed::Forget | Deed::Mend | Deed::Look, _) => {
            return false;
        }
    }
    true
}

/// Sends a request over a connection of its own, and closes it after a while without having read anything.
fn leave(address: SocketAddr, request: &str, after: Duration) {
    let mut stream = TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    thread::sleep(after);
    let _ = stream.shutdown(Shutdown::Both);
}

fn params(name: &str, call: &Call) -> Value {
    if name == SHELL {
        return json!({ "name": format!("{SHELL}__run_command"), "arguments": { "command": call.command() } });
    }
    let arguments = json!({ "token": call.token, "ms": call.ms, "die": call.die });
    json!({ "name": format!("{name}__{}", call.tool), "arguments": arguments })
}

/// The text of an answer, or in which of the ways that are allowed it failed.
fn judge(answer: &Value) -> Result<String, Option<&'static str>> {
    let error = answer["error"]["message"].as_str();
    let text = answer["result"]["content"][0]["text"].as_str().or(error).unwrap_or_default();
    if error.is_none() && answer["result"]["isError"] != true {
        return Ok(text.to_owned());
    }
    // What an entry did is told of the tool that was called.
    let text = text.strip_prefix("cannot call `").and_then(|rest| rest.split_once("`: ")).map_or(text, |(_, why)| why);
    let ways = [
        ("ended", text.starts_with("the server ")),
        ("not ready", text.starts_with("entry `")),
        ("timeout", text.contains(" took longer than ")),
        ("http", text.contains("/mcp") && text.contains(" failed: ")),
        ("unknown", answer["error"]["code"] == -32602 && text.starts_with("unknown tool ")),
        ("cancelled", text == "the call was cancelled"),
    ];
    Err(ways.into_iter().find(|(_, is_it)| *is_it).map(|(kind, _)| kind))
}
