//! How often a server is asked for lists that it says have changed.

use std::time::Duration;

use tokio::time::Instant;

/// The first change is looked at without delay. While changes go on, less and less often: some servers say so a thousand
/// times a second.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    pause: Duration,
}

/// The pause after a look: the first, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// When nothing has changed for so long since a look, the next change is looked at without delay again.
const CALM: Duration = Duration::from_secs(1);

impl Pace {
    /// When the lists may be asked for that have changed `now`.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let due = match self.last {
            Some(last) if now.saturating_duration_since(last) < CALM => {
                self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
                now.max(last + self.pause)
            }
            _ => {
                self.pause = Duration::ZERO;
                now
            }
        };
        self.last = Some(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_go_on_are_looked_at_less_and_less_often_until_there_is_calm() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let ms = Duration::from_millis;
        let (mut now, mut looks) = (begin, Vec::new());
        for _ in 0..8 {
            let due = pace.next(now);
            looks.push((due - begin).as_millis());
            // It has changed again as soon as it was looked at.
            now = due + ms(1);
        }
        assert_eq!(looks, [0, 100, 300, 700, 1500, 3100, 5100, 7100]);
        let later = now + CALM;
        assert_eq!(pace.next(later), later);
        assert_eq!(pace.next(later + ms(1)), later + FIRST);
    }
}
