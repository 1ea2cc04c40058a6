//! A shell with patterns (spec/shell.md 9–19, 22): what may run, what runs, and what is said.

mod differential; // what real shells start
mod grammar; // scripts by the thousand
mod properties; // what holds of every text
mod without_bash; // what runs where there is no bash

use std::{collections::BTreeMap, fs};

use mcp_computer::{
    config::PolicyConfig,
    policy::{Place, Policy},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::program::Scratch;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/policy");

/// A command of the table: what is thought of it, and why.
#[derive(Deserialize)]
struct Row {
    policy: String,
    command: String,
    /// `allow`, or how the rule begins.
    verdict: String,
    why: String,
}

fn table() -> (BTreeMap<String, Value>, Vec<Row>) {
    let policies = serde_json::from_str(&fs::read_to_string(format!("{FIXTURES}/policies.json")).unwrap()).unwrap();
    let rows = fs::read_to_string(format!("{FIXTURES}/commands.jsonl")).unwrap();
    (policies, rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Links in an entry's directory, and what they lead to.
const LINKS: [(&str, &str); 10] = [
    ("away", "/"),
    ("twice", "away"),
    ("nowhere", "../made-later"),
    ("round", "round"),
    ("near", "src/nested"),
    ("src/up", ".."),
    ("src/etc", "/etc"),
    ("src/log", "../log.txt"),
    ("out/link", "/etc"),
    ("out/file", "/etc/passwd"),
];

/// An entry's directory with two directories in it, and links of all kinds.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src/nested")).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    for (name, target) in LINKS {
        std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn every_command_of_the_table_gets_its_verdict() {
    let (policies, rows) = table();
    assert!(rows.len() >= 300, "{}", rows.len());
    let compile = |json: &Value| Policy::new(&PolicyConfig::of_json(json).unwrap()).unwrap();
    let compiled: BTreeMap<_, _> = policies.iter().map(|(name, json)| (name.as_str(), compile(json))).collect();
    let dir = directory();
    let place = Place::new(dir.path());
    let mut wrong = Vec::new();
    for Row { policy, command, verdict, why } in &rows {
        let found = compiled[policy.as_str()].judge(command, &place);
        let rule = found.rule.as_ref().map_or("allow".to_owned(), ToString::to_string);
        assert_eq!((found.allowed, found.rendered.is_some()), (rule == "allow", rule == "allow"), "{command:?}");
        if !rule.starts_with(verdict.as_str()) {
            let shown: String = command.chars().take(120).collect();
            wrong.push(format!("{policy}: {shown:?} is {rule}, not {verdict} ({why})"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are judged otherwise:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn too_much_of_anything_is_refused_and_never_skipped() {
    let policy = Policy::new(&PolicyConfig::of_json(&json!({ "allowedPatterns": ["^ls\\s"] })).unwrap()).unwrap();
    let place = Place::new(directory().path());
    let rule = |command: &str| policy.judge(command, &place).rule.map(|rule| rule.to_string()).unwrap_or_default();
    assert_eq!(rule(&format!("ls {}", "x".repeat(129 << 10))), "limit:text");
    assert_eq!(rule(&format!("ls {}", "x".repeat(127 << 10))), "");
    assert_eq!(rule(&"ls;".repeat(1001)), "limit:commands");
    assert_eq!(rule(&"ls;".repeat(1000)), "");
    assert_eq!(rule(&format!("sh -c '{}'; {}", "ls;".repeat(600), "ls;".repeat(600))), "limit:commands");
    assert_eq!(rule(&format!("{}ls{}", "( ".repeat(51), " )".repeat(51))), "limit:nesting");
    assert_eq!(rule(&format!("{}ls{}", "( ".repeat(49), " )".repeat(49))), "");
    // After each there may be twice as many directories as before: they are not followed without end.
    assert!(rule(&"if cd a; then cd ..; else ls; fi;".repeat(300)).starts_with("directory:"));
    assert_eq!(rule(&"(cd a && ls);".repeat(300)), "");
    assert_eq!(rule(&format!("ls {}", "{1..9} ".repeat(10_000))), "limit:words");
    assert_eq!(rule(&format!("{}ls", "nice ".repeat(60))), "limit:nesting");
    assert_eq!(rule(&format!("{}ls", "nice ".repeat(20_000))), "limit:words");
    assert_eq!(rule(&format!("{}ls", "nice ".repeat(40))), "");
    assert_eq!(rule(&format!("{}ls {}", "nice ".repeat(40), "a ".repeat(40_000))), "limit:words");
    // A value that grows and grows is one that is not known any more.
    assert_eq!(rule(&format!("x=a; {}ls \"$x\"", "x=$x$x; ".repeat(500))), "");
    assert_eq!(rule(&format!("x=.; {}cd $x", "x=$x$x; ".repeat(500))), "directory:$x");
}

#[test]
fn the_program_says_the_same_line_by_line() {
    let (policies, rows) = table();
    let dir = directory();
    let sample: Vec<&Row> = rows.iter().step_by(7).collect();
    let mut lines = String::new();
    for (id, row) in sample.iter().enumerate() {
        let mut policy = policies[&row.policy].clone();
        policy["cwd"] = json!(dir.path());
        lines.push_str(&json!({ "id": id, "policy": policy, "command": row.command }).to_string());
        lines.push('\n');
    }
    let nowhere = json!({ "allowedPatterns": ["^ls\\s"], "cwd": dir.path().join("not-there") });
    lines.push_str(&json!({ "id": "nowhere", "policy": nowhere, "command": "ls" }).to_string());
    lines.push('\n');
    lines.push_str("no json\n{\"id\":\"x\",\"policy\":{\"allowedPatterns\":[\"(\"]},\"command\":\"ls\"}\n");
    let run = Scratch::new().run_with_input(["policy", "check", "--batch"], &lines).ok();
    let answers: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), sample.len() + 3);
    for (id, (row, answer)) in sample.iter().zip(&answers).enumerate() {
        let rule = answer["rule"].as_str().unwrap_or("allow");
        let verdict = if row.verdict == "allow" { "allow" } else { "deny" };
        assert_eq!((&answer["id"], &answer["verdict"]), (&json!(id), &json!(verdict)), "{:?}: {answer}", row.command);
        assert!(rule.starts_with(&row.verdict), "{:?}: {answer}", row.command);
    }
    let error = |at: usize| answers[sample.len() + at]["error"].as_str().unwrap_or_default();
    assert!(error(0).contains("not-there is no directory"), "{}", answers[sample.len()]);
    assert!(!error(1).is_empty(), "{}", answers[sample.len() + 1]);
    assert!(error(2).contains('('), "{}", answers[sample.len() + 2]);
}

fn guarded(mode: &Value) -> Scratch {
    Scratch::entries(json!({ "sh": { "type": "shell", "mode": mode } }))
}

#[test]
fn a_check_says_which_command_and_which_rule() {
    let scratch = guarded(&json!({ "allowedPatterns": ["^ls\\s"] }));
    let fine = scratch.run(["policy", "check", "--entry", "sh", "--json", "ls -l | head -1"]).ok().json();
    assert_eq!(
        (&fine["verdict"], &fine["rule"], &fine["command"]),
        (&json!("allow"), &Value::Null, &json!("ls -l | head -1"))
    );
    assert_eq!(fine["commands"][0]["words"], json!(["ls", "-l"]));
    let bad = scratch.run(["policy", "check", "--entry", "sh", "--json", "ls; rm 'a b'"]).exits_with(1).json();
    assert_eq!((&bad["verdict"], &bad["rule"]), (&json!("deny"), &json!("not-allowed")));
    assert_eq!(
        bad["commands"][1],
        json!({ "text": "rm 'a b'", "words": ["rm", "a b"], "verdict": "deny", "rule": "not-allowed" })
    );
    scratch.run(["policy", "check", "--entry", "sh", "ls; rm x"]).exits_with(1);
    scratch.run(["policy", "check", "--entry", "other", "ls"]).exits_with(2);
}

/// The patterns of the reference's example, as they stand there, and commands with what each list and both say of them.
#[test]
fn the_patterns_of_the_reference_work_as_they_stand() {
    let blocked = json!(["/rm\\s+-rf/", "/sudo/"]);
    let allowed = json!(["/^git\\s/", "/^npm\\s/", "/^ls\\s/"]);
    let entry = |mode: Value| json!({ "type": "shell", "mode": mode });
    let scratch = Scratch::entries(json!({
        "blocked": entry(json!({ "blockedPatterns": blocked })),
        "allowed": entry(json!({ "allowedPatterns": allowed })),
        "both": entry(json!({ "blockedPatterns": blocked, "allowedPatterns": allowed })),
    }));
    scratch.run(["check"]).ok().prints([
        "blocked  rm\\s+-rf",
        "blocked  sudo",
        "allowed  ^git\\s",
        "allowed  ^npm\\s",
        "allowed  ^ls\\s",
    ]);
    for (command, by_blocked, by_allowed) in [
        ("git status", "", ""),
        ("git", "", ""),
        ("npm run build && git add -A", "", ""),
        ("ls -la | head -5", "", ""),
        ("git commit -m 'rm -rf is gone'", "blocked:/rm\\s+-rf/", ""),
        ("rm -rf build", "blocked:/rm\\s+-rf/", "not-allowed"),
        ("rm\t-rf build", "blocked:/rm\\s+-rf/", "not-allowed"),
        ("rm '-rf' build", "blocked:/rm\\s+-rf/", "not-allowed"),
        ("ls; rm \\-rf build", "blocked:/rm\\s+-rf/", "not-allowed"),
        ("rm -r build", "", "not-allowed"),
        ("sudo ls", "blocked:/sudo/", "not-allowed"),
        ("su''do ls", "blocked:/sudo/", "not-allowed"),
        ("git log | sudo tee x", "blocked:/sudo/", "not-allowed"),
        ("make test", "", "not-allowed"),
        ("gitk", "", "not-allowed"),
        ("echo; make && git status", "", "not-allowed"),
        ("./git status", "", "not-allowed"),
        ("ls `make`", "", "not-allowed"),
        ("echo $(sh)", "unsupported:script that is not in a file@7", "unsupported:script that is not in a file@7"),
    ] {
        let by_both = if by_blocked.is_empty() { by_allowed } else { by_blocked };
        for (entry, rule) in [("blocked", by_blocked), ("allowed", by_allowed), ("both", by_both)] {
            let run = scratch.run(["policy", "check", "--entry", entry, "--json", command]);
            let judged = run.exits_with(i32::from(!rule.is_empty())).json();
            assert_eq!(judged["rule"].as_str().unwrap_or_default(), rule, "{entry}: {command}");
        }
    }
}

#[test]
fn what_runs_is_what_was_judged() {
    let scratch = guarded(&json!({ "allowedPatterns": ["^git\\s", "^ls\\s", "^cat\\s"] }));
    let run = |command: &str| scratch.call("sh__run_command", &json!({ "command": command }));
    assert_eq!(run("x='a  b'; echo \"$x\" $x | cat -A && echo ${x#a}")["stdout"], "a  b a b$\nb\n");
    assert_eq!(run("cat <<'EOF' | sort\nb $x\na\nEOF")["stdout"], "a\nb $x\n");
    assert_eq!(run("x=$(cat <<'EOF'\n$(ls) `ls`\n\\\nEOF\n); echo \"$x\"")["stdout"], "$(ls) `ls`\n\\\n");
    assert_eq!(run("for i in {1..3}; do printf '%s,' \"$i\"; done")["stdout"], "1,2,3,");
    assert_eq!(run("bash -c 'echo \"in: $0\"' me")["stdout"], "in: me\n");
    assert_eq!(run("echo $BASH_ENV${ENV}; false")["exitCode"], 1);
}

/// An error that abandons a command, with what was to be defined in it, leaves nothing that could still run.
#[test]
fn what_runs_is_one_command_that_is_abandoned_as_a_whole() {
    let scratch = guarded(&json!({ "allowedPatterns": ["^readonly\\s"] }));
    let run = |command: &str| scratch.call("sh__run_command", &json!({ "command": command }))["stdout"].clone();
    assert_eq!(run("readonly q\necho before; { q=1; f() { :; }; }\necho after # `f`"), "before\n");
    assert_eq!(
        run("bash -c 'readonly q; { q=1; f() { :; }; }; echo in'; echo $(readonly q; q=1; echo in); echo out"),
        "\nout\n"
    );
    assert_eq!(run("echo $(cat <<E\na\nE\n); cat <<-'E' # x\n\tb\n\tE\nwait; echo c &"), "a\nb\nc\n");
}

#[test]
fn a_refusal_says_what_was_refused_and_nothing_runs() {
    let scratch = guarded(&json!({ "allowedPatterns": ["^ls\\s", "^touch\\s"] }));
    let arguments = json!({ "command": "touch made; rm made" });
    let run = scratch.run(["call", "sh__run_command", &arguments.to_string(), "--json"]).exits_with(1);
    let error = run.json()["error"].as_str().unwrap().to_owned();
    assert_eq!(error, "Command not allowed by safety policy: `rm made` (not-allowed)");
    assert!(!scratch.path("made").exists());
    let outside = json!({ "command": "ls", "cwd": "/" });
    let run = scratch.run(["call", "sh__run_command", &outside.to_string(), "--json"]).exits_with(1);
    assert!(run.json()["error"].as_str().unwrap().contains("(directory:/)"), "{}", run.stdout);
}

#[test]
fn a_function_or_a_profile_cannot_stand_in_for_a_program() {
    let scratch = guarded(&json!({ "allowedPatterns": ["^ls\\s"] }));
    std::fs::write(scratch.path("env.sh"), "ls() { echo taken; }\n").unwrap();
    let mut env = BTreeMap::from([("BASH_FUNC_ls%%", "() { echo taken; }".to_owned())]);
    env.insert("BASH_ENV", scratch.path("env.sh").to_str().unwrap().to_owned());
    let scratch = env.into_iter().fold(scratch, |scratch, (name, value)| scratch.variable(name, &value));
    let ran = scratch.call("sh__run_command", &json!({ "command": "ls -d ." }));
    assert_eq!(ran["stdout"], ".\n", "{ran}");
}

#[test]
fn a_config_check_prints_the_patterns_and_warns_of_what_they_let_in() {
    let scratch = guarded(&json!({ "allowedPatterns": ["/^git\\s/i", "^bash\\s", ""], "blockedPatterns": ["x*"] }));
    let refused = scratch.run(["check"]).exits_with(2);
    assert!(refused.stdout.contains("allowedPatterns[2]"), "{}", refused.stdout);
    let scratch = guarded(&json!({ "allowedPatterns": ["/^git\\s/i", "^bash\\s"], "blockedPatterns": ["x*"] }));
    let run = scratch.run(["check"]).ok();
    assert!(run.stdout.contains("allowed  ^git\\s (flags i)"), "{}", run.stdout);
    for warning in ["git -c alias.x='!cmd' x", "allows `bash`", "`x*` matches the empty text"] {
        assert!(run.stderr.contains(warning), "{warning}: {}", run.stderr);
    }
    let alone = guarded(&json!({ "blockedPatterns": ["rm"] })).run(["check"]).ok();
    assert!(alone.stderr.contains("`blockedPatterns` alone"), "{}", alone.stderr);
}

#[test]
fn a_config_check_warns_of_programs_that_run_others_and_of_variables_that_change_what_runs() {
    for (pattern, warning) in [
        ("^parallel", "allows `parallel`"),
        ("^script", "allows `script`"),
        ("^strace", "allows `strace`"),
        ("^su\\s", "allows `su`"),
        ("^watch", "allows `watch`"),
        ("^timeout", "allows `timeout`"),
        ("^ls|parallel", "allows `parallel`"),
        ("^PATH=", "lets `PATH` be set"),
        ("^(FOO|LD_PRELOAD)=", "lets `LD_PRELOAD` be set"),
        ("^GIT_EDITOR=true\\b", "lets `GIT_EDITOR` be set"),
        ("^BASH_ENV=\\S+ npm test$", "lets `BASH_ENV` be set"),
        ("^LD_LIBRARY_PATH=\\./lib okcmd$", "lets `LD_LIBRARY_PATH` be set"),
    ] {
        let run = guarded(&json!({ "allowedPatterns": [pattern] })).run(["check"]).ok();
        assert!(run.stderr.contains(&format!("`{pattern}` {warning}")), "{pattern}: {}", run.stderr);
    }
    let run = guarded(&json!({ "allowedPatterns": ["^ls\\s", "^FOO=", "^\\w+=", "^wc -l"] })).run(["check"]).ok();
    assert!(!run.stderr.contains("allows `") && !run.stderr.contains("be set"), "{}", run.stderr);
}

#[test]
fn the_shell_of_the_built_in_config_only_looks_around() {
    let scratch = Scratch::new();
    let checks =
        |command: &str, status| drop(scratch.run(["policy", "check", "--entry", "shell", command]).exits_with(status));
    for fine in [
        "ls -la | head -5",
        "cat a.txt | sort -rn | uniq -c",
        "find . -type f -name '*.rs' | wc -l",
        "grep -rn TODO src || echo none",
        "for f in *.md; do wc -l \"$f\"; done",
        "date +%F; uname -a; pwd",
        "sort -u names.txt",
    ] {
        checks(fine, 0);
    }
    for bad in [
        "rm x",
        "git log",
        "find . -delete",
        "find . -name x -exec rm {} +",
        "find . -name 'x -name' -delete",
        "find . -name x \"$y\"",
        "sort -o out in",
        "sort --compress-program=./x in",
        "sort in -o out",
        "ls | tee out",
        "sed -n w/out x",
        "awk 1",
        "date -s tomorrow",
        "env ls -x $y; rm z",
        "xargs ls",
        "less x",
        "tar -xf x",
        "ls > out",
        "cat x | sh",
        "file -C -m x",
        "cd / && ls",
        "man ls",
        "rg --pre ./x y",
        "uniq a b",
        "hostname evil",
    ] {
        checks(bad, 1);
    }
}
