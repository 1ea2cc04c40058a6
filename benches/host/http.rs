//! The program over HTTP: beside another host that offers its servers over HTTP, and against the server's own pipes.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    CALLERS, Plan,
    bare::{Bare, check, message},
    places::{self, Entries},
    report::{Latency, Series, rate, say, say_rate, title},
};

/// Calls by one caller and by several, each on a connection of its own.
pub(crate) fn calls(plan: Plan) -> io::Result<()> {
    let floor = places::floor()?;
    let scratch = tempfile::tempdir()?;
    title("a call over HTTP")?;
    let ours = Served::computer(scratch.path(), &floor)?;
    let hub = Served::hub(scratch.path(), &floor)?;
    let mut direct = Bare::connect(&[floor])?;
    let (mut pipes, mut own) = (Latency::default(), Figures::default());
    let mut theirs = hub.is_some().then(Figures::default);
    for round in 0..=plan.rounds {
        let by_pipe = direct.one_by_one(plan.calls, "echo")?;
        let by_us = ours.round(plan.calls)?;
        let by_them = hub.as_ref().map(|hub| hub.round(plan.calls / 4)).transpose()?;
        // The first round only warms everything up.
        if round > 0 {
            pipes.push(&by_pipe);
            own.push(by_us);
            if let (Some(theirs), Some(round)) = (&mut theirs, by_them) {
                theirs.push(round);
            }
        }
    }
    let added = own.one.p50.median() - pipes.p50.median();
    let of = format!("{:.0} over {:.0} µs", own.one.p50.median(), pipes.p50.median());
    say("added to the server's own pipes, p50", &format!("{added:.0} µs"), &["", &of])?;
    let Some(theirs) = theirs else {
        return say("beside mcp-hub", "-", &["", "not measured: MCP_HUB does not say where it is"]);
    };
    own.one.say("this / mcp-hub, one caller", &theirs.one, "< 0.2×")?;
    say_rate(&format!("{CALLERS} callers, of what mcp-hub does"), &own.many, &theirs.many, "≥ 500 %")
}

#[derive(Default)]
struct Figures {
    one: Latency,
    many: Series,
}

impl Figures {
    fn push(&mut self, (one, many): (Vec<Duration>, f64)) {
        self.one.push(&one);
        self.many.push(many);
    }
}

/// A host that is called over HTTP, which ends with it.
struct Served {
    child: Child,
    port: u16,
    path: &'static str,
    /// What each request says beside its length.
    headers: String,
    body: fn(usize) -> String,
}

impl Served {
    fn computer(directory: &std::path::Path, floor: &str) -> io::Result<Self> {
        let mut command = places::serving(directory, floor, Entries::One)?;
        command.retain(|word| word != "--stdio");
        command.extend(["--http", "127.0.0.1:0", "--no-token"].map(ToOwned::to_owned));
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?);
        while !said.contains("listening") {
            said.clear();
            if stderr.read_line(&mut said)? == 0 {
                return Err(io::Error::other("the program does not listen"));
            }
        }
        // What it says later must have somewhere to go.
        thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        let port = said.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        let port = port.ok_or_else(|| io::Error::other(format!("no port in {said}")))?;
        let accept = "Accept: application/json, text/event-stream\r\n".to_owned();
        let mut served = Self { child, port, path: "/mcp", headers: accept, body: |id| message::call(id, "e0__echo") };
        let mut client = Client::connect(port)?;
        let session = client.post(&served, message::INITIALIZE)?.session.unwrap_or_default();
        served.headers.extend(["Mcp-Session-Id: ", &session, "\r\n"]);
        client.post(&served, message::INITIALIZED)?;
        // It lists once its entries are up.
        client.post(&served, message::LIST)?;
        Ok(served)
    }

    /// The other host, if `$MCP_HUB` says where it is.
    fn hub(directory: &std::path::Path, floor: &str) -> io::Result<Option<Self>> {
        let Some(hub) = env::var("MCP_HUB").ok().filter(|hub| !hub.is_empty()) else { return Ok(None) };
        let config = directory.join("hub.json");
        std::fs::write(
            &config,
            serde_json::json!({ "mcpServers": { "floor": { "command": floor, "args": [] } } }).to_string(),
        )?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("node");
        command.arg(hub).args(["--port", &port.to_string(), "--config"]).arg(config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let body = |_| format!(r#"{{"server_name":"floor","tool":"echo","arguments":{}}}"#, message::ARGUMENTS);
        let served = Self { child, port, path: "/api/servers/tools", headers: String::new(), body };
        let limit = Instant::now() + Duration::from_secs(30);
        while Instant::now() < limit {
            let called = Client::connect(port).and_then(|mut client| client.call(&served, 0));
            if called.is_ok() {
                return Ok(Some(served));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other("mcp-hub does not answer"))
    }

    /// One caller's latencies, and what several do in a second.
    fn round(&self, calls: usize) -> io::Result<(Vec<Duration>, f64)> {
        let one = self.caller(0..calls)?;
        let begin = Instant::now();
        let share = calls / CALLERS;
        thread::scope(|scope| {
            let all: Vec<_> = (0..CALLERS)
                .map(|caller| scope.spawn(move || self.caller(caller * share..(caller + 1) * share).map(drop)))
                .collect();
            all.into_iter().try_for_each(|caller| caller.join().expect("a caller does not panic"))
        })?;
        Ok((one, rate(share * CALLERS, begin.elapsed())))
    }

    fn caller(&self, ids: std::ops::Range<usize>) -> io::Result<Vec<Duration>> {
        let mut client = Client::connect(self.port)?;
        ids.map(|id| client.call(self, id)).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A connection that is kept.
struct Client {
    stream: BufReader<TcpStream>,
}

struct Answer {
    session: Option<String>,
    body: String,
}

impl Client {
    fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn call(&mut self, served: &Served, id: usize) -> io::Result<Duration> {
        let body = (served.body)(id);
        let begin = Instant::now();
        check(&self.post(served, &body)?.body)?;
        Ok(begin.elapsed())
    }

    fn post(&mut self, served: &Served, body: &str) -> io::Result<Answer> {
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            served.path,
            served.port,
            served.headers,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut chunked, mut session) = (0, false, None);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                "transfer-encoding" => chunked = value.trim() == "chunked",
                "mcp-session-id" => session = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut all = Vec::new();
        if chunked {
            while self.chunk(&mut all)? {}
        } else {
            all.resize(length, 0);
            self.stream.read_exact(&mut all)?;
        }
        Ok(Answer { session, body: String::from_utf8(all).map_err(io::Error::other)? })
    }

    /// Reads one more chunk; false after the last.
    fn chunk(&mut self, all: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let begin = all.len();
        all.resize(begin + length + 2, 0);
        self.stream.read_exact(&mut all[begin..])?;
        all.truncate(begin + length);
        Ok(length > 0)
    }
}
