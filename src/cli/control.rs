//! The verbs that ask the daemon that runs to do something.

use std::time::Duration;

use mcp_computer::{
    EntryHealth,
    control::{Daemon, DaemonError},
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{ConfigArg, FAILED, Usage, answer, answer_json, daemon, paint, say, told};

/// Whose daemon is asked, and how its answer is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Asking {
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// About one entry.
#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The entry
    namespace: String,
    #[command(flatten)]
    asking: Asking,
}

/// About one entry, or all that should be up.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only this entry, whatever keeps it down
    namespace: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// Add an entry to the daemon that runs.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its namespace
    namespace: String,
    /// The program that is its server, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// The URL of its server, instead of a program
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,
    /// A header for that URL
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "url")]
    headers: Vec<String>,
    /// A variable for that program
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Where that program runs
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// The entry as it would stand in the config file, instead of all that
    #[arg(long, value_name = "JSON", conflicts_with_all = ["command", "url", "headers", "env", "cwd"])]
    entry: Option<String>,
    /// Connect it when it is asked for
    #[arg(long)]
    deferred: bool,
    /// Write it to the config file, too
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Remove an entry from the daemon that runs.
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// Its namespace
    namespace: String,
    /// Take it out of the config file, too
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn add(args: Add) -> anyhow::Result<u8> {
    let entry = entry(&args)?;
    let mut daemon = daemon::needed(&args.asking.config).await?;
    let asked = json!({ "namespace": args.namespace, "entry": entry, "deferred": args.deferred, "save": args.save });
    let result = daemon.ask("add", &asked).await.map_err(daemon::as_said)?;
    entry_is(&result, args.asking.json)
}

pub(super) async fn remove(args: Remove) -> anyhow::Result<u8> {
    let mut daemon = daemon::needed(&args.asking.config).await?;
    let asked = json!({ "namespace": args.namespace, "save": args.save });
    let result = daemon.ask("remove", &asked).await.map_err(daemon::as_said)?;
    if args.asking.json {
        answer(result.get())?;
    } else {
        answer(&format!("{} is removed", args.namespace))?;
    }
    Ok(0)
}

pub(super) async fn restart(args: One) -> anyhow::Result<u8> {
    of_entry("restart", &args).await
}

pub(super) async fn stop_entry(args: One) -> anyhow::Result<u8> {
    of_entry("stop-entry", &args).await
}

async fn of_entry(verb: &str, args: &One) -> anyhow::Result<u8> {
    let mut daemon = daemon::needed(&args.asking.config).await?;
    let result = daemon.ask(verb, &json!({ "namespace": args.namespace })).await.map_err(daemon::as_said)?;
    entry_is(&result, args.asking.json)
}

pub(super) async fn retry(args: Which) -> anyhow::Result<u8> {
    which("retry", args).await
}

pub(super) async fn ready(args: Which) -> anyhow::Result<u8> {
    which("ready", args).await
}

async fn which(verb: &str, args: Which) -> anyhow::Result<u8> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outcome {
        #[serde(default)]
        recovered: Vec<String>,
        #[serde(default, alias = "stillDegraded")]
        failed_entries: Vec<String>,
    }
    let mut daemon = daemon::needed(&args.asking.config).await?;
    if let Some(namespace) = args.namespace {
        let result = daemon.ask(verb, &json!({ "namespace": namespace })).await.map_err(daemon::as_said)?;
        return entry_is(&result, args.asking.json);
    }
    let result = daemon.ask(verb, &json!({})).await.map_err(daemon::as_said)?;
    let outcome: Outcome = serde_json::from_str(result.get())?;
    if args.asking.json {
        answer(result.get())?;
    } else {
        let mut lines: Vec<String> = outcome.recovered.iter().map(|name| format!("{name} is up again")).collect();
        lines.extend(outcome.failed_entries.iter().map(|name| format!("{name} is still down")));
        if lines.is_empty() {
            lines.push("everything that should be up is".to_owned());
        }
        answer(&paint::plain(&lines.join("\n")))?;
    }
    Ok(if outcome.failed_entries.is_empty() { 0 } else { FAILED })
}

pub(super) async fn reload(args: Asking) -> anyhow::Result<u8> {
    let mut daemon = daemon::needed(&args.config).await?;
    let result = daemon.ask("reload", &json!({})).await.map_err(daemon::as_said)?;
    if args.json {
        answer(result.get())?;
        return Ok(0);
    }
    let applied: Map<String, Value> = serde_json::from_str(result.get())?;
    let names = |key: &str| {
        let names = applied.get(key).and_then(Value::as_array)?;
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        (!names.is_empty()).then(|| format!("{key}: {}", names.join(", ")))
    };
    let lines: Vec<String> =
        ["added", "removed", "changed", "programs", "taken"].into_iter().filter_map(names).collect();
    answer(&if lines.is_empty() { "nothing has changed".to_owned() } else { paint::plain(&lines.join("\n")) })?;
    Ok(0)
}

/// How long a daemon that leaves is waited for; it takes 10 s at most.
const LEAVING: Duration = Duration::from_secs(15);

pub(super) async fn shutdown(args: Asking) -> anyhow::Result<u8> {
    let mut daemon = daemon::needed(&args.config).await?;
    let notice = daemon.notice().clone();
    let _: Value = daemon::ask(&mut daemon, "shutdown", &json!({})).await?;
    // Its end is the end of its last socket, and then of its place.
    let left = async {
        while daemon.ask("hello", &json!({})).await.is_ok() {}
        while notice.is_there() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(LEAVING, left).await.is_err() {
        return Err(anyhow::anyhow!("the daemon (process {}) was asked to leave and has not left yet", notice.pid));
    }
    if args.json {
        answer_json(&json!({ "pid": notice.pid }))?;
    } else {
        answer(&format!("the daemon (process {}) has left", notice.pid))?;
    }
    Ok(0)
}

/// Prints how an entry is after something was done with it.
fn entry_is(result: &RawValue, as_json: bool) -> anyhow::Result<u8> {
    let entry: EntryHealth = serde_json::from_str(result.get())?;
    let is_as_wanted = entry.healthy || matches!(entry.state, "stopped" | "deferred" | "disabled" | "idle");
    if as_json {
        answer_json(&entry)?;
    } else {
        let tools = if entry.tools == 1 { "1 tool".to_owned() } else { format!("{} tools", entry.tools) };
        let what = match &entry.error {
            Some(error) if !is_as_wanted => format!("{}: {error}", entry.state),
            _ if entry.state == "ready" => format!("ready, {tools}"),
            _ => entry.state.to_owned(),
        };
        answer(&paint::plain(&format!("{}: {what}", entry.name)))?;
    }
    Ok(if is_as_wanted { 0 } else { FAILED })
}

/// The entry that the command line describes, as it would stand in the config file.
fn entry(args: &Add) -> anyhow::Result<Value> {
    if let Some(text) = &args.entry {
        let entry: Value =
            serde_json::from_str(text).map_err(|error| Usage::because(format!("`--entry` is no JSON: {error}")))?;
        return Ok(entry);
    }
    let pairs = |all: &[String], flag: &str| {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                // Not what was written there, which may be a secret.
                Usage::because(format!("`{flag}` is given as NAME=VALUE"))
            })?;
            Ok((name.to_owned(), Value::from(value)))
        };
        all.iter().map(pair).collect::<anyhow::Result<Map<String, Value>>>()
    };
    let mut entry = Map::new();
    match (&args.url, args.command.split_first()) {
        (Some(url), _) => {
            entry.insert("url".to_owned(), url.as_str().into());
            entry.insert("headers".to_owned(), pairs(&args.headers, "--header")?.into());
        }
        (None, Some((command, rest))) => {
            entry.insert("command".to_owned(), command.as_str().into());
            entry.insert("args".to_owned(), rest.into());
            if let Some(cwd) = &args.cwd {
                entry.insert("cwd".to_owned(), cwd.as_str().into());
            }
        }
        (None, None) => {
            return Err(Usage::because(
                "say what the entry is: a command and its arguments, `--url URL`, or `--entry JSON`",
            ));
        }
    }
    let env = pairs(&args.env, "--env")?;
    if !env.is_empty() {
        entry.insert("env".to_owned(), env.into());
    }
    entry.retain(|_, value| {
        value.as_object().is_none_or(|object| !object.is_empty())
            && value.as_array().is_none_or(|list| !list.is_empty())
    });
    Ok(entry.into())
}

/// Follow what happens to the daemon that runs.
#[derive(Debug, clap::Args)]
pub(super) struct Events {
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn events(args: Events) -> anyhow::Result<u8> {
    let daemon = daemon::needed(&args.asking.config).await?;
    follow(daemon, "events", &json!({}), |event| {
        if args.asking.json { event.get().to_owned() } else { paint::plain(&in_words(event)) }
    })
    .await
}

/// Show the log of an entry of the daemon that runs.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// The entry, or a managed program
    namespace: String,
    /// Go on with what is said from now on
    #[arg(short, long)]
    follow: bool,
    /// Only so many of the last lines
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn logs(args: Logs) -> anyhow::Result<u8> {
    let daemon = daemon::needed(&args.asking.config).await?;
    let asked = json!({ "namespace": args.namespace, "lines": args.lines, "follow": args.follow });
    let mut following = daemon.follow("logs", &asked).await.map_err(daemon::as_said)?;
    while let Some(line) = following.next().await.map_err(daemon::as_said)? {
        if !told(&if args.asking.json { line.get().to_owned() } else { paint::plain(&as_written(&line)) })? {
            return Ok(0);
        }
    }
    if args.follow {
        say("the daemon leaves");
    }
    Ok(0)
}

/// A line of a log as the file has it.
fn as_written(line: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Line {
        time: String,
        source: String,
        #[serde(default)]
        level: Option<String>,
        text: String,
    }
    let Ok(Line { time, source, level, text }) = serde_json::from_str(line.get()) else { return line.get().to_owned() };
    let level = level.map(|level| format!("[{level}]")).unwrap_or_default();
    format!("{time} {source}{level}: {text}")
}

/// Prints what is followed until its end.
async fn follow(daemon: Daemon, verb: &str, args: &Value, shown: impl Fn(&RawValue) -> String) -> anyhow::Result<u8> {
    let mut following = daemon.follow(verb, args).await?;
    loop {
        match following.next().await {
            Ok(Some(event)) => {
                if !told(&shown(&event))? {
                    return Ok(0);
                }
            }
            Ok(None) => {
                say("the daemon leaves");
                return Ok(0);
            }
            Err(error @ DaemonError::Gone) => return Err(error.into()),
            Err(error) => return Err(daemon::as_said(error)),
        }
    }
}

/// An event for a person: what happened, to whom, and the rest of what it says.
fn in_words(event: &RawValue) -> String {
    let Ok(mut event) = serde_json::from_str::<Map<String, Value>>(event.get()) else { return event.get().to_owned() };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let kind = event.shift_remove("event").map(text).unwrap_or_default();
    let whose = event.shift_remove("namespace").or_else(|| event.shift_remove("name")).map(text).unwrap_or_default();
    let rest = event.into_iter().filter(|(_, value)| value.as_array().is_none_or(|all| !all.is_empty()));
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}: {}", text(value).replace('\n', " | "))).collect();
    format!("{kind:<14} {whose:<16} {}", rest.join("  ")).trim_end().to_owned()
}
