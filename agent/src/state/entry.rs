//! One key and its value.

use bytes::Bytes;

/// One key and its value, as they are stored. Keys and values are any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value. None and empty are distinct on the wire and are kept apart.
    pub value: Option<Bytes>,
    /// The client's own number; it means nothing to the server.
    pub flags: u64,
    /// How often the key was locked, as far as writers left it alone.
    pub lock_index: u64,
    /// The session that holds the lock; empty for none.
    pub session: Bytes,
    /// The index of the command that created the key.
    pub create_index: u64,
    /// The index of the last command that changed it. In a command: the index that a
    /// check-and-set expects.
    pub modify_index: u64,
}

impl Entry {
    /// A key and a value, everything else zero.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Entry {
        Entry {
            key: key.into(),
            value: Some(value.into()),
            ..Entry::default()
        }
    }

    /// A key alone: all that a deletion needs.
    pub fn key(key: impl Into<Bytes>) -> Entry {
        Entry {
            key: key.into(),
            ..Entry::default()
        }
    }

    /// Whether writing `other` over this entry would change nothing. The indexes do not count, and
    /// no value equals an empty one.
    pub(super) fn same_content(&self, other: &Entry) -> bool {
        self.key == other.key
            && self.flags == other.flags
            && self.lock_index == other.lock_index
            && self.session == other.session
            && self.value.as_deref().unwrap_or_default()
                == other.value.as_deref().unwrap_or_default()
    }
}
