//! A memory of what was said already, so that a hostile peer cannot fill the log.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How much is remembered; beyond it nothing counts as new.
const MOST: usize = 1024;
/// For how long at most it is remembered.
const MEMORY: Duration = Duration::from_secs(600);

/// Tells each thing's first time, within [`MEMORY`], and at most [`MOST`] of them in that time.
#[derive(Debug)]
pub(crate) struct Once<K> {
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    keys: HashSet<K>,
    forget_at: Option<Instant>,
}

impl<K> Default for Once<K> {
    fn default() -> Self {
        Once {
            known: Mutex::new(Known {
                keys: HashSet::new(),
                forget_at: None,
            }),
        }
    }
}

impl<K: Eq + Hash> Once<K> {
    /// Whether `key` is new and worth a word.
    pub(crate) fn first(&self, key: K, now: Instant) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.forget_at.is_none_or(|at| at <= now) {
            known.keys.clear();
            known.forget_at = Some(now + MEMORY);
        }
        known.keys.len() < MOST && known.keys.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_new_once_and_again_when_forgotten() {
        let (once, now) = (Once::default(), Instant::now());
        assert!(once.first(1, now));
        assert!(!once.first(1, now));
        assert!(once.first(2, now));
        assert!(!once.first(1, now + MEMORY - Duration::from_nanos(1)));
        assert!(once.first(1, now + MEMORY));
    }

    #[test]
    fn memory_is_bounded() {
        let (once, now) = (Once::default(), Instant::now());
        assert_eq!((0..2 * MOST).filter(|n| once.first(*n, now)).count(), MOST);
    }
}
