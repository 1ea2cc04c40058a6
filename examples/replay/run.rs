//! Running turns and workers, until they end or are stopped.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt};
use mcp_computer::sdk::{Result, SdkError, SessionRequest, StreamEvent, ToolGroup, WorkerOptions, to_sse_stream};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, Stage,
    args::Args,
    attach::{GROUPS, groups},
    handler::handler,
    outcome::{Came, failed, field},
};

impl Stage {
    pub(crate) async fn execute(&self, request: &Value, abort: &Value) -> Outcome<Came> {
        let (request, cancel) = (request_of(request)?, CancellationToken::new());
        let events = self.session()?.execute_until(request, cancel.clone());
        Ok(Ok(self.listen(events, abort, cancel).await))
    }

    pub(crate) async fn sse(&self, request: &Value, abort: &Value) -> Outcome<Came> {
        let (request, cancel) = (request_of(request.get("request").unwrap_or(request))?, CancellationToken::new());
        let events = self.session()?.execute_until(request, cancel.clone());
        let mut parts = to_sse_stream(events);
        let mut text = String::new();
        let all = async {
            while let Some(part) = parts.next().await {
                text += &part;
            }
        };
        self.unless(abort, &cancel, all).await;
        Ok(Ok(field("text", text)))
    }

    pub(crate) async fn worker(&self, args: &Args<'_>, step: &Value) -> Outcome<Came> {
        let (agent, input, cancel) = worker_input(args);
        let options = match self.worker_options(args, step, &cancel) {
            Ok(options) => options,
            Err(error) => return Ok(Err(error)),
        };
        let events = self.client.workers().execute(agent, input, options);
        Ok(Ok(self.listen(events, &step["abort"], cancel).await))
    }

    pub(crate) async fn worker_go_on(&self, args: &Args<'_>, step: &Value) -> Outcome<Came> {
        let (agent, _, cancel) = worker_input(args);
        let options = match self.worker_options(args, step, &cancel) {
            Ok(options) => options,
            Err(error) => return Ok(Err(error)),
        };
        let results = args.get(2, &["toolResults", "results"]).and_then(Value::as_array).cloned().unwrap_or_default();
        let events = self.client.workers().go_on(agent, (args.text(1, &["executionId"]), results), options);
        Ok(Ok(self.listen(events, &step["abort"], cancel).await))
    }

    pub(crate) async fn generate(&self, args: &Args<'_>, step: &Value) -> Outcome<Came> {
        let (agent, input, cancel) = worker_input(args);
        let options = match self.worker_options(args, step, &cancel) {
            Ok(options) => options,
            Err(error) => return Ok(Err(error)),
        };
        let workers = self.client.workers();
        let generated = workers.generate(agent, input, options);
        let generated = self.unless(&step["abort"], &cancel, generated).await;
        Ok(generated.map(|generated| {
            let mut result = json!({ "sessionId": generated.session_id });
            if let Some(output) = generated.output {
                result["output"] = output;
            }
            field("result", result)
        }))
    }

    fn worker_options(&self, args: &Args<'_>, step: &Value, cancel: &CancellationToken) -> Result<WorkerOptions> {
        let named = |name: &str| args.get(usize::MAX, &[name]);
        let given = args.get(2, &["options"]).or_else(|| step.get("options")).or_else(|| args.get(3, &["options"]));
        let pick = |name: &str| named(name).or_else(|| given?.get(name)).or_else(|| step.get(name));
        let mut options = WorkerOptions::new().until(cancel.clone());
        for (name, spec) in pick("tools").and_then(Value::as_object).into_iter().flatten() {
            options = options.tool(name, handler(&self.shared, name, spec));
        }
        let groups: Vec<ToolGroup> =
            groups(&self.shared, GROUPS.iter().find_map(|name| pick(name)).unwrap_or(&Value::Null))?;
        for group in groups {
            options = options.group(group);
        }
        if let Some(schemas) = pick("dynamicToolSchemas") {
            options = options.schemas(serde_json::from_value(schemas.clone()).unwrap_or_default());
        }
        Ok(options)
    }

    /// Listens until the end, or until it is time to stop.
    async fn listen(
        &self,
        events: impl Stream<Item = Result<StreamEvent>>,
        abort: &Value,
        cancel: CancellationToken,
    ) -> Map<String, Value> {
        let after = abort["afterEvents"].as_u64();
        let listening = async {
            let (mut events, mut told, mut error) = (pin!(events), Vec::new(), None);
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => told.push(serde_json::to_value(event).expect("an event is JSON")),
                    Err(failure) => error = Some(failure),
                }
                if after == Some(told.len() as u64) {
                    cancel.cancel();
                }
            }
            (told, error)
        };
        let (told, error) = self.unless(abort, &cancel, listening).await;
        let mut came = field("events", told);
        came.extend(error.map(|error: SdkError| failed(&error)).unwrap_or_default());
        came
    }

    /// Does something, and cancels it when it is time to.
    async fn unless<T>(&self, abort: &Value, cancel: &CancellationToken, work: impl Future<Output = T>) -> T {
        if abort["beforeStart"] == json!(true) {
            cancel.cancel();
        }
        // Counted from here, before anything can have happened.
        let so_far = (self.platform.count(), self.shared.begun_so_far());
        let stop = async {
            self.time_to_stop(abort, so_far).await;
            cancel.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            done = work => done,
            () = stop => unreachable!("it waits for ever"),
        }
    }

    async fn time_to_stop(&self, abort: &Value, (requests, begun): (usize, usize)) {
        if let Some(times) = abort["onRequest"].as_u64() {
            self.platform.asked(requests + usize::try_from(times).unwrap_or(1)).await;
        } else if let Some(tool) = abort["onHandlerStart"].as_str() {
            self.shared.begun(tool, begun).await;
        } else if abort["delayMs"].is_null() {
            std::future::pending::<()>().await;
        }
        if let Some(millis) = abort["delayMs"].as_u64() {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

fn request_of(request: &Value) -> Outcome<SessionRequest> {
    Ok(serde_json::from_value(request.clone())?)
}

fn worker_input<'a>(args: &Args<'a>) -> (&'a str, Map<String, Value>, CancellationToken) {
    let agent = args.text(0, &["agentId", "agent", "id"]);
    (agent, args.object(1, &["input"]).unwrap_or_default(), CancellationToken::new())
}
