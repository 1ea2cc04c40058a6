//! What a server says: whose it is, and to whom it goes.

use std::{ops::ControlFlow, sync::Arc};

use rmcp::model::{RequestId, ServerJsonRpcMessage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ask,
    link::{Link, lock},
};
use crate::{
    error::Error,
    process::Reader,
    source::Answer,
    wire::{Envelope, Line, Lines, position},
};

/// Our ids and progress tokens begin with this; rmcp's are numbers.
pub(super) const PREFIX: &str = "c-";

/// After so many messages beyond the limit in a row, it is no connection any more.
const TOO_LONG_LIMIT: u32 = 3;

/// Reads until the server's output ends.
pub(super) async fn read(link: Arc<Link>, stdout: Reader) {
    let limit = link.options().max_message;
    let mut lines = Lines::new(stdout, limit);
    let mut too_long = 0;
    let reason = loop {
        match lines.next().await {
            Ok(Some(Line::Whole(line))) => {
                too_long = 0;
                if take(&link, line, None).await.is_break() {
                    break "lost its session".to_owned();
                }
            }
            Ok(Some(Line::TooLong(head))) => {
                too_long += 1;
                skip(&link, &head);
                if too_long == TOO_LONG_LIMIT {
                    break format!("sent {TOO_LONG_LIMIT} messages larger than {limit} bytes in a row");
                }
            }
            Ok(None) => break "closed its output".to_owned(),
            Err(error) => break format!("cannot be read any more ({error})"),
        }
    };
    link.mark_ended(&reason);
}

/// Passes over a message beyond the limit, of which these are the first bytes: if it is an answer, its call fails.
pub(super) fn skip(link: &Link, head: &[u8]) {
    let limit = link.options().max_message;
    link.note(format!("a message larger than {limit} bytes (`maxMessage`) was skipped"));
    if let Some(pending) = id_in(head).and_then(|id| link.forget(id)) {
        let _ = pending.reply.send(Err(Error::TooLarge { limit }));
    }
}

/// Deals with one message. `of` is the request that it came with, where that can be told.
pub(super) async fn take(link: &Arc<Link>, line: Vec<u8>, of: Option<u64>) -> ControlFlow<()> {
    let line: Arc<str> = match String::from_utf8(line) {
        Ok(line) => line.into(),
        Err(error) => {
            link.note_noise(&String::from_utf8_lossy(error.as_bytes()));
            return ControlFlow::Continue(());
        }
    };
    if line.trim().is_empty() {
        return ControlFlow::Continue(());
    }
    let Some(envelope) = Envelope::of(&line) else {
        link.note_noise(&line);
        return ControlFlow::Continue(());
    };
    link.hear();
    match envelope.method.as_deref() {
        // rmcp answers this one.
        Some("ping") if envelope.id.is_some() => {}
        Some(method) if envelope.id.is_some() => {
            ask::put(link, (method, &envelope), of);
            return ControlFlow::Continue(());
        }
        None => {
            if let Some(id) = envelope.text_id().and_then(number) {
                answer(link, &line, &envelope, id);
                return ControlFlow::Continue(());
            }
            if is_stale(link, &envelope) {
                return ControlFlow::Continue(());
            }
            if let Some(result) = envelope.result.filter(|_| !link.is_up()) {
                link.set_hello(result);
            }
        }
        Some("notifications/progress") => {
            if let Some(params) = envelope.params
                && let Some(id) = token(params)
            {
                if let Some(progress) = link.touch(id) {
                    progress(params);
                }
                return ControlFlow::Continue(());
            }
        }
        Some("notifications/message") => {
            let Some(params) = envelope.params else { return ControlFlow::Continue(()) };
            let sinks = link.log_sinks(of);
            for log in &sinks {
                log(params);
            }
            if sinks.is_empty() {
                link.tell("notifications/message", Some(params));
            }
            return ControlFlow::Continue(());
        }
        Some("notifications/cancelled") => {
            ask::take_back(link, envelope.params);
            return ControlFlow::Continue(());
        }
        Some(
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed",
        ) => link.mark_changed(),
        // It is about rmcp's own subscription.
        Some("notifications/subscriptions/acknowledged") => {}
        Some(method) => link.tell(method, envelope.params),
    }
    hand_to_rmcp(link, &line).await
}

/// Gives an answer to whoever waits for it. Late, doubled and unknown ones go to nobody.
fn answer(link: &Link, line: &Arc<str>, envelope: &Envelope<'_>, id: u64) {
    let Some(pending) = link.forget(id) else { return };
    let outcome = match (envelope.result, envelope.error) {
        (Some(result), _) => Ok(Answer::within(line.clone(), position(line, result), link.is_modern())),
        (None, Some(error)) => Err(server_error(error)),
        (None, None) => return,
    };
    // Whoever waited may have gone.
    let _ = pending.reply.send(outcome);
}

fn server_error(error: &RawValue) -> Error {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(default)]
        code: i64,
        #[serde(default)]
        message: String,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    match serde_json::from_str::<Body<'_>>(error.get()) {
        Ok(body) => {
            let data = body.data.map(|data| data.get().to_owned());
            Error::Server { code: body.code, message: body.message, data }
        }
        Err(_) => {
            Error::Server { code: -32603, message: format!("the server's error is malformed: {error}"), data: None }
        }
    }
}

/// Whether this answers an earlier step of the handshake than the one that waits.
fn is_stale(link: &Link, envelope: &Envelope<'_>) -> bool {
    let shaking = lock(&link.shaking);
    let (Some(awaited), Some(id)) = (shaking.as_ref(), envelope.id) else { return false };
    serde_json::from_str::<RequestId>(id.get()).is_ok_and(|id| id != *awaited)
}

async fn hand_to_rmcp(link: &Link, line: &str) -> ControlFlow<()> {
    let Ok(message) = serde_json::from_str::<ServerJsonRpcMessage>(line) else {
        link.note_noise(line);
        return ControlFlow::Continue(());
    };
    match link.for_rmcp.send(message).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// The number in an id or token of ours.
pub(super) fn number(text: &str) -> Option<u64> {
    text.strip_prefix(PREFIX)?.parse().ok()
}

/// The call that a progress notification belongs to.
fn token(params: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        #[serde(borrow)]
        progress_token: std::borrow::Cow<'a, str>,
    }
    number(&serde_json::from_str::<Params<'_>>(params.get()).ok()?.progress_token)
}

/// The id of ours that stands in the first bytes of a message, if one does.
fn id_in(head: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(head);
    let after = &text[text.find("\"id\"")? + "\"id\"".len()..];
    let value = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    number(&value[..value.find('"')?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_in_the_head_of_a_message() {
        assert_eq!(id_in(br#"{"jsonrpc":"2.0", "id" : "c-17","result":{"content":[{"ty"#), Some(17));
        assert_eq!(id_in(br#"{"jsonrpc":"2.0","result":{"text":"aaaaaaaa"#), None);
        assert_eq!(id_in(br#"{"id":17,"result":"#), None);
    }

    #[test]
    fn only_tokens_of_ours_are_taken() {
        let params = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert_eq!(token(&params(r#"{"progressToken":"c-5","progress":1}"#)), Some(5));
        assert_eq!(token(&params(r#"{"progressToken":5,"progress":1}"#)), None);
    }
}
