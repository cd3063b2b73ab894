//! The protocols of oneport, server and client side.
//!
//! Everything here has one shape: a [`Protocol`] is a `tower::Service` that takes a [`Conn`] and is
//! done when the connection is. *Carriers* turn one connection into others (yamux gives one `Conn`
//! a stream), *talkers* turn it into calls of a request service (net/rpc). Since all have one
//! shape, everything nests.
//!
//! Drivers know frames, not policy: there is no time-out, limit of rate or metric of calls here,
//! those are layers around the request service. What a driver does bound is its own memory and the
//! time that a peer may take for one frame.
//!
//! ```
//! use oneport_proto::{BoxError, Session};
//! use oneport_services::{Conn, Drainer};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tower::{Service, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! // A protocol of one's own: it shouts one line back.
//! let shout = service_fn(|mut conn: Conn| async move {
//!     let line = conn.chunk().await?.to_ascii_uppercase();
//!     conn.write_all(&line).await?;
//!     conn.shutdown().await?;
//!     Ok::<_, BoxError>(())
//! });
//!
//! let (near, mut far) = tokio::io::duplex(64);
//! let drainer = Drainer::new();
//! let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
//! far.write_all(b"hello").await?;
//! shout.clone().ready().await?.call(conn).await?;
//! let mut said = String::new();
//! far.read_to_string(&mut said).await?;
//! assert_eq!(said, "HELLO");
//! # Ok(()) }
//! ```

mod accept;
mod backoff;
#[cfg(any(feature = "netrpc", all(feature = "drpc", target_os = "linux")))]
mod caught;
pub mod conn;
pub mod drain;
#[cfg(all(feature = "drpc", target_os = "linux"))]
pub mod drpc;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod io;
#[cfg(feature = "netrpc")]
pub mod msgpack;
#[cfg(feature = "netrpc")]
pub mod netrpc;
#[cfg(feature = "yamux")]
pub mod yamux;

pub use accept::AcceptFailure;
pub use backoff::Backoff;
pub use conn::{BoxProtocol, Conn, Protocol};
pub use drain::{Drain, Drainer};
pub use io::{Io, StreamIo};
