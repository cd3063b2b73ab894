//! The protocols.

#[cfg(feature = "netrpc")]
pub mod msgpack;
