//! One span for every call.
//!
//! The span is called `call`, has the target [`TARGET`] and the level INFO, and lasts until the
//! reply has ended. It is the current span while the call runs, so that what a handler logs is inside
//! it.
//!
//! | field | what |
//! |---|---|
//! | `protocol` | `netrpc`, `grpc` … |
//! | `method` | the name that the host registered, or `unknown` |
//! | `peer` | the other end |
//! | `session` | the number of its connection in this process |
//! | `identity` | who the caller is, as soon as the call has ended and if somebody found out |
//! | `code` | how the call ended, by gRPC's codes in lower case; `cancelled` if it was abandoned |
//! | `trace_id`, `parent_id`, `span_id` | W3C trace context: the trace, the caller's span and this one, if the caller sent any |
//!
//! # Trace context
//! A caller's [`TraceContext`] comes with the [`Head`] where the protocol has
//! room for one: gRPC has, net/rpc has not. When a span is made, the head goes on with a `parent_id`
//! of its own, so that what a handler passes on is below this span; when nobody is interested in
//! spans, the head goes on as it came, and the call is transparent in its trace. W3C allows both.
//!
//! # Cost
//! Without a subscriber that wants such spans, one comparison.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Call, End, Head, IdentitySlot, Reply, TraceContext, code_of};
use tonic::Code;
use tower::{Layer, Service};
use tracing::{Span, field::Empty, info_span};

use crate::{
    guard::{Guard, Guarded},
    label,
    refusable::unstamped,
};

/// The target of the spans, for filters.
pub const TARGET: &str = "oneport::call";

/// Opens a span for every call: see the [module](self).
#[derive(Clone, Debug, Default)]
pub struct TraceLayer;

impl TraceLayer {
    /// The layer; there is nothing to set. What is traced is the subscriber's business.
    pub fn new() -> TraceLayer {
        TraceLayer
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// A service with a span around each of its calls: see the [module](self).
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
}

impl<S, R> Service<R> for Trace<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>, Response: Reply>,
{
    type Response = <S::Response as Reply>::Tracked<Spanned>;
    type Error = BoxError;
    type Future = Guarded<S::Future, Spanned>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, mut request: R) -> Self::Future {
        match request.head_mut() {
            Some(head) => {
                let spanned = Spanned::begin(head);
                Guarded::begin(spanned, || self.inner.call(request))
            }
            None => Guarded::refused(unstamped()),
        }
    }
}

/// A call in its span, which closes when this is dropped.
#[derive(Debug)]
pub struct Spanned(
    // In a box: where nobody is interested in spans the call has this to move, and no more.
    Option<Box<Open>>,
);

struct Open {
    span: Span,
    identity: IdentitySlot,
    code: Code,
}

impl Spanned {
    #[inline]
    fn begin(head: &mut Head) -> Spanned {
        let span = span(head);
        if span.is_disabled() {
            return Spanned(None);
        }
        Spanned(Some(Box::new(Open::begin(span, head))))
    }
}

impl Open {
    fn begin(span: Span, head: &mut Head) -> Open {
        if let Some(trace) = &mut head.trace {
            **trace = step_into(&span, **trace);
        }
        Open {
            span,
            identity: head.identity.share(),
            code: Code::Cancelled,
        }
    }
}

#[inline]
fn span(head: &Head) -> Span {
    info_span!(
        target: TARGET,
        "call",
        protocol = head.method.family().name(),
        method = head.method.name(),
        peer = %head.session.peer,
        session = head.session.id,
        identity = Empty,
        code = Empty,
        trace_id = Empty,
        parent_id = Empty,
        span_id = Empty,
    )
}

/// Writes the trace into the span, and gives what the call goes on with.
fn step_into(span: &Span, trace: TraceContext) -> TraceContext {
    let inner = TraceContext {
        parent_id: fresh_id(),
        ..trace
    };
    span.record("trace_id", tracing::field::display(Hex(&trace.trace_id)));
    span.record("parent_id", tracing::field::display(Hex(&trace.parent_id)));
    span.record("span_id", tracing::field::display(Hex(&inner.parent_id)));
    inner
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An id that nobody else has: random, and never zero, which W3C forbids.
fn fresh_id() -> [u8; 8] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Every hasher has random keys of its own.
    let id = RandomState::new().hash_one(COUNT.fetch_add(1, Relaxed));
    id.max(1).to_be_bytes()
}

impl Guard for Spanned {
    #[inline]
    fn around<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let Some(open) = &mut self.0 else {
            return step();
        };
        open.code = Code::Internal;
        let done = open.span.in_scope(step);
        open.code = Code::Cancelled;
        done
    }

    fn failed(self, error: &BoxError) {
        if let Some(mut open) = self.0 {
            open.code = code_of(error);
        }
    }
}

impl End for Spanned {
    #[inline]
    fn end(self, code: Code) {
        if let Some(mut open) = self.0 {
            open.code = code;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.span.record("code", label::code(self.code).1);
        if let Some(identity) = self.identity.get() {
            self.span.record("identity", identity.name());
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.span.fmt(f)
    }
}
