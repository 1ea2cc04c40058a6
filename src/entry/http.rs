//! An HTTP entry: the session with a server that is not ours to start.

mod prepare;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Recipe;
use crate::{
    config::{HttpConfig, HttpTransport},
    connection::{self, Happening, Lifecycle, Session},
    error::{Delivery, Error, Result},
    fill::{Filler, Surroundings},
    shutdown::Grace,
    source::Face,
    supervisor::Event,
};
use prepare::Prepared;

/// What was learnt from earlier connects.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    way: Option<Way>,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Streamable HTTP, of the newest generation that both know.
    Newest,
    /// Streamable HTTP of the generations that begin with `initialize`, for servers that take the question amiss.
    Initialize,
    /// The older HTTP+SSE transport.
    Older,
}

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(30);

/// A server that is connected.
pub(crate) struct Server {
    session: Session,
}

/// Where a connect would go.
pub(super) async fn resolve(around: &Surroundings, config: &HttpConfig) -> Result<String> {
    let mut filler = Filler::new(around).await;
    let url = prepare::url(&mut filler, &config.url).await?;
    // What is missing there keeps it from connecting as well.
    prepare::headers(&mut filler, &config.headers).await?;
    Ok(filler.secrets().mask(&connection::place(&url)).into_owned())
}

/// Connects to the server.
///
/// A server that takes the question for the newest generation amiss is asked the old way on a connection of its own; one
/// that does not know Streamable HTTP at all is asked over the older transport. What works is remembered.
pub(super) async fn start(
    recipe: &Recipe,
    config: &HttpConfig,
    learnt: &mut Learnt,
    cancel: CancellationToken,
) -> Result<Server> {
    // Boxed because it is large and short-lived, and whoever starts entries lives long.
    let connected = cancel.run_until_cancelled(Box::pin(connect(recipe, config, learnt))).await;
    connected.unwrap_or(Err(Error::Cancelled))
}

async fn connect(recipe: &Recipe, config: &HttpConfig, learnt: &mut Learnt) -> Result<Server> {
    let deadline = Instant::now() + config.connect_timeout.unwrap_or(CONNECT);
    let prepared = Prepared::new(recipe, config).await?;
    let mut way = match (config.transport, learnt.way.take()) {
        (HttpTransport::Sse, _) => Way::Older,
        (HttpTransport::Auto, known) => known.unwrap_or(Way::Newest),
    };
    // The first refusal says most: what comes after it only guesses.
    let mut first: Option<Error> = None;
    loop {
        let refused = match attempt((recipe, config), &prepared, way, deadline).await {
            Ok(session) => {
                learnt.way = Some(way);
                return Ok(Server { session });
            }
            Err(refused) => refused,
        };
        let next = match way {
            Way::Newest | Way::Initialize if refused.may_be_older => Some(Way::Older),
            Way::Newest if refused.is_of_the_question() => Some(Way::Initialize),
            Way::Newest | Way::Initialize | Way::Older => None,
        };
        let error = match first.take() {
            Some(first) => told(first, refused.error, way),
            None => refused.error,
        };
        match next {
            Some(next) => (way, first) = (next, Some(error)),
            None => return Err(error),
        }
    }
}

/// What is said of a server that was asked in more than one way.
fn told(first: Error, last: Error, way: Way) -> Error {
    match first {
        // Credentials are wanted, or nobody is there: that is what has to be mended.
        _ if matches!(last, Error::NeedsAuth { .. } | Error::Http { delivery: Delivery::Unsent, .. }) => last,
        Error::Protocol { act, reason, stderr } if way == Way::Older => {
            let reason = format!("{reason} (nor does it speak the older HTTP+SSE transport)");
            Error::Protocol { act, reason, stderr }
        }
        first => first,
    }
}

/// A connect that failed.
struct Failed {
    error: Error,
    may_be_older: bool,
}

impl Failed {
    /// Whether the server may just have disliked the question.
    fn is_of_the_question(&self) -> bool {
        match &self.error {
            Error::Protocol { .. } | Error::Ended { .. } | Error::Server { .. } => true,
            Error::Http { delivery, .. } => *delivery != Delivery::Unsent,
            _ => false,
        }
    }
}

async fn attempt(
    (recipe, config): (&Recipe, &HttpConfig),
    prepared: &Prepared,
    way: Way,
    deadline: Instant,
) -> std::result::Result<Session, Failed> {
    let mut session = Session::open_http(prepared.site.clone(), prepared.options(recipe, config, CONNECT));
    let outcome = match way {
        Way::Newest => session.connect(Lifecycle::Auto, deadline).await,
        Way::Initialize => session.connect(Lifecycle::Initialize, deadline).await,
        Way::Older => session.connect_older(deadline).await,
    };
    let error = match outcome {
        Ok(()) => return Ok(session),
        Err(error) => session.failure().unwrap_or(error),
    };
    let error = prepared.site.secrets.mask_error(error);
    let may_be_older = session.may_be_older();
    let farewell = session.farewell();
    session.close(error.clone()).await;
    farewell.await;
    Err(Failed { error, may_be_older })
}

impl Server {
    pub(super) fn face(&self) -> Face {
        Arc::clone(self.session.link()) as Face
    }

    /// What happens next. Cancel safe.
    pub(super) async fn next(&mut self) -> Event {
        let how = match self.session.next().await {
            Happening::Changed => return Event::Changed,
            Happening::Closed(how) => how,
        };
        self.session.settle().await;
        let error = self.session.failure().unwrap_or_else(|| Error::ended(how, ""));
        Event::Ended(error)
    }

    /// Fails the calls in flight.
    pub(super) fn let_down(&self, error: &Error) {
        // Whoever waits has sent a request: that it was not sent is true of the one alone that found out.
        let in_flight = match error.clone() {
            Error::Http { act, url, reason, .. } => Error::Http { act, url, reason, delivery: Delivery::Unknown },
            other => other,
        };
        self.session.link().fail_all(&in_flight);
    }

    pub(super) async fn stop(self, mut grace: Grace) {
        let stopped = Error::ended_as_asked("was left");
        let farewell = self.session.farewell();
        self.session.close(stopped).await;
        tokio::select! {
            () = farewell => {}
            () = grace.over() => {}
        }
    }
}
