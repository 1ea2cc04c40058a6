//! What a service manager is told, and the sockets that it hands over (spec/daemon.md 21).

use std::{
    fs,
    net::TcpListener,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    fake::{self, fake},
    http_client::{Caller, Daemon},
    procs::eventually,
    program::{Scratch, run, text},
    with,
};

/// A service manager that hears.
struct Manager(Arc<Mutex<Vec<String>>>);

impl Manager {
    fn on(socket: UnixDatagram) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read) = socket.recv(&mut buffer) {
                to.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            }
        });
        Self(heard)
    }

    fn at(path: &Path) -> Self {
        Self::on(UnixDatagram::bind(path).unwrap())
    }

    fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until it has heard this, behind what it has heard before; the place behind it.
    #[track_caller]
    fn hears(&self, message: &str, from: usize) -> usize {
        let mut place = None;
        eventually(&format!("`{message}` is heard"), || {
            let heard = self.heard();
            place = heard.iter().skip(from).position(|said| said.starts_with(message)).map(|at| from + at + 1);
            place.is_some()
        });
        place.unwrap()
    }
}

/// The program as a service manager starts it: without a terminal, knowing its process id, after these lines of sh.
fn as_a_service(scratch: &Scratch, lines: &str, arguments: &[&str]) -> Command {
    let plain = scratch.command(arguments);
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", &format!("{lines}\nexec \"$@\""), "sh"]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(scratch.path("")).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// By these lines, what was given as stdin and stdout is handed over as sockets.
const HANDED: &str =
    "exec 3<&0 4>&1 </dev/null >/dev/null; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=http:other";

const ON_HTTP: [&str; 4] = ["serve", "--no-token", "--http", "127.0.0.1:0"];

#[test]
fn it_is_told_when_the_daemon_listens_reloads_lives_and_leaves() {
    let scratch = Scratch::new();
    let socket = scratch.path("notify");
    let manager = Manager::at(&socket);
    let entries = json!({ "good": fake::<&str>([]), "bad": fake(["--exit-at-once", "7"]) });
    let scratch = scratch.config(&json!({ "mcpServers": entries })).variable("NOTIFY_SOCKET", text(&socket));
    let watched = "export WATCHDOG_USEC=100000 WATCHDOG_PID=$$";
    let mut daemon = Daemon::of(&scratch, as_a_service(&scratch, watched, &ON_HTTP));
    manager.hears("READY=1", 0);
    manager.hears("STATUS=1 of 2 entries are up, not bad", 0);
    let first = manager.hears("WATCHDOG=1", 0);
    let second = manager.hears("WATCHDOG=1", first);
    daemon.signal(Signal::SIGHUP);
    let reloading = manager.hears("RELOADING=1\nMONOTONIC_USEC=", second);
    manager.hears("READY=1", reloading);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.exited().code(), Some(143));
    let stopping = manager.hears("STOPPING=1", reloading);
    assert_eq!(manager.heard().len(), stopping, "nothing is said after that: {:?}", manager.heard());
}

#[test]
fn a_name_that_is_in_no_directory_is_reached_and_a_client_that_leaves_ends_it() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let name = format!("mcp-computer-test-{}", std::process::id());
    let manager = Manager::on(UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
    let scratch = scratch.variable("NOTIFY_SOCKET", &format!("@{name}"));
    scratch.run(["serve", "--stdio"]).ok();
    let ready = manager.hears("READY=1", 0);
    manager.hears("STOPPING=1", ready);
    assert!(!manager.heard().iter().any(|said| said == "WATCHDOG=1"), "nobody asked for it");
}

#[test]
fn a_watchdog_of_another_process_and_a_manager_that_is_gone_do_no_harm() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let socket = scratch.path("notify");
    let manager = Manager::at(&socket);
    let scratch = scratch.variable("NOTIFY_SOCKET", text(&socket));
    let watched = "export WATCHDOG_USEC=1000 WATCHDOG_PID=1";
    let daemon = Daemon::of(&scratch, as_a_service(&scratch, watched, &ON_HTTP));
    manager.hears("STATUS=1 of 1 entries are up", 0);
    assert!(!manager.heard().iter().any(|said| said == "WATCHDOG=1"), "{:?}", manager.heard());
    fs::remove_file(&socket).unwrap();
    let mut caller = Caller::legacy(daemon.address());
    // What is up is listed a moment later: changes that come together are published together.
    eventually("it serves on", || caller.tools().contains(&"fake__echo".to_owned()));
    let scratch = Scratch::entries(json!({})).variable("NOTIFY_SOCKET", "/no/such/socket");
    scratch.run(["serve", "--stdio"]).ok();
}

#[test]
fn no_server_learns_of_the_service_manager_or_has_its_sockets() {
    let scratch = Scratch::new();
    let (socket, seen) = (scratch.path("notify"), scratch.path("seen"));
    let _manager = Manager::at(&socket);
    let look = format!("env > {0}; ls -l /proc/$$/fd >> {0}; exec {1}", text(&seen), text(&fake::path()));
    let entries = json!({
        "curated": fake::<&str>([]),
        "all": with(json!({ "command": "sh", "args": ["-c", look] }), &json!({ "inheritEnv": true })),
        "shell": { "type": "shell", "mode": "unrestricted" },
    });
    let scratch = scratch.config(&json!({ "mcpServers": entries })).variable("NOTIFY_SOCKET", text(&socket));
    let lines = format!("{HANDED} WATCHDOG_USEC=60000000 WATCHDOG_PID=$$ INVOCATION_ID=x JOURNAL_STREAM=1:2");
    let mut command = as_a_service(&scratch, &lines, &["serve", "--no-token"]);
    let handed = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let [http, other] = handed.map(OwnedFd::from);
    command.stdin(http).stdout(other);
    let daemon = Daemon::of(&scratch, command);
    let mut caller = Caller::legacy(daemon.address());
    eventually("all are up", || caller.tools().contains(&"all__echo".to_owned()));
    let words = ["NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "INVOCATION_ID", "JOURNAL_STREAM", "socket:"];
    let in_shell = caller.call_text("shell__run_command", &json!({ "command": "env; ls -l /proc/$$/fd" }));
    for (whose, seen) in [
        ("all", fs::read_to_string(&seen).unwrap()),
        ("curated", caller.call_text("curated__env", &json!({}))),
        ("shell", in_shell),
    ] {
        assert!(seen.contains("PATH"), "{whose}: {seen}");
        assert!(!words.iter().any(|word| seen.contains(word)), "{whose}: {seen}");
    }
}

#[test]
fn a_socket_that_is_handed_over_is_served_and_others_are_told_of() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    let other = UnixListener::bind(scratch.path("other")).unwrap();
    let mut command = as_a_service(&scratch, HANDED, &["serve", "--no-token"]);
    command.stdin(OwnedFd::from(http)).stdout(OwnedFd::from(other));
    let daemon = Daemon::of(&scratch, command);
    assert_eq!(daemon.address(), address);
    assert!(Caller::legacy(address).tools().contains(&"fake__echo".to_owned()));
    let said = daemon.stderr();
    assert!(said.contains("not used: `other` (descriptor 4): a Unix socket, which is not served"), "{said}");
}

#[test]
fn the_first_of_two_is_served_instead_of_the_address_that_is_given() {
    let scratch = Scratch::entries(json!({}));
    let [http, other] = ["127.0.0.1:0"; 2].map(|address| TcpListener::bind(address).unwrap());
    let (address, unused) = (http.local_addr().unwrap(), other.local_addr().unwrap());
    let mut command = as_a_service(&scratch, HANDED, &ON_HTTP);
    command.stdin(OwnedFd::from(http)).stdout(OwnedFd::from(other));
    let daemon = Daemon::of(&scratch, command);
    assert_eq!(daemon.address(), address);
    let said = daemon.stderr();
    assert!(said.contains(&format!("not used: the socket at {unused}")), "{said}");
    assert!(said.contains("`--http 127.0.0.1:0` is not"), "{said}");
}

#[test]
fn sockets_that_are_for_another_process_or_none_at_all_are_not_taken() {
    let scratch = Scratch::entries(json!({}));
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    let lines = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=1";
    let mut command = as_a_service(&scratch, lines, &ON_HTTP);
    command.stdin(OwnedFd::from(http));
    assert_ne!(Daemon::of(&scratch, command).address(), address);
    let lines = "exec 3</dev/null; export LISTEN_FDS=2 LISTEN_PID=$$";
    let daemon = Daemon::of(&scratch, as_a_service(&scratch, lines, &ON_HTTP));
    let said = daemon.stderr();
    assert!(said.contains("(descriptor 3): no stream socket that is listened on"), "{said}");
    assert!(said.contains("(descriptor 4): "), "{said}");
}

#[test]
fn a_socket_that_other_machines_reach_is_served_only_where_that_is_allowed() {
    let scratch = Scratch::entries(json!({}));
    let mut command = as_a_service(&scratch, HANDED, &["serve"]);
    command.stdin(OwnedFd::from(TcpListener::bind("0.0.0.0:0").unwrap())).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    eventually("it has left", || child.try_wait().unwrap().is_some());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(2) && said.contains("`--allow-remote`"), "{said}");
    // Without any of that there is nothing to take.
    run(scratch.command(["serve", "--stdio"]), "").ok();
}
