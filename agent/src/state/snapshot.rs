//! The state at one index.

use bytes::Bytes;

use super::{ApplyError, Command, KvTable};

/// The state at one index: an immutable value, shared by all who read it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    kv: KvTable,
    last_index: u64,
    last_term: u64,
}

impl Snapshot {
    /// The key-value table.
    pub fn kv(&self) -> &KvTable {
        &self.kv
    }

    /// The index of the last command; 0 before the first.
    pub fn last_index(&self) -> u64 {
        self.last_index
    }

    /// The term of the last command; 0 before the first.
    pub fn last_term(&self) -> u64 {
        self.last_term
    }

    /// Applies one command and appends the keys that it changed. A command that fails uses its
    /// index up like any other.
    pub(super) fn apply(
        &mut self,
        index: u64,
        term: u64,
        command: Command,
        changed: &mut Vec<Bytes>,
    ) -> Result<bool, ApplyError> {
        self.last_index = index;
        self.last_term = term;
        match command {
            Command::Nop => Ok(false),
            Command::Kv(op, entry) => self.kv.apply(index, &op, entry, changed),
            Command::Reap { through } => {
                self.kv.reap(through);
                Ok(false)
            }
        }
    }
}
