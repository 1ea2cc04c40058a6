//! A stdio MCP server that misbehaves on cue: one flag, one behaviour, so that one line of a config makes one sharp
//! edge. It is written without any MCP library, so that the tests do not meet their own assumptions.

mod misbehave;
mod options;
mod orphans;
mod server;
mod tools;
mod wide;

use std::{
    fs::OpenOptions,
    io::{self, BufRead, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

use options::Options;
use server::Server;

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    if options.ignore_term {
        // Blocked instead of ignored: the same to the sender, and it needs no handler.
        let mut term = nix::sys::signal::SigSet::empty();
        term.add(nix::sys::signal::SIGTERM);
        term.thread_block().expect("SIGTERM can be blocked");
    }
    note_pid(&options);
    eprint!("{}", options.stderr);
    if let Some(code) = options.exit_at_once {
        return ExitCode::from(code);
    }
    flood_stderr(options.stderr_flood);
    thread::sleep(Duration::from_millis(options.delay_ms));
    let ignore_eof = options.ignore_eof;
    let code = serve(options);
    if ignore_eof && code == 0 {
        loop {
            thread::park();
        }
    }
    ExitCode::from(code)
}

/// Answers lines until stdin ends or a behaviour ends the server; returns the exit status.
fn serve(options: Options) -> u8 {
    let silent = options.silent;
    let server = Server::new(options);
    server.junk();
    misbehave::begin(&server);
    for line in io::stdin().lock().split(b'\n') {
        let Ok(line) = line else { return 0 };
        if silent {
            continue;
        }
        if let Some(code) = server.receive(&line) {
            return code;
        }
    }
    0
}

fn note_pid(options: &Options) {
    if let Some(path) = &options.pid_file {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the pid file can be written");
        writeln!(file, "{}", std::process::id()).expect("the pid file can be written");
    }
}

fn flood_stderr(bytes: usize) {
    let line = [b"flood ".repeat(16), b"\n".to_vec()].concat();
    let mut stderr = io::stderr().lock();
    let mut left = bytes;
    while left > 0 {
        let n = left.min(line.len());
        if stderr.write_all(&line[line.len() - n..]).is_err() {
            return;
        }
        left -= n;
    }
}
