//! The key-value table and its tombstones.

use std::{
    ops::Bound::{Included, Unbounded},
    sync::Arc,
};

use bytes::Bytes;
use imbl::OrdMap;

use super::{ApplyError, Entry, KvOp};

/// The key-value table with its tombstones: an immutable value that is cheap to clone.
///
/// Deletions leave a tombstone, so that the index of a list does not go back when its newest key
/// is deleted.
#[derive(Clone, Debug, Default)]
pub struct KvTable {
    entries: OrdMap<Bytes, Arc<Entry>>,
    stones: OrdMap<Bytes, u64>,
    entries_index: u64,
    stones_index: u64,
}

/// The keys below a prefix, in the order of their bytes, and the index of that part of the table.
#[derive(Clone, Debug, Default)]
pub struct Listed<T = Arc<Entry>> {
    /// The highest index of any entry or tombstone below the prefix; that of the whole table if
    /// there are none, or if the prefix is empty.
    pub index: u64,
    /// The entries, or what was made of them.
    pub entries: Vec<T>,
}

impl KvTable {
    /// The entry of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    /// All entries whose key begins with `prefix`.
    pub fn list(&self, prefix: &[u8]) -> Listed {
        self.list_as(prefix, |entry| Some(Arc::clone(entry)))
    }

    /// What `make` makes of the entries whose key begins with `prefix`, of those that it makes
    /// something of. All of them count for the index.
    pub fn list_as<T>(&self, prefix: &[u8], make: impl Fn(&Arc<Entry>) -> Option<T>) -> Listed<T> {
        let mut newest = 0;
        let entries = below(&self.entries, prefix)
            .filter_map(|(_, entry)| {
                newest = newest.max(entry.modify_index);
                make(entry)
            })
            .collect();
        Listed {
            index: self.part_index(prefix, newest),
            entries,
        }
    }

    /// The index of the last command that changed the table; 0 if there was none.
    pub fn index(&self) -> u64 {
        self.entries_index.max(self.stones_index)
    }

    /// Whether a deletion up to `through` left a tombstone.
    pub fn has_stones(&self, through: u64) -> bool {
        self.stones.values().any(|buried| *buried <= through)
    }

    fn part_index(&self, prefix: &[u8], newest: u64) -> u64 {
        if prefix.is_empty() {
            return self.index();
        }
        // Consul looks for tombstones without the NULs at the end of the prefix.
        let bare = prefix.iter().rposition(|byte| *byte != 0);
        let bare = &prefix[..bare.map_or(0, |last| last + 1)];
        let buried = below(&self.stones, bare).map(|(_, index)| *index).max();
        match newest.max(buried.unwrap_or(0)) {
            0 => self.index(),
            part => part,
        }
    }

    /// Applies one operation and appends the keys that it changed. What a conditional operation
    /// decided is the result; the others answer false.
    pub(super) fn apply(
        &mut self,
        index: u64,
        op: &KvOp,
        entry: Entry,
        changed: &mut Vec<Bytes>,
    ) -> Result<bool, ApplyError> {
        let mut change = Change {
            table: self,
            index,
            changed,
        };
        match op {
            KvOp::Set => change.set(entry),
            KvOp::Delete => change.delete(&entry.key),
            KvOp::DeleteTree => change.delete_tree(&entry.key),
            KvOp::DeleteCas => return Ok(change.delete_cas(&entry)),
            KvOp::Cas => return Ok(change.cas(entry)),
            KvOp::Lock => return lock(entry),
            KvOp::Unlock => return change.unlock(entry),
            KvOp::Unknown(name) => return Err(ApplyError::InvalidOperation(name.clone())),
        }
        Ok(false)
    }

    /// Forgets the tombstones up to `through`. The table's index stays.
    pub(super) fn reap(&mut self, through: u64) {
        let old = self.stones.iter().filter(|(_, buried)| **buried <= through);
        for key in old.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.stones.remove(&key);
        }
    }
}

/// The part of a table whose keys begin with `prefix`.
///
/// Consul's tables end every key with a NUL and look for prefixes in that: below a prefix that ends
/// with one lies also the key that is the rest of it. It sorts directly before the others.
fn below<'a, V>(
    table: &'a OrdMap<Bytes, V>,
    prefix: &'a [u8],
) -> impl Iterator<Item = (&'a Bytes, &'a V)> {
    let whole = prefix.strip_suffix(b"\0");
    table
        .range::<_, [u8]>((Included(whole.unwrap_or(prefix)), Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix) || Some(key.as_ref()) == whole)
}

fn keys_below<V>(table: &OrdMap<Bytes, V>, prefix: &[u8]) -> Vec<Bytes> {
    below(table, prefix).map(|(key, _)| key.clone()).collect()
}

/// A lock needs a session, and there are none yet.
fn lock(entry: Entry) -> Result<bool, ApplyError> {
    if entry.session.is_empty() {
        return Err(ApplyError::MissingSession);
    }
    Err(ApplyError::InvalidSession(entry.session))
}

/// One command at work on the table.
struct Change<'a> {
    table: &'a mut KvTable,
    index: u64,
    changed: &'a mut Vec<Bytes>,
}

impl Change<'_> {
    /// A set keeps the lock's holder and the index of creation, whatever the request says.
    fn set(&mut self, mut entry: Entry) {
        entry.session = match self.table.get(&entry.key) {
            Some(existing) => existing.session.clone(),
            None => Bytes::new(),
        };
        self.write(entry);
    }

    /// Writes the entry, unless it is there already: then no index moves and nobody wakes.
    fn write(&mut self, mut entry: Entry) {
        entry.create_index = self.index;
        entry.modify_index = self.index;
        if let Some(existing) = self.table.get(&entry.key) {
            if existing.same_content(&entry) {
                return;
            }
            entry.create_index = existing.create_index;
        }
        self.changed.push(entry.key.clone());
        self.table.entries_index = self.index;
        self.table
            .entries
            .insert(entry.key.clone(), Arc::new(entry));
    }

    fn cas(&mut self, entry: Entry) -> bool {
        let current = self.table.get(&entry.key).map(|known| known.modify_index);
        let expected = (entry.modify_index != 0).then_some(entry.modify_index);
        if current != expected {
            return false;
        }
        self.set(entry);
        true
    }

    fn unlock(&mut self, mut entry: Entry) -> Result<bool, ApplyError> {
        if entry.session.is_empty() {
            return Err(ApplyError::MissingSession);
        }
        let Some(held) = self.table.get(&entry.key) else {
            return Ok(false);
        };
        if held.session != entry.session {
            return Ok(false);
        }
        entry.lock_index = held.lock_index;
        entry.session = Bytes::new();
        self.write(entry);
        Ok(true)
    }

    fn delete(&mut self, key: &Bytes) {
        if self.table.entries.remove(key).is_some() {
            self.bury(key);
            self.table.entries_index = self.index;
            self.changed.push(key.clone());
        }
    }

    /// What is gone already was deleted well, whichever index was expected.
    fn delete_cas(&mut self, entry: &Entry) -> bool {
        match self.table.get(&entry.key) {
            None => true,
            Some(existing) if existing.modify_index != entry.modify_index => false,
            Some(_) => {
                self.delete(&entry.key);
                true
            }
        }
    }

    /// Leaves one tombstone, at the prefix; none if the whole table goes, for then the table's own
    /// index is what everybody sees.
    fn delete_tree(&mut self, prefix: &Bytes) {
        let doomed = keys_below(&self.table.entries, prefix);
        if doomed.is_empty() {
            return;
        }
        for key in &doomed {
            self.table.entries.remove(key);
        }
        if !prefix.is_empty() {
            self.bury(prefix);
        }
        self.table.entries_index = self.index;
        self.changed.extend(doomed);
    }

    fn bury(&mut self, key: &Bytes) {
        self.table.stones.insert(key.clone(), self.index);
        self.table.stones_index = self.index;
    }
}
