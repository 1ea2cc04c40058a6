//! One client's WebSocket, from the moment it is open.

use std::{sync::Arc, time::Duration};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::body::Bytes;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    chat::Chat,
    desk::{Desk, Opened},
    outbox::{Closed, Outbox},
    route::Framing,
};
use crate::front::http;

type Socket = WebSocketStream<TcpStream>;

/// Why a conversation ends.
#[derive(Debug)]
enum End {
    /// The client has closed the connection, or it is broken.
    Left,
    /// Nothing comes from the client any more, not even that it lives.
    Silent,
    /// It reads too slowly.
    Slow,
    /// What came is nothing that is understood.
    Amiss(CloseCode, &'static str),
    /// We leave.
    Away,
}

/// So many messages of a client may wait; then it is not read.
const UNHEARD: usize = 16;

/// For so long it is tried to tell a client why its connection is closed.
const LAST_WORD: Duration = Duration::from_secs(1);

/// So much is collected before it is written.
const BUFFER: usize = 16 << 10;

/// Talks with a client until one of both leaves. Its turn may go on.
pub(super) async fn talk((stream, read): (TcpStream, Bytes), opened: Opened, desk: Arc<Desk>) {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(desk.limits.body))
        .max_frame_size(Some(desk.limits.body));
    let socket = WebSocketStream::from_partially_read(stream, read.to_vec(), Role::Server, Some(config)).await;
    let out = Arc::new(Outbox::new(desk.bridge.options.waiting));
    let (say, said) = mpsc::channel(UNHEARD);
    desk.tasks.spawn(Chat::new(desk.clone(), out.clone(), opened.place).run(said));
    let (mut write, mut read) = socket.split();
    let (framing, beat) = (opened.framing, desk.bridge.options.heartbeat);
    let end = tokio::select! {
        end = hear(&mut read, &say, (framing, beat)) => end,
        end = tell(&mut write, &out, (framing, beat)) => end,
        () = desk.tasks.leaving.cancelled() => End::Away,
    };
    drop(say);
    out.close(Closed::Gone);
    tracing::debug!(?end, "a client of the bridge is done with");
    // Both are of one socket.
    let Ok(mut socket) = read.reunite(write) else { return };
    let _ = timeout(LAST_WORD, part(&mut socket, &end, framing)).await;
    if !matches!(end, End::Silent | End::Slow) {
        http::close(socket.into_inner()).await;
    }
}

/// Passes on what a client says.
async fn hear(
    socket: &mut SplitStream<Socket>,
    say: &mpsc::Sender<String>,
    (framing, beat): (Framing, Duration),
) -> End {
    loop {
        // It has answered two pings at least, if it lives.
        let Ok(next) = timeout(beat.mul_f64(2.5), socket.next()).await else { return End::Silent };
        let text = match next {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(_))) => return End::Amiss(CloseCode::Unsupported, "messages are texts"),
            Some(Ok(Message::Close(_))) | None => return End::Left,
            Some(Err(error)) => return End::from(error),
        };
        let Ok(messages) = framing.read(&text) else {
            return End::Amiss(CloseCode::Protocol, "a frame is a list of texts");
        };
        for message in messages {
            if say.send(message.into_owned()).await.is_err() {
                return End::Away;
            }
        }
    }
}

/// Tells a client what there is to tell, and that the connection lives.
async fn tell(socket: &mut SplitSink<Socket, Message>, out: &Outbox, (framing, beat): (Framing, Duration)) -> End {
    let mut beats = interval_at(Instant::now() + beat, beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next: Vec<Message> = framing.opening().map(Message::text).into_iter().collect();
    loop {
        for message in next.drain(..) {
            let sent = tokio::select! {
                sent = socket.send(message) => sent,
                closed = out.closed() => return End::from(closed),
            };
            if sent.is_err() {
                return End::Left;
            }
        }
        tokio::select! {
            message = out.next() => match message {
                Ok(message) => next.push(Message::text(framing.write(message))),
                Err(closed) => return End::from(closed),
            },
            _ = beats.tick() => {
                next.extend(framing.heartbeat().map(Message::text));
                next.push(Message::Ping(Bytes::new()));
            }
        }
    }
}

/// Says why the connection is closed, and waits until the client has closed it.
async fn part(socket: &mut Socket, end: &End, framing: Framing) {
    let (code, reason) = match end {
        // What answers the client's own word waits to be written.
        End::Left => return drop(socket.flush().await),
        End::Silent => return,
        End::Slow => (CloseCode::Policy, "what waits to be read is too much"),
        End::Amiss(code, reason) => (*code, *reason),
        End::Away => (CloseCode::Away, "the computer leaves"),
    };
    if let (End::Away, Some(away)) = (end, framing.away()) {
        let _ = socket.feed(Message::text(away)).await;
    }
    if socket.close(Some(CloseFrame { code, reason: reason.into() })).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

impl From<Closed> for End {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Gone => Self::Away,
            Closed::Full => Self::Slow,
        }
    }
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Capacity(_) => Self::Amiss(CloseCode::Size, "the message is too large"),
            tungstenite::Error::Utf8(_) => Self::Amiss(CloseCode::Invalid, "the message is no UTF-8"),
            tungstenite::Error::Protocol(error) => match error {
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake => Self::Left,
                _ => Self::Amiss(CloseCode::Protocol, "the frame is none"),
            },
            _ => Self::Left,
        }
    }
}
