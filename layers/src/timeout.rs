//! How long a call may take.
//!
//! The time runs from when the call was read ([`Head::at`]) to the beginning of its answer, and is
//! the shorter of two: what is configured for the method's [`Class`], and what the caller itself
//! asked for ([`Head::deadline`]). A blocking query has its own time ([`Head::wait`]) on top of what
//! is configured: it may wait that long, and then it has as long as any other call. A call whose
//! time is up is dropped, which ends its handler, and fails with [`Refusal::Timeout`].
//!
//! An answer that comes at once costs no timer: one is armed only when a call has pended. A stream
//! that follows the beginning of an answer is not timed; its caller ends it, or its connection's
//! driver.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use oneport_proto::{BoxError, Call, Class, Family, Head, Method, Refusal};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tower::{Layer, Service};

use crate::{Refusable, refusable::head};

/// How long a call may take unless configured otherwise: what Consul's clients wait for an answer
/// (`limits.rpc_client_timeout`). Work that takes longer is for nobody.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The times of a [`TimeoutLayer`]. In every field zero means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutConfig {
    /// For methods that change nothing, unknown ones among them. Default [`DEFAULT_TIMEOUT`].
    pub read: Duration,
    /// For methods that change state. A write whose time is up may happen all the same: its caller
    /// is told that the time was up, not that nothing happened. Default [`DEFAULT_TIMEOUT`].
    pub write: Duration,
    /// For methods that are never limited. Default none.
    pub exempt: Duration,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        TimeoutConfig {
            read: DEFAULT_TIMEOUT,
            write: DEFAULT_TIMEOUT,
            exempt: Duration::ZERO,
        }
    }
}

impl TimeoutConfig {
    /// By when a call must be answered, if ever.
    ///
    /// A connection as a call is over when its peer is, so it has no time.
    pub fn deadline(&self, head: &Head) -> Option<Instant> {
        deadline(head, |class| match class {
            Class::Read => self.read,
            Class::Write => self.write,
            Class::Exempt => self.exempt,
        })
    }
}

/// By when a call must be answered, if ever, where `limit` is the time of each class.
#[inline]
fn deadline(head: &Head, limit: impl FnOnce(Class) -> Duration) -> Option<Instant> {
    let class = match head.method {
        Method::Known(info) if matches!(info.family, Family::Connection) => return head.deadline,
        Method::Known(info) => info.class,
        Method::Unknown(_) => Class::Read,
    };
    let limit = limit(class);
    // What is too far away to be a time is no limit.
    let ours = (!limit.is_zero())
        .then(|| limit.checked_add(head.wait.unwrap_or_default()))
        .flatten()
        .and_then(|limit| head.at.checked_add(limit));
    match (ours, head.deadline) {
        (Some(ours), Some(asked)) => Some(ours.min(asked)),
        (ours, asked) => ours.or(asked),
    }
}

/// Bounds how long calls take. Clones of a layer, and all services that they make, share their
/// times.
#[derive(Clone, Debug)]
pub struct TimeoutLayer(Arc<Times>);

impl TimeoutLayer {
    /// With these times.
    pub fn new(config: TimeoutConfig) -> TimeoutLayer {
        let layer = TimeoutLayer(Arc::default());
        layer.set(config);
        layer
    }

    /// Changes the times, for calls that come from now on.
    pub fn set(&self, config: TimeoutConfig) {
        self.0.set(config);
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            times: Arc::clone(&self.0),
        }
    }
}

/// A service whose calls may take so long and no longer: see the [module](self).
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    times: Arc<Times>,
}

impl<S, R> Service<R> for Timeout<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Timed<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        match head(&request).and_then(|head| in_time(head, &self.times)) {
            Ok(deadline) => Timed::new(Refusable::passed(self.inner.call(request)), deadline),
            Err(refused) => Timed::new(Refusable::refused(refused), None),
        }
    }
}

/// The deadline of a call, unless it was over when the call was read.
#[inline]
fn in_time(head: &Head, times: &Times) -> Result<Option<Instant>, Status> {
    let deadline = deadline(head, |class| times.of(class));
    if deadline.is_some_and(|deadline| deadline <= head.at) {
        return Err(Refusal::Timeout.into());
    }
    Ok(deadline)
}

pin_project! {
    /// A call and its time.
    #[derive(Debug)]
    pub struct Timed<F> {
        #[pin]
        call: Refusable<F>,
        deadline: Option<Instant>,
        // In a box of its own: in place it would make every call's future larger, and moving that
        // costs the many calls that never pend more than the box costs the few that do.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Timed<F> {
    fn new(call: Refusable<F>, deadline: Option<Instant>) -> Timed<F> {
        Timed {
            call,
            deadline,
            timer: None,
        }
    }
}

impl<F, T, E> Future for Timed<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(outcome) = this.call.poll(cx) {
            return Poll::Ready(outcome);
        }
        let Some(deadline) = *this.deadline else {
            return Poll::Pending;
        };
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let up = timer.as_mut().poll(cx);
        up.map(|()| Err(Status::from(Refusal::Timeout).into()))
    }
}

/// The times as nanoseconds, so that they change without a lock.
#[derive(Debug, Default)]
struct Times {
    read: AtomicU64,
    write: AtomicU64,
    exempt: AtomicU64,
}

impl Times {
    fn set(&self, config: TimeoutConfig) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.read.store(nanos(config.read), Relaxed);
        self.write.store(nanos(config.write), Relaxed);
        self.exempt.store(nanos(config.exempt), Relaxed);
    }

    fn of(&self, class: Class) -> Duration {
        let nanos = match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
            Class::Exempt => &self.exempt,
        };
        Duration::from_nanos(nanos.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use oneport_proto::{MethodInfo, Session};
    use proptest::prelude::*;

    use super::*;

    const CONFIG: TimeoutConfig = TimeoutConfig {
        read: Duration::from_secs(2),
        write: Duration::from_secs(3),
        exempt: Duration::ZERO,
    };

    fn head(method: Method) -> Head {
        Head::new(method, Session::in_process(), Instant::now())
    }

    fn known(name: &'static str, class: Class) -> Head {
        head(Method::Known(
            MethodInfo::intern(Family::NetRpc, name, class).unwrap(),
        ))
    }

    /// How long after it was read a call must be answered.
    fn time(head: &Head) -> Option<Duration> {
        CONFIG.deadline(head).map(|deadline| deadline - head.at)
    }

    #[test]
    fn every_class_has_its_time() {
        assert_eq!(time(&known("Time.Read", Class::Read)), Some(CONFIG.read));
        assert_eq!(time(&known("Time.Write", Class::Write)), Some(CONFIG.write));
        assert_eq!(time(&known("Time.Exempt", Class::Exempt)), None);
        assert_eq!(
            time(&head(Method::Unknown(Family::Grpc))),
            Some(CONFIG.read)
        );
        assert_eq!(time(&head(Method::Known(MethodInfo::accept()))), None);
    }

    #[test]
    fn the_shorter_of_ours_and_the_callers_holds() {
        let mut head = known("Time.Asked", Class::Read);
        for (asked, holds) in [(1, 1), (2, 2), (3, 2)] {
            head.deadline = Some(head.at + Duration::from_secs(asked));
            assert_eq!(time(&head), Some(Duration::from_secs(holds)));
        }
        let mut exempt = known("Time.AskedExempt", Class::Exempt);
        exempt.deadline = Some(exempt.at + Duration::from_secs(9));
        assert_eq!(time(&exempt), Some(Duration::from_secs(9)));
    }

    #[test]
    fn a_blocking_query_has_its_wait_on_top() {
        let mut head = known("Time.Wait", Class::Read);
        head.wait = Some(Duration::from_secs(300));
        assert_eq!(time(&head), Some(Duration::from_secs(302)));
        head.deadline = Some(head.at + Duration::from_secs(10));
        assert_eq!(time(&head), Some(Duration::from_secs(10)));
    }

    proptest! {
        #[test]
        fn no_time_is_too_long_to_be_added(limit in any::<u64>(), wait in any::<u64>()) {
            let mut head = head(Method::Unknown(Family::NetRpc));
            head.wait = Some(Duration::from_secs(wait));
            let config = TimeoutConfig { read: Duration::from_secs(limit), ..CONFIG };
            let deadline = config.deadline(&head);
            prop_assert!(limit != 0 || deadline.is_none());
            prop_assert!(deadline.is_none_or(|deadline| deadline >= head.at));
        }
    }
}
