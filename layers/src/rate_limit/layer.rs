//! The layer.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Call, Head, Refusal};
use tonic::Status;
use tower::{Layer, Service};

use super::limiter::Limiter;
use crate::refusable::{Refusable, head};

/// Refuses calls that are over the limits of a [`Limiter`].
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    limiter: Arc<Limiter>,
    by: By,
}

/// What a layer asks its limiter about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Call,
    Identity,
}

impl RateLimitLayer {
    /// Holds calls to all limits but that of their identity: for outside of what finds out who
    /// calls, so that a flood costs as little as may be.
    pub fn new(limiter: Arc<Limiter>) -> RateLimitLayer {
        RateLimitLayer {
            limiter,
            by: By::Call,
        }
    }

    /// Holds calls to the limit of their identity: for inside of what finds out who calls.
    pub fn by_identity(limiter: Arc<Limiter>) -> RateLimitLayer {
        RateLimitLayer {
            limiter,
            by: By::Identity,
        }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind a [`RateLimitLayer`]. It is ready when the inner service is and refuses in
/// `call`; what it refuses never reaches the inner service.
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    inner: S,
    layer: RateLimitLayer,
}

impl<S> RateLimit<S> {
    /// What the layer decides, apart from how it is wired.
    fn verdict(&self, head: &Head) -> Result<(), Refusal> {
        match self.layer.by {
            By::Call => self.layer.limiter.check(head),
            By::Identity => self.layer.limiter.check_identity(head),
        }
    }
}

impl<S, R> Service<R> for RateLimit<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Refusable<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let verdict = head(&request).and_then(|head| self.verdict(head).map_err(Status::from));
        match verdict {
            Ok(()) => Refusable::passed(self.inner.call(request)),
            Err(refused) => Refusable::refused(refused),
        }
    }
}
