//! msgpack as Consul's net/rpc speaks it.
//!
//! The peer is go-msgpack 0.5.5 with its newer types switched off: msgpack of the time before `str8`,
//! `bin` and `ext`. A general msgpack crate reads what it writes, but does not write what it writes and is
//! much less forgiving. Three things live here:
//!
//! | | |
//! |---|---|
//! | [`Scanner`] | finds the end of a value in a growing buffer and refuses what is too much |
//! | [`decode`], [`Decoder`] | reads values as leniently as Go, with Go's error texts |
//! | [`encode`] | writes values, byte for byte as Go does |
//!
//! ```
//! use bytes::BytesMut;
//! use oneport_proto::structs::{DirEntry, KVSRequest};
//! use oneport_services::msgpack::{Limits, Scanner, decode, encode};
//!
//! let request = KVSRequest {
//!     datacenter: "dc1".into(),
//!     op: "set".into(),
//!     dir_ent: DirEntry { key: "foo/bar".into(), value: Some("hello".into()), ..DirEntry::default() },
//!     ..KVSRequest::default()
//! };
//! let mut wire = BytesMut::new();
//! encode(&request, &mut wire)?;
//!
//! let mut scanner = Scanner::new(Limits::new(1 << 20));
//! assert_eq!(scanner.scan(&wire[..10])?, None);
//! let end = scanner.scan(&wire)?.expect("all of it is there");
//! assert_eq!(decode::<KVSRequest>(&wire[..end])?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Writing
//!
//! | value | bytes |
//! |---|---|
//! | `None`, `()` | `c0` |
//! | bool | `c2`, `c3` |
//! | integer, not negative | the shortest of `00`..`7f`, `cc`, `cd`, `ce`, `cf`, whatever its type |
//! | integer, negative | the shortest of `e0`..`ff`, `d0`, `d1`, `d2`, `d3` |
//! | `f32`, `f64` | `ca`, `cb` |
//! | string, bytes | `a0`.. up to 31 bytes, then `da`, then `db`: never `d9`, never `c4` |
//! | list, tuple | `90`.., `dc`, `dd` |
//! | map, struct | `80`.., `de`, `df`; the order of the keys is the order of the fields |
//! | unit struct | `80`, as Go's `struct{}` |
//! | enum | the name of the variant, in a map of one entry if it has content |
//!
//! A list of `u8` is a list of integers: what Go has as bytes must ask for bytes.
//!
//! # Reading
//!
//! | bytes | are taken as |
//! |---|---|
//! | `c0` | the zero value of anything |
//! | `a0`.., `d9`, `da`, `db` | a string or bytes; a string need not be UTF-8, it is shown as bytes then |
//! | `c4`, `c5`, `c6` | bytes, not a string |
//! | an integer of any width | an integer, if it fits; above the range of `i64` it wraps into signed fields |
//! | an integer | a float |
//! | `00`, `01` | a bool |
//! | a map | a struct: unknown keys are passed over, nil is the empty key; a list of its keys and values |
//! | an array | a struct by position, shorter or longer than it; a list; bytes |
//!
//! Some habits of Go are left out. Two lose the end of the value: Go takes -1 to -32 for the length of a
//! string (a mask too wide), and any marker from `80` on for the count of a map; both are
//! [`DecodeError::Length`] here. And where a key comes twice Go reads the second value *into* the first,
//! which merges nested structs and fails in parts that nobody asked for; here the last value counts.
//!
//! Nothing is allocated by a length that is only claimed, and no value can drive the reader into more
//! than [`MAX_DEPTH`] levels of calls.

mod access;
mod decode;
mod encode;
mod error;
mod marker;
mod number;
mod read;
mod scan;
mod write;

pub use decode::decode;
pub use encode::encode;
pub use error::{DecodeError, EncodeError};
pub use marker::ValueType;
pub use read::{Decoder, MAX_DEPTH};
pub(crate) use scan::breaks_between_reads;
pub use scan::{Limits, MAX_ELEMENTS, ScanError, Scanner};

#[cfg(test)]
mod tests;
