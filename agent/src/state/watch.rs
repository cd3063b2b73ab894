//! Who waits for what: watches by key and by prefix.

use std::{
    collections::BTreeMap,
    ops::Bound::{Included, Unbounded},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, futures::Notified};

/// What a [`Watch`] looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One key, there or not.
    Key(Bytes),
    /// Every key that begins so.
    Prefix(Bytes),
}

/// Wakes its owner when something below its [`Target`] changes. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    target: Target,
    notify: Arc<Notify>,
    watches: Arc<Watches>,
}

impl Watch {
    /// Ready at the next change after this call, polled or not. Take it, then look at the state,
    /// then wait: nothing is missed.
    pub fn changed(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watches.forget(&self.target);
    }
}

/// All watches of a store. A write looks up those it concerns: the key's own and the prefixes of
/// the key, so that watches of anything else cost it nothing.
#[derive(Debug, Default)]
pub(super) struct Watches {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    keys: BTreeMap<Bytes, Slot>,
    prefixes: BTreeMap<Bytes, Slot>,
}

/// Shared by all watches of one target.
#[derive(Debug, Default)]
struct Slot {
    notify: Arc<Notify>,
    watches: usize,
}

impl Watches {
    pub(super) fn watch(this: &Arc<Watches>, target: Target) -> Watch {
        let notify = {
            let mut tables = this.lock();
            let (table, name) = tables.of(&target);
            let slot = table.entry(name.clone()).or_default();
            slot.watches += 1;
            Arc::clone(&slot.notify)
        };
        Watch {
            target,
            notify,
            watches: Arc::clone(this),
        }
    }

    pub(super) fn len(&self) -> usize {
        let tables = self.lock();
        let slots = tables.keys.values().chain(tables.prefixes.values());
        slots.map(|slot| slot.watches).sum()
    }

    /// Wakes every watch that one of these keys concerns.
    pub(super) fn wake(&self, changed: &[Bytes]) {
        // Collected first: a waker is a stranger's code and may drop a watch of ours.
        let concerned = self.lock().concerned(changed);
        for notify in concerned {
            notify.notify_waiters();
        }
    }

    fn forget(&self, target: &Target) {
        let mut tables = self.lock();
        let (table, name) = tables.of(target);
        if let Some(slot) = table.get_mut(name) {
            slot.watches -= 1;
            if slot.watches == 0 {
                table.remove(name);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Nothing in here panics half-way.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn of<'a>(&mut self, target: &'a Target) -> (&mut BTreeMap<Bytes, Slot>, &'a Bytes) {
        match target {
            Target::Key(key) => (&mut self.keys, key),
            Target::Prefix(prefix) => (&mut self.prefixes, prefix),
        }
    }

    fn concerned(&self, changed: &[Bytes]) -> Vec<Arc<Notify>> {
        let mut concerned = Vec::new();
        if self.keys.is_empty() && self.prefixes.is_empty() {
            return concerned;
        }
        for key in changed {
            concerned.extend(self.keys.get(key).map(|slot| Arc::clone(&slot.notify)));
            // As the table has it: a prefix may end with the NUL that ends a key there.
            let ended = [key, b"\0".as_slice()].concat();
            self.prefixes_of(&ended, |slot| concerned.push(Arc::clone(&slot.notify)));
        }
        // A deleted tree concerns the same prefix with every key: once is enough.
        concerned.sort_unstable_by_key(Arc::as_ptr);
        concerned.dedup_by_key(|notify| Arc::as_ptr(notify));
        concerned
    }

    /// Walks down from the key itself: the greatest prefix not above it either is one of the key's
    /// or shows how much of the key the next one can share at most.
    fn prefixes_of(&self, key: &[u8], mut found: impl FnMut(&Slot)) {
        let mut rest = Some(key);
        while let Some(bound) = rest {
            let upto = self.prefixes.range::<[u8], _>((Unbounded, Included(bound)));
            let Some((prefix, slot)) = upto.into_iter().next_back() else {
                return;
            };
            let shared = prefix.iter().zip(bound).take_while(|(a, b)| a == b).count();
            if shared == prefix.len() {
                found(slot);
                rest = shared.checked_sub(1).map(|shorter| &bound[..shorter]);
            } else {
                rest = Some(&bound[..shared]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    fn woken(target: Target, changed: &[&'static str]) -> bool {
        let watches = Arc::new(Watches::default());
        let watch = Watches::watch(&watches, target);
        let mut notified = pin!(watch.changed());
        let changed: Vec<_> = changed.iter().map(|key| Bytes::from(*key)).collect();
        watches.wake(&changed);
        let mut cx = Context::from_waker(Waker::noop());
        notified.as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn a_key_wakes_its_own_watch_alone() {
        assert!(woken(Target::Key("a/b".into()), &["a/b"]));
        assert!(woken(Target::Key("a/b".into()), &["x", "a/b"]));
        assert!(!woken(Target::Key("a/b".into()), &["a", "a/", "a/bc"]));
    }

    #[test]
    fn a_prefix_wakes_for_every_key_below() {
        assert!(woken(Target::Prefix("a/".into()), &["a/b"]));
        assert!(woken(Target::Prefix("a/".into()), &["a/"]));
        assert!(woken(Target::Prefix("".into()), &["z"]));
        assert!(!woken(Target::Prefix("a/".into()), &["a", "b/", "aa"]));
    }

    #[test]
    fn the_end_of_a_key_is_below_a_prefix_too() {
        assert!(woken(Target::Prefix("a\0".into()), &["a"]));
        assert!(woken(Target::Prefix("a\0".into()), &["a\0b"]));
        assert!(!woken(Target::Prefix("a\0".into()), &["b"]));
        assert!(!woken(Target::Prefix("a\0\0".into()), &["a"]));
    }

    #[test]
    fn prefixes_are_found_among_others() {
        let watches = Arc::new(Watches::default());
        let names = ["", "a", "a/a", "a/b", "a/b/", "a/b/a", "a/b0", "b"];
        let _watches: Vec<_> = names
            .iter()
            .map(|name| Watches::watch(&watches, Target::Prefix(Bytes::from(*name))))
            .collect();
        let tables = watches.lock();
        let mut found = 0;
        tables.prefixes_of(b"a/b/c", |_| found += 1);
        assert_eq!(found, 4, "the empty one, a, a/b and a/b/");
        assert_eq!(tables.concerned(&["a/b/c".into(), "a/b/d".into()]).len(), 4);
    }

    #[test]
    fn a_dropped_watch_leaves_nothing() {
        let watches = Arc::new(Watches::default());
        let first = Watches::watch(&watches, Target::Key("k".into()));
        let second = Watches::watch(&watches, Target::Key("k".into()));
        drop(first);
        assert_eq!(watches.len(), 1);
        drop(second);
        assert_eq!(watches.len(), 0);
        assert!(watches.lock().keys.is_empty());
    }
}
