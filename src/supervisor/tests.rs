//! The state machine with a unit of cardboard and time that stands still until it is needed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Begin, Event, Handle, Live, Next, Policy, Reason, Renewal, State, Status, Unit, supervise_known};
use crate::{
    error::{Error, Outlook, Result},
    shutdown::Grace,
};

/// What the next starts do, the last one for ever.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Come,
    Fail,
    Miss,
    /// Its credentials are refused.
    Refuse,
    Hang,
    Panic,
}

#[derive(Clone, Default)]
struct Seen {
    starts: Arc<AtomicU32>,
    lives: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    times: Arc<Mutex<Vec<Instant>>>,
    hanging: Arc<Notify>,
    /// What is told of something that was missing.
    mended: Arc<Mutex<Option<bool>>>,
    /// What those were told whom the ends of lives let down.
    told: Arc<Mutex<Vec<Error>>>,
    /// Lets the ends of lives take their time.
    slow_end: Arc<Mutex<Duration>>,
}

struct Cardboard {
    plan: Vec<Does>,
    seen: Seen,
    ends: Arc<Mutex<Option<mpsc::UnboundedSender<Event>>>>,
}

struct Alive {
    seen: Seen,
    end: mpsc::UnboundedReceiver<Event>,
}

impl Unit for Cardboard {
    type Live = Alive;

    async fn start(&mut self, cancel: CancellationToken) -> Result<Alive> {
        self.seen.starts.fetch_add(1, Ordering::SeqCst);
        self.seen.times.lock().unwrap().push(Instant::now());
        let does = if self.plan.len() > 1 { self.plan.remove(0) } else { self.plan[0] };
        tokio::task::yield_now().await;
        match does {
            Does::Come => {}
            Does::Fail => return Err(Error::ended("fell over", "")),
            Does::Miss => {
                let none = String::new;
                return Err(Error::CommandNotFound { command: "x".into(), hint: none(), searched: none() });
            }
            Does::Refuse => return Err(Error::NeedsAuth { url: "x".into(), cure: "renew it".into() }),
            Does::Hang => {
                self.seen.hanging.notify_one();
                cancel.cancelled().await;
                return Err(Error::Cancelled);
            }
            Does::Panic => panic!("cardboard"),
        }
        let alive = self.seen.lives.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.most.fetch_max(alive, Ordering::SeqCst);
        let (sender, end) = mpsc::unbounded_channel();
        *self.ends.lock().unwrap() = Some(sender);
        Ok(Alive { seen: self.seen.clone(), end })
    }

    async fn is_mended(&mut self, _: &Error) -> Option<bool> {
        *self.seen.mended.lock().unwrap()
    }
}

impl Live for Alive {
    type Face = ();

    fn face(&self) {}

    async fn next(&mut self) -> Event {
        match self.end.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn let_down(&self, error: &Error) {
        self.seen.told.lock().unwrap().push(error.clone());
    }

    async fn stop(self, _: Grace) {
        let time = *self.seen.slow_end.lock().unwrap();
        tokio::time::sleep(time).await;
        self.seen.lives.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Stage {
    handle: Handle<()>,
    seen: Seen,
    ends: Arc<Mutex<Option<mpsc::UnboundedSender<Event>>>>,
    task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Stage {
    fn set(plan: &[Does], begin: Begin, policy: Policy) -> Self {
        Self::known(plan, (begin, None), policy)
    }

    /// The same, for a unit of which it may be known what it shows.
    fn known(plan: &[Does], (begin, known): (Begin, Option<()>), policy: Policy) -> Self {
        let (seen, ends) = (Seen::default(), Arc::default());
        let unit = Cardboard { plan: plan.to_vec(), seen: seen.clone(), ends: Arc::clone(&ends) };
        let (handle, run) = supervise_known(unit, policy, begin, known);
        let task = tokio_util::task::AbortOnDropHandle::new(tokio_util::task::TaskTracker::new().spawn(run));
        Self { handle, seen, ends, task }
    }

    fn plain(plan: &[Does]) -> Self {
        Self::set(plan, Begin::Start, Policy::default())
    }

    async fn until(&self, what: impl FnMut(&super::Status<()>) -> bool) {
        self.handle.watch().wait_for(what).await.unwrap();
    }

    async fn up(&self) {
        self.until(|status| status.ready().is_some()).await;
    }

    async fn renew(&self, next: Next) {
        self.handle.renew(Renewal { policy: Policy::default(), next }).await;
    }

    fn die(&self) {
        self.happens(Event::Ended(Error::ended("died", "")));
    }

    /// Something happens to it that ends it.
    fn happens(&self, event: Event) {
        self.ends.lock().unwrap().take().unwrap().send(event).unwrap();
    }

    fn shows(&self) -> bool {
        self.handle.status().shown().is_some()
    }

    fn starts(&self) -> u32 {
        self.seen.starts.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_dies_is_brought_back_and_the_delays_grow() {
    let stage = Stage::plain(&[Does::Come, Does::Fail, Does::Fail, Does::Come]);
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Waiting { attempt: 3, .. })).await;
    stage.up().await;
    let times = stage.seen.times.lock().unwrap().clone();
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    for (gap, expected) in gaps.iter().zip([0.5, 1.0, 2.0]) {
        assert!((expected * 0.9..=expected * 1.1 + 0.01).contains(gap), "{gaps:?}");
    }
    assert_eq!(stage.handle.status().restarts, 3);
}

#[tokio::test(start_paused = true)]
async fn eight_failures_in_a_row_are_a_failed_unit_that_is_tried_every_ten_minutes() {
    let stage = Stage::plain(&[Does::Fail]);
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    assert_eq!(stage.starts(), 8);
    let failed_at = Instant::now();
    stage.until(|status| matches!(status.state, State::Starting { .. })).await;
    assert_eq!(failed_at.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_calm_forgives_earlier_failures() {
    let stage = Stage::plain(&[Does::Fail, Does::Fail, Does::Fail, Does::Come]);
    stage.up().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Waiting { attempt: 1, .. })).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_found_is_not_tried_over_and_over() {
    let stage = Stage::plain(&[Does::Miss]);
    stage.until(|status| matches!(status.state, State::Failed(Error::CommandNotFound { .. }))).await;
    assert_eq!(stage.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_never_to_be_restarted_stays_down() {
    let stage = Stage::set(&[Does::Come], Begin::Start, Policy { restart: false, ..Policy::default() });
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(stage.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_restarts_at_once_end_with_one_life_after_few_starts() {
    let stage = Stage::plain(&[Does::Come]);
    stage.up().await;
    futures_util::future::join_all((0..100).map(|_| stage.handle.restart())).await;
    assert!(stage.handle.status().ready().is_some());
    assert_eq!(stage.seen.lives.load(Ordering::SeqCst), 1);
    assert_eq!(stage.seen.most.load(Ordering::SeqCst), 1);
    assert!(stage.starts() <= 3, "restarts that wait behind a running one are one: {} starts", stage.starts());
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_start_cancels_it() {
    let stage = Stage::plain(&[Does::Hang]);
    stage.seen.hanging.notified().await;
    stage.handle.stop().await;
    assert!(matches!(stage.handle.status().state, State::Stopped));
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(stage.starts(), 1, "stopped by hand, it stays stopped");
}

#[tokio::test(start_paused = true)]
async fn a_held_unit_comes_up_when_it_is_restarted_and_not_when_it_is_merely_ensured() {
    let stage = Stage::set(&[Does::Come], Begin::Held(Reason::Deferred), Policy::default());
    stage.handle.ensure().await;
    assert_eq!(stage.starts(), 0);
    stage.handle.restart().await;
    assert!(stage.handle.status().ready().is_some());
}

#[tokio::test(start_paused = true)]
async fn ensuring_a_unit_that_waits_tries_it_now() {
    let stage = Stage::plain(&[Does::Fail, Does::Come]);
    stage.until(|status| matches!(status.state, State::Waiting { .. })).await;
    let begin = Instant::now();
    stage.handle.ensure().await;
    assert!(stage.handle.status().ready().is_some());
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_start_is_a_failure_of_that_unit() {
    let stage = Stage::plain(&[Does::Panic, Does::Come]);
    stage.until(|status| matches!(status.state, State::Waiting { .. })).await;
    assert_eq!(stage.handle.status().last_error, Some(Error::Panicked("cardboard".into())));
    stage.up().await;
}

#[tokio::test(start_paused = true)]
async fn leaving_during_a_start_waits_for_nothing() {
    let stage = Stage::plain(&[Does::Hang]);
    stage.seen.hanging.notified().await;
    stage.handle.end(Duration::ZERO);
    stage.task.await.unwrap();
    assert_eq!(stage.seen.lives.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_unit_is_ended_and_started_and_shows_its_face_meanwhile() {
    let stage = Stage::plain(&[Does::Come, Does::Hang]);
    stage.up().await;
    let renewed = stage.handle.renew(Renewal { policy: Policy::default(), next: Next::Again });
    stage.seen.hanging.notified().await;
    assert_eq!((stage.starts(), stage.seen.lives.load(Ordering::SeqCst)), (2, 0));
    assert!(stage.handle.status().last_face.is_some());
    stage.handle.stop().await;
    renewed.await;
}

#[tokio::test(start_paused = true)]
async fn a_renewed_unit_that_does_not_come_up_shows_nothing_of_the_old_one() {
    let stage = Stage::plain(&[Does::Come, Does::Fail]);
    stage.up().await;
    stage.renew(Next::Again).await;
    let status = stage.handle.status();
    assert!(matches!(status.state, State::Waiting { attempt: 1, .. }), "{:?}", status.state);
    assert!(!status.was_up && status.last_face.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_takes_back_the_start_that_is_under_way() {
    let stage = Stage::plain(&[Does::Hang, Does::Come]);
    stage.seen.hanging.notified().await;
    // Asked in this order.
    futures_util::join!(stage.handle.restart(), stage.renew(Next::Again));
    assert!(stage.handle.status().ready().is_some());
    assert_eq!(stage.starts(), 2, "the restart is served by the same start");
    assert_eq!(stage.seen.most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_brings_up_what_had_failed() {
    let stage = Stage::plain(&[Does::Miss, Does::Come]);
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    stage.renew(Next::Again).await;
    assert!(stage.handle.status().ready().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_by_hand_stays_so_unless_it_is_switched_off() {
    let stage = Stage::plain(&[Does::Come]);
    stage.up().await;
    stage.handle.stop().await;
    for next in [Next::Again, Next::Up, Next::Held(Reason::Deferred)] {
        stage.renew(next).await;
        assert!(matches!(stage.handle.status().state, State::Stopped), "{next:?}");
    }
    stage.renew(Next::Held(Reason::Disabled)).await;
    assert!(matches!(stage.handle.status().state, State::Held(Reason::Disabled)));
    assert_eq!(stage.starts(), 1);
    stage.renew(Next::Up).await;
    assert!(stage.handle.status().ready().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_renewed_when_it_is_to_be_up_and_what_is_up_can_be_held() {
    let stage = Stage::set(&[Does::Come], Begin::Held(Reason::Deferred), Policy::default());
    stage.renew(Next::Again).await;
    assert!(matches!(stage.handle.status().state, State::Held(Reason::Deferred)));
    stage.renew(Next::Up).await;
    assert!(stage.handle.status().ready().is_some());
    stage.renew(Next::Held(Reason::Deferred)).await;
    let status = stage.handle.status();
    assert!(matches!(status.state, State::Held(Reason::Deferred)) && status.last_face.is_none());
    assert_eq!(stage.seen.lives.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_word_during_a_start_holds() {
    let stage = Stage::plain(&[Does::Hang, Does::Come]);
    stage.seen.hanging.notified().await;
    let policy = Policy::default;
    let (held, up) = (Next::Held(Reason::Deferred), Next::Up);
    let first = stage.handle.renew(Renewal { policy: policy(), next: held });
    let second = stage.handle.renew(Renewal { policy: policy(), next: up });
    futures_util::join!(first, second);
    assert!(stage.handle.status().ready().is_some());
    assert_eq!(stage.starts(), 2);
}

/// The gaps between starts, in seconds.
fn gaps(stage: &Stage) -> Vec<f64> {
    let times = stage.seen.times.lock().unwrap().clone();
    times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_delays_double_up_to_half_a_minute_and_then_there_are_ten_minutes_between_tries() {
    let stage = Stage::plain(&[Does::Fail]);
    tokio::time::sleep(Duration::from_secs(64 + 3 * 600 + 30)).await;
    let gaps = gaps(&stage);
    for (gap, expected) in gaps.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]) {
        assert!((expected * 0.9..=(expected * 1.1_f64).min(30.0) + 0.01).contains(gap), "{gaps:?}");
    }
    assert_eq!(gaps.len(), 10, "{gaps:?}");
    assert!(gaps[7..].iter().all(|gap| (600.0..600.1).contains(gap)), "{gaps:?}");
    assert_eq!(stage.handle.status().restarts, 10);
}

#[tokio::test(start_paused = true)]
async fn what_died_together_does_not_come_back_together() {
    let stages: Vec<Stage> = (0..8).map(|_| Stage::plain(&[Does::Fail, Does::Come])).collect();
    for stage in &stages {
        stage.up().await;
    }
    let mut gaps: Vec<f64> = stages.iter().map(|stage| gaps(stage)[0]).collect();
    gaps.sort_by(f64::total_cmp);
    assert!(gaps[7] - gaps[0] > 0.001, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn less_than_a_minute_of_calm_forgives_nothing() {
    let stage = Stage::plain(&[Does::Fail, Does::Fail, Does::Fail, Does::Come]);
    stage.up().await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Waiting { attempt: 4, .. })).await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_comes_up_at_a_rare_try_and_dies_has_failed_again_unless_it_was_calm() {
    let mut plan = vec![Does::Fail; 8];
    plan.extend([Does::Come]);
    let stage = Stage::plain(&plan);
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    stage.up().await;
    assert!((600.0..600.1).contains(gaps(&stage).last().unwrap()));
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Waiting { attempt: 1, .. })).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_elsewhere_is_never_given_up_but_asked_for_less_often() {
    let stage = Stage::set(&[Does::Fail], Begin::Start, Policy::elsewhere());
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    assert!(matches!(stage.handle.status().state, State::Waiting { .. }), "{:?}", stage.handle.status().state);
    let gaps = gaps(&stage);
    assert!(gaps[6..27].iter().all(|gap| (27.0..30.1).contains(gap)), "{gaps:?}");
    assert!(gaps.len() > 50 && gaps[27..].iter().all(|gap| (300.0..300.1).contains(gap)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_found_is_started_when_it_can_be_found_and_not_before() {
    let stage = Stage::plain(&[Does::Miss, Does::Come]);
    *stage.seen.mended.lock().unwrap() = Some(false);
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!((stage.starts(), stage.handle.status().restarts), (1, 0));
    *stage.seen.mended.lock().unwrap() = Some(true);
    let begin = Instant::now();
    stage.up().await;
    assert!(begin.elapsed() <= Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_only_a_start_can_tell_is_tried_every_ten_minutes() {
    let stage = Stage::plain(&[Does::Miss]);
    tokio::time::sleep(Duration::from_secs(3650)).await;
    assert_eq!(stage.starts(), 7);
    assert!(gaps(&stage).iter().all(|gap| (600.0..600.1).contains(gap)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_found_is_tried_at_once_by_whoever_asks() {
    let stage = Stage::plain(&[Does::Miss, Does::Come]);
    *stage.seen.mended.lock().unwrap() = Some(false);
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    stage.handle.ensure().await;
    assert!(stage.handle.status().ready().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_being_stopped_shows_what_it_is_to_be() {
    let stage = Stage::plain(&[Does::Come]);
    *stage.seen.slow_end.lock().unwrap() = Duration::from_secs(3);
    stage.up().await;
    let (begin, stopping) = (Instant::now(), stage.handle.stop());
    let seen = async {
        stage.until(|status| matches!(status.state, State::Stopped)).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    };
    futures_util::join!(stopping, seen);
    assert_eq!(
        (begin.elapsed().as_secs(), stage.seen.lives.load(Ordering::SeqCst)),
        (3, 0),
        "answered when it is down"
    );
    stage.handle.restart().await;
    let held = stage.renew(Next::Held(Reason::Disabled));
    let seen = stage.until(|status| matches!(status.state, State::Held(Reason::Disabled)));
    futures_util::join!(held, seen);
    assert_eq!(stage.handle.status().restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_error_is_not_what_keeps_a_restarted_unit_from_being_up() {
    let stage = Stage::plain(&[Does::Fail, Does::Come, Does::Hang]);
    stage.until(|status| matches!(status.state, State::Waiting { .. })).await;
    stage.until(|status| matches!(status.state, State::Starting { .. })).await;
    assert!(stage.handle.status().error().is_some(), "it failed a moment ago");
    stage.up().await;
    let restarting = stage.handle.restart();
    let seen = async {
        stage.seen.hanging.notified().await;
        let status = stage.handle.status().clone();
        assert!(matches!(status.state, State::Starting { attempt: 1 }) && status.error().is_none());
        assert!(status.last_error.is_some(), "it is remembered");
        stage.handle.stop().await;
    };
    futures_util::join!(restarting, seen);
}

#[tokio::test(start_paused = true)]
async fn what_failed_shows_nothing_while_it_is_tried_once_more() {
    let mut plan = vec![Does::Come];
    plan.extend([Does::Fail; 7]);
    plan.push(Does::Hang);
    let stage = Stage::plain(&plan);
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Waiting { attempt: 7, .. })).await;
    assert!(stage.handle.status().shown().is_some(), "it is being brought back");
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    stage.seen.hanging.notified().await;
    let status = stage.handle.status();
    assert!(matches!(status.state, State::Starting { attempt: 9 }) && status.shown().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_it_waits_and_a_restart_afterwards_begin_from_nothing() {
    let stage = Stage::plain(&[Does::Fail, Does::Fail, Does::Fail, Does::Come]);
    stage.until(|status| matches!(status.state, State::Waiting { attempt: 2, .. })).await;
    stage.handle.stop().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.starts(), 2);
    stage.handle.restart().await;
    assert!(matches!(stage.handle.status().state, State::Waiting { attempt: 1, .. }));
    assert_eq!(stage.handle.status().restarts, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_for_its_credentials_is_tried_after_5_s_and_then_less_often_down_to_once_a_minute() {
    let stage = Stage::plain(&[Does::Come, Does::Refuse]);
    stage.up().await;
    stage.die();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let gaps = gaps(&stage);
    for (gap, expected) in gaps[1..].iter().zip([5.0, 10.0, 20.0, 40.0]) {
        assert!((expected * 0.9..=expected * 1.1 + 0.01).contains(gap), "{gaps:?}");
    }
    assert!(gaps[5..].len() > 5 && gaps[5..].iter().all(|gap| (54.0..60.1).contains(gap)), "{gaps:?}");
    let status = stage.handle.status();
    assert!(matches!(status.state, State::Held(Reason::NeedsAuth { .. })), "{:?}", status.state);
    assert!(status.shown().is_some(), "it is being brought back");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_life_is_waited_out_as_shortly_as_the_first() {
    let stage = Stage::plain(&[Does::Refuse, Does::Refuse, Does::Come, Does::Refuse, Does::Come]);
    stage.up().await;
    stage.handle.restart().await;
    let retry_at = stage.handle.status().retry_at().expect("it is tried again");
    assert!((4.5..=5.5).contains(&(retry_at - Instant::now()).as_secs_f64()));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_let_down_is_told_what_becomes_of_it_and_the_state_is_shown_by_then() {
    let outlook = |stage: &Stage| match stage.seen.told.lock().unwrap().pop() {
        Some(Error::Ended { outlook, .. }) => outlook,
        other => panic!("{other:?}"),
    };
    let stage = Stage::plain(&[Does::Come]);
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Waiting { .. })).await;
    tokio::task::yield_now().await;
    let Outlook::Again(after) = outlook(&stage) else { panic!("it comes back") };
    assert!((0.4..0.6).contains(&after.as_secs_f64()), "{after:?}");

    let stage = Stage::set(&[Does::Come], Begin::Start, Policy { restart: false, ..Policy::default() });
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    tokio::task::yield_now().await;
    assert_eq!(outlook(&stage), Outlook::Never);

    let stage = Stage::set(&[Does::Come], Begin::Start, Policy { tries: 1, ..Policy::default() });
    stage.up().await;
    stage.die();
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    tokio::task::yield_now().await;
    assert_eq!(outlook(&stage), Outlook::Rarely(Duration::from_secs(600)));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_ends_shows_on_what_it_had_and_comes_when_it_is_asked_for() {
    let stage = Stage::plain(&[Does::Come]);
    stage.up().await;
    stage.happens(Event::Unused);
    stage.until(Status::is_unused).await;
    assert!(stage.shows() && stage.handle.status().is_wanted() && stage.handle.status().is_settled());
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert_eq!((stage.starts(), stage.seen.lives.load(Ordering::SeqCst)), (1, 0));
    stage.handle.ensure().await;
    assert!(stage.handle.status().ready().is_some());
    assert_eq!((stage.starts(), stage.handle.status().restarts), (2, 0), "it has not failed");
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_only_when_it_is_used_shows_what_is_known_until_it_fails_for_good() {
    let begin = (Begin::Held(Reason::Unused), Some(()));
    let stage = Stage::known(&[Does::Fail], begin, Policy::default());
    assert!(stage.shows() && stage.handle.status().is_awaited());
    stage.handle.ensure().await;
    assert!(stage.shows() && !stage.handle.status().is_awaited(), "it is being brought up still");
    stage.until(|status| matches!(status.state, State::Failed(_))).await;
    assert!(!stage.shows());
    stage.until(|status| matches!(status.state, State::Starting { .. })).await;
    assert!(!stage.shows(), "a rare try shows nothing");
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_or_held_by_hand_shows_nothing_that_was_known() {
    for (begin, next) in [(Begin::Start, None), (Begin::Held(Reason::Unused), Some(Next::Held(Reason::Deferred)))] {
        let stage = Stage::known(&[Does::Hang], (begin, Some(())), Policy::default());
        assert!(stage.shows());
        match next {
            Some(next) => stage.renew(next).await,
            None => stage.handle.stop().await,
        }
        assert!(!stage.shows(), "{begin:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_recipe_starts_what_nobody_uses() {
    let stage = Stage::known(&[Does::Come], (Begin::Held(Reason::Unused), Some(())), Policy::default());
    stage.renew(Next::Again).await;
    assert!(stage.handle.status().ready().is_some());
}
