//! A Chrome that is launched: by the library, and by `computer chrome` (spec/chrome.md 1–6, 8, 9). A real Chromium.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use mcp_computer::{ChromeError, ChromeLaunchOptions, Computer, Error};
use nix::{sys::signal::Signal, unistd::Uid};
use serde_json::{Value, json};

use crate::support::{
    chrome::{Answering, QUIET, chromium, launched, options, tree, version},
    library::{comes_true, within},
    procs::{alive, all_gone, assert_gone, children, eventually, signal},
    program::Scratch,
};

/// Why a Chrome could not be launched.
async fn refused(options: ChromeLaunchOptions) -> ChromeError {
    match within("the launch", Computer::launch_chrome(options)).await {
        Err(Error::Chrome(error)) => error,
        other => panic!("this is no refusal of a Chrome: {other:?}"),
    }
}

/// A program that stands in for a Chrome which misbehaves.
fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("chrome");
    fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn stand_in(dir: &Path, text: &str) -> ChromeLaunchOptions {
    ChromeLaunchOptions {
        profile_dir: Some(dir.join("profile")),
        chrome_path: Some(script(dir, text)),
        // Only what is not waited for shows that it is not waited for.
        ready_timeout: Duration::from_secs(3600),
        ..ChromeLaunchOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chrome_is_launched_on_a_port_of_its_choice_and_leaves_nothing_when_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut options) = options(&dir.path().join("a/profile")) else { return };
    let temporary = dir.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    options.env.push(("TMPDIR".to_owned(), temporary.to_str().unwrap().to_owned()));
    let chrome = launched(options).await;
    assert!(fs::read_dir(&temporary).unwrap().count() > 0, "it keeps its socket there");
    let said = version(chrome.port());
    assert_eq!(said["webSocketDebuggerUrl"], chrome.ws_url(), "{said}");
    assert_eq!(said["Browser"], chrome.version());
    let mode = fs::metadata(dir.path().join("a/profile")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let pids = tree(chrome.pid());
    let status = within("the end", chrome.close()).await.unwrap();
    assert!(status.success(), "it left in order: {status}");
    assert_gone(&pids);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    for lock in ["SingletonLock", "SingletonCookie", "SingletonSocket"] {
        assert!(fs::symlink_metadata(dir.path().join("a/profile").join(lock)).is_err(), "{lock}");
    }
}

#[test]
fn secrets_in_the_flags_of_a_chrome_are_shown_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let echoes = script(dir.path(), "echo \"$@\" >&2; exit 3");
    let chrome = json!({ "chromePath": echoes, "profileDir": dir.path().join("profile"),
                         "flags": ["--user-agent=${env:SEKRET}"] });
    let scratch =
        Scratch::new().config(&json!({ "chrome": chrome, "mcpServers": {} })).variable("SEKRET", "hunter2hunter2");
    for command in [&["check"][..], &["status"], &["status", "--json"]] {
        let run = scratch.run(command.to_vec());
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(!told.contains("hunter2") && told.contains("--user-agent=***"), "{command:?}: {told}");
    }
}

#[test]
fn a_time_that_nobody_waits_for_is_refused() {
    for seconds in ["0", "18446744073709551615"] {
        Scratch::new().run(["chrome", "--ready-timeout", seconds]).fails_with(2).says(["--ready-timeout"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_how_a_chrome_ended_and_one_that_is_dropped_goes_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let chrome = launched(options.clone()).await;
    let pids = tree(chrome.pid());
    signal(pids[0], Signal::SIGKILL);
    let told = within("the end", chrome.exited()).await;
    assert!(told.to_string().starts_with("Chrome was ended by signal 9 (SIGKILL)"), "{told}");
    drop(chrome);
    comes_true("nothing of it is left", || all_gone(&pids)).await;
    // The lock of the dead one stands in nobody's way.
    assert!(fs::symlink_metadata(dir.path().join("SingletonLock")).is_ok());
    let chrome = launched(options).await;
    let pids = tree(chrome.pid());
    drop(chrome);
    comes_true("nothing of it is left", || all_gone(&pids)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_another_chrome_has_is_refused_with_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let chrome = launched(options.clone()).await;
    let refusal = refused(options).await;
    let ChromeError::ProfileInUse { pid, host: None, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(pid, chrome.pid());
    assert!(refusal.to_string().contains(&format!("is in use by process {pid}; end it (`kill {pid}`)")), "{refusal}");
    assert_eq!(version(chrome.port())["webSocketDebuggerUrl"], chrome.ws_url(), "the first is unharmed");
    chrome.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_want_a_profile_at_the_same_moment_one_has_it_and_the_other_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let both = async { tokio::join!(Computer::launch_chrome(options.clone()), Computer::launch_chrome(options)) };
    let (chrome, refusal) = match within("both launches", both).await {
        (Ok(chrome), Err(refusal)) | (Err(refusal), Ok(chrome)) => (chrome, refusal),
        other => panic!("one of them must have it: {other:?}"),
    };
    let Error::Chrome(ChromeError::ProfileInUse { pid, .. }) = refusal else { panic!("{refusal:?}") };
    assert_eq!(pid, chrome.pid());
    chrome.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_given_is_the_one_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    // Free a moment ago: as good as can be known.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let chrome = launched(ChromeLaunchOptions { debugging_port: Some(port), ..options }).await;
    assert_eq!(chrome.port(), port);
    assert_eq!(version(port)["webSocketDebuggerUrl"], chrome.ws_url());
    chrome.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_squatter_on_the_port_is_not_taken_for_the_chrome_whatever_it_answers() {
    let id = "ws://127.0.0.1:1/devtools/browser/00000000-0000-0000-0000-000000000000";
    let browser = json!({ "Browser": "Chrome/1.2.3", "webSocketDebuggerUrl": id }).to_string();
    for body in ["{}", "<html>", &browser] {
        let dir = tempfile::tempdir().unwrap();
        let Some(options) = options(dir.path()) else { return };
        let squatter = Answering::with("application/json", body);
        let refusal = refused(ChromeLaunchOptions { debugging_port: Some(squatter.port), ..options }).await;
        assert!(matches!(refusal, ChromeError::PortTaken { port, .. } if port == squatter.port), "{refusal:?}");
        assert!(refusal.to_string().contains("end that, name another `debuggingPort`"), "{refusal}");
        eventually("the one that was launched is gone", || !fs::exists(dir.path().join("SingletonLock")).unwrap());
    }
}

/// Not a browser's own words: what stands on the port answers before Chrome could be asked.
#[tokio::test(flavor = "multi_thread")]
async fn who_answers_where_the_chrome_says_it_listens_must_be_that_chrome() {
    let dir = tempfile::tempdir().unwrap();
    let other = "ws://127.0.0.1:1/devtools/browser/11111111-1111-1111-1111-111111111111";
    let body = json!({ "Browser": "Chrome/1.2.3", "webSocketDebuggerUrl": other }).to_string();
    let squatter = Answering::with("application/json", &body);
    let own = "/devtools/browser/22222222-2222-2222-2222-222222222222";
    let says = format!(
        "for a; do case $a in --user-data-dir=*) d=${{a#*=}};; esac; done
         printf '{}\\n{own}' > \"$d/DevToolsActivePort\"; exec sleep 1000",
        squatter.port
    );
    let refusal = refused(stand_in(dir.path(), &says)).await;
    let ChromeError::PortTaken { by, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(by, "another browser (Chrome/1.2.3)");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_at_once_is_told_at_once_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = refused(stand_in(dir.path(), "echo not today >&2; exit 7")).await;
    assert_eq!(
        refusal.to_string(),
        "Chrome exited with status 7; its last words on stderr:\nnot today",
        "not after an hour"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_never_ready_is_ended_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let says = format!("sleep 1000 & echo $$ > '{0}'; echo $! >> '{0}'; echo waiting >&2; wait", pids.display());
    let options = ChromeLaunchOptions { ready_timeout: Duration::from_millis(500), ..stand_in(dir.path(), &says) };
    let refusal = refused(options).await.to_string();
    let expected = "Chrome was not ready after 500 ms: it did not say on which port it listens; see whether it starts";
    assert!(refusal.starts_with(expected), "{refusal}");
    assert!(refusal.ends_with("its last words on stderr:\nwaiting"), "{refusal}");
    assert_gone(&crate::support::procs::pids_in(&pids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_nobody_waits_for_is_given_up_with_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let launch =
        Computer::launch_chrome(stand_in(dir.path(), &format!("echo $$ > '{}'; exec sleep 1000", pids.display())));
    let noted = comes_true("it has begun", || crate::support::procs::pids_in(&pids).len() == 1);
    tokio::select! {
        outcome = launch => panic!("{outcome:?}"),
        () = noted => {}
    }
    let pids = crate::support::procs::pids_in(&pids);
    comes_true("it is gone", || all_gone(&pids)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_root_the_missing_sandbox_is_named_and_never_gone_without() {
    if !Uid::effective().is_root() {
        crate::support::real::cannot("only root has no sandbox here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let refusal = refused(ChromeLaunchOptions { no_sandbox: false, ..options.clone() }).await;
    assert_eq!(refusal, ChromeError::NoSandbox { as_root: true });
    assert!(refusal.to_string().contains("or set `noSandbox` (`--no-sandbox`) if you trust every page"), "{refusal}");
    let chrome = launched(options).await;
    assert!(chrome.has_no_sandbox());
    chrome.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_display_is_named_with_the_way_to_do_without() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let env = vec![("DISPLAY".to_owned(), ":4711".to_owned()), ("WAYLAND_DISPLAY".to_owned(), String::new())];
    let refusal = refused(ChromeLaunchOptions { headless: None, env, ..options }).await;
    let expected = "Chrome has no display to show its windows on (`:4711` does not answer); set `headless`";
    assert!(refusal.to_string().starts_with(expected), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_another_machine_is_respected() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    symlink("far-away-17", dir.path().join("SingletonLock")).unwrap();
    let refusal = refused(options).await;
    assert!(matches!(&refusal, ChromeError::ProfileInUse { pid: 17, host: Some(host), .. } if host == "far-away"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_lets_others_in_is_taken_only_when_it_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut options) = options(dir.path()) else { return };
    options.flags.push("--disable-web-security".to_owned());
    let refusal = refused(options.clone()).await;
    assert!(matches!(&refusal, ChromeError::Flag { flag, .. } if flag == "--disable-web-security"), "{refusal:?}");
    let chrome = launched(ChromeLaunchOptions { unsafe_flags: true, ..options }).await;
    chrome.close().await;
}

/// `computer chrome` with a Chromium without windows.
fn program(scratch: &Scratch, args: &[&str]) -> Option<std::process::Command> {
    let chromium = chromium()?;
    let mut command = scratch.command(["chrome", "--headless", "--chrome", chromium.to_str()?]);
    if Uid::effective().is_root() {
        command.arg("--no-sandbox");
    }
    command.args(args).arg("--").args(QUIET);
    Some(command)
}

/// One that runs, and what it has printed.
struct Launched {
    program: Child,
    said: Value,
    pids: Vec<i32>,
}

impl Launched {
    fn new(scratch: &Scratch, args: &[&str]) -> Option<Self> {
        let mut command = program(scratch, args)?;
        let mut program = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let pids = tree(u32::try_from(said["pid"].as_u64().unwrap()).unwrap());
        Some(Self { program, said, pids })
    }

    fn guard(&self) -> i32 {
        self.program.id().cast_signed()
    }
}

#[test]
fn the_program_prints_one_line_and_stays_until_it_is_told_to_go() {
    let scratch = Scratch::new();
    let Some(mut launched) = Launched::new(&scratch, &[]) else { return };
    let Launched { said, .. } = &launched;
    assert_eq!(said.as_object().unwrap().keys().collect::<Vec<_>>(), ["port", "pid", "wsUrl"]);
    let port = u16::try_from(said["port"].as_u64().unwrap()).unwrap();
    assert_eq!(version(port)["webSocketDebuggerUrl"], said["wsUrl"]);
    let profile = scratch.home().join(".local/state/computer/chrome/launched");
    assert!(
        fs::symlink_metadata(profile.join("SingletonLock")).is_ok(),
        "a profile of its own under the state directory"
    );
    signal(launched.guard(), Signal::SIGTERM);
    let status = launched.program.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    assert_gone(&launched.pids);
}

#[test]
fn nothing_of_the_programs_chrome_is_left_however_it_is_killed() {
    for kill_the_guard in [true, false] {
        let scratch = Scratch::new();
        let Some(mut launched) = Launched::new(&scratch, &["--profile", "p"]) else { return };
        let guard = launched.guard();
        let daemon = *children(guard).iter().find(|child| children(**child).contains(&launched.pids[0])).unwrap();
        signal(if kill_the_guard { guard } else { daemon }, Signal::SIGKILL);
        launched.program.wait().unwrap();
        eventually("nothing of it is left", || all_gone(&launched.pids) && !alive(daemon));
        assert!(fs::symlink_metadata(scratch.path("p")).unwrap().is_dir(), "the profile that was named");
    }
}

#[test]
fn the_program_says_what_is_wrong_with_the_question_and_what_with_the_machine() {
    let scratch = Scratch::new();
    let run = |args: &[&str]| crate::support::program::run(program(&scratch, args).unwrap(), "");
    if chromium().is_none() {
        return;
    }
    let own = scratch.home().join(".config/chromium");
    fs::create_dir_all(&own).unwrap();
    run(&["--profile", own.to_str().unwrap()])
        .fails_with(2)
        .says(["is the user's own of Chromium", "name a directory of its own as `profileDir`"]);
    run(&["--port", "0"]).fails_with(2).says(["0 is not in 1..=65535"]);
    scratch
        .run(["chrome", "--", "--remote-allow-origins=*"])
        .fails_with(2)
        .says(["lets every page control the browser"]);
    let missing = scratch.run(["chrome", "--chrome", "no-such-chrome"]);
    missing.fails_with(1).says(["no Chrome was found: correct `chromePath`", "`no-such-chrome` on PATH"]);
    let named = Scratch::new().variable("CHROME_PATH", "/nowhere/chrome").run(["chrome"]);
    named.fails_with(1).says(["no Chrome was found: correct CHROME_PATH (looked for /nowhere/chrome"]);
}
