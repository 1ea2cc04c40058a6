//! `computer tools`: the tools as an agent sees them.

use mcp_computer::{Computer, ComputerConfig, ProgramConfig};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{ConfigArg, FAILED, Usage, answer, answer_json, machine, paint, say};

/// List the tools.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those of this entry, which is started even when it is deferred
    namespace: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    tools: Vec<Box<RawValue>>,
    errors: Vec<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let mut config = machine::load(&args.config)?;
    if let Some(namespace) = &args.namespace {
        only(&mut config, namespace)?;
    }
    machine::with(config, |computer, errors| async move {
        let tools = computer.catalog();
        if args.json {
            answer_json(&Listing { tools, errors: errors.clone() })?;
        } else {
            answer(&table(&tools))?;
            for error in &errors {
                say(&format!("{} {}", paint::mark(false, paint::on_stderr()), paint::plain(error)));
            }
        }
        Ok(if nothing_is_up(&computer).await { FAILED } else { 0 })
    })
    .await
}

/// Keeps one entry.
pub(super) fn keep(config: &mut ComputerConfig, namespace: &str) -> anyhow::Result<()> {
    let known: Vec<String> = config.entries.iter().map(|(name, _)| name.to_string()).collect();
    config.entries.retain(|(name, _)| name.as_str() == namespace);
    let Some((_, entry)) = config.entries.first() else {
        let name = namespace.to_owned();
        let error = match namespace.parse::<mcp_computer::Namespace>() {
            Ok(_) => mcp_computer::Error::UnknownNamespace { name, known },
            Err(error) => error,
        };
        return Err(Usage::because(error));
    };
    let referred = entry.kind.browsers();
    config.programs.retain(|(name, program)| match program {
        // One that nobody refers to would be launched for nothing.
        ProgramConfig::Chrome(_) => referred.contains(name),
        ProgramConfig::Command(_) => true,
    });
    if entry.disabled {
        return Err(anyhow::anyhow!("entry `{namespace}` is disabled by the config; remove `disabled` to use it"));
    }
    Ok(())
}

/// Keeps one entry, and wants it up.
pub(super) fn only(config: &mut ComputerConfig, namespace: &str) -> anyhow::Result<()> {
    keep(config, namespace)?;
    config.entries.iter_mut().for_each(|(_, entry)| entry.deferred = false);
    Ok(())
}

/// Whether entries should be up and none is.
async fn nothing_is_up(computer: &Computer) -> bool {
    let health = computer.health().await;
    let wanted = health.entries.iter().filter(|entry| !matches!(entry.state, "deferred" | "disabled" | "stopped"));
    let (mut some, mut up) = (false, false);
    for entry in wanted {
        some = true;
        up |= matches!(entry.state, "ready" | "idle");
    }
    some && !up
}

fn table(tools: &[Box<RawValue>]) -> String {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let row = |raw: &RawValue| {
        let tool: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        vec![text(&tool, "name"), paint::brief(&text(&tool, "description"))]
    };
    paint::columns(&tools.iter().map(|raw| row(raw)).collect::<Vec<_>>())
}
