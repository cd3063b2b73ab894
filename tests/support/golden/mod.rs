//! Replaying recorded calls of a real Consul against a server of today.

pub(crate) mod compare;
pub(crate) mod fake;
pub(crate) mod msgpack;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod yamux;
