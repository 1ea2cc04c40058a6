//! `computer call`: one tool, once.

use std::io::Read;

use mcp_computer::{Answer, CallContext, Computer, Error, Namespace, control::Daemon};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{FAILED, HereArg, Usage, answer, daemon, machine, paint, records, say, tools};

/// Call a tool.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The whole name, as `computer tools` shows it
    name: String,
    /// The arguments as a JSON object; `-` reads them from stdin
    arguments: Option<String>,
    #[command(flatten)]
    here: HereArg,
    /// Print the value as JSON, a text too
    #[arg(long)]
    json: bool,
    /// Print the server's whole result as it sent it
    #[arg(long)]
    raw: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let arguments = arguments(args.arguments.as_deref())?;
    if let Some(daemon) = args.here.daemon().await? {
        return by_daemon(daemon, &args, &arguments).await;
    }
    let loaded = machine::find(&args.here.config)?;
    // Where no call may go unwritten this is none that may.
    let records = if loaded.config.serve.audit.require { records::wanted(&loaded)? } else { None };
    let mut config = loaded.config;
    let known: Vec<Namespace> = config.entries.iter().map(|(name, _)| name.clone()).collect();
    let Some(namespace) = mcp_computer::namespace_of(&args.name, &known) else {
        return Err(Usage::because(nowhere(&args.name, &known)));
    };
    if args.name == mcp_computer::status_tool(&namespace) {
        // Whoever asks how a deferred entry is does not want it up for that.
        tools::keep(&mut config, namespace.as_str())?;
    } else {
        tools::only(&mut config, namespace.as_str())?;
    }
    let computer = Computer::new(config);
    records::keep(&computer, records)?;
    machine::with_this(&computer, |computer, errors| async move {
        let own = format!("{namespace}: ");
        if errors.iter().any(|error| error.starts_with(&own)) {
            // The one entry that matters is down, and says why: waiting for its next try would help nobody.
            return Err(anyhow::anyhow!("cannot call `{}`: {}", args.name, errors.join("; ")));
        }
        for error in &errors {
            // A program beside it that the entry does without.
            say(&format!("warning: {}", paint::plain(error)));
        }
        match computer.call_raw(&args.name, Some(&arguments), CallContext::default()).await {
            Ok(result) => shown(&result, &args),
            Err(error @ (Error::UnknownTool { .. } | Error::ToolLeftOut { .. } | Error::Arguments { .. })) => {
                Err(Usage::because(error))
            }
            Err(error) => Err(anyhow::anyhow!("cannot call `{}`: {error}", args.name)),
        }
    })
    .await
}

/// Has the daemon that runs call it.
async fn by_daemon(mut daemon: Daemon, args: &Args, arguments: &RawValue) -> anyhow::Result<u8> {
    #[derive(Serialize)]
    struct Call<'a> {
        name: &'a str,
        arguments: &'a RawValue,
        start: bool,
    }
    // Whoever asks how a deferred entry is does not want it up for that: its status tool is there all the same.
    let call = Call { name: &args.name, arguments, start: true };
    match daemon.ask("call", &call).await {
        Ok(result) => shown(&Answer::raw(&result), args),
        Err(error) => match daemon::as_said(error) {
            error if error.is::<Usage>() => Err(error),
            error => Err(anyhow::anyhow!("cannot call `{}`: {error}", args.name)),
        },
    }
}

fn shown(result: &Answer, args: &Args) -> anyhow::Result<u8> {
    let failed = result.to_value().get("isError") == Some(&Value::Bool(true));
    if args.raw {
        answer(result.get())?;
    } else {
        show(&result.to_handler_value(), args.json)?;
    }
    Ok(if failed { FAILED } else { 0 })
}

fn show(value: &Value, json: bool) -> anyhow::Result<()> {
    match value {
        Value::String(text) if !json => answer(&paint::plain(text)),
        value if json => answer(&serde_json::to_string(value)?),
        value => answer(&serde_json::to_string_pretty(value)?),
    }
}

fn arguments(given: Option<&str>) -> anyhow::Result<Box<RawValue>> {
    let text = match given {
        None => "{}".to_owned(),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Usage::because(format!("stdin cannot be read: {error}")))?;
            text
        }
        Some(text) => text.to_owned(),
    };
    let wrong = |reason: String| {
        Usage::because(format!("the arguments must be a JSON object such as '{{\"path\":\".\"}}': {reason}"))
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    match value {
        Value::Object(_) => RawValue::from_string(text.trim().to_owned()).map_err(|error| wrong(error.to_string())),
        Value::Array(_) => Err(wrong("this is a list".into())),
        Value::String(_) => Err(wrong("this is a string".into())),
        Value::Number(_) => Err(wrong("this is a number".into())),
        Value::Bool(_) | Value::Null => Err(wrong(format!("this is {value}"))),
    }
}

fn nowhere(name: &str, known: &[Namespace]) -> String {
    let names: Vec<&str> = known.iter().map(Namespace::as_str).collect();
    let known = if names.is_empty() {
        "there are no entries".to_owned()
    } else {
        format!("the entries are: {}", names.join(", "))
    };
    format!("unknown tool `{name}`: its name must begin with an entry and `__`, as `computer tools` shows it; {known}")
}
