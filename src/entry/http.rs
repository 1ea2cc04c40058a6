//! An HTTP entry: the session with a server that is not ours to start.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Recipe, fill::Filler};
use crate::{
    config::HttpConfig,
    connection::{Happening, Session},
    error::{Error, Result},
    shutdown::Grace,
    source::Face,
    supervisor::Event,
};

/// What was learnt from earlier connects.
#[derive(Debug, Default)]
pub(super) struct Learnt {}

/// A server that is connected.
pub(crate) struct Server {
    session: Session,
}

/// Where a connect would go.
pub(super) async fn resolve(recipe: &Recipe, config: &HttpConfig) -> Result<String> {
    let mut filler = Filler::new(recipe).await;
    let url = filler.text(&config.url).await?;
    Ok(filler.secrets().mask(&url).into_owned())
}

/// Connects to the server.
pub(super) async fn start(
    _recipe: &Recipe,
    _config: &HttpConfig,
    _learnt: &mut Learnt,
    _cancel: CancellationToken,
) -> Result<Server> {
    Err(Error::Cancelled)
}

impl Server {
    pub(super) fn face(&self) -> Face {
        Arc::clone(self.session.link()) as Face
    }

    /// What happens next. Cancel safe.
    pub(super) async fn next(&mut self) -> Event {
        match self.session.next().await {
            Happening::Changed => Event::Changed,
            Happening::Closed(how) => Event::Ended(Error::Ended { how, stderr: String::new() }),
        }
    }

    pub(super) async fn stop(self, _grace: Grace) {
        self.session.close(Error::Ended { how: "was left".to_owned(), stderr: String::new() }).await;
    }
}
