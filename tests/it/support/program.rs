//! The program, run in a directory and a home of its own.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::procs;

/// How long one run may take before it is killed and counts as hanging.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// A directory to run in, with a home beside it; both go with it.
pub(crate) struct Scratch {
    root: Arc<TempDir>,
    config: Option<PathBuf>,
    /// How its config is called: what another follows is not written over.
    named: &'static str,
    variables: Vec<(String, String)>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["home", "run", "work"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root: Arc::new(root), config: None, named: "config.json", variables: Vec::new() }
    }

    /// Another one with the same directories.
    pub(crate) fn in_the_home_of(other: &Self) -> Self {
        Self { root: other.keep(), config: None, named: "another.json", variables: Vec::new() }
    }

    /// A scratch whose config holds these entries.
    #[expect(clippy::needless_pass_by_value, reason = "entries are written in place")]
    pub(crate) fn entries(entries: Value) -> Self {
        Self::new().config(&serde_json::json!({ "mcpServers": entries }))
    }

    /// Runs with this config from now on.
    pub(crate) fn config(self, config: &Value) -> Self {
        self.config_text(&config.to_string())
    }

    /// Runs with a config of this text from now on.
    pub(crate) fn config_text(mut self, text: &str) -> Self {
        self.config = Some(self.write(self.named, text));
        self
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file under the working directory and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A path under the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// Keeps the directories as long as it is kept.
    pub(crate) fn keep(&self) -> Arc<TempDir> {
        Arc::clone(&self.root)
    }

    /// The home directory.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The program with these arguments, and the config when there is one.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.other(env!("CARGO_BIN_EXE_computer").as_ref());
        command.args(arguments);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command
    }

    /// Another program, in the same place.
    pub(crate) fn other(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path("")).env_clear();
        // Nothing of the machine's user gets in but the way to its programs.
        let kept = ["PATH", "USER", "LOGNAME", "TMPDIR"];
        command.envs(std::env::vars_os().filter(|(name, _)| kept.iter().any(|kept| name == kept)));
        let home = self.home();
        command.envs([("LANG", "C.UTF-8"), ("SHELL", "/bin/bash"), ("TERM", "xterm")]);
        command.env("XDG_CONFIG_HOME", home.join(".config")).env("XDG_STATE_HOME", home.join(".local/state"));
        command.env("XDG_DATA_HOME", home.join(".local/share")).env("XDG_CACHE_HOME", home.join(".cache"));
        command.env("XDG_RUNTIME_DIR", self.root.path().join("run")).env("HOME", home);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        self.run_with_input(arguments, "")
    }

    /// Runs it to its end with this on stdin.
    #[track_caller]
    pub(crate) fn run_with_input<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, input: &str) -> Run {
        run(self.command(args), input)
    }

    /// The value of a successful `call … --json`.
    #[track_caller]
    pub(crate) fn call(&self, name: &str, arguments: &Value) -> Value {
        self.run(["call", name, &arguments.to_string(), "--json"]).ok().json()
    }

    /// The health of the entry `name`.
    #[track_caller]
    pub(crate) fn health_of(&self, name: &str) -> Value {
        let health = self.run(["status", "--json"]).json();
        let entries = health["entries"].as_array().unwrap_or_else(|| panic!("no entries: {health}"));
        let entry = entries.iter().find(|entry| entry["name"] == name);
        entry.unwrap_or_else(|| panic!("no entry {name}: {health}")).clone()
    }
}

/// Runs a command to its end; one that hangs is killed and told.
#[track_caller]
pub(crate) fn run(mut command: Command, input: &str) -> Run {
    let told = format!("{command:?}");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().cast_signed();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end without reading, which is no concern of ours.
    thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait()));
    let Ok(status) = end.recv_timeout(RUN_LIMIT) else {
        procs::signal(pid, Signal::SIGKILL);
        let (stdout, stderr) = (stdout.recv().unwrap_or_default(), stderr.recv().unwrap_or_default());
        panic!("hangs: {told}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
    };
    let rest = |from: mpsc::Receiver<String>| {
        from.recv_timeout(super::PATIENCE).unwrap_or_else(|_| panic!("has ended, but its output is held open: {told}"))
    };
    Run { code: status.unwrap().code(), stdout: rest(stdout), stderr: rest(stderr), told }
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = send.send(String::from_utf8(bytes).unwrap_or_else(|bad| format!("NOT UTF-8: {bad}")));
    });
    receive
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    told: String,
}

impl Run {
    /// It must have exited with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits_with(0)
    }

    /// It must have failed with this status, and said something about it.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32) -> Self {
        let run = self.exits_with(code);
        assert!(!run.stderr.trim().is_empty(), "fails without a word: {}", run.tell());
        run
    }

    /// It must have exited with this status.
    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.tell());
        self
    }

    /// It must have failed, whatever the status.
    #[track_caller]
    pub(crate) fn fails(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0), "{}", self.tell());
        self
    }

    /// Its stderr must hold each of these texts.
    #[track_caller]
    pub(crate) fn says<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "does not say `{text}`: {}", self.tell());
        }
        self
    }

    /// Its stdout must hold each of these texts.
    #[track_caller]
    pub(crate) fn prints<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        for text in texts {
            assert!(self.stdout.contains(text), "does not print `{text}`: {}", self.tell());
        }
        self
    }

    /// Its stdout, which must be one JSON value and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.tell()))
    }

    /// The names of the tools in its JSON.
    #[track_caller]
    pub(crate) fn tool_names(&self) -> Vec<String> {
        names(&self.json()["tools"])
    }

    fn tell(&self) -> String {
        let Self { code, stdout, stderr, told } = self;
        format!("{told}\n--- exit status {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// The names in a list of tools.
#[track_caller]
pub(crate) fn names(tools: &Value) -> Vec<String> {
    let tools = tools.as_array().unwrap_or_else(|| panic!("no list of tools: {tools}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a tool has a name").to_owned()).collect()
}

/// Makes a path a text, which all paths of the tests are.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
