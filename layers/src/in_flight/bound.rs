//! A bound on one kind of calls, and how many of them run.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many calls of one kind may run at once, in all and on each connection. Zero is no limit.
#[derive(Debug, Default)]
pub(super) struct Bound {
    most: AtomicUsize,
    most_each: AtomicUsize,
    all: Count,
}

impl Bound {
    pub(super) fn set(&self, most: usize, most_each: usize) {
        self.most.store(most, Relaxed);
        self.most_each.store(most_each, Relaxed);
    }

    /// How many run, of all connections.
    pub(super) fn running(&self) -> usize {
        self.all.0.load(Relaxed)
    }

    /// Takes a place for a call on the connection that counts `here`; whether there was one.
    #[inline]
    pub(super) fn take(&self, here: &Count) -> bool {
        if !self.all.take(self.most.load(Relaxed)) {
            return false;
        }
        let taken = here.take(self.most_each.load(Relaxed));
        if !taken {
            self.all.give();
        }
        taken
    }

    #[inline]
    pub(super) fn give(&self, here: &Count) {
        here.give();
        self.all.give();
    }
}

/// How many calls of one kind run.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    #[inline]
    fn take(&self, most: usize) -> bool {
        let one_more = |running| (most == 0 || running < most).then_some(running + 1);
        self.0.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    #[inline]
    fn give(&self) {
        self.0.fetch_sub(1, Relaxed);
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
        let (bound, one, two) = (bound(2, 0), Count::default(), Count::default());
        assert!(bound.take(&one));
        assert!(bound.take(&two));
        assert!(!bound.take(&two));
        bound.give(&one);
        assert!(bound.take(&two));
    }

    #[test]
    fn the_bound_of_a_connection_is_exact_and_its_own() {
        let (bound, one, two) = (bound(0, 2), Count::default(), Count::default());
        assert!(bound.take(&one));
        assert!(bound.take(&one));
        assert!(!bound.take(&one));
        assert!(bound.take(&two));
        // The one that was refused took no place of the others either.
        assert_eq!(bound.running(), 3);
        bound.give(&one);
        assert!(bound.take(&one));
    }

    #[test]
    fn a_bound_that_is_switched_on_finds_the_calls_that_run() {
        let (bound, one) = (bound(0, 0), Count::default());
        assert!(bound.take(&one));
        bound.set(0, 1);
        assert!(!bound.take(&one));
        bound.give(&one);
        assert!(bound.take(&one));
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_have_ended(
            most in 0usize..5,
            most_each in 0usize..4,
            steps in prop::collection::vec((0usize..3, any::<bool>()), 0..60),
        ) {
            let bound = bound(most, most_each);
            let here: [Count; 3] = Default::default();
            let mut running: Vec<usize> = Vec::new();
            for (at, begins) in steps {
                if begins {
                    running.extend(bound.take(&here[at]).then_some(at));
                } else if let Some(ended) = running.pop() {
                    bound.give(&here[ended]);
                }
                prop_assert!(most == 0 || running.len() <= most);
                for at in 0..3 {
                    let of_it = running.iter().filter(|held| **held == at).count();
                    prop_assert!(most_each == 0 || of_it <= most_each);
                }
                prop_assert_eq!(bound.running(), running.len());
            }
            for ended in running {
                bound.give(&here[ended]);
            }
            prop_assert_eq!(bound.running(), 0);
        }
    }
}
