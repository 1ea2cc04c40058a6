//! Managed programs: started before the entries that use them, kept, and stopped after them (spec/chrome.md 7–10). A real
//! Chromium with the real chrome-devtools-mcp.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use data_encoding::BASE64;
use mcp_computer::{
    CallContext, CommandConfig, Computer, ComputerConfig, Event, Events, ManagedProcess, ProgramHealth, Ready,
    ShellMode, config::Restart,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    chrome::{self, Answering, launched, options, tree, version},
    client::Client,
    http_client::Daemon,
    library::{comes_true, deferred, raw, scripted, server, told, until, within},
    procs::{alive, all_gone, assert_gone, children, eventually, pids_in, signal},
    program::{Scratch, text},
    real,
};

/// How a program of a Computer is.
async fn program(computer: &Computer, name: &str) -> ProgramHealth {
    let health = within("health", computer.health()).await;
    health.programs.into_iter().find(|program| program.name == name).unwrap()
}

/// Waits until a program is told to be in a state; the port that it is told with.
async fn program_told(events: &mut Events, name: &str, wanted: &str) -> Option<u16> {
    within(wanted, async {
        loop {
            match events.next().await.expect("the Computer is there") {
                Event::ProgramChanged { name: of, state, port, .. } if of == name && state == wanted => return port,
                _ => {}
            }
        }
    })
    .await
}

async fn started(config: ComputerConfig) -> Computer {
    let computer = Computer::new(config);
    let started = within("the start", computer.start()).await.unwrap();
    assert!(started.errors.is_empty(), "{:?}", started.errors);
    computer
}

/// A server in bash that answers `act` with what it was given as its first argument.
fn told_by(argument: &str) -> mcp_computer::StdioConfig {
    let mut entry =
        scripted(r#"given=$1; call() { answer "{\"content\":[{\"type\":\"text\",\"text\":\"$given\"}]}"; }"#);
    entry.args.push(argument.to_owned());
    entry
}

async fn call(computer: &Computer, tool: &str) -> Value {
    within(tool, computer.call(tool, &json!({}))).await.unwrap()
}

/// A Computer with a Chromium and the real server for it.
struct Browsing {
    computer: Computer,
    events: Events,
    _dir: tempfile::TempDir,
}

impl Browsing {
    async fn up() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("profile"))?;
        let script = real::modules()?.join("chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js");
        assert!(script.exists(), "{} is there", script.display());
        let server = Computer::stdio("node", [text(&script), "--browser-url=${chrome.url}", "--no-usage-statistics"])
            .env("CHROME_DEVTOOLS_MCP_NO_UPDATE_CHECKS", "1");
        let config = ComputerConfig::new().with_program("chrome", options).unwrap().with("browser", server).unwrap();
        let computer = Computer::new(config);
        let events = computer.events();
        let started = within("the start", computer.start()).await.unwrap();
        assert!(started.errors.is_empty(), "{:?}", started.errors);
        Some(Self { computer, events, _dir: dir })
    }

    async fn tool(&self, tool: &str, arguments: Value) -> Value {
        within(tool, self.computer.call(&format!("browser__{tool}"), &arguments)).await.unwrap()
    }

    async fn open(&self, url: &str) {
        let opened = self.tool("new_page", json!({ "url": url })).await;
        assert!(opened.to_string().contains(url), "{opened}");
    }

    /// The number of the page that was opened last.
    async fn page(&self) -> u64 {
        let pages = self.tool("list_pages", json!({})).await.to_string();
        let last = pages.split("\\n").filter_map(|line| line.split(": ").next()?.trim_matches('"').parse::<u64>().ok());
        last.last().unwrap_or_else(|| panic!("no pages: {pages}"))
    }

    /// What that one shows.
    async fn seen(&self) -> String {
        self.tool("take_snapshot", json!({ "pageId": self.page().await })).await.to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_browses_with_the_real_server_and_its_pictures_arrive_whole() {
    let page = Answering::page("<h1>The heading</h1><button>Press me</button>");
    let Some(browsing) = Browsing::up().await else { return };
    browsing.open(&page.url()).await;
    let seen = browsing.seen().await;
    assert!(seen.contains("The heading") && seen.contains("button \\\"Press me\\\""), "{seen}");
    let arguments = raw(&json!({ "pageId": browsing.page().await }));
    let call = browsing.computer.call_raw("browser__take_screenshot", Some(&arguments), CallContext::default());
    let result = within("the picture", call).await.unwrap().to_value();
    let parts = result["content"].as_array().unwrap();
    let image = parts.iter().find(|part| part["type"] == "image").unwrap_or_else(|| panic!("{result}"));
    assert_eq!(image["mimeType"], "image/png");
    let picture = BASE64.decode(image["data"].as_str().unwrap().as_bytes()).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n") && picture.ends_with(b"IEND\xaeB`\x82"), "a whole picture");
    browsing.computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browsers_tools_work_again_by_themselves_when_chrome_was_killed_in_mid_session() {
    let page = Answering::page("<h1>The heading</h1>");
    let Some(mut browsing) = Browsing::up().await else { return };
    browsing.open(&page.url()).await;
    let before = program(&browsing.computer, "chrome").await;
    let pids = tree(before.pid.unwrap());
    signal(pids[0], Signal::SIGKILL);
    program_told(&mut browsing.events, "chrome", "waiting").await;
    let port = program_told(&mut browsing.events, "chrome", "ready").await;
    assert_eq!(port, before.port, "those who know its port find it there again");
    browsing.open(&page.url()).await;
    assert!(browsing.seen().await.contains("The heading"));
    comes_true("nothing of the first is left", || all_gone(&pids)).await;
    let health = within("health", browsing.computer.health()).await;
    assert_eq!((health.programs[0].restarts, health.entries[0].restarts), (1, 0));
    browsing.computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chrome_that_cannot_have_its_old_port_gets_another_and_the_entries_that_knew_the_old_one_are_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let config = ComputerConfig::new().with_program("chrome", options).unwrap();
    let config = config.with("knows", told_by("${chrome.port}")).unwrap().with("not", told_by("nothing")).unwrap();
    let computer = started(config).await;
    let mut events = computer.events();
    let before = program(&computer, "chrome").await;
    let old = before.port.unwrap();
    assert_eq!(call(&computer, "knows__act").await, json!(old));
    signal(before.pid.unwrap().cast_signed(), Signal::SIGKILL);
    program_told(&mut events, "chrome", "waiting").await;
    let _squatter = Answering::on(TcpListener::bind((Ipv4Addr::LOCALHOST, old)).unwrap(), "text/html", "mine");
    let new = program_told(&mut events, "chrome", "ready").await.unwrap();
    assert_ne!(new, old);
    // A call that is under way when it is restarted fails.
    let knows = async || computer.call("knows__act", &json!({})).await.is_ok_and(|answer| answer == json!(new));
    until("the entry knows the new one", async || within("knows__act", knows()).await).await;
    let health = within("health", computer.health()).await;
    assert_eq!(health.entries.iter().map(|entry| entry.restarts).collect::<Vec<_>>(), [1, 0], "no other is restarted");
    computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chrome_is_there_before_the_entries_that_use_it_and_goes_after_them() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(&dir.path().join("profile")) else { return };
    let note = dir.path().join("note");
    // At the end of its input it looks whether the browser still answers.
    let script = r#"exec 3<>/dev/tcp/127.0.0.1/$1 && exec 3>&- && "$0"; { exec 3<>/dev/tcp/127.0.0.1/$1 && echo there || echo gone; } > "$2""#;
    let mut entry = Computer::stdio("bash", ["-c", &script.replace("${", "$${")]);
    entry.args.extend([text(&crate::support::fake::path()), "${chrome.port}", text(&note)].map(str::to_owned));
    let config = ComputerConfig::new().with("uses", entry).unwrap().with_program("chrome", options).unwrap();
    let computer = started(config).await;
    let pids = tree(program(&computer, "chrome").await.pid.unwrap());
    within("the stop", computer.stop()).await;
    assert_eq!(fs::read_to_string(note).unwrap(), "there\n");
    assert_gone(&pids);
    // All of it can be started again.
    assert_eq!(within("the start", computer.start()).await.unwrap().errors, Vec::<String>::new());
    computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chrome_that_only_deferred_entries_use_is_launched_with_the_first_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let config = ComputerConfig::new().with_program("chromes.work", options).unwrap();
    let config = config.with("later", deferred(told_by("${chromes.work.port}"))).unwrap();
    let computer = started(config).await;
    assert_eq!(program(&computer, "chromes.work").await.state, "deferred");
    assert!(!fs::exists(dir.path().join("SingletonLock")).unwrap());
    let health = within("connecting", computer.restart_entry("later")).await.unwrap();
    assert!(health.healthy, "{:?}", health.error);
    let chrome = program(&computer, "chromes.work").await;
    assert_eq!((chrome.state, call(&computer, "later__act").await), ("ready", json!(chrome.port.unwrap())));
    computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_chrome_cannot_be_launched_says_so_and_comes_up_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(&dir.path().join("profile")) else { return };
    let path = dir.path().join("chromium");
    let missing = mcp_computer::ChromeLaunchOptions { chrome_path: Some(path.clone()), ..options.clone() };
    let config = ComputerConfig::new().with_program("chrome", missing).unwrap();
    let config = config.with("uses", told_by("${chrome.url}")).unwrap().with("other", server([""; 0])).unwrap();
    let computer = Computer::new(config);
    let errors = within("the start", computer.start()).await.unwrap().errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    let why = "cannot fill in `${chrome.url}`: `chrome` is not up: no Chrome was found: correct `chromePath`";
    assert!(errors[0].starts_with(&format!("uses: {why}")), "{errors:?}");
    assert!(errors[1].starts_with("chrome: no Chrome was found"), "{errors:?}");
    std::os::unix::fs::symlink(options.chrome_path.unwrap(), path).unwrap();
    let mut events = computer.events();
    let ready = within("getting ready", computer.ensure_ready()).await;
    assert!(ready.recovered.unwrap().contains(&"chrome".to_owned()));
    told(&mut events, "uses", "ready").await;
    assert!(call(&computer, "uses__act").await.to_string().contains("http://127.0.0.1:"));
    computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chrome_that_the_caller_has_launched_is_kept_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(options) = options(dir.path()) else { return };
    let chrome = launched(options).await;
    let (port, pid) = (chrome.port(), chrome.pid());
    let computer = Computer::new(ComputerConfig::new().with("uses", told_by("${chrome.port}")).unwrap());
    assert!(computer.managed("browser", chrome).unwrap_err().to_string().contains("call a Chrome `chrome`"));
    // A refused one is killed, as its owner is gone.
    let gone = || !fs::exists(format!("/proc/{pid}")).unwrap();
    comes_true("it is gone, with all its threads", gone).await;
    let chrome = launched(crate::support::chrome::options(dir.path()).unwrap()).await;
    let (port, pid) = (chrome.port(), if port == chrome.port() { pid } else { chrome.pid() });
    computer.managed("chrome", chrome).unwrap();
    within("the start", computer.start()).await.unwrap();
    assert_eq!(call(&computer, "uses__act").await, json!(port));
    let mut events = computer.events();
    signal(program(&computer, "chrome").await.pid.unwrap().cast_signed(), Signal::SIGKILL);
    assert_eq!(program_told(&mut events, "chrome", "ready").await, Some(port), "launched again, on its port");
    let pids = tree(program(&computer, "chrome").await.pid.unwrap());
    within("the stop", computer.stop()).await;
    assert_gone(&[pids, vec![pid.cast_signed()]].concat());
}

/// A child of ours that has one of its own, and where their pids are noted.
fn family(dir: &Path) -> (Command, std::path::PathBuf) {
    let pids = dir.join("pids");
    let mut command = Command::new("bash");
    let script = format!("setsid sleep 1000 & echo $! > '{0}'; echo $$ >> '{0}'; echo up; wait", pids.display());
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    (command, pids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_the_caller_has_started_ends_with_the_computer_with_all_that_descends_from_it() {
    for of_tokio in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (mut command, pids) = family(dir.path());
        let child = if of_tokio {
            ManagedProcess::child(tokio::process::Command::from(command).spawn().unwrap())
        } else {
            ManagedProcess::child(command.spawn().unwrap())
        };
        let computer =
            Computer::new(ComputerConfig::new().with("sh", Computer::shell(ShellMode::Unrestricted)).unwrap());
        computer.managed("family", child.unwrap()).unwrap();
        within("the start", computer.start()).await.unwrap();
        comes_true("it is up", || pids_in(&pids).len() == 2).await;
        let health = program(&computer, "family").await;
        assert_eq!(
            (health.kind, health.state, health.pid.unwrap().cast_signed()),
            ("child", "ready", pids_in(&pids)[1])
        );
        assert_eq!(program(&computer, "family").await.last_output.as_deref(), Some("up"), "what it prints is read");
        within("the stop", computer.stop()).await;
        assert_gone(&pids_in(&pids));
        comes_true("it is reaped", || !fs::exists(format!("/proc/{}", pids_in(&pids)[1])).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_the_callers_that_ends_is_told_and_not_started_again() {
    let computer = Computer::new(ComputerConfig::new().with("sh", Computer::shell(ShellMode::Unrestricted)).unwrap());
    within("the start", computer.start()).await.unwrap();
    let mut events = computer.events();
    let child = Command::new("bash")
        .args(["-c", "read; echo no more >&2; exit 3"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    computer.managed("child", ManagedProcess::child(child.unwrap()).unwrap()).unwrap();
    program_told(&mut events, "child", "failed").await;
    let health = program(&computer, "child").await;
    assert_eq!(health.error.as_deref(), Some("the program exited with status 3; its last words on stderr:\nno more"));
    let again = ManagedProcess::child(Command::new("sleep").arg("1000").spawn().unwrap());
    let refused = again.and_then(|again| computer.managed("child", again).map_err(std::io::Error::other));
    assert!(refused.unwrap_err().to_string().contains("a program has that name already"));
    let restarted = within("the restart", computer.restart_program("child")).await.unwrap();
    assert!(restarted.error.unwrap().contains("whoever gave it to the Computer has started it; give it a new one"));
    computer.stop().await;
}

fn in_bash(script: &str) -> CommandConfig {
    CommandConfig::new("bash", ["-c", &script.replace("${", "$${")])
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_connected_when_the_programs_beside_them_are_ready() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let (gate, says) = (dir.path().join("gate"), "echo starting; while ! [ -e \"$GATE\" ]; do sleep 0.01; done;");
    let with = |script: &str| in_bash(script).env("GATE", text(&gate)).env("READY", text(&ready));
    for (check, script) in [
        (Ready::Line("^listening$".to_owned()), format!("{says} touch $READY; echo listening; exec sleep 1000")),
        (Ready::Line("^listening$".to_owned()), format!("{says} touch $READY; echo listening >&2; exec sleep 1000")),
        (
            Ready::Command(vec!["test".to_owned(), "-e".to_owned(), text(&ready).to_owned()]),
            format!("{says} touch $READY; exec sleep 1000"),
        ),
    ] {
        let _ = (fs::remove_file(&ready), fs::remove_file(&gate));
        // The entry comes up only when the program was ready before.
        let entry = crate::support::library::bash(&format!("[ -e '{}' ] && exec \"$0\"", ready.display()));
        let config = ComputerConfig::new().with_program("db", with(&script).ready(check)).unwrap();
        let computer = Computer::new(config.with("uses", entry).unwrap());
        let mut events = computer.events();
        computer.begin();
        program_told(&mut events, "db", "starting").await;
        until("the entry waits", async || computer.entry_health("uses").unwrap().state == "starting").await;
        fs::write(&gate, "").unwrap();
        program_told(&mut events, "db", "ready").await;
        told(&mut events, "uses", "ready").await;
        assert_eq!(within("health", computer.health()).await.entries[0].restarts, 0, "at the first try");
        computer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_ready_when_its_port_or_its_url_answers_and_nobody_else_may_answer_there() {
    let Some(python) = real::program("python3") else { return };
    let dir = tempfile::tempdir().unwrap();
    for url in [false, true] {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let check = if url { Ready::Url(format!("http://127.0.0.1:{port}/")) } else { Ready::Port(port) };
        let number = port.to_string();
        let mut web =
            CommandConfig::new(text(&python), ["-m", "http.server", &number, "--bind", "127.0.0.1"]).ready(check);
        web.cwd = Some(text(dir.path()).to_owned());
        let config = ComputerConfig::new().with("sh", Computer::shell(ShellMode::Unrestricted)).unwrap();
        let config = config.with_program("web", web).unwrap();
        let computer = started(config.clone()).await;
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), "it is ready indeed");
        let second = Computer::new(config);
        let errors = within("the start", second.start()).await.unwrap().errors;
        let expected = format!("another program listens on port {port} of 127.0.0.1 already");
        assert!(errors.len() == 1 && errors[0].starts_with("web: ") && errors[0].contains(&expected), "{errors:?}");
        within("both stops", async { tokio::join!(second.stop(), computer.stop()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_never_ready_says_so_and_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!("echo $$ > '{}'; echo working on it; exec sleep 1000", pids.display());
    let mut slow = in_bash(&script).ready(Ready::Line("done".to_owned()));
    slow.ready_timeout = Duration::from_millis(500);
    slow.restart = Restart::Never;
    let config = ComputerConfig::new().with_program("slow", slow).unwrap().with("fake", server([""; 0])).unwrap();
    let computer = Computer::new(config);
    let errors = within("the start", computer.start()).await.unwrap().errors;
    let expected = "slow: waiting until it prints a line that `done` matches took longer than 500 ms; see what it waits \
                    for, or give it longer (`readyTimeout`); its last words on stderr:\nworking on it";
    assert_eq!(errors, [expected], "and the entry is up");
    assert_gone(&pids_in(&pids));
    let health = within("health", computer.health()).await;
    assert!(!health.healthy && health.entries[0].healthy && health.programs[0].state == "failed");
    computer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_is_brought_back_unless_it_is_not_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let note = |name: &str| dir.path().join(name);
    let script = |name: &str| in_bash(&format!("echo $$ >> '{}'; exec sleep 1000", note(name).display()));
    let once = CommandConfig { restart: Restart::Never, ..script("once") };
    let config = ComputerConfig::new().with_program("again", script("again")).unwrap().with_program("once", once);
    let computer = started(config.unwrap().with("fake", server([""; 0])).unwrap()).await;
    let mut events = computer.events();
    comes_true("both are up", || pids_in(&note("again")).len() == 1 && pids_in(&note("once")).len() == 1).await;
    signal(pids_in(&note("again"))[0], Signal::SIGKILL);
    program_told(&mut events, "again", "waiting").await;
    program_told(&mut events, "again", "ready").await;
    comes_true("it is up again", || pids_in(&note("again")).len() == 2).await;
    signal(pids_in(&note("once"))[0], Signal::SIGKILL);
    program_told(&mut events, "once", "failed").await;
    let pids = pids_in(&note("again"));
    within("the stop", computer.stop()).await;
    assert_gone(&pids);
    assert_eq!(pids_in(&note("once")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_changes_only_the_programs_that_differ() {
    let dir = tempfile::tempdir().unwrap();
    let note = |name: &str| dir.path().join(name);
    let script =
        |name: &str, text: &str| in_bash(&format!("echo $$ >> '{}'; {text} exec sleep 1000", note(name).display()));
    let with = |programs: &[(&str, &str)]| {
        let config = ComputerConfig::new().with("fake", server([""; 0])).unwrap();
        programs.iter().fold(config, |config, (name, text)| config.with_program(name, script(name, text)).unwrap())
    };
    let computer = started(with(&[("same", ""), ("goes", ""), ("other", "")])).await;
    let noted = |name: &str| pids_in(&note(name));
    comes_true("they are up", || ["same", "goes", "other"].iter().all(|name| noted(name).len() == 1)).await;
    let applied = within("applying", computer.apply(with(&[("same", ""), ("other", "true;"), ("new", "")]))).await;
    assert_eq!(applied.programs, ["goes", "other", "new"]);
    assert_eq!(applied.unchanged, ["fake"]);
    assert_gone(&noted("goes"));
    comes_true("the others are up", || noted("other").len() == 2 && noted("new").len() == 1).await;
    assert!(noted("same").len() == 1 && alive(noted("same")[0]));
    assert!(!alive(noted("other")[0]) && alive(noted("other")[1]));
    let names: Vec<String> = within("health", computer.health()).await.programs.into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["same", "other", "new"]);
    computer.stop().await;
}

/// A config with a Chromium and an entry that refers to it.
fn with_chrome(scratch: &Scratch) -> Option<Value> {
    let mut entry =
        json!({ "command": "bash", "args": ["-c", "exec \"$0\"", crate::support::fake::path(), "${chrome.port}"] });
    entry["description"] = json!("uses the browser");
    Some(json!({ "chrome": chrome::config(&scratch.path("profile"))?, "mcpServers": { "uses": entry } }))
}

#[test]
fn nothing_of_a_managed_chrome_is_left_when_the_host_is_killed() {
    for kill_the_guard in [true, false] {
        let scratch = Scratch::new();
        let Some(config) = with_chrome(&scratch) else { return };
        let scratch = scratch.config(&config);
        let mut client = Client::of(&scratch, scratch.command(["serve", "--stdio"]));
        client.initialize("2025-11-25");
        assert!(!client.tools().is_empty());
        let lock = fs::read_link(scratch.path("profile/SingletonLock")).unwrap();
        let pid: u32 = text(&lock).rsplit_once('-').unwrap().1.parse().unwrap();
        let pids = tree(pid);
        let daemon = *children(client.guard()).iter().find(|child| children(**child).contains(&pids[0])).unwrap();
        signal(if kill_the_guard { client.guard() } else { daemon }, Signal::SIGKILL);
        eventually("nothing of it is left", || all_gone(&pids) && !alive(daemon));
    }
}

#[test]
fn status_and_check_show_programs_and_call_starts_none_that_it_does_not_need() {
    let scratch = Scratch::new();
    let Some(mut config) = with_chrome(&scratch) else { return };
    config["mcpServers"]["sh"] = json!({ "type": "shell", "mode": "unrestricted" });
    let scratch = scratch.config(&config);
    scratch.run(["call", "sh__run_command", r#"{"command":"true"}"#]).ok();
    assert!(!fs::exists(scratch.path("profile")).unwrap(), "`call` has launched no Chrome");
    let plan = scratch.run(["check", "--json"]).ok().json();
    let command = plan["programs"][0]["command"].as_array().unwrap();
    assert_eq!(command[1], "--remote-debugging-port=0", "{plan}");
    assert!(plan["entries"][0]["command"].as_array().unwrap().contains(&json!("${chrome.port}")), "{plan}");
    assert!(!fs::exists(scratch.path("profile")).unwrap(), "`check` has launched none, and made no profile");
    let health = scratch.run(["status", "--json"]).ok().json();
    let chrome = &health["programs"][0];
    assert_eq!(
        (&chrome["name"], &chrome["kind"], &chrome["state"]),
        (&json!("chrome"), &json!("chrome"), &json!("ready"))
    );
    assert!(chrome["port"].is_u64() && chrome["version"].as_str().unwrap().starts_with("Chrome/"), "{chrome}");
    if nix::unistd::Uid::effective().is_root() {
        assert_eq!(chrome["problems"], json!(["it runs without its sandbox (`noSandbox`)"]));
    }
    scratch.run(["status"]).ok().prints(["PROGRAM", "chrome", "ready"]);
    scratch.run(["tools", "uses"]).ok();
}

#[test]
fn the_desktop_config_is_one_that_works_as_it_stands() {
    let desktop = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/desktop.json");
    let Some(modules) = real::modules() else { return };
    if chrome::chromium().is_none() {
        return;
    }
    // Without a network the packages are those that are there; and root has no sandbox, a machine without a screen no
    // windows.
    let text_of = fs::read_to_string(&desktop).unwrap();
    let root = nix::unistd::Uid::effective().is_root();
    let given = json!({ "headless": true, "noSandbox": root, "flags": chrome::QUIET }).to_string();
    assert!(text_of.contains("\"chrome\": {},"), "the file is as this test knows it");
    let scratch = Scratch::new().config_text(&text_of.replace("\"chrome\": {},", &format!("\"chrome\": {given},")));
    std::os::unix::fs::symlink(&modules, scratch.path("node_modules")).unwrap();
    let health = scratch.run(["status", "--json"]).ok().json();
    assert_eq!(health["healthy"], true, "{health}");
    let names: Vec<&str> = health["entries"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["browser", "filesystem", "shell"]);
    let page = Answering::page("<h1>The heading</h1>");
    let said = scratch.call("browser__new_page", &json!({ "url": page.url() }));
    assert!(said.to_string().contains(&page.url()), "{said}");
    let elsewhere = Scratch::new();
    let mut check = elsewhere.command(["check", "--config"]);
    check.arg(&desktop);
    let checked = crate::support::program::run(check, "");
    assert!(checked.stdout.contains("chrome-devtools-mcp"), "{checked:?}");
}

#[test]
fn the_desktop_example_opens_a_page_looks_at_it_and_leaves_nothing() {
    let (Some(modules), Some(_)) = (real::modules(), chrome::chromium()) else { return };
    let page = Answering::page("<h1>The heading</h1>");
    let scratch = Scratch::new();
    let mut example = scratch.other(&crate::support::fake::example("desktop"));
    example.args(["--headless", "--profile", "profile"]);
    if nix::unistd::Uid::effective().is_root() {
        example.arg("--no-sandbox");
    }
    for flag in chrome::QUIET {
        example.args(["--flag", flag]);
    }
    example.arg("--browser-server").arg(modules.join(".bin/chrome-devtools-mcp"));
    example.arg("--files-server").arg(modules.join(".bin/mcp-server-filesystem")).arg(page.url());
    let ran = crate::support::program::run(example, "").ok().prints(["Chrome/", "The heading", "[FILE] page.png"]);
    let pid: i32 = ran.stdout.split_once(", process ").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
    assert_gone(&[pid]);
    assert!(fs::read(scratch.path("page.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_managed_chrome_has_the_port_that_it_is_given() {
    let scratch = Scratch::new();
    let Some(mut config) = with_chrome(&scratch) else { return };
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    config["chrome"]["debuggingPort"] = json!(port);
    let scratch = scratch.config(&config);
    let mut client = Client::of(&scratch, scratch.command(["serve", "--stdio"]));
    client.initialize("2025-11-25");
    assert!(!client.tools().is_empty());
    assert!(version(port)["webSocketDebuggerUrl"].as_str().unwrap().contains("/devtools/browser/"));
}

#[test]
fn a_call_to_an_entry_goes_through_when_a_program_beside_it_is_down_which_is_said() {
    let fails = json!({ "command": "sh", "args": ["-c", "exit 3"], "ready": { "line": "x" } });
    let scratch = Scratch::new().config(&json!({
        "managedProcesses": { "m": fails }, "mcpServers": { "sh": { "type": "shell", "mode": "unrestricted" } }
    }));
    let ran = scratch.run(["call", "sh__run_command", r#"{"command":"echo there"}"#]).ok().prints(["there"]);
    ran.says(["warning: m: the program exited with status 3"]);
}

#[test]
fn a_program_that_comes_and_goes_holds_no_entry_that_does_not_refer_to_it() {
    // It is up for a moment each time, and brought back ever later.
    let goes = json!({ "command": "sh", "args": ["-c", "sleep 0.1; exit 3"] });
    let scratch = Scratch::new().config(&json!({
        "managedProcesses": { "m": goes }, "mcpServers": { "sh": { "type": "shell", "mode": "unrestricted" } }
    }));
    let _daemon = Daemon::start(&scratch);
    let program = |key: &str| scratch.run(["status", "--json"]).json()["programs"][0][key].clone();
    eventually("it has gone again and again", || program("restarts").as_u64().is_some_and(|count| count >= 3));
    eventually("it waits to be brought back", || program("state") == "waiting");
    scratch.run(["restart", "sh"]).ok();
    assert_eq!(program("state"), "waiting", "the entry did not wait for it");
}
