//! The msgpack structs of Consul's net/rpc, with the keys of Consul 1.13.9.
//!
//! A struct is declared by [`wire_struct!`](crate::wire_struct), which knows what Go does with it: embedded
//! structs are merged into their parent, keys are sorted when it is written, and nearly anything goes when
//! it is read. The structs know nothing of msgpack, they are ordinary serde types; JSON works as well.
//!
//! | Go | here |
//! |---|---|
//! | `string` | [`GoString`] |
//! | `[]byte` | `Option<`[`Blob`]`>` |
//! | `time.Duration` | [`GoDuration`] |
//! | `time.Time` | [`GoTime`] |
//! | `int`, `uint64`, `bool` | `i64`, `u64`, `bool` |
//! | slice, map | `Option<Vec<_>>`, `Option<BTreeMap<_, _>>`: nil is not the same as empty |
//! | pointer | `Option<_>` |
//!
//! ```
//! use oneport_proto::structs::{IndexedKeyList, QueryMeta};
//!
//! let reply = IndexedKeyList {
//!     keys: Some(vec!["foo/a".into(), "foo/b".into()]),
//!     meta: QueryMeta { index: 22, known_leader: true, ..QueryMeta::default() },
//! };
//! let json = serde_json::to_string(&reply)?;
//! assert!(json.starts_with(r#"{"Backend":0,"ConsistencyLevel":"","Index":22,"Keys":["foo/a","foo/b"]"#));
//! assert_eq!(serde_json::from_str::<IndexedKeyList>(&json)?, reply);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod base64;
mod bytes;
mod duration;
mod fields;
pub mod kv;
pub mod query;
pub mod status;
#[cfg(test)]
mod tests;
mod time;
mod wire_struct;

pub use bytes::{Blob, GoString};
pub use duration::GoDuration;
pub use fields::{Fields, Key};
pub use kv::{DirEntry, IndexedDirEntries, IndexedKeyList, KVSRequest, KeyListRequest, KeyRequest};
pub use query::{QueryMeta, QueryOptions, QuerySource, RaftIndex, WriteRequest};
pub use status::{DCSpecificRequest, Empty, RaftStats};
pub use time::{GoTime, TimeError};

// For the code that `wire_struct!` makes, wherever it is used.
#[doc(hidden)]
pub use ::serde;
#[doc(hidden)]
pub use fields::{append, deserialize_fields, serialize_fields, sort};
