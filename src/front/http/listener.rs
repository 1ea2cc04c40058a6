//! An address that is listened on, from taking it to leaving it.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit};
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Access, Options, Reach, connection,
    desk::{Desk, Tasks},
};
use crate::{Computer, config::host_and_port, control::Control, front::exchange::LEAVING};

/// Why an address is not listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It can be reached from elsewhere, which nobody has allowed.
    #[error(
        "`{address}` can be reached from other machines; use a loopback address such as 127.0.0.1, or allow it with \
         `--allow-remote`"
    )]
    NotLoopback {
        /// As it was given.
        address: String,
    },
    /// It can be reached from elsewhere, by everybody.
    #[error(
        "`{address}` can be reached from other machines, and there everybody needs a token; only loopback may go without"
    )]
    Unguarded {
        /// As it was given.
        address: String,
    },
    /// It is none.
    #[error("`{address}` is no address to listen on; write host and port, such as 127.0.0.1:7331 or [::1]:7331")]
    Unknown {
        /// As it was given.
        address: String,
    },
    /// The system refused.
    #[error("cannot listen on `{address}`: {reason}")]
    Io {
        /// As it was given.
        address: String,
        /// The system's reason, and the cure where there is one.
        reason: String,
    },
}

/// An address that is listened on. Who connects waits until it is [served](Self::serve); dropping it refuses them.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    options: Options,
    control: Option<Control>,
}

/// Takes an address, `host:port`, where port 0 is any. Nobody is served yet.
///
/// An address that other machines can reach is taken only where both `options.reach` and a token allow it.
///
/// # Errors
/// The address is none, is taken, or is refused as above.
pub async fn bind(address: &str, options: Options) -> Result<Listener, BindError> {
    if host_and_port(address).is_none() {
        return Err(BindError::Unknown { address: address.to_owned() });
    }
    let unknown = |error: io::Error| BindError::Io { address: address.to_owned(), reason: error.to_string() };
    let found: Vec<SocketAddr> = lookup_host(address).await.map_err(unknown)?.collect();
    permit(address, &found, &options)?;
    let failed = |error: io::Error| {
        let cure = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program listens there: end it, or take another port",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            io::ErrorKind::PermissionDenied => "; take a port above 1023",
            _ => "",
        };
        BindError::Io { address: address.to_owned(), reason: format!("{error}{cure}") }
    };
    let socket = TcpListener::bind(&found[..]).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Listener { socket, address, options, control: None })
}

/// Takes a socket that is listened on already, on the same conditions. Nobody is served yet.
///
/// # Errors
/// Its address is refused as by [`bind`], or the system does.
pub fn adopt(socket: std::net::TcpListener, options: Options) -> Result<Listener, BindError> {
    let failed = |error: io::Error| BindError::Io {
        address: "the socket that was handed over".to_owned(),
        reason: error.to_string(),
    };
    let address = socket.local_addr().map_err(failed)?;
    permit(&address.to_string(), &[address], &options)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(Listener { socket: TcpListener::from_std(socket).map_err(failed)?, address, options, control: None })
}

/// Whether it may be listened there.
fn permit(address: &str, found: &[SocketAddr], options: &Options) -> Result<(), BindError> {
    if found.iter().all(|found| is_loopback(found.ip())) {
        return Ok(());
    }
    if options.reach == Reach::Loopback {
        return Err(BindError::NotLoopback { address: address.to_owned() });
    }
    if matches!(options.access, Access::Anyone) {
        return Err(BindError::Unguarded { address: address.to_owned() });
    }
    Ok(())
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// How often it is looked after sessions that do nothing and calls that nobody comes back to, at least.
const TIDY: Duration = Duration::from_secs(60);

/// How long nobody is accepted after the system refused it: there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where everything is served.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Lets whoever shows the token control the daemon, too, under `/api`.
    #[must_use]
    pub fn controlled_by(self, control: &Control) -> Self {
        Self { control: Some(control.clone()), ..self }
    }

    /// Whether other machines can reach it.
    pub fn is_remote(&self) -> bool {
        !is_loopback(self.address.ip())
    }

    /// What another front listens with.
    #[cfg(feature = "sdk")]
    pub(crate) fn into_parts(self) -> (TcpListener, SocketAddr, Options) {
        (self.socket, self.address, self.options)
    }

    /// Serves all clients until `leave` is ready.
    ///
    /// Then nobody is accepted any more, what listens ends, requests under way get 2 s to be answered (see
    /// [`Limits`](super::Limits)), and what is left is cut. When it returns nothing of it runs any more. The Computer is
    /// neither started nor stopped: that is its owner's to do. Dropping the future cuts everything at once.
    pub async fn serve(self, computer: &Computer, leave: impl Future<Output = ()>) {
        let desk = Arc::new(Desk::new(computer, self.control, (self.address, &self.options)));
        let _cut = desk.tasks.cut.clone().drop_guard();
        tokio::select! {
            () = accept(&self.socket, &desk.tasks, |stream| connection::serve(stream, desk.clone())) => {}
            () = tidy(&desk) => {}
            () = leave => {}
        }
        drop(self.socket);
        desk.tasks.leaving.cancel();
        let last_words = desk.limits.last_words();
        if timeout(desk.limits.drain.saturating_sub(last_words), desk.tasks.ended()).await.is_err() {
            desk.sessions.say_farewell(LEAVING);
            desk.stateless.say_farewell(LEAVING);
            let _ = timeout(last_words, desk.tasks.ended()).await;
        }
        desk.tasks.cut.cancel();
        desk.sessions.end_all();
        desk.tasks.ended().await;
    }
}

/// Accepts clients. Never returns.
pub(crate) async fn accept<F: Future<Output = ()> + Send + 'static>(
    socket: &TcpListener,
    tasks: &Tasks,
    serve: impl Fn(TcpStream) -> F,
) {
    let room = Arc::new(Semaphore::new(most_connections()));
    loop {
        // Beyond, the system lets clients wait: entries need files too.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let serving = serve(accepted(socket).await);
        tasks.spawn(async move {
            serving.await;
            drop(place);
        });
    }
}

async fn accepted(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a client cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// So many files are left to everything else.
const OTHER_FILES: u64 = 256;
const FEWEST: u64 = 64;
/// Where files are plenty, memory is what a crowd takes.
const MOST: u64 = 16_384;

/// How many connections there may be, by how many files may be open.
fn most_connections() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let most = files.saturating_sub(OTHER_FILES).clamp(FEWEST, MOST);
    usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// Ends what nobody comes back to. Never returns.
async fn tidy(desk: &Desk) {
    let mut tick = interval(TIDY.min(desk.limits.session_idle / 4).max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        desk.sessions.tidy();
        desk.stateless.tidy();
    }
}
