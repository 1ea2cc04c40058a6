//! Everybody calls while servers are killed, stopped, restarted, added and removed at random (spec/computer.md 11–13).
//!
//! The seed is printed; `CHAOS_SEED` gives it, and `CHAOS_ACTS` says how much is done. `scripts/soak` does the same for
//! as long as it is told.

mod cast;
mod dice;
mod pipe;
mod script;
mod served;
mod soak;
mod stage;
mod tally;
mod traces;

use std::time::Duration;

use dice::Dice;
use served::Served;
use stage::Stage;

use crate::support::library::{again_with, comes_true};

/// How much is done: so much in a run of all tests.
fn acts(usual: usize) -> usize {
    std::env::var("CHAOS_ACTS").map_or(usual, |acts| acts.parse().expect("CHAOS_ACTS is a whole number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_its_entries_each_call_gets_one_answer_and_nothing_is_left_over() {
    let seed = dice::seed();
    eprintln!("CHAOS_SEED={seed}");
    // In a process of its own, whose descriptors and tasks are nobody else's.
    if again_with(
        &[("CHAOS_SEED", &seed.to_string())],
        "chaos::whatever_happens_to_its_entries_each_call_gets_one_answer_and_nothing_is_left_over",
    ) {
        return;
    }
    // What is made once and lasts is made now.
    assert_eq!(Stage::set().await.end(Duration::ZERO).await, []);
    let (tasks, descriptors) = (traces::tasks(), traces::descriptors(std::process::id()));

    let stage = Stage::set().await;
    stage.set_right().await;
    let before = stage.settled().await;
    let tally = stage.round(&mut Dice::new(seed), acts(1000)).await;
    eprintln!("{tally}");
    eprintln!("{before:?}");
    assert!(tally.wrong.is_empty(), "CHAOS_SEED={seed}: {:#?}", tally.wrong);
    for name in cast::NAMES {
        assert!(tally.answers.contains_key(name), "no call of {name} was answered: {tally:?}");
    }
    let after = stage.settled().await;
    eprintln!("{after:?}");
    let open = || traces::open(std::process::id());
    assert!(after.is_within(before), "CHAOS_SEED={seed}: {before:?}, then {after:?}: {:#?}", open());

    assert_eq!(stage.end(Duration::from_secs(5)).await, [], "CHAOS_SEED={seed}: no process is left over");
    comes_true("no task is left over", || traces::tasks() == tasks).await;
    comes_true("no descriptor is left over", || traces::descriptors(std::process::id()) == descriptors).await;
}

#[test]
fn whatever_happens_behind_the_program_each_of_its_clients_gets_one_answer_and_nothing_is_left_over() {
    let seed = dice::seed();
    eprintln!("CHAOS_SEED={seed}");
    let served = Served::set();
    let before = served.settled();
    let tally = served.round(&mut Dice::new(seed), acts(500));
    eprintln!("{tally}");
    assert!(tally.wrong.is_empty(), "CHAOS_SEED={seed}: {:#?}\n{}", tally.wrong, served.stderr());
    for name in cast::NAMES {
        assert!(tally.answers.contains_key(name), "no call of {name} was answered: {tally:?}");
    }
    let after = served.settled();
    eprintln!("{before:?}, then {after:?}");
    assert!(
        after.is_within(before),
        "CHAOS_SEED={seed}: {before:?}, then {after:?}: {:#?}",
        traces::open(served.daemon())
    );
    assert_eq!(served.end(), [], "CHAOS_SEED={seed}: no process is left over");
}
