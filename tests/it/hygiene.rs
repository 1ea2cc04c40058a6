//! Nothing is left behind, whoever is killed (spec/computer.md 31–34).

use std::{os::unix::process::CommandExt, path::PathBuf, process::Stdio, thread};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::json;

use crate::support::{
    client::Client,
    haunt::Haunt,
    procs::{alive, all_gone, assert_gone, children, descendants, eventually, pids_in, signal},
    program::{Scratch, text},
    real, with,
};

/// A program with a stubborn server that has left children of every kind.
struct Haunted {
    client: Client,
    pids: Vec<i32>,
    daemon: i32,
    haunt: Haunt,
    _scratch: Scratch,
}

impl Haunted {
    fn new() -> Self {
        let (scratch, file, haunt) = stubborn(&[]);
        let mut serve = scratch.command(["serve", "--stdio"]);
        serve.process_group(0);
        let mut client = Client::of(&scratch, serve);
        client.initialize("2025-11-25");
        client.tools();
        let orphans = scratch.path("orphans");
        client.call("fake__spawn_orphans", &haunt.orphans(&orphans));
        let daemon = client.daemon_of(&pids_in(&file));
        let pids = [pids_in(&file), pids_in(&orphans)].concat();
        assert_eq!(pids.len(), 9, "a server, what it left before it was up, and seven kinds of children");
        assert!(pids.iter().all(|pid| alive(*pid)), "all of them live");
        Self { client, pids, daemon, haunt, _scratch: scratch }
    }

    fn guard(&self) -> i32 {
        self.client.guard()
    }

    /// Nothing lives now.
    #[track_caller]
    fn is_over(&self) {
        assert_gone(&self.pids);
        self.haunt.is_over();
    }

    /// Nothing lives soon.
    #[track_caller]
    fn ends(&self) {
        let gone = || all_gone(&self.pids) && !alive(self.daemon) && !alive(self.guard());
        eventually("nothing of it lives", gone);
        self.haunt.ends();
    }
}

impl Client {
    /// The guard's child that is no orphan: the one that the servers are below of.
    fn daemon_of(&self, servers: &[i32]) -> i32 {
        let children = children(self.guard());
        let above = |pid: &i32| servers.iter().all(|server| descendants(*pid).contains(server));
        children.into_iter().find(above).expect("the daemon is a child of the guard and has the servers below it")
    }
}

/// A server that leaves a child behind and wants to stay; where the pids are noted.
fn stubborn(flags: &[&str]) -> (Scratch, PathBuf, Haunt) {
    let (scratch, haunt) = (Scratch::new(), Haunt::new());
    let file = scratch.path("pids");
    let entry = haunt.entry(&file, flags);
    (scratch.config(&json!({ "mcpServers": { "fake": entry } })), file, haunt)
}

/// Kills a whole process group.
#[track_caller]
fn kill_group(group: i32) {
    killpg(Pid::from_raw(group), Signal::SIGKILL).unwrap();
}

#[test]
fn nothing_is_left_when_a_verb_has_ended() {
    let (scratch, file, haunt) = stubborn(&[]);
    let orphans = scratch.path("orphans");
    scratch.call("fake__spawn_orphans", &haunt.orphans(&orphans));
    assert_eq!(pids_in(&file).len() + pids_in(&orphans).len(), 9);
    haunt.is_over();
}

#[test]
fn nothing_is_left_when_stdin_has_closed() {
    let mut haunted = Haunted::new();
    haunted.client.close();
    assert!(haunted.client.exited().success());
    haunted.is_over();
}

#[test]
fn nothing_is_left_when_the_daemon_dies_of_whatever() {
    for cause in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGILL] {
        let mut haunted = Haunted::new();
        signal(haunted.daemon, cause);
        assert!(!haunted.client.exited().success(), "the guard ends as the daemon did: {cause}");
        haunted.is_over();
    }
}

#[test]
fn nothing_is_left_when_the_guard_is_killed() {
    let haunted = Haunted::new();
    signal(haunted.guard(), Signal::SIGKILL);
    haunted.ends();
}

#[test]
fn nothing_is_left_when_a_stopped_daemon_loses_its_guard_or_is_told_to_end() {
    let haunted = Haunted::new();
    signal(haunted.daemon, Signal::SIGSTOP);
    signal(haunted.guard(), Signal::SIGKILL);
    haunted.ends();
    let haunted = Haunted::new();
    signal(haunted.daemon, Signal::SIGSTOP);
    signal(haunted.guard(), Signal::SIGTERM);
    haunted.ends();
}

#[test]
fn nothing_is_left_when_a_process_group_is_killed() {
    let haunted = Haunted::new();
    kill_group(haunted.guard());
    haunted.ends();
    let haunted = Haunted::new();
    kill_group(haunted.daemon);
    haunted.ends();
}

#[test]
fn nothing_is_left_when_it_is_told_to_end() {
    type Whom = fn(&Haunted) -> i32;
    let (guard, daemon): (Whom, Whom) = (Haunted::guard, |haunted| haunted.daemon);
    let told = [(Signal::SIGTERM, guard), (Signal::SIGINT, guard), (Signal::SIGHUP, guard), (Signal::SIGTERM, daemon)];
    let tell = |(told, whom): (Signal, Whom)| {
        let mut haunted = Haunted::new();
        signal(whom(&haunted), told);
        haunted.client.exited();
        haunted.is_over();
    };
    // At the same time: each takes as long as those may take to leave that do not want to.
    thread::scope(|scope| told.map(|told| scope.spawn(move || tell(told))).map(|told| told.join().unwrap()));
}

#[test]
fn a_second_signal_leaves_at_once() {
    let mut haunted = Haunted::new();
    signal(haunted.guard(), Signal::SIGTERM);
    signal(haunted.guard(), Signal::SIGTERM);
    haunted.client.exited();
    haunted.ends();
}

#[test]
fn nothing_is_left_when_the_terminal_goes() {
    let (scratch, file, haunt) = stubborn(&[]);
    let serve = scratch.command(["serve", "--stdio"]);
    let words: Vec<&str> =
        [serve.get_program()].into_iter().chain(serve.get_args()).map(|w| w.to_str().unwrap()).collect();
    let mut terminal = scratch.other("script".as_ref());
    terminal.args(["--quiet", "--command", &words.join(" "), "/dev/null"]);
    let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("the server is up", || pids_in(&file).len() == 2);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    haunt.ends();
    assert!(all_gone(&pids_in(&file)));
}

#[test]
fn a_start_that_is_given_up_or_fails_leaves_nothing() {
    for flags in [&["--silent"][..], &["--exit-at-once", "3"]] {
        let (scratch, file, haunt) = stubborn(&[]);
        let entry = with(haunt.entry(&file, flags), &json!({ "connectTimeout": 400 }));
        let scratch = scratch.config(&json!({ "mcpServers": { "fake": entry } }));
        scratch.run(["tools"]).fails_with(1);
        assert!(!pids_in(&file).is_empty());
        haunt.is_over();
    }
}

#[test]
fn nothing_is_left_of_a_start_in_whose_middle_somebody_is_killed() {
    for who in [Client::guard, Client::daemon] {
        let (scratch, file, haunt) = stubborn(&["--silent"]);
        let client = Client::start(&scratch);
        eventually("the server is there", || pids_in(&file).len() == 2);
        signal(who(&client), Signal::SIGKILL);
        haunt.ends();
    }
}

/// What `npx` runs: a shell that runs node.
#[test]
fn nothing_is_left_of_a_server_behind_npx_and_a_shell() {
    let Some(modules) = real::modules() else { return };
    let (scratch, haunt) = (Scratch::new(), Haunt::new());
    let (name, value) = haunt.variable();
    let entry = json!({
        "command": "npx", "args": ["--no-install", "mcp-server-everything"],
        "cwd": text(modules.parent().unwrap()), "env": { name: value },
    });
    let scratch = scratch.config(&json!({ "mcpServers": { "everything": entry } }));
    let ends: [fn(&mut Client); 3] = [
        |client| client.close(),
        |client| signal(client.daemon(), Signal::SIGKILL),
        |client| signal(client.guard(), Signal::SIGKILL),
    ];
    for end in ends {
        let mut client = Client::connect(&scratch);
        eventually("npx, a shell and node are there", || haunt.alive().len() >= 3);
        end(&mut client);
        client.exited();
        haunt.ends();
    }
}

#[test]
fn the_daemon_has_a_session_of_its_own_and_so_has_each_server() {
    let (scratch, file, _haunt) = stubborn(&[]);
    let client = Client::connect(&scratch);
    let server = pids_in(&file)[1];
    let daemon = client.daemon();
    let session = |pid: i32| nix::unistd::getsid(Some(Pid::from_raw(pid))).unwrap().as_raw();
    assert_eq!((session(daemon), session(server)), (daemon, server));
    client.leave();
}
