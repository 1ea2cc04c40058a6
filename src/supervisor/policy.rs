//! When a unit is tried again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Delays, patience and forgiveness.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The delay after the first failure; it doubles with each further one.
    pub(crate) first: Duration,
    /// The longest delay.
    pub(crate) longest: Duration,
    /// After so many failures in a row the unit is tried rarely.
    pub(crate) tries: u32,
    /// How often that is.
    pub(crate) rarely: Duration,
    /// The delay after credentials were refused, and the longest: it doubles with each further refusal. To ask costs the
    /// other side little, and whoever has renewed a token does not want to wait.
    pub(crate) refused: (Duration, Duration),
    /// Whether a unit that is tried rarely counts as failed. What is elsewhere may come back at any time.
    pub(crate) gives_up: bool,
    /// After being up for so long, earlier failures are forgotten.
    pub(crate) calm: Duration,
    /// Whether it is brought back at all.
    pub(crate) restart: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            tries: 8,
            rarely: Duration::from_secs(600),
            refused: (Duration::from_secs(5), Duration::from_secs(60)),
            gives_up: true,
            calm: Duration::from_secs(60),
            restart: true,
        }
    }
}

impl Policy {
    /// For what is not ours to start: never given up, but asked for less and less often.
    pub(crate) fn elsewhere() -> Self {
        // Ten minutes of twice a minute, and then every five minutes.
        Self { tries: 28, rarely: Duration::from_secs(300), gives_up: false, ..Self::default() }
    }

    /// The delay after so many failures in a row.
    pub(super) fn delay(&self, failures: u32) -> Duration {
        if failures >= self.tries { self.rarely } else { doubled((self.first, self.longest), failures) }
    }

    /// The delay after credentials were refused so many times in a row.
    pub(super) fn delay_of_refusal(&self, refusals: u32) -> Duration {
        doubled(self.refused, refusals)
    }
}

/// Doubled each time, give or take a tenth, so that entries that died together do not come back together.
fn doubled((first, longest): (Duration, Duration), times: u32) -> Duration {
    let doubled = first.saturating_mul(1 << times.saturating_sub(1).min(16));
    let jitter = RandomState::new().hash_one(times) % 2001;
    #[expect(clippy::cast_precision_loss, reason = "it is at most 2000")]
    let factor = 0.9 + jitter as f64 / 10_000.0;
    doubled.min(longest).mul_f64(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_differ_a_little() {
        let policy = Policy::default();
        for (failures, seconds) in [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0)] {
            let delay = policy.delay(failures).as_secs_f64();
            assert!((seconds * 0.9..=seconds * 1.1).contains(&delay), "{failures}: {delay}");
        }
        assert!(policy.delay(7) <= policy.longest);
        assert_eq!(policy.delay(8), policy.rarely);
        let delays: std::collections::HashSet<_> = (0..20).map(|_| policy.delay(3)).collect();
        assert!(delays.len() > 1);
    }
}
