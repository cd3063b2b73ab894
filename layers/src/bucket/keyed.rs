//! One bucket for each of very many keys.

use std::{
    hash::{BuildHasher, Hash},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use foldhash::quality::RandomState;
use tokio::time::Instant;

use super::{Clock, Level, Limit, Price, Terms};

/// Keys that share a set, and so compete for its places: a cache line of them.
const WAYS: usize = 8;
/// What one key costs in memory, in bytes: its mark and its level.
const BYTES_PER_KEY: usize = 16;

/// One bucket for each key, all of the same limit, in a fixed amount of memory.
///
/// It has room for a number of keys that is set when it is made, at 16 bytes each, and takes that
/// memory when a limit first holds. A key needs room only while its bucket is not full, since a
/// full one is what a stranger gets; so idle keys are forgotten by being replaced, and nothing has
/// to look for them. When there are more busy keys than room, the one with the least debt in reach
/// is forgotten early: a caller that keeps far below its limit loses next to nothing by that, and
/// one that is far above it is the last to go.
///
/// A key is known by its hash, with random keys of this process: that two of a hundred thousand
/// keys share a bucket has a probability of one in a billion. The hash is folded multiplication,
/// which is far quicker than the standard library's and no cryptography. That is enough here, where
/// a flood of keys finds nothing to make slow: the table is of a fixed size, every look-up reads one
/// set, and no hash is ever shown outside. Who could choose keys that meet in a set would get no
/// more than what more keys than room get: the least indebted of them are forgotten.
#[derive(Debug)]
pub struct Buckets {
    terms: Terms,
    clock: Clock,
    hasher: RandomState,
    sets: usize,
    table: OnceLock<Box<[Set]>>,
}

/// The places that a key may have.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set {
    /// Hashes of keys; 0 is a free place.
    marks: [AtomicU64; WAYS],
    levels: [Level; WAYS],
}

impl Buckets {
    /// Full buckets for at least `keys` keys at once: the next power of two.
    pub fn new(limit: Limit, keys: usize) -> Buckets {
        Buckets::on(Clock::start(), limit, keys)
    }

    /// The same, counting from where `clock` does.
    pub(crate) fn on(clock: Clock, limit: Limit, keys: usize) -> Buckets {
        Buckets {
            terms: Terms::new(limit),
            clock,
            hasher: RandomState::default(),
            sets: keys.div_ceil(WAYS).next_power_of_two(),
            table: OnceLock::new(),
        }
    }

    /// Takes a token of `key`.
    ///
    /// # Errors
    /// As [`Bucket::take`](super::Bucket::take).
    #[inline]
    pub fn take<K: Hash + ?Sized>(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.take_at(key, || self.clock.ticks(now))
    }

    /// Takes a token of `key` at a time of this table's clock, which is asked for if there is a
    /// limit.
    #[inline]
    pub(crate) fn take_at<K: Hash + ?Sized>(
        &self,
        key: &K,
        now: impl FnOnce() -> u64,
    ) -> Result<(), Duration> {
        let Some(price) = self.terms.get() else {
            return Ok(());
        };
        let hash = self.hasher.hash_one(key);
        self.set_of(hash).take(hash.max(1), now(), price)
    }

    /// Changes the limit of all keys, as [`Bucket::set`](super::Bucket::set) does.
    pub fn set(&self, limit: Limit) {
        let price = self.terms.set(limit);
        let now = self.clock.ticks(Instant::now());
        self.levels().for_each(|level| level.cap(now, price));
    }

    /// The memory of all keys together, in bytes, once a limit has held.
    pub fn bytes(&self) -> usize {
        self.sets * WAYS * BYTES_PER_KEY
    }

    /// How many keys are remembered for something: those whose bucket is not full.
    pub fn busy(&self, now: Instant) -> usize {
        let now = self.clock.ticks(now);
        self.levels().filter(|level| level.full_at() > now).count()
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        let sets = self.table.get().into_iter().flatten();
        sets.flat_map(|set| &set.levels)
    }

    #[inline]
    fn set_of(&self, hash: u64) -> &Set {
        let table = self
            .table
            .get_or_init(|| (0..self.sets).map(|_| Set::default()).collect());
        // A power of two, so that a mask of low bits is an index; what is above fits no usize.
        let low = hash & u64::try_from(self.sets - 1).unwrap_or(0);
        &table[usize::try_from(low).unwrap_or(0)]
    }
}

impl Set {
    #[inline]
    fn take(&self, mark: u64, now: u64, price: Price) -> Result<(), Duration> {
        self.levels[self.place(mark, now)].take(now, price)
    }

    /// The place of a key, which may have to be made for it.
    #[inline]
    fn place(&self, mark: u64, now: u64) -> usize {
        self.known(mark).unwrap_or_else(|| self.made(mark, now))
    }

    #[inline]
    fn known(&self, mark: u64) -> Option<usize> {
        self.marks.iter().position(|at| at.load(Relaxed) == mark)
    }

    #[inline(never)]
    fn made(&self, mark: u64, now: u64) -> usize {
        loop {
            if let Some(known) = self.known(mark) {
                return known;
            }
            let place = self.least();
            let was = self.marks[place].load(Relaxed);
            let made = self.marks[place].compare_exchange(was, mark, Relaxed, Relaxed);
            // If somebody else was quicker, it may have been for the same key: look again. Each
            // round that fails is one in which another key got its place.
            if made.is_ok() {
                if self.levels[place].full_at() > now {
                    self.levels[place].fill();
                }
                return place;
            }
        }
    }

    /// The place with the least debt: a free one, or an idle one, if there is any.
    fn least(&self) -> usize {
        let places = self.levels.iter().enumerate();
        places
            .min_by_key(|(_, level)| level.full_at())
            .map_or(0, |(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Rate;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(rate: f64, burst: u32) -> Limit {
        Limit {
            rate: Rate::per_second(rate).unwrap(),
            burst,
        }
    }

    #[test]
    fn every_key_has_its_own() {
        let buckets = Buckets::new(limit(1.0, 2), 1024);
        let now = Instant::now();
        for key in ["a", "b"] {
            assert_eq!(buckets.take(key, now), Ok(()));
            assert_eq!(buckets.take(key, now), Ok(()));
            assert_eq!(buckets.take(key, now), Err(SECOND));
        }
        assert_eq!(buckets.busy(now), 2);
        assert_eq!(buckets.busy(now + 2 * SECOND), 0);
    }

    #[test]
    fn a_table_that_limits_nothing_takes_no_memory() {
        let buckets = Buckets::new(Limit::INFINITE, 1024);
        buckets.take("a", Instant::now()).unwrap();
        assert!(buckets.table.get().is_none());
        buckets.set(limit(1.0, 1));
        buckets.take("a", Instant::now()).unwrap();
        assert!(buckets.table.get().is_some());
    }

    #[test]
    fn strangers_in_turn_find_room_and_idle_ones_are_forgotten() {
        let buckets = Buckets::new(limit(1.0, 1), 64);
        let mut now = Instant::now();
        for wave in 0..10 {
            for key in 0..1000 {
                assert_eq!(
                    buckets.take(&(wave, key), now),
                    Ok(()),
                    "a stranger is served"
                );
            }
            assert!(buckets.busy(now) <= 64);
            now += SECOND;
            assert_eq!(buckets.busy(now), 0);
        }
    }

    #[test]
    fn who_is_far_over_the_limit_is_remembered_longest() {
        let buckets = Buckets::new(limit(1.0, 100), 8);
        let now = Instant::now();
        while buckets.take("greedy", now).is_ok() {}
        for key in 0..1000 {
            buckets.take(&key, now).unwrap();
        }
        assert!(buckets.take("greedy", now).is_err());
    }

    #[test]
    fn a_size_is_what_it_says() {
        assert_eq!(size_of::<Set>(), WAYS * BYTES_PER_KEY);
        assert_eq!(Buckets::new(Limit::INFINITE, 1000).bytes(), 1024 * 16);
    }
}
