//! `computer run`: one turn of a session on a platform, with the tools of this computer.

mod protocol;
mod show;

use std::path::PathBuf;

use futures_util::StreamExt;
use mcp_computer::{
    Computer, environment,
    sdk::{
        AttachOptions, ClientOptions, FinishReason, OctavusClient, RawEvents, SessionRequest, StreamEvent,
        TriggerRequest,
    },
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use self::show::Shown;
use super::{ConfigArg, FAILED, Usage, answer, machine, paint, say};

/// What becomes of data, below the options.
const OF_DATA: &str = "Images, sound and other data in results of tools are uploaded to the platform, which is told \
                       where they are: a model sees images, and no data is sent as text.";

/// Run one turn of a session on a platform, with the tools of this computer.
#[derive(Debug, clap::Args)]
#[command(after_help = OF_DATA)]
pub(super) struct Args {
    /// Where the platform is; `$OCTAVUS_API_KEY` says who asks
    #[arg(long, value_name = "URL", value_parser = platform)]
    platform: String,
    /// The session (else one of the agent is made)
    #[arg(long, value_name = "ID", required_unless_present = "agent", conflicts_with = "agent")]
    session: Option<String>,
    /// The agent that a session is made of
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// What the session is made with, as a JSON object
    #[arg(long, value_name = "JSON", requires = "agent", value_parser = object)]
    input: Option<Map<String, Value>>,
    /// The trigger of the agent's protocol
    #[arg(long, value_name = "NAME")]
    trigger: String,
    /// What the trigger is given, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    trigger_input: Option<Map<String, Value>>,
    /// Check first that the agent's protocol and this computer have the same namespaces
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
    /// Print each event as a line of JSON, as the platform sends it: of kinds and with fields that this version does not know, too
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// The variable that holds the key.
const KEY: &str = "OCTAVUS_API_KEY";

/// By which the platform knows who asks.
pub(super) fn key() -> anyhow::Result<String> {
    let key = environment::var(KEY).unwrap_or_default().trim().to_owned();
    if key.is_empty() {
        let words = format!("`${KEY}` is not set; the platform knows by it who asks: set it to a key of the platform");
        return Err(Usage::because(words));
    }
    if !key.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(Usage::because(format!(
            "`${KEY}` is no key: it holds what none has, such as a blank or a line end"
        )));
    }
    Ok(key)
}

/// Where a platform is.
pub(super) fn platform(text: &str) -> Result<String, String> {
    mcp_computer::sdk::url_mistake(text).map_or_else(|| Ok(text.to_owned()), Err)
}

pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON object: {error}"))
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let key = key()?;
    let config = machine::load(&args.config)?;
    if let Some(file) = &args.protocol {
        protocol::check(file, &config)?;
    }
    let client = OctavusClient::with(&args.platform, key, ClientOptions::sturdy());
    machine::with(config, |computer, errors| async move {
        for error in &errors {
            // The agent is told by the tools that are there, and those that are not.
            say(&format!("warning: {}", paint::plain(error)));
        }
        turn(&client, computer, &args).await
    })
    .await
}

async fn turn(client: &OctavusClient, computer: Computer, args: &Args) -> anyhow::Result<u8> {
    let session_id = match (&args.session, &args.agent) {
        (Some(session), _) => session.clone(),
        (None, Some(agent)) => {
            let made = client.agent_sessions().create(agent, args.input.clone()).await;
            let made = made.map_err(|error| anyhow::anyhow!("no session of `{agent}` can be made: {error}"))?;
            say(&format!("session: {}", paint::plain(&made)));
            made
        }
        (None, None) => return Err(Usage::because("neither a session nor an agent is named")),
    };
    // Nobody shows this session: what has no handler here is run by nobody.
    let options = AttachOptions::new().uploading(client.files(), &session_id).reject_client_tool_calls();
    let session = client.agent_sessions().attach(session_id, options)?;
    session.set_dynamic_tools(computer);
    let request = SessionRequest::Trigger(TriggerRequest {
        trigger_name: args.trigger.clone(),
        input: args.trigger_input.clone().map(Value::Object),
        ..TriggerRequest::default()
    });
    // Dropped with everything else when we are asked to leave.
    tell(session.execute_raw_until(request, CancellationToken::new()), args.json).await
}

/// Prints what happens; the exit status says whether the turn came to its end.
async fn tell(mut events: RawEvents, json: bool) -> anyhow::Result<u8> {
    let mut shown = Shown::default();
    let (mut finished, mut failed) = (false, false);
    while let Some(event) = events.next().await {
        let raw = event.map_err(|error| anyhow::anyhow!("the turn has failed: {error}"))?;
        if json {
            answer(&raw.to_string())?;
        }
        let Some(event) = StreamEvent::read(&raw) else { continue };
        if let StreamEvent::Finish { finish_reason, .. } = &event {
            finished = true;
            failed |= *finish_reason == FinishReason::Error;
        }
        failed |= matches!(event, StreamEvent::Error(_));
        if !json {
            shown.show(&event)?;
        }
    }
    shown.end()?;
    if !finished && !failed {
        return Err(anyhow::anyhow!("the platform has ended the turn without a word"));
    }
    Ok(if failed { FAILED } else { 0 })
}
