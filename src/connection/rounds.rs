//! Requests that a server of 2026-07-28 answers with questions: for callers who do not deal with that themselves.

use std::sync::Arc;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ask, link::Link, request};
use crate::{
    error::{Error, Result},
    raw::RawObject,
    source::{Answer, CallContext, KeptCall, Question},
};

/// After so many rounds it is no conversation any more.
const MOST: usize = 16;

/// A result that wants something before it is one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InputRequired<'a> {
    result_type: String,
    #[serde(borrow, default)]
    input_requests: RawObject<'a>,
    #[serde(borrow, default)]
    request_state: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InputRequest<'a> {
    method: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Answers what the server asks, and asks again, until the result is one.
pub(super) async fn finish(
    link: &Arc<Link>,
    call: &KeptCall,
    (mut answer, context): (Answer, CallContext),
) -> Result<Answer> {
    for _ in 0..MOST {
        let Some((responses, state)) = ({
            match wanted(&answer) {
                Some(wanted) => {
                    let asking = responses(link, &wanted, &context);
                    let responses = match &context.cancel {
                        Some(cancel) => cancel.run_until_cancelled(asking).await.ok_or(Error::Cancelled)??,
                        None => asking.await?,
                    };
                    Some((responses, wanted.request_state.map(ToOwned::to_owned)))
                }
                None => None,
            }
        }) else {
            return Ok(answer);
        };
        let mut more: Vec<(&str, &RawValue)> = vec![("inputResponses", &responses)];
        more.extend(state.as_deref().map(|state| ("requestState", state)));
        let sent = call.with(&more, |call| request::send(link, call, &context))?;
        answer = sent.wait(context.cancel.clone()).await?;
    }
    let reason = format!("the server asked for more input {MOST} times in a row");
    Err(Error::Protocol { act: "the call".to_owned(), reason, stderr: String::new() })
}

fn wanted(answer: &Answer) -> Option<InputRequired<'_>> {
    // Looking is cheaper than parsing, and nearly every answer ends here.
    memchr::memmem::find(answer.get().as_bytes(), b"input_required")?;
    let wanted: InputRequired<'_> = serde_json::from_str(answer.get()).ok()?;
    (wanted.result_type == "input_required").then_some(wanted)
}

/// The answers to all that is asked, as a JSON object.
async fn responses(link: &Link, wanted: &InputRequired<'_>, context: &CallContext) -> Result<Box<RawValue>> {
    let asked = wanted.input_requests.0.iter().map(|(key, request)| async move {
        let request: InputRequest<'_> = serde_json::from_str(request.get()).map_err(|error| Error::Protocol {
            act: "the call".to_owned(),
            reason: format!("the server asks for input in a way that is no request ({error})"),
            stderr: String::new(),
        })?;
        let question = Question { method: request.method, params: request.params.map(ToOwned::to_owned) };
        let answer = match &context.ask {
            Some(ask) if ask.can(&question) => ask.ask(question).await?,
            Some(_) | None => ask::unattended(link.options().unattended, &question)?,
        };
        Ok((key.clone(), RawValue::from_string(answer.get().to_owned()).unwrap_or_default()))
    });
    let answered: Vec<_> = join_all(asked).await.into_iter().collect::<Result<_>>()?;
    Ok(RawObject(answered.iter().map(|(key, value)| (key.clone(), &**value)).collect()).to_raw())
}
