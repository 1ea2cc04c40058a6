//! Making one request of an execution, again where that was asked for.

use std::time::Duration;

use reqwest::{
    Response, StatusCode,
    header::{HeaderValue, RETRY_AFTER},
};
use tokio::time::{sleep, timeout};

use super::{Halt, Run};
use crate::sdk::{
    error::{Refusal, SdkError},
    event::{ErrorEvent, StreamEvent},
    when, wire,
};

/// What is waited before the first try that is made again, doubled for each after it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, whoever asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

const ACT: &str = "asking the platform";

/// The header that says which session was made.
const SESSION: &str = "X-Octavus-Session-Id";

impl Run {
    /// Makes a request; the answer is one that can be listened to.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> Result<Response, Halt> {
        let mut tries = 0;
        loop {
            let sent = self.unless_stopped(self.send(path, body.clone())).await?;
            let again = tries < self.plan.wire.options().retries;
            let pause = match sent {
                Ok(response) if again && is_passing(response.status()) => pause(tries, Some(&response)),
                Ok(response) => return self.checked(response).await,
                Err(SdkError::Transport { .. } | SdkError::Stalled { .. }) if again => pause(tries, None),
                Err(error) => return Err(Halt::Failed(error)),
            };
            self.unless_stopped(sleep(pause)).await?;
            tries += 1;
        }
    }

    async fn send(&self, path: &str, body: Vec<u8>) -> Result<Response, SdkError> {
        let sent = self.plan.wire.open(ACT, path, body);
        match self.plan.wire.options().idle_timeout {
            None => sent.await,
            Some(limit) => timeout(limit, sent).await.unwrap_or(Err(SdkError::Stalled { act: ACT, after: limit })),
        }
    }

    async fn checked(&self, response: Response) -> Result<Response, Halt> {
        let status = response.status();
        let event = if !status.is_success() {
            let fallback = wire::fallback(self.plan.context, &response);
            let body = self.unless_stopped(wire::refusal(response)).await?;
            let message = Refusal::flat(&body).and_then(|refusal| refusal.message).unwrap_or(fallback);
            StreamEvent::Error(ErrorEvent::of_status(status.as_u16(), message))
        } else if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
            StreamEvent::internal("Response body is not readable")
        } else {
            if let Some(Ok(id)) = response.headers().get(SESSION).map(HeaderValue::to_str) {
                self.plan.place.learn(id);
            }
            return Ok(response);
        };
        self.tell(event).await;
        Err(Halt::Ended)
    }
}

/// Whether the same request may get another answer soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

fn pause(tries: u32, response: Option<&Response>) -> Duration {
    let asked = response.and_then(|response| when::retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?));
    asked
        .unwrap_or_else(|| {
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST_PAUSE);
            // Not all who were refused at once come back at once: a quarter more or less.
            let drawn = getrandom::u32().map_or(0.5, |drawn| f64::from(drawn) / f64::from(u32::MAX));
            pause.mul_f64(0.75 + drawn / 2.0)
        })
        .min(if asked.is_some() { LONGEST_PAUSE } else { Duration::MAX })
}
