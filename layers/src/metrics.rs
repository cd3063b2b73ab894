//! What is counted of every call.
//!
//! The layer stands outermost, so that it sees what every other layer refuses. A call is recorded
//! when its reply has ended, which for a stream is its last byte; one that is abandoned before, by
//! its caller or a shutdown, counts as cancelled.
//!
//! # Catalogue
//! All metrics of this crate, by name. They go through the [`metrics`](https://docs.rs/metrics)
//! facade; a host that installs no recorder pays nothing for them. Handles are made at a method's
//! first call and kept, so that counting costs no look-up: install a recorder before the first call.
//!
//! | metric | kind | labels | what |
//! |---|---|---|---|
//! | [`CALLS`] | counter | `protocol`, `method` | calls, refused ones among them |
//! | [`ERRORS`] | counter | `protocol`, `method`, `code` | calls that did not end well, by how |
//! | [`REFUSED`] | counter | `protocol`, `method`, `reason` | calls that a layer or driver refused, by why |
//! | [`DURATION`] | histogram, s | `protocol`, `method`, `blocking` | from when a call was read until its reply had ended |
//! | [`IN_FLIGHT`] | gauge | `protocol`, `method` | calls that have begun and not ended, waiting ones among them |
//! | [`UNSTAMPED`] | counter | | requests without a [`Head`], refused as internal errors |
//! | [`EXCEEDED`] | counter | `limit_type`, `op`, `mode` | calls over a rate limit, those that a permissive one let pass among them: Consul's name |
//! | [`LOG_DROPPED`] | counter | | lines about such calls that were not logged: Consul's name |
//! | [`CONSUL_CALL`] | histogram, ms | `method`, `errored`, `request_type`, `rpc_type`, `leader`, `blocking` | [`DURATION`] of net/rpc calls, as Consul has it |
//!
//! | label | values |
//! |---|---|
//! | `protocol` | `connection`, `netrpc`, `grpc`, `drpc`, or what a host calls its own |
//! | `method` | the names that the host registered, and `unknown` for all others together |
//! | `code` | gRPC's codes in lower case, `deadline_exceeded` for one |
//! | `limit_type` | `global/read`, `global/write`, `rpc`, `source`, `identity` |
//! | `op` | as `method` |
//! | `mode` | `permissive`, `enforcing` |
//! | `reason` | `timeout`, `rate_limited`, `in_flight`, `denied`, `not_found`, `draining`, `too_large`, `panicked`, `unknown_token` |
//! | `blocking` | `true` for calls that asked to wait, else `false` |
//! | `errored` | `true` or `false` |
//! | `request_type` | `read` or `write`; `unreported` for the methods that nothing limits |
//! | `rpc_type` | `net/rpc` |
//! | `leader` | `true`, `false`, or `unreported` if the layer was not [told](MetricsLayer::set_leader) |
//!
//! # Consul's own names
//! They are kept beside ours, so that dashboards work (with Consul's prefix, `consul`, which a
//! recorder adds). They are counted where the thing happens, here and elsewhere in the house:
//!
//! | metric | kind | where |
//! |---|---|---|
//! | `rpc.server.call` | histogram, ms | this layer; the optional labels `allow_stale`, `target_datacenter` and `locality` would have to be read in the body, and are left out |
//! | `rpc.request`, `rpc.request_error` | counters | the net/rpc driver |
//! | `rpc.accept_conn` | counter | the listener |
//! | `rpc.query`, `rpc.queries_blocking` | counter, gauge | whoever runs the queries: the agent |
//! | `rpc.rate_limit.exceeded`, `rpc.rate_limit.log_dropped` | counters | the [rate limit](crate::rate_limit) |
//!
//! [`Head`]: oneport_proto::Head

mod row;
mod table;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Call, End, Head, Refusal, Reply};
use tokio::time::Instant;
use tonic::Code;
use tower::{Layer, Service};

use self::{
    row::{Leader, Row},
    table::Table,
};
use crate::{
    guard::{Guard, Guarded},
    refusable::head,
};
pub use crate::{
    rate_limit::{EXCEEDED, LOG_DROPPED},
    refusable::UNSTAMPED,
};

/// Calls, refused ones among them.
pub const CALLS: &str = "oneport.calls";

/// Calls that did not end well, by code.
pub const ERRORS: &str = "oneport.calls.errors";

/// Calls that were refused, by why.
pub const REFUSED: &str = "oneport.calls.refused";

/// How long calls took, in seconds, from when they were read until their replies had ended.
pub const DURATION: &str = "oneport.calls.duration";

/// Calls that have begun and not ended.
pub const IN_FLIGHT: &str = "oneport.calls.in_flight";

/// How long net/rpc calls took, in milliseconds: Consul's name and labels.
pub const CONSUL_CALL: &str = "rpc.server.call";

/// Counts and times calls: see the [module](self). Clones of a layer share their handles.
#[derive(Clone)]
pub struct MetricsLayer(Arc<Shared>);

struct Shared {
    table: Table,
    /// A [`Leader`], by its place.
    leader: AtomicUsize,
}

impl MetricsLayer {
    /// A layer without handles: each is made when it is wanted first.
    pub fn new() -> MetricsLayer {
        MetricsLayer(Arc::new(Shared {
            table: Table::new(),
            leader: AtomicUsize::new(Leader::Unreported.place()),
        }))
    }

    /// Tells it whether this server leads, from now on: for the label `leader` of [`CONSUL_CALL`].
    pub fn set_leader(&self, leader: bool) {
        let leader = if leader { Leader::Yes } else { Leader::No };
        self.0.leader.store(leader.place(), Relaxed);
    }
}

impl Default for MetricsLayer {
    fn default() -> Self {
        MetricsLayer::new()
    }
}

impl fmt::Debug for MetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Metrics<S> {
        Metrics {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// A service whose calls are counted and timed: see the [module](self).
#[derive(Clone)]
pub struct Metrics<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: fmt::Debug> fmt::Debug for Metrics<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, R> Service<R> for Metrics<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>, Response: Reply>,
{
    type Response = <S::Response as Reply>::Tracked<Record>;
    type Error = BoxError;
    type Future = Guarded<S::Future, Record>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        match head(&request) {
            Ok(head) => {
                let record = Record::begin(&self.shared, head);
                Guarded::begin(record, || self.inner.call(request))
            }
            Err(refused) => Guarded::refused(refused),
        }
    }
}

/// A call that is being counted. It is written down when it is dropped, which is when its reply has
/// ended or nobody wants it any more.
pub struct Record {
    row: Arc<Row>,
    began: Instant,
    blocking: bool,
    leader: Leader,
    code: Code,
}

impl Record {
    #[inline]
    fn begin(shared: &Shared, head: &Head) -> Record {
        let row = shared.table.row(head.method);
        row.calls.increment(1);
        row.in_flight.increment(1);
        Record {
            row,
            began: head.at,
            blocking: head.wait.is_some(),
            leader: Leader::at(shared.leader.load(Relaxed)),
            code: Code::Cancelled,
        }
    }
}

impl Guard for Record {
    #[inline]
    fn around<T>(&mut self, step: impl FnOnce() -> T) -> T {
        // What a panic leaves behind is written down like this, whoever drops it and when.
        self.code = Code::Internal;
        let done = step();
        self.code = Code::Cancelled;
        done
    }

    fn failed(mut self, error: &BoxError) {
        self.code = oneport_proto::code_of(error);
        if let Some(refusal) = refusal_of(error) {
            self.row.refused(refusal);
        }
    }
}

impl End for Record {
    #[inline]
    fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = Instant::now().saturating_duration_since(self.began);
        self.row.in_flight.decrement(1);
        self.row.ended(self.code, took, self.blocking, self.leader);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("method", &self.row.method)
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

/// The refusal that a call failed with, if it was refused.
fn refusal_of(error: &BoxError) -> Option<&Refusal> {
    let mut link: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(error) = link {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(refusal);
        }
        link = error.source();
    }
    None
}
