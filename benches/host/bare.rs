//! Pipes to a server with nothing in between: what a call costs at the least.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

/// The messages that a client sends.
pub(crate) mod message {
    pub(crate) const INITIALIZE: &str = concat!(
        r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-06-18","#,
        r#""capabilities":{},"clientInfo":{"name":"bench","version":"0"}}}"#,
        "\n"
    );
    pub(crate) const INITIALIZED: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
    pub(crate) const LIST: &str = "{\"jsonrpc\":\"2.0\",\"id\":\"list\",\"method\":\"tools/list\"}\n";
    /// What each call is given.
    pub(crate) const ARGUMENTS: &str = r#"{"message":"hello"}"#;

    pub(crate) fn call(id: usize, tool: &str) -> String {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{ARGUMENTS}}}}}\n"
        )
    }
}

/// A server behind blocking pipes, which ends with it.
pub(crate) struct Bare {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    line: String,
}

impl Bare {
    /// Starts a server; nothing is said yet.
    pub(crate) fn spawn(command: &[String]) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or_else(|| io::Error::other("no command"))?;
        let mut command = Command::new(program);
        let mut child =
            command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { child, stdin, stdout, line: String::new() })
    }

    /// Starts a server and shakes hands.
    pub(crate) fn connect(command: &[String]) -> io::Result<Self> {
        let mut bare = Self::spawn(command)?;
        bare.send(message::INITIALIZE)?;
        bare.receive()?;
        bare.send(message::INITIALIZED)?;
        Ok(bare)
    }

    /// How many tools there are.
    pub(crate) fn tools(&mut self) -> io::Result<usize> {
        self.send(message::LIST)?;
        while !self.receive()?.contains("\"list\"") {}
        Ok(self.line.matches("\"inputSchema\"").count())
    }

    pub(crate) fn send(&mut self, line: &str) -> io::Result<()> {
        self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(line.as_bytes())
    }

    /// The next answer; what the server says of its own accord is passed over.
    pub(crate) fn receive(&mut self) -> io::Result<&str> {
        let stdout = self.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        loop {
            self.line.clear();
            if stdout.read_line(&mut self.line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !self.line.contains("\"method\"") {
                return Ok(&self.line);
            }
        }
    }

    /// For a client that reads in a thread of its own.
    pub(crate) fn take_stdout(&mut self) -> Option<BufReader<ChildStdout>> {
        self.stdout.take()
    }

    /// Calls one after the other.
    pub(crate) fn one_by_one(&mut self, calls: usize, tool: &str) -> io::Result<Vec<Duration>> {
        let mut latencies = Vec::with_capacity(calls);
        for id in 0..calls {
            let line = message::call(id, tool);
            let begin = Instant::now();
            self.send(&line)?;
            check(self.receive()?)?;
            latencies.push(begin.elapsed());
        }
        Ok(latencies)
    }

    /// Calls with `window` of them always under way.
    pub(crate) fn pipelined(&mut self, calls: usize, tool: &str, window: usize) -> io::Result<Duration> {
        let begin = Instant::now();
        for id in 0..window {
            self.send(&message::call(id, tool))?;
        }
        for id in window..calls + window {
            check(self.receive()?)?;
            if id < calls {
                self.send(&message::call(id, tool))?;
            }
        }
        Ok(begin.elapsed())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let limit = Instant::now() + Duration::from_secs(3);
        while Instant::now() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server behind the pipes of a runtime: what a host that waits for many things at once pays at the least.
pub(crate) struct Async {
    _child: tokio::process::Child,
    stdin: tokio::process::ChildStdin,
    stdout: tokio::io::BufReader<tokio::process::ChildStdout>,
    line: Vec<u8>,
}

impl Async {
    pub(crate) async fn connect(program: &str) -> io::Result<Self> {
        let mut command = tokio::process::Command::new(program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let no_pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdin = child.stdin.take().ok_or_else(no_pipe)?;
        let stdout = tokio::io::BufReader::new(child.stdout.take().ok_or_else(no_pipe)?);
        let mut bare = Self { _child: child, stdin, stdout, line: Vec::new() };
        bare.stdin.write_all(message::INITIALIZE.as_bytes()).await?;
        bare.receive().await?;
        bare.stdin.write_all(message::INITIALIZED.as_bytes()).await?;
        Ok(bare)
    }

    async fn receive(&mut self) -> io::Result<&str> {
        self.line.clear();
        if self.stdout.read_until(b'\n', &mut self.line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        std::str::from_utf8(&self.line).map_err(io::Error::other)
    }

    /// Calls one after the other.
    pub(crate) async fn one_by_one(&mut self, calls: usize, tool: &str) -> io::Result<Vec<Duration>> {
        let mut latencies = Vec::with_capacity(calls);
        for id in 0..calls {
            let line = message::call(id, tool);
            let begin = Instant::now();
            self.stdin.write_all(line.as_bytes()).await?;
            check(self.receive().await?)?;
            latencies.push(begin.elapsed());
        }
        Ok(latencies)
    }

    /// Calls with `window` of them always under way.
    pub(crate) async fn pipelined(&mut self, calls: usize, tool: &str, window: usize) -> io::Result<Duration> {
        let begin = Instant::now();
        for id in 0..window {
            self.stdin.write_all(message::call(id, tool).as_bytes()).await?;
        }
        for id in window..calls + window {
            check(self.receive().await?)?;
            if id < calls {
                self.stdin.write_all(message::call(id, tool).as_bytes()).await?;
            }
        }
        Ok(begin.elapsed())
    }
}

/// A measure of calls that fail would be one of something else.
pub(crate) fn check(answer: &str) -> io::Result<()> {
    if answer.contains("\"hello\"") { Ok(()) } else { Err(io::Error::other(format!("a call failed: {answer}"))) }
}
