//! Sessions with MCP servers. Nobody outside asks how a server is reached.

mod clock;
mod handshake;
mod link;
mod listing;
mod reader;
mod request;
mod stderr;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use handshake::Lifecycle;
pub(crate) use link::Link;
pub(crate) use stderr::Tail;

use crate::{
    error::{Error, Result},
    process::Pipes,
    secret::Secrets,
    source::{ToolList, Waiting},
    wire::Outbox,
};

/// How a connection behaves.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How long the handshake and the first list of tools may take.
    pub(crate) connect_timeout: Duration,
    /// How long a call may stay without progress.
    pub(crate) call_timeout: Duration,
    /// How long a call may last in all.
    pub(crate) max_call_time: Duration,
    /// The largest message in bytes.
    pub(crate) max_message: usize,
    /// What its stderr is kept in.
    pub(crate) tail: Tail,
    /// What errors must not show.
    pub(crate) secrets: Secrets,
}

/// A session with a server over pipes: the owner of all that belongs to it but the process.
pub(crate) struct Session {
    link: Arc<Link>,
    running: Option<handshake::Running>,
    tasks: TaskTracker,
    stop: CancellationToken,
    refresh: Option<Waiting<ToolList>>,
}

/// What happens to a session.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The tools are others.
    Changed,
    /// The server closed its output, or what came is not worth being called a connection.
    Closed(String),
}

/// The pause before a list that could not be had is asked for again.
const LIST_AGAIN: Duration = Duration::from_secs(5);

impl Session {
    /// Begins to read and to write. Nothing is sent yet.
    pub(crate) fn open(pipes: Pipes, options: Options) -> Self {
        let Pipes { stdin, stdout, stderr } = pipes;
        let outbox = stdin.map(Outbox::new).expect("a stdio entry is always given a pipe to its stdin");
        let tail = options.tail.clone();
        let (link, inbound) = Link::new(outbox.clone(), options);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(stop.clone().run_until_cancelled_owned(reader::read(link.clone(), stdout)));
        tasks.spawn(stop.clone().run_until_cancelled_owned(tail.follow(stderr)));
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { outbox.drain().await }));
        tasks.spawn(stop.clone().run_until_cancelled_owned(clock::keep(link.clone())));
        link.keep_inbound(inbound);
        Self { link, running: None, tasks, stop, refresh: None }
    }

    /// Agrees on a protocol generation and lists the tools.
    pub(crate) async fn connect(&mut self, lifecycle: Lifecycle, deadline: Instant) -> Result<()> {
        let running = timeout_at(deadline, handshake::shake_hands(&self.link, lifecycle)).await;
        let running = running.map_err(|_| self.slow("connecting"))??;
        if let Some(listening) = running.listen() {
            self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(listening));
        }
        self.running = Some(running);
        let list = timeout_at(deadline, listing::list(self.link.clone())).await;
        self.link.set_tools(list.map_err(|_| self.slow("connecting and listing the tools"))??);
        Ok(())
    }

    fn slow(&self, act: &str) -> Error {
        Error::Timeout {
            act: act.to_owned(),
            after: self.link.options().connect_timeout,
            silent: false,
            cure: "if the server is just slow to start, raise `connectTimeout`".to_owned(),
            stderr: self.link.tail().last_lines(),
        }
    }

    /// The face of it.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// What happens next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Happening {
        loop {
            if self.refresh.is_none() && self.link.take_changed() {
                self.refresh = Some(Box::pin(listing::list(self.link.clone())));
            }
            let Self { link, refresh, .. } = self;
            let idle = refresh.is_none();
            let refreshed = async {
                match refresh {
                    Some(refresh) => refresh.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                reason = link.ended() => return Happening::Closed(reason),
                listed = refreshed => {
                    self.refresh = None;
                    match listed {
                        Ok(list) => {
                            link.set_tools(list);
                            return Happening::Changed;
                        }
                        // The old list stands: a server that cannot list just now can still be called.
                        Err(error) => {
                            link.note(format!("listing the tools again failed: {error}"));
                            let again = link.clone();
                            self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(async move {
                                sleep(LIST_AGAIN).await;
                                again.mark_changed();
                            }));
                        }
                    }
                }
                () = link.changed(), if idle => {}
            }
        }
    }

    /// Ends the session: whoever waits for an answer gets `error`, and the server's stdin is closed.
    pub(crate) async fn close(mut self, error: Error) {
        self.link.fail_all(&error);
        self.link.close();
        self.stop.cancel();
        self.tasks.close();
        if let Some(running) = self.running.take() {
            running.close().await;
        }
        self.tasks.wait().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.link.fail_all(&Error::Cancelled);
        self.link.close();
        self.stop.cancel();
    }
}
