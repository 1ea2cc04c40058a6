//! A real Chromium, and pages for it to open.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use mcp_computer::{ChromeInstance, ChromeLaunchOptions};
use nix::unistd::Uid;
use serde_json::{Value, json};

use super::{
    library::within,
    procs::{descendants, eventually},
    real,
};

/// Flags that keep it quiet where there is no network.
pub(crate) const QUIET: [&str; 4] =
    ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/// Options for a Chromium without windows on that profile, or `None` after saying that the test is skipped.
pub(crate) fn options(profile: &Path) -> Option<ChromeLaunchOptions> {
    Some(ChromeLaunchOptions {
        profile_dir: Some(profile.to_owned()),
        chrome_path: Some(chromium()?),
        headless: Some(true),
        no_sandbox: Uid::effective().is_root(),
        flags: QUIET.map(str::to_owned).to_vec(),
        ..ChromeLaunchOptions::default()
    })
}

/// The same as it stands in a config.
pub(crate) fn config(profile: &Path) -> Option<Value> {
    Some(json!({
        "profileDir": profile,
        "chromePath": chromium()?,
        "headless": true,
        "noSandbox": Uid::effective().is_root(),
        "flags": QUIET,
    }))
}

pub(crate) fn chromium() -> Option<PathBuf> {
    real::program("chromium")
}

pub(crate) async fn launched(options: ChromeLaunchOptions) -> ChromeInstance {
    within("the launch", mcp_computer::Computer::launch_chrome(options)).await.unwrap()
}

/// A Chrome's processes, its first one included, once there are many.
pub(crate) fn tree(pid: u32) -> Vec<i32> {
    let first = pid.cast_signed();
    eventually("a Chrome is many processes", || descendants(first).len() > 3);
    [vec![first], descendants(first)].concat()
}

/// What it says of itself on a port.
pub(crate) fn version(port: u16) -> Value {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET /json/version HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    // It may leave the connection open.
    let mut buffer = [0; 4096];
    while !text.trim_end().ends_with('}') {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the answer is cut: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A port on which somebody answers every request with the same; it goes with the test.
pub(crate) struct Answering {
    pub(crate) port: u16,
}

impl Answering {
    pub(crate) fn with(kind: &str, body: &str) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), kind, body)
    }

    pub(crate) fn on(listener: TcpListener, kind: &str, body: &str) -> Self {
        let port = listener.local_addr().unwrap().port();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                thread::spawn(move || reply(stream, &answer));
            }
        });
        Self { port }
    }

    /// A page with that body.
    pub(crate) fn page(body: &str) -> Self {
        Self::with("text/html", &format!("<!doctype html><title>A page</title>{body}"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

fn reply(mut stream: TcpStream, answer: &str) {
    let mut request: Vec<u8> = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => request.extend(&buffer[..read]),
            _ => return,
        }
    }
    // Whoever asked may have gone.
    let _ = stream.write_all(answer.as_bytes());
}
