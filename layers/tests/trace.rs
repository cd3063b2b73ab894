//! What the span of a call says.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use oneport_layers::{
    TraceLayer,
    testing::{Ping, Pong},
    trace::TARGET,
};
use oneport_proto::{BoxError, Call, Code, Identity, Status, TraceContext};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::with_default,
};
use tracing_subscriber::{
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// Spans that have closed, each with its fields.
#[derive(Clone, Default)]
struct Closed(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Closed {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        assert_eq!(attributes.metadata().target(), TARGET);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let fields = span.extensions_mut().remove::<Fields>().unwrap();
        self.0.lock().unwrap().push(fields.0);
    }
}

/// The spans that `test` left.
fn traced(test: impl Future<Output = ()>) -> Vec<BTreeMap<String, String>> {
    let closed = Closed::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(closed.clone());
    with_default(subscriber, || runtime.block_on(test));
    let spans = closed.0.lock().unwrap();
    spans.clone()
}

const CALLER: TraceContext = TraceContext {
    trace_id: [0xab; 16],
    parent_id: [0xcd; 8],
    flags: 1,
};

#[test]
fn a_span_says_what_who_and_how_it_ended() {
    let spans = traced(async {
        let mut service = TraceLayer::new().layer(service_fn(|mut request: Ping| async move {
            let head = request.head_mut().unwrap();
            head.identity.set(Identity::new("ann")).unwrap();
            Ok::<_, BoxError>(Pong::new())
        }));
        let reply = service.call(Ping::new()).await.unwrap();
        reply.finish(Code::Ok);
    });
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(span["protocol"], "netrpc");
    assert_eq!(span["method"], "Contract.Ping");
    assert_eq!(span["peer"], "local");
    assert_eq!(span["identity"], "ann");
    assert_eq!(span["code"], "ok");
    assert!(!span.contains_key("trace_id"));
}

#[test]
fn a_span_lasts_as_long_as_the_reply() {
    let spans = traced(async {
        let service = TraceLayer::new().layer(service_fn(|_: Ping| async {
            assert!(!tracing::Span::current().is_disabled());
            Ok::<_, BoxError>(Pong::new())
        }));
        drop(service.clone().oneshot(Ping::new()).await.unwrap());
        let fails = TraceLayer::new().layer(service_fn(|_: Ping| async {
            Err::<Pong, BoxError>(Status::not_found("no").into())
        }));
        fails.oneshot(Ping::new()).await.unwrap_err();
    });
    let codes: Vec<_> = spans.iter().map(|span| span["code"].as_str()).collect();
    assert_eq!(codes, ["cancelled", "not_found"]);
}

/// Gives back the trace that reached the handler.
async fn inner_trace() -> Option<TraceContext> {
    let (tell, told) = std::sync::mpsc::channel();
    let handler = service_fn(move |request: Ping| {
        tell.send(request.head().unwrap().trace.clone()).unwrap();
        async { Ok::<_, BoxError>(Pong::new()) }
    });
    let mut request = Ping::new();
    request.head_mut().unwrap().trace = Some(Box::new(CALLER));
    TraceLayer::new()
        .layer(handler)
        .oneshot(request)
        .await
        .unwrap();
    told.recv().unwrap().map(|trace| *trace)
}

#[test]
fn a_callers_trace_goes_on_below_the_span() {
    let mut inner = None;
    let spans = traced(async { inner = inner_trace().await });
    let inner = inner.unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(spans[0]["trace_id"], "ab".repeat(16));
    assert_eq!(spans[0]["parent_id"], "cd".repeat(8));
    assert_eq!(spans[0]["span_id"], hex(&inner.parent_id));
    assert_eq!(
        (inner.trace_id, inner.flags),
        (CALLER.trace_id, CALLER.flags)
    );
    assert_ne!(inner.parent_id, CALLER.parent_id);
}

#[test]
fn when_nobody_is_interested_it_goes_on_as_it_came() {
    let quiet = tracing_subscriber::registry().with(LevelFilter::WARN);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let inner = with_default(quiet, || runtime.block_on(inner_trace()));
    assert_eq!(inner, Some(CALLER));
}
