use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::*;
use crate::{process::Limits, shutdown::Grace, wire::Input};

fn of(program: impl AsRef<Path>, args: &[&str]) -> Spawn {
    Spawn {
        program: program.as_ref().to_owned(),
        args: args.iter().map(Into::into).collect(),
        env: vec![("A".into(), "first".into()), ("A".into(), "last".into())],
        cwd: "/".into(),
        stdin: Stdin::Null,
        limits: Limits::default(),
    }
}

async fn printed(spawn: Spawn) -> String {
    let (process, mut pipes) = Process::spawn(spawn).await.unwrap();
    let mut printed = Vec::new();
    while pipes.stdout.read_into(&mut printed).await.unwrap() > 0 {}
    process.exited().await;
    process.end(Grace::of(Duration::ZERO)).await;
    String::from_utf8(printed).unwrap()
}

/// What the system says of a signal mask of whoever is asked.
fn mask(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[tokio::test]
async fn a_program_gets_what_it_is_given_and_its_first_three_files() {
    let said = printed(of("/bin/sh", &["-c", "echo $A $# $1; pwd; ls /proc/self/fd | wc -l", "x", "y z"])).await;
    // The fourth is the directory that `ls` reads.
    assert_eq!(said, "last 1 y z\n/\n4\n");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_hears_every_signal_but_those_that_were_ignored_before_us() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    const HANGUP: u64 = 1;
    // Rust ignores it, for itself alone.
    const PIPE: u64 = 1 << 12;
    let ignored = || mask(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn:") & !PIPE;
    #[expect(unsafe_code, reason = "changing what a signal does has no safe form")]
    // SAFETY: neither runs code of ours.
    let hangup = |does| unsafe { signal(Signal::SIGHUP, does) }.unwrap();
    for (does, is_ignored) in [(SigHandler::SigDfl, 0), (SigHandler::SigIgn, HANGUP)] {
        hangup(does);
        let said = printed(of("/bin/cat", &["/proc/self/status"])).await;
        assert_eq!((mask(&said, "SigBlk:"), mask(&said, "SigIgn:")), (0, ignored()), "{said}");
        assert_eq!(ignored() & HANGUP, is_ignored);
    }
}

#[tokio::test]
async fn a_script_that_does_not_say_what_runs_it_is_run_by_sh() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "echo $0 $1").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(printed(of(&script, &["given"])).await, format!("{} given\n", script.display()));
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_leaves_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let kind = |spawn| async { Process::spawn(spawn).await.unwrap_err().kind() };
    assert_eq!(kind(of(dir.path().join("missing"), &[])).await, io::ErrorKind::NotFound);
    assert_eq!(kind(of(&file, &[])).await, io::ErrorKind::PermissionDenied);
    assert_eq!(kind(Spawn { cwd: dir.path().join("missing"), ..of("/bin/true", &[]) }).await, io::ErrorKind::NotFound);
    assert_eq!(kind(of("/bin/echo", &["a\0b"])).await, io::ErrorKind::InvalidInput);
    #[cfg(target_os = "linux")]
    eventually("nobody is left", || zombies().is_empty()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_that_nobody_waits_for_is_killed_and_reaped() {
    let (process, _pipes) = Process::spawn(of("/bin/sleep", &["1000"])).await.unwrap();
    let status = format!("/proc/{}/status", process.pid());
    assert!(Path::new(&status).exists());
    drop(process);
    eventually("it is reaped", || !Path::new(&status).exists()).await;
}

#[cfg(target_os = "linux")]
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(what);
}

/// Children of this process that have ended and are not reaped. Other tests may have some for a moment.
#[cfg(target_os = "linux")]
fn zombies() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path().join("children"));
    let children: String = threads.filter_map(|list| fs::read_to_string(list).ok()).collect();
    let stat = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let children = children.split_whitespace().filter(|pid| stat(pid).contains(") Z "));
    children.map(str::to_owned).collect()
}
