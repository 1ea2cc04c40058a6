//! A call, from when it begins to when it is over.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::timeout};

use super::{AuditLine, Inner, Kind, Meter, audit, verdict};
use crate::{
    error::{Error, Result},
    source::{Answer, Caller, Waiting},
};

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The entry, where there is one.
    pub(crate) entry: Option<&'a str>,
    /// The tool, by the name by which it was called.
    pub(crate) tool: &'a str,
}

/// A call that is counted and written down. One that is dropped before it is over was taken back.
pub(crate) struct Note {
    book: Arc<Inner>,
    meter: Arc<Meter>,
    begun: Instant,
    draft: Option<Draft>,
    is_over: bool,
}

/// What the audit log is to say of a call; none when there is no such log.
struct Draft {
    caller: Option<Caller>,
    entry: Option<Box<str>>,
    tool: Box<str>,
    /// As JSON.
    arguments: Option<String>,
}

/// How long a call that must be written down before it is made waits for a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);

impl Note {
    pub(super) fn new(book: &Arc<Inner>, subject: &Subject<'_>, caller: Option<&Caller>) -> Self {
        let meters = book.meters.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = subject.entry.and_then(|entry| meters.get(entry)).cloned();
        drop(meters);
        let meter = known.unwrap_or_else(|| book.nobody.clone());
        meter.begin();
        let draft = book.common.audit().map(|_| Draft {
            caller: caller.cloned(),
            entry: subject.entry.map(Into::into),
            tool: subject.tool.into(),
            arguments: None,
        });
        Self { book: book.clone(), meter, begun: Instant::now(), draft, is_over: false }
    }

    /// Notes what the call was made with, as far as that is to be told.
    pub(crate) fn with(&mut self, arguments: Option<&RawValue>) {
        if let (Some(draft), Some((_, config))) = (&mut self.draft, self.book.common.audit()) {
            draft.arguments = audit::arguments(arguments.map_or("{}", RawValue::get), config.arguments);
        }
    }

    /// Whether the call may be made only when it is written down that it begins.
    pub(crate) fn must_be_written(&self) -> bool {
        self.book.common.audit().is_some_and(|(_, config)| config.require)
    }

    /// Writes down that it begins.
    ///
    /// # Errors
    /// [`Unrecorded`](Error::Unrecorded): the call must not be made.
    pub(crate) async fn is_written(&self) -> Result<()> {
        let Some((draft, (writer, _))) = self.draft.as_ref().zip(self.book.common.audit()) else { return Ok(()) };
        let (written, outcome) = oneshot::channel();
        writer.audit(draft.line().text("verdict", "begun").finish(), Some(written));
        let reason = match timeout(PATIENCE, outcome).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(_)) => "nobody writes it any more".to_owned(),
            Err(_) => "the disk is too slow".to_owned(),
        };
        Err(Error::Unrecorded { reason })
    }

    /// The call as it is waited for; when it has its answer it is over.
    pub(crate) fn until_over(
        mut self,
        answer: impl Future<Output = Result<Answer>> + Send + 'static,
    ) -> Waiting<Answer> {
        Box::pin(async move {
            let outcome = answer.await;
            self.end(&outcome);
            outcome
        })
    }

    fn end(&mut self, outcome: &Result<Answer>) {
        let (kind, error) = match outcome {
            Ok(answer) if answer.denied().is_some() => (Some(Kind::Denied), None),
            Ok(answer) => (verdict::has_failed(answer).then_some(Kind::Tool), None),
            Err(error) => (Some(Kind::of(error)), verdict::detail(error)),
        };
        let rule = outcome.as_ref().ok().and_then(Answer::denied);
        let bytes = outcome.as_ref().ok().map(|answer| answer.get().len() as u64);
        self.tell(kind, (rule, bytes, error));
    }

    fn tell(&mut self, kind: Option<Kind>, (rule, bytes, error): (Option<&str>, Option<u64>, Option<String>)) {
        self.is_over = true;
        let took = self.begun.elapsed();
        self.meter.end(took, kind);
        let Some(draft) = &self.draft else { return };
        self.book.common.note(|| {
            let verdict = kind.map_or("done", Kind::verdict);
            let mut line = draft.line().text("verdict", verdict);
            if verdict == "refused" {
                line = line.text("rule", rule.or(kind.map(Kind::word)).unwrap_or_default());
            }
            line = line.number("durationMs", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            if let Some(bytes) = bytes {
                line = line.number("resultBytes", bytes);
            }
            match (kind, error) {
                (Some(kind), Some(detail)) => line.text("error", &format!("{}: {detail}", kind.word())),
                (Some(kind), None) if verdict == "failed" => line.text("error", kind.word()),
                _ => line,
            }
        });
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(Some(Kind::Cancelled), (None, None, None));
        }
    }
}

impl Draft {
    fn line(&self) -> AuditLine {
        let mut line = AuditLine::new("call").client(self.caller.as_ref());
        if let Some(entry) = &self.entry {
            line = line.text("entry", entry);
        }
        line = line.text("tool", &self.tool);
        match &self.arguments {
            Some(arguments) => line.raw("arguments", arguments),
            None => line,
        }
    }
}
