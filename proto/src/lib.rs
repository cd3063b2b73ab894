//! The words that every room of oneport shares.
//!
//! Whoever wants to speak about a call has to agree on a few words first: which byte opens which
//! protocol, who is at the other end, what a request is about, how it ended and why it was refused.
//! They live here, without any io, so that drivers ([`oneport-services`]) know frames but no policy,
//! and layers ([`oneport-layers`]) know calls but no connections.
//!
//! | word | what it is |
//! |---|---|
//! | [`wire`] | the type bytes and ALPN names of a Consul server port |
//! | [`Session`], [`Peer`], [`Local`], [`Tls`] | the facts of one connection, set once |
//! | [`MethodInfo`], [`Method`] | what is called: interned, known by a dense id |
//! | [`Class`], [`consul_class`] | what a method does, as far as limits care |
//! | [`Head`] | what is known about one call before its body is decoded |
//! | [`Identity`], [`Grants`] | who calls, and what it may do |
//! | [`Call`] | the way in: anything that carries a [`Head`] |
//! | [`Reply`], [`End`] | the way out: a reply tells how it ended |
//! | [`Refusal`] | why a call was not served: the source of the [`Status`] |
//! | [`Code`], [`Status`] | how a call ends, in the words of gRPC, which all protocols share |
//! | [`code_of`], [`status_of`] | the one place where errors become statuses |
//! | [`structs`] | the msgpack structs of Consul's net/rpc |
//!
//! ```
//! use oneport_proto::{BoxError, Code, Refusal, Status, code_of, status_of};
//!
//! let refused: BoxError = Status::from(Refusal::Draining).into();
//! assert_eq!(code_of(&refused), Code::Unavailable);
//! assert_eq!(status_of(refused).message(), "the server is draining");
//! ```
//!
//! [`oneport-services`]: https://docs.rs/oneport-services
//! [`oneport-layers`]: https://docs.rs/oneport-layers

mod call;
mod classes;
mod head;
mod identity;
mod method;
mod peer;
mod permission;
mod refusal;
mod reply;
mod session;
mod status;
pub mod structs;
mod traceparent;
pub mod wire;

pub use call::Call;
pub use classes::consul_class;
pub use head::{Head, Token, TraceContext};
pub use identity::{Identity, IdentitySlot};
pub use method::{Class, Family, MAX_METHODS, Method, MethodInfo, TooManyMethods};
pub use peer::{Local, Peer, UnixPeer};
pub use permission::{Access, Denial, Everything, Grants, Resource};
pub use refusal::{Refusal, Retry, Scope};
pub use reply::{End, EndBody, Reply};
pub use session::{ClientCert, Kept, Session, Tls};
pub use status::{code_of, status_of};
pub use traceparent::{BadTraceparent, TRACEPARENT};

pub use tonic::{Code, Status};

/// The error of every service here: boxed, with a [`tonic::Status`] in its chain where one is known.
pub type BoxError = tower::BoxError;
