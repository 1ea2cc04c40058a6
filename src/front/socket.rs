//! The socket by which this user controls the daemon, and by which MCP clients on stdio join it.
//!
//! Only this user reaches it: it lies where nobody else may look, and who connects is asked for his user id all the
//! same. [`control`](crate::control) has the messages.

mod connection;

use std::{future::Future, io, os::unix::net::UnixListener as StdListener, sync::Arc, time::Duration};

use nix::sys::resource::{Resource, getrlimit};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    control::Control,
    process,
    state::{Held, HoldError, State, StateError},
};

/// The control socket of the daemon of an identity: while there is this, no other process is that daemon.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    held: Held,
}

/// How many connections there may be, joined clients among them, where files are plenty.
const MOST: u64 = 1024;

/// How often it is looked whether the socket is still there: who tidies up takes it for a file that nobody needs.
const LOOK: Duration = Duration::from_secs(2);

/// How long what is under way gets when the daemon leaves.
const DRAIN: Duration = Duration::from_secs(2);

/// How long nobody is accepted after the system refused it: there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    /// Makes this process the daemon of an identity, and listens. Who connects waits until it is [served](Self::serve).
    ///
    /// # Errors
    /// Another process is that daemon, or the place cannot be used.
    pub fn open(state: &State) -> Result<Self, HoldError> {
        let mut held = state.hold()?;
        let failed = |source| StateError::Io { act: "listen on", path: "the control socket".into(), source };
        let socket = tokio_listener(held.listen()?).map_err(failed)?;
        Ok(Self { socket, held })
    }

    /// Notes where this daemon serves, for whoever looks for it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&mut self, http: &[String]) -> Result<(), StateError> {
        self.held.note(http)
    }

    /// Serves until `leave` is ready, and what is under way then a little longer. Dropping the future cuts everything.
    ///
    /// The place of the daemon is given back, to be held until all is gone that it has started.
    pub async fn serve(self, control: &Control, leave: impl Future<Output = ()>) -> Held {
        let Self { mut socket, mut held } = self;
        let room = Arc::new(Semaphore::new(most()));
        let tasks =
            Tasks { leaving: CancellationToken::new(), cut: CancellationToken::new(), tracker: TaskTracker::new() };
        let _cut = tasks.cut.clone().drop_guard();
        let mut leave = std::pin::pin!(leave);
        loop {
            tokio::select! {
                () = accept(&socket, control, (&tasks, &room)) => {}
                () = &mut leave => break,
                () = gone(&held) => match held.listen_again().map(tokio_listener) {
                    Ok(Ok(new)) => {
                        tracing::warn!("the control socket was taken away, and is there again");
                        socket = new;
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "the control socket was taken away"),
                    Err(error) => tracing::warn!(%error, "the control socket was taken away"),
                },
            }
        }
        drop(socket);
        tasks.leaving.cancel();
        tasks.tracker.close();
        let _ = timeout(DRAIN, tasks.tracker.wait()).await;
        tasks.cut.cancel();
        tasks.tracker.wait().await;
        held
    }
}

fn tokio_listener(socket: StdListener) -> io::Result<UnixListener> {
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket)
}

/// How many connections there may be, by how many files may be open: each takes up to three.
fn most() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from((files / 8).clamp(32, MOST)).unwrap_or(32)
}

/// Returns when the socket is not there any more.
async fn gone(held: &Held) {
    while held.is_there() {
        sleep(LOOK).await;
    }
    // What could not be made anew is tried again at leisure.
    sleep(LOOK).await;
}

/// What runs for the listener beside the one who serves it, who awaits it.
struct Tasks {
    /// What has no end of its own ends now.
    leaving: CancellationToken,
    /// Everything ends now.
    cut: CancellationToken,
    tracker: TaskTracker,
}

/// Accepts whoever may. Never returns.
async fn accept(socket: &UnixListener, control: &Control, (tasks, room): (&Tasks, &Arc<Semaphore>)) {
    loop {
        let Ok(stream) = accepted(socket).await else { continue };
        let Ok(place) = room.clone().try_acquire_owned() else {
            // It fits: nothing was written before.
            let _ = stream.try_write(&connection::too_many());
            continue;
        };
        let work = connection::serve(stream, control.clone(), tasks.leaving.clone());
        let work = tasks.cut.clone().run_until_cancelled_owned(work);
        tasks.tracker.spawn(async move {
            work.await.unwrap_or_default();
            drop(place);
        });
    }
}

/// Somebody of this user.
async fn accepted(socket: &UnixListener) -> io::Result<UnixStream> {
    let accepted = async {
        let (stream, _) = socket.accept().await?;
        Ok((stream.peer_cred()?.uid(), stream))
    };
    match accepted.await {
        Ok((uid, stream)) if process::is_own_or_root(uid) => Ok(stream),
        Ok((uid, _)) => {
            tracing::warn!(uid, "another user asked for control and was refused");
            Err(io::ErrorKind::PermissionDenied.into())
        }
        Err(error) => {
            let error: io::Error = error;
            tracing::warn!(%error, "nobody can be accepted who asks for control");
            sleep(PAUSE).await;
            Err(error)
        }
    }
}
