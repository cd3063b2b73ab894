//! One port for many protocols.

pub mod metrics;
mod once;
mod port;
mod sniff;
mod source;

pub use port::{MAX_ALPN_NAME, Mark, Port, PortBuilder, PortError, Unrouted};
pub use sniff::{FIRST_BYTE_WITHIN, Outcome, Sniff, SniffError};

pub use oneport_layers as layers;
pub use oneport_proto as proto;
pub use oneport_proto_public as proto_public;
pub use oneport_services as services;
