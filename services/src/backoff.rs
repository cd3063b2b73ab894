//! How long to wait before trying again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(5);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(1);

/// Waits that double from 5 ms to 1 s, each somewhere in the upper half of its length, so that
/// those who failed together do not try again together.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub fn wait(&mut self) -> Duration {
        let wait = wait(self.failures, RandomState::new().hash_one(self.failures));
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It worked: the next wait is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The wait after `failures` earlier ones; `random` picks a point in its upper half.
fn wait(failures: u32, random: u64) -> Duration {
    let doubled = 2u32.saturating_pow(failures);
    let whole = SHORTEST.saturating_mul(doubled).min(LONGEST);
    // 1024 points are spread enough.
    let part = u32::try_from(random % 1024).unwrap_or(0);
    (whole / 2 + whole / 2 * part / 1024).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second() {
        assert_eq!(wait(0, 0), SHORTEST);
        assert_eq!(wait(3, 0), Duration::from_millis(20));
        assert_eq!(wait(3, 512), Duration::from_millis(30));
        assert_eq!(wait(u32::MAX, 0), Duration::from_millis(500));
        assert!((0..64).all(|n| wait(n, u64::MAX) < LONGEST));
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            backoff.wait();
        }
        assert!(backoff.wait() >= LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.wait(), SHORTEST);
    }
}
