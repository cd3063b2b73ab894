//! All layers in their order, in one place.
//!
//! ```text
//!  request ─► metrics ─► trace ─► timeout ─► rate limit ─► in flight ─► auth ─► rate limit ─► handler
//!                                            of all, of                         of the
//!                                            the source                         identity
//! ```
//!
//! Metrics are outermost, so that they see what every other layer refuses. The rate limit comes
//! before what costs more than it does: a flood is turned away before it is asked for tokens. Only
//! the limit of an identity must come after [auth], which finds out the identity.
//!
//! [`Layers`] is that order, made once and put in front of every protocol that a server speaks, so
//! that all of them share its limits; it is changed while it runs. [`Stack`] is the name of a
//! finished stack: one box around all of it, and static calls between.
//!
//! ```
//! use oneport::proto::{BoxError, Class, Code, Head, Status};
//! use oneport::services::netrpc::{Router, Server};
//! use oneport::{Everybody, Layers, Stack, StackConfig};
//! use oneport::layers::bucket::{Limit, Rate};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! async fn hello((): (), _: Head, name: String) -> Result<String, Status> {
//!     Ok(format!("hello, {name}"))
//! }
//! let router = Router::builder(()).method("Greeter.Hello", Class::Read, hello).build()?;
//!
//! let methods = router.methods();
//! let layers = Layers::new(&StackConfig::default(), Everybody::new());
//! let stack: Stack<_, _> = layers.stack(router);
//! // A row of a port; callers in this process meet the same layers.
//! let server = Server::new(methods, stack);
//! let mut client = server.client();
//! let said: String = client.call("Greeter.Hello", "ann").await?;
//! assert_eq!(said, "hello, ann");
//!
//! let mut config = StackConfig::default();
//! config.rates.rpc = Limit { rate: Rate::per_second(1.0)?, burst: 1 };
//! layers.set(&config);
//! client.call::<_, String>("Greeter.Hello", "ann").await?;
//! let refused = client.call::<_, String>("Greeter.Hello", "ann").await.unwrap_err();
//! assert_eq!(refused.to_string(), "RPC rate limit exceeded");
//! # Ok(()) }
//! ```
//!
//! # Another order
//! Nothing here is needed to use the layers. A host that wants another order, other layers between
//! them, or some of them only, writes its own lines:
//!
//! ```
//! use oneport::Stack;
//! use oneport::layers::{InFlightConfig, InFlightLayer, MetricsLayer, TimeoutConfig, TimeoutLayer};
//! use oneport::services::netrpc::{Reply, Request, Router};
//! use tower::{ServiceBuilder, util::BoxCloneSyncService};
//!
//! # let router = Router::builder(()).build().unwrap();
//! let stack = ServiceBuilder::new()
//!     .layer(MetricsLayer::new())
//!     .layer(TimeoutLayer::new(TimeoutConfig::default()))
//!     .map_request(|request: Request| request)
//!     .layer(InFlightLayer::new(InFlightConfig::default()))
//!     .service(router);
//! let stack: Stack<Request, Reply> = BoxCloneSyncService::new(stack);
//! # drop(stack);
//! ```
//!
//! [auth]: oneport_layers::auth

use std::{sync::Arc, time::Duration};

use oneport_layers::{
    InFlight, InFlightConfig, InFlightLayer, Metrics, MetricsLayer, RateLimit, RateLimitLayer,
    Timeout, TimeoutConfig, TimeoutLayer, Trace, TraceLayer,
    auth::{Auth, AuthLayer, Authorize, Decision, Never},
    rate_limit::{Limiter, Limits},
};
use oneport_proto::{BoxError, Everything, Head, Identity};
use tower::{Layer, Service, ServiceBuilder, util::BoxCloneSyncService};

use crate::ConfigError;

/// A finished stack: takes `R`, answers `T`. One box around all layers, one for each call.
pub type Stack<R, T> = BoxCloneSyncService<R, T, BoxError>;

/// The longest time of a [`TimeoutConfig`] that makes sense: a day.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(86_400);

/// What can be set of [`Layers`]: plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StackConfig {
    /// How long calls may take; each at most [`LONGEST_TIMEOUT`].
    pub timeouts: TimeoutConfig,
    /// How often. The default limits nothing.
    pub rates: Limits,
    /// How many at once.
    pub in_flight: InFlightConfig,
}

impl StackConfig {
    /// Whether all of it can hold.
    ///
    /// # Errors
    /// The first field that cannot, with its value and its limit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let TimeoutConfig {
            read,
            write,
            exempt,
        } = self.timeouts;
        for (field, time) in [("read", read), ("write", write), ("exempt", exempt)] {
            let field = format!("timeouts.{field}");
            let limit = format!("at most {LONGEST_TIMEOUT:?}");
            ConfigError::check(field, time, time <= LONGEST_TIMEOUT, limit)?;
        }
        Ok(())
    }
}

/// All layers, in the order of the [module](self). Clones share their limits and counts.
#[derive(Clone, Debug)]
pub struct Layers<A> {
    metrics: MetricsLayer,
    trace: TraceLayer,
    timeout: TimeoutLayer,
    limiter: Arc<Limiter>,
    in_flight: InFlightLayer,
    auth: AuthLayer<A>,
}

/// A service behind [`Layers`].
pub type Layered<S, A> = Metrics<Trace<Timeout<RateLimit<InFlight<Auth<RateLimit<S>, A>>>>>>;

impl<A: Authorize> Layers<A> {
    /// With these limits, and `authorize` to say who may call.
    pub fn new(config: &StackConfig, authorize: A) -> Layers<A> {
        Layers {
            metrics: MetricsLayer::new(),
            trace: TraceLayer::new(),
            timeout: TimeoutLayer::new(config.timeouts),
            limiter: Arc::new(Limiter::new(config.rates)),
            in_flight: InFlightLayer::new(config.in_flight),
            auth: AuthLayer::new(authorize),
        }
    }

    /// `handler` behind all layers, in a box.
    ///
    /// Where the layers change the type of a reply, as they do with an `http::Response`, whose body
    /// they watch to its end, so does this one: turn it back with
    /// [`map_response`](tower::ServiceExt::map_response) around [`layer`](Layer::layer).
    pub fn stack<S, R, T>(&self, handler: S) -> Stack<R, T>
    where
        Layered<S, A>: Service<R, Response = T, Error = BoxError, Future: Send + 'static>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        BoxCloneSyncService::new(self.layer(handler))
    }
}

impl<A> Layers<A> {
    /// Changes the limits of every stack, for calls that come from now on. Nothing that runs is
    /// ended.
    pub fn set(&self, config: &StackConfig) {
        self.timeout.set(config.timeouts);
        self.limiter.set(config.rates);
        self.in_flight.set(config.in_flight);
    }

    /// Tells whether this server leads: metrics say so, and a refused write is sent elsewhere only
    /// by a server that does not.
    pub fn set_leader(&self, leads: bool) {
        self.metrics.set_leader(leads);
        self.limiter.set_leader(leads);
    }

    /// The limiter, to hold connections to the same limits as calls.
    pub fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// What runs.
    pub fn in_flight(&self) -> &InFlightLayer {
        &self.in_flight
    }
}

impl<S, A> Layer<S> for Layers<A> {
    type Service = Layered<S, A>;

    fn layer(&self, handler: S) -> Layered<S, A> {
        ServiceBuilder::new()
            .layer(&self.metrics)
            .layer(&self.trace)
            .layer(&self.timeout)
            .layer(RateLimitLayer::new(Arc::clone(&self.limiter)))
            .layer(&self.in_flight)
            .layer(&self.auth)
            .layer(RateLimitLayer::by_identity(Arc::clone(&self.limiter)))
            .service(handler)
    }
}

/// Lets everybody in and grants everything: a server without access control, as a Consul without
/// ACLs is one.
#[derive(Clone, Debug)]
pub struct Everybody(Identity);

impl Everybody {
    /// Everybody is `anonymous`.
    pub fn new() -> Everybody {
        Everybody(Identity::with_grants("anonymous", Arc::new(Everything)))
    }
}

impl Default for Everybody {
    fn default() -> Self {
        Everybody::new()
    }
}

impl Authorize for Everybody {
    type Future = Never;

    fn authorize(&self, _: &Head) -> Decision<Never> {
        Decision::Now(Ok(Some(self.0.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_day_at_most() {
        let read = |read| StackConfig {
            timeouts: TimeoutConfig {
                read,
                ..TimeoutConfig::default()
            },
            ..StackConfig::default()
        };
        assert_eq!(StackConfig::default().validate(), Ok(()));
        assert_eq!(read(LONGEST_TIMEOUT).validate(), Ok(()));
        let longer = LONGEST_TIMEOUT + Duration::from_nanos(1);
        let error = read(longer).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "timeouts.read is 86400.000000001s, but it must be at most 86400s"
        );
    }
}
