//! `computer tools`: the tools as an agent sees them.

use mcp_computer::{ComputerConfig, ComputerHealth, EntryHealth, ProgramConfig, control::Daemon};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{FAILED, HereArg, Usage, answer, answer_json, daemon, machine, paint, say};

/// List the tools.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those of this entry, which is started even when it is deferred
    namespace: Option<String>,
    #[command(flatten)]
    here: HereArg,
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
    if let Some(daemon) = args.here.daemon().await? {
        return of_daemon(daemon, &args).await;
    }
    let mut config = machine::load(&args.here.config)?;
    if let Some(namespace) = &args.namespace {
        only(&mut config, namespace)?;
    }
    machine::with(config, |computer, errors| async move {
        shown(&Listing { tools: computer.catalog(), errors }, args.json)?;
        Ok(if nothing_is_up(&computer.health().await) { FAILED } else { 0 })
    })
    .await
}

/// The tools of the daemon that runs.
async fn of_daemon(mut daemon: Daemon, args: &Args) -> anyhow::Result<u8> {
    #[derive(Deserialize)]
    struct Tools {
        tools: Vec<Box<RawValue>>,
    }
    let mut health: ComputerHealth = daemon::ask(&mut daemon, "status", &json!({})).await?;
    if let Some(namespace) = &args.namespace {
        let known = health.entries.iter().find(|entry| entry.name == *namespace);
        if known.is_some_and(|entry| entry.state == "deferred") {
            let _: EntryHealth = daemon::ask(&mut daemon, "ready", &json!({ "namespace": namespace })).await?;
            health = daemon::ask(&mut daemon, "status", &json!({})).await?;
        }
        health.entries.retain(|entry| entry.name == *namespace);
        health.programs.clear();
    }
    let Tools { tools } = daemon::ask(&mut daemon, "tools", &json!({ "namespace": args.namespace })).await?;
    let entries = health.entries.iter().filter(|entry| is_wanted(entry) && !entry.healthy);
    let errors = entries.filter_map(|entry| Some(format!("{}: {}", entry.name, entry.error.as_ref()?)));
    let errors: Vec<String> = errors
        .chain(
            health
                .programs
                .iter()
                .filter(|program| !program.healthy && !matches!(program.state, "deferred" | "stopped"))
                .filter_map(|program| Some(format!("{}: {}", program.name, program.error.as_ref()?))),
        )
        .collect();
    shown(&Listing { tools, errors }, args.json)?;
    Ok(if nothing_is_up(&health) { FAILED } else { 0 })
}

fn shown(listing: &Listing, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return answer_json(listing);
    }
    answer(&table(&listing.tools))?;
    for error in &listing.errors {
        say(&format!("{} {}", paint::mark(false, paint::on_stderr()), paint::plain(error)));
    }
    Ok(())
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

fn is_wanted(entry: &EntryHealth) -> bool {
    !matches!(entry.state, "deferred" | "disabled" | "stopped")
}

/// Whether entries should be up and none is.
fn nothing_is_up(health: &ComputerHealth) -> bool {
    let wanted = health.entries.iter().filter(|entry| is_wanted(entry));
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
