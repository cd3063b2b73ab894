//! One port for many protocols.
//!
//! A server speaks several protocols on one TCP port and tells them apart by the first byte that
//! the client sends, or by the name that a TLS handshake agreed on (ALPN). This crate puts such a
//! server together, and the clients that talk to it.
//!
//! ```text
//!  socket ─► Listener ─► Sniff ─► Port ─► a protocol ─► its layers ─► your service
//!            limits,     first    the      Service<Conn>  Service<Request>
//!            drain       byte     table
//! ```
//!
//! - [`Listener`] accepts, bounds and owns connections, and drains them.
//! - [`Sniff`] looks at the first byte and leaves it where it was.
//! - [`Port`] is the table: which byte or ALPN name leads to which protocol. What a port speaks is
//!   a matter of its rows; there is no closed list of protocols.
//! - A [`Protocol`](services::Protocol) is a `tower::Service` that takes a
//!   [`Conn`](services::Conn) and is done when the connection is. A stranger's protocol is one more
//!   row.
//! - [`Layers`] is policy for what the protocols carry: what is counted, how long, how often, how many,
//!   by whom. One [`Stack`] in front of a service serves every protocol.
//! - [`client::Dial`] is the way out: it opens a connection and says the byte.
//!
//! # Example
//! Two protocols on one port: one is ours by its byte, the other owns all bytes that nobody else
//! has.
//!
//! ```
//! use oneport::client::{Dial, Endpoint};
//! use oneport::proto::BoxError;
//! use oneport::services::{Conn, Drainer};
//! use oneport::{ListenConfig, Listener, Port, Sniff};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tower::{Service, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let hello = service_fn(|mut conn: Conn| async move {
//!     Ok::<_, BoxError>(conn.write_all(b"hello").await?)
//! });
//! let echo = service_fn(|mut conn: Conn| async move {
//!     let line = conn.chunk().await?;
//!     Ok::<_, BoxError>(conn.write_all(&line).await?)
//! });
//! let port = Port::builder()
//!     .tag(0x68, "hello", hello)
//!     .unserved(0x69, "goodbye")
//!     .otherwise("echo", echo)
//!     .build()?;
//!
//! let drainer = Drainer::new();
//! let listener = Listener::bind("127.0.0.1:0".parse()?, ListenConfig::default()).await?;
//! let addr = listener.local_addr();
//! let server = tokio::spawn(listener.serve(Sniff::new(port), drainer.handle()));
//!
//! let mut conn = Dial::new(drainer.handle()).call(Endpoint::from(addr).tag(0x68)).await?;
//! conn.flush().await?;
//! let mut said = String::new();
//! conn.read_to_string(&mut said).await?;
//! assert_eq!(said, "hello");
//!
//! drop(conn);
//! drainer.drain();
//! assert_eq!(server.await?.cut, 0);
//! # Ok(()) }
//! ```
//!
//! # Rooms
//! | here | crate | what is in it |
//! |---|---|---|
//! | [`proto`] | `oneport-proto` | the words that all share: type bytes, sessions, heads, refusals |
//! | [`services`] | `oneport-services` | the protocols, server and client side |
//! | [`layers`] | `oneport-layers` | layers that serve every protocol alike |
//! | [`proto_public`] | `oneport-proto-public` | public gRPC APIs |
//!
//! # Features
//! Features add and never change what is there; without any, the port still is one.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `netrpc` | yes | Go's net/rpc over msgpack, as Consul speaks it |
//! | `yamux` | yes | HashiCorp yamux sessions, one protocol a stream |
//! | `grpc` | no | our layers in any tonic or hyper server |
//! | `drpc` | no | DAOS dRPC over local sockets of packets, both ends; Linux only |
//! | `testing` | no | the contract of a layer, as a test for a host's own |

mod accept;
pub mod client;
mod config;
mod listen;
pub mod metrics;
mod once;
mod port;
mod slots;
mod sniff;
mod socket;
pub mod stack;

pub use accept::{Accept, Accepted, TcpAccept};
pub use config::{
    CONN_BURST, CONNS_PER_SECOND, ConfigError, GRACE, KEEPALIVE, LONGEST_GRACE, LONGEST_KEEPALIVE,
    ListenConfig, MAX_CONNS, MAX_CONNS_PER_SOURCE, MOST_CONNS_PER_SECOND,
};
pub use listen::{ListenControl, ListenError, Listener, Served};
pub use port::{MAX_ALPN_NAME, Mark, Port, PortBuilder, PortError, Unrouted};
pub use sniff::{FIRST_BYTE_WITHIN, Outcome, Sniff, SniffError};
pub use stack::{Everybody, Layers, Stack, StackConfig};

pub use oneport_layers as layers;
pub use oneport_proto as proto;
pub use oneport_proto_public as proto_public;
pub use oneport_services as services;
