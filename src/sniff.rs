//! From the first byte of a connection to its protocol.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use metrics::{Counter, Histogram, counter, histogram};
use oneport_layers::Source;
use oneport_proto::{BoxError, Refusal};
use oneport_services::Conn;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{MakeService, Service};
use tracing::{debug, info, warn};

use crate::{
    Mark, Unrouted,
    metrics::{SNIFF_SECONDS, SNIFFED},
    once::Once,
};

/// How long a peer may take for its first byte: Consul's `limits.rpc_handshake_timeout`.
pub const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(5);

/// A protocol that waits for the first byte and lets `M`, usually a [`Port`](crate::Port), say who
/// goes on with the connection.
///
/// It is always ready: `M` is asked for readiness when the byte is there, so a silent peer holds
/// no capacity. A connection that leads nowhere is closed without a byte, as Consul does. While
/// the port drains, a peer that has not spoken is closed at once, and one that has is served: its
/// protocol sees the drain and knows where it may stop.
#[derive(Clone, Debug)]
pub struct Sniff<M> {
    make: M,
    within: Duration,
    shared: Arc<Shared>,
}

/// What all connections of a port share.
#[derive(Debug, Default)]
struct Shared {
    told: Once<(Option<Source>, Mark)>,
    counts: Counts,
}

impl<M> Sniff<M> {
    /// Sniffing for `make`; the first byte is due within [`FIRST_BYTE_WITHIN`].
    pub fn new(make: M) -> Sniff<M> {
        Sniff {
            make,
            within: FIRST_BYTE_WITHIN,
            shared: Arc::default(),
        }
    }

    /// With another time for the first byte; zero waits for ever. What comes after the first byte
    /// is never timed here.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Sniff<M> {
        self.within = within;
        self
    }
}

impl<M> Service<Conn> for Sniff<M>
where
    M: MakeService<Mark, Conn, Response = ()> + Clone + Send + 'static,
    M::MakeError: Into<BoxError>,
    M::Error: Into<BoxError>,
    M::Future: Send,
    M::Service: Service<Conn, Future: Send> + Send,
{
    type Response = ();
    type Error = BoxError;
    type Future = Sniffing<M>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn) -> Sniffing<M> {
        Sniffing {
            sniff: self.clone(),
            conn: Some(conn),
            step: Step::Waiting { late: None },
        }
    }
}

pin_project! {
    /// The future of a [`Sniff`]: a connection on its way to its protocol, then in its hands.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Sniffing<M: MakeService<Mark, Conn>> {
        sniff: Sniff<M>,
        // Here until its protocol gets it.
        conn: Option<Conn>,
        #[pin]
        step: Step<M>,
    }
}

pin_project! {
    #[project = StepNow]
    enum Step<M: MakeService<Mark, Conn>> {
        // For the first byte, and for who knows its protocol. The timer is made when there is a wait.
        Waiting {
            #[pin]
            late: Option<Sleep>,
        },
        Making {
            #[pin]
            protocol: M::Future,
        },
        Made {
            protocol: M::Service,
        },
        Serving {
            #[pin]
            done: <M::Service as Service<Conn>>::Future,
        },
    }
}

impl<M> Future for Sniffing<M>
where
    M: MakeService<Mark, Conn, Response = ()>,
    M::MakeError: Into<BoxError>,
    M::Error: Into<BoxError>,
{
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const OVER: &str = "not polled after its end";
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepNow::Waiting { .. } | StepNow::Making { .. } => {
                    let conn = this.conn.as_mut().expect(OVER);
                    let found = ready!(poll_find(this.step.as_mut(), this.sniff, conn, cx));
                    let took = conn.opened_at().elapsed();
                    this.sniff.shared.counts.add(Outcome::of(&found), took);
                    match found {
                        Ok(Some(protocol)) => this.step.set(Step::Made { protocol }),
                        Ok(None) => {
                            *this.conn = None;
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) => {
                            let conn = this.conn.take().expect(OVER);
                            refuse(conn, &error, &this.sniff.shared.told);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                StepNow::Made { protocol } => {
                    ready!(protocol.poll_ready(cx)).map_err(Into::into)?;
                    let done = protocol.call(this.conn.take().expect(OVER));
                    this.step.set(Step::Serving { done });
                }
                StepNow::Serving { done } => return done.poll(cx).map_err(Into::into),
            }
        }
    }
}

/// The protocol of a connection; `None` if the peer left without a word.
fn poll_find<M>(
    mut step: Pin<&mut Step<M>>,
    sniff: &mut Sniff<M>,
    conn: &mut Conn,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<M::Service>, BoxError>>
where
    M: MakeService<Mark, Conn, MakeError: Into<BoxError>>,
{
    if let StepNow::Waiting { late } = step.as_mut().project() {
        // The byte stays unread: while `make` is not ready it is found again.
        let Some(byte) = ready!(poll_first_byte(conn, sniff.within, late, cx))? else {
            return Poll::Ready(Ok(None));
        };
        ready!(sniff.make.poll_ready(cx)).map_err(Into::into)?;
        let protocol = sniff.make.make_service(Mark::First(byte));
        step.set(Step::Making { protocol });
    }
    match step.project() {
        StepNow::Making { protocol } => protocol.poll(cx).map_ok(Some).map_err(Into::into),
        _ => unreachable!("who looks for a protocol has none"),
    }
}

/// The first byte, still unread; `None` if there will be none.
fn poll_first_byte(
    conn: &mut Conn,
    within: Duration,
    late: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<u8>, SniffError>> {
    // The byte comes first: who has spoken in time is never late.
    if let Poll::Ready(peeked) = conn.poll_peek(cx) {
        return Poll::Ready(peeked.map_err(SniffError::Broken));
    }
    if conn.poll_draining(cx).is_ready() {
        return Poll::Ready(Err(SniffError::Draining));
    }
    poll_late(conn.opened_at(), within, late, cx).map(|()| Err(SniffError::Late(within)))
}

/// Ready once `within` is over; never if it is zero.
fn poll_late(
    opened_at: Instant,
    within: Duration,
    mut late: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if late.is_none() && !within.is_zero() {
        late.set(opened_at.checked_add(within).map(sleep_until));
    }
    match late.as_pin_mut() {
        Some(late) => late.poll(cx),
        None => Poll::Pending,
    }
}

/// Closes a connection that leads nowhere, and says why.
fn refuse(mut conn: Conn, error: &BoxError, told: &Once<(Option<Source>, Mark)>) {
    tell(told, &conn, error);
    conn.eat();
    conn.close();
}

/// Says why a connection was refused. A peer that keeps sending the same byte is mentioned once.
fn tell(told: &Once<(Option<Source>, Mark)>, conn: &Conn, error: &BoxError) {
    let peer = &conn.session().peer;
    let first = |mark: &Mark| told.first((Source::of(peer), mark.clone()), Instant::now());
    match error.downcast_ref() {
        Some(Unrouted::Unserved { mark, .. }) if first(mark) => info!(%peer, "{error}"),
        Some(Unrouted::Unknown(mark)) if first(mark) => warn!(%peer, "{error}"),
        _ => debug!(%peer, "{error}"),
    }
}

/// How looking for the protocol of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A protocol has it.
    Routed,
    /// The byte is known, but not served here.
    Unserved,
    /// Nobody knows the byte.
    Unknown,
    /// No byte came in time.
    Late,
    /// The peer left without a word, as a health check does.
    Ended,
    /// The drain began before the first byte.
    Draining,
    /// The transport failed before the first byte.
    Broken,
    /// The byte was there, but making its protocol failed.
    Failed,
}

impl Outcome {
    /// The outcome's metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Outcome::Routed => "routed",
            Outcome::Unserved => "unserved",
            Outcome::Unknown => "unknown",
            Outcome::Late => "late",
            Outcome::Ended => "ended",
            Outcome::Draining => "draining",
            Outcome::Broken => "broken",
            Outcome::Failed => "failed",
        }
    }

    fn of<S>(found: &Result<Option<S>, BoxError>) -> Outcome {
        let error = match found {
            Ok(Some(_)) => return Outcome::Routed,
            Ok(None) => return Outcome::Ended,
            Err(error) => error,
        };
        match (error.downcast_ref(), error.downcast_ref()) {
            (Some(Unrouted::Unserved { .. }), _) => Outcome::Unserved,
            (Some(Unrouted::Unknown(_)), _) => Outcome::Unknown,
            (None, Some(SniffError::Late(_))) => Outcome::Late,
            (None, Some(SniffError::Draining)) => Outcome::Draining,
            (None, Some(SniffError::Broken(_))) => Outcome::Broken,
            (None, None) => Outcome::Failed,
        }
    }
}

/// The metric handles of every outcome, in the order of [`Outcome`].
#[derive(Debug, Default)]
struct Counts([OnceLock<(Counter, Histogram)>; OUTCOMES]);

const OUTCOMES: usize = Outcome::Failed as usize + 1;

impl Counts {
    fn add(&self, outcome: Outcome, took: Duration) {
        let label = outcome.label();
        let (outcomes, seconds) = self.0[outcome as usize].get_or_init(|| {
            (
                counter!(SNIFFED, "outcome" => label),
                histogram!(SNIFF_SECONDS, "outcome" => label),
            )
        });
        outcomes.increment(1);
        seconds.record(took);
    }
}

/// Why no first byte came. The source is the [`Refusal`] or the transport's error.
#[derive(Debug)]
pub enum SniffError {
    /// Nothing was sent for this long.
    Late(Duration),
    /// The port is draining and nothing had been sent.
    Draining,
    /// The transport failed.
    Broken(io::Error),
}

impl fmt::Display for SniffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SniffError::Late(within) => write!(f, "no first byte within {within:?}"),
            SniffError::Draining => f.write_str("no first byte before the drain"),
            SniffError::Broken(_) => f.write_str("reading the first byte failed"),
        }
    }
}

impl Error for SniffError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SniffError::Late(_) => Some(&Refusal::Timeout),
            SniffError::Draining => Some(&Refusal::Draining),
            SniffError::Broken(error) => Some(error),
        }
    }
}
