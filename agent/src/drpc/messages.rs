//! The messages of the agent's methods, as `proto/drpc/agent.proto` has them; a test holds the two
//! together.

use bytes::Bytes;

/// A question about the server.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StatusRequest {
    /// The datacenter that is asked; empty for the server's own.
    #[prost(string, tag = "1")]
    pub datacenter: String,
    /// The caller's secret; empty for anybody.
    #[prost(bytes = "bytes", tag = "2")]
    pub token: Bytes,
}

/// The server is there.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct PingResponse {}

/// Who leads.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaderResponse {
    /// The leader's RPC address.
    #[prost(string, tag = "1")]
    pub address: String,
}

/// All servers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PeersResponse {
    /// Their RPC addresses.
    #[prost(string, repeated, tag = "1")]
    pub addresses: Vec<String>,
}

/// How far the log is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RaftStatsResponse {
    /// How long ago the server heard of its leader: 0 for the leader.
    #[prost(string, tag = "1")]
    pub last_contact: String,
    /// The term of the last entry.
    #[prost(uint64, tag = "2")]
    pub last_term: u64,
    /// The index of the last entry.
    #[prost(uint64, tag = "3")]
    pub last_index: u64,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// Any bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Any bytes; an empty value is none.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Whatever the owner wants.
    #[prost(uint64, tag = "3")]
    pub flags: u64,
    /// How often the key has been locked.
    #[prost(uint64, tag = "4")]
    pub lock_index: u64,
    /// The session that holds the lock.
    #[prost(bytes = "bytes", tag = "5")]
    pub session: Bytes,
    /// The index at which the key was made.
    #[prost(uint64, tag = "6")]
    pub create_index: u64,
    /// The index at which the key was last changed.
    #[prost(uint64, tag = "7")]
    pub modify_index: u64,
}

/// A change.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ApplyRequest {
    /// The datacenter that is asked; empty for the server's own.
    #[prost(string, tag = "1")]
    pub datacenter: String,
    /// The caller's secret; empty for anybody.
    #[prost(bytes = "bytes", tag = "2")]
    pub token: Bytes,
    /// What to do: one of [`op`](oneport::proto::structs::kv::op).
    #[prost(string, tag = "10")]
    pub op: String,
    /// The entry to do it with. A conditional operation compares its
    /// [`modify_index`](Entry::modify_index).
    #[prost(message, optional, tag = "11")]
    pub entry: Option<Entry>,
}

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ApplyResponse {
    /// What a conditional operation decided; false for the others, which fail or are done.
    #[prost(bool, tag = "1")]
    pub decided: bool,
}

/// A question about a key, or about all keys below one.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyRequest {
    /// The datacenter that is asked; empty for the server's own.
    #[prost(string, tag = "1")]
    pub datacenter: String,
    /// The caller's secret; empty for anybody.
    #[prost(bytes = "bytes", tag = "2")]
    pub token: Bytes,
    /// Wait until the index of the answer is above this one; 0 does not wait.
    #[prost(uint64, tag = "3")]
    pub min_query_index: u64,
    /// How long to wait, in milliseconds; 0 is the server's default.
    #[prost(uint64, tag = "4")]
    pub max_query_time_ms: u64,
    /// The key, or what the keys of a list begin with.
    #[prost(bytes = "bytes", tag = "10")]
    pub key: Bytes,
}

/// What an answer tells about itself.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Meta {
    /// The index of the answer: what a query that waits passes back.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Whether the server knows a leader.
    #[prost(bool, tag = "2")]
    pub known_leader: bool,
    /// Whether the caller's rights removed something.
    #[prost(bool, tag = "3")]
    pub filtered: bool,
}

/// The entries that there are.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyResponse {
    /// About the answer.
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    /// One at most where one key was asked for.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<Entry>,
}

/// A question about the names of keys.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyListRequest {
    /// The datacenter that is asked; empty for the server's own.
    #[prost(string, tag = "1")]
    pub datacenter: String,
    /// The caller's secret; empty for anybody.
    #[prost(bytes = "bytes", tag = "2")]
    pub token: Bytes,
    /// Wait until the index of the answer is above this one; 0 does not wait.
    #[prost(uint64, tag = "3")]
    pub min_query_index: u64,
    /// How long to wait, in milliseconds; 0 is the server's default.
    #[prost(uint64, tag = "4")]
    pub max_query_time_ms: u64,
    /// What the keys begin with.
    #[prost(bytes = "bytes", tag = "10")]
    pub prefix: Bytes,
    /// Keys are cut behind it, if it comes behind the prefix.
    #[prost(bytes = "bytes", tag = "11")]
    pub separator: Bytes,
}

/// Names of keys.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyListResponse {
    /// About the answer.
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    /// The names in order, each once.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub keys: Vec<Bytes>,
}

/// Reads the agent's settings files again.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReloadRequest {
    /// The caller's secret; empty for anybody.
    #[prost(bytes = "bytes", tag = "2")]
    pub token: Bytes,
}

/// What became of a reload. The call succeeds also if the files have errors.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReloadResponse {
    /// Settings that have new values.
    #[prost(string, repeated, tag = "1")]
    pub changed: Vec<String>,
    /// Settings that have new values in the files, and wait for a restart.
    #[prost(string, repeated, tag = "2")]
    pub restart: Vec<String>,
    /// Everything that is wrong in the files; if there is anything, all settings stay as they were.
    #[prost(string, repeated, tag = "3")]
    pub errors: Vec<String>,
}
