//! Requests that we send and match ourselves: calls, lists, probes.

use std::{future::Future, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::{
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

/// Sends a call; the future waits for its answer.
pub(super) fn call(link: &Arc<Link>, call: Call<'_>, context: CallContext) -> Waiting<Answer> {
    let sent = link.expect(&context).and_then(|(id, reply)| {
        let wait = Wait { link: link.clone(), id, armed: true };
        link.send(line_of_call(link, id, call).as_bytes()).map(|()| (wait, reply))
    });
    match sent {
        Ok((wait, reply)) => Box::pin(wait_for(wait, reply, context, call.tool.to_owned())),
        Err(error) => Box::pin(async move { Err(error) }),
    }
}

/// Sends any other request and waits for its answer, `limit` at most.
pub(super) fn request(
    link: &Arc<Link>,
    method: &str,
    params: &str,
    limit: Duration,
) -> impl Future<Output = Result<Answer>> + Send + use<> {
    let sent = link.expect(&CallContext::default()).and_then(|(id, reply)| {
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

/// Waits for the answer of a call, within its clocks.
async fn wait_for(
    mut wait: Wait,
    mut reply: oneshot::Receiver<Result<Answer>>,
    context: CallContext,
    tool: String,
) -> Result<Answer> {
    let link = wait.link.clone();
    let options = link.options();
    let begin = Instant::now();
    let total = begin + options.max_call_time;
    let mut idle = begin + options.call_timeout;
    let cancelled = async {
        match &context.cancel {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(cancelled);
    loop {
        tokio::select! {
            biased;
            answer = &mut reply => {
                wait.armed = false;
                let answer = answer.unwrap_or(Err(Error::Cancelled));
                return answer.map_err(|error| options.secrets.mask_error(error));
            }
            () = &mut cancelled => return Err(Error::Cancelled),
            () = sleep_until(idle.min(total)) => {
                if let Some(touched) = wait.link.touched(wait.id) {
                    idle = touched + options.call_timeout;
                }
                let now = Instant::now();
                if now >= total || now >= idle {
                    let silent = now < total;
                    let after = if silent { options.call_timeout } else { options.max_call_time };
                    let cure = if silent { "raise `callTimeout` if it needs longer" } else { "raise `maxCallTime` if it needs longer" };
                    let (act, cure) = (format!("calling `{tool}`"), cure.to_owned());
                    return Err(Error::Timeout { act, after, silent, cure, stderr: wait.link.tail().last_lines() });
                }
            }
        }
    }
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
            let line = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":\"{PREFIX}{}\",\"reason\":\"the caller no longer waits\"}}}}\n",
                self.id
            );
            // A server that cannot be told any more has other worries.
            let _ = self.link.send(line.as_bytes());
        }
    }
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
