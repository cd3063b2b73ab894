//! Indexes of two logs that count alike but not the same: which numbers they are means nothing,
//! which of them are equal and which are larger means everything.

use std::collections::BTreeMap;

use super::both::Both;

/// What each index of one is at the other, in the order of both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks(BTreeMap<u64, u64>);

impl Ranks {
    /// Takes a pair in; false if it stands against one that was seen before.
    pub(crate) fn add(&mut self, pair: &Both<u64>) -> bool {
        let Both { consul, ours } = *pair;
        if (consul == 0) != (ours == 0) {
            return false;
        }
        let below = self.0.range(..consul).next_back();
        let above = self.0.range(consul + 1..).next();
        let fits = below.is_none_or(|(_, below)| *below < ours)
            && above.is_none_or(|(_, above)| *above > ours)
            && self.0.get(&consul).is_none_or(|known| *known == ours);
        if fits {
            self.0.insert(consul, ours);
        }
        fits
    }
}

#[test]
fn equal_is_equal_and_larger_is_larger() {
    let mut ranks = Ranks::default();
    for (consul, ours, fits) in [
        (10, 1, true),
        (20, 2, true),
        (10, 1, true),
        (10, 2, false),
        (15, 2, false),
        (30, 2, false),
        (30, 9, true),
        (25, 9, false),
        (5, 1, false),
        (0, 0, true),
        (5, 0, false),
    ] {
        assert_eq!(ranks.add(&Both::new(consul, ours)), fits, "{consul} {ours}");
    }
}
