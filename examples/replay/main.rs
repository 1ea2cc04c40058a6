//! Plays a recording of a server SDK: `cargo run --example replay -- RECORDING.json`
//!
//! It runs the recording's `definition` against a platform of its own on loopback, and prints what came of it in the
//! form of recordings: `{ "steps", "requests", "handlerCalls", "resourceUpdates", "hookCalls" }`.

#![expect(clippy::print_stdout, reason = "it is what this program is for")]
#![expect(clippy::unwrap_used, reason = "a mutex that is broken here is a mistake of this program's")]

mod args;
mod attach;
mod handler;
mod hook;
mod long;
mod outcome;
#[path = "../../tests/it/support/platform.rs"]
mod platform;
mod rest;
mod run;
mod socket;

use std::{fs, sync::Arc, time::Duration};

use mcp_computer::sdk::{AgentSession, ClientOptions, OctavusClient, UiMessage};
use serde_json::{Map, Value, json};

use self::{
    args::Args,
    handler::Shared,
    long::Long,
    outcome::Came,
    platform::{Platform, placed, replaced},
};

type Outcome<T = Value> = Result<T, Box<dyn std::error::Error>>;

/// How long a platform may take to notice that its client has gone.
const SETTLED: Duration = Duration::from_secs(5);

/// What stands beside the verb of a step.
const BESIDE: [&str; 7] = ["abort", "about", "args", "comment", "label", "note", "options"];

#[tokio::main]
async fn main() -> Outcome<()> {
    let path = std::env::args().nth(1).ok_or("usage: replay RECORDING.json")?;
    let text = fs::read_to_string(&path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let recording: Value = serde_json::from_str(&text).map_err(|error| format!("`{path}` is no JSON: {error}"))?;
    let definition = if recording["definition"].is_object() { &recording["definition"] } else { &recording };
    println!("{}", serde_json::to_string_pretty(&play(definition).await?)?);
    Ok(())
}

async fn play(definition: &Value) -> Outcome {
    let mut long = Long::default();
    let definition = &long.expanded(definition);
    let platform = Platform::start(&definition["platform"]).await?;
    let mut stage = Stage::new(definition, platform);
    let mut steps = Vec::new();
    for step in definition["steps"].as_array().into_iter().flatten() {
        let step = placed(step, stage.platform.origin());
        steps.push(stage.step(&step).await?);
    }
    // A client that went in the middle is written down when the platform has seen it.
    let _ = tokio::time::timeout(SETTLED, stage.platform.settled()).await;
    let mut all = json!({ "steps": steps, "requests": stage.platform.requests() });
    for (name, calls) in stage.shared.noted() {
        if !calls.is_empty() {
            all[name] = calls.into();
        }
    }
    let origin = stage.platform.origin().to_owned();
    Ok(long.described(&replaced(&all, &|text| outcome::named(text, &origin))))
}

/// A step needs a session, and none is attached.
#[derive(Debug)]
struct NoSession;

impl std::fmt::Display for NoSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no session is attached")
    }
}

impl std::error::Error for NoSession {}

struct Stage {
    platform: Platform,
    client: OctavusClient,
    session: Option<AgentSession>,
    shared: Arc<Shared>,
    /// What was read last, for bringing it back.
    messages: Vec<UiMessage>,
}

impl Stage {
    fn new(definition: &Value, platform: Platform) -> Self {
        let options = placed(&definition["client"]["options"], platform.origin());
        let url = options["baseUrl"].as_str().unwrap_or(platform.origin()).to_owned();
        let key = options["apiKey"].as_str().unwrap_or_default().to_owned();
        let client_options = ClientOptions {
            trace_model_requests: options["traceModelRequests"] == json!(true),
            ..ClientOptions::default()
        };
        let client = OctavusClient::with(&url, key, client_options);
        Self { platform, client, session: None, shared: Arc::default(), messages: Vec::new() }
    }

    /// Does one step; what came of it is in the form of recordings.
    async fn step(&mut self, step: &Value) -> Outcome {
        let verbs = step.as_object().into_iter().flatten().filter(|(key, _)| !BESIDE.contains(&key.as_str()));
        let Some((verb, given)) = verbs.into_iter().next() else {
            return Err("a step does nothing".into());
        };
        let mut told = json!({ "do": verb });
        let came = match self.outcome(args::called(verb, given, step), step).await {
            Ok(came) => came.unwrap_or_else(|error| outcome::failed(&error)),
            // What could not be attached has been told; what needs it comes to nothing, and the rest goes on.
            Err(error) if error.is::<NoSession>() => {
                outcome::field("error", json!({ "name": "TypeError", "message": error.to_string() }))
            }
            Err(error) => return Err(error),
        };
        for (key, value) in came {
            told[key] = value;
        }
        Ok(told)
    }

    async fn outcome(&mut self, (name, given): (String, Value), step: &Value) -> Outcome<Came> {
        let (given, args) = (&given, Args::new(&given));
        Ok(match args::plain(&name).as_str() {
            "attach" => self.attach(given),
            "setdynamictools" => self.set_dynamic_tools(given)?,
            "execute" => self.execute(given, &step["abort"]).await?,
            "tosse" | "tossestream" | "sse" => self.sse(given, &step["abort"]).await?,
            "socket" | "sockets" | "handlesocketmessage" => self.socket(given).await?,
            "workersexecute" | "workerexecute" | "executeworker" => self.worker(&args, step).await?,
            "workerscontinue" | "workercontinue" | "continueworker" => self.worker_go_on(&args, step).await?,
            "workersgenerate" | "workergenerate" | "generate" => self.generate(&args, step).await?,
            "sleepms" | "sleep" => {
                tokio::time::sleep(Duration::from_millis(given.as_u64().unwrap_or_default())).await;
                Ok(Map::new())
            }
            other => self.rest(other, &args).await?,
        })
    }

    fn session(&self) -> Outcome<&AgentSession> {
        Ok(self.session.as_ref().ok_or(NoSession)?)
    }
}
