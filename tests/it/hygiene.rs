//! Nothing is left behind, whoever is killed (spec/computer.md 31–34).

use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    client::Client,
    fake::fake,
    procs::{alive, all_gone, assert_gone, children, descendants, eventually, pids_in, signal},
    program::{Scratch, text},
};

/// A program with a stubborn server that has left children of every kind.
struct Haunted {
    client: Client,
    pids: Vec<i32>,
    _scratch: Scratch,
}

impl Haunted {
    fn new() -> Self {
        let (scratch, file) = stubborn();
        let mut client = Client::connect(&scratch);
        let orphans = scratch.path("orphans");
        client.call("fake__spawn_orphans", &json!({ "pidfile": text(&orphans) }));
        let daemon = client.daemon_of(&pids_in(&file));
        let pids = [pids_in(&file), pids_in(&orphans), vec![daemon]].concat();
        assert_eq!(pids.len(), 6, "a server, its four children, the daemon");
        assert!(pids.iter().all(|pid| alive(*pid)), "all of them live");
        Self { client, pids, _scratch: scratch }
    }

    fn daemon(&self) -> i32 {
        self.pids[5]
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        eventually("nothing of it lives", || all_gone(&self.pids) && !alive(self.client.guard()));
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

fn stubborn() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let file = scratch.path("pids");
    let entry = fake(["--pid-file", text(&file), "--ignore-term", "--ignore-eof"]);
    (scratch.config(&json!({ "mcpServers": { "fake": entry } })), file)
}

#[test]
fn nothing_is_left_when_a_verb_has_ended() {
    let (scratch, file) = stubborn();
    let orphans = scratch.path("orphans");
    scratch.call("fake__spawn_orphans", &json!({ "pidfile": text(&orphans) }));
    let pids = [pids_in(&file), pids_in(&orphans)].concat();
    assert_eq!(pids.len(), 5);
    assert_gone(&pids);
}

#[test]
fn nothing_is_left_when_stdin_has_closed() {
    let mut haunted = Haunted::new();
    haunted.client.close();
    assert!(haunted.client.exited().success());
    assert_gone(&haunted.pids);
}

#[test]
fn nothing_is_left_when_the_daemon_is_killed() {
    let mut haunted = Haunted::new();
    signal(haunted.daemon(), Signal::SIGKILL);
    haunted.nothing_is_left();
    assert!(!haunted.client.exited().success(), "the guard ends as the daemon did");
}

#[test]
fn nothing_is_left_when_the_guard_is_killed() {
    let haunted = Haunted::new();
    signal(haunted.client.guard(), Signal::SIGKILL);
    haunted.nothing_is_left();
}

#[test]
fn nothing_is_left_when_it_is_told_to_end() {
    for told in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut haunted = Haunted::new();
        signal(haunted.client.guard(), told);
        haunted.client.exited();
        assert_gone(&haunted.pids);
    }
}

#[test]
fn a_second_signal_leaves_at_once() {
    let mut haunted = Haunted::new();
    signal(haunted.client.guard(), Signal::SIGTERM);
    signal(haunted.client.guard(), Signal::SIGTERM);
    haunted.client.exited();
    haunted.nothing_is_left();
}

#[test]
fn a_start_that_is_given_up_leaves_nothing() {
    let scratch = Scratch::new();
    let file = scratch.path("pids");
    let mut entry = fake(["--pid-file", text(&file), "--silent", "--ignore-term", "--ignore-eof"]);
    entry["connectTimeout"] = json!(400);
    let scratch = scratch.config(&json!({ "mcpServers": { "fake": entry } }));
    scratch.run(["tools"]).fails_with(1);
    assert!(!pids_in(&file).is_empty());
    assert_gone(&pids_in(&file));
}

#[test]
fn the_daemon_has_a_session_of_its_own_and_so_has_each_server() {
    let (scratch, file) = stubborn();
    let client = Client::connect(&scratch);
    let server = pids_in(&file)[0];
    let daemon = client.daemon();
    let session = |pid: i32| nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))).unwrap().as_raw();
    assert_eq!((session(daemon), session(server)), (daemon, server));
    client.leave();
}
