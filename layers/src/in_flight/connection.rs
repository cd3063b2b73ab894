//! What runs on one connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use oneport_proto::Session;

use super::bound::{Bound, Count};

/// The bounds of one layer, and where it finds what runs on a connection.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) calls: Bound,
    pub(super) waiting: Bound,
    /// The connections whose sessions keep another layer's counts, by their ids, while any of their
    /// calls runs.
    others: Mutex<HashMap<u64, Weak<Connection>>>,
}

/// What runs on one connection, as one layer counts it. It lives as long as its session, with which
/// it is kept, or as long as one of its calls.
#[derive(Debug)]
pub(super) struct Connection {
    bounds: Arc<Bounds>,
    /// Its id, if it is among the others of its bounds.
    listed: Option<u64>,
    calls: Count,
    waiting: Count,
}

impl Connection {
    /// What this layer counts of a connection: kept with its session, unless another layer was there
    /// before.
    #[inline]
    pub(super) fn of(session: &Session, bounds: &Arc<Bounds>) -> Arc<Connection> {
        match session.kept.get_or_init(|| Connection::new(None, bounds)) {
            Some(kept) if Arc::ptr_eq(&kept.bounds, bounds) => kept,
            _ => Connection::looked_up(session.id, bounds),
        }
    }

    fn new(listed: Option<u64>, bounds: &Arc<Bounds>) -> Arc<Connection> {
        Arc::new(Connection {
            bounds: Arc::clone(bounds),
            listed,
            calls: Count::default(),
            waiting: Count::default(),
        })
    }

    #[cold]
    fn looked_up(session: u64, bounds: &Arc<Bounds>) -> Arc<Connection> {
        // Nothing panics while it is held.
        let mut others = bounds.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = others.get(&session).and_then(Weak::upgrade) {
            return found;
        }
        let made = Connection::new(Some(session), bounds);
        others.insert(session, Arc::downgrade(&made));
        made
    }

    /// Takes a place for a call; whether there was one.
    #[inline]
    pub(super) fn take(&self, waits: bool) -> bool {
        let (bound, here) = self.of_kind(waits);
        bound.take(here)
    }

    #[inline]
    pub(super) fn give(&self, waits: bool) {
        let (bound, here) = self.of_kind(waits);
        bound.give(here);
    }

    #[inline]
    fn of_kind(&self, waits: bool) -> (&Bound, &Count) {
        match waits {
            true => (&self.bounds.waiting, &self.waiting),
            false => (&self.bounds.calls, &self.calls),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(session) = &self.listed else { return };
        let others = self.bounds.others.lock();
        let mut others = others.unwrap_or_else(PoisonError::into_inner);
        // Somebody may have put a new one there since this one was given up.
        if let Some(found) = others.get(session)
            && found.strong_count() == 0
        {
            others.remove(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_layers_count_the_same_connection_apart() {
        let (first, second) = (Arc::<Bounds>::default(), Arc::<Bounds>::default());
        first.calls.set(0, 1);
        second.calls.set(0, 1);
        let session = Session::in_process();
        for _ in 0..2 {
            let kept = Connection::of(&session, &first);
            let looked_up = Connection::of(&session, &second);
            assert!(kept.take(false) && looked_up.take(false));
            assert!(!Connection::of(&session, &first).take(false));
            assert!(!Connection::of(&session, &second).take(false));
            kept.give(false);
            looked_up.give(false);
        }
        assert!(first.others.lock().unwrap().is_empty());
        assert!(second.others.lock().unwrap().is_empty());
        assert_eq!((first.calls.running(), second.calls.running()), (0, 0));
    }

    #[test]
    fn a_connection_that_is_gone_leaves_nothing() {
        let bounds = Arc::<Bounds>::default();
        let session = Session::in_process();
        let kept = Connection::of(&session, &bounds);
        drop(session);
        assert_eq!(Arc::strong_count(&kept), 1);
        drop(kept);
        assert_eq!(Arc::strong_count(&bounds), 1);
    }
}
