//! gRPC.
//!
//! What is here so far needs no port of ours: [`Stamp`] gives the requests of any tonic or hyper
//! server the [`Head`](oneport_proto::Head) that every layer of oneport looks at. Put it outside of
//! them, tell it the [`Methods`] that are served, and the layers work in a server that already is.
//!
//! | in the request | in the head |
//! |---|---|
//! | the path, `/package.Service/Method` | `method`, if [`Methods`] knows it |
//! | an `Arc<Session>` among the extensions, or what [`Stamp::peer`] finds | `session` |
//! | `x-consul-token`, or `authorization: Bearer …` | `token` |
//! | `grpc-timeout` | `deadline` |
//! | `traceparent` | `trace` |
//!
//! ```
//! use oneport_proto::{Call, Class, Session};
//! use oneport_services::grpc::{Methods, Stamp};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let methods = Methods::new([("/grpc.health.v1.Health/Check", Class::Exempt)])?;
//! let stamp = Stamp::new(methods);
//! let name = service_fn(|request: http::Request<()>| async move {
//!     request.head().map(|head| head.method.name()).ok_or("nobody stamped it")
//! });
//! let request = http::Request::post("http://[::1]/grpc.health.v1.Health/Check")
//!     .extension(Session::in_process())
//!     .body(())?;
//! assert_eq!(stamp.layer(name).oneshot(request).await?, "/grpc.health.v1.Health/Check");
//! # Ok(()) }
//! ```

mod methods;
mod stamp;
mod timeout;

pub use methods::Methods;
pub use stamp::{CONSUL_TOKEN, Stamp, Stamped, pass_trace};
