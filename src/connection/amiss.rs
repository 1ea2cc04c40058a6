//! Lines that are no message, or no proper one: what can be made of them all the same.

use std::{ops::ControlFlow, sync::Arc};

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{
    link::{Link, Pending},
    reader,
};
use crate::{error::Error, raw, wire::Envelope};

/// How many messages a bundle may hold.
const BUNDLE: usize = 1000;

/// How much of a line is looked at to find out whose answer it was meant to be.
const HEAD: usize = 1 << 10;

/// Text without a byte order mark in front, and whether it was text: what is none was replaced.
pub(super) fn text(line: Vec<u8>) -> (Arc<str>, bool) {
    let (text, whole) = match String::from_utf8(line) {
        Ok(text) => (text, true),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
    };
    (text.trim_start_matches('\u{feff}').into(), whole)
}

/// Deals with a line that is no message. A bundle of messages is taken apart; a broken answer fails its call, which
/// would wait in vain; the rest is noise.
pub(super) fn deal_with(link: &Arc<Link>, line: &str, of: Option<u64>) -> ControlFlow<()> {
    if line.trim_start().starts_with('[') {
        return bundle(link, line, of);
    }
    link.note_noise(line);
    if let Some((id, reason)) = blamed(line)
        && let Some(pending) = link.forget(id)
    {
        let error = unusable(&pending, &reason);
        // Whoever waited may have gone.
        let _ = pending.reply.send(Err(error));
    }
    ControlFlow::Continue(())
}

/// Servers of 2025-03-26 may say several things at once.
fn bundle(link: &Arc<Link>, line: &str, of: Option<u64>) -> ControlFlow<()> {
    let Ok((messages, _)) = raw::items(line, BUNDLE) else {
        link.note_noise(line);
        return ControlFlow::Continue(());
    };
    let mut any = false;
    for message in messages {
        // No bundle in a bundle: it would not be known where that ends.
        if Envelope::of(message.get()).is_some() {
            any = true;
            reader::take(link, message.get().as_bytes().to_vec(), of)?;
        }
    }
    if !any {
        link.note_noise(line);
    }
    ControlFlow::Continue(())
}

/// What is said to a caller whose answer is no answer.
pub(super) fn unusable(pending: &Pending, reason: &str) -> Error {
    let act = act(pending);
    let reason = format!("the server's answer {reason}; this is a fault of the server, look for a newer version of it");
    Error::Protocol { act, reason, stderr: String::new() }
}

/// What somebody waits for, in words.
pub(super) fn act(pending: &Pending) -> String {
    pending.clock.as_ref().map_or_else(|| "the request".to_owned(), super::clock::Clock::act)
}

/// What is wrong with the error in an answer.
pub(super) fn of_error(error: &RawValue) -> &'static str {
    let Some(error) = raw::RawObject::parse(error) else { return "it is no object" };
    if error.get("code").is_some_and(|code| serde_json::from_str::<i64>(code.get()).is_err()) {
        return "its `code` is no whole number";
    }
    if error.get("message").is_some_and(|message| serde_json::from_str::<String>(message.get()).is_err()) {
        return "its `message` is no text";
    }
    "it cannot be read"
}

/// Whose answer a broken line was meant to be, and what is wrong with it. Servers log what they are asked: only what
/// begins as an answer does is taken for one.
fn blamed(line: &str) -> Option<(u64, String)> {
    let line = line.trim_start();
    let end = (0..=HEAD.min(line.len())).rev().find(|end| line.is_char_boundary(*end))?;
    let head = &line[..end];
    if !head.starts_with('{') || !head.contains("\"jsonrpc\"") || head.contains("\"method\"") {
        return None;
    }
    let id = reader::id_in(head.as_bytes())?;
    let reason = match serde_json::from_str::<IgnoredAny>(line) {
        Err(error) => format!("is no JSON ({error})"),
        Ok(_) if holds(line, "result") || holds(line, "error") => "is no JSON-RPC".to_owned(),
        Ok(_) => "holds neither a result nor an error".to_owned(),
    };
    Some((id, reason))
}

fn holds(line: &str, member: &str) -> bool {
    let raw = serde_json::from_str::<&RawValue>(line).ok();
    raw.and_then(raw::RawObject::parse).is_some_and(|object| object.get(member).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_answer_is_known_by_its_beginning_and_a_log_line_is_none() {
        let of = |line: &str| blamed(line).map(|(id, _)| id);
        assert_eq!(of("{\"jsonrpc\":\"2.0\",\"id\":\"c-7\"}"), Some(7));
        assert_eq!(of("{\"jsonrpc\":\"2.0\",\"id\":\"c-7\",\"result\":{\"a\":\"\0\"}}"), Some(7));
        assert_eq!(of("{\"jsonrpc\":\"2.0\",\"id\":\"c-7\",\"result\":{\"a\":"), Some(7));
        assert_eq!(of("got {\"jsonrpc\":\"2.0\",\"id\":\"c-7\",\"result\":{}"), None);
        assert_eq!(of("{\"level\":\"info\",\"id\":\"c-7\",\"msg\":\"handling\"}"), None);
        assert_eq!(of("{\"jsonrpc\":\"2.0\",\"id\":\"c-7\",\"method\":\"tools/call\",\"params\":{"), None);
        assert_eq!(of("{\"jsonrpc\":\"2.0\",\"id\":7}"), None);
        let (_, reason) = blamed("{\"jsonrpc\":\"2.0\",\"id\":\"c-7\",\"result\":{},\"result\":{}}").unwrap();
        assert_eq!(reason, "is no JSON-RPC");
    }

    #[test]
    fn what_is_no_text_is_replaced_and_a_byte_order_mark_left_out() {
        assert_eq!(text(b"\xef\xbb\xbf{}".to_vec()), ("{}".into(), true));
        assert_eq!(text(b"{\"a\":\"caf\xe9\"}".to_vec()), ("{\"a\":\"caf\u{fffd}\"}".into(), false));
    }
}
