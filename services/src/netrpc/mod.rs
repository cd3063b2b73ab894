//! Go's net/rpc over msgpack, as Consul's server port speaks it.
//!
//! A session is a sequence of msgpack values without any length in front: a request is a header
//! and a body, a reply is a header and a body, and the next request is looked at only when the
//! reply of the last one is queued. A session runs on a whole connection (byte 0) or on one yamux
//! stream (byte 4).
//!
//! | piece | what it does |
//! |---|---|
//! | [`Server`] | the driver: a [`Protocol`](crate::Protocol) that turns a connection into calls of a request service |
//! | [`Router`] | the usual innermost service: `async fn` handlers by method |
//! | [`Methods`] | the names that a server knows, interned |
//! | [`Request`], [`Reply`] | what passes between them, and through every layer |
//! | [`Channel`] | the other end: a request service over one connection |
//! | [`Pipeline`] | the other end with several requests outstanding |
//! | [`Client`] | typed calls on any request service, remote or in this process |
//! | [`Fault`] | why a request could not be served at all: answered, then the session ends |
//!
//! What is counted, by the `metrics` facade: `rpc.request` (requests read) and `rpc.request_error`
//! (sessions that a broken request ended), both by Consul's names, and `oneport.netrpc.panics`
//! (handlers that panicked).
//!
//! ```
//! use oneport_proto::{BoxError, Class, Head, Session};
//! use oneport_services::{Conn, Drainer, netrpc};
//! use tower::{Service, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! async fn double(_state: (), _head: Head, n: u64) -> Result<u64, tonic::Status> {
//!     n.checked_mul(2).ok_or_else(|| tonic::Status::out_of_range("too large to double"))
//! }
//! let router = netrpc::Router::builder(())
//!     .method("Math.Double", Class::Read, double)
//!     .build()?;
//! let mut server = netrpc::Server::new(router.methods(), router);
//!
//! let (near, far) = tokio::io::duplex(1024);
//! let drainer = Drainer::new();
//! let near = Conn::stream(Session::in_process(), drainer.handle(), near);
//! let far = Conn::stream(Session::in_process(), drainer.handle(), far);
//! let serving = server.ready().await?.call(near);
//! let calling = async {
//!     let mut client = netrpc::Client::new(netrpc::Channel::new(far));
//!     let answer: u64 = client.call("Math.Double", &21u64).await?;
//!     assert_eq!(answer, 42);
//!     let error = client.call::<_, u64>("Math.Double", &u64::MAX).await.unwrap_err();
//!     assert_eq!(error.to_string(), "too large to double");
//!     Ok::<_, BoxError>(())
//! };
//! let (served, called) = tokio::join!(serving, calling);
//! served.and(called)
//! # }
//! ```

mod asked;
mod channel;
mod client;
mod config;
mod face;
mod fault;
mod frame;
mod handler;
mod header;
mod inbox;
mod methods;
mod pace;
mod pipeline;
mod reply;
mod request;
mod router;
mod server;
mod session;
mod turn;

pub use asked::{Asked, asked};
pub use channel::Channel;
pub use client::{CallError, Client};
pub use config::{
    Config, DEFAULT_BODY_LIMIT, DEFAULT_BODY_STALL, DEFAULT_FIRST_REQUEST, DEFAULT_HEAD_TIME,
    DEFAULT_HEADER_LIMIT, DEFAULT_LEAST_RATE, DEFAULT_LEAST_RATE_AFTER, DEFAULT_LINGER,
    DEFAULT_LINGER_BYTES, DEFAULT_MAX_WAIT, DEFAULT_METHOD_LIMIT, DEFAULT_REPLY_LIMIT,
    DEFAULT_WAIT, DEFAULT_WRITE_STALL,
};
pub use fault::{BodyRefused, Fault};
pub use frame::BadHeader;
pub use methods::Methods;
pub use pace::Late;
pub use pipeline::{Answer, Pipeline};
pub use reply::Reply;
pub use request::Request;
pub use router::{RouteError, Router, RouterBuilder};
pub use server::Server;
