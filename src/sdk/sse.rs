//! Events as the body of an answer over HTTP.

use std::{fmt::Display, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::{Instant, interval_at};

use super::{event::StreamEvent, generator::Generator};

/// How often whoever listens is told that nothing has broken.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events as server-sent events: each a part `data: …`, then `data: [DONE]`; a comment every 15 s while nothing is said.
///
/// When the events fail, one `internal_error` event says so, and there is no `[DONE]`.
pub fn to_sse_stream<S, T, E>(events: S) -> impl Stream<Item = String> + Send + Unpin
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    let mut events: Pin<Box<S>> = Box::pin(events);
    Generator::new(|outlet| async move {
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            let part = tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Ok(event)) => data(&event),
                    Some(Err(error)) => {
                        outlet.give(data(&StreamEvent::internal(error.to_string()))).await;
                        return;
                    }
                    None => break,
                },
                _ = heartbeat.tick() => ": heartbeat\n\n".to_owned(),
            };
            outlet.give(part).await;
        }
        outlet.give("data: [DONE]\n\n".to_owned()).await;
    })
}

fn data(event: &impl Serialize) -> String {
    format!("data: {}\n\n", serde_json::to_string(event).expect("an event is JSON"))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::{Value, json};

    use super::*;

    async fn all(events: impl Stream<Item = Result<Value, String>> + Send + 'static) -> String {
        to_sse_stream(events).collect::<Vec<_>>().await.concat()
    }

    #[tokio::test]
    async fn events_are_followed_by_done_but_not_after_a_failure() {
        let events = stream::iter([Ok(json!({ "type": "start" })), Ok(json!({ "type": "finish" }))]);
        assert_eq!(all(events).await, "data: {\"type\":\"start\"}\n\ndata: {\"type\":\"finish\"}\n\ndata: [DONE]\n\n");
        let events = stream::iter([Ok(json!({ "type": "start" })), Err("cut off".to_owned())]);
        let error = concat!(
            r#"data: {"type":"error","errorType":"internal_error","message":"cut off","retryable":false,"#,
            r#""source":"platform"}"#,
            "\n\n"
        );
        assert_eq!(all(events).await, format!("data: {{\"type\":\"start\"}}\n\n{error}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_comment_says_every_15_seconds_that_nothing_has_broken() {
        let mut parts = to_sse_stream(stream::pending::<Result<Value, String>>());
        let began = Instant::now();
        for beat in 1..=2 {
            assert_eq!(parts.next().await.unwrap(), ": heartbeat\n\n");
            assert_eq!(began.elapsed(), HEARTBEAT * beat);
        }
    }
}
