//! What goes on with one client: its session, and its turn, one at a time.

use std::{
    future::{pending, ready},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

use super::{
    desk::Desk,
    outbox::{Closed, Outbox},
};
use crate::provider::Promise;
use crate::sdk::{
    AgentSession, AttachOptions, ErrorEvent, ErrorType, Result, SdkError, SocketHandlers, SocketMessage, StreamEvent,
};

/// What is under way for a client.
type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// So long a first turn waits for the tools of a computer that has only begun to start.
const TOOLS: Duration = Duration::from_secs(10);

/// So long the platform may take to make a session.
const MAKING: Duration = Duration::from_secs(60);

/// One client's session and turn. It goes on when the client has gone, until its turn is over.
pub(super) struct Chat {
    desk: Arc<Desk>,
    out: Arc<Outbox>,
    session: Option<AgentSession>,
    /// The session that is being made. It is not given up: the platform would have it, and nobody else.
    making: Option<Doing<Result<AgentSession>>>,
    /// What is asked of the session that is being made.
    wanted: Option<SocketMessage>,
    turn: Option<Doing<()>>,
    /// Its place among the clients.
    _place: OwnedSemaphorePermit,
}

/// What has happened.
enum Happened {
    Said(String),
    Left,
    Made(Result<AgentSession>),
    Over,
}

/// What a client says.
enum Said {
    /// Which session it means.
    Init(Init),
    Of(SocketMessage),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Init {
    session_id: String,
}

/// The types of messages that are for us.
const TYPES: [&str; 4] = ["trigger", "continue", "stop", "init"];

impl Chat {
    pub(super) fn new(desk: Arc<Desk>, out: Arc<Outbox>, place: OwnedSemaphorePermit) -> Self {
        Self { desk, out, session: None, making: None, wanted: None, turn: None, _place: place }
    }

    /// Does what the client asks until it has gone and its turn is over, or all clients are to leave.
    pub(super) async fn run(mut self, mut said: mpsc::Receiver<String>) {
        let leaving = self.desk.tasks.leaving.clone();
        let chatting = async {
            loop {
                match self.next(Some(&mut said)).await {
                    Happened::Left => break,
                    happened => self.take(happened),
                }
            }
            self.out.close(Closed::Gone);
            let limit = self.desk.bridge.options.abandoned;
            if timeout(limit, self.rest()).await.is_err() {
                tracing::warn!("a turn was ended: its client has gone, and it went on for {limit:?}");
            }
        };
        let _ = leaving.run_until_cancelled(chatting).await;
    }

    /// What is under way when the client has gone.
    async fn rest(&mut self) {
        while self.making.is_some() || self.turn.is_some() {
            let happened = self.next(None).await;
            self.take(happened);
        }
    }

    /// What happens next. Cancel safe.
    async fn next(&mut self, said: Option<&mut mpsc::Receiver<String>>) -> Happened {
        let said = async {
            match said {
                Some(said) => said.recv().await.map_or(Happened::Left, Happened::Said),
                None => pending().await,
            }
        };
        tokio::select! {
            said = said => said,
            made = doing(&mut self.making) => Happened::Made(made),
            () = doing(&mut self.turn) => Happened::Over,
        }
    }

    fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Said(text) => self.hear(&text),
            Happened::Made(made) => self.made(made),
            Happened::Over => self.turn = None,
            Happened::Left => {}
        }
    }

    fn hear(&mut self, text: &str) {
        match read(text) {
            Ok(None) => {}
            Ok(Some(Said::Init(init))) => self.begin_with(&init.session_id),
            Ok(Some(Said::Of(SocketMessage::Stop))) => self.stop(),
            Ok(Some(Said::Of(message))) => self.ask(message),
            Err(words) => self.tell(ErrorEvent::platform(ErrorType::ValidationError, words)),
        }
    }

    /// Goes on with the session that the client names.
    fn begin_with(&mut self, session_id: &str) {
        self.stop();
        self.making = None;
        match self.desk.attach(session_id) {
            Ok(session) => self.session = Some(session),
            Err(error) => self.tell(error.as_event()),
        }
    }

    /// Ends what is under way; nothing more of it is told.
    fn stop(&mut self) {
        self.turn = None;
        self.wanted = None;
    }

    fn ask(&mut self, message: SocketMessage) {
        if let Some(session) = self.session.clone() {
            self.stop();
            self.turn = Some(Box::pin(turn(session, message, Teller::new(self.out.clone()))));
        } else if matches!(message, SocketMessage::Trigger(_)) {
            self.wanted = Some(message);
            let desk = self.desk.clone();
            self.making.get_or_insert_with(|| Box::pin(async move { desk.session().await }));
        }
    }

    fn made(&mut self, made: Result<AgentSession, SdkError>) {
        self.making = None;
        match (made, self.wanted.take()) {
            (Ok(session), wanted) => {
                self.session = Some(session);
                if let Some(wanted) = wanted {
                    self.ask(wanted);
                }
            }
            (Err(error), Some(_)) => self.tell(error.as_event()),
            (Err(_), None) => {}
        }
    }

    fn tell(&self, error: ErrorEvent) {
        Teller::new(self.out.clone()).on_event(StreamEvent::Error(error));
    }
}

async fn turn(session: AgentSession, message: SocketMessage, mut teller: Teller) {
    session.handle_socket_message(message, &mut teller).await;
}

/// What comes of something that is under way; never when nothing is. It must be taken away then.
async fn doing<T>(what: &mut Option<Doing<T>>) -> T {
    match what {
        Some(doing) => doing.await,
        None => pending().await,
    }
}

/// Reads what a client says; nothing when it is not for us.
fn read(text: &str) -> std::result::Result<Option<Said>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("the message is no JSON: {error}"))?;
    let Some(kind) = value["type"].as_str().map(ToOwned::to_owned).filter(|kind| TYPES.contains(&kind.as_str())) else {
        return Ok(None);
    };
    let read = match kind.as_str() {
        "init" => serde_json::from_value(value).map(Said::Init),
        _ => serde_json::from_value(value).map(Said::Of),
    };
    read.map(Some).map_err(|error| format!("the `{kind}` message cannot be read: {error}"))
}

/// What a client is told of a turn that the platform ends without an event that says so: it waits for one.
const WITHOUT_A_WORD: &str = "the platform has ended the turn without a word";

/// Tells a client what happens.
struct Teller {
    out: Arc<Outbox>,
    /// Whether it knows that its turn is over.
    is_told: bool,
}

impl Teller {
    fn new(out: Arc<Outbox>) -> Self {
        Self { out, is_told: false }
    }
}

impl SocketHandlers for Teller {
    fn on_event(&mut self, event: StreamEvent) {
        self.is_told |= matches!(event, StreamEvent::Finish { .. } | StreamEvent::Error(_));
        // An event has no part that is no JSON.
        if let Ok(text) = serde_json::to_string(&event) {
            self.out.put(text);
        }
    }

    fn on_finish(&mut self) -> Promise<'_, ()> {
        if !self.is_told {
            self.on_event(StreamEvent::Error(ErrorEvent::platform(ErrorType::InternalError, WITHOUT_A_WORD)));
        }
        Box::pin(ready(()))
    }
}

impl Desk {
    /// A new session, with the tools of the computer.
    async fn session(&self) -> Result<AgentSession> {
        self.bridge.computer.settled_within(TOOLS).await;
        let (bridge, sessions) = (&self.bridge, self.bridge.client.agent_sessions());
        let made = timeout(MAKING, sessions.create(&bridge.agent, bridge.options.input.clone())).await;
        self.attach(&made.unwrap_or(Err(SdkError::Stalled { act: "making a session", after: MAKING }))?)
    }

    /// A session that there is, with the tools of the computer.
    fn attach(&self, id: &str) -> Result<AgentSession> {
        let client = &self.bridge.client;
        let session = client.agent_sessions().attach(id, AttachOptions::new().uploading(client.files(), id))?;
        session.set_dynamic_tools(self.bridge.computer.clone());
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_us_is_read_and_what_is_not_is_left() {
        let message = |text: &str| match read(text) {
            Ok(Some(Said::Of(message))) => message,
            _ => panic!("{text}"),
        };
        assert_eq!(message(r#"{"type":"stop","x":1}"#), SocketMessage::Stop);
        assert!(matches!(message(r#"{"triggerName":"t","type":"trigger"}"#), SocketMessage::Trigger(_)));
        let init = read(r#"{"type":"init","sessionId":"s"}"#);
        assert!(matches!(init, Ok(Some(Said::Init(init))) if init.session_id == "s"));
        for other in ["1", "[]", "{}", r#"{"type":"typing"}"#, r#"{"type":5}"#] {
            assert!(matches!(read(other), Ok(None)), "{other}");
        }
        for wrong in
            ["", "{", r#"{"type":"trigger"}"#, r#"{"type":"init"}"#, r#"{"type":"continue","executionId":"e"}"#]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
