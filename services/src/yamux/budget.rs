//! How much of a cheap but useless thing a peer may send.

use tokio::time::{Duration, Instant};

/// A rate with a burst: `burst` at once, `per_second` in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many a second are given back.
    pub per_second: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// What is left of a [`Budget`]: a token bucket that starts full.
#[derive(Debug)]
pub(crate) struct Bucket {
    budget: Budget,
    /// In billionths of a token, so that no time is lost between two takes.
    left: u128,
    at: Instant,
}

const ONE: u128 = 1_000_000_000;

impl Bucket {
    pub(crate) fn new(budget: Budget, now: Instant) -> Bucket {
        Bucket {
            budget,
            left: u128::from(budget.burst) * ONE,
            at: now,
        }
    }

    /// Takes one; `false` when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.left < ONE {
            self.refill(now);
        }
        match self.left.checked_sub(ONE) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: Instant) {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        let more = passed
            .as_nanos()
            .saturating_mul(u128::from(self.budget.per_second));
        let full = u128::from(self.budget.burst) * ONE;
        self.left = self.left.saturating_add(more).min(full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Instant::now();
        let budget = Budget {
            per_second: 10,
            burst: 100,
        };
        let mut bucket = Bucket::new(budget, start);
        assert!((0..100).all(|_| bucket.take(start)));
        assert!(!bucket.take(start));
        let later = start + Duration::from_millis(199);
        assert!(bucket.take(later));
        assert!(!bucket.take(later));
        assert!(bucket.take(start + Duration::from_millis(200)));
        let much_later = start + Duration::from_secs(3600);
        assert!((0..100).all(|_| bucket.take(much_later)));
        assert!(!bucket.take(much_later));
    }
}
