//! What requests and replies have in common.

use super::bytes::GoString;
use super::duration::GoDuration;

crate::wire_struct! {
    /// How to read. Embedded in every request that reads.
    pub struct QueryOptions {
        /// The secret of the caller; empty for anybody.
        pub token: GoString = "Token",
        /// Wait until the index of the result is above this one; 0 does not wait.
        pub min_query_index: u64 = "MinQueryIndex",
        /// How long to wait; 0 and less is the default of the server.
        pub max_query_time: GoDuration = "MaxQueryTime",
        /// Any server may answer, from what it has.
        pub allow_stale: bool = "AllowStale",
        /// The leader must ask a majority whether it still leads.
        pub require_consistent: bool = "RequireConsistent",
        /// An agent may answer from its cache; servers look away.
        pub use_cache: bool = "UseCache",
        /// How old a stale answer may be; for agents.
        pub max_stale_duration: GoDuration = "MaxStaleDuration",
        /// How old a cached answer may be; for agents.
        pub max_age: GoDuration = "MaxAge",
        /// The cache must ask again; for agents.
        pub must_revalidate: bool = "MustRevalidate",
        /// How old a cached answer may be when there is no other; for agents.
        pub stale_if_error: GoDuration = "StaleIfError",
        /// An expression that the entries of the result must meet.
        pub filter: GoString = "Filter",
        /// The reply may be empty, with `NotModified` set, if nothing changed.
        pub allow_not_modified_response: bool = "AllowNotModifiedResponse",
    }
}

crate::wire_struct! {
    /// How to write. Embedded in every request that writes.
    pub struct WriteRequest {
        /// The secret of the caller; empty for anybody.
        pub token: GoString = "Token",
    }
}

crate::wire_struct! {
    /// What a reply tells about itself. Embedded in every reply to a read.
    pub struct QueryMeta {
        /// The index of the result: what a blocking query passes back.
        pub index: u64 = "Index",
        /// How long ago the answering server heard of the leader.
        pub last_contact: GoDuration = "LastContact",
        /// Whether the answering server knows a leader.
        pub known_leader: bool = "KnownLeader",
        /// The consistency that was used; servers leave it empty.
        pub consistency_level: GoString = "ConsistencyLevel",
        /// The result is left out because it is what the caller has.
        pub not_modified: bool = "NotModified",
        /// What answered: 0 a blocking query, 1 a stream.
        pub backend: i64 = "Backend",
        /// The rights of the caller removed something from the result.
        pub results_filtered_by_acls: bool = "ResultsFilteredByACLs",
    }
}

crate::wire_struct! {
    /// When an entry was made and changed. Embedded in everything that is stored.
    pub struct RaftIndex {
        /// The index at which it was made.
        pub create_index: u64 = "CreateIndex",
        /// The index at which it was last changed.
        pub modify_index: u64 = "ModifyIndex",
    }
}

crate::wire_struct! {
    /// The node to sort results by: nearest first.
    pub struct QuerySource {
        /// Its datacenter.
        pub datacenter: GoString = "Datacenter",
        /// Its network segment.
        pub segment: GoString = "Segment",
        /// Its name.
        pub node: GoString = "Node",
        /// Its partition.
        pub node_partition: GoString = "NodePartition",
        /// Its address.
        pub ip: GoString = "Ip",
    }
}
