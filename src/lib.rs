//! One port for many protocols.

mod accept;
mod backoff;
mod config;
mod listen;
pub mod metrics;
mod once;
mod port;
mod slots;
mod sniff;
mod socket;
mod source;

pub use accept::{Accept, Accepted, TcpAccept};
pub use config::{
    CONN_BURST, CONNS_PER_SECOND, ConfigError, GRACE, KEEPALIVE, LONGEST_GRACE, LONGEST_KEEPALIVE,
    ListenConfig, MAX_CONNS, MAX_CONNS_PER_SOURCE, MOST_CONNS_PER_SECOND,
};
pub use listen::{ListenError, Listener, Served};
pub use port::{MAX_ALPN_NAME, Mark, Port, PortBuilder, PortError, Unrouted};
pub use sniff::{FIRST_BYTE_WITHIN, Outcome, Sniff, SniffError};

pub use oneport_layers as layers;
pub use oneport_proto as proto;
pub use oneport_proto_public as proto_public;
pub use oneport_services as services;
