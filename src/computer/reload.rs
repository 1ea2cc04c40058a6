//! Going by the config file as it is written now.

use std::sync::PoisonError;

use super::{Applied, Computer, Event};
use crate::{
    config::{
        LoadError, Loaded, Problem,
        watch::{Origin, Watch},
    },
    environment, process,
};

impl Computer {
    /// Reads the configuration again and [applies](Self::apply) it, even when its text is the same: values that it
    /// refers to may be others.
    ///
    /// Cancel safe: it is applied whole or not at all.
    ///
    /// # Errors
    /// The file cannot be used: nothing has changed. That is told as an [`Event::ConfigRefused`] and said in the log, and
    /// shown by health until it can be used again.
    pub async fn reload(&self, origin: &Origin) -> Result<Applied, LoadError> {
        // What the user's shell would say may be another as well.
        environment::outdate_login();
        let loaded = read(origin).await.inspect_err(|error| self.refuse(error))?;
        self.accept(&loaded.warnings);
        Ok(self.apply(loaded.config).await)
    }

    /// Applies the configuration each time its file has changed, for as long as it is polled. Never returns.
    ///
    /// A file that cannot be used changes nothing, and is told as [`reload`](Self::reload) tells it; so does one that is
    /// gone, until it is there again. One that says the same as before applies nothing. Cancel safe: dropping it ends
    /// the watching.
    pub async fn follow(&self, origin: &Origin) {
        let mut watch = Watch::begin(origin.decided_by());
        // What the file said, and not what holds: whoever made the Computer may have changed something of it.
        let mut last = origin.first().clone();
        loop {
            match read(origin).await {
                Ok(loaded) if loaded.config == last => self.accept(&[]),
                Ok(loaded) => {
                    self.accept(&loaded.warnings);
                    last = loaded.config;
                    self.apply(last.clone()).await;
                }
                // Said once, however often it is looked at.
                Err(error) if self.config_problems() == lines(&error) => {}
                Err(error) => self.refuse(&error),
            }
            watch.changed().await;
        }
    }

    /// Why the configuration as it is written now does not hold; empty when it does.
    pub fn config_problems(&self) -> Vec<String> {
        self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn accept(&self, warnings: &[Problem]) {
        let refused = std::mem::take(&mut *self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner));
        if !refused.is_empty() {
            tracing::warn!("the config can be used again");
        }
        for warning in warnings {
            tracing::warn!(warning = warning.to_string(), "about the config");
        }
    }

    fn refuse(&self, error: &LoadError) {
        let problems = lines(error);
        self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&problems);
        for problem in &problems {
            // On one line, whatever the file holds.
            tracing::warn!(problem = problem.as_str(), "the config is not applied; what held before holds");
        }
        self.inner.board.tell(Event::ConfigRefused { problems });
    }
}

/// On a thread that may block: the file may lie on a network.
async fn read(origin: &Origin) -> Result<Loaded, LoadError> {
    let of = origin.clone();
    let unreadable =
        || LoadError::Unreadable { path: origin.path().to_owned(), reason: "reading it failed".to_owned() };
    process::blocking(move || of.read()).await.unwrap_or_else(|| Err(unreadable()))
}

/// Every mistake with its place, or the one reason.
fn lines(error: &LoadError) -> Vec<String> {
    match error {
        LoadError::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    }
}
