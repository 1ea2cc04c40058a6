//! A day in short: a daemon as a user's service, with real clients, while everything around it changes.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    fake,
    haunt::Haunt,
    http_client::Caller,
    library::again_with,
    procs::{children, eventually, signal},
    program::{Run, Scratch, run, text},
    real,
};

/// The place of a user whose service it is.
struct User {
    scratch: Scratch,
    program: PathBuf,
    haunt: Haunt,
    manager: UnixDatagram,
    small_disk: bool,
}

impl User {
    fn new() -> Self {
        let scratch = Scratch::new();
        let runtime = scratch.path("run");
        fs::create_dir(&runtime).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
        let manager = UnixDatagram::bind(runtime.join("notify")).unwrap();
        manager.set_nonblocking(true).unwrap();
        let state = scratch.home().join(".local/state");
        fs::create_dir_all(&state).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none", text(&state)]).output();
        let small_disk = mount.is_ok_and(|output| output.status.success());
        if !small_disk {
            real::cannot("no disk can be mounted here that could be full");
        }
        let program = scratch.path("computer");
        let scratch = scratch.variable("XDG_RUNTIME_DIR", text(&runtime));
        let user = Self { scratch, program, haunt: Haunt::new(), manager, small_disk };
        user.install();
        user
    }

    /// Puts the program there, under the one that may run.
    fn install(&self) {
        let new = self.program.with_extension("new");
        fs::copy(env!("CARGO_BIN_EXE_computer"), &new).unwrap();
        fs::rename(new, &self.program).unwrap();
    }

    fn configure(&self, more: &[(&str, Value)]) {
        let (name, mark) = self.haunt.variable();
        let mut entries = json!({ "fake": { "command": fake::path(), "args": ["--wide"], "env": { name: mark } } });
        for (name, entry) in more {
            entries[*name] = entry.clone();
        }
        let file = self.scratch.home().join(".config/computer/computer.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, json!({ "mcpServers": entries }).to_string()).unwrap();
    }

    /// As a service manager starts it: no terminal, no PATH, no directory of its own.
    fn start(&self) -> Child {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--http", "127.0.0.1:0"]).env_clear().current_dir("/");
        command.env("HOME", self.scratch.home()).env("USER", "ada").env("LOGNAME", "ada").env("SHELL", "/bin/sh");
        command.env("XDG_RUNTIME_DIR", self.scratch.path("run")).env("NOTIFY_SOCKET", self.scratch.path("run/notify"));
        let service = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("it says that it is ready", || self.told("READY=1"));
        service
    }

    /// Whether the manager has been told this among what it has not read yet.
    fn told(&self, what: &str) -> bool {
        let mut message = [0; 4096];
        while let Ok(length) = self.manager.recv(&mut message) {
            if String::from_utf8_lossy(&message[..length]).lines().any(|line| line == what) {
                return true;
            }
        }
        false
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scratch.other(&self.program);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments), "")
    }

    fn client(&self) -> Client {
        let mut client = Client::of(&self.scratch, self.command(&["serve", "--stdio", "--attach", "only"]));
        client.initialize("2025-11-25");
        client.tools();
        client
    }

    /// Where it serves over HTTP, and what lets one in.
    fn url(&self) -> (String, String) {
        let states = self.scratch.home().join(".local/state/computer");
        let mut notices = fs::read_dir(states).unwrap().map(|state| state.unwrap().path().join("daemon.json"));
        let notice = notices.find(|path| path.exists()).unwrap();
        let told: Value = serde_json::from_str(&fs::read_to_string(&notice).unwrap()).unwrap();
        let token = fs::read_to_string(notice.with_file_name("token")).unwrap();
        (told["http"][0].as_str().unwrap().to_owned(), token.trim().to_owned())
    }

    /// A client that others wrote, over HTTP.
    fn python(&self, library: &str) {
        let Some(interpreter) = real::interpreter() else { return };
        let (url, token) = self.url();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/call.py");
        let mut command = Command::new(interpreter);
        command.args([script, library, "auto", &url, &token]);
        assert_eq!(run(command, "").ok().json()["echo"], "hey", "{library}");
    }

    /// A client that others wrote, over stdio: it joins the daemon.
    fn inspector(&self) {
        let Some(script) = real::inspector() else { return };
        let program = self.command(&["serve", "--stdio", "--attach", "only"]);
        let mut command = self.scratch.other("node".as_ref());
        command.arg(script).args(["--cli", "-q", "--format", "json", "--protocol-era", "legacy"]);
        command.args(["--method", "tools/call", "--tool-name", "fake__echo", "--tool-arg", "message=hey"]);
        command.arg("--").arg(program.get_program()).args(program.get_args());
        assert!(run(command, "").ok().json().to_string().contains("hey"));
    }
}

#[test]
fn a_day_of_a_service_ends_with_nothing_left() {
    let inside = "day::a_day_of_a_service_ends_with_nothing_left";
    if again_with(&[], inside) {
        return;
    }
    // Its disk is nobody else's.
    let _ = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS);
    let _ = Command::new("mount").args(["--make-rprivate", "/"]).status();
    let user = User::new();
    user.configure(&[]);
    let mut service = user.start();
    let daemon = children(service.id().cast_signed())[0];

    // Three real clients, and two that stay.
    user.inspector();
    user.python("mcp");
    user.python("fastmcp");
    let mut stays = user.client();
    let (url, token) = user.url();
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp").parse().unwrap();
    let mut over_http = Caller::new(address, "/mcp", "2025-11-25").with_token(&token);
    over_http.initialize();
    over_http.tools();
    let mut told = over_http.listen();

    // The config is edited: all clients see what is new at once.
    let more = ("more", json!({ "command": fake::path() }));
    user.configure(std::slice::from_ref(&more));
    stays.wait_for_notifications("notifications/tools/list_changed", 1);
    told.told("notifications/tools/list_changed");
    assert_eq!(over_http.call_text("more__echo", &json!({ "message": "new" })), "new");

    // Servers are killed: they come back, and who called others has not noticed.
    for _ in 0..3 {
        let pid: i32 = stays.call_text("fake__pid", &json!({})).parse().unwrap();
        signal(pid, Signal::SIGKILL);
        assert_eq!(over_http.call_text("more__echo", &json!({ "message": "here" })), "here");
        eventually("it is back", || {
            let again = stays.request("tools/call", json!({ "name": "fake__pid", "arguments": {} }));
            let text = again["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
            text.parse::<i32>().is_ok_and(|new| new != pid)
        });
    }

    // The program is replaced under it: it goes on, and the new one joins it.
    user.install();
    assert_eq!(stays.call_text("fake__echo", &json!({ "message": "on" })), "on");
    user.run(&["restart", "more"]).ok();
    user.run(&["add", "third", "--entry", &more.1.to_string()]).ok();
    let mut newer = user.client();
    assert_eq!(newer.call_text("third__echo", &json!({ "message": "too" })), "too");
    user.run(&["status"]).ok();

    // Its disk is full: that is said and survived, and over when there is room.
    if user.small_disk {
        let state = user.scratch.home().join(".local/state");
        fill(&state.join("fill"));
        let call = |client: &mut Client| client.call_text("fake__echo", &json!({ "message": "full" }));
        eventually("it says that its disk is full", || {
            assert_eq!(call(&mut stays), "full");
            user.run(&["status", "--json"]).json()["recordProblems"].is_array()
        });
        user.run(&["restart", "fake"]).ok();
        fs::remove_file(state.join("fill")).unwrap();
        assert_eq!(call(&mut newer), "full");
    }
    assert_eq!(children(service.id().cast_signed()), [daemon], "it is the same daemon all day");

    // The evening.
    signal(service.id().cast_signed(), Signal::SIGTERM);
    eventually("it says that it leaves", || user.told("STOPPING=1"));
    assert_eq!(service.wait().unwrap().code(), Some(143));
    for client in [&mut stays, &mut newer] {
        assert_eq!(client.exited().code(), Some(1));
    }
    user.haunt.ends();
    let sockets = fs::read_dir(user.scratch.path("run/computer")).unwrap().count();
    assert_eq!(sockets, 0, "no socket is left");
    user.run(&["restart", "fake"]).fails_with(1).says(["no daemon runs"]);
}

/// Fills a disk to the last byte.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    let chunk = [0; 4096];
    while file.write_all(&chunk).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}
