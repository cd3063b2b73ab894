//! HashiCorp yamux: many streams over one connection.
//!
//! [`Yamux`] is the accepting end, a [protocol](crate::Protocol) that gives each stream to another
//! protocol; [`client`] is the dialling end. Both run the same frame machine; who dials is the
//! client, and only clients open streams.
//!
//! The wire is that of `github.com/hashicorp/yamux` (spec.md there), with its behaviour where Consul
//! shows it: windows of 256 KiB, ids from 1 in steps of 2, ping every 30 s with 10 s for the answer,
//! a close without go-away. Stricter than the reference are the [limits](Config), all of which are
//! fields with a named default.
//!
//! ```
//! use bytes::Bytes;
//! use oneport_proto::{BoxError, Session};
//! use oneport_services::{Conn, Drainer, yamux};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
//! use tower::{Service, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! // On every stream: shout what was said.
//! let shout = service_fn(|mut conn: Conn| async move {
//!     let said: Bytes = conn.chunk().await?;
//!     conn.put(&mut |out| out.extend_from_slice(&said.to_ascii_uppercase()));
//!     conn.flush().await?;
//!     Ok::<_, BoxError>(())
//! });
//!
//! let drainer = Drainer::new();
//! let (near, far) = duplex(4096);
//! let conn = |io| Conn::stream(Session::in_process(), drainer.handle(), io);
//! let mut tasks = tokio::task::JoinSet::new();
//! tasks.spawn(yamux::Yamux::new(shout).call(conn(near)));
//! let (opener, driver) = yamux::client(conn(far), yamux::Config::default());
//! tasks.spawn(driver);
//!
//! let mut stream = opener.open().await?;
//! stream.write_all(b"hello").await?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer).await?;
//! assert_eq!(answer, "HELLO");
//! # Ok(()) }
//! ```
//!
//! What is counted, by the `metrics` facade; no label comes from the wire:
//!
//! | counter | labels | counts |
//! |---|---|---|
//! | `oneport.yamux.sessions` | `role` | sessions begun |
//! | `oneport.yamux.streams` | `role` | streams accepted (server) or opened (client) |
//! | `oneport.yamux.resets` | `role`, `by` (`us`, `peer`) | streams reset |
//! | `oneport.yamux.panics` | | streams whose protocol panicked |
//! | `oneport.yamux.faults` | `role`, `kind` | sessions ended because the peer broke the protocol |

mod budget;
mod client;
pub mod config;
mod engine;
mod fault;
pub mod frame;
mod inbox;
mod keepalive;
#[cfg(test)]
mod machine_tests;
mod meter;
mod probation;
mod ready;
mod receive;
mod server;
mod session;
mod stream;
mod table;
mod transmit;
mod window;

pub use budget::Budget;
pub use client::{Driver, Opener, client};
pub use config::Config;
pub use fault::{Fault, OpenError, SessionError, StreamError};
pub use server::{Serve, Yamux};
pub use window::INITIAL_WINDOW;
