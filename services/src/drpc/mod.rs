//! DAOS dRPC: calls between processes of one host.
//!
//! A call goes over a unix socket of packets (`SOCK_SEQPACKET`), as one protobuf message in chunks
//! of at most 128 KiB, and is answered by one. It names a module and a method by number. There is
//! nothing else on the wire: no metadata, no deadline, no streams, and of a failure only a number.
//! Clients and servers of DAOS 2.8 and newer, in Go and in C, are understood and understand us.
//!
//! | piece | what it does |
//! |---|---|
//! | [`Listener`] | binds the path, accepts, bounds and drains |
//! | [`Server`] | the driver: a service of [`Socket`]s that turns a connection into calls of a request service |
//! | [`Router`], [`Module`] | the usual innermost services: `async fn` handlers by module and method |
//! | [`Request`], [`Reply`] | what passes between them, and through every layer |
//! | [`ModuleService`] | the same without a socket: bytes in, bytes out |
//! | [`Client`] | typed calls on any request service, remote or in this process |
//! | [`Channel`], [`Pool`] | the other end as request services: one connection, or several |
//! | [`Status`], [`Failure`] | how a call ended, as a number and as an error |
//! | [`Call`], [`Response`], [`Assembler`], [`chunks`] | the wire, for whoever writes a tool |
//!
//! # A server and a client
//! The messages are prost's, derived here and generated from `.proto` files elsewhere.
//!
//! ```
//! use oneport_proto::{BoxError, Class, Head, Peer};
//! use oneport_services::{Drainer, drpc};
//!
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct Hello {
//!     #[prost(string, tag = "1")]
//!     name: String,
//! }
//!
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct HelloResponse {
//!     #[prost(string, tag = "1")]
//!     greeting: String,
//! }
//!
//! const HELLO: i32 = 0;
//! const GREET: i32 = 0;
//!
//! async fn greet(head: Head, hello: Hello) -> Result<HelloResponse, drpc::Failure> {
//!     // Process, user and group of the caller, as the kernel vouches for them.
//!     let Peer::Unix(_caller) = &head.session.peer else {
//!         return Err(drpc::Failure::with_message("who are you?"));
//!     };
//!     Ok(HelloResponse { greeting: format!("Hello {}", hello.name) })
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let directory = std::env::temp_dir().join(format!("drpc-page-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! # let path = directory.join("hello.sock");
//! // The server: modules, a driver for them, a socket to listen on.
//! let hello = drpc::Module::builder(HELLO, "hello")
//!     .method(GREET, "greet", Class::Read, greet)
//!     .build()?;
//! let router = drpc::Router::builder().module(hello).build()?;
//! let listener = drpc::Listener::builder(&path).mode(0o600).bind().await?;
//! let drainer = Drainer::new();
//! let server = drpc::Server::router(router);
//! let serving = tokio::spawn(listener.serve(server, drainer.handle()));
//!
//! // The client: connect, call, close.
//! let client = drpc::Client::builder(&path).build();
//! client.connect().await?;
//! let bob = Hello { name: "Bob".into() };
//! let said: HelloResponse = client.call(HELLO, GREET, &bob).await?;
//! assert_eq!(said.greeting, "Hello Bob");
//!
//! let error = client.call::<_, HelloResponse>(HELLO, 99, &bob).await.unwrap_err();
//! assert!(matches!(
//!     error,
//!     drpc::CallError::Failed(failure) if failure.status() == drpc::Status::UNKNOWN_METHOD
//! ));
//! client.close();
//! assert!(!client.is_connected());
//!
//! // All three at once, on a connection of its own.
//! let again: HelloResponse = client.connect_call_close(HELLO, GREET, &bob).await?;
//! assert_eq!(again, said);
//!
//! // The way down: what was begun is finished, and the socket's file is removed.
//! drainer.drain();
//! let served = serving.await?;
//! assert_eq!(served.accepted, 2);
//! assert!(!path.exists());
//! # std::fs::remove_dir(&directory)?;
//! # Ok(()) }
//! ```
//!
//! # Layers
//! A [`Router`] is a tower service like any other, and what stands in front of it is the same as on
//! all protocols: `Server::new(router.methods(), stack)`. The [`Head`](oneport_proto::Head) of a
//! call has the caller's process, user and group in its session, and its method is interned as
//! `module.method`. A layer that refuses a call answers [`FAILURE`](Status::FAILURE).
//!
//! # What is bounded
//! Packets and messages by size, messages and answers by time ([`Config`]); sessions by number, in
//! all and for each user ([`ListenLimits`]); messages of more than one packet by the memory of all
//! together. An idle session holds no buffer of a packet's size: those belong to threads.
//!
//! # Metrics
//! By the `metrics` facade:
//!
//! | metric | kind | labels | what |
//! |---|---|---|---|
//! | `oneport.drpc.accepted` | counter | | connections accepted, refused ones too |
//! | `oneport.drpc.refused` | counter | `limit` | connections closed unread: `total`, `user` |
//! | `oneport.drpc.sessions` | gauge | | sessions that are open |
//! | `oneport.drpc.accept_errors` | counter | `kind` | failed accepts: `connection`, `listener` |
//! | `oneport.drpc.panics` | counter | | handlers that panicked |
//!
//! # Where it differs from DAOS
//! Framing is checked in full, and a broken one ends the session without an answer. A file that is
//! no socket is never removed. A handler that panics has failed, and nobody else notices. A drain
//! ends open sessions. A client compares the numbers of its answers, and closes rather than take
//! another call's.

mod bind;
mod call_error;
mod channel;
mod chunk;
mod client;
mod config;
mod face;
mod failure;
mod handler;
mod link;
mod listener;
mod message;
mod methods;
mod module;
mod packet;
mod pool;
mod reply;
mod request;
mod router;
mod server;
mod service;
mod session;
mod socket;
mod status;

pub use bind::{BindError, MAX_PATH};
pub use call_error::{CallError, Sent};
pub use channel::Channel;
pub use chunk::{Assembler, FrameError, HEADER, Header, MAX_DATA, MAX_PACKET, chunks};
pub use client::{Client, ClientBuilder};
pub use config::{
    Config, DEFAULT_CONNECT_TIME, DEFAULT_MEMORY, DEFAULT_MESSAGE_LIMIT, DEFAULT_MESSAGE_TIME,
    DEFAULT_WRITE_STALL,
};
pub use failure::Failure;
pub use link::ClientConfig;
pub use listener::{
    DEFAULT_GRACE, DEFAULT_MAX_SESSIONS, DEFAULT_MAX_SESSIONS_PER_USER, DEFAULT_MODE, ListenLimits,
    Listener, ListenerBuilder, Served, Sessions,
};
pub use message::{Call, NO_SEQUENCE, Response};
pub use methods::Methods;
pub use module::{Module, ModuleBuilder};
pub use packet::Late;
pub use pool::{DEFAULT_POOL, Pool};
pub use reply::Reply;
pub use request::Request;
pub use router::{RouteError, Router, RouterBuilder};
pub use server::Server;
pub use service::ModuleService;
pub use socket::Socket;
pub use status::{Status, UnknownStatus};
