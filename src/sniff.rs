//! From the first byte of a connection to its protocol.

use std::{
    error::Error,
    fmt,
    future::{Future, pending, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use metrics::{counter, histogram};
use oneport_layers::Source;
use oneport_proto::{BoxError, Refusal};
use oneport_services::Conn;
use tokio::time::{Instant, sleep};
use tower::{MakeService, Service, ServiceExt};
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
    told: Arc<Once<(Option<Source>, Mark)>>,
}

impl<M> Sniff<M> {
    /// Sniffing for `make`; the first byte is due within [`FIRST_BYTE_WITHIN`].
    pub fn new(make: M) -> Sniff<M> {
        Sniff {
            make,
            within: FIRST_BYTE_WITHIN,
            told: Arc::default(),
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
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut conn: Conn) -> Self::Future {
        let Sniff { make, within, told } = self.clone();
        Box::pin(async move {
            let began = Instant::now();
            let found = find(make, within, &mut conn).await;
            Outcome::of(&found).count(began.elapsed());
            match found {
                Ok(Some(protocol)) => protocol.oneshot(conn).await.map_err(Into::into),
                Ok(None) => Ok(()),
                Err(error) => {
                    tell(&told, &conn, &error);
                    conn.eat();
                    conn.close();
                    Err(error)
                }
            }
        })
    }
}

/// The protocol of a connection; `None` if the peer left without a word.
async fn find<M>(
    mut make: M,
    within: Duration,
    conn: &mut Conn,
) -> Result<Option<M::Service>, BoxError>
where
    M: MakeService<Mark, Conn, MakeError: Into<BoxError>>,
{
    let Some(byte) = first_byte(conn, within).await? else {
        return Ok(None);
    };
    poll_fn(|cx| make.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    let protocol = make.make_service(Mark::First(byte)).await;
    protocol.map(Some).map_err(Into::into)
}

/// The first byte, still unread; `None` if there will be none.
async fn first_byte(conn: &mut Conn, within: Duration) -> Result<Option<u8>, SniffError> {
    let mut late = pin!(async {
        if within.is_zero() {
            pending().await
        }
        sleep(within).await;
    });
    poll_fn(|cx| {
        // The byte comes first: who has spoken in time is never late.
        if let Poll::Ready(peeked) = conn.poll_peek(cx) {
            return Poll::Ready(peeked.map_err(SniffError::Broken));
        }
        if conn.poll_draining(cx).is_ready() {
            return Poll::Ready(Err(SniffError::Draining));
        }
        late.as_mut()
            .poll(cx)
            .map(|()| Err(SniffError::Late(within)))
    })
    .await
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

    fn count(self, took: Duration) {
        counter!(SNIFFED, "outcome" => self.label()).increment(1);
        histogram!(SNIFF_SECONDS, "outcome" => self.label()).record(took);
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
