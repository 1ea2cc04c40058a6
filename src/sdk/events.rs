//! The streams that an execution is told by.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use serde_json::Value;

use super::{
    error::{Result, SdkError},
    event::StreamEvent,
    generator::{Generator, Outlet},
    run::{self, Plan, Told},
};

/// What happens in an execution. Dropping it ends the execution, and the tools that run for it.
///
/// Nothing happens while nobody waits for the next event. After an error nothing more is told.
#[must_use = "nothing is asked of the platform until somebody waits for an event"]
pub struct Events(Generator<Result<Told>>);

/// The same in the words of the platform: with fields that this version of the protocol does not know, and events of
/// unknown types. Requests for tools are answered here and not told.
#[must_use = "nothing is asked of the platform until somebody waits for an event"]
pub struct RawEvents(Generator<Result<Told>>);

impl Events {
    pub(super) fn of(plan: Plan, execution_id: Option<String>, results: Option<Vec<Value>>) -> Self {
        Self(run::run(plan, execution_id, results))
    }

    /// Events that end before they begin.
    pub(super) fn failed(error: SdkError) -> Self {
        Self(Generator::new(|outlet: Outlet<Result<Told>>| async move { outlet.give(Err(error)).await }))
    }

    /// The same events in the words of the platform.
    pub(super) fn raw(self) -> RawEvents {
        RawEvents(self.0)
    }
}

impl Stream for Events {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_next(context)) {
                Some(Ok(Told { event: Some(event), .. })) => return Poll::Ready(Some(Ok(event))),
                // One that this version does not know.
                Some(Ok(Told { event: None, .. })) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for RawEvents {
    type Item = Result<Value>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context).map_ok(|told| told.raw)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events(..)")
    }
}

impl fmt::Debug for RawEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawEvents(..)")
    }
}
