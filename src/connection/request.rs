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
    link::{Link, one_line},
    reader::PREFIX,
};
use crate::{
    error::{Error, Result},
    raw::RawObject,
    source::{Answer, Call, CallContext, Waiting},
};

/// How long a server may take for a sign of life.
const PROBE: Duration = Duration::from_secs(3);

/// Members of a client's `_meta` that are about its own connection to us.
const OF_THE_CONNECTION: [&str; 4] = [
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
];

/// Sends a call; the future waits for its answer. `None` when the server has gone already.
pub(super) fn call(link: &Arc<Link>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>> {
    let clock = Clock { tool: call.tool.to_owned(), begin: Instant::now() };
    let sent = link.expect(&context, Some(clock)).and_then(|(id, reply)| {
        let wait = Wait { link: link.clone(), id, armed: true };
        link.send(line_of_call(link, id, call).as_bytes()).map(|()| (wait, reply))
    });
    match sent {
        Ok((wait, reply)) => Some(Box::pin(wait_for(wait, reply, context.cancel))),
        Err(Error::Ended { .. }) => None,
        Err(error) => Some(Box::pin(async move { Err(error) })),
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
        let meta = link.modern_meta().map(|members| format!("\"_meta\":{{{members}}}"));
        let params: Vec<&str> =
            [params, meta.as_deref().unwrap_or_default()].into_iter().filter(|p| !p.is_empty()).collect();
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"{PREFIX}{id}\",\"method\":\"{method}\",\"params\":{{{}}}}}\n",
            params.join(",")
        );
        link.send(line.as_bytes()).map(|()| (wait, reply))
    });
    let act = format!("`{method}`");
    async move {
        let (mut wait, reply) = sent?;
        match timeout(limit, reply).await {
            Ok(answer) => {
                wait.armed = false;
                answer.unwrap_or(Err(Error::Cancelled))
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

/// Asks for a sign of life: any answer is one, an error too.
pub(super) async fn probe(link: Arc<Link>) -> Result<()> {
    // 2026-07-28 has no ping.
    let method = if link.modern_meta().is_some() { "server/discover" } else { "ping" };
    match request(&link, method, "", PROBE).await {
        Ok(_) | Err(Error::Server { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits for the answer of a call. Its clocks are kept elsewhere: see [`clock`](super::clock).
async fn wait_for(
    mut wait: Wait,
    reply: oneshot::Receiver<Result<Answer>>,
    cancel: Option<CancellationToken>,
) -> Result<Answer> {
    let answer = match cancel {
        Some(cancel) => cancel.run_until_cancelled(reply).await.ok_or(Error::Cancelled)?,
        None => reply.await,
    };
    wait.armed = false;
    answer.unwrap_or(Err(Error::Cancelled)).map_err(|error| wait.link.options().secrets.mask_error(error))
}

/// Somebody who waits. When it is dropped without an answer, the server is told that nobody waits any more.
struct Wait {
    link: Arc<Link>,
    id: u64,
    armed: bool,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.armed && self.link.forget(self.id).is_some() {
            tell_cancelled(&self.link, self.id, "the caller no longer waits");
        }
    }
}

/// Tells the server that nobody waits for that answer any more.
pub(super) fn tell_cancelled(link: &Link, id: u64, reason: &str) {
    let line = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":\"{PREFIX}{id}\",\"reason\":\"{reason}\"}}}}\n"
    );
    // A server that cannot be told any more has other worries.
    let _ = link.send(line.as_bytes());
}

/// The request as it goes over the wire.
fn line_of_call(link: &Link, id: u64, call: Call<'_>) -> String {
    let arguments = call.arguments.map(one_line);
    let mut line = String::with_capacity(256 + arguments.as_ref().map_or(0, |text| text.len()));
    line.push_str("{\"jsonrpc\":\"2.0\",\"id\":\"");
    line.push_str(PREFIX);
    line.push_str(&id.to_string());
    line.push_str("\",\"method\":\"tools/call\",\"params\":{\"name\":");
    push_text(&mut line, call.tool);
    if let Some(arguments) = arguments {
        line.push_str(",\"arguments\":");
        line.push_str(&arguments);
    }
    for (name, value) in call.rest {
        push_member(&mut line, name, value);
    }
    // Always with a token: progress keeps the idle clock from running out, whether the caller wants to see it or not.
    line.push_str(",\"_meta\":{\"progressToken\":\"");
    line.push_str(PREFIX);
    line.push_str(&id.to_string());
    line.push('"');
    if let Some(members) = link.modern_meta() {
        line.push(',');
        line.push_str(&members);
    }
    let meta = call.meta.and_then(|meta| serde_json::from_str::<RawObject<'_>>(meta.get()).ok());
    for (name, value) in meta.iter().flat_map(|meta| &meta.0) {
        if !OF_THE_CONNECTION.contains(&name.as_ref()) {
            push_member(&mut line, name, value);
        }
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
