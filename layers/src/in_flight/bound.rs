//! A bound on one kind of calls, in all and for each connection.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// A bound on one kind of calls. A limit of zero is none.
#[derive(Default)]
pub(super) struct Bound {
    most: AtomicUsize,
    most_each: AtomicUsize,
    pub(super) all: AtomicUsize,
    each: Each,
}

impl Bound {
    pub(super) fn set(&self, most: usize, most_each: usize) {
        self.most.store(most, Relaxed);
        self.most_each.store(most_each, Relaxed);
    }

    /// Takes a place for a call on the connection `session`. What is inside is to be given back.
    pub(super) fn take(&self, session: u64) -> Option<Option<u64>> {
        let most = self.most.load(Relaxed);
        let one_more = |running| one_more(running, most);
        self.all.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        let most_each = self.most_each.load(Relaxed);
        if most_each == 0 {
            return Some(None);
        }
        if self.each.take(session, most_each) {
            return Some(Some(session));
        }
        self.all.fetch_sub(1, Relaxed);
        None
    }

    pub(super) fn give(&self, session: Option<u64>) {
        if let Some(session) = session {
            self.each.give(session);
        }
        self.all.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("most", &self.most)
            .field("most_each", &self.most_each)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

/// The count with one more call, if `most` lets it in.
fn one_more(running: usize, most: usize) -> Option<usize> {
    (most == 0 || running < most).then_some(running + 1)
}

/// How many locks share the connections: their calls meet on one only by chance.
const SHARDS: u64 = 64;

/// Counts of calls by connection. A connection without any takes no room.
struct Each(Box<[Mutex<Counts>]>);

type Counts = HashMap<u64, usize, BuildHasherDefault<Spread>>;

impl Default for Each {
    fn default() -> Each {
        Each((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Each {
    fn take(&self, session: u64, most: usize) -> bool {
        let mut counts = self.shard(session);
        let running = counts.entry(session).or_default();
        match one_more(*running, most) {
            Some(more) => {
                *running = more;
                true
            }
            None => false,
        }
    }

    fn give(&self, session: u64) {
        let mut counts = self.shard(session);
        match counts.get_mut(&session) {
            Some(running) if *running > 1 => *running -= 1,
            _ => _ = counts.remove(&session),
        }
    }

    fn shard(&self, session: u64) -> MutexGuard<'_, Counts> {
        // Ids are counted, so neighbours are in different shards.
        let shard = usize::try_from(session % SHARDS).unwrap_or_default();
        // Nothing panics while it is held.
        self.0[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Session ids are counted by this process: nobody outside can choose colliding ones, so a
/// multiplication (by 2^64 divided by the golden ratio) spreads them well enough.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(most: usize, most_each: usize) -> Bound {
        let bound = Bound::default();
        bound.set(most, most_each);
        bound
    }

    #[test]
    fn the_bound_in_all_is_exact() {
        let bound = bound(2, 0);
        let first = bound.take(1).unwrap();
        assert!(bound.take(2).is_some());
        assert!(bound.take(3).is_none());
        bound.give(first);
        assert!(bound.take(3).is_some());
    }

    #[test]
    fn the_bound_of_a_connection_is_exact_and_its_own() {
        let bound = bound(0, 2);
        let first = bound.take(1).unwrap();
        assert!(bound.take(1).is_some());
        assert!(bound.take(1).is_none());
        assert!(bound.take(2).is_some());
        // The one that was refused took no place of the others either.
        assert_eq!(bound.all.load(Relaxed), 3);
        bound.give(first);
        assert!(bound.take(1).is_some());
    }

    #[test]
    fn a_bound_that_is_switched_on_meets_calls_that_were_not_counted() {
        let bound = bound(0, 0);
        let early = bound.take(1).unwrap();
        bound.set(0, 1);
        let counted = bound.take(1).unwrap();
        bound.give(early);
        assert!(bound.take(1).is_none());
        bound.give(counted);
        assert!(bound.take(1).is_some());
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_have_ended(
            most in 0usize..5,
            most_each in 0usize..4,
            steps in prop::collection::vec((0u64..3, any::<bool>()), 0..60),
        ) {
            let bound = bound(most, most_each);
            let mut running = Vec::new();
            for (session, begins) in steps {
                if begins {
                    running.extend(bound.take(session));
                } else if let Some(ended) = running.pop() {
                    bound.give(ended);
                }
                prop_assert!(most == 0 || running.len() <= most);
                for id in 0..3 {
                    let of_it = running.iter().filter(|held| **held == Some(id)).count();
                    prop_assert!(most_each == 0 || of_it <= most_each);
                }
                prop_assert_eq!(bound.all.load(Relaxed), running.len());
            }
            for ended in running {
                bound.give(ended);
            }
            prop_assert_eq!(bound.all.load(Relaxed), 0);
            for shard in &bound.each.0 {
                prop_assert!(shard.lock().unwrap().is_empty());
            }
        }
    }
}
