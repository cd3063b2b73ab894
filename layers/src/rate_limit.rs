//! How often: rate limits for calls and for connections.
//!
//! A [`Limiter`] holds the buckets and their [`Limits`], which may be changed at any time; a
//! [`RateLimitLayer`] asks it about each call and refuses what is over a limit. A limiter has a
//! handful of limits, all off unless set:
//!
//! | limit | whose calls it counts | Consul's setting | text on net/rpc |
//! |---|---|---|---|
//! | [`rpc`](Limits::rpc) | everybody's | `limits.rpc_rate`, `limits.rpc_max_burst` | `RPC rate limit exceeded` |
//! | [`read`](Limits::read), [`write`](Limits::write) | everybody's, by what the method does | `limits.request_limits` (1.15) | one of the two of 1.15 |
//! | [`source`](Limits::source) | of one address, or IPv6 /64 | none | the same two |
//! | [`identity`](Limits::identity) | of one [`Identity`](oneport_proto::Identity) | none | the same two |
//!
//! A method of class [`Exempt`](oneport_proto::Class::Exempt) is never limited; one that nobody
//! knows counts as a read, as in Consul. The narrowest limit is asked first, so a caller that is
//! refused for its own excess takes nothing from what all share.
//!
//! In front of a service of connections, each of which is a call of the method `accept`, it limits
//! how many come, of all and of each source.
//!
//! What is counted, by the `metrics` facade: [`EXCEEDED`], with the labels `limit_type`
//! (`global/read`, `global/write`, `rpc`, `source`, `identity`), `op` (the method) and `mode`, and
//! [`LOG_DROPPED`], both by Consul's names. The first counts what a permissive limiter lets pass,
//! too; what is refused is counted by the [metrics](crate::metrics) layer as well.
//!
//! ```
//! use std::sync::Arc;
//! use oneport_layers::bucket::{Limit, Rate};
//! use oneport_layers::rate_limit::{Limiter, Limits, Mode, RateLimitLayer};
//! use oneport_proto::{BoxError, Class, Code, Family, Head, Method, MethodInfo, Session, code_of};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let once = Limit { rate: Rate::per_second(1.0)?, burst: 1 };
//! let limiter = Arc::new(Limiter::new(Limits {
//!     mode: Mode::Enforcing,
//!     read: once,
//!     ..Limits::default()
//! }));
//! let greet = service_fn(|_: http::Request<()>| async { Ok::<_, BoxError>("hello") });
//! let limited = RateLimitLayer::new(Arc::clone(&limiter)).layer(greet);
//!
//! let method = Method::Known(MethodInfo::intern(Family::Grpc, "/greeter/Greet", Class::Read)?);
//! let call = || {
//!     let mut request = http::Request::new(());
//!     let now = tokio::time::Instant::now();
//!     request.extensions_mut().insert(Head::new(method, Session::in_process(), now));
//!     limited.clone().oneshot(request)
//! };
//! assert_eq!(call().await?, "hello");
//! assert_eq!(code_of(&call().await.unwrap_err()), Code::ResourceExhausted);
//!
//! // While the server runs:
//! limiter.set(Limits::default());
//! assert_eq!(call().await?, "hello");
//! # Ok(()) }
//! ```

mod layer;
mod limiter;
mod limits;

pub use layer::{RateLimit, RateLimitLayer};
pub use limiter::{EXCEEDED, IDENTITIES, LOG_DROPPED, LOG_LINES, Limiter, SOURCES};
pub use limits::{Limits, Mode, UnknownMode};
