//! Requests that we send and match ourselves: calls, lists, probes.

use std::{future::Future, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    clock::Clock,
    lane::{Kind, Message},
    link::{Link, one_line},
    reader::PREFIX,
    rounds,
};
use crate::{
    error::{Error, Result},
    raw::RawObject,
    source::{Answer, CALL_TOOL, Call, CallContext, Waiting},
};

/// How long a server may take for a sign of life.
pub(super) const PROBE: Duration = Duration::from_secs(3);

/// Members of a client's `_meta` that are about its own connection to us.
const OF_THE_CONNECTION: [&str; 4] = [
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
];

/// The member of `_meta` by which a request of the new generation asks for log messages.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Sends a request of a caller; the future waits for its answer. `None` when the server has gone already.
pub(super) fn call(link: &Arc<Link>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>> {
    if link.is_modern() && matches!(call.method, "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel") {
        // The new generation has other ways: what is listened to has changed already.
        return Some(Box::pin(async { Ok(Answer::made(&serde_json::json!({}))) }));
    }
    let may_ask = link.is_modern() && !context.input_required;
    let kept = may_ask.then(|| Box::new((link.clone(), call.keep(), context.clone())));
    match send(link, call, &context) {
        Ok(sent) => Some(Box::pin(async move {
            let answer = sent.wait(context.cancel).await?;
            let Some(kept) = kept else { return Ok(answer) };
            let (link, call, context) = *kept;
            rounds::finish(&link, &call, (answer, context)).await
        })),
        Err(Error::Ended { .. }) => None,
        Err(error) => Some(Box::pin(async move { Err(error) })),
    }
}

/// A request of a caller that is on its way.
pub(super) struct Sent {
    wait: Wait,
    reply: oneshot::Receiver<Result<Answer>>,
}

/// Sends a request of a caller.
pub(super) fn send(link: &Arc<Link>, call: Call<'_>, context: &CallContext) -> Result<Sent> {
    let tool = call.name.filter(|_| call.method == CALL_TOOL);
    let what = tool.unwrap_or(call.method).to_owned();
    let clock = Clock { what, is_tool: tool.is_some(), begin: Instant::now() };
    let (id, reply) = link.expect(context, Some(clock))?;
    let wait = Wait { link: link.clone(), id, armed: true };
    let line = line_of_call(link, id, call, context);
    if !link.shows_kinds() {
        // A pipe does not look, and finding out has its price.
        link.send(&Message { line: line.as_bytes(), kind: Kind::Answer })?;
        return Ok(Sent { wait, reply });
    }
    let key = || {
        let key = call.rest.iter().find(|(name, _)| matches!(*name, "uri" | "taskId"));
        key.and_then(|(_, key)| serde_json::from_str(key.get()).ok())
    };
    let key: Option<String> = if call.name.is_none() { key() } else { None };
    let kind = Kind::Request {
        id: &format!("\"{PREFIX}{id}\""),
        method: call.method,
        name: call.name.or(key.as_deref()),
        arguments: call.arguments,
    };
    link.send(&Message { line: line.as_bytes(), kind })?;
    Ok(Sent { wait, reply })
}

impl Sent {
    /// Waits for the answer. The clocks are kept elsewhere: see [`clock`](super::clock).
    pub(super) async fn wait(self, cancel: Option<CancellationToken>) -> Result<Answer> {
        let Self { mut wait, reply } = self;
        let answer = match cancel {
            Some(cancel) => cancel.run_until_cancelled(reply).await.ok_or(Error::Cancelled)?,
            None => reply.await,
        };
        wait.armed = false;
        answer.unwrap_or(Err(Error::Cancelled)).map_err(|error| wait.link.options().secrets.mask_error(error))
    }
}

/// Sends any other request and waits for its answer, `limit` at most.
pub(super) fn request(
    link: &Arc<Link>,
    method: &str,
    params: &str,
    limit: Duration,
) -> impl Future<Output = Result<Answer>> + Send + use<> {
    let sent = link.expect(&CallContext::default(), None).and_then(|(id, reply)| {
        let wait = Wait { link: link.clone(), id, armed: true };
        let meta = link.modern().map(|modern| format!("\"_meta\":{{{}}}", modern.members(None)));
        let params: Vec<&str> =
            [params, meta.as_deref().unwrap_or_default()].into_iter().filter(|p| !p.is_empty()).collect();
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"{PREFIX}{id}\",\"method\":\"{method}\",\"params\":{{{}}}}}\n",
            params.join(",")
        );
        let id = format!("\"{PREFIX}{id}\"");
        let kind = Kind::Request { id: &id, method, name: None, arguments: None };
        link.send(&Message { line: line.as_bytes(), kind }).map(|()| (wait, reply))
    });
    let act = format!("`{method}`");
    async move {
        let (mut wait, reply) = sent?;
        match timeout(limit, reply).await {
            Ok(answer) => {
                wait.armed = false;
                answer.unwrap_or(Err(Error::Cancelled)).map_err(shortened)
            }
            Err(_) => Err(Error::Timeout {
                act,
                after: limit,
                silent: false,
                cure: "the server hangs; restart the entry".to_owned(),
                stderr: wait.link.tail().last_lines(),
            }),
        }
    }
}

/// An error that may be kept: a state and its events hold what a server has said, which may be as long as a message.
fn shortened(error: Error) -> Error {
    const LONGEST: usize = 1000;
    match error {
        Error::Server { code, message, data } => Error::Server {
            code,
            message: message.chars().take(LONGEST).collect(),
            data: data.filter(|data| data.len() <= LONGEST),
        },
        other => other,
    }
}

/// Tells a server that was connected anew what somebody wants to hear of it. One of the new generation is told with
/// what is listened to, and with each request.
pub(super) async fn subscribe_again(link: Arc<Link>) {
    if link.is_modern() {
        return;
    }
    let subscribed = &link.options().subscribed;
    let levels = subscribed.level().filter(|_| link.offers("logging"));
    let levels = levels.map(|level| ("logging/setLevel", format!("\"level\":{}", serde_json::Value::from(level))));
    let uris = subscribed.uris().into_iter();
    let uris = uris.map(|uri| ("resources/subscribe", format!("\"uri\":{}", serde_json::Value::from(uri))));
    for (method, params) in levels.into_iter().chain(uris) {
        if let Err(error) = request(&link, method, &params, PROBE * 10).await {
            link.note(format!("telling it again what is wanted (`{method}`) failed: {error}"));
        }
    }
}

/// Asks for a sign of life, and notes what came of it: any answer is one, an error too, and one that cannot be used.
pub(super) async fn probe(link: Arc<Link>, limit: Duration) -> Result<()> {
    // 2026-07-28 has no ping.
    let method = if link.is_modern() { "server/discover" } else { "ping" };
    let outcome = match request(&link, method, "", limit.min(PROBE)).await {
        Ok(_) | Err(Error::Server { .. } | Error::TooLarge { .. }) => Ok(()),
        // Over HTTP it may come from whoever stands before the server.
        Err(Error::Protocol { .. }) if link.http().is_none() => Ok(()),
        Err(error) => Err(error),
    };
    match &outcome {
        Ok(()) => link.note_life(),
        Err(error) => link.note_silence(error),
    }
    outcome
}

/// Passes a notification on.
pub(super) fn notify(link: &Link, method: &str, params: Option<&RawValue>) -> Result<()> {
    let mut line = String::from("{\"jsonrpc\":\"2.0\",\"method\":");
    push_text(&mut line, method);
    if let Some(params) = params {
        line.push_str(",\"params\":");
        line.push_str(&one_line(params));
    }
    line.push_str("}\n");
    link.send(&Message { line: line.as_bytes(), kind: Kind::Notification { method } })
}

/// Somebody who waits. When it is dropped without an answer, the server is told that nobody waits any more.
struct Wait {
    link: Arc<Link>,
    id: u64,
    armed: bool,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let forgotten = self.armed.then(|| self.link.forget(self.id)).flatten();
        if let Some(pending) = forgotten {
            if pending.asked > 0 {
                self.link.give_up_asking(self.id);
            }
            if pending.clock.is_some() {
                self.link.suspect();
            }
            tell_cancelled(&self.link, self.id, "the caller no longer waits");
        }
    }
}

/// Tells the server that nobody waits for that answer any more.
pub(super) fn tell_cancelled(link: &Link, id: u64, reason: &str) {
    let method = "notifications/cancelled";
    let line = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"requestId\":\"{PREFIX}{id}\",\"reason\":\"{reason}\"}}}}\n"
    );
    // A server that cannot be told any more has other worries.
    let _ = link.send(&Message { line: line.as_bytes(), kind: Kind::Notification { method } });
}

/// The request as it goes over the wire.
fn line_of_call(link: &Link, id: u64, call: Call<'_>, context: &CallContext) -> String {
    let arguments = call.arguments.map(one_line);
    let mut line = String::with_capacity(256 + arguments.as_ref().map_or(0, |text| text.len()));
    line.push_str("{\"jsonrpc\":\"2.0\",\"id\":\"");
    line.push_str(PREFIX);
    line.push_str(&id.to_string());
    line.push_str("\",\"method\":");
    push_text(&mut line, call.method);
    line.push_str(",\"params\":{");
    if let Some(name) = call.name {
        line.push_str("\"name\":");
        push_text(&mut line, name);
        line.push(',');
    }
    if let Some(arguments) = arguments {
        line.push_str("\"arguments\":");
        line.push_str(&arguments);
        line.push(',');
    }
    for (name, value) in call.rest {
        push_text(&mut line, name);
        line.push(':');
        line.push_str(&one_line(value));
        line.push(',');
    }
    // Always with a token: progress keeps the idle clock from running out, whether the caller wants to see it or not.
    line.push_str("\"_meta\":{\"progressToken\":\"");
    line.push_str(PREFIX);
    line.push_str(&id.to_string());
    line.push('"');
    let modern = link.modern();
    if let Some(modern) = &modern {
        line.push(',');
        line.push_str(&modern.members(Some(context)));
    }
    let meta = call.meta.and_then(|meta| serde_json::from_str::<RawObject<'_>>(meta.get()).ok());
    for (name, value) in meta.iter().flat_map(|meta| &meta.0) {
        if !OF_THE_CONNECTION.contains(&name.as_ref()) {
            push_member(&mut line, name, value);
        }
    }
    if let (Some(_), Some(level)) = (&modern, &context.log_level)
        && meta.as_ref().is_none_or(|meta| meta.get(LOG_LEVEL).is_none())
    {
        line.push_str(",\"");
        line.push_str(LOG_LEVEL);
        line.push_str("\":");
        push_text(&mut line, level);
    }
    line.push_str("}}}\n");
    line
}

fn push_member(line: &mut String, name: &str, value: &RawValue) {
    line.push(',');
    push_text(line, name);
    line.push(':');
    line.push_str(&one_line(value));
}

fn push_text(line: &mut String, text: &str) {
    line.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
}
