//! How many calls may run at once.
//!
//! A call counts from the moment it is passed on until its reply has ended, which for a stream is
//! its last byte, or until it is abandoned. One more than may run is refused at once with
//! [`Refusal::InFlight`]; nothing queues here.
//!
//! # Blocking queries
//! A blocking query waits for news, for minutes, and does no work meanwhile; an agent of Consul's
//! keeps one for each thing it watches, so that a server has thousands of them beside a handful of
//! calls that really run. If they counted as calls, a bound that protects the server from a pile of
//! work would be used up by watchers, who cost nothing but memory. So they have
//! [bounds of their own](InFlightConfig::waiting), sized for memory, and take no place of a call.
//! A server that answers a query too many at once with what there is, as ours does, keeps that
//! limit below this one; then nobody is refused here.
//!
//! Methods of the class [`Exempt`](Class::Exempt), liveness probes, are passed on uncounted: a
//! server that is full is alive.

mod bound;
mod connection;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Call, Class, End, Head, Method, Refusal, Reply};
use tonic::{Code, Status};
use tower::{Layer, Service};

use self::connection::{Bounds, Connection};
use crate::{
    guard::{Guard, Guarded},
    refusable::head,
};

/// Calls that run at once, in all: many times what fast handlers reach, so that being there means
/// that something behind them is stuck. Consul has no such limit.
pub const MAX_CALLS: usize = 8192;
/// Calls that run at once on one connection: a quarter of the streams that a yamux session may have.
pub const MAX_CALLS_PER_CONNECTION: usize = 1024;
/// Blocking queries that wait at once, in all: twice what the agent lets wait, which answers one
/// more at once. Consul has no such limit.
pub const MAX_WAITING: usize = 16_384;
/// Blocking queries that wait at once on one connection: one on each stream of a yamux session.
pub const MAX_WAITING_PER_CONNECTION: usize = 4096;

/// The bounds of an [`InFlightLayer`]. In every field zero means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightConfig {
    /// Calls at once, in all. Default [`MAX_CALLS`].
    pub calls: usize,
    /// Calls at once on one connection. Default [`MAX_CALLS_PER_CONNECTION`].
    pub calls_per_connection: usize,
    /// Blocking queries at once, in all. Default [`MAX_WAITING`].
    pub waiting: usize,
    /// Blocking queries at once on one connection. Default [`MAX_WAITING_PER_CONNECTION`].
    pub waiting_per_connection: usize,
}

impl Default for InFlightConfig {
    fn default() -> Self {
        InFlightConfig {
            calls: MAX_CALLS,
            calls_per_connection: MAX_CALLS_PER_CONNECTION,
            waiting: MAX_WAITING,
            waiting_per_connection: MAX_WAITING_PER_CONNECTION,
        }
    }
}

/// Bounds how many calls run at once. Clones of a layer, and all services that they make, share
/// their bounds.
#[derive(Clone, Debug)]
pub struct InFlightLayer(Arc<Bounds>);

impl InFlightLayer {
    /// With these bounds.
    pub fn new(config: InFlightConfig) -> InFlightLayer {
        let layer = InFlightLayer(Arc::default());
        layer.set(config);
        layer
    }

    /// Changes the bounds. Calls that run go on, however many they are; the next one finds the new
    /// bounds.
    pub fn set(&self, config: InFlightConfig) {
        self.0.calls.set(config.calls, config.calls_per_connection);
        let each = config.waiting_per_connection;
        self.0.waiting.set(config.waiting, each);
    }

    /// How many calls run, exempt ones and blocking queries not counted.
    pub fn calls(&self) -> usize {
        self.0.calls.running()
    }

    /// How many blocking queries wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.running()
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight {
            inner,
            bounds: Arc::clone(&self.0),
        }
    }
}

/// A service with a bound on its calls: see the [module](self).
#[derive(Clone, Debug)]
pub struct InFlight<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S, R> Service<R> for InFlight<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>, Response: Reply>,
{
    type Response = <S::Response as Reply>::Tracked<Permit>;
    type Error = BoxError;
    type Future = Guarded<S::Future, Permit>;

    /// As the inner service: a place is taken by a call, not by the wish to make one.
    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let permit = head(&request).and_then(|head| Permit::take(&self.bounds, head));
        match permit {
            Ok(permit) => Guarded::begin(permit, || self.inner.call(request)),
            Err(refused) => Guarded::refused(refused),
        }
    }
}

/// A running call's place; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    /// None for an exempt call.
    _place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    connection: Arc<Connection>,
    waits: bool,
}

impl Permit {
    #[inline]
    fn take(bounds: &Arc<Bounds>, head: &Head) -> Result<Permit, Status> {
        if let Method::Known(info) = head.method
            && info.class == Class::Exempt
        {
            return Ok(Permit { _place: None });
        }
        let waits = head.wait.is_some();
        let connection = Connection::of(&head.session, bounds);
        if !connection.take(waits) {
            return Err(Refusal::InFlight.into());
        }
        Ok(Permit {
            _place: Some(Place { connection, waits }),
        })
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        self.connection.give(self.waits);
    }
}

impl End for Permit {
    #[inline]
    fn end(self, _code: Code) {}
}

impl Guard for Permit {}
