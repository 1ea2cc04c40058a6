//! A proxy in this process.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::future::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A proxy that notes what it is asked for, and leads everything to one address.
pub(crate) fn proxy(to: SocketAddr) -> Proxy {
    let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std.set_nonblocking(true).unwrap();
    let address = std.local_addr().unwrap();
    let listener = TcpListener::from_std(std).unwrap();
    let (asked, tasks, running) = (Arc::new(Mutex::new(Vec::new())), TaskTracker::new(), CancellationToken::new());
    let (log, all, stop) = (asked.clone(), tasks.clone(), running.clone());
    tasks.spawn(running.clone().run_until_cancelled_owned(async move {
        while let Ok((client, _)) = listener.accept().await {
            all.spawn(stop.clone().run_until_cancelled_owned(lead(client, to, log.clone()).map(|_| ())));
        }
    }));
    Proxy { address, asked, running }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    running: CancellationToken,
}

impl Proxy {
    /// The first line of everything it was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.cancel();
    }
}

async fn lead(mut client: TcpStream, to: SocketAddr, log: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let first = text.lines().next().unwrap_or_default().to_owned();
    log.lock().unwrap().push(first.clone());
    let mut server = TcpStream::connect(to).await?;
    if first.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server.write_all(&head).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
