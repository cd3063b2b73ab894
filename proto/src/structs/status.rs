//! The structs of `Status.*`.

use std::collections::BTreeMap;

use super::bytes::GoString;
use super::query::{QueryOptions, QuerySource};

crate::wire_struct! {
    /// Go's `struct{}`: an empty map. Any map, any array and nil are taken for it.
    #[derive(Copy, Eq)]
    pub struct Empty {}
}

crate::wire_struct! {
    /// A request that says no more than where and how to read.
    pub struct DCSpecificRequest {
        /// The datacenter that is asked; empty for the one of the server.
        pub datacenter: GoString = "Datacenter",
        /// The metadata that nodes must have.
        pub node_meta_filters: Option<BTreeMap<GoString, GoString>> = "NodeMetaFilters",
        /// The node to sort by.
        pub source: QuerySource = "Source",
        /// The cluster peer that is asked.
        pub peer_name: GoString = "PeerName",
        /// How to read.
        pub query: QueryOptions => embed,
    }
}

crate::wire_struct! {
    /// How far the Raft log of a server is.
    pub struct RaftStats {
        /// How long ago it heard of the leader, as text: `12ms`, or `never`.
        pub last_contact: GoString = "LastContact",
        /// The highest term in its log.
        pub last_term: u64 = "LastTerm",
        /// The last index in its log.
        pub last_index: u64 = "LastIndex",
    }
}
