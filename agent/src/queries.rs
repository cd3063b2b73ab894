//! Blocking queries: reads that wait for news.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::{Counter, counter, gauge};
use oneport::proto::structs::{GoDuration, QueryOptions};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    config::QueryConfig,
    state::{Snapshot, Store, Target},
};

/// What a read found in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The index of what was read: it rises when that changes. Never 0 in what [`Queries::run`]
    /// gives back, so that a client that passes it on always waits.
    pub index: u64,
    /// Whether there is anything. A query for what is not there keeps waiting as long as it stays
    /// so, though the index moves.
    pub found: bool,
    /// What was read.
    pub value: T,
}

/// Runs reads, those that wait among them, and bounds how many wait.
#[derive(Debug)]
pub struct Queries {
    config: ArcSwap<QueryConfig>,
    blocking: AtomicUsize,
    ended: watch::Sender<bool>,
    run: Counter,
}

impl Queries {
    /// With these limits.
    pub fn new(config: QueryConfig) -> Queries {
        Queries {
            config: ArcSwap::from_pointee(config),
            blocking: AtomicUsize::new(0),
            ended: watch::Sender::new(false),
            run: counter!("rpc.query"),
        }
    }

    /// Makes these the limits. Queries that wait keep the time that they were given.
    pub fn set(&self, config: QueryConfig) {
        self.config.store(Arc::new(config));
    }

    /// Answers all queries that wait, and from now on every other, with what there is.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// How many queries wait.
    pub fn blocking(&self) -> usize {
        self.blocking.load(Relaxed)
    }

    /// Reads once; or, if `options` name an index, until what is read has a higher one, the time is
    /// up or the server ends its queries. Then the answer is what there is, which is no error.
    ///
    /// This server is its own cluster: it leads as long as it lives, so that every read is as
    /// consistent as any. Dropping the future ends the watch and gives the place back. `target` is
    /// what a query that waits watches; it is asked of no other.
    pub async fn run<T>(
        &self,
        store: &Store,
        options: &QueryOptions,
        target: impl FnOnce() -> Target,
        read: impl Fn(&Snapshot) -> Answer<T>,
    ) -> Answer<T> {
        self.run.increment(1);
        let read = || {
            let snapshot = store.snapshot();
            let mut answer = read(&snapshot);
            answer.index = answer.index.max(1);
            (answer, snapshot.kv().index())
        };
        if options.min_query_index == 0 {
            return read().0;
        }
        match self.place() {
            // In a box, so that those that do not wait carry no room for it.
            Some(_place) => Box::pin(self.wait(store, options, target(), read)).await,
            None => read().0,
        }
    }

    async fn wait<T>(
        &self,
        store: &Store,
        options: &QueryOptions,
        target: Target,
        read: impl Fn() -> (Answer<T>, u64),
    ) -> Answer<T> {
        let deadline = Instant::now() + self.time(options.max_query_time, random());
        let mut ended = self.ended.subscribe();
        let watch = store.watch(target);
        let mut known = options.min_query_index;
        let mut missed = false;
        let mut woken = false;
        loop {
            // Before the read: what changes after it is not missed.
            let changed = watch.changed();
            let (mut answer, table) = read();
            // A tree deleted further up leaves no tombstone down here, and an older one may hold a
            // list's index back. Consul misses such a deletion; the table's index tells it.
            if woken && answer.found && answer.index <= known {
                answer.index = table;
            }
            if !answer.found && std::mem::replace(&mut missed, true) {
                known = answer.index;
            }
            if answer.index > known {
                return answer;
            }
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return read().0,
                // An error means that the owner is gone, which is an end too.
                _ = ended.wait_for(|ended| *ended) => return read().0,
                () = changed => woken = true,
            }
        }
    }

    /// How long to wait if `asked` is wished and `random` is drawn.
    fn time(&self, asked: GoDuration, random: u64) -> Duration {
        let config = self.config.load();
        let time = match asked.to_std() {
            None | Some(Duration::ZERO) => config.default_time,
            Some(asked) => asked.min(config.max_time),
        };
        // The random number as a fraction: 0 is none of it, the largest is nearly all.
        let sixteenth = (time / 16).as_nanos();
        let extra = (sixteenth * u128::from(random)) >> u64::BITS;
        time + u64::try_from(extra).map_or(Duration::ZERO, Duration::from_nanos)
    }

    fn place(&self) -> Option<Place<'_>> {
        let most = self.config.load().max_blocking;
        let one_more = |taken| (taken < most).then_some(taken + 1);
        let taken = self.blocking.fetch_update(Relaxed, Relaxed, one_more);
        taken.ok()?;
        gauge!("rpc.queries_blocking").increment(1);
        Some(Place(&self.blocking))
    }
}

/// A waiting query's place; given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
        gauge!("rpc.queries_blocking").decrement(1);
    }
}

/// A number nobody can foresee: every hasher has keys of its own.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(asked: i64, random: u64) -> Duration {
        Queries::new(QueryConfig::default()).time(GoDuration(asked), random)
    }

    #[test]
    fn a_query_waits_up_to_a_sixteenth_longer() {
        let second = Duration::from_secs(1);
        assert_eq!(time(1_000_000_000, 0), second);
        assert_eq!(time(1_000_000_000, 1 << 63), second + second / 32);
        let most = time(1_000_000_000, u64::MAX);
        assert!(most < second + second / 16 && most > second + second / 17);
        assert_eq!(time(1, u64::MAX), Duration::from_nanos(1));
    }

    #[test]
    fn no_wish_is_the_default_and_a_long_one_is_cut() {
        assert_eq!(time(0, 0), Duration::from_secs(300));
        assert_eq!(time(-1, 0), Duration::from_secs(300));
        assert_eq!(time(i64::MAX, 0), Duration::from_secs(600));
        assert!(time(i64::MAX, u64::MAX) < Duration::from_secs(638));
    }

    #[test]
    fn new_limits_count_for_the_next_query() {
        let queries = Queries::new(QueryConfig {
            max_blocking: 1,
            ..QueryConfig::default()
        });
        let first = queries.place().unwrap();
        assert!(queries.place().is_none());
        let set = |max_blocking| QueryConfig {
            max_blocking,
            default_time: Duration::from_secs(1),
            ..QueryConfig::default()
        };
        queries.set(set(2));
        let second = queries.place().unwrap();
        assert_eq!(queries.time(GoDuration(0), 0), Duration::from_secs(1));
        queries.set(set(1));
        drop(first);
        assert!(queries.place().is_none());
        drop(second);
        assert!(queries.place().is_some());
        assert_eq!(queries.blocking(), 0);
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
    }
}
