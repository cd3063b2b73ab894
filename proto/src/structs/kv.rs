//! The structs of `KVS.*`.

use super::bytes::{Blob, GoString};
use super::query::{QueryMeta, QueryOptions, RaftIndex, WriteRequest};

/// The operations that [`KVSRequest::op`] names.
pub mod op {
    /// Stores the entry.
    pub const SET: &str = "set";
    /// Removes the entry.
    pub const DELETE: &str = "delete";
    /// Removes the entry if its `ModifyIndex` is the one that is given.
    pub const DELETE_CAS: &str = "delete-cas";
    /// Removes all entries whose keys begin with the one that is given.
    pub const DELETE_TREE: &str = "delete-tree";
    /// Stores the entry if its `ModifyIndex` is the one that is given; 0 for an entry that is not there.
    pub const CAS: &str = "cas";
    /// Stores the entry and locks it for a session.
    pub const LOCK: &str = "lock";
    /// Stores the entry and unlocks it.
    pub const UNLOCK: &str = "unlock";
    /// Reads the entry; in transactions only.
    pub const GET: &str = "get";
    /// Reads all entries whose keys begin with the one that is given; in transactions only.
    pub const GET_TREE: &str = "get-tree";
    /// Checks who holds the lock; in transactions only.
    pub const CHECK_SESSION: &str = "check-session";
    /// Checks the `ModifyIndex`; in transactions only.
    pub const CHECK_INDEX: &str = "check-index";
    /// Checks that the entry is not there; in transactions only.
    pub const CHECK_NOT_EXISTS: &str = "check-not-exists";
}

crate::wire_struct! {
    /// An entry of the store.
    pub struct DirEntry {
        /// How often it has been locked.
        pub lock_index: u64 = "LockIndex",
        /// The key: any bytes.
        pub key: GoString = "Key",
        /// Whatever the owner wants.
        pub flags: u64 = "Flags",
        /// The value. Consul takes an empty one for nil when it reads a request, so it never stores one.
        pub value: Option<Blob> = "Value",
        /// The session that holds the lock.
        pub session: GoString = "Session",
        /// When it was made and changed.
        pub raft: RaftIndex => embed,
    }
}

crate::wire_struct! {
    /// The request of `KVS.Apply`.
    pub struct KVSRequest {
        /// The datacenter that is asked; empty for the one of the server.
        pub datacenter: GoString = "Datacenter",
        /// What to do: one of [`op`].
        pub op: GoString = "Op",
        /// The entry to do it with.
        pub dir_ent: DirEntry = "DirEnt",
        /// How to write.
        pub write: WriteRequest => embed,
    }
}

crate::wire_struct! {
    /// The request of `KVS.Get` and `KVS.List`.
    pub struct KeyRequest {
        /// The datacenter that is asked; empty for the one of the server.
        pub datacenter: GoString = "Datacenter",
        /// The key, or what the keys of a list begin with.
        pub key: GoString = "Key",
        /// How to read.
        pub query: QueryOptions => embed,
    }
}

crate::wire_struct! {
    /// The request of `KVS.ListKeys`.
    pub struct KeyListRequest {
        /// The datacenter that is asked; empty for the one of the server.
        pub datacenter: GoString = "Datacenter",
        /// What the keys begin with.
        pub prefix: GoString = "Prefix",
        /// Keys are cut behind it, if it comes behind the prefix. The wire misspells it.
        pub separator: GoString = "Seperator",
        /// How to read.
        pub query: QueryOptions => embed,
    }
}

crate::wire_struct! {
    /// The reply of `KVS.Get` and `KVS.List`.
    pub struct IndexedDirEntries {
        /// The entries; `None` if there are none.
        pub entries: Option<Vec<DirEntry>> = "Entries",
        /// About the reply.
        pub meta: QueryMeta => embed,
    }
}

crate::wire_struct! {
    /// The reply of `KVS.ListKeys`.
    pub struct IndexedKeyList {
        /// The keys; `None` if there are none.
        pub keys: Option<Vec<GoString>> = "Keys",
        /// About the reply.
        pub meta: QueryMeta => embed,
    }
}
