//! Tower layers that serve every protocol of oneport alike.
//!
//! This room is for policy: how long a call may take, who may call, how often and how many at once,
//! and what is counted and traced of it. A layer knows calls, not connections: it asks only that a
//! request is a [`Call`], which carries a [`Head`], and it never learns which protocol the call
//! came by. So one layer guards net/rpc, gRPC and whatever a host brings along, and drops into a
//! plain tonic or hyper server as well.
//!
//! | layer | what it decides |
//! |---|---|
//! | [`MetricsLayer`] | nothing: it [counts and times](self::metrics) every call |
//! | [`TraceLayer`] | nothing: it opens a [span](trace) for every call |
//! | [`TimeoutLayer`] | [how long](timeout) a call may take |
//! | [`RateLimitLayer`] | [how often](rate_limit) calls may come |
//! | [`InFlightLayer`] | [how many](in_flight) may run at once |
//! | [`AuthLayer`](auth::AuthLayer) | [who](auth) may call what |
//!
//! The crate `oneport` has them in their order. Whether a layer keeps the rules that all of them
//! share is a test, and runs for a layer of your own too: the feature `testing`.
//!
//! # How to write one
//! - Be generic over the request: `R: Call`. What you need is in its head; a request without one
//!   was stamped by nobody and is refused as an internal error.
//! - Be ready when the inner service is: a policy refuses in `call`, never in `poll_ready`, and
//!   never makes anybody wait there.
//! - Refuse with a [`Refusal`] in a `tonic::Status`. Each protocol shows it in its own
//!   way, so the client of each sees what it expects.
//! - Pass errors on as they are; [`code_of`] looks at one without taking it.
//! - What holds until the end of a call, a permit or a timer, rides on its [`Reply`], since a
//!   stream ends long after it began.
//!
//! # Example
//! A layer that lets in callers on this host only, in front of any service that takes calls.
//!
//! ```
//! use std::future::Future;
//! use std::pin::Pin;
//! use std::task::{Context, Poll};
//!
//! use oneport_proto::{BoxError, Call, Denial, Head, Method, MethodInfo, Peer, Refusal, Session};
//! use oneport_proto::code_of;
//! use tonic::{Code, Status};
//! use tower::{Layer, Service, ServiceExt, layer::layer_fn, service_fn};
//!
//! #[derive(Clone)]
//! struct ThisHost<S>(S);
//!
//! impl<S, R> Service<R> for ThisHost<S>
//! where
//!     R: Call,
//!     S: Service<R, Error: Into<BoxError>, Future: Send + 'static>,
//! {
//!     type Response = S::Response;
//!     type Error = BoxError;
//!     type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
//!         self.0.poll_ready(cx).map_err(Into::into)
//!     }
//!
//!     fn call(&mut self, request: R) -> Self::Future {
//!         if let Err(status) = verdict(request.head()) {
//!             return Box::pin(async { Err(status.into()) });
//!         }
//!         let answer = self.0.call(request);
//!         Box::pin(async { answer.await.map_err(Into::into) })
//!     }
//! }
//!
//! /// What the layer decides, apart from how it is wired.
//! fn verdict(head: Option<&Head>) -> Result<(), Status> {
//!     let head = head.ok_or_else(|| Status::internal("a request without a head"))?;
//!     match &head.session.peer {
//!         Peer::Tcp(addr) if !addr.ip().is_loopback() => Err(Refusal::Denied(Denial::Plain).into()),
//!         Peer::Tcp(_) | Peer::Unix(_) | Peer::Local => Ok(()),
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let greet = service_fn(|_: http::Request<()>| async { Ok::<_, BoxError>("hello") });
//! let guarded = layer_fn(ThisHost).layer(greet);
//!
//! let session = Session::in_process();
//! let accept = Method::Known(MethodInfo::accept());
//! let mut request = http::Request::new(());
//! request.extensions_mut().insert(Head::new(accept, session, tokio::time::Instant::now()));
//! assert_eq!(guarded.clone().oneshot(request).await?, "hello");
//!
//! let unstamped = guarded.oneshot(http::Request::new(())).await.unwrap_err();
//! assert_eq!(code_of(&unstamped), Code::Internal);
//! # Ok(()) }
//! ```
//!
//! The future is boxed here to keep the page short; a layer that is used names its own, so that a
//! stack of layers costs one box around all of it.
//!
//! [`Call`]: oneport_proto::Call
//! [`Head`]: oneport_proto::Head
//! [`Refusal`]: oneport_proto::Refusal
//! [`Reply`]: oneport_proto::Reply
//! [`code_of`]: oneport_proto::code_of

pub mod auth;
pub mod bucket;
pub mod guard;
pub mod in_flight;
mod label;
pub mod metrics;
pub mod rate_limit;
pub mod refusable;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timeout;
pub mod trace;

pub use guard::{Guard, Guarded};
pub use in_flight::{InFlight, InFlightConfig, InFlightLayer};
pub use rate_limit::{RateLimit, RateLimitLayer};
pub use refusable::Refusable;
pub use source::Source;
pub use timeout::{Timeout, TimeoutConfig, TimeoutLayer};
pub use trace::{Trace, TraceLayer};

pub use self::metrics::{Metrics, MetricsLayer};
