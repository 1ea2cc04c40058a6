//! What the processes of an entry use, and how much they may (spec/computer.md 15; spec/config.md 3).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use mcp_computer::{CallContext, Computer, ComputerConfig, Error, Limit, StdioConfig, config::Limits};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    fake::fake,
    library::{
        AT_ONCE, Fake, bash, comes_true, health_of, made_of, never_restarted, scripted, sent, server, told, until, up,
        within,
    },
    procs::{alive, all_gone, pids_in},
    program::{Scratch, run},
};

const NO: Limits = Limits { memory_mb: None, processes: None, open_files: None, cpu_seconds: None };

/// `escape FILE` runs a script in a session of its own, without its environment, its parent gone.
const ESCAPE: &str =
    r#"escape() { setsid env -i PATH="$PATH" bash -c 'bash "$0" </dev/null >/dev/null 2>&1 &' "$1"; }"#;

/// A directory in which processes note their pids.
struct Den(TempDir);

impl Den {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("pids")
    }

    fn pids(&self) -> Vec<i32> {
        pids_in(&self.path())
    }

    /// A server whose tool `act` lets a script escape, and does no more.
    fn lets_escape(&self, script: &str) -> StdioConfig {
        let file = self.0.path().join("escapee");
        fs::write(&file, script.replace("NOTE", &self.note())).unwrap();
        scripted(&format!("{ESCAPE}\ncall() {{ escape '{}'; succeed; }}", file.display()))
    }

    /// Bash notes its pid.
    fn note(&self) -> String {
        format!("echo $BASHPID >> '{}'", self.path().display())
    }
}

/// Holds so many MiB, and notes its pid when it does.
fn hoard(mib: u32) -> String {
    format!("x=$(head -c {mib}M /dev/zero | tr '\\0' x); NOTE; read < <(sleep 1000)")
}

const BUSY: &str = "NOTE; while :; do :; done";

/// Calls the tool of a scripted entry.
async fn act(computer: &Computer, entry: &str) -> mcp_computer::Result<Value> {
    within("a call", computer.call(&format!("{entry}__act"), &json!({}))).await
}

fn pid(health: &mcp_computer::EntryHealth) -> i32 {
    health.pid.expect("it is up").cast_signed()
}

/// What a limit said; it must have been exceeded.
#[track_caller]
fn excess<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (Limit, u64, u64) {
    match outcome {
        Err(Error::LimitExceeded { limit, used, allowed }) => (limit, used, allowed),
        other => panic!("no limit was exceeded: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escaped_grandchild_that_takes_too_much_memory_ends_its_entry_and_no_other() {
    let den = Den::new();
    let greedy = den.lets_escape(&hoard(300)).limits(Limits { memory_mb: Some(100), ..NO });
    let computer = up([("greedy", greedy), ("modest", scripted("call() { :; }"))]).await;
    let (before, modest) = (health_of(&computer, "greedy").await, health_of(&computer, "modest").await);
    let waiting = sent(&computer, "modest__act", CallContext::default());
    let mut events = computer.events();
    act(&computer, "greedy").await.unwrap();
    let said = told(&mut events, "greedy", "waiting").await.unwrap();
    assert!(said.contains("MiB of memory") && said.contains("`limits.memoryMb` allows 100; raise it"), "{said}");
    comes_true("nothing of it lives", || all_gone(&[pid(&before)]) && den.pids().iter().all(|pid| !alive(*pid))).await;

    told(&mut events, "greedy", "ready").await;
    let after = health_of(&computer, "greedy").await;
    assert_eq!((after.restarts, after.last_error.as_deref()), (1, Some(said.as_str())));
    assert_ne!(after.pid, before.pid);
    let after = health_of(&computer, "modest").await;
    assert_eq!((after.pid, after.restarts, after.last_error), (modest.pid, 0, None));
    within("the end", computer.stop()).await;
    assert!(matches!(within("the call", waiting).await, Err(Error::Ended { .. })), "nobody else had ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_fail_with_the_limit_that_was_exceeded() {
    let fork =
        "bomb() { if (( $1 > 0 )); then bomb $(( $1 - 1 )) & bomb $(( $1 - 1 )) & fi; NOTE; read < <(sleep 1000); }";
    let den = Den::new();
    // Sixty-three that wait, each with its `sleep`.
    let bomb = format!("{}\ncall() {{ bomb 5 </dev/null >/dev/null & }}", fork.replace("NOTE", &den.note()));
    let computer = up([("bomb", never_restarted(scripted(&bomb).limits(Limits { processes: Some(30), ..NO })))]).await;
    let server = pid(&health_of(&computer, "bomb").await);
    let (limit, used, allowed) = excess(act(&computer, "bomb").await);
    assert_eq!((limit, allowed), (Limit::Processes, 30));
    assert!((31..=130).contains(&used), "{used}");
    comes_true("it has failed", || !alive(server)).await;
    until("it is told", async || health_of(&computer, "bomb").await.state == "failed").await;
    let health = health_of(&computer, "bomb").await;
    let error = format!(
        "the server was ended: it and what it started were {used} processes, and `limits.processes` allows 30; raise it \
         if the server needs more"
    );
    assert_eq!((health.error.as_deref(), health.last_error.as_deref()), (Some(error.as_str()), Some(error.as_str())));
    comes_true("nothing of it lives", || all_gone(&den.pids())).await;
}

/// Adds an entry that has too many processes as soon as it is up, and waits until it was ended for that so often.
///
/// Each entry is looked at every second: those that were there before have been looked at as often by then.
async fn meanwhile_another_is_ended(computer: &Computer, times: u32) {
    let crowd = scripted("for i in {1..9}; do sleep 1000 & done").limits(Limits { processes: Some(5), ..NO });
    let mut events = computer.events();
    within("adding", computer.add_entry("crowd", crowd, AT_ONCE)).await.unwrap();
    for _ in 0..times {
        let said = told(&mut events, "crowd", "waiting").await.unwrap();
        assert!(said.contains("`limits.processes` allows 5"), "{said}");
    }
}

/// Whether three such processes and their server are more than three.
async fn each_counts(child: &str) {
    let crowd = scripted(&format!("for i in {{1..3}}; do {child} </dev/null >/dev/null & done"));
    let limits = Limits { processes: Some(3), ..NO };
    let computer = Computer::new(ComputerConfig::new().with("crowd", never_restarted(crowd.limits(limits))).unwrap());
    let mut events = computer.events();
    within("the start", computer.start()).await.unwrap();
    let said = told(&mut events, "crowd", "failed").await.unwrap();
    assert!(said.contains("were 4 processes, and `limits.processes` allows 3"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_name_is_no_text_counts() {
    let dir = tempfile::tempdir().unwrap();
    let odd = format!("'{}'/$'\\xff\\xfe'", dir.path().display());
    each_counts(&format!("{{ ln -sf \"$(command -v sleep)\" {odd}; exec {odd} 1000; }}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_first_thread_has_ended_counts() {
    let script = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(1000,)).start(); \
                  ctypes.CDLL(None).pthread_exit(None)";
    each_counts(&format!("python3 -c '{script}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stays_within_the_limits_is_left_alone_while_others_are_ended() {
    let den = Den::new();
    let limits = Limits { memory_mb: Some(2000), processes: Some(20), open_files: Some(256), cpu_seconds: Some(1000) };
    let computer = up([("modest", den.lets_escape(&hoard(20)).limits(limits))]).await;
    act(&computer, "modest").await.unwrap();
    comes_true("it has its memory", || den.pids().len() == 1).await;
    let before = health_of(&computer, "modest").await;
    meanwhile_another_is_ended(&computer, 3).await;
    let after = health_of(&computer, "modest").await;
    assert_eq!((after.pid, after.restarts, after.last_error), (before.pid, 0, None));
    assert_eq!(after.problems, before.problems);
    assert!(alive(den.pids()[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_processes_share_counts_once() {
    let den = Den::new();
    // Nine processes with the same 100 MiB.
    let share = format!(
        "x=$(head -c 100M /dev/zero | tr '\\0' x); for i in {{1..8}}; do ({}; read < <(sleep 1000)) </dev/null >/dev/null & done",
        den.note()
    );
    let computer = up([("shared", scripted(&share).limits(Limits { memory_mb: Some(500), ..NO }))]).await;
    comes_true("all of them are there", || den.pids().len() == 8).await;
    meanwhile_another_is_ended(&computer, 2).await;
    let health = health_of(&computer, "shared").await;
    assert!(health.rss_bytes.unwrap() > 800 << 20, "each has it: {health:?}");
    assert_eq!((health.restarts, health.last_error), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_too_much_before_it_is_up_is_ended_too_and_the_status_tool_says_why() {
    let den = Den::new();
    let greedy = bash(&hoard(200).replace("NOTE", &den.note())).limits(Limits { memory_mb: Some(50), ..NO });
    let computer = made_of([("greedy", never_restarted(greedy))]);
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    assert!(
        error.contains("greedy: the server was ended: ") && error.contains("`limits.memoryMb` allows 50"),
        "{error}"
    );
    assert!(den.pids().iter().all(|pid| !alive(*pid)));
    let status = within("the status", computer.call("greedy__status", &json!({}))).await.unwrap();
    assert_eq!(status["status"], "failed");
    assert!(status["error"].as_str().is_some_and(|error| error.contains("`limits.memoryMb` allows 50")), "{status}");
}

/// Calls a server that may use one second of processor time and uses it like this.
async fn is_too_busy(how: &str) {
    let busy = scripted(&format!("call() {{ {how}; }}")).limits(Limits { cpu_seconds: Some(1), ..NO });
    let computer = up([("busy", busy), ("modest", server(["--tools", "1"]))]).await;
    let before = health_of(&computer, "modest").await.pid;
    let mut events = computer.events();
    let (limit, used, allowed) = excess(act(&computer, "busy").await);
    assert!((limit, allowed) == (Limit::CpuSeconds, 1) && (1..=3).contains(&used), "{used}");
    let said = told(&mut events, "busy", "waiting").await.unwrap();
    assert!(said.contains("s of processor time, and `limits.cpuSeconds` allows 1; raise it"), "{said}");
    told(&mut events, "busy", "ready").await;
    assert_eq!(health_of(&computer, "modest").await.pid, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_for_too_long_is_ended_and_it_is_said_why() {
    is_too_busy("while :; do :; done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_listen_to_the_warning_is_ended_all_the_same() {
    is_too_busy("trap '' XCPU; while :; do :; done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_passes_on_how_its_child_ended_is_understood() {
    is_too_busy("(while :; do :; done); exit $?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_by_somebody_else_is_not_said_to_have_been_too_busy() {
    let fake = Fake::of([], |entry| never_restarted(entry.limits(Limits { cpu_seconds: Some(60), ..NO }))).await;
    let hanging = fake.hanging(CallContext::default()).await;
    fake.kill();
    let error = within("the call", hanging).await.unwrap_err();
    assert!(matches!(&error, Error::Ended { how, .. } if how.contains("SIGKILL")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_gets_the_limits_of_its_entry_and_nobody_else_does() {
    let limits = Limits { open_files: Some(100), cpu_seconds: Some(50), ..NO };
    let tell = "echo $(ulimit -S -n) $(ulimit -H -n) $(ulimit -S -t) $(ulimit -H -t)";
    let script = format!("call() {{ answer '{{\"content\":[{{\"type\":\"text\",\"text\":\"'\"$({tell})\"'\"}}]}}'; }}");
    let computer = up([("limited", scripted(&script).limits(limits)), ("free", scripted(&script))]).await;
    assert_eq!(act(&computer, "limited").await.unwrap(), "100 100 50 51");
    let own = Command::new("bash").args(["-c", tell]).output().unwrap().stdout;
    assert_eq!(act(&computer, "free").await.unwrap(), String::from_utf8(own).unwrap().trim());
}

#[test]
fn what_the_host_was_left_open_by_its_parent_is_not_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let (script, fake) = (dir.path().join("seen"), fake::<&str>([])["command"].clone());
    let list = format!("ls /proc/$$/fd > '{}'; exec \"$0\" --tools 1", script.display());
    let scratch = Scratch::entries(json!({ "a": { "command": "bash", "args": ["-c", list, fake] } }));
    run(after("exec 9</dev/null 40</dev/null", &scratch.command(["status"])), "").ok();
    let seen = std::fs::read_to_string(script).unwrap();
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_has_all_its_files_open_is_told_of_and_lives() {
    // All but two of the 64.
    let open = r#"call() { for n in {3..61}; do eval "exec $n<&0"; done; succeed; }"#;
    let limits = Limits { open_files: Some(64), ..NO };
    let computer = up([("full", scripted(open).limits(limits)), ("empty", scripted("").limits(limits))]).await;
    act(&computer, "full").await.unwrap();
    let problem = "a process of it (`bash`) had 62 files open of the 64 that `limits.openFiles` lets it; raise it if \
                   the server complains of too many open files";
    until("it is told", async || health_of(&computer, "full").await.problems.iter().any(|known| known == problem))
        .await;
    let health = health_of(&computer, "full").await;
    assert_eq!((health.state, health.restarts), ("ready", 0));
    act(&computer, "full").await.unwrap();
    let problems = health_of(&computer, "empty").await.problems.join("\n");
    assert!(!problems.contains("openFiles"), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_limits_are_another_configuration() {
    let with = |limits| ComputerConfig::new().with("a", server(["--tools", "1"]).limits(limits)).unwrap();
    let limits = Limits { processes: Some(10), ..NO };
    let computer = Computer::new(with(limits));
    within("the start", computer.start()).await.unwrap();
    let before = health_of(&computer, "a").await.pid;
    assert_eq!(within("applying", computer.apply(with(limits))).await.changed, Vec::<String>::new());
    assert_eq!(health_of(&computer, "a").await.pid, before);
    let other = Limits { processes: Some(11), ..NO };
    assert_eq!(within("applying", computer.apply(with(other))).await.changed, ["a"]);
    assert_ne!(health_of(&computer, "a").await.pid, before);
}

/// The program, with limits of its own.
fn limited(words: &str, command: &Command) -> Command {
    after(&format!("ulimit {words}"), command)
}

/// The program, in the place of a shell that has done something before.
fn after(act: &str, command: &Command) -> Command {
    let mut all = Command::new("bash");
    all.arg("-c").arg(format!("{act} && exec \"$0\" \"$@\"")).arg(command.get_program());
    all.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env_clear();
    all.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    all
}

#[test]
fn a_limit_beyond_our_own_is_cut_and_told() {
    let limits = json!({ "openFiles": 5000, "cpuSeconds": 10 });
    let entry = json!({ "command": fake::<&str>([])["command"], "limits": limits });
    let scratch = Scratch::entries(json!({ "a": entry }));
    let health = run(limited("-H -n 300 -S -n 300", &scratch.command(["status", "--json"])), "").ok().json();
    let problem = "`limits.openFiles` is 5000, but more than 300 cannot be given: that is our own hard limit";
    assert_eq!(health["entries"][0]["problems"], json!([problem]), "{health}");
}

#[test]
fn the_program_takes_the_files_it_needs_and_gives_its_children_what_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("ulimit -S -n >> '{}'; exec \"$0\" --tools 1", dir.path().join("seen").display());
    let one = json!({ "command": "bash", "args": ["-c", script, fake::<&str>([])["command"]] });
    let many: serde_json::Map<_, _> = (0..40).map(|n| (format!("e{n}"), one.clone())).collect();
    let scratch = Scratch::entries(Value::Object(many));
    let health = run(limited("-S -n 64", &scratch.command(["status", "--json"])), "").ok().json();
    let states: Vec<&Value> = health["entries"].as_array().unwrap().iter().map(|entry| &entry["state"]).collect();
    assert_eq!(states, vec!["ready"; 40]);
    assert_eq!(fs::read_to_string(dir.path().join("seen")).unwrap(), "64\n".repeat(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_an_escaped_grandchild_is_that_of_its_entry() {
    let den = Den::new();
    let computer = up([("a", den.lets_escape(&hoard(64)))]).await;
    let before = health_of(&computer, "a").await.rss_bytes.unwrap();
    act(&computer, "a").await.unwrap();
    comes_true("it has its memory", || den.pids().len() == 1).await;
    let grown = health_of(&computer, "a").await.rss_bytes.unwrap() - before;
    // Bash itself holds a little, and what it read with may hold as much again.
    assert!((64 << 20..200 << 20).contains(&grown), "{grown}");
    within("the stop", computer.stop_entry("a")).await.unwrap();
    assert_eq!(health_of(&computer, "a").await.rss_bytes, None);
}

/// The processor time that a process has used, in seconds.
fn processor_time(pid: i32) -> f64 {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processor_time_of_an_escaped_grandchild_is_that_of_its_entry() {
    let den = Den::new();
    let computer = up([("a", den.lets_escape(BUSY))]).await;
    let first = health_of(&computer, "a").await.cpu_percent.unwrap();
    assert!((0.0..=100.0 * 64.0).contains(&first), "right after the start: {first}");
    act(&computer, "a").await.unwrap();
    comes_true("it is there", || den.pids().len() == 1).await;
    let busy = den.pids()[0];
    until("a while has gone by", async || processor_time(busy) > 0.6).await;
    health_of(&computer, "a").await;
    let (begin, before) = (Instant::now(), processor_time(busy));
    until("another while has gone by", async || {
        begin.elapsed() > Duration::from_millis(1500) && processor_time(busy) > before + 0.4
    })
    .await;
    let percent = f64::from(health_of(&computer, "a").await.cpu_percent.unwrap());
    // A machine that is busy with other things gives it less than all.
    let expected = (processor_time(busy) - before) * 100.0 / begin.elapsed().as_secs_f64();
    assert!((expected * 0.6..expected * 1.5).contains(&percent), "{percent} where {expected} is expected");
    within("the stop", computer.stop_entry("a")).await.unwrap();
    assert_eq!(health_of(&computer, "a").await.cpu_percent, None);
}
