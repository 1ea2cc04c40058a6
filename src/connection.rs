//! Sessions with MCP servers. Nobody outside asks how a server is reached.

mod amiss;
mod ask;
mod clock;
mod handshake;
mod http;
mod lane;
mod link;
mod listing;
mod pace;
mod reader;
mod request;
mod rounds;
mod subscribed;
mod vigil;

use std::{future::Future, sync::Arc, time::Duration};

pub(crate) use ask::unattended;
pub(crate) use handshake::Lifecycle;
pub(crate) use http::{Helper, Printing, Site, Wary, place};
use lane::Lane;
pub(crate) use link::Link;
pub(crate) use subscribed::Subscribed;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::{
    config::Unattended,
    error::{Error, Result},
    name::Namespace,
    process::{Pipes, Tail},
    records::EntryLog,
    secret::Secrets,
    source::{Listings, Notices, ToolList, Waiting},
    wire::Outbox,
};

/// How a connection behaves.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Whose connection it is.
    pub(crate) namespace: Namespace,
    /// Where goes what the server says without being asked.
    pub(crate) notices: Notices,
    /// The resources that somebody wants to hear of.
    pub(crate) subscribed: Subscribed,
    /// What happens to its questions when nobody is there to be asked.
    pub(crate) unattended: Unattended,
    /// How long the handshake and the first list of tools may take.
    pub(crate) connect_timeout: Duration,
    /// How long a call may stay without progress.
    pub(crate) call_timeout: Duration,
    /// How long a call may last in all.
    pub(crate) max_call_time: Duration,
    /// After how much silence it is asked for a sign of life.
    pub(crate) probe_interval: Duration,
    /// The largest message in bytes.
    pub(crate) max_message: usize,
    /// What its stderr is kept in.
    pub(crate) tail: Tail,
    /// What errors must not show.
    pub(crate) secrets: Secrets,
    /// What is noted of the entry.
    pub(crate) log: EntryLog,
}

/// A session with a server: the owner of all that belongs to it but the process.
pub(crate) struct Session {
    link: Arc<Link>,
    running: Option<handshake::Running>,
    refresh: Option<Waiting<(ToolList, Option<Listings>)>>,
    pace: pace::Pace,
}

/// What happens to a session.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The tools are others.
    Changed,
    /// The server closed its output, or what came is not worth being called a connection.
    Closed(String),
}

/// How long lists of what is not tools are waited for before others get to see the tools.
const SOON: Duration = Duration::from_secs(3);

/// The pause before a list that could not be had is asked for again.
const LIST_AGAIN: Duration = Duration::from_secs(5);

/// How long messages get to learn for themselves that there is no server any more.
const SETTLE: Duration = Duration::from_millis(100);

impl Session {
    /// Begins to read and to write pipes. Nothing is sent yet.
    pub(crate) fn open(pipes: Pipes, options: Options) -> Self {
        let Pipes { stdin, stdout, stderr, .. } = pipes;
        let outbox = stdin.map(Outbox::new).expect("a stdio entry is always given a pipe to its stdin");
        let tail = options.tail.clone();
        let session = Self::over(Lane::Pipe(outbox.clone()), options);
        session.link.spawn(reader::read(session.link.clone(), stdout));
        session.link.spawn(tail.follow(stderr));
        session.link.spawn(async move { outbox.drain().await });
        session
    }

    /// Makes ready to post messages. Nothing is sent yet.
    pub(crate) fn open_http(site: Arc<Site>, options: Options) -> Self {
        let lane = http::Lane::new(site);
        let session = Self::over(Lane::Http(lane.clone()), options);
        lane.bind(&session.link);
        session
    }

    fn over(lane: Lane, options: Options) -> Self {
        let (link, inbound) = Link::new(lane, options);
        link.spawn(clock::keep(link.clone()));
        link.keep_inbound(inbound);
        Self { link, running: None, refresh: None, pace: pace::Pace::default() }
    }

    /// Agrees on a protocol generation, and lists what the server has.
    pub(crate) async fn connect(&mut self, lifecycle: Lifecycle, deadline: Instant) -> Result<()> {
        let running = timeout_at(deadline, handshake::shake_hands(&self.link, lifecycle)).await;
        let running = running.map_err(|_| self.slow("connecting"))??;
        if let Some(listening) = running.listen() {
            self.link.spawn(listening);
        }
        self.running = Some(running);
        // That the tools can be listed decides; what else there is may come later.
        let tools = timeout_at(deadline, listing::list(self.link.clone()));
        let (tools, listings) = tokio::join!(tools, soon(&self.link));
        let tools = tools.map_err(|_| self.slow("connecting and listing the tools"))??;
        self.link.set_tools(tools);
        self.show(listings);
        self.link.spawn(request::subscribe_again(self.link.clone()));
        self.link.spawn(vigil::keep(self.link.clone()));
        Ok(())
    }

    /// Shows what else there is, or, when it has not come soon, goes on asking without keeping anybody waiting.
    fn show(&self, listings: Option<Listings>) {
        if let Some(listings) = listings {
            return self.link.set_listings(listings);
        }
        let link = self.link.clone();
        self.link.spawn(async move {
            link.set_listings(listing::listings(link.clone()).await);
            link.mark_otherwise();
        });
    }

    /// The same over the older HTTP+SSE transport, which only servers of the oldest generation speak.
    pub(crate) async fn connect_older(&mut self, deadline: Instant) -> Result<()> {
        if let Some(lane) = self.link.http() {
            let opened = timeout_at(deadline, lane.open_older(&self.link)).await;
            opened.map_err(|_| self.slow("connecting"))??;
        }
        self.connect(Lifecycle::Initialize, deadline).await
    }

    /// What ended a session over HTTP, when it was more than can be said of a pipe.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.link.http()?.failure()
    }

    /// Waits a moment for messages that may be about to learn for themselves what became of them: one that turns out
    /// to have reached nobody may be sent again, one that is given up may not. Cancel safe.
    pub(crate) fn settle(&self) -> impl Future<Output = ()> + use<> {
        let link = self.link.clone();
        async move {
            let settled = async {
                while link.is_awaited() {
                    sleep(SETTLE / 20).await;
                }
            };
            let _ = timeout(SETTLE, settled).await;
        }
    }

    /// Whether the server answered as one does that speaks only the older HTTP+SSE transport.
    pub(crate) fn may_be_older(&self) -> bool {
        self.link.http().is_some_and(http::Lane::refused_hello)
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
                let (due, link) = (self.pace.next(Instant::now()), self.link.clone());
                self.refresh = Some(Box::pin(async move {
                    sleep_until(due).await;
                    // What has changed meanwhile is seen now.
                    link.take_changed();
                    list_all(link).await
                }));
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
                        Ok((tools, listings)) => {
                            link.set_tools(tools);
                            self.show(listings);
                            return Happening::Changed;
                        }
                        // The old list stands: a server that cannot list just now can still be called.
                        Err(error) => {
                            link.note(format!("listing the tools again failed: {error}"));
                            let again = link.clone();
                            link.spawn(async move {
                                sleep(LIST_AGAIN).await;
                                again.mark_changed();
                            });
                        }
                    }
                }
                () = link.changed(), if idle => {}
                () = link.otherwise() => return Happening::Changed,
            }
        }
    }

    /// Ends the session: whoever waits for an answer gets `error`, and the server's stdin is closed.
    pub(crate) async fn close(mut self, error: Error) {
        self.link.fail_all(&error);
        self.link.close();
        self.link.cancel_tasks();
        if let Some(running) = self.running.take() {
            running.close().await;
        }
        self.link.end_tasks().await;
    }

    /// Tells a server of HTTP that the session is over. To be awaited when it is closed.
    pub(crate) fn farewell(&self) -> impl Future<Output = ()> + use<> {
        let leaving = self.link.http().map(http::Lane::leave);
        async move {
            if let Some(leaving) = leaving {
                leaving.await;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.link.fail_all(&Error::Cancelled);
        self.link.close();
        self.link.cancel_tasks();
    }
}

/// All that a server has; nothing of what is beside its tools when that does not come soon.
async fn list_all(link: Arc<Link>) -> Result<(ToolList, Option<Listings>)> {
    let (tools, listings) = tokio::join!(listing::list(link.clone()), soon(&link));
    Ok((tools?, listings))
}

/// What a server has beside its tools, if it says so soon.
async fn soon(link: &Arc<Link>) -> Option<Listings> {
    timeout(SOON, listing::listings(link.clone())).await.ok()
}
