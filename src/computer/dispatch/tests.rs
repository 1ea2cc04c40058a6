//! Waiting for entries, and sending once more, with time that stands still until it is needed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::*;
use crate::{
    shutdown::Grace,
    source::{About, Source, ToolList},
    supervisor::{Begin, Event, Live, Policy, Unit, supervise_known},
};

/// What becomes of the calls that an entry gets in one life.
#[derive(Debug, Clone, Copy)]
enum Calls {
    Answered,
    /// It dies of them.
    Fatal,
    /// It turns out to be gone when one is handed over.
    Missed,
}

/// What the starts of an entry do, the last one for ever: so long they take, and what becomes of calls then.
type Lives = Vec<(Duration, Calls)>;

/// An entry of cardboard.
struct Cardboard {
    lives: Lives,
    calls: Arc<AtomicUsize>,
}

struct Alive(Arc<Person>);

struct Person {
    of: Calls,
    open: AtomicBool,
    gone: CancellationToken,
    calls: Arc<AtomicUsize>,
}

fn died() -> Error {
    Error::ended("died", "")
}

impl Unit for Cardboard {
    type Live = Alive;

    async fn start(&mut self, cancel: CancellationToken) -> Result<Alive> {
        let (time, of) = if self.lives.len() > 1 { self.lives.remove(0) } else { self.lives[0] };
        cancel.run_until_cancelled(tokio::time::sleep(time)).await.ok_or(Error::Cancelled)?;
        let (open, gone, calls) = (AtomicBool::new(true), CancellationToken::new(), self.calls.clone());
        Ok(Alive(Arc::new(Person { of, open, gone, calls })))
    }

    async fn is_mended(&mut self, _: &Error) -> Option<bool> {
        None
    }
}

impl Live for Alive {
    type Face = Face;

    fn face(&self) -> Face {
        self.0.clone()
    }

    async fn next(&mut self) -> Event {
        self.0.gone.cancelled().await;
        Event::Ended(died())
    }

    async fn stop(self, _: Grace) {}
}

impl Source for Person {
    fn tools(&self) -> Arc<ToolList> {
        Arc::default()
    }

    fn call(self: Arc<Self>, _: Call<'_>, _: CallContext) -> Option<Waiting<Answer>> {
        let outcome = match self.of {
            Calls::Answered => Some(Ok(Answer::made(&"done"))),
            Calls::Fatal => Some(Err(died())),
            Calls::Missed => None,
        };
        if !matches!(outcome, Some(Ok(_))) {
            self.open.store(false, Ordering::SeqCst);
            self.gone.cancel();
        }
        let outcome = outcome?;
        self.calls.fetch_add(1, Ordering::SeqCst);
        Some(Box::pin(async move { outcome }))
    }

    fn probe(self: Arc<Self>) -> Waiting<()> {
        Box::pin(async { Ok(()) })
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn about(&self) -> About {
        About::default()
    }
}

struct Stage {
    handle: Handle<Face>,
    calls: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Stage {
    fn set(lives: Lives) -> Self {
        Self::begun(lives, Begin::Start, None)
    }

    /// One that is shown before it is up.
    fn known(lives: Lives, begin: Begin) -> Self {
        let (of, calls) = (Calls::Missed, Arc::default());
        let known = Person { of, open: AtomicBool::new(false), gone: CancellationToken::new(), calls };
        Self::begun(lives, begin, Some(Arc::new(known)))
    }

    fn begun(lives: Lives, begin: Begin, known: Option<Face>) -> Self {
        let calls = Arc::default();
        let unit = Cardboard { lives, calls: Arc::clone(&calls) };
        let (handle, run) = supervise_known(unit, Policy::default(), begin, known);
        Self { handle, calls, _task: AbortOnDropHandle::new(TaskTracker::new().spawn(run)) }
    }

    /// What comes of a call, and after how many seconds.
    async fn call(&self, repeatable: bool, context: CallContext) -> (Result<Answer>, f64) {
        let begin = Instant::now();
        let outcome = send(&self.handle, "x", Call::of(CALL_TOOL), (Repeatable(repeatable), context)).await;
        (outcome, begin.elapsed().as_secs_f64())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn plain() -> CallContext {
    CallContext::default()
}

const FOR_EVER: Duration = Duration::from_secs(100_000);

#[tokio::test(start_paused = true)]
async fn a_call_waits_ten_seconds_for_its_entry_and_fails_as_one_to_try_again() {
    let stage = Stage::set(vec![(FOR_EVER, Calls::Answered)]);
    let (outcome, took) = stage.call(false, plain()).await;
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::NotReady { state, .. } if state == "starting"), "{error:?}");
    assert!(error.is_retryable() && (10.0..10.1).contains(&took), "{took}");
    let words = error.to_string();
    assert!(words.contains("the call has waited 10 s for it") && words.contains("call again"), "{words}");
    assert_eq!(stage.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_out_as_soon_as_its_entry_is_up() {
    let stage = Stage::set(vec![(Duration::from_secs(9), Calls::Answered)]);
    let (outcome, took) = stage.call(false, plain()).await;
    assert!(outcome.is_ok() && (9.0..9.1).contains(&took), "{outcome:?} {took}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_comes_and_goes_keeps_a_call_for_ten_seconds_in_all() {
    let stage = Stage::set(vec![(Duration::from_millis(10), Calls::Missed)]);
    let (outcome, took) = stage.call(false, plain()).await;
    assert!(matches!(outcome, Err(Error::NotReady { .. })), "{outcome:?}");
    assert!((10.0..10.1).contains(&took), "{took}");
    assert!(stage.handle.status().restarts >= 3, "it came and went");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_what_died_is_sent_once_more_when_twice_is_like_once_and_never_else() {
    let fatal = (Duration::ZERO, Calls::Fatal);
    for (repeatable, lives, times, is_answered) in [
        (true, vec![fatal, (Duration::ZERO, Calls::Answered)], 2, true),
        (true, vec![fatal], 2, false),
        (false, vec![fatal, (Duration::ZERO, Calls::Answered)], 1, false),
        (false, vec![(Duration::ZERO, Calls::Missed), (Duration::ZERO, Calls::Answered)], 1, true),
    ] {
        let stage = Stage::set(lives.clone());
        let (outcome, _) = stage.call(repeatable, plain()).await;
        assert_eq!((stage.calls(), outcome.is_ok()), (times, is_answered), "{repeatable} {lives:?}");
        assert!(outcome.as_ref().map_or_else(|error| *error == died(), |_| true), "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_once_more_waits_ten_seconds_for_that_and_no_longer() {
    let stage = Stage::set(vec![(Duration::ZERO, Calls::Fatal), (FOR_EVER, Calls::Answered)]);
    let (outcome, took) = stage.call(true, plain()).await;
    assert!(outcome.is_err_and(|error| error.is_retryable()) && (10.0..10.1).contains(&took), "{took}");
    assert_eq!(stage.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_back_waits_no_longer() {
    let stage = Stage::set(vec![(FOR_EVER, Calls::Answered)]);
    let cancel = CancellationToken::new();
    let context = CallContext { cancel: Some(cancel.clone()), ..plain() };
    let later = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let ((outcome, took), ()) = futures_util::join!(stage.call(false, context), later);
    assert!(matches!(outcome, Err(Error::Cancelled)) && (3.0..3.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_told_at_once_when_nobody_drives_its_entry_any_more() {
    let stage = Stage::set(vec![(FOR_EVER, Calls::Answered)]);
    let later = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.handle.end(Duration::ZERO);
    };
    let ((outcome, took), ()) = futures_util::join!(stage.call(false, plain()), later);
    assert_eq!(outcome.unwrap_err(), gone("x"));
    assert!((2.0..2.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_what_was_listed_before_it_was_up_waits_for_its_first_start_however_long_that_takes() {
    let slow = (Duration::from_secs(100), Calls::Answered);
    for begin in [Begin::Start, Begin::Held(Reason::Unused)] {
        let stage = Stage::known(vec![slow], begin);
        let (outcome, took) = stage.call(false, plain()).await;
        assert!(outcome.is_ok() && (100.0..100.1).contains(&took), "{begin:?}: {outcome:?} {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wake_an_entry_at_the_same_time_start_it_once() {
    let stage = Stage::known(vec![(Duration::from_secs(1), Calls::Answered)], Begin::Held(Reason::Unused));
    let calls = futures_util::future::join_all((0..10).map(|_| stage.call(false, plain()))).await;
    assert!(calls.iter().all(|(outcome, _)| outcome.is_ok()), "{calls:?}");
    assert_eq!((stage.calls(), stage.handle.status().restarts), (10, 0));
}
