//! What a server says: whose it is, and to whom it goes.

use std::{ops::ControlFlow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    amiss, ask,
    link::{Link, Pending},
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

/// The largest message that rmcp gets: it reads it whole, which costs many times its size.
const FOR_RMCP: usize = 1 << 20;

/// How much is shown of what a server must not say.
const BRIEF: usize = 200;

/// Reads until the server's output ends.
pub(super) async fn read(link: Arc<Link>, stdout: Reader) {
    let limit = link.options().max_message;
    let mut lines = Lines::new(stdout, limit);
    let mut too_long = 0;
    let reason = loop {
        match lines.next().await {
            Ok(Some(Line::Whole(line))) => {
                too_long = 0;
                if lines.is_cut_off() && Envelope::of(&String::from_utf8_lossy(&line)).is_none() {
                    // That the server has ended tells more than what it had begun to say.
                    link.note_noise(&String::from_utf8_lossy(&line));
                } else if take(&link, without_returns(line), None).is_break() {
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

/// The line without carriage returns, which are white space where JSON allows them: whoever passes lines on must not find
/// the end of one in a message.
fn without_returns(mut line: Vec<u8>) -> Vec<u8> {
    if memchr::memchr(b'\r', &line).is_some() {
        line.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b' ');
    }
    line
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
///
/// Nothing in it waits: what a server says to one must not hold up what it says to others.
pub(super) fn take(link: &Arc<Link>, line: Vec<u8>, of: Option<u64>) -> ControlFlow<()> {
    let (line, is_text) = amiss::text(line);
    if line.trim().is_empty() {
        return ControlFlow::Continue(());
    }
    let Some(envelope) = Envelope::of(&line) else { return amiss::deal_with(link, &line, of) };
    link.hear();
    if !is_text {
        link.note("some of what it says is no UTF-8; what is none was replaced");
    }
    match envelope.method.as_deref() {
        Some(method) if envelope.id.is_some() => ask::put(link, (method, &envelope), of),
        Some(method) => return notified(link, (method, &envelope), (&line, of)),
        None => match envelope.text_id().and_then(number) {
            Some(id) => answer(link, &line, &envelope, id),
            None => return answer_for_others(link, &line, &envelope),
        },
    }
    ControlFlow::Continue(())
}

/// Passes a notification to whom it concerns.
fn notified(
    link: &Arc<Link>,
    (method, envelope): (&str, &Envelope<'_>),
    (line, of): (&str, Option<u64>),
) -> ControlFlow<()> {
    match method {
        "notifications/progress" => {
            if let Some(params) = envelope.params
                && let Some(progress) = token(params).and_then(|id| link.touch(id))
            {
                progress(params);
            }
        }
        "notifications/message" => {
            let Some(params) = envelope.params else { return ControlFlow::Continue(()) };
            link.log_message(params);
            let sinks = link.log_sinks(of);
            for log in &sinks {
                log(params);
            }
            if sinks.is_empty() {
                link.tell(method, Some(params));
            }
        }
        "notifications/cancelled" => {
            ask::take_back(link, envelope.params);
            if link.is_modern() && line.len() <= FOR_RMCP {
                // It may be about rmcp's own subscription.
                return link.give_to_rmcp(line);
            }
        }
        "notifications/tools/list_changed"
        | "notifications/prompts/list_changed"
        | "notifications/resources/list_changed" => link.mark_changed(),
        // It is about rmcp's own subscription.
        "notifications/subscriptions/acknowledged" => {
            if link.is_up() && line.len() <= FOR_RMCP {
                return link.give_to_rmcp(line);
            }
        }
        method => link.tell(method, envelope.params),
    }
    ControlFlow::Continue(())
}

/// Gives an answer to whoever waits for it. Late and doubled ones go to nobody.
fn answer(link: &Link, line: &Arc<str>, envelope: &Envelope<'_>, id: u64) {
    let Some(pending) = link.forget(id) else {
        if !link.has_asked(id) {
            link.note_stray(envelope.id);
        }
        return;
    };
    let nothing = |raw: &&RawValue| raw.get() != "null";
    let outcome = match (envelope.result, envelope.error.filter(nothing)) {
        // Some say both, one of them null; one that says that it failed has failed.
        (_, Some(error)) => Err(server_error(link, &pending, error)),
        (Some(result), None) if is_proper(result, &pending) => {
            Ok(Answer::within(line.clone(), position(line, result), link.is_modern()))
        }
        (Some(result), None) => Err(amiss::unusable(&pending, &format!("is {} and no object", kind(result)))),
        (None, None) => Err(amiss::unusable(&pending, "is an error that says nothing")),
    };
    // Whoever waited may have gone.
    let _ = pending.reply.send(outcome);
}

/// Results are objects. What has nothing to say may say nothing, but a tool always has.
fn is_proper(result: &RawValue, pending: &Pending) -> bool {
    let text = result.get();
    text.starts_with('{') || (text == "null" && pending.clock.as_ref().is_none_or(|clock| !clock.is_tool))
}

fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a yes or no",
        _ => "a number",
    }
}

/// An answer that is not to a request of ours: to one of rmcp's, or to none.
fn answer_for_others(link: &Link, line: &str, envelope: &Envelope<'_>) -> ControlFlow<()> {
    if !link.is_for_rmcp(envelope.id) {
        match envelope.error.filter(|_| envelope.id.is_none_or(|id| id.get() == "null")) {
            Some(error) => link.note(format!("it sent an error that names no request: {error}")),
            None => link.note_stray(envelope.id),
        }
        return ControlFlow::Continue(());
    }
    if line.len() > FOR_RMCP {
        let id = envelope.id.map_or("null", RawValue::get);
        let words = format!("its answer is larger than {FOR_RMCP} bytes, which is no handshake any more");
        return link.give_to_rmcp(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32603,\"message\":\"{words}\"}}}}"
        ));
    }
    if let Some(result) = envelope.result.filter(|_| !link.is_up()) {
        link.set_hello(result);
    }
    link.give_to_rmcp(line)
}

/// The error in an answer. One that the server has malformed is said to be so to whoever called a tool; whoever asks for
/// something else may go by its code.
fn server_error(link: &Link, pending: &Pending, error: &RawValue) -> Error {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(default)]
        code: i64,
        #[serde(default)]
        message: String,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    let is_call = pending.clock.as_ref().is_some_and(|clock| clock.is_tool);
    let body = match serde_json::from_str::<Body<'_>>(error.get()) {
        Ok(body) => body,
        Err(_) if is_call => {
            let what = format!("is an error that is malformed, {}: `{}`", amiss::of_error(error), brief(error));
            return amiss::unusable(pending, &what);
        }
        Err(_) => {
            let message = format!("the server gave an error that is malformed: {}", brief(error));
            return Error::Server { code: -32603, message, data: None };
        }
    };
    let said = Some(body.message).filter(|message| !message.trim().is_empty());
    let wordless = || {
        let (act, of) = (amiss::act(pending), &link.options().namespace);
        format!("{act} of entry `{of}` failed: the server gave an error without words: {}", brief(error))
    };
    let message = said.unwrap_or_else(wordless);
    Error::Server { code: body.code, message, data: body.data.map(|data| data.get().to_owned()) }
}

/// The beginning of what was said.
fn brief(raw: &RawValue) -> String {
    raw.get().chars().take(BRIEF).collect()
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
pub(super) fn id_in(head: &[u8]) -> Option<u64> {
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
