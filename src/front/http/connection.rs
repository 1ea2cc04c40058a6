//! One connection of a client, from the moment it is accepted.

use std::{convert::Infallible, future::Future, future::poll_fn, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{body::Body, desk::Desk, limits::Limits};

/// A reply that is being made.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Serves a connection until the client closes it, or, when the listener leaves, until its request is answered.
pub(super) async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    let (leaving, limits) = (desk.tasks.leaving.clone(), desk.limits);
    let left = requests(stream, (&leaving, &limits), move |request, local| {
        let answering = desk.clone().answer(request, local);
        Box::pin(async move { Ok(*answering.await) })
    });
    if let Some((stream, _)) = left.await {
        close(stream).await;
    }
}

/// Answers the requests of a connection, and gives back what it was made on, with what was read and is no request: a
/// reply may have switched to another protocol.
pub(crate) async fn requests(
    stream: TcpStream,
    (leaving, limits): (&CancellationToken, &Limits),
    answer: impl Fn(Request<Incoming>, SocketAddr) -> Answering + Send + Unpin,
) -> Option<(TcpStream, Bytes)> {
    // Without this the system waits for more before it sends a short event.
    let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { return None };
    let service = service_fn(move |request: Request<Incoming>| answer(request, local));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head.max(SMALLEST_BUFFER))
        .serve_connection(TokioIo::new(stream), service);
    let mut told = false;
    let outcome = loop {
        tokio::select! {
            outcome = poll_fn(|context| connection.poll_without_shutdown(context)) => break outcome,
            () = leaving.cancelled(), if !told => {
                Pin::new(&mut connection).graceful_shutdown();
                told = true;
            }
        }
    };
    if let Err(error) = &outcome {
        tracing::debug!(%error, "a connection ended");
    }
    let left = connection.into_parts();
    Some((left.io.into_inner(), left.read_buf))
}

/// Closes a connection after our last word.
pub(crate) async fn close(stream: TcpStream) {
    let _ = timeout(LINGER, linger(stream)).await;
}

/// The HTTP library takes no smaller one.
const SMALLEST_BUFFER: usize = 8 << 10;

/// For so long, and so many bytes, what a client still sends is thrown away after our last word.
const LINGER: Duration = Duration::from_secs(2);
const THROWN_AWAY: usize = 16 << 20;

/// Closes a connection so that the client reads our last word: were it closed with something unread, the system would
/// take back what is on its way.
async fn linger(mut stream: TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    let mut thrown_away = 0;
    if stream.shutdown().await.is_err() {
        return;
    }
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        thrown_away += read;
        if thrown_away > THROWN_AWAY {
            return;
        }
    }
}
