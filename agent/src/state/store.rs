//! The current snapshot and who waits for the next one.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{ApplyError, Command, Snapshot, Target, Watch, watch::Watches};

/// The current [`Snapshot`] and who waits for the next one.
///
/// Any number of readers; the one writer is the [`Log`](super::Log).
#[derive(Debug, Default)]
pub struct Store {
    current: ArcSwap<Snapshot>,
    watches: Arc<Watches>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Store {
        Store::default()
    }

    /// The state as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Watches a key or a prefix until the watch is dropped. A snapshot that is taken later shows
    /// every change that the watch missed.
    pub fn watch(&self, target: Target) -> Watch {
        Watches::watch(&self.watches, target)
    }

    /// How many watches there are.
    pub fn watches(&self) -> usize {
        self.watches.len()
    }

    /// Publishes the state after `command`, then wakes those who watch what it changed.
    pub(super) fn apply(
        &self,
        index: u64,
        term: u64,
        command: Command,
    ) -> Result<bool, ApplyError> {
        let mut next = Snapshot::clone(&self.current.load());
        let mut changed = Vec::new();
        let outcome = next.apply(index, term, command, &mut changed);
        self.current.store(Arc::new(next));
        self.watches.wake(&changed);
        outcome
    }
}
