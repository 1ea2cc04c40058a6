//! What an agent does all day: builds, histories, questions that are answered, children that are left.

use std::{fmt::Write, fs, process::Command};

use serde_json::{Value, json};

use crate::support::{
    library::{until, within},
    procs::{alive, assert_gone, pids_in},
    real::program,
    shell::Shell,
};

/// What is shown of a stream that is too long, and how many characters are not.
fn cut(whole: &str) -> (String, usize) {
    let (head, rest) = whole.split_at(50_000);
    let (middle, tail) = rest.split_at(rest.len() - 50_000);
    (format!("{head}\n... truncated {} characters ...\n{tail}", middle.len()), middle.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_of_thousands_of_lines_is_shown_with_true_counts() {
    let Some(_) = program("make") else { return };
    let shell = Shell::up().await;
    let (mut makefile, mut expected) = ("all:".to_owned(), String::new());
    for n in 0..2000 {
        write!(makefile, " unit{n}").unwrap();
    }
    for n in 0..2000 {
        let line = format!(": cc -O2 -Wall -c src/unit{n}.c -o build/unit{n}.o");
        write!(makefile, "\nunit{n}:\n\t{line}").unwrap();
        writeln!(expected, "{line}").unwrap();
    }
    makefile.push_str("\nbroken: all\n\t@echo no such unit >&2; exit 3\n");
    fs::write(shell.dir.path().join("Makefile"), makefile).unwrap();
    let (shown, missing) = cut(&expected);
    let ran = shell.run(json!({ "command": "LC_ALL=C make broken" })).await;
    assert_eq!(ran["exitCode"], 2, "{ran}");
    assert!(ran["stdout"] == shown, "{ran}");
    assert_eq!(ran["truncated"], json!({ "stdoutBytes": missing, "stderrBytes": 0 }));
    assert!(ran["stderr"].as_str().unwrap().starts_with("no such unit\nmake: ***"), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_warns_a_thousand_times_is_shown_as_it_prints() {
    let Some(compiler) = program("cc") else { return };
    let shell = Shell::up().await;
    let warnings = "#warning \"this is the warning of a line that nobody reads\"\n".repeat(1000);
    fs::write(shell.dir.path().join("noisy.c"), warnings + "int answer = 42;\n").unwrap();
    let mut direct = Command::new(compiler);
    let direct = direct.args(["-c", "noisy.c"]).env("LC_ALL", "C").current_dir(shell.dir.path()).output().unwrap();
    let (shown, missing) = cut(&String::from_utf8(direct.stderr).unwrap());
    fs::remove_file(shell.dir.path().join("noisy.o")).unwrap();
    let ran = shell.run(json!({ "command": "LC_ALL=C cc -c noisy.c" })).await;
    assert_eq!((&ran["exitCode"], &ran["stdout"]), (&json!(0), &json!("")));
    assert!(ran["stderr"] == shown, "{ran}");
    assert_eq!(ran["truncated"], json!({ "stdoutBytes": 0, "stderrBytes": missing }));
    assert!(shell.dir.path().join("noisy.o").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_printed_and_no_pager_waits() {
    let Some(_) = program("git") else { return };
    let shell = Shell::up().await;
    let mut history = String::new();
    for n in 1..=500 {
        let message = format!("change number {n}\n");
        write!(history, "commit refs/heads/main\ncommitter Nobody <nobody@localhost> {n} +0000\n").unwrap();
        write!(history, "data {}\n{message}\n", message.len()).unwrap();
    }
    let make = "git init -q && git symbolic-ref HEAD refs/heads/main && git fast-import --quiet && git config core.pager 'sleep 1000'";
    let made = shell.run(json!({ "command": make, "stdin": history })).await;
    assert_eq!(made["exitCode"], 0, "{made}");
    let expected: Vec<String> = (1..=500).rev().map(|n| format!("change number {n}")).collect();
    for pty in [false, true] {
        let ran = shell.run(json!({ "command": "git log --format=%s", "pty": pty })).await;
        let lines: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
        assert_eq!((&ran["exitCode"], lines), (&json!(0), expected.iter().map(String::as_str).collect()), "pty: {pty}");
        let whole = shell.run(json!({ "command": "git log", "pty": pty })).await;
        assert_eq!(whole["stdout"].as_str().unwrap().matches("    change number ").count(), 500, "{whole}");
    }
}

/// What `npm init` asks, and what it is told. Not every version asks everything.
const QUESTIONS: [(&str, &str); 11] = [
    ("package name:", "tried-out"),
    ("version:", "2.3.4"),
    ("description:", "It was made by a test"),
    ("entry point:", "main.js"),
    ("test command:", "node --test"),
    ("git repository:", ""),
    ("keywords:", "one two"),
    ("author:", "Nobody"),
    ("license:", "MIT"),
    ("type:", ""),
    ("Is this OK?", "yes"),
];

#[tokio::test(flavor = "multi_thread")]
async fn questions_in_a_terminal_are_answered() {
    let Some(_) = program("npm") else { return };
    let shell = Shell::up().await;
    let command = "npm_config_update_notifier=false npm init";
    let job = shell.begin(json!({ "command": command, "background": true, "pty": true })).await;
    let mut open = QUESTIONS.to_vec();
    until("npm has asked everything", async || {
        let read = shell.read(&job).await;
        let output = read["output"].as_str().unwrap();
        if let Some(at) = open.iter().position(|(question, _)| output.contains(question)) {
            let (_, answer) = open.remove(at);
            shell.call("write_job", json!({ "job": job, "input": format!("{answer}\n") })).await;
        }
        read["state"] == "ended"
    })
    .await;
    let ended = shell.read(&job).await;
    assert_eq!(ended["exitCode"], 0, "{ended}");
    let written = fs::read_to_string(shell.dir.path().join("package.json")).unwrap();
    let package: Value = serde_json::from_str(&written).unwrap();
    for (key, value) in [
        ("/name", json!("tried-out")),
        ("/version", json!("2.3.4")),
        ("/description", json!("It was made by a test")),
        ("/main", json!("main.js")),
        ("/scripts/test", json!("node --test")),
        ("/keywords", json!(["one", "two"])),
        ("/author", json!("Nobody")),
        ("/license", json!("MIT")),
    ] {
        assert_eq!(package.pointer(key), Some(&value), "{written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_are_left_are_listed_and_go_with_the_entry() {
    let shell = Shell::up().await;
    let ran =
        shell.run(json!({ "command": "sleep 1000 & echo $! >> pids; setsid sleep 1000 & echo $! >> pids" })).await;
    assert_eq!(ran["exitCode"], 0, "{ran}");
    let pids = pids_in(&shell.dir.path().join("pids"));
    assert!(pids.len() == 2 && pids.iter().all(|pid| alive(*pid)), "{pids:?}");
    let listed = shell.call("list_jobs", json!({})).await;
    assert_eq!((&listed["jobs"][0]["id"], &listed["jobs"][0]["state"]), (&ran["jobs"][0]["id"], &json!("running")));
    assert!(pids.iter().any(|pid| listed["jobs"][0]["pid"] == *pid), "{listed}");
    within("removing", shell.computer.remove_entry("sh")).await;
    assert_gone(&pids);
}
