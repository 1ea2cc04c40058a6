//! `computer policy check`: what a shell's patterns say of a command, without running anything.

use std::{
    io::{BufRead, Read, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use mcp_computer::{
    ShellMode,
    config::{self, EntryKind, LoadError, PolicyConfig, ShellConfig},
    environment,
    policy::{Judged, Place, Policy, Rule, Verdict},
};
use serde_json::{Value, json};

use super::{ConfigArg, FAILED, Usage, answer, answer_json, paint};

/// Ask what a shell's patterns say of a command.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Judge a command, or a batch of them, without running anything
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// The shell entry whose patterns to ask
    #[arg(long, value_name = "NAME", required_unless_present = "batch")]
    entry: Option<String>,
    /// Where the command would run, in the entry's directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Read lines `{ "id", "policy", "command" }` from stdin, and answer each with a line
    #[arg(long, conflicts_with_all = ["entry", "config", "command"])]
    batch: bool,
    /// The command; `-` reads it from stdin
    #[arg(required_unless_present = "batch")]
    command: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let Verb::Check(check) = &args.verb;
    if check.batch {
        return batch().map(|()| 0);
    }
    let command = match check.command.as_deref() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| Usage::because(format!("stdin: {error}")))?;
            text
        }
        other => other.unwrap_or_default().to_owned(),
    };
    let verdict = judge(check, &command)?;
    if check.json {
        answer_json(&shown(&command, &verdict))?;
    } else {
        show(&verdict)?;
    }
    Ok(if verdict.allowed { 0 } else { FAILED })
}

fn judge(check: &Check, command: &str) -> anyhow::Result<Verdict> {
    let loaded = match config::file::load_as(check.config.config.as_deref(), check.config.dialect) {
        Ok(loaded) => loaded,
        Err(LoadError::Problems(problems)) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Err(Usage::because(lines.join("\n")));
        }
        Err(other) => return Err(Usage::because(other)),
    };
    let wanted = check.entry.as_deref().unwrap_or_default();
    let found = loaded.config.entries.iter().find(|(name, _)| name.as_str() == wanted);
    let Some((_, entry)) = found else {
        return Err(Usage::because(format!("there is no entry `{wanted}` in the config")));
    };
    let EntryKind::Shell(shell) = &entry.kind else {
        return Err(Usage::because(format!("the entry `{wanted}` is no shell")));
    };
    let workspace = loaded.config.workspace.clone().unwrap_or_else(environment::current_dir);
    let mut place = Place::new(directory(shell, &workspace)?);
    if let Some(cwd) = &check.cwd {
        place = place.starting_in(cwd);
    }
    match &shell.mode {
        ShellMode::Patterns(policy) => {
            let policy = Policy::new(policy).map_err(|mistakes| Usage::because(mistakes.join("\n")))?;
            Ok(policy.judge(command, &place))
        }
        _ => Ok(Verdict { allowed: true, rule: None, culprit: None, commands: Vec::new(), rendered: None }),
    }
}

/// Where the entry's commands run. What only a start fills in is not known here.
fn directory(shell: &ShellConfig, workspace: &Path) -> anyhow::Result<PathBuf> {
    let Some(cwd) = &shell.cwd else { return Ok(workspace.to_owned()) };
    let home = environment::home().unwrap_or_default();
    let filled =
        cwd.replace("${workspaceFolder}", &workspace.to_string_lossy()).replace("${userHome}", &home.to_string_lossy());
    if filled.contains("${") {
        return Err(Usage::because(format!("the entry's `cwd` {cwd} is known only when it is started; give `--cwd`")));
    }
    let path = filled.strip_prefix("~/").map_or_else(|| PathBuf::from(&filled), |rest| home.join(rest));
    Ok(workspace.join(path))
}

fn verdict_word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

fn text(rule: Option<&Rule>) -> Option<String> {
    rule.map(ToString::to_string)
}

fn shown(command: &str, verdict: &Verdict) -> Value {
    let commands: Vec<Value> = verdict.commands.iter().map(shown_command).collect();
    json!({
        "verdict": verdict_word(verdict.allowed),
        "rule": text(verdict.rule.as_ref()),
        "command": command,
        "commands": commands,
    })
}

fn shown_command(command: &Judged) -> Value {
    json!({
        "text": command.text,
        "words": command.words,
        "verdict": verdict_word(command.rule.is_none()),
        "rule": text(command.rule.as_ref()),
    })
}

fn show(verdict: &Verdict) -> anyhow::Result<()> {
    let colour = paint::on_stdout();
    let line = |rule: Option<&Rule>, what: &str| {
        let why = rule.map(|rule| format!("  ({rule})")).unwrap_or_default();
        // One line each, whatever the command holds.
        let what = paint::plain(&format!("{what}{why}")).replace('\n', "\\n");
        format!("{} {what}", paint::mark(rule.is_none(), colour))
    };
    let mut lines = vec![line(verdict.rule.as_ref(), verdict_word(verdict.allowed))];
    lines.extend(verdict.commands.iter().map(|command| format!("  {}", line(command.rule.as_ref(), &command.text))));
    answer(&lines.join("\n"))
}

/// Answers lines with lines, each by itself.
fn batch() -> anyhow::Result<()> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let mut last: Option<(Value, Policy)> = None;
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (id, answered) = match serde_json::from_slice::<Value>(&line) {
            Ok(question) => (question.get("id").cloned().unwrap_or_default(), answer_to(&question, &mut last)),
            Err(error) => (Value::Null, Err(format!("no JSON: {error}"))),
        };
        let reply = match answered {
            Ok(verdict) => json!({
                "id": id, "verdict": verdict_word(verdict.allowed), "rule": text(verdict.rule.as_ref()),
            }),
            Err(error) => json!({ "id": id, "verdict": "error", "rule": null, "error": error }),
        };
        writeln!(stdout, "{reply}")?;
        stdout.flush()?;
    }
    Ok(())
}

/// The verdict on one line. The policy of the line before is kept: most lines have the same.
fn answer_to(question: &Value, last: &mut Option<(Value, Policy)>) -> Result<Verdict, String> {
    let command = question.get("command").and_then(Value::as_str).ok_or("`command` must be a text")?;
    let mut policy = question.get("policy").cloned().ok_or("`policy` is missing")?;
    let cwd = match policy.as_object_mut().and_then(|policy| policy.shift_remove("cwd")) {
        None => environment::current_dir(),
        Some(Value::String(cwd)) => environment::current_dir().join(cwd),
        Some(_) => return Err("`cwd` must be a text".to_owned()),
    };
    if !cwd.is_dir() {
        return Err(format!("`cwd` {} is no directory", cwd.display()));
    }
    if last.as_ref().is_none_or(|(known, _)| *known != policy) {
        let config = PolicyConfig::of_json(&policy)?;
        let compiled = Policy::new(&config).map_err(|mistakes| mistakes.join("; "))?;
        *last = Some((policy, compiled));
    }
    match last {
        Some((_, policy)) => Ok(policy.judge(command, &Place::new(cwd))),
        None => Err("no policy".to_owned()),
    }
}
