//! One connection of a client, from the moment it is accepted.

use std::{convert::Infallible, future::Future, future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{body::Body, desk::Desk};

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Serves a connection until the client closes it, or, when the listener leaves, until its request is answered.
pub(super) async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    // Without this the system waits for more before it sends a short event.
    let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { return };
    let leaving = desk.tasks.leaving.clone();
    let limits = desk.limits;
    let service = service_fn(move |request: Request<Incoming>| {
        let answering = desk.clone().answer(request, local);
        Box::pin(async move { Ok(*answering.await) }) as Answering
    });
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
    let _ = timeout(LINGER, linger(connection.into_parts().io.into_inner())).await;
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
