//! Chance that can be had again: the same seed gives the same throws.

use std::{
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A stream of throws.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, which has nothing to do with how this one goes on.
    pub(super) fn beside(&self, number: u64) -> Self {
        Self(mixed(self.0 ^ mixed(number)))
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.throw() % limit
    }

    /// One in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let limit = u64::try_from(of.len()).unwrap();
        of.get(usize::try_from(self.below(limit.max(1))).unwrap())
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of this run: what `CHAOS_SEED` says, else another one each time.
pub(super) fn seed() -> u64 {
    let given = std::env::var("CHAOS_SEED").ok();
    let given = given.map(|seed| seed.parse().expect("CHAOS_SEED is a whole number"));
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) ^ u64::from(std::process::id()) << 32
    })
}
