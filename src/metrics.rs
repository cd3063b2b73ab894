//! The catalogue: every metric of this crate, by name.
//!
//! They go through the [`metrics`](https://docs.rs/metrics) facade; a host that installs no
//! recorder pays nothing. Labels have a fixed set of values or are named by the host when it puts
//! its port together: nothing of them comes from the wire. Handles are made when a
//! listener begins to serve or something is counted first, and kept, so that counting costs no
//! look-up: install a recorder before that.
//!
//! | metric | kind | labels | what |
//! |---|---|---|---|
//! | [`ACCEPTED`] | counter | | connections that a listener accepted, refused ones too |
//! | [`CONSUL_ACCEPTED`] | counter | | the same, under Consul's name |
//! | [`REFUSED`] | counter | `limit` | connections closed unread: `total`, `source`, `rate`, `total_rate` |
//! | [`OPEN`] | gauge | | connections being served |
//! | [`ENDED`] | counter | `how` | connections over: `done`, `error`, `panic`, `cut` |
//! | [`ACCEPT_ERRORS`] | counter | `kind` | failed accepts: `connection` or `listener` |
//! | [`SNIFFED`] | counter | `outcome` | how looking for a protocol ended: [`Outcome`] |
//! | [`SNIFF_SECONDS`] | histogram, s | `outcome` | how long that took |
//! | [`PORT_ROUTED`] | counter | `row` | connections that found a row of a [`Port`] |
//!
//! The protocols count for themselves; their tables are on the pages of
//! [`services`](crate::services): `netrpc` and `yamux`. What is counted of calls is on the page of
//! [`layers::metrics`](crate::layers::metrics).
//!
//! [`Outcome`]: crate::Outcome
//! [`Port`]: crate::Port

/// Connections that a listener accepted, those refused afterwards included.
pub const ACCEPTED: &str = "oneport.connections.accepted";

/// As [`ACCEPTED`]: the name that Consul's dashboards know (without the telemetry prefix).
pub const CONSUL_ACCEPTED: &str = "rpc.accept_conn";

/// Connections closed before a byte was read, by the limit that they were over.
pub const REFUSED: &str = "oneport.connections.refused";

/// Connections that are being served.
pub const OPEN: &str = "oneport.connections.open";

/// Connections that are over, by how they ended.
pub const ENDED: &str = "oneport.connections.ended";

/// Failed accepts: `connection` if that one connection was gone already, else `listener`.
pub const ACCEPT_ERRORS: &str = "oneport.accept.errors";

/// How looking for a connection's protocol ended.
pub const SNIFFED: &str = "oneport.sniff.outcomes";

/// How long looking for a connection's protocol took, in seconds.
pub const SNIFF_SECONDS: &str = "oneport.sniff.duration";

/// Connections that found a row of a port, unserved ones included.
pub const PORT_ROUTED: &str = "oneport.port.routed";
