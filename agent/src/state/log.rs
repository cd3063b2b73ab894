//! The one way in: commands get an index and are applied in that order.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ApplyError, Command, Store};

/// The term in which a server that elected itself writes: the first one is the configuration's.
const FIRST_LEADER_TERM: u64 = 2;

/// The log of a server that is its own cluster: every command is committed as soon as it is
/// written, and nothing is kept but what it did to the [`Store`].
#[derive(Debug)]
pub struct Log {
    store: Arc<Store>,
    term: u64,
    // Held while a command gets its index and is applied, so that both orders are one.
    writing: Mutex<()>,
}

impl Log {
    /// The log of a server that has just elected itself: the configuration and the leader's first
    /// entry are written, so that the first command of a client has an index above 1.
    pub fn elected(store: Arc<Store>) -> Log {
        let mut log = Log {
            store,
            term: FIRST_LEADER_TERM - 1,
            writing: Mutex::new(()),
        };
        // An entry that changes nothing cannot fail.
        let _configuration = log.append(Command::Nop);
        log.term = FIRST_LEADER_TERM;
        let _leader = log.append(Command::Nop);
        log
    }

    /// Appends a command and waits until it is committed and applied.
    ///
    /// # Errors
    /// What applying it says; its index is used up all the same.
    pub async fn propose(&self, command: Command) -> Result<bool, ApplyError> {
        // With no other server to ask there is nothing to wait for yet.
        self.append(command)
    }

    /// The state that the log leads to.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn append(&self, command: Command) -> Result<bool, ApplyError> {
        // The store changes in one step at the end, so a panic half-way leaves nothing behind.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.store.snapshot().last_index() + 1;
        self.store.apply(index, self.term, command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Entry, KvOp};

    #[tokio::test]
    async fn starts_as_an_elected_leader_and_counts_on() {
        let log = Log::elected(Arc::new(Store::new()));
        let start = log.store().snapshot();
        assert_eq!((start.last_term(), start.kv().index()), (2, 0));
        assert!(start.last_index() > 1);
        let failed = log.propose(Command::Kv(KvOp::Lock, Entry::key("k"))).await;
        assert_eq!(failed, Err(ApplyError::MissingSession));
        let set = log.propose(Command::Kv(KvOp::Set, Entry::new("k", "v")));
        assert_eq!(set.await, Ok(false));
        let now = log.store().snapshot();
        assert_eq!(now.last_index(), start.last_index() + 2);
        assert_eq!(now.kv().get(b"k").unwrap().create_index, now.last_index());
    }
}
