//! Token buckets: how often something may happen.
//!
//! A [`Bucket`] holds up to a burst of tokens and is refilled at a rate; each event takes one. What
//! is stored is not the number of tokens but the time at which the bucket will be full again,
//! which moves ahead by one token's worth with each event: the same bucket in a single number, so
//! that taking is one atomic exchange, and a bucket that nobody used for a while is
//! indistinguishable from a new one. [`Buckets`] uses that to keep one for each of very many keys
//! in a fixed amount of memory.
//!
//! ```
//! use oneport_layers::bucket::{Bucket, Limit, Rate};
//! use tokio::time::{Duration, Instant};
//!
//! let bucket = Bucket::new(Limit { rate: Rate::per_second(10.0)?, burst: 2 });
//! let now = Instant::now();
//! assert_eq!(bucket.take(now), Ok(()));
//! assert_eq!(bucket.take(now), Ok(()));
//! assert_eq!(bucket.take(now), Err(Duration::from_millis(100)));
//! bucket.set(Limit::INFINITE);
//! assert_eq!(bucket.take(now), Ok(()));
//! # Ok::<_, oneport_layers::bucket::RateError>(())
//! ```

mod keyed;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

pub use keyed::Buckets;

/// The lowest finite [`Rate`]: one a day.
pub const LOWEST_RATE: f64 = 1.0 / 86_400.0;
/// The highest finite [`Rate`]: one a nanosecond.
pub const HIGHEST_RATE: f64 = 1e9;

/// Time is counted in 16ths of a nanosecond, so that a rate of a million a second is kept to
/// within 0.003 %, and a `u64` lasts for 36 years.
const TICKS_PER_NANO: u64 = 16;
const TICKS_PER_SECOND: u64 = TICKS_PER_NANO * 1_000_000_000;
/// The most that a bucket may be worth, in ticks: two years. A burst that is worth more counts as
/// this much. Far below the end of a `u64`, so sums of two do not overflow in the life of a process.
const DEEPEST: u64 = 1 << 60;

/// How often something may happen in the long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

/// A number that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "a rate is {LOWEST_RATE:.7} to {HIGHEST_RATE} a second, or negative for no limit, but this is {0}"
)]
pub struct RateError(pub f64);

impl Rate {
    /// No limit.
    pub const INFINITE: Rate = Rate(f64::INFINITY);

    /// So many a second.
    ///
    /// # Errors
    /// [`RateError`] below [`LOWEST_RATE`] and above [`HIGHEST_RATE`].
    pub fn per_second(rate: f64) -> Result<Rate, RateError> {
        if (LOWEST_RATE..=HIGHEST_RATE).contains(&rate) {
            Ok(Rate(rate))
        } else {
            Err(RateError(rate))
        }
    }

    /// As Consul's settings write it: so many a second, and anything negative for no limit.
    ///
    /// # Errors
    /// As [`per_second`](Rate::per_second).
    pub fn from_setting(rate: f64) -> Result<Rate, RateError> {
        if rate < 0.0 {
            return Ok(Rate::INFINITE);
        }
        Rate::per_second(rate)
    }

    /// So many a second; infinite if there is no limit.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether there is no limit.
    pub fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_infinite() {
            f.write_str("infinite")
        } else {
            write!(f, "{}/s", self.0)
        }
    }
}

/// What a bucket allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// In the long run.
    pub rate: Rate,
    /// At one moment, by a bucket that is full; 0 counts as 1. Of no meaning where the rate is
    /// infinite.
    pub burst: u32,
}

impl Limit {
    /// No limit.
    pub const INFINITE: Limit = Limit {
        rate: Rate::INFINITE,
        burst: 0,
    };

    /// The rate, with a second's worth of it for a burst, which is what Consul's newer limiter
    /// takes.
    pub fn per_second(rate: Rate) -> Limit {
        // The highest rate is below the largest burst; an infinite one has no burst.
        let burst = Duration::try_from_secs_f64(rate.get() / 1e9).map_or(0, |nanos| {
            u32::try_from(nanos.as_nanos()).unwrap_or(u32::MAX)
        });
        Limit {
            rate,
            burst: burst.max(1),
        }
    }
}

/// No limit.
impl Default for Limit {
    fn default() -> Self {
        Limit::INFINITE
    }
}

/// One bucket. Shared by reference; taking never waits.
#[derive(Debug)]
// A cache line of its own: neighbours that other cores use do not slow it down.
#[repr(align(64))]
pub struct Bucket {
    level: Level,
    terms: Terms,
    clock: Clock,
}

impl Bucket {
    /// A full bucket.
    pub fn new(limit: Limit) -> Bucket {
        Bucket::on(Clock::start(), limit)
    }

    /// A full bucket that counts from where `clock` does.
    pub(crate) fn on(clock: Clock, limit: Limit) -> Bucket {
        Bucket {
            level: Level::default(),
            terms: Terms::new(limit),
            clock,
        }
    }

    /// Takes a token.
    ///
    /// `now` need not be the very moment: the time at which a batch of calls was read does for all
    /// of them.
    ///
    /// # Errors
    /// The bucket is empty: after this time there is a token, if nobody else takes it. Having been
    /// refused costs nothing.
    #[inline]
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        self.take_at(|| self.clock.ticks(now))
    }

    /// Takes a token at a time of this bucket's clock, which is asked for if there is a limit.
    #[inline]
    pub(crate) fn take_at(&self, now: impl FnOnce() -> u64) -> Result<(), Duration> {
        match self.terms.get() {
            Some(price) => self.level.take(now(), price),
            None => Ok(()),
        }
    }

    /// Changes the limit. What was taken stays taken, but the bucket is never emptier than empty
    /// under the new limit.
    pub fn set(&self, limit: Limit) {
        let price = self.terms.set(limit);
        self.level.cap(self.clock.ticks(Instant::now()), price);
    }
}

/// What a token costs and how much debt is allowed, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    cost: u64,
    depth: u64,
}

/// A [`Price`] that may be changed; a cost of 0 stands for no limit.
#[derive(Debug)]
pub(crate) struct Terms {
    cost: AtomicU64,
    depth: AtomicU64,
}

impl Terms {
    pub(crate) fn new(limit: Limit) -> Terms {
        let Price { cost, depth } = price(limit);
        Terms {
            cost: AtomicU64::new(cost),
            depth: AtomicU64::new(depth),
        }
    }

    /// `None` if there is no limit.
    #[inline]
    pub(crate) fn get(&self) -> Option<Price> {
        let cost = self.cost.load(Relaxed);
        // A change between the two loads gives one decision by half of the old limit.
        (cost > 0).then(|| Price {
            cost,
            depth: self.depth.load(Relaxed),
        })
    }

    pub(crate) fn set(&self, limit: Limit) -> Price {
        let price = price(limit);
        self.depth.store(price.depth, Relaxed);
        self.cost.store(price.cost, Relaxed);
        price
    }
}

fn price(limit: Limit) -> Price {
    // Seconds of as many nanoseconds as there are ticks.
    let seconds = 1e9 / limit.rate.get() * f64::from(16_u8) / 1e9;
    let cost = Duration::try_from_secs_f64(seconds).map_or(DEEPEST, |ticks| {
        u64::try_from(ticks.as_nanos()).unwrap_or(DEEPEST)
    });
    Price {
        cost,
        depth: cost
            .saturating_mul(u64::from(limit.burst.max(1)))
            .min(DEEPEST),
    }
}

/// When a bucket will be full again, in ticks of its clock. Zero, or anything that is over, is a
/// full bucket.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

impl Level {
    #[inline]
    pub(crate) fn take(&self, now: u64, price: Price) -> Result<(), Duration> {
        let mut full_at = self.0.load(Relaxed);
        loop {
            let after = taken(full_at, now, price)?;
            match self
                .0
                .compare_exchange_weak(full_at, after, Relaxed, Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(changed) => full_at = changed,
            }
        }
    }

    /// Forgives the debt that is beyond a new depth.
    pub(crate) fn cap(&self, now: u64, price: Price) {
        if price.cost > 0 {
            self.0.fetch_min(now + price.depth, Relaxed);
        }
    }

    pub(crate) fn full_at(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn fill(&self) {
        self.0.store(0, Relaxed);
    }
}

/// When a bucket will be full again after one more token, or how long that token is away. A debt
/// beyond the depth is of a clock that was read a little later.
#[inline]
fn taken(full_at: u64, now: u64, price: Price) -> Result<u64, Duration> {
    let most = now + price.depth;
    let after = full_at.max(now).min(most) + price.cost;
    if after <= most {
        return Ok(after);
    }
    Err(Duration::from_nanos(
        (after - most).div_ceil(TICKS_PER_NANO),
    ))
}

/// Where a bucket counts its ticks from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    #[inline]
    pub(crate) fn ticks(self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.0);
        if since.as_secs() >= DEEPEST / TICKS_PER_SECOND {
            return DEEPEST;
        }
        // A second's worth of ticks fits beside the deepest, so nothing overflows.
        since.as_secs() * TICKS_PER_SECOND + u64::from(since.subsec_nanos()) * TICKS_PER_NANO
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(rate: f64, burst: u32) -> Limit {
        Limit {
            rate: Rate::per_second(rate).unwrap(),
            burst,
        }
    }

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let bucket = Bucket::new(limit(10.0, 3));
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        let tenth = Duration::from_millis(100);
        assert_eq!(bucket.take(now), Err(tenth));
        let almost = now + tenth - Duration::from_nanos(1);
        assert_eq!(bucket.take(almost), Err(Duration::from_nanos(1)));
        assert_eq!(bucket.take(now + tenth), Ok(()));
        assert_eq!(bucket.take(now + tenth), Err(tenth));
    }

    #[test]
    fn rates_hold_at_their_edges() {
        for fits in [LOWEST_RATE, 0.5, 3.7e6, HIGHEST_RATE] {
            assert!(Rate::per_second(fits).is_ok(), "{fits}");
        }
        for not in [
            0.0,
            LOWEST_RATE / 2.0,
            HIGHEST_RATE * 1.1,
            f64::NAN,
            -1.0,
            f64::INFINITY,
        ] {
            assert!(Rate::per_second(not).is_err(), "{not}");
        }
        assert_eq!(Rate::from_setting(-1.0), Ok(Rate::INFINITE));
        assert!(Rate::from_setting(0.0).is_err());
        assert_eq!(
            RateError(0.0).to_string(),
            "a rate is 0.0000116 to 1000000000 a second, or negative for no limit, but this is 0"
        );
    }

    #[test]
    fn prices_are_exact_enough() {
        assert_eq!(price(limit(1.0, 1)).cost, 16_000_000_000);
        assert_eq!(price(limit(HIGHEST_RATE, 1)).cost, 16);
        assert_eq!(price(limit(3.0e6, 1)).cost, 5333);
        assert_eq!(price(limit(LOWEST_RATE, u32::MAX)).depth, DEEPEST);
        assert_eq!(price(Limit::INFINITE).cost, 0);
        assert_eq!(price(limit(2.0, 0)).depth, price(limit(2.0, 1)).depth);
    }

    #[test]
    fn a_second_is_the_burst_of_a_rate() {
        let burst = |rate| Limit::per_second(Rate::per_second(rate).unwrap()).burst;
        assert_eq!(burst(500.0), 500);
        assert_eq!(burst(0.1), 1);
        assert_eq!(burst(HIGHEST_RATE), 1_000_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_holds_at_once_and_keeps_what_was_taken() {
        let bucket = Bucket::new(limit(1.0, 100));
        let now = Instant::now();
        for _ in 0..100 {
            bucket.take(now).unwrap();
        }
        // A hundred seconds of debt under the old limit are an empty bucket under the new one.
        bucket.set(limit(1000.0, 10));
        let milli = Duration::from_millis(1);
        assert_eq!(bucket.take(now), Err(milli));
        assert_eq!(bucket.take(now + milli), Ok(()));
        bucket.set(Limit::INFINITE);
        assert_eq!(bucket.take(now), Ok(()));
        bucket.set(limit(1.0, 1));
        assert!(bucket.take(now).is_err());
    }

    #[test]
    fn two_threads_take_no_more_than_there_is() {
        let bucket = Bucket::new(limit(1.0, 10_000));
        let now = Instant::now();
        let took = || (0..10_000).filter(|_| bucket.take(now).is_ok()).count();
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(took);
            took() + other.join().unwrap()
        });
        assert_eq!(both, 10_000);
    }

    proptest! {
        /// The textbook's bucket, which counts tokens, agrees up to rounding.
        #[test]
        fn it_is_a_token_bucket(
            rate in 0.5..5000.0f64,
            burst in 1u32..50,
            waits in prop::collection::vec(0u64..2_000_000_000, 1..200),
        ) {
            let bucket = Bucket::new(limit(rate, burst));
            let mut now = Instant::now();
            let mut tokens = f64::from(burst);
            for wait in waits {
                let wait = Duration::from_nanos(wait);
                now += wait;
                tokens = (tokens + wait.as_secs_f64() * rate).min(f64::from(burst));
                let sure = (tokens - tokens.round()).abs() > 1e-3 || tokens > 1.1;
                let took = bucket.take(now).is_ok();
                if sure {
                    prop_assert_eq!(took, tokens >= 1.0);
                }
                if took {
                    tokens -= 1.0;
                }
            }
        }

        #[test]
        fn no_state_overflows(full_at: u64, now in 0..=DEEPEST, cost in 1..=DEEPEST, depth in 1..=DEEPEST) {
            let _decided = taken(full_at, now, Price { cost, depth });
        }
    }
}
