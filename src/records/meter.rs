//! What is counted of the calls of an entry.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::Kind;

/// The counts of one entry.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    failed: [AtomicU64; Kind::ALL.len()],
    under_way: AtomicI64,
    /// How many took no longer than each of [`BUCKETS`], and the rest.
    took: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

/// The bounds of the histogram, in seconds.
pub(crate) const BUCKETS: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];

impl Meter {
    /// A call begins.
    pub(super) fn begin(&self) {
        self.under_way.fetch_add(1, Relaxed);
    }

    /// A call is over.
    pub(super) fn end(&self, took: Duration, failed: Option<Kind>) {
        self.under_way.fetch_sub(1, Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        self.took[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        if let Some(kind) = failed {
            self.refuse(kind);
        }
    }

    /// Something was not done.
    pub(super) fn refuse(&self, kind: Kind) {
        self.failed[kind as usize].fetch_add(1, Relaxed);
    }

    /// How many calls are under way.
    pub(crate) fn under_way(&self) -> i64 {
        self.under_way.load(Relaxed)
    }

    /// How many were not done for that reason.
    pub(crate) fn failed(&self, kind: Kind) -> u64 {
        self.failed[kind as usize].load(Relaxed)
    }

    /// How many took no longer than each bound, and in all, and how many seconds they took together.
    pub(crate) fn took(&self) -> ([u64; BUCKETS.len()], u64, f64) {
        let mut sum = 0;
        let below = std::array::from_fn(|bucket| {
            sum += self.took[bucket].load(Relaxed);
            sum
        });
        let seconds = Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64();
        (below, sum + self.took[BUCKETS.len()].load(Relaxed), seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_how_long_they_took_and_why_they_failed() {
        let meter = Meter::default();
        for (millis, failed) in [(1, None), (3, Some(Kind::Tool)), (400_000, Some(Kind::Timeout))] {
            meter.begin();
            meter.end(Duration::from_millis(millis), failed);
        }
        meter.begin();
        let (below, all, seconds) = meter.took();
        assert_eq!((below[0], below[1], below[BUCKETS.len() - 1], all), (1, 2, 2, 3));
        assert!((seconds - 400.004).abs() < 1e-6, "{seconds}");
        assert_eq!((meter.failed(Kind::Tool), meter.failed(Kind::Server), meter.under_way()), (1, 0, 1));
    }
}
